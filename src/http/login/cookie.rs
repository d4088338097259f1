//! The two cookies. Their prefix keeps every other host, path and unencrypted connection from setting them (RFC 6265bis §4.1.3).

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};

/// 256 bits in base64url.
const LENGTH: usize = 43;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// On the way to an issuer and back.
    Login,
    /// Somebody signed in.
    SignIn,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Login => "__Host-narrows-login",
            Self::SignIn => "__Host-narrows-sign-in",
        }
    }
}

/// What a request holds of a cookie.
#[derive(Debug)]
pub(super) enum Reading {
    /// None, several, or something that was not made here.
    Nothing,
    /// What may be one.
    Found(SecretString),
}

impl Reading {
    pub(super) fn found(self) -> Option<SecretString> {
        match self {
            Self::Nothing => None,
            Self::Found(value) => Some(value),
        }
    }
}

/// Reads a cookie. Of two of one name nobody can tell which is ours.
pub(super) fn read(headers: &HeaderMap, kind: Kind) -> Reading {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(name, _)| *name == kind.name()).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) if value.len() == LENGTH && value.bytes().all(is_base64url) => Reading::Found(SecretString::from(value)),
        (_, _) => Reading::Nothing,
    }
}

/// Adds a cookie to an answer. `Lax`, because the browser comes back from another site: a `Strict` cookie would not be sent
/// along until the person clicks something.
pub(super) fn set(response: Response, kind: Kind, value: &SecretString, seconds: i64) -> Response {
    append(response, kind, value.expose_secret(), seconds)
}

/// Lets the browser forget one.
pub(super) fn drop(response: Response, kind: Kind) -> Response {
    append(response, kind, "", 0)
}

fn append(mut response: Response, kind: Kind, value: &str, seconds: i64) -> Response {
    let text = format!("{}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax", kind.name());
    // Letters, digits and signs of ASCII alone.
    if let Ok(mut value) = HeaderValue::try_from(text) {
        value.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, line.parse().unwrap());
        }
        let found = read(&headers, Kind::SignIn).found();
        assert_eq!(found.as_ref().map(ExposeSecret::expose_secret), expected, "{lines:?}");
    }

    #[test]
    fn a_cookie_is_read_where_it_stands_once_and_looks_like_ours() {
        let good = "a".repeat(42) + "_";
        let ours = format!("__Host-narrows-sign-in={good}");
        check(&[], None);
        check(&[&ours], Some(&good));
        check(&[&format!("a=b; {ours};c=d")], Some(&good));
        check(&["a=b", &ours], Some(&good));
        check(&[&format!("{ours}; {ours}")], None);
        check(&[&ours, &ours], None);
        for other in ["", "x", &"a".repeat(42), &"a".repeat(44), &("a".repeat(42) + "="), &("a".repeat(42) + "\"")] {
            check(&[&format!("__Host-narrows-sign-in={other}")], None);
        }
        check(&[&format!("__host-narrows-sign-in={good}")], None);
        check(&[&format!("narrows-sign-in={good}")], None);
        check(&[&format!("__Host-narrows-login={good}")], None);
        check(&["\u{e4}", "garbage", ";;=;"], None);
    }
}
