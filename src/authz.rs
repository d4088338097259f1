//! Rules, and the decision.
//!
//! A rule file goes through `document` (what is written, with places), `compile` (what it means, or every mistake in it) and
//! `rule`; a request goes through `seen` (who asks, as rules see it) and `decide`. Everything here is pure: no clock, no
//! files, no failure once a policy is compiled.

mod alias;
mod allowance;
mod binding;
mod cache;
mod compile;
mod decide;
mod decision;
mod difference;
mod dn;
mod document;
mod environment;
mod index;
mod node;
mod pattern;
mod piece;
mod policy;
mod rule;
mod seen;
pub mod settings;
mod standing;
mod truth;
mod when;

pub use allowance::Allowance;
pub use decision::{Decision, Grant, Life, Missed, RefusedBy, RuleName, WhyMissed};
pub use difference::{Change, Difference};
pub use dn::group_of_dn;
pub use environment::{Environment, GroupNames, KnownService, Realm, Realms};
pub use policy::{Context, Named, Policy, RuleSource};

#[cfg(test)]
mod cases;
#[cfg(test)]
mod findings;
#[cfg(test)]
mod scale;
