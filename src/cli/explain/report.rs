//! What is printed: for people, and for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::authz::{Allowance, Decision, Grant, Missed, Policy, RefusedBy, RuleName};
use crate::clock::Timestamp;
use crate::registry::{Action, Resource, ResourceScope};

/// So many rules that would allow something to others are named.
const MOST_OTHERS: usize = 5;

/// A decision with what is needed to explain it.
pub(in crate::cli) struct Report<'a> {
    pub(in crate::cli) decision: &'a Decision,
    pub(in crate::cli) policy: &'a Policy,
    /// What can never be granted, with the reason.
    pub(in crate::cli) dropped: &'a [(String, String)],
    /// How long a token would live, and as of when; where the service's lives are known.
    pub(in crate::cli) lifetime: Option<(u32, Timestamp)>,
}

/// What became of one action.
enum Answer<'a> {
    Granted(&'a [RuleName]),
    Refused(&'a RefusedBy),
}

impl Report<'_> {
    /// A line for each action, and what the token would carry.
    pub(in crate::cli) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for grant in &self.decision.grants {
            writeln!(out, "{}", grant.requested)?;
            for (action, answer) in answers(grant) {
                match answer {
                    Answer::Granted(rules) => writeln!(out, "  granted  {:6}  by {}", action.as_str(), listed(rules))?,
                    Answer::Refused(reason) => {
                        writeln!(out, "  refused  {:6}  {reason}", action.as_str())?;
                        if let Some(ways) = self.ways(reason) {
                            writeln!(out, "           it makes way for {ways}")?;
                        }
                        for Missed { rule, why, .. } in missed(grant, action) {
                            writeln!(out, "           would be granted by {rule}: {why}")?;
                        }
                        self.write_others(&grant.requested.resource, action, reason, out)?;
                    }
                }
            }
            for (action, tags) in &grant.denied_tags {
                writeln!(out, "  but not {:6}  of tags {}", action.as_str(), tags.join(", "))?;
            }
            for note in unsaid_notes(grant) {
                writeln!(out, "  note: {note}")?;
            }
        }
        let granted = self.granted();
        let life = self
            .lifetime
            .filter(|_| !granted.is_empty())
            .map(|(seconds, now)| format!(", for {seconds} s, until {}", now.plus(i64::from(seconds)).rfc3339()));
        let granted = if granted.is_empty() { "nothing".to_owned() } else { granted.join(" ") };
        writeln!(out, "token: {granted}{}", life.unwrap_or_default())
    }

    /// What a deny that refuses something makes way for.
    fn ways(&self, reason: &RefusedBy) -> Option<String> {
        match reason {
            RefusedBy::Deny(rule) => self.policy.makes_way_for(rule),
            RefusedBy::NoRule | RefusedBy::Unknown(_) | RefusedBy::Stale => None,
        }
    }

    fn write_others(&self, resource: &Resource, action: Action, reason: &RefusedBy, out: &mut dyn Write) -> io::Result<()> {
        let Some(others) = self.others(resource, action, reason) else { return Ok(()) };
        if others.is_empty() {
            return writeln!(out, "           no rule allows {action} there to anybody");
        }
        writeln!(out, "           rules that allow {action} there:")?;
        for other in others.iter().take(MOST_OTHERS) {
            writeln!(out, "             {other}")?;
        }
        match others.len().saturating_sub(MOST_OTHERS) {
            0 => Ok(()),
            more => writeln!(out, "             and {more} more"),
        }
    }

    /// The rules that allow to others what no rule allows here; `None` where that is not what is missing.
    fn others(&self, resource: &Resource, action: Action, reason: &RefusedBy) -> Option<Vec<Allowance>> {
        match reason {
            RefusedBy::NoRule => Some(self.policy.allowing(resource, action)),
            RefusedBy::Deny(_) | RefusedBy::Unknown(_) | RefusedBy::Stale => None,
        }
    }

    /// The same as one JSON object.
    pub(in crate::cli) fn json(&self) -> Value {
        let scopes: Vec<Value> = self.decision.grants.iter().map(|grant| self.scope_json(grant)).collect();
        let dropped: Vec<Value> = self.dropped.iter().map(|(scope, reason)| json!({"scope": scope, "reason": reason})).collect();
        let mut whole = json!({"granted": self.granted(), "scopes": scopes, "dropped": dropped});
        if let (Some((seconds, now)), Some(fields)) = (self.lifetime, whole.as_object_mut()) {
            fields.insert("expires_in".to_owned(), seconds.into());
            fields.insert("until".to_owned(), now.plus(i64::from(seconds)).rfc3339().into());
        }
        whole
    }

    fn scope_json(&self, grant: &Grant) -> Value {
        let resource = &grant.requested.resource;
        let actions = answers(grant).into_iter().map(|(action, answer)| match answer {
            Answer::Granted(rules) => {
                json!({"action": action.as_str(), "granted": true, "by": rules.iter().map(rule_json).collect::<Vec<_>>()})
            }
            Answer::Refused(reason) => {
                let mut refused = json!({"action": action.as_str(), "granted": false, "reason": reason.to_string()});
                if let Some(fields) = refused.as_object_mut() {
                    fields.extend(self.ways(reason).map(|ways| ("makes_way_for".to_owned(), ways.into())));
                    let missed: Vec<Value> =
                        missed(grant, action).map(|it| json!({"rule": rule_json(&it.rule), "why": it.why.to_string()})).collect();
                    if !missed.is_empty() {
                        fields.insert("would_be_granted_by".to_owned(), missed.into());
                    }
                }
                if let (Some(others), Some(fields)) = (self.others(resource, action, reason), refused.as_object_mut()) {
                    let others = others.iter().map(|other| json!({"rule": rule_json(&other.rule), "to": other.to}));
                    fields.insert("others".to_owned(), others.collect());
                }
                refused
            }
        });
        let mut scope = json!({"scope": grant.requested.to_string(), "actions": actions.collect::<Vec<_>>(), "notes": grant.notes});
        if let Some(fields) = scope.as_object_mut().filter(|_| !grant.denied_tags.is_empty()) {
            let tags = grant.denied_tags.iter().map(|(action, tags)| (action.as_str().to_owned(), tags.clone().into()));
            fields.insert("denied_tags".to_owned(), Value::Object(tags.collect()));
        }
        scope
    }

    /// What the token would carry.
    pub(super) fn granted(&self) -> Vec<String> {
        let access = self.decision.access().into_iter();
        access.map(|(resource, actions)| ResourceScope { resource, actions }.to_string()).collect()
    }
}

