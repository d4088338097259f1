//! Memory for argon2id, used again and again.
//!
//! An allocator keeps freed blocks of this size for the thread that freed them, so that a flood of comparisons over many
//! threads would hold a gigabyte long after its end.

use std::sync::{Mutex, PoisonError};

use argon2::{Argon2, Block, Params};

/// Larger memory goes back to the system by itself and is not kept: 32 MiB.
const KEPT_BLOCKS: usize = 32 * 1024;

/// The memory of one comparison.
#[derive(Default)]
pub(super) struct Scratch(Vec<Block>);

impl Scratch {
    /// The hash of a password, as long as `out`.
    pub(super) fn hash(&mut self, params: &Params, password: &[u8], salt: &[u8], out: &mut [u8]) -> Result<(), argon2::Error> {
        let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params.clone());
        let blocks = params.block_count();
        if self.0.len() < blocks {
            // Nothing of the old content is needed, so it is not copied.
            self.0 = Vec::new();
            self.0.resize(blocks, Block::default());
        }
        let memory = self.0.get_mut(..blocks).unwrap_or_default();
        argon2.hash_password_into_with_memory(password, salt, out, memory)
    }
}

/// Those that are not in use: never more than there are comparisons at one time.
#[derive(Default)]
pub(super) struct Shelf(Mutex<Vec<Scratch>>);

impl Shelf {
    pub(super) fn take(&self) -> Scratch {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(super) fn put_back(&self, scratch: Scratch) {
        if scratch.0.len() <= KEPT_BLOCKS {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shelf")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scratch: &mut Scratch, memory: u32, password: &[u8]) {
        let params = Params::new(memory, 1, 1, Some(32)).unwrap();
        let (mut found, mut expected) = ([0; 32], [0; 32]);
        scratch.hash(&params, password, b"some salt", &mut found).unwrap();
        let fresh = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        fresh.hash_password_into(password, b"some salt", &mut expected).unwrap();
        assert_eq!(found, expected, "{memory}");
    }

    #[test]
    fn what_was_there_before_does_not_matter() {
        let mut scratch = Scratch::default();
        for (memory, password) in [(64, &b"one"[..]), (64, b"two"), (8, b"one"), (1024, b"two"), (64, b"one")] {
            check(&mut scratch, memory, password);
        }
    }

    #[test]
    fn very_large_memory_is_not_kept() {
        let shelf = Shelf::default();
        for blocks in [KEPT_BLOCKS, KEPT_BLOCKS + 1] {
            shelf.put_back(Scratch(vec![Block::default(); blocks]));
        }
        assert_eq!(shelf.len(), 1);
        assert_eq!(shelf.take().0.len(), KEPT_BLOCKS);
        assert_eq!(shelf.take().0.len(), 0);
    }
}
