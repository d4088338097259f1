//! How everything stands: what `/readyz` on `admin_listen` and `narrows status` show.

use serde::{Deserialize, Serialize};

use super::comparison::Comparison;
use crate::authn::provider::Health;
use crate::clock::Timestamp;
use crate::issue::Issuer;
use crate::source::Diagnostics;

/// The state of the running service.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Status {
    /// Whether anybody can be served.
    pub ready: bool,
    /// The version of the program.
    pub version: String,
    /// Counts the reloads.
    pub generation: u64,
    /// The registries.
    pub services: Vec<String>,
    /// Each provider and what came of asking it last.
    pub providers: Vec<ProviderStatus>,
    /// Each key and until when it can sign.
    pub keys: Vec<KeyStatus>,
    /// The last reload.
    pub reload: ReloadStatus,
    /// What is wrong with the memory of the shield.
    #[serde(default)]
    pub shield: Option<String>,
}

/// One provider.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// Whose people it knows.
    pub realm: String,
    /// `file`, `ldap` or `oidc`.
    pub kind: String,
    /// `up`, `down`, or `unknown` where nobody asked yet.
    pub state: String,
    /// Why it is down, or which of its servers are.
    pub reason: Option<String>,
}

/// One signing key.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct KeyStatus {
    /// Whose tokens it signs.
    pub service: String,
    /// How it is named in tokens.
    pub kid: String,
    /// How it signs.
    pub algorithm: String,
    /// When its certificate ends (RFC 3339).
    pub not_after: String,
}

/// What came of reading the files.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ReloadStatus {
    /// When the running generation was loaded (RFC 3339).
    pub loaded: String,
    /// Whether its rules are those of the last good load, because the files were bad at the start.
    #[serde(default)]
    pub last_good: bool,
    /// When a reload was refused last, if none was good since (RFC 3339).
    pub refused: Option<String>,
    /// Why, with file and line.
    pub error: Option<String>,
    /// New rules that wait because they widen.
    #[serde(default)]
    pub held: Option<HeldStatus>,
}

/// New rules that wait because they may give somebody more.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct HeldStatus {
    /// Since when (RFC 3339).
    pub since: String,
    /// Tells them from other rules.
    pub digest: String,
    /// How they differ from the ones that run.
    pub comparison: Comparison,
    /// Whether a changed configuration waits with them.
    pub configuration: bool,
    /// The command that accepts them.
    pub accept: String,
}

impl HeldStatus {
    pub(super) fn new(since: Timestamp, digest: String, comparison: Comparison, configuration: bool) -> Self {
        let accept = format!("narrows reload --accept-widening={digest}");
        Self { since: since.rfc3339(), digest, comparison, configuration, accept }
    }
}

impl ReloadStatus {
    pub(super) fn loaded(at: Timestamp) -> Self {
        Self { loaded: at.rfc3339(), last_good: false, refused: None, error: None, held: None }
    }

    /// A start, with the last good rules where there was a problem with the files.
    pub(super) fn started(at: Timestamp, problem: Option<&Diagnostics>) -> Self {
        let good = Self::loaded(at);
        problem.map_or_else(|| good.clone(), |findings| Self { last_good: true, ..good.refused(at, findings) })
    }

    pub(super) fn refused(&self, at: Timestamp, findings: &Diagnostics) -> Self {
        let error = findings.first().map(|first| match findings.0.len() {
            0 | 1 => first.summary(),
            all => format!("{} (and {} more)", first.summary(), all - 1),
        });
        Self { loaded: self.loaded.clone(), last_good: self.last_good, refused: Some(at.rfc3339()), error, held: None }
    }

    /// These rules wait. Those that did already do so since then.
    pub(super) fn holding(&self, mut held: HeldStatus) -> Self {
        if let Some(before) = self.held.as_ref().filter(|before| before.digest == held.digest) {
            held.since.clone_from(&before.since);
        }
        Self { refused: None, error: None, held: Some(held), ..self.clone() }
    }
}

impl Status {
    pub(super) fn of(issuer: &Issuer, reload: &ReloadStatus) -> Self {
        let reports = issuer.authenticator.health();
        let from_memory = reports.iter().any(|report| report.stale_until.is_some());
        let providers: Vec<_> = reports
            .into_iter()
            .map(|report| {
                let (state, reason) = match report.health {
                    Health::Unknown => ("unknown", None),
                    Health::Up => ("up", None),
                    Health::Impaired(reason) => ("impaired", Some(reason)),
                    Health::Down(reason) => {
                        let pulls = report.stale_until.map(|until| format!("; pulls are served from memory until {}", until.rfc3339()));
                        ("down", Some(format!("{reason}{}", pulls.unwrap_or_default())))
                    }
                };
                let (name, realm) = (report.name.to_string(), report.realm.to_string());
                ProviderStatus { name, realm, kind: report.kind.to_owned(), state: state.to_owned(), reason }
            })
            .collect();
        let keys: Vec<_> = issuer
            .keys
            .report()
            .into_iter()
            .map(|key| KeyStatus {
                service: key.service,
                kid: key.kid,
                algorithm: key.algorithm.to_owned(),
                not_after: key.not_after.rfc3339(),
            })
            .collect();
        let ready = !keys.is_empty() && (from_memory || providers.iter().any(|provider| provider.state != "down"));
        Self {
            ready,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            generation: issuer.generation,
            services: issuer.services.keys().cloned().collect(),
            providers,
            keys,
            reload: reload.clone(),
            shield: issuer.authenticator.throttle().trouble().map(str::to_owned),
        }
    }
}