/// Every asked action once, in the order in which they are written.
fn answers(grant: &Grant) -> Vec<(Action, Answer<'_>)> {
    let granted = grant.granted_by.iter().map(|(action, rules)| (*action, Answer::Granted(rules)));
    let refused = grant.refused.iter().map(|(action, reason)| (*action, Answer::Refused(reason)));
    let mut answers: Vec<_> = granted.chain(refused).collect();
    answers.sort_by_key(|(action, _)| *action);
    answers
}

/// The rules that would allow an action under other circumstances.
fn missed(grant: &Grant, action: Action) -> impl Iterator<Item = &Missed> {
    grant.missed.iter().filter(move |missed| missed.actions.contains(action))
}

/// The notes that do not already stand as a reason.
fn unsaid_notes(grant: &Grant) -> impl Iterator<Item = &String> {
    let said = |note: &str| {
        grant.refused.iter().any(|(_, reason)| match reason {
            RefusedBy::Unknown(what) => what == note,
            RefusedBy::NoRule | RefusedBy::Deny(_) | RefusedBy::Stale => false,
        })
    };
    grant.notes.iter().filter(move |note| !said(note))
}

fn listed(rules: &[RuleName]) -> String {
    rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A rule for programs.
pub(in crate::cli) fn rule_json(rule: &RuleName) -> Value {
    json!({"name": rule.name, "file": rule.file, "line": rule.line})
}
