//! What is signed and what stands for a login: claims, keys, signatures, identity tokens.
//!
//! - `claims`: what a token says; `lifetime`: for how long
//! - `profile`: what each kind of registry verifies, as one table
//! - `keys`: all key material of all services; `published`: what registries are told of it; `rotation`: its change on purpose
//! - `folder` and `files`: how it lies on the disk; `brought`: the operator's own
//! - `signer`: one parsed key and one finished header; makes compact JWS
//! - `private_key`, `public_key`, `certificate`: the parts of the above

mod brought;
mod certificate;
mod claims;
mod error;
mod files;
mod folder;
pub mod identity_token;
mod keys;
mod lifetime;
mod private_key;
mod profile;
mod public_key;
mod published;
mod rotation;
pub mod settings;
mod signer;

pub use certificate::CertificateError;
pub use claims::{Access, Claims, TokenId};
pub use error::KeysError;
pub use files::FileError;
pub use folder::{Generation, Stage};
pub use keys::{KeyReport, Keys};
pub use lifetime::{Lives, lifetime};
pub use private_key::PrivateKeyError;
pub use profile::Anchor;
pub use public_key::PublicKeyError;
pub use published::Published;
pub use rotation::{Advance, accept_loss, activate, finish, prepare};
pub use signer::{SignError, Signer};
