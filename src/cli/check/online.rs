//! Whether directories answer, and whether they know the groups and users that the rules name.

use std::collections::BTreeSet;
use std::path::Path;

use tokio::time::Instant;

use super::report::{Report, Step};
use crate::authn::authenticator::{Authenticator, ProviderReport};
use crate::authn::provider::Provider;
use crate::authn::verdict::{Circumstances, Unavailable};
use crate::authz::{Named, Rulebook};
use crate::config::Config;
use crate::source::{Diagnostic, Severity};

/// Asks each provider; then looks for what the rules name at those that answered.
pub(super) async fn ask(config: &Config, authenticator: &Authenticator, rulebook: &Rulebook, report: &mut Report) {
    let asked = Asked { config, authenticator, providers: authenticator.health() };
    let mut answer = true;
    for provider in &asked.providers {
        answer &= asked.probe(provider, report).await;
    }
    // Nobody can be missed at a directory that cannot be asked.
    if answer {
        asked.look_up(rulebook, report).await;
    }
}

struct Asked<'a> {
    config: &'a Config,
    authenticator: &'a Authenticator,
    providers: Vec<ProviderReport>,
}

/// What a rule names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Group,
    User,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::User => "user",
        }
    }
}

impl Asked<'_> {
    /// As much time as a token request has.
    fn circumstances(&self) -> Circumstances {
        Circumstances { source: None, deadline: Instant::now() + self.config.request_deadline.duration() }
    }

    async fn probe(&self, named: &ProviderReport, report: &mut Report) -> bool {
        let steps = match self.authenticator.provider(&named.name) {
            Some(Provider::Ldap(directory)) => directory.probe(&self.circumstances()).await,
            // A file was read whole a moment ago.
            Some(Provider::File(_)) | None => Vec::new(),
        };
        let mut good = true;
        for step in steps {
            good &= step.outcome.is_ok();
            report.steps.push(Step { provider: named.name.to_string(), what: step.step, outcome: step.outcome });
        }
        good
    }

    /// Whoever several rule sets name is looked for once.
    async fn look_up(&self, rulebook: &Rulebook, report: &mut Report) {
        let mut seen = BTreeSet::new();
        for (_, file, policy) in rulebook.policies() {
            let Named { groups, users } = policy.named_principals();
            let groups = groups.into_iter().map(|(realm, name)| (realm, Kind::Group, name));
            let users = users.into_iter().map(|(realm, name)| (realm, Kind::User, name));
            for named in groups.chain(users) {
                if seen.insert(named.clone()) {
                    let (realm, kind, name) = named;
                    self.look_up_one(&realm, kind, &name, file, report).await;
                }
            }
        }
    }

    async fn look_up_one(&self, realm: &str, kind: Kind, name: &str, rules: &Path, report: &mut Report) {
        for provider in self.providers.iter().filter(|provider| *provider.realm == *realm) {
            if let (Some(Provider::Ldap(directory)), Kind::Group) = (self.authenticator.provider(&provider.name), kind)
                && !directory.can_find_group(name)
            {
                let outcome = Ok("not looked up: groups are looked up by name only below `groups.bases`".to_owned());
                report.steps.push(Step { provider: provider.name.to_string(), what: format!("group {name}"), outcome });
                return;
            }
            match self.knows(provider, kind, name).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(unavailable) => {
                    let what = format!("{} {name}", kind.as_str());
                    report.steps.push(Step { provider: unavailable.provider, what, outcome: Err(unavailable.reason) });
                    return;
                }
            }
        }
        report.found(
            Diagnostic {
                severity: Severity::Warning,
                file: rules.to_owned(),
                place: None,
                message: format!("realm `{realm}` has no {} `{name}`, which a rule names", kind.as_str()),
                hint: Some("correct its spelling, or remove it from the rule: it matches nobody".to_owned()),
                line: None,
            }
            .into(),
        );
    }

    async fn knows(&self, named: &ProviderReport, kind: Kind, name: &str) -> Result<bool, Unavailable> {
        let around = self.circumstances();
        match (self.authenticator.provider(&named.name), kind) {
            (Some(Provider::Ldap(directory)), Kind::Group) => directory.find_group(name, &around).await,
            (Some(Provider::Ldap(directory)), Kind::User) => Ok(directory.find_user(name, &around).await?.is_some()),
            (Some(Provider::File(users)), Kind::Group) => Ok(users.has_group(name)),
            (Some(Provider::File(users)), Kind::User) => Ok(users.has_user(name)),
            (None, Kind::Group | Kind::User) => Ok(false),
        }
    }
}
