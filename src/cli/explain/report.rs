//! What is printed: for people, and for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::authz::{Allowance, Decision, Grant, Policy, RefusedBy, RuleName};
use crate::registry::{Action, Resource, ResourceScope};

/// So many rules that would allow something to others are named.
const MOST_OTHERS: usize = 5;

/// A decision with what is needed to explain it.
pub(in crate::cli) struct Report<'a> {
    pub(in crate::cli) decision: &'a Decision,
    pub(in crate::cli) policy: &'a Policy,
    /// What can never be granted, with the reason.
    pub(in crate::cli) dropped: &'a [(String, String)],
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
                        self.write_others(&grant.requested.resource, action, reason, out)?;
                    }
                }
            }
            for note in unsaid_notes(grant) {
                writeln!(out, "  note: {note}")?;
            }
        }
        let granted = self.granted();
        writeln!(out, "token: {}", if granted.is_empty() { "nothing".to_owned() } else { granted.join(" ") })
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
            RefusedBy::Deny(_) | RefusedBy::Unknown(_) => None,
        }
    }

    /// The same as one JSON object.
    pub(in crate::cli) fn json(&self) -> Value {
        let scopes: Vec<Value> = self.decision.grants.iter().map(|grant| self.scope_json(grant)).collect();
        let dropped: Vec<Value> = self.dropped.iter().map(|(scope, reason)| json!({"scope": scope, "reason": reason})).collect();
        json!({"granted": self.granted(), "scopes": scopes, "dropped": dropped})
    }

    fn scope_json(&self, grant: &Grant) -> Value {
        let resource = &grant.requested.resource;
        let actions = answers(grant).into_iter().map(|(action, answer)| match answer {
            Answer::Granted(rules) => {
                json!({"action": action.as_str(), "granted": true, "by": rules.iter().map(rule_json).collect::<Vec<_>>()})
            }
            Answer::Refused(reason) => {
                let mut refused = json!({"action": action.as_str(), "granted": false, "reason": reason.to_string()});
                if let (Some(others), Some(fields)) = (self.others(resource, action, reason), refused.as_object_mut()) {
                    let others = others.iter().map(|other| json!({"rule": rule_json(&other.rule), "to": other.to}));
                    fields.insert("others".to_owned(), others.collect());
                }
                refused
            }
        });
        json!({"scope": grant.requested.to_string(), "actions": actions.collect::<Vec<_>>(), "notes": grant.notes})
    }

    /// What the token would carry.
    fn granted(&self) -> Vec<String> {
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

/// The notes that do not already stand as a reason.
fn unsaid_notes(grant: &Grant) -> impl Iterator<Item = &String> {
    let said = |note: &str| {
        grant.refused.iter().any(|(_, reason)| match reason {
            RefusedBy::Unknown(what) => what == note,
            RefusedBy::NoRule | RefusedBy::Deny(_) => false,
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
