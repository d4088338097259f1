//! The online check: the way to each server, the bases, whether there is anybody, and how groups are found. Nobody's password
//! is needed.

use std::time::Duration;

use ldap3::Scope;
use tokio::time::Instant;

use super::Directory;
use super::advice::failed;
use super::connection::{Connection, Search};
use super::endpoint::Security;
use super::entry::Entry;
use super::groups::MEMBER_OF;
use super::journey::Journey;
use super::server::Server;
use super::session::Session;
use super::settings::GroupStrategy;
use super::template::{Filter, FilterValue};
use crate::authn::rehearsal::{BindBudget, Outcome, Step};

impl Directory {
    /// Stops where the next step would have nothing to stand on.
    pub(super) async fn probed(&self, budget: BindBudget, patience: Duration) -> Vec<Step> {
        let mut steps = Vec::new();
        if !self.probed_servers(&mut steps, patience).await {
            return steps;
        }
        let started = Instant::now();
        let session = match self.session(started + patience).await {
            Ok(session) => session,
            Err(trouble) => {
                steps.push(failed(trouble.operation, &trouble, started));
                return steps;
            }
        };
        let users = self.probed_bases(self.bases.iter().map(|(base, _)| base.as_str()), &session, &mut steps).await;
        let groups = self.groups.bases().filter(|base| !self.bases.iter().any(|(known, _)| known == base));
        let groups = self.probed_bases(groups, &session, &mut steps).await;
        // One base that is not there is said once: nothing below it could be found.
        let person = if users { self.probed_people(&session, &mut steps).await } else { None };
        if let Some(person) = person.as_ref().filter(|_| groups) {
            self.probed_groups(person, &session, &mut steps).await;
        }
        // Groups may have taken all of the time.
        let started = Instant::now();
        match self.session(started + patience).await {
            Ok(session) => steps.extend(self.probed_lockout(person.as_ref(), budget, &session).await),
            Err(trouble) => steps.push(failed(trouble.operation, &trouble, started)),
        }
        steps
    }

    /// Each server's steps; whether one of them may be searched.
    pub(super) async fn probed_servers(&self, steps: &mut Vec<Step>, patience: Duration) -> bool {
        let started = Instant::now();
        let servers = match self.servers.all(started + patience).await {
            Ok(servers) => servers,
            Err(trouble) => {
                steps.push(failed("discovery", &trouble, started));
                return false;
            }
        };
        let (mut one, before) = (false, steps.len());
        for server in &servers {
            let named = |step: &str| if servers.len() == 1 { step.to_owned() } else { format!("{step} {}", server.link().endpoint) };
            one |= self.probed_server(server, named, steps, patience).await;
        }
        // While another answers, logins go on.
        for step in steps.iter_mut().skip(before).filter(|step| one && step.outcome == Outcome::Failed) {
            step.outcome = Outcome::Warning;
        }
        one
    }

