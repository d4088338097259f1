//! The public half of a key, and the three names that the world has for it.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_SIG_ED25519};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::settings::Algorithm;

/// RFC 7518 §3.3 wants at least so many bits.
const SMALLEST_RSA: usize = 2048;

/// A public key of one of the four kinds that we sign with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicKey {
    /// DER of the `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    spki: Vec<u8>,
    numbers: Numbers,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Numbers {
    Ec { algorithm: Algorithm, x: Vec<u8>, y: Vec<u8> },
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ed25519 { x: Vec<u8> },
}

/// Why a public key is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Not DER.
    #[error("the public key cannot be read")]
    Malformed,
    /// Another curve or algorithm.
    #[error("the key is none of P-256, P-384, RSA and Ed25519")]
    Unknown,
    /// A short RSA key.
    #[error("the RSA key has {0} bits; at least {SMALLEST_RSA} are needed")]
    Short(usize),
}

impl PublicKey {
    pub(super) fn from_spki(spki: &[u8]) -> Result<Self, PublicKeyError> {
        let (rest, info) = SubjectPublicKeyInfo::from_der(spki).map_err(|_| PublicKeyError::Malformed)?;
        if !rest.is_empty() {
            return Err(PublicKeyError::Malformed);
        }
        let numbers = match info.parsed().map_err(|_| PublicKeyError::Malformed)? {
            Parsed::RSA(rsa) => {
                let n = without_zeros(rsa.modulus);
                let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
                if bits < SMALLEST_RSA {
                    return Err(PublicKeyError::Short(bits));
                }
                Numbers::Rsa { n: n.to_vec(), e: without_zeros(rsa.exponent).to_vec() }
            }
            Parsed::EC(point) => ec(&info, point.data())?,
            // RFC 8410 §3: id-Ed25519 has no parameters, and its bits are the key.
            Parsed::Unknown(x) if info.algorithm.algorithm == OID_SIG_ED25519 && x.len() == 32 => Numbers::Ed25519 { x: x.to_vec() },
            Parsed::Unknown(_) | Parsed::DSA(_) | Parsed::GostR3410(_) | Parsed::GostR3410_2012(_) => return Err(PublicKeyError::Unknown),
        };
        Ok(Self { spki: spki.to_vec(), numbers })
    }

    /// The signature that this key verifies.
    pub(super) fn algorithm(&self) -> Algorithm {
        match &self.numbers {
            Numbers::Ec { algorithm, .. } => *algorithm,
            Numbers::Rsa { .. } => Algorithm::Rs256,
            Numbers::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }

    /// What we call it: SHA-256 over the `SubjectPublicKeyInfo`, in hexadecimal.
    pub(super) fn fingerprint(&self) -> String {
        HEXLOWER.encode(digest(&SHA256, &self.spki).as_ref())
    }

    /// What libtrust calls it: 30 bytes of the same digest in base32, in twelve groups of four.
    pub(super) fn libtrust(&self) -> String {
        let hash = digest(&SHA256, &self.spki);
        let text = BASE32_NOPAD.encode(hash.as_ref().get(..30).unwrap_or_default());
        let groups: Vec<String> = text.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
        groups.join(":")
    }

    /// The thumbprint of RFC 7638: a digest over the required members in the order of their names.
    pub(super) fn thumbprint(&self) -> String {
        // A `Value`'s object keeps its members sorted, and the required members hold nothing that JSON escapes.
        BASE64URL_NOPAD.encode(digest(&SHA256, self.members().to_string().as_bytes()).as_ref())
    }

    /// The JSON Web Key of RFC 7517, with the thumbprint as its `kid`.
    pub(super) fn jwk(&self) -> Value {
        let mut key = self.members();
        if let Some(members) = key.as_object_mut() {
            members.insert("kid".to_owned(), self.thumbprint().into());
            members.insert("alg".to_owned(), self.algorithm().as_str().into());
            members.insert("use".to_owned(), "sig".into());
        }
        key
    }

    /// Whether a coordinate opens with a zero byte. distribution 3 writes coordinates without it and so finds another
    /// thumbprint than everybody else.
    pub(super) fn is_misread(&self) -> bool {
        match &self.numbers {
            Numbers::Ec { x, y, .. } => x.first() == Some(&0) || y.first() == Some(&0),
            Numbers::Rsa { .. } | Numbers::Ed25519 { .. } => false,
        }
    }

    fn members(&self) -> Value {
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        match &self.numbers {
            Numbers::Ec { algorithm, x, y } => {
                let curve = if *algorithm == Algorithm::Es384 { "P-384" } else { "P-256" };
                json!({"crv": curve, "kty": "EC", "x": text(x), "y": text(y)})
            }
            Numbers::Rsa { n, e } => json!({"e": text(e), "kty": "RSA", "n": text(n)}),
            Numbers::Ed25519 { x } => json!({"crv": "Ed25519", "kty": "OKP", "x": text(x)}),
        }
    }
}

/// A point is `04 X Y` (SEC 1 §2.3.3); the length tells that it is whole and not compressed.
fn ec(info: &SubjectPublicKeyInfo<'_>, point: &[u8]) -> Result<Numbers, PublicKeyError> {
    let curve = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok()).ok_or(PublicKeyError::Unknown)?;
    let (algorithm, size) = if curve == OID_EC_P256 {
        (Algorithm::Es256, 32)
    } else if curve == OID_NIST_EC_P384 {
        (Algorithm::Es384, 48)
    } else {
        return Err(PublicKeyError::Unknown);
    };
    let (Some((4, both)), true) = (point.split_first(), point.len() == 2 * size + 1) else {
        return Err(PublicKeyError::Malformed);
    };
    let (x, y) = both.split_at_checked(size).ok_or(PublicKeyError::Malformed)?;
    Ok(Numbers::Ec { algorithm, x: x.to_vec(), y: y.to_vec() })
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let n = concat!(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W",
            "-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08q",
            "NLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
        );
        let numbers = Numbers::Rsa { n: BASE64URL_NOPAD.decode(n.as_bytes()).unwrap(), e: vec![1, 0, 1] };
        let key = PublicKey { spki: Vec::new(), numbers };
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn short_rsa_keys_are_refused() {
        let open = HEXLOWER.decode(b"30819f300d06092a864886f70d010101050003818d0030818902818100").unwrap();
        let spki = [open, vec![0xc5; 128], vec![2, 3, 1, 0, 1]].concat();
        assert_eq!(PublicKey::from_spki(&spki), Err(PublicKeyError::Short(1024)));
    }

    #[test]
    fn a_coordinate_that_opens_with_zero_is_told() {
        let key = |x: u8, y: u8| PublicKey {
            spki: Vec::new(),
            numbers: Numbers::Ec { algorithm: Algorithm::Es256, x: vec![x; 32], y: vec![y; 32] },
        };
        assert!(key(0, 1).is_misread() && key(1, 0).is_misread() && !key(1, 1).is_misread());
    }
}
