//! `oidc` of a provider.

mod check;
mod preset;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::{Located, OneOrMany, Period, SecretSource};

pub(super) use preset::Ends;
pub use preset::OidcPreset;

/// An OIDC issuer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// The kind of issuer, which says the default of `scopes`, `tokens.algorithms`, `identity.username`, `identity.require`,
    /// `groups.sources`, `groups.transform` and `mfa.amr`. Default `generic`.
    #[serde(default)]
    pub preset: Option<Located<OidcPreset>>,
    /// The issuer's URL, exactly as its tokens write it.
    pub issuer: Located<String>,
    /// What narrows is called at the issuer.
    pub client: ClientSettings,
    /// The scopes that are asked for, with `openid` among them. Default by preset.
    #[serde(default)]
    pub scopes: Option<OneOrMany>,
    /// How the issuer's certificate is checked.
    #[serde(default)]
    pub tls: OidcTls,
    /// The HTTP proxy on the way to the issuer, as in `http://proxy.corp.example:3128`. Default none: the environment's is not
    /// used.
    #[serde(default)]
    pub proxy: Option<Located<String>>,
    /// What makes an `id_token` acceptable.
    #[serde(default)]
    pub tokens: TokenChecks,
    /// Which claims name the person.
    #[serde(default)]
    pub identity: IdentityClaims,
    /// Which claims hold the groups.
    #[serde(default)]
    pub groups: OidcGroups,
    /// What counts as a second factor.
    #[serde(default)]
    pub mfa: SecondFactor,
    /// The resource owner's password, sent to the issuer.
    #[serde(default)]
    pub password_grant: PasswordGrant,
    /// The device login.
    #[serde(default)]
    pub device_grant: DeviceGrant,
}

/// `client` of an issuer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// The client id.
    pub id: Located<String>,
    /// The client secret; none for a public client.
    #[serde(default)]
    pub secret: Option<Located<SecretSource>>,
    /// How the secret is sent. Default `basic` with a secret, `none` without.
    #[serde(default)]
    pub auth: Option<Located<ClientAuthentication>>,
}

/// How a client proves itself at the token endpoint (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// In the `Authorization` header.
    Basic,
    /// In the form.
    Post,
    /// Not at all: a public client.
    None,
}

/// `tls` of an issuer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OidcTls {
    /// A PEM file of the authorities that are trusted instead of the system's.
    pub ca: Option<OidcAuthorities>,
}

/// `ca` of an issuer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcAuthorities {
    /// PEM certificates.
    pub file: Located<PathBuf>,
}

/// `tokens` of an issuer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenChecks {
    /// Accepted signatures: some of RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 `EdDSA`. Default by preset.
    pub algorithms: Option<OneOrMany>,
    /// Accepted audiences beside the client id. Default none.
    pub audiences: Vec<Located<String>>,
    /// How far the clocks may differ; at most 5m. Default 60s.
    pub leeway: Located<Period>,
}

impl Default for TokenChecks {
    fn default() -> Self {
        Self { algorithms: None, audiences: Vec::new(), leeway: Located::nowhere(Period::seconds(60)) }
    }
}

/// `identity` of an issuer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityClaims {
    /// The claims that may hold the user name; the first one that is present counts. Default by preset.
    pub username: Option<OneOrMany>,
    /// What is cut off the end of the user name. Default nothing.
    pub strip_suffix: Option<Located<String>>,
    /// Claims that must have these values. Default by preset.
    pub require: Option<BTreeMap<String, ClaimValue>>,
}

/// The value that a claim must have.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(untagged)]
pub enum ClaimValue {
    /// true or false.
    Truth(bool),
    /// A text.
    Text(String),
}

/// `groups` of an issuer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OidcGroups {
    /// Where groups are read; all of them add up. Default by preset.
    pub sources: Option<Vec<Located<GroupSource>>>,
    /// Changes to each name, in this order. Default by preset.
    pub transform: Option<Vec<Located<GroupTransform>>>,
    /// More groups than this are an outage, not a smaller set; at most 10000. Default 2000.
    pub max: Located<u32>,
    /// What happens where the issuer leaves groups out because there are too many. Default `unavailable`.
    pub overage: Overage,
}

impl Default for OidcGroups {
    fn default() -> Self {
        Self { sources: None, transform: None, max: Located::nowhere(2000), overage: Overage::Unavailable }
    }
}

/// One place of groups: `claim` or `pointer`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSource {
    /// Which document. Default `id_token`.
    #[serde(default)]
    pub from: ClaimsFrom,
    /// A claim's name.
    #[serde(default)]
    pub claim: Option<Located<String>>,
    /// A JSON pointer (RFC 6901), for claims that lie deeper.
    #[serde(default)]
    pub pointer: Option<Located<String>>,
}

/// The documents that hold claims.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimsFrom {
    /// The verified `id_token`.
    #[default]
    IdToken,
    /// The answer of the userinfo endpoint.
    Userinfo,
}

/// One change to a group's name. Exactly one of the keys stands in it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupTransform {
    /// A text that is cut off the beginning, such as Keycloak's `/`.
    #[serde(default)]
    pub strip_leading: Option<Located<String>>,
    /// The first value of a distinguished name instead of the whole.
    #[serde(default)]
    pub dn_to_cn: Option<Located<bool>>,
}

/// What happens where the issuer leaves groups out.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overage {
    /// The login is answered with 503.
    #[default]
    Unavailable,
    /// The groups are fetched where the issuer says; where that fails, 503.
    Fetch,
}

/// `mfa` of an issuer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SecondFactor {
    /// Values of `amr` that stand for a second factor. Default by preset.
    pub amr: Option<Vec<Located<String>>>,
    /// Values of `acr` that stand for a second factor. Default none.
    pub acr: Vec<Located<String>>,
}

/// `password_grant` of an issuer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordGrant {
    /// Whether passwords may be sent to the issuer. Default false.
    pub enabled: Located<bool>,
}

impl Default for PasswordGrant {
    fn default() -> Self {
        Self { enabled: Located::nowhere(false) }
    }
}

/// `device_grant` of an issuer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceGrant {
    /// Whether the device login is offered. Default true.
    pub enabled: bool,
    /// Whether `docker login` itself may wait for it, which needs `from`. Default false.
    pub in_band: Located<bool>,
    /// Addresses that may wait in band. Default nobody.
    #[schemars(with = "Vec<String>")]
    pub from: Vec<Located<ipnet::IpNet>>,
}

impl Default for DeviceGrant {
    fn default() -> Self {
        Self { enabled: true, in_band: Located::nowhere(false), from: Vec::new() }
    }
}

impl OidcSettings {
    /// The files whose change makes this issuer another: certificates and the secret.
    pub fn files(&self, folder: &Path) -> Vec<PathBuf> {
        let authorities = self.tls.ca.as_ref().map(|ca| folder.join(&ca.file.value));
        let secret = self.client.secret.as_ref().and_then(|secret| secret.value.path(folder));
        authorities.into_iter().chain(secret).collect()
    }

    /// Whose tokens are taken: the client's own, first of all.
    pub fn audiences(&self) -> Vec<String> {
        std::iter::once(&self.client.id).chain(&self.tokens.audiences).map(|audience| audience.value.clone()).collect()
    }
}

impl ClientSettings {
    /// How narrows proves itself.
    pub fn authentication(&self) -> ClientAuthentication {
        let default = if self.secret.is_some() { ClientAuthentication::Basic } else { ClientAuthentication::None };
        self.auth.as_ref().map_or(default, |auth| auth.value)
    }
}

#[cfg(test)]
mod tests;
