//! Stands in for the system's keyring where this program was built without the feature `keyring`.

use crate::token::Token;

/// Whether the keyring took a token.
#[derive(Debug)]
#[expect(dead_code, reason = "the other variants are those of a build with a keyring")]
pub(crate) enum Kept {
    /// It did.
    Yes,
    /// It did not, and why.
    No(String),
    /// There is none to ask.
    NotBuilt,
}

/// Nowhere.
pub(crate) fn keep(_registry: &str, _token: &Token) -> Kept {
    Kept::NotBuilt
}

/// Only where another build of this program put something.
pub(crate) fn recall(_registry: &str) -> Result<Option<Token>, String> {
    Err("this program was built without it".to_owned())
}

/// Nothing is there to forget.
pub(crate) fn forget(_registry: &str) -> Result<(), String> {
    Err("this program was built without it".to_owned())
}
