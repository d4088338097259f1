//! Keys that sign whatever a test wants.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::Algorithm;

/// A key pair with a name.
pub(in crate::authn) struct Forge {
    /// `kid`.
    pub(in crate::authn) id: String,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// base64url without padding.
pub(in crate::authn) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

impl Forge {
    pub(in crate::authn) fn rsa(id: &str) -> Self {
        Self { id: id.to_owned(), pair: Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()) }
    }
    pub(in crate::authn) fn p256(id: &str) -> Self {
        Self { id: id.to_owned(), pair: Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()) }
    }
    pub(in crate::authn) fn p384(id: &str) -> Self {
        Self { id: id.to_owned(), pair: Pair::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()) }
    }
    pub(in crate::authn) fn ed25519(id: &str) -> Self {
        Self { id: id.to_owned(), pair: Pair::Ed25519(Ed25519KeyPair::generate().unwrap()) }
    }

    /// The algorithm that goes with it, where several do the usual one.
    pub(in crate::authn) fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rsa(_) => Algorithm::Rs256,
            Pair::P256(_) => Algorithm::Es256,
            Pair::P384(_) => Algorithm::Es384,
            Pair::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// The public key as an issuer publishes it.
    pub(in crate::authn) fn jwk(&self) -> Value {
        let point = |pair: &EcdsaKeyPair, curve: &str, length: usize| {
            let bytes = pair.public_key().as_ref();
            let (x, y) = (&bytes[1..=length], &bytes[1 + length..]);
            json!({"kty": "EC", "crv": curve, "x": encoded(x), "y": encoded(y)})
        };
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                json!({
                    "kty": "RSA",
                    "n": encoded(n.big_endian_without_leading_zero()),
                    "e": encoded(e.big_endian_without_leading_zero()),
                })
            }
            Pair::P256(pair) => point(pair, "P-256", 32),
            Pair::P384(pair) => point(pair, "P-384", 48),
            Pair::Ed25519(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key().as_ref())}),
        };
        jwk["kid"] = self.id.as_str().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A token as an honest issuer writes it.
    pub(in crate::authn) fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm().as_str(), "kid": self.id, "typ": "JWT"});
        self.sign(self.algorithm(), &header.to_string(), &claims.to_string())
    }

    /// Any header over any payload.
    pub(in crate::authn) fn sign(&self, algorithm: Algorithm, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(payload));
        let signature = self.signature(algorithm, signed.as_bytes());
        format!("{signed}.{}", encoded(signature))
    }

    fn signature(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    Algorithm::Rs384 => &RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Ps384 => &RSA_PSS_SHA384,
                    Algorithm::Ps512 => &RSA_PSS_SHA512,
                    Algorithm::Rs256 | Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::P256(pair) | Pair::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}
