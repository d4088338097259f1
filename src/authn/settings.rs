//! `providers`, `credentials_cache` and `throttle` of the configuration.

mod providers;

use std::sync::Arc;

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::file::FileSettings;
use super::ldap::LdapSettings;
use super::oidc::OidcSettings;
use super::provider::Names;
use super::route::NamePatterns;
use super::workload::WorkloadSettings;
use crate::source::{Diagnostics, Located, OneOrMany, Period, SourceFile, exactly_one_of};

pub use providers::check_providers;

/// One source of identities. Exactly one of the nested kinds stands in it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one_of(&["ldap", "file", "oidc", "workload"])))]
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
    /// How long after their last success credentials and identity tokens still pull while the directory cannot be asked; at
    /// most 24h. Default 0s: not at all.
    #[serde(default)]
    pub stale_if_error: Option<Located<Period>>,
    /// An LDAP directory.
    #[serde(default)]
    pub ldap: Option<Located<LdapSettings>>,
    /// A file of users.
    #[serde(default)]
    pub file: Option<Located<FileSettings>>,
    /// An OIDC issuer: people sign in there. Needs `public_url`.
    #[serde(default)]
    pub oidc: Option<Located<OidcSettings>>,
    /// An issuer of tokens for pipelines. Not available yet.
    #[serde(default)]
    pub workload: Option<Located<WorkloadSettings>>,
}

/// The one kind that stands in a provider.
#[derive(Clone, Copy, Debug)]
pub enum ProviderKind<'a> {
    /// An LDAP directory.
    Ldap(&'a Located<LdapSettings>),
    /// A file of users.
    File(&'a Located<FileSettings>),
    /// An OIDC issuer.
    Oidc(&'a Located<OidcSettings>),
    /// A workload issuer.
    Workload(&'a Located<WorkloadSettings>),
}

impl ProviderSettings {
    /// The files whose change makes this provider another: users, certificates, secrets. Relative paths are meant from
    /// `folder`.
    pub fn files(&self, folder: &Path) -> Vec<PathBuf> {
        let users = self.file.as_ref().and_then(|file| file.value.users_path(folder)).map(|path| path.as_path().to_owned());
        let directory = self.ldap.as_ref().map(|ldap| ldap.value.files(folder)).unwrap_or_default();
        let issuer = self.oidc.as_ref().map(|oidc| oidc.value.files(folder)).unwrap_or_default();
        users.into_iter().chain(directory).chain(issuer).collect()
    }

    /// Its kinds: exactly one, once it is checked.
    pub fn kinds(&self) -> Vec<ProviderKind<'_>> {
        let ldap = self.ldap.as_ref().map(ProviderKind::Ldap);
        let file = self.file.as_ref().map(ProviderKind::File);
        let oidc = self.oidc.as_ref().map(ProviderKind::Oidc);
        let workload = self.workload.as_ref().map(ProviderKind::Workload);
        [ldap, file, oidc, workload].into_iter().flatten().collect()
    }

    /// What it is called and how its names compare, with defaults filled in.
    pub fn names(&self) -> Names {
        Names {
            provider: Arc::from(self.name.value.as_str()),
            realm: Arc::from(self.realm.as_ref().unwrap_or(&self.name).value.as_str()),
            ignore_case: self.ignore_case.as_ref().map_or(self.ldap.is_some(), |it| it.value),
        }
    }

    /// The pattern of `names` by which this provider is asked for a typed name.
    pub fn asked_by(&self, typed: &str) -> Option<String> {
        self.patterns().matching(typed).map(ToOwned::to_owned)
    }

    /// How long its successes may be gone by.
    pub(super) fn stale(&self) -> Duration {
        self.stale_if_error.as_ref().map_or(Duration::ZERO, |stale| stale.value.duration())
    }

    /// Which typed names are asked here.
    pub(super) fn patterns(&self) -> NamePatterns {
        let ignore_case = self.names().ignore_case;
        match &self.names {
            Some(names) => NamePatterns::new(names.0.iter().map(|name| name.value.as_str()), ignore_case),
            None => NamePatterns::new(["*"], ignore_case),
        }
    }
}

/// How long and how many verified and rejected credentials are remembered.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
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

impl CacheSettings {
    /// Room for something.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        for (key, capacity, lifetime) in
            [("max_verified", &self.max_verified, "verified"), ("max_rejected", &self.max_rejected, "rejected")]
        {
            if capacity.value == 0 {
                let hint = format!("write a number of at least 1; `{lifetime}: 0s` is what remembers nothing");
                findings.push(file.error(capacity.place, format!("`{key}` is 0")).hint(hint));
            }
        }
    }
}

/// The shield in front of directories.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThrottleSettings {
    /// Failed binds that reach a directory per account and window: fewer than those after which it locks. Default 3.
    pub failures: Located<u32>,
    /// When failed binds are forgotten, counted from the last one: no less than the directory takes. Default 30m.
    pub window: Located<Period>,
    /// A 401 for bad credentials leaves no earlier than this after its request came. Default 400ms.
    pub rejection_floor: Located<Period>,
    /// Different wrong passwords per name and source; ten times that from all sources that never logged in. Default 100.
    pub comparisons_per_source: Located<u32>,
    /// When they are forgotten, counted from the first one. Default 24h.
    pub comparisons_window: Located<Period>,
    /// How many replicas share the directory: each takes its part of `failures`. Default 1.
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

/// A floor above this would eat most of a request's deadline.
const MAX_REJECTION_FLOOR: Period = Period::seconds(5);
/// What is forgotten sooner counts nothing.
const MIN_WINDOW: Period = Period::minutes(1);
/// Known sources are remembered as long.
const MAX_WINDOW: Period = Period::days(30);

impl ThrottleSettings {
    /// Counts of at least one, windows that fit the memory, and a floor that leaves time for the answer.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        let counts = [("failures", &self.failures), ("comparisons_per_source", &self.comparisons_per_source), ("replicas", &self.replicas)];
        for (key, count) in counts {
            if count.value == 0 {
                findings.push(file.error(count.place, format!("`{key}` is 0")).hint("write a number of at least 1"));
            }
        }
        for (key, window) in [("window", &self.window), ("comparisons_window", &self.comparisons_window)] {
            if window.value < MIN_WINDOW || window.value > MAX_WINDOW {
                let message = format!("`{key}` is not between {MIN_WINDOW} and {MAX_WINDOW}");
                findings.push(file.error(window.place, message).hint("write a duration as 30m or 24h"));
            }
        }
        if self.failures.value > 0 && self.replicas.value > self.failures.value {
            let message = format!("{} replicas share {} failed binds, so each takes one", self.replicas.value, self.failures.value);
            let hint = "an account may see as many failed binds as there are replicas: let the directory lock later than that";
            findings.push(file.warning(self.replicas.place, message).hint(hint));
        }
        if self.failures.value.checked_div(self.replicas.value) == Some(1) {
            let message = "with one failed bind for each account nothing is kept for those who logged in before";
            let hint =
                "whoever types one wrong password for somebody keeps their new one out for `window`: write at least 2 for each replica";
            findings.push(file.warning(self.failures.place, message).hint(hint));
        }
        if self.rejection_floor.value > MAX_REJECTION_FLOOR {
            let message = format!("`rejection_floor` is longer than {MAX_REJECTION_FLOOR}");
            findings.push(file.error(self.rejection_floor.place, message).hint("400ms hides what a comparison costs"));
        }
    }
}

#[cfg(test)]
mod tests;
