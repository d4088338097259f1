//! The state key: 32 random bytes in a file beside the database, from which every other secret of the state is derived.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use aws_lc_rs::{hmac, rand};
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::{StoreError, private_file};

const LENGTH: usize = 32;

/// The secret that makes rows of the database believable. Lose it, and every identity token ends.
pub struct StateKey(Zeroizing<[u8; LENGTH]>);

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateKey")
    }
}

impl StateKey {
    /// Reads the key; makes one where there is none.
    pub fn open_or_create(path: &Path) -> Result<Self, StoreError> {
        match Self::open(path) {
            Err(StoreError::Missing(_)) => {
                Self::create(path)?;
                Self::open(path)
            }
            result => result,
        }
    }

    /// Reads the key of a state that is there.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        private_file::check(path)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH + 1));
        File::open(path)
            .and_then(|file| file.take(LENGTH as u64 + 1).read_to_end(&mut bytes))
            .map_err(|cause| StoreError::File { path: path.to_owned(), cause })?;
        let key: [u8; LENGTH] = bytes.as_slice().try_into().map_err(|_| StoreError::NotAKey(path.to_owned()))?;
        if key == [0; LENGTH] {
            return Err(StoreError::NotAKey(path.to_owned()));
        }
        Ok(Self(Zeroizing::new(key)))
    }

    /// A secret for one purpose. Knowing it tells nothing about the key or about the secret of another purpose.
    pub fn derive(&self, purpose: &str) -> [u8; LENGTH] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice());
        let tag = hmac::sign(&key, format!("narrows state key, version 1: {purpose}").as_bytes());
        let mut derived = [0; LENGTH];
        derived.copy_from_slice(tag.as_ref());
        derived
    }

    /// The key is written whole under another name and linked to its own: a crash never leaves half a key, and of two
    /// processes that make one at once, both use the same.
    fn create(path: &Path) -> Result<(), StoreError> {
        let failed = |cause| StoreError::File { path: path.to_owned(), cause };
        let key: Zeroizing<[u8; LENGTH]> = Zeroizing::new(random()?);
        let draft = path.with_added_extension(HEXLOWER.encode(&random::<8>()?));
        let made = private_file::create(&draft)
            .and_then(|mut file| file.write_all(key.as_slice()).and_then(|()| file.sync_all()))
            .and_then(|()| match std::fs::hard_link(&draft, path) {
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                result => result,
            });
        let removed = std::fs::remove_file(&draft);
        made.and(removed).map_err(failed)
    }
}

/// Bytes of the operating system's randomness.
fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| StoreError::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.key");
        let first = StateKey::open_or_create(&path).unwrap();
        let second = StateKey::open_or_create(&path).unwrap();
        assert_eq!(*first.0, *second.0);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the draft is gone");
    }

    #[test]
    fn two_that_make_the_key_at_once_use_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.key");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| StateKey::open_or_create(&path).unwrap().derive("x"))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.key");
        assert!(matches!(StateKey::open(&path), Err(StoreError::Missing(_))));
        StateKey::open_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert!(matches!(StateKey::open_or_create(&path), Err(StoreError::Exposed { .. })), "{mode:o}");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        for content in [&b""[..], &[7; 31], &[7; 33], &[0; 32]] {
            std::fs::write(&path, content).unwrap();
            assert!(matches!(StateKey::open_or_create(&path), Err(StoreError::NotAKey(_))), "{content:?}");
        }
        let link = folder.path().join("folder.key");
        std::fs::create_dir(&link).unwrap();
        assert!(matches!(StateKey::open_or_create(&link), Err(StoreError::NotAFile(_))));
    }

    #[test]
    fn purposes_do_not_share_a_secret() {
        let key = StateKey(Zeroizing::new([7; LENGTH]));
        assert_ne!(key.derive("a"), key.derive("b"));
        assert_eq!(format!("{key:?}"), "StateKey");
    }
}
