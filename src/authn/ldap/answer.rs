//! What the answer to a bind means. The same cause has another code in every directory, and result code 0 alone is not
//! "let in": a password policy control may say otherwise.

use super::super::verdict::Rejection;
use super::ber::{BerError, Elements, unsigned};
use super::trouble::{Trouble, printable};

/// The password policy control (draft-behera-ldap-password-policy), in requests and answers.
pub(super) const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// A bind that the directory decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The password is right and may be used.
    Proven {
        /// Seconds until it expires, where the directory warns of it.
        expires_in: Option<u32>,
    },
    /// It is not. More than `WrongPassword` is said only where the answer proves that the password was right.
    Refused {
        /// For the verdict.
        rejection: Rejection,
        /// Whether the directory itself let the bind through, so that the configuration may do so as well.
        accepted: bool,
        /// What the directory said, for operators.
        detail: String,
    },
}

/// Judges result code, text and password policy control of a bind.
pub(super) fn judge(code: u32, text: &str, policy: Option<&[u8]>) -> Result<Proof, Trouble> {
    let policy = match policy.map(Policy::read).transpose() {
        Ok(policy) => policy.unwrap_or_default(),
        // Unreadable on success: what it forbids is not known, so this is no success.
        Err(error) if code == 0 => return Err(Trouble::new("bind", format!("the password policy control cannot be read: {error}"))),
        Err(_) => Policy::default(),
    };
    let (rejection, accepted) = match code {
        0 => match (policy.error, policy.grace) {
            (None, false) => return Ok(Proof::Proven { expires_in: policy.expires_in }),
            (None, true) => (Rejection::Grace, true),
            (Some(PASSWORD_EXPIRED), _) => (Rejection::Expired, false),
            (Some(ACCOUNT_LOCKED), _) => (Rejection::Locked, false),
            // changeAfterReset, and the errors about the password's quality. With one of the last logins besides, it is refused.
            (Some(_), grace) => (Rejection::MustChange, !grace),
        },
        49 => match (active_directory_code(text), policy.error) {
            // Active Directory answers these to the right password alone. The policy's expiry is looked at after the
            // password was compared as well; its lock is not.
            (Some("532" | "701"), _) | (None, Some(PASSWORD_EXPIRED)) => (Rejection::Expired, false),
            (Some("533"), _) => (Rejection::Disabled, false),
            (Some("773"), _) => (Rejection::MustChange, false),
            (Some("775"), _) | (None, Some(ACCOUNT_LOCKED)) => (Rejection::LockedOut, false),
            // Not at this hour, not from this computer.
            (Some("530" | "531"), _) => (Rejection::Restricted, false),
            (_, _) => (Rejection::WrongPassword, false),
        },
        // 389 Directory Server refuses locked accounts with these, before it compares the password.
        19 | 53 if policy.error == Some(ACCOUNT_LOCKED) => (Rejection::LockedOut, false),
        19 | 53 if policy.error.is_some() => (Rejection::WrongPassword, false),
        // The entry is gone since it was found, or has no password.
        32 | 48 => (Rejection::WrongPassword, false),
        other => return Err(Trouble::code("bind", other, text)),
    };
    Ok(Proof::Refused { rejection, accepted, detail: detail(code, text, &policy) })
}

/// What was said, in words and as it was said.
fn detail(code: u32, text: &str, policy: &Policy) -> String {
    let mut detail = format!("result code {code}");
    if let Some(meaning) = active_directory_code(text).and_then(meaning_of_active_directory) {
        detail = format!("{detail}: {meaning}");
    }
    if let Some(error) = policy.error {
        detail = format!("{detail}, password policy error {error}: {}", meaning_of_policy(error));
    }
    if policy.grace {
        let left = policy.left.map_or_else(|| "some".to_owned(), |left| left.to_string());
        detail = format!("{detail}, the password has expired and {left} logins are left");
    }
    let text = printable(text);
    if text.is_empty() { detail } else { format!("{detail} ({text})") }
}

