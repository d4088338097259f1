//! Whether an account may be used, as far as its attributes say. Asked only after the password was proven, or for a
//! re-check, where there is none.

use jiff::civil::DateTime;

use super::super::verdict::Rejection;
use super::entry::Entry;
use super::settings::{AccountRule, AccountSettings, Preset};
use super::trouble::Trouble;
use crate::clock::Timestamp;

/// The attributes that are read. A directory leaves out those that it does not know or the service account may not read.
pub(super) const ATTRIBUTES: [&str; 12] = [
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "pwdLastSet",
    "pwdAccountLockedTime",
    "pwdReset",
    "pwdStartTime",
    "pwdEndTime",
    "nsAccountLock",
    "shadowExpire",
    "krbPrincipalExpiration",
    "krbPasswordExpiration",
];

/// `userAccountControl`: disabled.
const ACCOUNT_DISABLED: i64 = 0x2;
/// `userAccountControl`: the password never expires, or a smart card stands in for it; then nobody has to change it.
const NEVER_CHANGES: i64 = 0x1_0000 | 0x4_0000;
/// `msDS-User-Account-Control-Computed`: the password has expired.
const PASSWORD_EXPIRED: i64 = 0x0080_0000;

/// `msDS-User-Account-Control-Computed`: locked.
const LOCKED_OUT: i64 = 0x10;

/// Seconds between 1601-01-01 and 1970-01-01.
const WINDOWS_EPOCH: i64 = 11_644_473_600;
/// The value of `pwdAccountLockedTime` that only an administrator undoes.
const LOCKED_FOR_GOOD: &str = "000001010000Z";

/// What becomes of accounts with a reservation, and what is looked at beyond the attributes that mean one thing everywhere.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AccountRules {
    must_change: bool,
    grace: bool,
    /// Whether the Kerberos password is the directory's as well, as in `FreeIPA`. Elsewhere it may be another one.
    kerberos: bool,
}

impl AccountRules {
    /// From the configuration.
    pub(super) fn new(settings: &AccountSettings, kind: Preset) -> Self {
        let allows = |rule: AccountRule| rule == AccountRule::Allow;
        Self { must_change: allows(settings.must_change.value), grace: allows(settings.grace.value), kerberos: kind == Preset::Freeipa }
    }

    /// Whether a bind that the directory let through with this reservation is good enough.
    pub(super) fn allow(self, rejection: Rejection) -> bool {
        match rejection {
            Rejection::MustChange => self.must_change,
            Rejection::Grace => self.grace,
            Rejection::WrongPassword
            | Rejection::LockedOut
            | Rejection::Disabled
            | Rejection::Locked
            | Rejection::Expired
            | Rejection::Restricted
            | Rejection::Ambiguous
            | Rejection::Source
            | Rejection::InteractionRequired
            | Rejection::NoOfflineAccess => false,
        }
    }

    /// Why the account may not be used; `None` where nothing speaks against it.
    ///
    /// Locks that wrong passwords caused (`lockoutTime`, `accountUnlockTime`, `pwdAccountLockedTime` with a time) are not looked
    /// at: the directory enforces them at the bind, and on a re-check they would let anybody who can type a name end somebody
    /// else's logins. Nor is `passwordExpirationTime`, which says nothing of the grace logins behind it.
    pub(super) fn refusal(self, entry: &Entry, now: Timestamp) -> Result<Option<Rejection>, Trouble> {
        let control = number(entry, "userAccountControl")?.unwrap_or(0);
        if control & ACCOUNT_DISABLED != 0 || is_true(entry, "nsAccountLock")? {
            return Ok(Some(Rejection::Disabled));
        }
        if entry.text("pwdAccountLockedTime")? == Some(LOCKED_FOR_GOOD) {
            return Ok(Some(Rejection::Locked));
        }
        if time(entry, "pwdStartTime")?.is_some_and(|start| start > now) {
            return Ok(Some(Rejection::Disabled));
        }
        if self.is_over(entry, now)? {
            return Ok(Some(Rejection::Expired));
        }
        let reset = is_true(entry, "pwdReset")? || (number(entry, "pwdLastSet")? == Some(0) && control & NEVER_CHANGES == 0);
        if reset && !self.must_change {
            return Ok(Some(Rejection::MustChange));
        }
        let computed = number(entry, "msDS-User-Account-Control-Computed")?.unwrap_or(0);
        let expired = computed & PASSWORD_EXPIRED != 0 && !reset;
        let kerberos = if self.kerberos { time(entry, "krbPasswordExpiration")? } else { None };
        Ok((expired || kerberos.is_some_and(|end| end <= now)).then_some(Rejection::Expired))
    }

