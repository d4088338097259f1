//! The audit event of one request, filled in as the request goes its way.

use std::time::Duration;

use super::sign_in::Caller;
use super::{Client, Issuer, Refusal, TokenRequest};
use crate::audit::{Audit, AuditEvent, Outcome, Proof, RefusedAction};
use crate::authn::identity::Identity;
use crate::authz::{Decision, Policy, RefusedBy, RuleName};
use crate::clock::Timestamp;
use crate::store::TokenRow;

/// What is known so far.
pub(super) struct Record {
    event: AuditEvent,
    whole: bool,
    empty: bool,
}

impl Record {
    /// What is known of a request before anybody was asked.
    pub(super) fn of(issuer: &Issuer, request: &TokenRequest) -> Self {
        let event = AuditEvent {
            service: request.service.clone(),
            requested: request.scopes.scopes.iter().map(ToString::to_string).collect(),
            notes: request.scopes.dropped.iter().map(|(item, why)| format!("dropped {item}: {why}")).collect(),
            ..blank(issuer, &request.id, &request.client)
        };
        Self { event, whole: request.scopes.dropped.is_empty(), empty: true }
    }

    /// Nothing is signed for this one (`/whoami`).
    pub(super) fn is_a_question(&mut self) {
        self.event.reason = Some("whoami".to_owned());
    }

    /// The registry, once it is one of ours.
    pub(super) fn service(&mut self, name: &str) {
        self.event.service = Some(name.to_owned());
    }

    /// A name that nobody vouched for yet: people type passwords there, so it is written concealed.
    pub(super) fn typed(&mut self, audit: &Audit, name: &str) {
        self.event.username = Some(audit.conceal(name));
    }

    /// A provider vouches for this person.
    pub(super) fn identified(&mut self, policy: &Policy, identity: &Identity, cached: bool) {
        self.event.realm = Some(identity.realm.to_string());
        self.event.provider = Some(identity.provider.to_string());
        self.event.subject = Some(policy.subject(identity));
        self.event.username = Some(identity.username.clone());
        self.event.proof = Some(Proof::from(identity));
        self.event.cached = cached;
    }

    /// The provider could not be asked now; what it said at this time is gone by.
    pub(super) fn stale(&mut self, asked: Timestamp) {
        self.event.cached = true;
        self.event.stale = Some(asked);
    }

    /// The provider that knows the name refused; a name that no provider knows stays concealed.
    pub(super) fn refused_by(&mut self, provider: Option<&str>, typed: &str, reason: &'static str, cached: bool) {
        if let Some(provider) = provider {
            self.event.provider = Some(provider.to_owned());
            self.event.username = Some(typed.to_owned());
        }
        self.event.reason = Some(reason.to_owned());
        self.event.cached = cached;
    }

    /// The credentials can never be right, or no longer are.
    pub(super) fn rejected(&mut self, reason: &str) {
        self.event.reason = Some(reason.to_owned());
    }

    /// What is worth knowing beside the outcome: which kind of login, or why there was none.
    pub(super) fn because(&mut self, reason: &str) {
        self.event.reason = Some(reason.to_owned());
    }

    /// This provider could not be asked.
    pub(super) fn unavailable(&mut self, provider: &str) {
        self.event.provider = Some(provider.to_owned());
    }

    /// What the rules said.
    pub(super) fn decided(&mut self, decision: &Decision) {
        self.event.granted = super::scopes_of(decision);
        self.empty = decision.is_empty();
        self.whole = self.whole && decision.is_whole();
        for grant in &decision.grants {
            let scope = grant.requested.resource.to_string();
            for (action, by) in &grant.refused {
                let by = match by {
                    RefusedBy::NoRule => "no rule".to_owned(),
                    RefusedBy::Deny(rule) => rule_text(rule),
                    RefusedBy::Unknown(fact) => fact.clone(),
                    RefusedBy::Stale => "stale".to_owned(),
                };
                self.event.refused.push(RefusedAction { scope: scope.clone(), action: action.to_string(), by });
            }
            for rule in grant.granted_by.iter().flat_map(|(_, rules)| rules) {
                let rule = rule_text(rule);
                if !self.event.rules.contains(&rule) {
                    self.event.rules.push(rule);
                }
            }
            self.event.notes.extend(grant.notes.iter().cloned());
        }
    }

