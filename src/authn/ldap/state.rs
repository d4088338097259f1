//! Whether an account may be used, as far as its attributes say. Asked only after the password was proven, or for a
//! re-check, where there is none.

use jiff::civil::DateTime;

use super::super::verdict::Rejection;
use super::entry::Entry;
use super::trouble::Trouble;
use crate::clock::Timestamp;

/// The attributes that are read. A directory leaves out those that it does not know or the service account may not read.
pub(super) const ATTRIBUTES: [&str; 8] = [
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "pwdLastSet",
    "pwdAccountLockedTime",
    "pwdReset",
    "pwdEndTime",
    "nsAccountLock",
];

/// Seconds between 1601-01-01 and 1970-01-01.
const WINDOWS_EPOCH: i64 = 11_644_473_600;
/// The value of `pwdAccountLockedTime` that only an administrator undoes.
const LOCKED_FOR_GOOD: &str = "000001010000Z";

/// Why the account may not be used; `None` where nothing speaks against it.
///
/// A lock that wrong passwords caused and that ends by itself is not looked at: the directory enforces it at the bind,
/// and on a re-check it would let anybody who can type a name end somebody else's logins.
pub(super) fn refusal(entry: &Entry, now: Timestamp) -> Result<Option<Rejection>, Trouble> {
    let control = number(entry, "userAccountControl")?.unwrap_or(0);
    let computed = number(entry, "msDS-User-Account-Control-Computed")?.unwrap_or(0);
    let locked_by_directory = entry.text("nsAccountLock")?.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if control & 0x2 != 0 || locked_by_directory {
        return Ok(Some(Rejection::Disabled));
    }
    if entry.text("pwdAccountLockedTime")? == Some(LOCKED_FOR_GOOD) {
        return Ok(Some(Rejection::Locked));
    }
    let account_over = match number(entry, "accountExpires")? {
        None | Some(0 | i64::MAX) => false,
        Some(ticks) => Timestamp(ticks / 10_000_000 - WINDOWS_EPOCH) <= now,
    };
    let end = entry.text("pwdEndTime")?.map(|text| generalized_time("pwdEndTime", text)).transpose()?;
    if account_over || end.is_some_and(|end| end <= now) {
        return Ok(Some(Rejection::Expired));
    }
    let reset = entry.text("pwdReset")?.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if reset || number(entry, "pwdLastSet")? == Some(0) {
        return Ok(Some(Rejection::MustChange));
    }
    if computed & 0x0080_0000 != 0 {
        return Ok(Some(Rejection::Expired));
    }
    Ok(None)
}

fn number(entry: &Entry, attribute: &str) -> Result<Option<i64>, Trouble> {
    let parse = |text: &str| text.parse().map_err(|_| Trouble::new("entry", format!("`{attribute}` is not a number")));
    entry.text(attribute)?.map(parse).transpose()
}

/// `YYYYMMDDHHMMSS[.f]Z` (RFC 4517 §3.3.13), the form that directories write.
fn generalized_time(attribute: &str, text: &str) -> Result<Timestamp, Trouble> {
    let wrong = || Trouble::new("entry", format!("`{attribute}` is not a time"));
    let digits = text.strip_suffix('Z').ok_or_else(wrong)?;
    let digits = digits.split_once('.').map_or(digits, |(whole, _)| whole);
    let time = DateTime::strptime("%Y%m%d%H%M%S", digits).map_err(|_| wrong())?;
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?;
    Ok(Timestamp(zoned.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attributes: &[(&str, &str)], expected: &str) {
        let shown = match refusal(&Entry::of("uid=a", attributes), Timestamp(1_700_000_000)) {
            Ok(None) => "usable",
            Ok(Some(rejection)) => rejection.as_str(),
            Err(_) => "unavailable",
        };
        assert_eq!(shown, expected, "{attributes:?}");
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
        check(&[("pwdReset", "TRUE")], "must_change");
        check(&[("pwdLastSet", "0")], "must_change");
        check(&[("msDS-User-Account-Control-Computed", "8388608")], "expired");
    }

    #[test]
    fn a_lock_that_anybody_can_cause_ends_nothing() {
        check(&[("pwdAccountLockedTime", "20231114221000Z")], "usable");
        check(&[("msDS-User-Account-Control-Computed", "16")], "usable");
    }

    #[test]
    fn what_cannot_be_read_is_an_outage() {
        check(&[("userAccountControl", "many")], "unavailable");
        check(&[("pwdEndTime", "soon")], "unavailable");
        check(&[("pwdEndTime", "20231314221320Z")], "unavailable");
    }
}
