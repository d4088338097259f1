//! What came of a request, and why.

use std::fmt;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::registry::{Action, ActionSet, Resource, ResourceScope};
use crate::source::Period;

/// One grant for each scope that was asked for, in the same order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The grants; those that grant nothing are among them.
    pub grants: Vec<Grant>,
    /// The next moment at which a `when` or `mfa: {within}` of a rule changes that is about something granted here: the
    /// token ends before it. At least a minute ahead, because what is nearer counts as reached; [`Decision::pull_only`] may
    /// set an earlier one.
    pub until: Option<Timestamp>,
}

/// What one scope got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// As it was asked for.
    pub requested: ResourceScope,
    /// What is granted of it. `*` is never among the actions on a repository.
    pub granted: ActionSet,
    /// Which rules allow each granted action.
    pub granted_by: Vec<(Action, Vec<RuleName>)>,
    /// Why each of the others is not granted. A requested `*` on a repository asks for each of its actions.
    pub refused: Vec<(Action, RefusedBy)>,
    /// How long each granted action may live, by the rules that grant it.
    pub lives: Vec<(Action, Life)>,
    /// Tags that denies close, as globs in their order, by granted action; for registries that enforce them.
    pub denied_tags: Vec<(Action, Vec<String>)>,
    /// Rules that allow something here to who asks, and would do so under other circumstances.
    pub missed: Vec<Missed>,
    /// What an operator should know, as a rule that could not be told to apply.
    pub notes: Vec<String>,
}

/// How long a granted action may live: the longest of what its rules say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Life {
    /// The longest `ttl` of a rule.
    pub longest: Option<Period>,
    /// Whether a rule without `ttl` grants it too, so that the service's life counts.
    pub service: bool,
}

/// A rule that means who asks and what is asked for, and does not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// What it allows.
    pub actions: ActionSet,
    /// Which rule.
    pub rule: RuleName,
    /// What stands in its way.
    pub why: WhyMissed,
}

/// What stands in the way of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyMissed {
    /// It is not its time; it comes at this moment, where it comes at all.
    Time(Option<Timestamp>),
    /// The client comes from somewhere else.
    Address,
    /// It is for other services.
    Service,
    /// There was no second factor, or it is too old.
    SecondFactor,
    /// One of its exceptions holds.
    Exception,
}

impl Grant {
    fn keep_pull(&mut self) {
        let lost = self.granted - Action::Pull.into();
        self.granted = self.granted & Action::Pull.into();
        self.granted_by.retain(|(action, _)| !lost.contains(*action));
        self.lives.retain(|(action, _)| !lost.contains(*action));
        self.denied_tags.retain(|(action, _)| !lost.contains(*action));
        self.refused.extend(lost.iter().map(|action| (action, RefusedBy::Stale)));
        self.refused.sort_by_key(|(action, _)| *action);
    }
}

impl fmt::Display for WhyMissed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(Some(next)) => write!(f, "at this time it does not hold; it does from {}", next.rfc3339()),
            Self::Time(None) => f.write_str("its time is over"),
            Self::Address => f.write_str("the client's address is none of its `source`"),
            Self::Service => f.write_str("it is for other services"),
            Self::SecondFactor => f.write_str("the login had no second factor, or one that is too old: log in again with it"),
            Self::Exception => f.write_str("one of its exceptions holds"),
        }
    }
}

/// Why an action is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusedBy {
    /// No rule allows it.
    NoRule,
    /// This rule denies it.
    Deny(RuleName),
    /// A rule might allow it, but something that it needs to know is not known.
    Unknown(String),
    /// Who asks was served from memory, which is good for pulls alone.
    Stale,
}

impl fmt::Display for RefusedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule => f.write_str("no rule allows it"),
            Self::Deny(rule) => write!(f, "denied by {rule}"),
            Self::Unknown(what) => f.write_str(what),
            Self::Stale => f.write_str("the provider could not be asked, and what is remembered is good for pulls alone"),
        }
    }
}