    async fn probed_server(&self, server: &Server, named: impl Fn(&str) -> String, steps: &mut Vec<Step>, patience: Duration) -> bool {
        let (started, endpoint) = (Instant::now(), &server.link().endpoint);
        let deadline = started + patience;
        let mut journey = Journey::default();
        let opened = Connection::open_watched(server.link(), deadline, &mut journey).await;
        let reached = journey.resolved.as_ref().map(|(addresses, took)| {
            let addresses: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            Step::good(named("resolve"), addresses.join(", ")).took(*took)
        });
        let resolved = reached.is_some();
        steps.extend(reached);
        if let Some((address, took)) = &journey.connected {
            steps.push(Step::good(named("connect"), format!("{endpoint} at {address}")).took(*took));
        }
        match (endpoint.security, &journey.handshake) {
            (Security::Tls, Some(handshake)) => steps.push(handshake.step(named("tls"), "with TLS", self.clock.now())),
            (Security::StartTls, Some(handshake)) => steps.push(handshake.step(named("tls"), "with StartTLS", self.clock.now())),
            (Security::None, _) if opened.is_ok() => {
                let open = Step::new(named("tls"), Outcome::Warning, "WITHOUT TLS: passwords travel readable");
                steps.push(open.advice("remove `allow_plaintext`, or write ldaps://"));
            }
            (Security::Tls | Security::StartTls | Security::None, _) => {}
        }
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(trouble) => {
                let trouble = if resolved { trouble } else { trouble.of("resolve") };
                steps.push(failed(named(trouble.operation), &trouble, started));
                return false;
            }
        };
        let started = Instant::now();
        let bound = server.bind_service(&mut connection, deadline).await;
        steps.push(match &bound {
            Ok(()) => Step::good(named("service account"), server.service().who()).took(started.elapsed()),
            Err(trouble) => failed(named("service account"), trouble, started),
        });
        bound.is_ok()
    }

    /// Whether all of them are there.
    pub(super) async fn probed_bases<'a>(
        &self,
        bases: impl Iterator<Item = &'a str>,
        session: &Session<'_>,
        steps: &mut Vec<Step>,
    ) -> bool {
        let mut all = true;
        for base in bases {
            let (name, started) = (format!("base {base}"), Instant::now());
            let search = Search { base, scope: Scope::Base, filter: &Filter::any(), attributes: &["1.1"], at_most: None };
            let step = match session.search(&search).await {
                Ok(found) if found.is_empty() => {
                    let unseen = Step::new(name, Outcome::Failed, "it exists, but the service account may not see it");
                    unseen.advice("let the service account read and search there").took(started.elapsed())
                }
                Ok(_) => Step::good(name, "exists").took(started.elapsed()),
                Err(trouble) => failed(name, &trouble, started),
            };
            all &= step.outcome == Outcome::Good;
            steps.push(step);
        }
        all
    }

    /// Whether there is anybody, with an id; one of them, who lists groups where that is how they are found.
    async fn probed_people(&self, session: &Session<'_>, steps: &mut Vec<Step>) -> Option<Entry> {
        let people = self.filter.any_name();
        let nobody =
            ("the filter finds nobody below the bases", "correct `user.filter` and `user.bases`, or let the service account search there");
        let person = self.probed_some("users", &people, nobody, session, steps).await?;
        let with = |attribute: &str| people.and(&Filter::equals(attribute, &FilterValue::any()));
        let nobody =
            ("nobody has this attribute, or the service account may not read it", "let the service account read it, or correct `user.id`");
        self.probed_some(&format!("id {}", self.id.name()), &with(self.id.name()), nobody, session, steps).await;
        let nameless = (
            "nobody has this attribute, or the service account may not read it",
            "let the service account read it, or correct `user.username`",
        );
        self.probed_some(&format!("username {}", self.username), &with(&self.username), nameless, session, steps).await;
        if self.groups.strategy() != GroupStrategy::Memberof {
            return Some(person);
        }
        let nobody = (
            "nobody has this attribute, or the service account may not read it",
            "load the memberOf overlay and write the groups again, or use `strategy: member`",
        );
        self.probed_some(&format!("attribute {MEMBER_OF}"), &with(MEMBER_OF), nobody, session, steps).await
    }

    async fn probed_some(
        &self,
        name: &str,
        filter: &Filter,
        (nobody, advice): (&str, &str),
        session: &Session<'_>,
        steps: &mut Vec<Step>,
    ) -> Option<Entry> {
        let (attributes, started) = (self.attributes(), Instant::now());
        for (base, _) in &self.bases {
            let search = Search { base, scope: self.scope, filter, attributes: &attributes, at_most: Some(1) };
            match session.search(&search).await {
                Ok(mut found) => {
                    let Some(entry) = found.pop() else { continue };
                    steps.push(Step::good(name, "found").took(started.elapsed()));
                    return Some(entry);
                }
                Err(trouble) => {
                    steps.push(failed(name, &trouble, started));
                    return None;
                }
            }
        }
        steps.push(Step::new(name, Outcome::Wrong, nobody).advice(advice).took(started.elapsed()));
        None
    }

    /// Whether the strategy finds the groups of one person.
    async fn probed_groups(&self, person: &Entry, session: &Session<'_>, steps: &mut Vec<Step>) {
        let (name, started) = (format!("groups by {}", self.groups.strategy().as_str()), Instant::now());
        if let Some(attribute) = self.groups.naming_attribute() {
            match self.groups.some_group_has(attribute, session).await {
                Ok(true) => {}
                Ok(false) => {
                    let none = Step::new(name, Outcome::Wrong, format!("no group below `groups.bases` has `{attribute}`"));
                    let advice = "correct `groups.bases` and `groups.filter`, let the service account read it, or take another strategy";
                    steps.push(none.advice(advice).took(started.elapsed()));
                    return;
                }
                Err(trouble) => {
                    steps.push(failed(name, &trouble, started));
                    return;
                }
            }
        }
        let started = Instant::now();
        steps.push(match self.groups.memberships(person, session).await {
            Ok(groups) => Step::good(name, format!("`{}` is in {}", person.dn, groups.found.len())).took(started.elapsed()),
            Err(trouble) => failed(name, &trouble, started),
        });
    }
}
