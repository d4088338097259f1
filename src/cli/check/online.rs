//! Whether directories answer, and whether they know the groups and users that the rules name.

use std::collections::BTreeSet;
use std::path::Path;

use tokio::time::Instant;

use super::report::{self, Report};
use crate::authn::authenticator::{Authenticator, ProviderReport};
use crate::authn::ldap::LOCK_OUT;
use crate::authn::provider::Provider;
use crate::authn::rehearsal::{BindBudget, Outcome, Step};
use crate::authn::verdict::{Circumstances, Unavailable};
use crate::authz::{Named, Rulebook};
use crate::config::Config;
use crate::issue::callback_of;
use crate::source::{Diagnostic, Diagnostics, Severity};

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

    /// What reaches a directory of one account's wrong passwords.
    fn budget(&self) -> BindBudget {
        let throttle = &self.config.throttle;
        BindBudget { failures: throttle.failures.value, window: throttle.window.value.duration() }
    }

    async fn probe(&self, named: &ProviderReport, report: &mut Report) -> bool {
        let steps = match self.authenticator.provider(&named.name) {
            Some(Provider::Ldap(directory)) => directory.probe(self.budget(), &self.circumstances()).await,
            Some(Provider::Oidc(party)) => party.probe(&self.circumstances()).await,
            // A file was read whole a moment ago.
            Some(Provider::File(_)) | None => Vec::new(),
        };
        let (mut good, answers) = (true, steps.iter().all(|step| step.outcome != Outcome::Failed));
        for step in steps {
            // A policy that clashes keeps nobody from being found.
            good &= !matches!(step.outcome, Outcome::Failed | Outcome::Wrong) || step.name == LOCK_OUT;
            report.steps.push(report::Asked { provider: named.name.to_string(), step });
        }
        if answers && let Some(step) = self.way_back(&named.name).await {
            report.steps.push(report::Asked { provider: named.name.to_string(), step });
        }
        good
    }

    /// Whether browsers may come back from an issuer. Nobody is missed for that.
    async fn way_back(&self, provider: &str) -> Option<Step> {
        let Some(Provider::Oidc(party)) = self.authenticator.provider(provider) else { return None };
        let redirect = callback_of(&self.config.public_url.as_ref()?.value, provider).ok()?;
        Some(party.probe_redirect(&redirect, &self.circumstances()).await)
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
                let why = "not looked up: groups are looked up by name only below `groups.bases`";
                let step = Step::new(format!("group {name}"), Outcome::Note, why);
                report.steps.push(report::Asked { provider: provider.name.to_string(), step });
                return;
            }
            match self.knows(provider, kind, name).await {
                Ok(Known::Not) => {}
                Ok(Known::Same) => return,
                Ok(Known::As(theirs)) => {
                    let message = format!("a rule names the user `{name}` of realm `{realm}`, whose name in the directory is `{theirs}`");
                    report.found(unmatched(rules, message, &format!("write `{theirs}`: rules compare with that name alone")));
                    return;
                }
                Err(unavailable) => {
                    let step = Step::new(format!("{} {name}", kind.as_str()), Outcome::Failed, unavailable.reason);
                    report.steps.push(report::Asked { provider: unavailable.provider, step });
                    return;
                }
            }
        }
        if let Some(issuer) = self.issuer_of(realm) {
            let why = "not looked up: an issuer says nothing of people who do not sign in";
            let step = Step::new(format!("{} {name}", kind.as_str()), Outcome::Note, why);
            report.steps.push(report::Asked { provider: issuer.to_owned(), step });
            return;
        }
        let message = format!("realm `{realm}` has no {} `{name}`, which a rule names", kind.as_str());
        let hint = match kind {
            Kind::Group => "correct its spelling, or remove it from the rule: it matches nobody. Is it outside of `groups.bases`?",
            Kind::User => "correct its spelling, or remove it from the rule: it matches nobody",
        };
        report.found(unmatched(rules, message, hint));
    }

    /// An issuer that vouches for people of a realm.
    fn issuer_of(&self, realm: &str) -> Option<&str> {
        let is_issuer = |name: &str| matches!(self.authenticator.provider(name), Some(Provider::Oidc(_)));
        self.providers.iter().find(|provider| *provider.realm == *realm && is_issuer(&provider.name)).map(|provider| &*provider.name)
    }

    async fn knows(&self, named: &ProviderReport, kind: Kind, name: &str) -> Result<Known, Unavailable> {
        let around = self.circumstances();
        let found = match (self.authenticator.provider(&named.name), kind) {
            (Some(Provider::Ldap(directory)), Kind::Group) => directory.find_group(name, &around).await?,
            (Some(Provider::Ldap(directory)), Kind::User) => {
                return Ok(match directory.find_user(name, &around).await? {
                    None => Known::Not,
                    Some(identity) if directory.is_same_name(&identity.username, name) => Known::Same,
                    Some(identity) => Known::As(identity.username),
                });
            }
            (Some(Provider::File(users)), Kind::Group) => users.has_group(name),
            (Some(Provider::File(users)), Kind::User) => users.has_user(name),
            (Some(Provider::Oidc(_)) | None, Kind::Group | Kind::User) => false,
        };
        Ok(if found { Known::Same } else { Known::Not })
    }
}

/// Whether a provider knows what a rule names.
enum Known {
    Not,
    Same,
    /// Somebody of another name answers to it.
    As(String),
}

fn unmatched(rules: &Path, message: String, hint: &str) -> Diagnostics {
    let hint = Some(hint.to_owned());
    Diagnostic { severity: Severity::Warning, file: rules.to_owned(), place: None, message, hint, line: None }.into()
}