    /// Whether the account's time is over.
    fn is_over(self, entry: &Entry, now: Timestamp) -> Result<bool, Trouble> {
        let windows = match number(entry, "accountExpires")? {
            None | Some(0 | i64::MAX) => None,
            Some(ticks) => Some(Timestamp(ticks / 10_000_000 - WINDOWS_EPOCH)),
        };
        // Days since 1970, from whose first moment on Unix lets nobody in (shadow(5), pam_unix); negative: never.
        let unix = match number(entry, "shadowExpire")? {
            None | Some(i64::MIN..=-1) => None,
            Some(days) => Some(Timestamp(days.saturating_mul(24 * 3600))),
        };
        let kerberos = if self.kerberos { time(entry, "krbPrincipalExpiration")? } else { None };
        let ends = [windows, unix, time(entry, "pwdEndTime")?, kerberos];
        Ok(ends.into_iter().flatten().any(|end| end <= now))
    }
}

/// What could be read, as `attribute: value`.
pub(super) fn readable(entry: &Entry) -> Result<Vec<String>, Trouble> {
    let mut lines = Vec::new();
    for attribute in ATTRIBUTES {
        if let Some(value) = entry.text(attribute)? {
            lines.push(format!("{attribute}: {value}"));
        }
    }
    Ok(lines)
}

/// Whether wrong passwords have locked the account: the directory says so at the bind, and for a while.
pub(super) fn is_locked_by_passwords(entry: &Entry) -> Result<bool, Trouble> {
    let computed = number(entry, "msDS-User-Account-Control-Computed")?.unwrap_or(0);
    let since = entry.text("pwdAccountLockedTime")?.is_some_and(|since| since != LOCKED_FOR_GOOD);
    Ok(since || computed & LOCKED_OUT != 0)
}

fn is_true(entry: &Entry, attribute: &str) -> Result<bool, Trouble> {
    Ok(entry.text(attribute)?.is_some_and(|value| value.eq_ignore_ascii_case("true")))
}

fn time(entry: &Entry, attribute: &str) -> Result<Option<Timestamp>, Trouble> {
    entry.text(attribute)?.map(|text| generalized_time(attribute, text)).transpose()
}

fn number(entry: &Entry, attribute: &str) -> Result<Option<i64>, Trouble> {
    let parse = |text: &str| text.parse().map_err(|_| Trouble::new("entry", format!("`{attribute}` is not a number")));
    entry.text(attribute)?.map(parse).transpose()
}

