//! Makes tokens: compact JWS (RFC 7515 §7.1) with one key, parsed once, and one header, encoded once.

use std::fmt;
use std::sync::Arc;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde::Serialize;

use super::certificate::Certificate;
use super::claims::Claims;
use super::private_key::PrivateKey;
use super::settings::RegistryKind;
use crate::clock::Timestamp;

/// Signs the tokens of one service with the key of this day.
pub struct Signer {
    key: Arc<PrivateKey>,
    kid: String,
    /// The header in base64url, with the dot behind it.
    header: String,
    /// When the certificate that tokens carry ends; `None` where the registry looks at no certificate.
    valid_until: Option<Timestamp>,
}

/// Why no token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The certificate in the header has ended, so every registry would refuse the token.
    #[error("the certificate of the signing key has ended")]
    Expired,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// The library refused.
    #[error("the signature failed")]
    Signature,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    kid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    x5c: Option<[String; 1]>,
}

impl Signer {
    /// The certificate goes into the header where the kind reads it there.
    pub(super) fn new(registry: RegistryKind, key: Arc<PrivateKey>, certificate: &Certificate) -> Result<Self, SignError> {
        let kid = registry.kid(key.public());
        let carried = registry.reads_x5c();
        let header = Header {
            alg: key.public().algorithm().as_str(),
            typ: "JWT",
            kid: &kid,
            // RFC 7515 §4.1.6: here the alphabet is the standard one, with padding.
            x5c: carried.then(|| [BASE64.encode(&certificate.der)]),
        };
        let json = serde_json::to_vec(&header).map_err(|_| SignError::Signature)?;
        let header = BASE64URL_NOPAD.encode(&json) + ".";
        Ok(Self { key, kid, header, valid_until: carried.then_some(certificate.not_after) })
    }

    /// A token that says this.
    pub fn sign(&self, claims: &Claims) -> Result<String, SignError> {
        if self.valid_until.is_some_and(|end| claims.issued >= end) {
            return Err(SignError::Expired);
        }
        let payload = serde_json::to_vec(&claims.payload()).map_err(|_| SignError::Signature)?;
        let mut token = String::with_capacity(self.header.len() + payload.len() * 4 / 3 + 520);
        token.push_str(&self.header);
        BASE64URL_NOPAD.encode_append(&payload, &mut token);
        let signature = self.key.sign(token.as_bytes()).ok_or(SignError::Signature)?;
        token.push('.');
        BASE64URL_NOPAD.encode_append(&signature, &mut token);
        Ok(token)
    }

    /// How tokens name the key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The `alg` of its tokens.
    pub fn algorithm(&self) -> &'static str {
        self.key.public().algorithm().as_str()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}
