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
    /// token ends before it. At least a minute ahead, because what is nearer counts as reached.
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
}

impl fmt::Display for RefusedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule => f.write_str("no rule allows it"),
            Self::Deny(rule) => write!(f, "denied by {rule}"),
            Self::Unknown(what) => f.write_str(what),
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