/// `YYYYMMDDHH[MM[SS[.f]]]` with `Z` or an offset (RFC 4517 §3.3.13): administrators write some of them by hand.
fn generalized_time(attribute: &str, text: &str) -> Result<Timestamp, Trouble> {
    let wrong = || Trouble::new("entry", format!("`{attribute}` is not a time"));
    let (local, offset) = match text.strip_suffix('Z') {
        Some(local) => (local, 0),
        None => text.rfind(['+', '-']).and_then(|at| Some((text.get(..at)?, offset(text.get(at..)?)?))).ok_or_else(wrong)?,
    };
    let (digits, fraction) = local.split_once(['.', ',']).unwrap_or((local, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A part of an hour or a minute would be more than is left away.
    let whole = matches!(digits.len(), 10 | 12) && digits == local || digits.len() == 14;
    if !whole || !is_number(digits) || !is_number(fraction) {
        return Err(wrong());
    }
    let time = DateTime::strptime("%Y%m%d%H%M%S", format!("{digits:0<14}")).map_err(|_| wrong())?;
    // Not by way of a time zone, where the last days of the year 9999 are no time: they stand for "never".
    Ok(Timestamp(time.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_secs() - offset))
}

/// The seconds of `+HH[MM]`.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = (if text.starts_with('-') { -1 } else { 1 }, text.get(1..)?);
    let number = |from, to| digits.get(from..to)?.parse::<i64>().ok();
    let minutes = if digits.len() == 4 { number(2, 4)? } else { 0 };
    let hours = number(0, 2).filter(|hours| *hours < 24 && minutes < 60)?;
    let plain = matches!(digits.len(), 2 | 4) && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attributes: &[(&str, &str)], expected: &str) {
        check_by(AccountRules::default(), attributes, expected);
    }

    fn check_by(rules: AccountRules, attributes: &[(&str, &str)], expected: &str) {
        let shown = match rules.refusal(&Entry::of("uid=a", attributes), Timestamp(1_700_000_000)) {
            Ok(None) => "usable",
            Ok(Some(rejection)) => rejection.as_str(),
            Err(_) => "unavailable",
        };
        assert_eq!(shown, expected, "{rules:?} {attributes:?}");
    }

    #[test]
    fn every_attribute_that_bars_an_account_bars_it() {
        check(&[], "usable");
        check(&[("userAccountControl", "512")], "usable");
        check(&[("useraccountcontrol", "514")], "disabled");
        check(&[("nsAccountLock", "TRUE")], "disabled");
        check(&[("nsAccountLock", "false")], "usable");
        check(&[("accountExpires", "0")], "usable");
        check(&[("accountExpires", "9223372036854775807")], "usable");
        // 2023-11-14T22:13:20Z and a second later.
        check(&[("accountExpires", "133444736000000000")], "expired");
        check(&[("accountExpires", "133444736010000000")], "usable");
        check(&[("pwdEndTime", "20231114221320Z")], "expired");
        check(&[("pwdEndTime", "20231114221321.5Z")], "usable");
        check(&[("pwdAccountLockedTime", "000001010000Z")], "locked");
        check(&[("pwdStartTime", "20231114221321Z")], "disabled");
        check(&[("pwdStartTime", "20231114221320Z")], "usable");
        // 2023-11-14 is day 19675.
        check(&[("shadowExpire", "19675")], "expired");
        check(&[("shadowExpire", "19676")], "usable");
        check(&[("shadowExpire", "0")], "expired");
        check(&[("shadowExpire", "-1")], "usable");
        check(&[("pwdReset", "TRUE")], "must_change");
        check(&[("pwdLastSet", "0")], "must_change");
        check(&[("pwdLastSet", "0"), ("userAccountControl", "512")], "must_change");
        check(&[("pwdLastSet", "0"), ("userAccountControl", "66048")], "usable");
        check(&[("msDS-User-Account-Control-Computed", "8388608")], "expired");
    }

    #[test]
    fn a_time_is_read_in_every_form_that_directories_take() {
        // 2023-11-14T22:13:20Z is over, a moment later is not.
        for over in ["20231114221320Z", "20231114221320.9Z", "20231114221320,9Z", "202311142213Z", "2023111422Z", "20231114231320+0100"] {
            check(&[("pwdEndTime", over)], "expired");
        }
        for to_come in ["20231114221321Z", "202311142214Z", "2023111423Z", "20231114211321-01", "99991231235959Z", "20231114221321.0Z"] {
            check(&[("pwdEndTime", to_come)], "usable");
        }
        for wrong in [
            "",
            "Z",
            "20231114",
            "20231114221320",
            "20231114221320z",
            "2023111422.5Z",
            "20231114221320.Z",
            "20231114221320.+Z",
            "20231114221320+1",
            "20231114221320+2400",
            "20231114221320+01:00",
            "2023 114221320Z",
            "+023111422132Z",
            "20231114221320.5.5Z",
            "20231314221320Z",
        ] {
            check(&[("pwdEndTime", wrong)], "unavailable");
        }
    }

    #[test]
    fn a_kerberos_password_counts_where_it_is_the_directorys() {
        let ipa = AccountRules::new(&AccountSettings::default(), Preset::Freeipa);
        for attribute in ["krbPasswordExpiration", "krbPrincipalExpiration"] {
            check(&[(attribute, "20231114221320Z")], "usable");
            check_by(ipa, &[(attribute, "20231114221320Z")], "expired");
            check_by(ipa, &[(attribute, "20231114221321Z")], "usable");
            check_by(ipa, &[(attribute, "never")], "unavailable");
        }
    }

    #[test]
    fn a_password_to_be_changed_is_let_in_by_the_configuration_alone() {
        let lenient = AccountRules { must_change: true, grace: false, kerberos: false };
        check_by(lenient, &[("pwdReset", "TRUE")], "usable");
        check_by(lenient, &[("pwdLastSet", "0"), ("msDS-User-Account-Control-Computed", "8388608")], "usable");
        check_by(lenient, &[("pwdLastSet", "5"), ("msDS-User-Account-Control-Computed", "8388608")], "expired");
        check_by(lenient, &[("pwdReset", "TRUE"), ("nsAccountLock", "TRUE")], "disabled");
        assert!(lenient.allow(Rejection::MustChange) && !lenient.allow(Rejection::Grace) && !lenient.allow(Rejection::Expired));
    }

    #[test]
    fn a_lock_that_anybody_can_cause_ends_nothing() {
        check(&[("pwdAccountLockedTime", "20231114221000Z")], "usable");
        check(&[("msDS-User-Account-Control-Computed", "16"), ("lockoutTime", "133444736000000000")], "usable");
        check(&[("accountUnlockTime", "20991231000000Z")], "usable");
        let locked = |name: &str, value: &str| is_locked_by_passwords(&Entry::of("uid=a", &[(name, value)])).unwrap();
        assert!(locked("pwdAccountLockedTime", "20231114221000Z") && locked("msDS-User-Account-Control-Computed", "16"));
        assert!(!locked("pwdAccountLockedTime", LOCKED_FOR_GOOD) && !locked("msDS-User-Account-Control-Computed", "0"));
    }

    #[test]
    fn what_cannot_be_read_is_an_outage() {
        check(&[("userAccountControl", "many")], "unavailable");
        check(&[("pwdEndTime", "soon")], "unavailable");
        check(&[("pwdEndTime", "20231314221320Z")], "unavailable");
    }
}
