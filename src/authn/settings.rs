//! `providers`, `credentials_cache` and `throttle` of the configuration.

use serde::Deserialize;

use super::file::FileSettings;
use super::ldap::LdapSettings;
use crate::source::{Located, OneOrMany, Period};

/// One source of identities. Exactly one of the nested kinds stands in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// What logs, rules and the audit call it.
    pub name: Located<String>,
    /// Whose people these are. Default: the name.
    #[serde(default)]
    pub realm: Option<Located<String>>,
    /// Globs over the typed name that say who is asked here. Default `*`.
    #[serde(default)]
    pub names: Option<OneOrMany>,
    /// Whether names and groups compare without regard to ASCII case. Default: true for ldap, false for the others.
    #[serde(default)]
    pub ignore_case: Option<Located<bool>>,
    /// How long a verified answer may be used after an outage began. Default 0s; other values come with the LDAP issue.
    #[serde(default)]
    pub stale_if_error: Option<Located<Period>>,
    /// An LDAP directory.
    #[serde(default)]
    pub ldap: Option<Located<LdapSettings>>,
    /// A file of users.
    #[serde(default)]
    pub file: Option<Located<FileSettings>>,
    /// An OIDC issuer (refused by name until the OIDC issue).
    #[serde(default)]
    pub oidc: Option<Located<super::oidc::OidcSettings>>,
    /// A workload issuer (refused by name until the OIDC issue).
    #[serde(default)]
    pub workload: Option<Located<super::workload::WorkloadSettings>>,
}

/// How long and how many verified and rejected credentials are remembered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// How long a verified answer is reused. Default 60s; 0s asks every time.
    pub verified: Located<Period>,
    /// How long the same wrong pair is not sent again. Default 10m.
    pub rejected: Located<Period>,
    /// At most so many verified answers. Default 100000.
    pub max_verified: Located<u64>,
    /// At most so many rejected pairs. Default 100000.
    pub max_rejected: Located<u64>,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            verified: Located::nowhere(Period::seconds(60)),
            rejected: Located::nowhere(Period::minutes(10)),
            max_verified: Located::nowhere(100_000),
            max_rejected: Located::nowhere(100_000),
        }
    }
}

/// The shield in front of directories. Only `rejection_floor` is live; other values come with the LDAP issue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThrottleSettings {
    /// Failed binds per account and window. Default 3.
    pub failures: Located<u32>,
    /// When failures are forgotten. Default 30m.
    pub window: Located<Period>,
    /// A 401 for bad credentials leaves no earlier than this after its request came. Default 400ms.
    pub rejection_floor: Located<Period>,
    /// Wrong comparisons per name and source. Default 100.
    pub comparisons_per_source: Located<u32>,
    /// The window of `comparisons_per_source`. Default 24h.
    pub comparisons_window: Located<Period>,
    /// How many replicas share the directory. Default 1.
    pub replicas: Located<u32>,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        Self {
            failures: Located::nowhere(3),
            window: Located::nowhere(Period::minutes(30)),
            rejection_floor: Located::nowhere(Period::milliseconds(400)),
            comparisons_per_source: Located::nowhere(100),
            comparisons_window: Located::nowhere(Period::hours(24)),
            replicas: Located::nowhere(1),
        }
    }
}
