//! An identity token as text; what it means only narrows knows.

use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

const PREFIX: &str = "nrw_";
/// Much longer than any that narrows makes.
const LONGEST: usize = 512;

/// What docker keeps instead of a password. Never shown.
#[derive(Clone, Deserialize)]
#[serde(try_from = "SecretString")]
pub(crate) struct Token(SecretString);

impl Token {
    /// The text, for those who must have it: docker, narrows at a revocation, and what keeps it.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl PartialEq for Token {
    /// Both are the user's own: there is nobody to learn from the time it takes.
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

/// Not an identity token of narrows; the text is not repeated, as it may be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not an identity token of narrows")]
pub(crate) struct TokenError;

impl TryFrom<SecretString> for Token {
    type Error = TokenError;

    fn try_from(text: SecretString) -> Result<Self, TokenError> {
        let exposed = text.expose_secret();
        let of_a_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let rest = exposed.strip_prefix(PREFIX).ok_or(TokenError)?;
        if rest.is_empty() || exposed.len() > LONGEST || !rest.bytes().all(of_a_token) { Err(TokenError) } else { Ok(Self(text)) }
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        Self::try_from(SecretString::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_of_a_token_passes() {
        assert!("nrw_aZ-_9".parse::<Token>().is_ok());
        for bad in ["", "nrw_", "nrl_abc", "password", "nrw_a b", "nrw_a\n", "nrw_\u{e4}", &format!("nrw_{}", "a".repeat(600))] {
            assert!(bad.parse::<Token>().is_err(), "{bad:?}");
        }
        assert_eq!(format!("{:?}", "nrw_abc".parse::<Token>().unwrap()), "Token");
    }
}
