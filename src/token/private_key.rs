//! The private half of a key: drawn, read, written, and signing.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use rcgen::PublicKeyData;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::certificate;
use super::public_key::{PublicKey, PublicKeyError};
use super::settings::Algorithm;

/// What draws a key again if the odds are against us: one in 128 is misread by distribution 3.
const DRAWS: usize = 100;

/// A private key that was parsed once.
pub(super) struct PrivateKey {
    /// PKCS#8 in DER.
    pkcs8: Zeroizing<Vec<u8>>,
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum PrivateKeyError {
    /// No PEM block of a PKCS#8 key.
    #[error("is not one unencrypted PKCS#8 key in PEM (`BEGIN PRIVATE KEY`)")]
    NotPkcs8,
    /// PKCS#8 that holds no key of ours.
    #[error("holds a private key that cannot be read")]
    Malformed,
    /// A key that is not used.
    #[error(transparent)]
    Public(#[from] PublicKeyError),
    /// The operating system gave no randomness.
    #[error("no key could be drawn")]
    Draw,
}

/// How long a key is meant to be used; decides the size of RSA keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Days.
    Leaf,
    /// Years.
    Anchor,
}

impl PrivateKey {
    /// A new key. EC keys that distribution 3 would misread are drawn again.
    pub(super) fn draw(algorithm: Algorithm, purpose: Use) -> Result<Self, PrivateKeyError> {
        for _ in 0..DRAWS {
            let key = Self::from_pkcs8(&draw_pkcs8(algorithm, purpose).ok_or(PrivateKeyError::Draw)?)?;
            if !key.public.is_misread() {
                return Ok(key);
            }
        }
        Err(PrivateKeyError::Draw)
    }

    /// The one key of a PEM text.
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, PrivateKeyError> {
        let mut keys = PrivateKeyDer::pem_slice_iter(pem);
        match (keys.next(), keys.next()) {
            (Some(Ok(PrivateKeyDer::Pkcs8(key))), None) => Self::from_pkcs8(key.secret_pkcs8_der()),
            _ => Err(PrivateKeyError::NotPkcs8),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, PrivateKeyError> {
        // rcgen finds out which kind of key it is, and knows its SubjectPublicKeyInfo.
        let any = rcgen::KeyPair::try_from(der).map_err(|_| PrivateKeyError::Malformed)?;
        let public = PublicKey::from_spki(&any.subject_public_key_info())?;
        let ecdsa = |curve: &'static EcdsaSigningAlgorithm| EcdsaKeyPair::from_pkcs8(curve, der).map(Pair::Ecdsa);
        let pair = match public.algorithm() {
            Algorithm::Es256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::Es384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(der).map(Pair::Rsa),
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Pair::Ed25519),
        };
        Ok(Self { pkcs8: Zeroizing::new(der.to_vec()), pair: pair.map_err(|_| PrivateKeyError::Malformed)?, public })
    }

    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(super) fn pem(&self) -> Zeroizing<String> {
        certificate::pem("PRIVATE KEY", &self.pkcs8)
    }

    /// The same key as rcgen wants it, to sign a certificate.
    pub(super) fn for_certificates(&self) -> Result<rcgen::KeyPair, PrivateKeyError> {
        rcgen::KeyPair::try_from(&PrivatePkcs8KeyDer::from(self.pkcs8.as_slice())).map_err(|_| PrivateKeyError::Malformed)
    }

    /// The signature of a JWS (RFC 7518 §3): for ECDSA the two numbers one after the other, not their DER.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Ecdsa(pair) => Some(pair.sign(&SystemRandom::new(), message).ok()?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Some(pair.try_sign(message).ok()?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("public", &self.public.fingerprint()).finish_non_exhaustive()
    }
}

fn draw_pkcs8(algorithm: Algorithm, purpose: Use) -> Option<Zeroizing<Vec<u8>>> {
    let random = SystemRandom::new();
    let document = match algorithm {
        Algorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).ok()?,
        Algorithm::Es384 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).ok()?,
        Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random).ok()?,
        Algorithm::Rs256 => {
            let size = if purpose == Use::Leaf { KeySize::Rsa2048 } else { KeySize::Rsa3072 };
            return Some(Zeroizing::new(RsaKeyPair::generate(size).ok()?.as_der().ok()?.as_ref().to_vec()));
        }
    };
    Some(Zeroizing::new(document.as_ref().to_vec()))
}
