//! The configuration as it is written: every top-level key with its default.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::log::LogSettings;
use crate::audit::settings::AuditSettings;
use crate::authn::settings::{CacheSettings, ProviderSettings, ThrottleSettings};
use crate::authz::settings::{PolicyTests, ReloadSettings, RulesSettings};
use crate::source::{Located, OneOrMany, Period};
use crate::store::settings::StateSettings;
use crate::token::identity_token::settings::IdentityTokenSettings;
use crate::token::settings::{ServiceSettings, SigningSettings};

/// All top-level keys. Addresses stay texts here, so that several bad ones are found at once.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(
    title = "narrows.yaml",
    description = "The configuration of narrows. docs/reference.md explains every key.",
    extend("required" = ["services", "providers"], "anyOf" = [
        {"required": ["rules"]},
        {"properties": {"services": {"items": {"required": ["rules"]}}}},
    ]),
)]
pub(super) struct Document {
    /// Address and port for clients. Default `127.0.0.1:5001`.
    pub(super) listen: Located<String>,
    /// Address and port for operators. Default `127.0.0.1:5002`.
    pub(super) admin_listen: Located<String>,
    /// How clients reach `listen`. Default: not known.
    pub(super) public_url: Option<Located<String>>,
    /// The certificate of `listen`. Default: plain HTTP.
    pub(super) tls: Option<TlsSettings>,
    /// Whether a proxy in front speaks TLS. Default false.
    pub(super) behind_proxy: Located<bool>,
    /// Networks that may set `X-Forwarded-For`. Default nobody.
    pub(super) trusted_proxies: Vec<Located<String>>,
    /// The registries; at least one.
    #[schemars(length(min = 1))]
    pub(super) services: Vec<ServiceSettings>,
    /// Where keys live and how they are renewed.
    pub(super) signing: SigningSettings,
    /// The files of rules; required unless every service has its own.
    #[schemars(with = "RulesSettings")]
    pub(super) rules: Option<RulesSettings>,
    /// Policy tests that every load has to pass.
    pub(super) policy_tests: PolicyTests,
    /// When changed files are picked up.
    pub(super) reload: ReloadSettings,
    /// The sources of identities; at least one.
    #[schemars(length(min = 1))]
    pub(super) providers: Vec<ProviderSettings>,
    /// What is remembered of verified and rejected credentials.
    pub(super) credentials_cache: CacheSettings,
    /// How long a token request may take. Default 8s.
    pub(super) request_deadline: Located<Period>,
    /// The shield in front of directories.
    pub(super) throttle: ThrottleSettings,
    /// What outlives the process.
    pub(super) state: StateSettings,
    /// How long a saved login lasts.
    pub(super) identity_tokens: IdentityTokenSettings,
    /// Where decisions are written. Default standard output.
    pub(super) audit: AuditSettings,
    /// How the service logs.
    pub(super) log: LogSettings,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            listen: Located::nowhere("127.0.0.1:5001".to_owned()),
            admin_listen: Located::nowhere("127.0.0.1:5002".to_owned()),
            public_url: None,
            tls: None,
            behind_proxy: Located::nowhere(false),
            trusted_proxies: Vec::new(),
            services: Vec::new(),
            signing: SigningSettings::default(),
            rules: None,
            policy_tests: PolicyTests(OneOrMany(Vec::new())),
            reload: ReloadSettings::default(),
            providers: Vec::new(),
            credentials_cache: CacheSettings::default(),
            request_deadline: Located::nowhere(Period::seconds(8)),
            throttle: ThrottleSettings::default(),
            state: StateSettings::default(),
            identity_tokens: IdentityTokenSettings::default(),
            audit: AuditSettings::default(),
            log: LogSettings::default(),
        }
    }
}

/// `tls`: the certificate of `listen`. Replaced files are picked up.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM certificate chain, the service's own first.
    pub certificate: Located<PathBuf>,
    /// PEM private key.
    pub key: Located<PathBuf>,
}
