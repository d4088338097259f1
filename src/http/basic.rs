//! `Authorization: Basic` (RFC 7617): a name and a secret, or nothing.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use data_encoding::{BASE64, BASE64_NOPAD};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::authn::credentials::Credentials;

/// What a request's headers present.
pub(super) enum Presented {
    /// No header, or one with neither name nor secret (`Basic Og==`), which some clients send for nobody.
    Nothing,
    /// A name and a secret.
    Pair {
        /// Up to the first colon.
        username: String,
        /// Everything behind it.
        secret: SecretString,
    },
    /// Something that is no Basic credentials. The text says why, for the audit.
    Malformed(&'static str),
}

impl Presented {
    /// Reads the header. Several are malformed: a proxy and the service could each believe another one.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Self::Nothing };
        if values.next().is_some() {
            return Self::Malformed("doubled authorization");
        }
        parse(value.as_bytes()).unwrap_or_else(Self::Malformed)
    }

    /// As credentials. What is malformed is asked of nobody, but takes the same path as a wrong password, so that answer
    /// and time are the same.
    pub(super) fn credentials(self) -> Credentials {
        match self {
            Self::Nothing => Credentials::Anonymous,
            Self::Pair { username, secret } => Credentials::classify(&username, secret),
            Self::Malformed(reason) => Credentials::Unusable(reason),
        }
    }
}

fn parse(value: &[u8]) -> Result<Presented, &'static str> {
    let text = std::str::from_utf8(value).map_err(|_| "authorization is not text")?;
    let (scheme, encoded) = text.trim_matches(' ').split_once(' ').ok_or("authorization without credentials")?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err("authorization is not Basic");
    }
    let encoded = encoded.trim_start_matches(' ').as_bytes();
    // Padding is required by RFC 7617, but left out by some shells' `base64`; anything else is refused.
    let encoding = if encoded.ends_with(b"=") { BASE64 } else { BASE64_NOPAD };
    let decoded = Zeroizing::new(encoding.decode(encoded).map_err(|_| "authorization is not base64")?);
    let decoded = std::str::from_utf8(&decoded).map_err(|_| "authorization is not UTF-8")?;
    match decoded.split_once(':').ok_or("authorization without a colon")? {
        ("", "") => Ok(Presented::Nothing),
        (username, secret) => Ok(Presented::Pair { username: username.to_owned(), secret: SecretString::from(secret) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn check(values: &[&str], expected: &str) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        let shown = match Presented::read(&headers) {
            Presented::Nothing => "nothing".to_owned(),
            Presented::Pair { username, secret } => format!("{username} / {}", secret.expose_secret()),
            Presented::Malformed(reason) => reason.to_owned(),
        };
        assert_eq!(shown, expected, "{values:?}");
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", BASE64.encode(pair.as_bytes()))
    }

    #[test]
    fn basic_credentials_are_read_strictly() {
        check(&[], "nothing");
        check(&["Basic Og=="], "nothing");
        check(&["Basic Og"], "nothing");
        check(&["Basic YWxpY2U6Z29vZA=="], "alice / good");
        check(&["bAsIc YWxpY2U6Z29vZA"], "alice / good");
        check(&["  Basic   YWxpY2U6Z29vZA==  "], "alice / good");
        check(&[&basic("alice:a:b%+&\u{e4}")], "alice / a:b%+&\u{e4}");
        check(&[&basic(":nrw_x")], " / nrw_x");
        check(&[&basic("CORP\\alice:x")], "CORP\\alice / x");
        check(&["Basic YWxpY2U6Z29vZA==", "Basic YWxpY2U6Z29vZA=="], "doubled authorization");
        check(&[""], "authorization without credentials");
        check(&["Basic"], "authorization without credentials");
        check(&["Basic !!!"], "authorization is not base64");
        check(&["Basic YWxpY2U6Z29vZA="], "authorization is not base64");
        check(&["Basic YWxpY2U6Z29vZA==="], "authorization is not base64");
        check(&["Basic YWxpY2U6Z29v ZA=="], "authorization is not base64");
        check(&["Basic YWxpY2U"], "authorization without a colon");
        check(&["Basic /zr/"], "authorization is not UTF-8");
        check(&["Bearer x"], "authorization is not Basic");
        check(&["Negotiate YII="], "authorization is not Basic");
        check(&["Basic\tYWxpY2U6Z29vZA=="], "authorization without credentials");
    }
}
