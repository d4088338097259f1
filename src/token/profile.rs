//! What each kind of registry verifies, as one table.
//!
//! | kind                | what the registry holds       | `x5c` | `kid`                | what may change without it       |
//! |---------------------|-------------------------------|-------|----------------------|----------------------------------|
//! | distribution-2      | `rootcertbundle`: our CA      | leaf  | libtrust fingerprint | the leaf                         |
//! | distribution-3      | `rootcertbundle`: our CA      | leaf  | RFC 7638 thumbprint  | the leaf                         |
//! | distribution-3-jwks | `jwks`: every published key   | no    | RFC 7638 thumbprint  | nothing; next key is there early |
//! | gitlab              | `rootcertbundle`: certificates| no    | libtrust fingerprint | nothing; next key is there early |
//! | zot                 | `cert`: one certificate       | no    | (ignored)            | nothing                          |
//!
//! distribution tries `x5c` before `kid` and refuses a chain that it cannot build, so a registry with `jwks` alone must not
//! see one. distribution 2 builds on libtrust and panics at start over an Ed25519 key; distribution 3.0.0 hashes every
//! EC key of a bundle to one wrong thumbprint, which `x5c` goes round.

use super::public_key::PublicKey;
use super::settings::{Algorithm, RegistryKind};

/// What a registry is told to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// A certificate authority; tokens carry a leaf that changes by itself.
    Authority,
    /// One key that changes only when somebody says so.
    Fixed,
}

impl Anchor {
    /// The word of file names and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Authority => "ca",
            Self::Fixed => "fixed",
        }
    }
}

/// In which form a registry reads what it trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publication {
    /// Every certificate, one after the other.
    Bundle,
    /// The active certificate alone: the registry reads one.
    OneCertificate,
    /// A JSON Web Key Set.
    Jwks,
}

impl RegistryKind {
    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Distribution2 => "distribution-2",
            Self::Distribution3 => "distribution-3",
            Self::Distribution3Jwks => "distribution-3-jwks",
            Self::Zot => "zot",
            Self::Gitlab => "gitlab",
        }
    }

    /// What it is told to trust.
    pub fn anchor(self) -> Anchor {
        match self {
            Self::Distribution2 | Self::Distribution3 => Anchor::Authority,
            Self::Distribution3Jwks | Self::Zot | Self::Gitlab => Anchor::Fixed,
        }
    }

    /// Whether it reads the certificate from the token.
    pub(super) fn reads_x5c(self) -> bool {
        self.anchor() == Anchor::Authority
    }

    pub(super) fn publication(self) -> Publication {
        match self {
            Self::Distribution2 | Self::Distribution3 | Self::Gitlab => Publication::Bundle,
            Self::Zot => Publication::OneCertificate,
            Self::Distribution3Jwks => Publication::Jwks,
        }
    }

    /// Whether its library can verify such a signature.
    pub fn verifies(self, algorithm: Algorithm) -> bool {
        match self {
            Self::Distribution2 | Self::Gitlab => algorithm != Algorithm::EdDsa,
            Self::Distribution3 | Self::Distribution3Jwks | Self::Zot => true,
        }
    }

    pub(super) fn kid(self, key: &PublicKey) -> String {
        match self {
            Self::Distribution2 | Self::Gitlab => key.libtrust(),
            Self::Distribution3 | Self::Distribution3Jwks | Self::Zot => key.thumbprint(),
        }
    }
}

impl Algorithm {
    /// The `alg` of a token's header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }
}
