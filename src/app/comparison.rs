//! What new rules give and take, over all services.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::authz::{Change, Difference, Policy, Rulebook};
use crate::registry::Action;

/// So many examples are told.
const MOST_EXAMPLES: usize = 10;

/// How new rules differ from the ones that run.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Comparison {
    /// Whether it was brought to its end; what was not compared may give anything.
    pub complete: bool,
    /// How much somebody gains.
    pub widened: usize,
    /// How much somebody loses.
    pub narrowed: usize,
    /// Rules that may give more, though no example was found.
    pub unclear: usize,
    /// Some of it, what is gained first.
    pub examples: Vec<Example>,
}

/// One change.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Example {
    /// Which way it goes.
    pub kind: ChangeKind,
    /// Who gains or loses, in words; `None` where only a rule is known.
    pub who: Option<String>,
    /// What, in words.
    pub what: String,
    /// Where.
    pub services: Vec<String>,
}

/// Which way a change goes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Somebody gains.
    Widened,
    /// A rule may give more.
    Unclear,
    /// Somebody loses.
    Narrowed,
}

impl Comparison {
    /// Compares the policies of every service, each pair once.
    pub fn of(old: &Rulebook, new: &Rulebook) -> Self {
        let mut comparison = Self { complete: true, widened: 0, narrowed: 0, unclear: 0, examples: Vec::new() };
        for (old, new, services) in pairs(old, new) {
            let difference = Difference::between(old, new);
            comparison.widened += difference.widened.len();
            comparison.narrowed += difference.narrowed.len();
            comparison.unclear += difference.unclear.len();
            comparison.examples.extend(examples(&difference, &services));
        }
        comparison.examples.sort_by_key(|example| example.kind as u8);
        comparison.examples.truncate(MOST_EXAMPLES);
        comparison
    }

    /// Rules that are the same.
    pub fn none() -> Self {
        Self { complete: true, widened: 0, narrowed: 0, unclear: 0, examples: Vec::new() }
    }

    /// One that took too long.
    pub fn unfinished() -> Self {
        Self { complete: false, ..Self::none() }
    }

    /// Whether somebody may gain something.
    pub fn widens(&self) -> bool {
        !self.complete || self.widened > 0 || self.unclear > 0
    }
}

/// The numbers on one line.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.complete {
            write!(f, "{} widened, {} narrowed, {} unclear", self.widened, self.narrowed, self.unclear)
        } else {
            f.write_str("the comparison with the former rules took too long")
        }
    }
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(self.who.as_deref(), f)
    }
}

impl Example {
    /// As a log may hold it: without the names of people.
    pub fn unnamed(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| {
            let names_somebody = self.who.as_deref().is_some_and(|who| who.split_whitespace().any(|word| word == "user"));
            self.write(if names_somebody { Some("a user that the rules name") } else { self.who.as_deref() }, f)
        })
    }

    fn write(&self, who: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ChangeKind::Widened => "widened",
            ChangeKind::Unclear => "unclear",
            ChangeKind::Narrowed => "narrowed",
        };
        write!(f, "{kind}: ")?;
        if let Some(who) = who {
            write!(f, "{who}: ")?;
        }
        write!(f, "{} ({})", self.what, self.services.join(", "))
    }
}

/// The old and the new policy of every service that has both, with the services that share the pair.
fn pairs<'a>(old: &'a Rulebook, new: &'a Rulebook) -> Vec<(&'a Policy, &'a Policy, Vec<String>)> {
    let mut pairs: Vec<(&Arc<Policy>, &Arc<Policy>, Vec<String>)> = Vec::new();
    for service in new.services() {
        // A new service is not served before a restart.
        let (Some(before), Some(after)) = (old.policy(service), new.policy(service)) else { continue };
        if Arc::ptr_eq(before, after) {
            continue;
        }
        match pairs.iter_mut().find(|(one, other, _)| Arc::ptr_eq(one, before) && Arc::ptr_eq(other, after)) {
            Some((_, _, services)) => services.push(service.to_owned()),
            None => pairs.push((before, after, vec![service.to_owned()])),
        }
    }
    pairs.into_iter().map(|(before, after, services)| (&**before, &**after, services)).collect()
}

/// The first of each kind.
fn examples(difference: &Difference, services: &[String]) -> Vec<Example> {
    let change = |kind: ChangeKind, change: &Change| {
        let what = match change.action {
            Action::All => change.repository.clone(),
            Action::Pull | Action::Push | Action::Delete => format!("{} {}", change.action, change.repository),
        };
        Example { kind, who: Some(change.who.clone()), what, services: services.to_owned() }
    };
    let widened = difference.widened.iter().take(MOST_EXAMPLES).map(|gain| change(ChangeKind::Widened, gain));
    let unclear = difference.unclear.iter().take(MOST_EXAMPLES).map(|rule| Example {
        kind: ChangeKind::Unclear,
        who: None,
        what: rule.to_string(),
        services: services.to_owned(),
    });
    let narrowed = difference.narrowed.iter().take(MOST_EXAMPLES).map(|loss| change(ChangeKind::Narrowed, loss));
    widened.chain(unclear).chain(narrowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_names_groups_and_no_people() {
        let example = |who: Option<&str>| Example {
            kind: ChangeKind::Widened,
            who: who.map(ToOwned::to_owned),
            what: "push prod/**".to_owned(),
            services: vec!["one".to_owned(), "two".to_owned()],
        };
        for (who, expected) in [
            (Some("group releasers"), "widened: group releasers: push prod/** (one, two)"),
            (Some("user alice"), "widened: a user that the rules name: push prod/** (one, two)"),
            (Some("group a and user robots/b"), "widened: a user that the rules name: push prod/** (one, two)"),
            (None, "widened: push prod/** (one, two)"),
        ] {
            assert_eq!(example(who).unnamed().to_string(), expected);
        }
        assert_eq!(example(Some("user alice")).to_string(), "widened: user alice: push prod/** (one, two)");
    }

    #[test]
    fn what_was_not_compared_to_its_end_may_widen() {
        assert!(Comparison::unfinished().widens());
        assert!(!Comparison::none().widens());
        assert!(Comparison { unclear: 1, ..Comparison::none() }.widens());
        assert!(!Comparison { narrowed: 1, ..Comparison::none() }.widens());
    }
}