/// What audit and `explain` call a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleName {
    /// Its `name`, or else file and line.
    pub name: Arc<str>,
    /// The file it stands in.
    pub file: Arc<str>,
    /// The line on which it starts.
    pub line: u32,
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = format!("{}:{}", self.file, self.line);
        if *self.name == *place { write!(f, "`{place}`") } else { write!(f, "`{}` ({place})", self.name) }
    }
}

impl Decision {
    /// What is left of it for somebody whose provider cannot be asked: pulls, until then. What a rule refused stays refused
    /// by that rule.
    #[must_use]
    pub fn pull_only(mut self, until: Timestamp) -> Self {
        for grant in &mut self.grants {
            grant.keep_pull();
        }
        self.until = self.until.into_iter().chain([until]).min();
        self
    }

    /// What a token shall carry: each resource with its actions, where there are any.
    pub fn access(&self) -> Vec<(Resource, ActionSet)> {
        let some = self.grants.iter().filter(|grant| !grant.granted.is_empty());
        some.map(|grant| (grant.requested.resource.clone(), grant.granted)).collect()
    }
    /// Whether nothing was granted.
    pub fn is_empty(&self) -> bool {
        self.grants.iter().all(|grant| grant.granted.is_empty())
    }
    /// Whether everything that was asked for was granted.
    pub fn is_whole(&self) -> bool {
        self.grants.iter().all(|grant| grant.refused.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str) -> RuleName {
        RuleName { name: name.into(), file: "rules.yaml".into(), line: 1 }
    }

    fn grant(requested: &str, granted: &[Action], refused: Vec<(Action, RefusedBy)>) -> Grant {
        Grant {
            requested: requested.parse().unwrap(),
            granted: granted.iter().copied().collect(),
            granted_by: granted.iter().map(|action| (*action, vec![rule("allow")])).collect(),
            refused,
            lives: granted.iter().map(|action| (*action, Life::default())).collect(),
            denied_tags: granted.iter().map(|action| (*action, vec!["v*".to_owned()])).collect(),
            missed: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn only_pulls_are_left_and_each_loss_has_its_reason() {
        let whole = grant("repository:a:pull,push,delete", &[Action::Pull, Action::Delete], vec![(Action::Push, RefusedBy::NoRule)]);
        let denied = grant("repository:b:pull,push", &[Action::Push], vec![(Action::Pull, RefusedBy::Deny(rule("deny")))]);
        let catalog = grant("registry:catalog:*", &[Action::All], vec![]);
        let decision = Decision { grants: vec![whole, denied, catalog], until: Some(Timestamp(900)) };
        let left = decision.clone().pull_only(Timestamp(600));
        assert_eq!((left.until, decision.pull_only(Timestamp(1000)).until), (Some(Timestamp(600)), Some(Timestamp(900))));
        let access: Vec<String> =
            left.access().iter().map(|(resource, actions)| format!("{resource} {:?}", actions.iter().collect::<Vec<_>>())).collect();
        assert_eq!(access, ["repository:a [Pull]"]);
        let [whole, denied, catalog] = &left.grants[..] else { panic!() };
        assert_eq!(whole.refused, [(Action::Push, RefusedBy::NoRule), (Action::Delete, RefusedBy::Stale)]);
        assert_eq!(denied.refused, [(Action::Pull, RefusedBy::Deny(rule("deny"))), (Action::Push, RefusedBy::Stale)]);
        assert_eq!(catalog.refused, [(Action::All, RefusedBy::Stale)]);
        for grant in &left.grants {
            let actions: Vec<Action> = grant.granted.iter().collect();
            assert_eq!(grant.granted_by.iter().map(|(action, _)| *action).collect::<Vec<_>>(), actions);
            assert_eq!(grant.lives.iter().map(|(action, _)| *action).collect::<Vec<_>>(), actions);
            assert_eq!(grant.denied_tags.iter().map(|(action, _)| *action).collect::<Vec<_>>(), actions);
        }
    }
}