fn meaning_of_active_directory(code: &str) -> Option<&'static str> {
    match code {
        "525" => Some("there is no such user (525)"),
        "52e" => Some("wrong password (52e)"),
        "530" => Some("not at this hour (530)"),
        "531" => Some("not from this computer (531)"),
        "532" => Some("the password has expired (532)"),
        "533" => Some("the account is disabled (533)"),
        "701" => Some("the account has expired (701)"),
        "773" => Some("the password has to be changed first (773)"),
        "775" => Some("the account is locked (775)"),
        _ => None,
    }
}

/// draft-behera-ldap-password-policy-10 §6.2.
fn meaning_of_policy(error: u32) -> &'static str {
    match error {
        PASSWORD_EXPIRED => "the password has expired",
        ACCOUNT_LOCKED => "the account is locked",
        2 => "the password has to be changed first",
        3 => "the password may not be changed",
        4 => "the old password is wanted",
        5 => "the password is too simple",
        6 => "the password is too short",
        7 => "the password is too new",
        8 => "the password was used before",
        _ => "unknown",
    }
}

const PASSWORD_EXPIRED: u32 = 0;
const ACCOUNT_LOCKED: u32 = 1;

/// What the password policy control says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Policy {
    /// The error, by number.
    error: Option<u32>,
    /// Whether the password is expired and one of the last logins was used.
    grace: bool,
    /// How many of them are left.
    left: Option<u32>,
    /// Seconds until the password expires.
    expires_in: Option<u32>,
}

impl Policy {
    /// `SEQUENCE { warning [0] CHOICE { timeBeforeExpiration [0], graceAuthNsRemaining [1] } OPTIONAL, error [1] OPTIONAL }`
    fn read(value: &[u8]) -> Result<Self, BerError> {
        let mut policy = Self::default();
        let mut parts = Elements::of(Elements::of(value).expect(0x30)?);
        while !parts.is_empty() {
            let part = parts.element()?;
            match part.tag {
                0xa0 => {
                    // Only which of the two it is decides anything.
                    let warning = Elements::of(part.content).element()?;
                    let number = unsigned(warning.content).ok();
                    policy.grace = warning.tag == 0x81;
                    (policy.left, policy.expires_in) = if policy.grace { (number, None) } else { (None, number) };
                }
                0x81 => policy.error = Some(unsigned(part.content)?),
                _ => return Err(BerError::Malformed),
            }
        }
        Ok(policy)
    }
}

