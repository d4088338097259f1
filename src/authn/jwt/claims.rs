//! What a token has to say (`OpenID Connect` Core §3.1.3.7, RFC 7519 §4.1).

use std::time::Duration;

use aws_lc_rs::digest;
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::{Algorithm, Claims, Refused};
use crate::clock::Timestamp;

/// Tokens live for minutes or hours. One that is older was kept for something.
const MAX_AGE: i64 = 24 * 60 * 60;
/// `OpenID Connect` Core §2.
const MAX_SUBJECT: usize = 255;

/// What a token is measured by.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `iss`, to the letter.
    pub issuer: &'a str,
    /// The first one must be in `aud`; no other may be there that is not listed here.
    pub audiences: &'a [String],
    /// Who may be the authorized party (`azp`).
    pub parties: &'a [String],
    /// How far the clocks may differ.
    pub leeway: Duration,
    /// What was sent along with the request that this token answers.
    pub nonce: Option<&'a str>,
    /// What came together with the token, and is bound to it by a hash.
    pub hashed: Hashed<'a>,
}

/// What a token may hold a hash of (`OpenID Connect` Core §3.1.3.6, §3.3.2.11).
#[derive(Clone, Copy, Default)]
pub struct Hashed<'a> {
    /// The access token, for `at_hash`.
    pub access_token: Option<&'a str>,
    /// The authorization code, for `c_hash`.
    pub code: Option<&'a str>,
}

impl std::fmt::Debug for Hashed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashed").finish_non_exhaustive()
    }
}

impl Expected<'_> {
    pub(super) fn check(&self, claims: &Claims, algorithm: Algorithm, now: Timestamp) -> Result<(), Refused> {
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer) {
            return Err("issuer");
        }
        self.check_audience(claims)?;
        self.check_times(claims, now)?;
        let subject = claims.get("sub").and_then(Value::as_str).ok_or("subject")?;
        if subject.is_empty() || subject.len() > MAX_SUBJECT || subject.chars().any(char::is_control) {
            return Err("subject");
        }
        // A logout token (`OpenID Connect` Back-Channel Logout §2.4) proves no sign-in.
        if claims.contains_key("events") {
            return Err("events");
        }
        if let Some(expected) = self.nonce {
            let nonce = claims.get("nonce").and_then(Value::as_str).ok_or("nonce")?;
            if !bool::from(nonce.as_bytes().ct_eq(expected.as_bytes())) {
                return Err("nonce");
            }
        }
        check_hash(claims.get("at_hash"), self.hashed.access_token, algorithm, "at_hash")?;
        check_hash(claims.get("c_hash"), self.hashed.code, algorithm, "c_hash")
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), Refused> {
        let audiences: Vec<&str> = match claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().map(Value::as_str).collect::<Option<_>>().ok_or("audience")?,
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => return Err("audience"),
        };
        let ours = self.audiences.first().ok_or("audience")?;
        if !audiences.contains(&ours.as_str()) || !audiences.iter().all(|one| self.audiences.iter().any(|known| known == one)) {
            return Err("audience");
        }
        match claims.get("azp") {
            // Without it nobody could say which of them it was made for.
            None if audiences.len() > 1 => Err("authorized_party"),
            None => Ok(()),
            Some(party) if self.parties.iter().any(|known| party == known) => Ok(()),
            Some(_) => Err("authorized_party"),
        }
    }

    fn check_times(&self, claims: &Claims, now: Timestamp) -> Result<(), Refused> {
        let leeway = i64::try_from(self.leeway.as_secs()).unwrap_or(i64::MAX);
        let issued = time(claims, "iat", "issued_at")?.ok_or("issued_at")?;
        let ends = time(claims, "exp", "expires")?.ok_or("expires")?;
        if issued > now.plus(leeway) {
            return Err("issued_in_the_future");
        }
        if issued < now.plus(-MAX_AGE).plus(-leeway) {
            return Err("too_old");
        }
        if ends.plus(leeway) <= now {
            return Err("expired");
        }
        match time(claims, "nbf", "not_before")? {
            Some(begins) if begins > now.plus(leeway) => Err("not_yet_valid"),
            Some(_) | None => Ok(()),
        }
    }
}

/// A `NumericDate` (RFC 7519 §2), which may have a fraction.
fn time(claims: &Claims, name: &str, word: Refused) -> Result<Option<Timestamp>, Refused> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    if let Some(whole) = value.as_i64() {
        return Ok(Some(Timestamp(whole)));
    }
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite()).ok_or(word)?;
    #[expect(clippy::cast_possible_truncation, reason = "a fraction of a second is no matter, and what is out of range ends at its edge")]
    Ok(Some(Timestamp(seconds as i64)))
}

/// The left half of the hash that belongs to the signature, where there is one.
fn check_hash(claim: Option<&Value>, hashed: Option<&str>, algorithm: Algorithm, word: Refused) -> Result<(), Refused> {
    let (Some(claim), Some(hashed)) = (claim, hashed) else { return Ok(()) };
    let function = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => &digest::SHA256,
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => &digest::SHA384,
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::EdDsa => &digest::SHA512,
    };
    let whole = digest::digest(function, hashed.as_bytes());
    let half = whole.as_ref().get(..whole.as_ref().len() / 2).ok_or(word)?;
    if claim.as_str() == Some(BASE64URL_NOPAD.encode(half).as_str()) { Ok(()) } else { Err(word) }
}