    /// The id of the token that is about to be signed.
    pub(super) fn signed(&mut self, id: &str) {
        self.event.jti = Some(id.to_owned());
    }

    /// The finished event.
    pub(super) fn into_event(mut self, refusal: Option<&Refusal>, decided: Timestamp, took: Duration) -> AuditEvent {
        self.event.time = decided;
        self.event.outcome = match refusal {
            None if self.empty => Outcome::Empty,
            None if self.whole => Outcome::Granted,
            None => Outcome::Narrowed,
            Some(Refusal::Rejected | Refusal::RejectedWithAdvice(_) | Refusal::LoginEnded) => Outcome::Rejected,
            Some(Refusal::AuthenticationRequired) => {
                self.event.reason = Some("anonymous".to_owned());
                Outcome::Rejected
            }
            Some(Refusal::UnknownService | Refusal::MissingService) => Outcome::Invalid,
            Some(Refusal::Throttled { .. } | Refusal::TooManyLogins { .. }) => Outcome::Throttled,
            Some(Refusal::Unavailable { .. }) => Outcome::Unavailable,
        };
        if refusal.is_some() {
            self.event.jti = None;
            self.event.granted.clear();
        }
        self.event.latency_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.event
    }
}

/// How the audit calls a rule.
fn rule_text(rule: &RuleName) -> String {
    format!("{} ({}:{})", rule.name, rule.file, rule.line)
}

/// The event of a request that was refused before it meant anything.
pub(super) fn invalid(issuer: &Issuer, id: &str, client: &Client, reason: &'static str) -> AuditEvent {
    AuditEvent { reason: Some(reason.to_owned()), ..blank(issuer, id, client) }
}

/// The event of a step of a sign-in with a browser; `why` is the word for one that went wrong.
pub(super) fn sign_in(issuer: &Issuer, caller: &Caller, step: &'static str, why: &str, outcome: Outcome) -> AuditEvent {
    let reason = if why.is_empty() { step.to_owned() } else { format!("{step}: {why}") };
    let latency_us = u64::try_from(caller.received.elapsed().as_micros()).unwrap_or(u64::MAX);
    AuditEvent { reason: Some(reason), outcome, latency_us, ..blank(issuer, &caller.id, &caller.client) }
}

/// The event of an identity token that somebody ended.
pub(super) fn revoked(issuer: &Issuer, caller: &Caller, row: &TokenRow) -> AuditEvent {
    AuditEvent {
        service: Some(row.service.clone()),
        realm: Some(row.realm.clone()),
        provider: Some(row.provider.clone()),
        username: Some(row.username.clone()),
        notes: vec![format!("identity token {}", row.id)],
        ..sign_in(issuer, caller, "revoke", "", Outcome::Empty)
    }
}

/// What is known of every request.
fn blank(issuer: &Issuer, id: &str, client: &Client) -> AuditEvent {
    AuditEvent {
        time: issuer.clock.now(),
        request_id: id.to_owned(),
        outcome: Outcome::Invalid,
        client: client.address.to_string(),
        client_trusted: client.trusted,
        service: None,
        realm: None,
        provider: None,
        subject: None,
        username: None,
        proof: None,
        cached: false,
        stale: None,
        requested: Vec::new(),
        granted: Vec::new(),
        refused: Vec::new(),
        rules: Vec::new(),
        notes: Vec::new(),
        generation: issuer.generation,
        jti: None,
        latency_us: 0,
        reason: None,
    }
}