/// The code in `80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 52e, v1db1`.
fn active_directory_code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(", data ")?;
    let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
    rest.get(..end).filter(|code| !code.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(code: u32, text: &str, policy: Option<&[u8]>, expected: &str) {
        let shown = match judge(code, text, policy) {
            Ok(Proof::Proven { .. }) => "proven",
            Ok(Proof::Refused { rejection: Rejection::Grace, accepted: true, .. }) => "grace, let through",
            Ok(Proof::Refused { rejection: Rejection::MustChange, accepted: true, .. }) => "must_change, let through",
            Ok(Proof::Refused { accepted: true, .. }) => "what nobody may let through",
            Ok(Proof::Refused { rejection, accepted: false, .. }) => rejection.as_str(),
            Err(_) => "unavailable",
        };
        assert_eq!(shown, expected, "{code} {text} {policy:02x?}");
    }

    fn active_directory(code: &str) -> String {
        format!("80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {code}, v1db1\0")
    }

    #[test]
    fn success_counts_only_without_a_policy_error() {
        check(0, "", None, "proven");
        check(0, "", Some(b"\x30\x00"), "proven");
        // 775590 s until the password expires.
        check(0, "", Some(b"\x30\x07\xa0\x05\x80\x03\x0b\xd5\xa6"), "proven");
        check(0, "", Some(b"\x30\x03\x81\x01\x02"), "must_change, let through");
        check(0, "", Some(b"\x30\x03\x81\x01\x00"), "expired");
        check(0, "", Some(b"\x30\x03\x81\x01\x01"), "locked");
        check(0, "", Some(b"\x30\x03\x81\x01\x05"), "must_change, let through");
        // Three grace logins left.
        check(0, "", Some(b"\x30\x05\xa0\x03\x81\x01\x03"), "grace, let through");
        check(0, "", Some(b"\x30\x08\xa0\x03\x81\x01\x03\x81\x01\x02"), "must_change");
        check(0, "", Some(b"\x30\x08\xa0\x03\x81\x01\x03\x81\x01\x00"), "expired");
        for unreadable in [&b""[..], b"\x30", b"\x30\x03\x81\x01", b"\x30\x03\x82\x01\x02", b"\x31\x00", b"\x30\x02\xa0\x00"] {
            check(0, "", Some(unreadable), "unavailable");
        }
    }

    #[test]
    fn a_refusal_says_more_only_where_the_password_was_proven() {
        check(49, "", None, "wrong_password");
        check(49, "", Some(b"\x30\x00"), "wrong_password");
        check(49, "", Some(b"\x30\x03\x81\x01\x01"), "locked_out");
        check(49, "", Some(b"\x30\x03\x81\x01\x00"), "expired");
        check(49, "", Some(b"\xff"), "wrong_password");
        for (code, expected) in [
            ("52e", "wrong_password"),
            ("525", "wrong_password"),
            ("530", "restricted"),
            ("531", "restricted"),
            ("532", "expired"),
            ("533", "disabled"),
            ("701", "expired"),
            ("773", "must_change"),
            ("775", "locked_out"),
        ] {
            check(49, &active_directory(code), None, expected);
        }
        check(19, "Exceed password retry limit. Please try later.", Some(b"\x30\x03\x81\x01\x01"), "locked_out");
        check(53, "Account inactivated. Contact system administrator.", Some(b"\x30\x03\x81\x01\x01"), "locked_out");
        check(32, "", None, "wrong_password");
    }

    #[test]
    fn what_was_said_is_said_in_words() {
        let said = |code, text: &str, policy: Option<&[u8]>| match judge(code, text, policy) {
            Ok(Proof::Refused { detail, .. }) => detail,
            other => panic!("{other:?}"),
        };
        let locked = said(49, &active_directory("775"), None);
        assert!(locked.starts_with("result code 49: the account is locked (775) (80090308"), "{locked}");
        assert_eq!(said(49, "", Some(b"\x30\x03\x81\x01\x01")), "result code 49, password policy error 1: the account is locked");
        let grace = "result code 0, the password has expired and 3 logins are left";
        assert_eq!(said(0, "", Some(b"\x30\x05\xa0\x03\x81\x01\x03")), grace);
        assert_eq!(said(49, "no", None), "result code 49 (no)");
        let warned = judge(0, "", Some(b"\x30\x07\xa0\x05\x80\x03\x0b\xd5\xa6"));
        assert_eq!(warned, Ok(Proof::Proven { expires_in: Some(775_590) }));
    }

    #[test]
    fn an_infrastructure_code_is_never_a_rejection() {
        for code in [1, 2, 3, 4, 7, 8, 10, 11, 12, 13, 14, 19, 34, 50, 51, 52, 53, 54, 80, 4096] {
            check(code, "", None, "unavailable");
        }
    }

    proptest! {
        #[test]
        fn no_control_panics_and_none_but_clean_ones_prove(value in proptest::collection::vec(any::<u8>(), 0..16), code in 0_u32..100) {
            if let Ok(Proof::Proven { .. }) = judge(code, "", Some(&value)) {
                prop_assert_eq!(code, 0);
                prop_assert_eq!(Policy::read(&value).map(|policy| policy.error), Ok(None));
            }
        }
    }
}
