//! An issuer's public keys (RFC 7517), read once.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::{Algorithm, MAX_KEY_ID, Refused, Signed, Verified, json};

/// No issuer has more at a time.
const MAX_KEYS: usize = 100;
/// A token without a key's name is tried with so many at most.
const MAX_TRIED: usize = 10;

/// The public keys of one issuer.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: usize,
}

/// Why a signature is not one of these keys'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// There is no key of that name for that algorithm. The issuer may have a newer one.
    Unknown,
    /// The key that should have made it did not.
    Signature,
}

impl KeyError {
    /// The word of logs and the audit.
    pub const fn as_str(self) -> Refused {
        match self {
            Self::Unknown => "unknown_key",
            Self::Signature => "signature",
        }
    }
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    family: Family,
    /// Where the issuer says so, the only algorithm that it is for.
    only: Option<Algorithm>,
    public: DecodingKey,
}

/// The kinds of keys that can make a signature here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Family {
    const fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => Self::Rsa,
            Algorithm::Es256 => Self::P256,
            Algorithm::Es384 => Self::P384,
            Algorithm::EdDsa => Self::Ed25519,
        }
    }
}

impl KeySet {
    /// Reads `{"keys": […]}`. Keys that are of no use here are skipped: those of other kinds, for encryption, too weak, and all
    /// that are not public, because a secret that everybody can read proves nothing.
    pub fn parse(document: &[u8]) -> Result<Self, Refused> {
        let document = json::object(document).ok_or("it is not a JSON object, or names something twice")?;
        let listed = document.get("keys").and_then(Value::as_array).ok_or("it has no list `keys`")?;
        if listed.len() > MAX_KEYS {
            return Err("it lists more than 100 keys");
        }
        let keys: Vec<Key> = listed.iter().filter_map(|key| Key::parse(key.as_object()?)).collect();
        let skipped = listed.len() - keys.len();
        Ok(Self { keys, skipped })
    }

    /// How many can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none can be used.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many are listed that cannot be used.
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// Whether one of these algorithms has a key.
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.serves(algorithm))
    }

    /// Whether a key has this name.
    pub fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// Whether one of these keys made the signature: the one that the token names, or, where it names none, any.
    pub fn check<'t>(&self, token: &Signed<'t>) -> Result<Verified<'t>, KeyError> {
        let named = |key: &&Key| token.key_id().is_none_or(|id| key.id.as_deref() == Some(id));
        let mut fitting = self.keys.iter().filter(named).filter(|key| key.serves(token.algorithm)).take(MAX_TRIED).peekable();
        if fitting.peek().is_none() {
            // A key of this name for another algorithm is no reason to ask for a newer one.
            return Err(if token.key_id().is_some_and(|id| self.has(id)) { KeyError::Signature } else { KeyError::Unknown });
        }
        if !fitting.any(|key| key.made(token)) {
            return Err(KeyError::Signature);
        }
        Ok(Verified { algorithm: token.algorithm, payload: token.payload })
    }
}

impl Key {
    fn parse(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|secret| jwk.contains_key(*secret)) {
            return None;
        }
        if jwk.contains_key("use") && text("use") != Some("sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops")
            && !operations.as_array()?.iter().any(|operation| operation == "verify")
        {
            return None;
        }
        let id = match jwk.get("kid") {
            None => None,
            Some(id) => Some(id.as_str().filter(|id| id.len() <= MAX_KEY_ID)?.to_owned()),
        };
        let bytes = |name: &str| BASE64URL_NOPAD.decode(text(name)?.as_bytes()).ok();
        let point = |length: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            (x.len() == length && y.len() == length).then(|| DecodingKey::from_ec_components(text("x")?, text("y")?).ok())?
        };
        let (family, public) = match (text("kty")?, text("crv")) {
            ("RSA", _) => (Family::Rsa, rsa(&bytes("n")?, &bytes("e")?)?),
            ("EC", Some("P-256")) => (Family::P256, point(32)?),
            ("EC", Some("P-384")) => (Family::P384, point(48)?),
            ("OKP", Some("Ed25519")) => {
                let x = bytes("x")?;
                (Family::Ed25519, (x.len() == 32).then(|| DecodingKey::from_ed_der(&x))?)
            }
            _ => return None,
        };
        let only = match jwk.get("alg") {
            None => None,
            Some(name) => Some(name.as_str()?.parse().ok()?),
        };
        let key = Self { id, family, only, public };
        // For an algorithm of another kind of key it is for nothing.
        only.is_none_or(|only| Family::of(only) == family).then_some(key)
    }

    fn serves(&self, algorithm: Algorithm) -> bool {
        self.family == Family::of(algorithm) && self.only.is_none_or(|only| only == algorithm)
    }

    fn made(&self, token: &Signed<'_>) -> bool {
        jsonwebtoken::crypto::verify(token.signature, token.input.as_bytes(), &self.public, token.algorithm.library()).unwrap_or(false)
    }
}

/// 2048 to 8192 bits, and an exponent that a sane generator draws.
fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<DecodingKey> {
    let start = modulus.iter().position(|byte| *byte != 0)?;
    let modulus = modulus.get(start..)?;
    let exponent = exponent.get(exponent.iter().position(|byte| *byte != 0)?..)?;
    let bits = modulus.len() * 8 - usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    let odd = exponent.last().is_some_and(|last| last % 2 == 1) && exponent != [1];
    ((2048..=8192).contains(&bits) && odd && exponent.len() <= 8).then(|| DecodingKey::from_rsa_raw_components(modulus, exponent))
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySet").field("ids", &self.keys.iter().map(|key| &key.id).collect::<Vec<_>>()).finish_non_exhaustive()
    }
}
