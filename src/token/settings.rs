//! `services` and `signing` of the configuration, as written; [`ServiceSettings::check`] and the other checks say what is wrong.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::authz::settings::RulesSettings;
use crate::source::{Located, Period};

mod check;

pub use check::check_services;

/// One registry that tokens are signed for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSettings {
    /// The `service` parameter and the `aud` claim.
    pub name: Located<String>,
    /// What people type behind `docker login`: HOST or HOST:PORT. Default the name.
    #[serde(default)]
    pub address: Option<Located<String>>,
    /// What verifies the tokens. Default `distribution-2`.
    #[serde(default = "ServiceSettings::default_registry")]
    pub registry: Located<RegistryKind>,
    /// The `iss` claim. Default `narrows`.
    #[serde(default = "ServiceSettings::default_issuer")]
    pub issuer: Located<String>,
    /// How long tokens live, by the action that they carry.
    #[serde(default)]
    pub token_ttl: TokenTtl,
    /// The signature. Default `ES256`.
    #[serde(default = "ServiceSettings::default_algorithm")]
    pub algorithm: Located<Algorithm>,
    /// A brought key and its certificate, instead of keys that narrows made.
    #[serde(default)]
    pub signing: Option<BroughtKey>,
    /// Rules of its own, instead of the top ones.
    #[serde(default)]
    pub rules: Option<RulesSettings>,
}

impl ServiceSettings {
    /// What people type behind `docker login`.
    pub fn address(&self) -> &str {
        self.address.as_ref().map_or(&self.name.value, |address| &address.value)
    }
    fn default_registry() -> Located<RegistryKind> {
        Located::nowhere(RegistryKind::Distribution2)
    }
    fn default_issuer() -> Located<String> {
        Located::nowhere("narrows".to_owned())
    }
    fn default_algorithm() -> Located<Algorithm> {
        Located::nowhere(Algorithm::Es256)
    }
}

/// The program that verifies a service's tokens; decides `kid`, `x5c`, algorithms and which key may change.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Hash, Serialize)]
pub enum RegistryKind {
    /// distribution 2.x with `rootcertbundle`.
    #[serde(rename = "distribution-2")]
    Distribution2,
    /// distribution 3.x with `rootcertbundle`.
    #[serde(rename = "distribution-3")]
    Distribution3,
    /// distribution 3.x with `jwks` alone.
    #[serde(rename = "distribution-3-jwks")]
    Distribution3Jwks,
    /// zot.
    #[serde(rename = "zot")]
    Zot,
    /// The GitLab registry.
    #[serde(rename = "gitlab")]
    Gitlab,
}

/// How a token is signed (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Hash, Serialize)]
pub enum Algorithm {
    /// ECDSA on P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384.
    #[serde(rename = "ES384")]
    Es384,
    /// RSA PKCS#1 v1.5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// Lifetimes by action; each is at least 60 s.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenTtl {
    /// Default 5m.
    pub pull: Located<Period>,
    /// Default 1h.
    pub push: Located<Period>,
    /// Default 5m.
    pub delete: Located<Period>,
    /// Default 5m.
    pub catalog: Located<Period>,
}

impl Default for TokenTtl {
    fn default() -> Self {
        let short = || Located::nowhere(Period::minutes(5));
        Self { pull: short(), push: Located::nowhere(Period::hours(1)), delete: short(), catalog: short() }
    }
}

/// A key and certificate that the operator brings.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BroughtKey {
    /// PEM certificate (chain), leaf first.
    pub certificate: Located<PathBuf>,
    /// PEM private key (PKCS#8).
    pub key: Located<PathBuf>,
}

/// Where keys live and how they are renewed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SigningSettings {
    /// The folder of the keys. Default `keys`.
    pub directory: Located<PathBuf>,
    /// Whether `serve` may make keys that are missing. Default false.
    pub create: bool,
    /// How long a leaf certificate is valid. Default 2d.
    pub leaf_life: Located<Period>,
    /// How often a leaf is replaced. Default 1d.
    pub rotate_every: Located<Period>,
}

impl Default for SigningSettings {
    fn default() -> Self {
        Self {
            directory: Located::nowhere(PathBuf::from("keys")),
            create: false,
            leaf_life: Located::nowhere(Period::days(2)),
            rotate_every: Located::nowhere(Period::days(1)),
        }
    }
}
