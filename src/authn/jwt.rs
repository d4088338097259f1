//! Signed tokens that somebody else issued (RFC 7519, RFC 7515): whose signature it is, and whether what it says holds here.
//! Follows the advice of RFC 8725. Knows keys and expectations, and nothing of where they come from.

mod claims;
#[cfg(test)]
pub(in crate::authn) mod forge;
mod json;
mod keys;

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

use crate::clock::Timestamp;

pub use claims::{Expected, Hashed};
pub use keys::{KeyError, KeySet};

/// What a token says, every claim of it.
pub type Claims = Map<String, Value>;

/// A token is refused with this word, for logs and the audit.
pub type Refused = &'static str;

/// Nobody needs more, and base64 and JSON of more take time.
const MAX_TOKEN: usize = 64 * 1024;
/// The name of a key.
const MAX_KEY_ID: usize = 256;

/// A signature that can be checked with a public key (RFC 7518 §3.1, RFC 8037 §3.1). Those with a shared secret are left out
/// on purpose: whoever can check them can make them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// The same with SHA-384.
    Ps384,
    /// The same with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Ps384, Self::Ps512, Self::Es256, Self::Es384, Self::EdDsa];

    /// The word of `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    const fn library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Rs384 => jsonwebtoken::Algorithm::RS384,
            Self::Rs512 => jsonwebtoken::Algorithm::RS512,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Ps384 => jsonwebtoken::Algorithm::PS384,
            Self::Ps512 => jsonwebtoken::Algorithm::PS512,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not the name of a signature that is known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no signature with a public key")]
pub struct AlgorithmError(String);

impl FromStr for Algorithm {
    type Err = AlgorithmError;
    fn from_str(text: &str) -> Result<Self, AlgorithmError> {
        Self::ALL.into_iter().find(|known| known.as_str() == text).ok_or_else(|| AlgorithmError(text.to_owned()))
    }
}

/// A compact JWS (RFC 7515 §7.1) whose header may be believed as far as it says which key to try. Nothing else of it is known
/// before [`KeySet::check`] says that the signature is right.
pub struct Signed<'t> {
    algorithm: Algorithm,
    key_id: Option<String>,
    /// Header and payload, as they were signed.
    input: &'t str,
    payload: &'t str,
    signature: &'t str,
}

impl<'t> Signed<'t> {
    /// Reads the header.
    pub fn parse(token: &'t str, algorithms: &[Algorithm]) -> Result<Self, Refused> {
        if token.len() > MAX_TOKEN {
            return Err("too_large");
        }
        // Three parts: five are an encrypted token, which nobody here can read.
        let (input, signature) = token.rsplit_once('.').ok_or("not_a_jwt")?;
        let (header, payload) = input.split_once('.').ok_or("not_a_jwt")?;
        if payload.contains('.') || header.is_empty() || payload.is_empty() {
            return Err("not_a_jwt");
        }
        let header = object(header).ok_or("header")?;
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(|name| name.parse().ok()).ok_or("algorithm")?;
        if !algorithms.contains(&algorithm) {
            return Err("algorithm");
        }
        // What must be understood (RFC 7515 §4.1.11) is nothing that is understood here.
        if header.contains_key("crit") {
            return Err("crit");
        }
        // Access tokens, logout tokens and the like say so (RFC 8725 §3.11).
        let plain = |name: &Value| name.as_str().is_some_and(|name| ["jwt", "jose"].contains(&name.to_ascii_lowercase().as_str()));
        if header.get("typ").is_some_and(|name| !plain(name)) || header.contains_key("cty") {
            return Err("type");
        }
        // `jku`, `x5u`, `jwk` and `x5c` would let the token choose its own judge: they are not looked at.
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= MAX_KEY_ID => Some(id.clone()),
            Some(_) => return Err("key_id"),
        };
        Ok(Self { algorithm, key_id, input, payload, signature })
    }

    /// `alg`.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `kid`: which of the issuer's keys made it.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
}

/// A token whose signature is right. What it says may still not hold here or now.
#[derive(Clone, Copy)]
pub struct Verified<'t> {
    algorithm: Algorithm,
    payload: &'t str,
}

impl Verified<'_> {
    /// What it says, if that holds.
    pub fn claims(&self, expected: &Expected<'_>, now: Timestamp) -> Result<Claims, Refused> {
        let claims = object(self.payload).ok_or("payload")?;
        expected.check(&claims, self.algorithm, now)?;
        Ok(claims)
    }
}

impl fmt::Debug for Verified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl fmt::Debug for Signed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").field("algorithm", &self.algorithm).field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// The JSON object in a part of a token.
fn object(part: &str) -> Option<Claims> {
    json::object(&BASE64URL_NOPAD.decode(part.as_bytes()).ok()?)
}

#[cfg(test)]
mod tests;
