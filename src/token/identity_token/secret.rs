//! The text of an identity token: `nrw_`, then 256 random bits and a checksum of 32 bits in base64url.

use std::fmt;

use aws_lc_rs::{hmac, rand};
use data_encoding::BASE64URL_NOPAD;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::store::StateKey;

const PREFIX: &str = "nrw_";
const RANDOM: usize = 32;
const CHECKSUM: usize = 4;

/// Makes token texts and reads them. Both the checksum and the hash are keyed: without the state key nobody makes a text
/// that is worth a look-up, nor tells from the database whether a text is a token.
pub(super) struct Secrets {
    checksum: hmac::Key,
    hash: hmac::Key,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    pub(super) fn new(key: &StateKey) -> Self {
        let derived = |purpose| hmac::Key::new(hmac::HMAC_SHA256, &key.derive(purpose));
        Self { checksum: derived("identity token checksum"), hash: derived("identity token hash") }
    }

    /// A new token and the hash that it is stored under; none where the operating system gave no random bytes.
    pub(super) fn make(&self) -> Option<(SecretString, Vec<u8>)> {
        let mut bytes = Zeroizing::new([0; RANDOM + CHECKSUM]);
        let (random, checksum) = bytes.split_at_mut(RANDOM);
        rand::fill(random).ok()?;
        checksum.copy_from_slice(hmac::sign(&self.checksum, random).as_ref().get(..CHECKSUM)?);
        let hash = self.hash_of(random);
        let text = Zeroizing::new(BASE64URL_NOPAD.encode(bytes.as_slice()));
        Some((SecretString::from(format!("{PREFIX}{}", text.as_str())), hash))
    }

    /// The hash of a text that may be a token of ours; none for everything else.
    pub(super) fn read(&self, token: &SecretString) -> Option<Vec<u8>> {
        let text = token.expose_secret().strip_prefix(PREFIX)?;
        if text.len() != (RANDOM + CHECKSUM) / 3 * 4 {
            return None;
        }
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?);
        let (random, checksum) = bytes.split_at_checked(RANDOM)?;
        let expected = hmac::sign(&self.checksum, random);
        let good: bool = expected.as_ref().get(..CHECKSUM)?.ct_eq(checksum).into();
        good.then(|| self.hash_of(random))
    }

    fn hash_of(&self, random: &[u8]) -> Vec<u8> {
        hmac::sign(&self.hash, random).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> (tempfile::TempDir, Secrets) {
        let folder = tempfile::tempdir().unwrap();
        let key = StateKey::open_or_create(&folder.path().join("state.key")).unwrap();
        (folder, Secrets::new(&key))
    }

    #[test]
    fn a_token_is_read_back_by_those_who_made_it_alone() {
        let (_folder, ours) = secrets();
        let (_other_folder, theirs) = secrets();
        let (token, hash) = ours.make().unwrap();
        assert_eq!(token.expose_secret().len(), 52);
        assert_eq!(ours.read(&token), Some(hash));
        assert_eq!(theirs.read(&token), None);
        assert_ne!(ours.make().unwrap().0.expose_secret(), token.expose_secret());
    }

    #[test]
    fn one_changed_character_costs_no_look_up() {
        let (_folder, secrets) = secrets();
        let (token, _) = secrets.make().unwrap();
        let text = token.expose_secret();
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+ \n";
        for (index, original) in text.char_indices() {
            for other in alphabet.chars().filter(|other| *other != original) {
                let mut changed = text.to_owned();
                changed.replace_range(index..=index, other.encode_utf8(&mut [0; 4]));
                assert_eq!(secrets.read(&SecretString::from(changed.clone())), None, "{changed:?}");
            }
            let mut shorter = text.to_owned();
            shorter.remove(index);
            assert_eq!(secrets.read(&SecretString::from(shorter)), None);
        }
        for garbage in ["", "nrw_", "nrw_x", &format!("{text}A"), &format!("{text}="), &format!(" {text}"), &"é".repeat(26)] {
            assert_eq!(secrets.read(&SecretString::from(garbage.to_owned())), None, "{garbage:?}");
        }
    }
}
