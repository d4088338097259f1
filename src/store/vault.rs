//! What has to be read again and may be read by nobody else: sealed under the state key and bound to where it stands.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::seal::{Field, framed};
use super::{StateKey, StoreError};

/// Encrypts for one purpose (AES-256-GCM-SIV, RFC 8452: a nonce that comes twice tells no more than that two texts are equal).
pub(crate) struct Vault(LessSafeKey);

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    pub(crate) fn new(key: &StateKey, purpose: &str) -> Result<Self, StoreError> {
        let key = Zeroizing::new(key.derive(&format!("vault of {purpose}")));
        let key = UnboundKey::new(&AES_256_GCM_SIV, key.as_slice()).map_err(|_| StoreError::NoRandomness)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// `plain`, encrypted; opens only beside the same `bound`.
    pub(crate) fn close(&self, bound: &[Field<'_>], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| StoreError::NoRandomness)?;
        let mut sealed = plain.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(framed(bound)), &mut sealed)
            .map_err(|_| StoreError::NoRandomness)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// What was closed beside the same `bound`; none where it was altered, moved, or closed under another key.
    pub(crate) fn open(&self, bound: &[Field<'_>], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let length = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(framed(bound)), &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_opens_beside_the_same_words_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = StateKey::open_or_create(&folder.path().join("state.key")).unwrap();
        let vault = Vault::new(&key, "x").unwrap();
        let bound = [Field::Text("row"), Field::Number(1)];
        let sealed = vault.close(&bound, b"secret").unwrap();
        assert_eq!(vault.open(&bound, &sealed).unwrap().as_slice(), b"secret");
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert!(vault.open(&[Field::Text("row"), Field::Number(2)], &sealed).is_none());
        assert!(Vault::new(&key, "y").unwrap().open(&bound, &sealed).is_none());
        assert!(vault.open(&bound, &[]).is_none());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(vault.open(&bound, &altered).is_none(), "byte {at}");
        }
        assert_ne!(vault.close(&bound, b"secret").unwrap(), sealed);
    }
}
