//! What is printed of a login on trial.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::authn::authenticator::ProviderReport;
use crate::authn::identity::{Identity, Principal};
use crate::authn::rehearsal::{End, Rehearsal};
use crate::authz::Rulebook;
use crate::cli::steps::printable;
use crate::cli::{DIFFERENT, UNAVAILABLE, steps, what_can};
use crate::clock::Timestamp;

/// A provider, whether it is asked for the name, and what came of it.
pub(super) struct Tried {
    pub(super) provider: ProviderReport,
    /// The pattern by which `serve` asks it.
    pub(super) pattern: Option<String>,
    /// `None`: it was not asked.
    pub(super) rehearsal: Option<Rehearsal>,
}

/// Everything that is printed.
pub(super) struct Report<'a> {
    pub(super) user: &'a str,
    pub(super) with_password: bool,
    /// In the order of `serve`, up to the one that ends the login.
    pub(super) tried: Vec<Tried>,
    /// Whose rules are asked.
    pub(super) services: Vec<String>,
    pub(super) rulebook: &'a Rulebook,
    pub(super) now: Timestamp,
}

impl Tried {
    /// Why it is asked, or not.
    fn why(&self) -> String {
        match (&self.rehearsal, &self.pattern) {
            (Some(_), Some(pattern)) => format!("asked, as `names` has `{pattern}`"),
            (Some(_), None) => "asked here alone: none of its `names` fits, so the service would not ask it".to_owned(),
            (None, Some(_)) => "not asked: --provider names another".to_owned(),
            (None, None) => "not asked: none of its `names` fits".to_owned(),
        }
    }
}

impl Report<'_> {
    /// What the last provider that was asked said; nobody asked is nobody known.
    fn end(&self) -> Option<(&ProviderReport, &End)> {
        let asked = self.tried.iter().rev().find_map(|tried| Some((&tried.provider, &tried.rehearsal.as_ref()?.end)));
        asked.filter(|(_, end)| !matches!(end, End::NotMine))
    }

    /// 0 let in, 1 refused, 3 unavailable.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self.end() {
            Some((_, End::LetIn(_))) => ExitCode::SUCCESS,
            Some((_, End::Unavailable(_))) => ExitCode::from(UNAVAILABLE),
            Some((_, End::NotMine | End::Refused(_))) | None => ExitCode::from(DIFFERENT),
        }
    }

    /// A block for each provider, a block for each service, and the verdict.
    pub(super) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for tried in &self.tried {
            let ProviderReport { name, kind, realm, .. } = &tried.provider;
            writeln!(out, "{name} ({kind}, realm {realm}): {}", printable(&tried.why()))?;
            for step in tried.rehearsal.iter().flat_map(|rehearsal| &rehearsal.steps) {
                steps::write(step, "  ", out)?;
            }
        }
        if let Some((_, End::LetIn(identity))) = self.end() {
            self.write_rules(identity, out)?;
        }
        writeln!(out, "{}", printable(&self.verdict()))
    }

    fn write_rules(&self, identity: &Identity, out: &mut dyn Write) -> io::Result<()> {
        let principal = Principal::Identified(Arc::new(identity.clone()));
        for service in &self.services {
            let Some(policy) = self.rulebook.policy(service) else { continue };
            let mentioned = policy.mentioned_groups(identity);
            let groups = if mentioned.is_empty() { "none of the groups".to_owned() } else { mentioned.join(", ") };
            writeln!(out, "rules of {service}: they mention {}", printable(&groups))?;
            let reaches = policy.what_can(&principal, service, self.now);
            for reach in &reaches {
                what_can::write_reach(reach, "  ", out)?;
            }
            if reaches.is_empty() {
                writeln!(out, "  nothing")?;
            }
        }
        Ok(())
    }

    /// The last line.
    fn verdict(&self) -> String {
        let user = self.user;
        match self.end() {
            Some((provider, End::LetIn(identity))) => {
                let tried = if self.with_password { "" } else { ", if the password is right: it was not tried" };
                format!("`{user}` would be let in as {} of {}{tried}", identity.username, provider.name)
            }
            Some((provider, End::Refused(why))) => format!("`{user}` would be refused by {}: {why}", provider.name),
            Some((provider, End::Unavailable(why))) => format!("{} cannot be asked, so `{user}` would get a 503: {why}", provider.name),
            Some((_, End::NotMine)) | None => format!("`{user}` would be refused: no provider that is asked knows the name"),
        }
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let tried = self.tried.iter().map(|tried| {
            let name = &*tried.provider.name;
            let all = tried.rehearsal.iter().flat_map(|rehearsal| &rehearsal.steps).map(|step| steps::as_json(name, step));
            json!({
                "provider": name,
                "kind": tried.provider.kind,
                "realm": &*tried.provider.realm,
                "asked": tried.rehearsal.is_some(),
                "pattern": tried.pattern,
                "steps": all.collect::<Vec<_>>(),
            })
        });
        let (outcome, reason, identity) = match self.end() {
            Some((_, End::LetIn(identity))) => ("let_in", None, Some(identity)),
            Some((_, End::Refused(why))) => ("refused", Some(why.as_str()), None),
            Some((_, End::Unavailable(why))) => ("unavailable", Some(why.as_str()), None),
            Some((_, End::NotMine)) | None => ("refused", Some("unknown"), None),
        };
        json!({
            "user": self.user,
            "outcome": outcome,
            "reason": reason,
            "password_tried": self.with_password,
            "providers": tried.collect::<Vec<_>>(),
            "identity": identity.map(|identity| identity_json(identity)),
            "services": identity.map(|identity| self.services_json(identity)),
        })
    }

    fn services_json(&self, identity: &Identity) -> Vec<Value> {
        let principal = Principal::Identified(Arc::new(identity.clone()));
        let of = |service: &String| {
            let policy = self.rulebook.policy(service)?;
            let can: Vec<Value> = policy.what_can(&principal, service, self.now).iter().map(what_can::as_json).collect();
            Some(json!({"service": service, "mentioned": policy.mentioned_groups(identity), "can": can}))
        };
        self.services.iter().filter_map(of).collect()
    }
}

fn identity_json(identity: &Identity) -> Value {
    let groups = identity.groups.iter().map(|group| json!({"name": group.name, "dn": group.dn, "id": group.id}));
    json!({
        "realm": &*identity.realm,
        "provider": &*identity.provider,
        "username": identity.username,
        "id": identity.id,
        "groups": groups.collect::<Vec<_>>(),
    })
}
