//! Rules, and the decision.
//!
//! A rule file goes through `document` (what is written, with places), `compile` (what it means, or every mistake in it) and
//! `rule`; a request goes through `seen` (who asks, as rules see it) and `decide`. `rulebook` reads the files and holds the
//! policies of one generation; all else is pure: no clock, no files, no failure once a policy is compiled.

mod alias;
mod allowance;
mod asker;
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
mod persona;
mod piece;
mod policy;
mod policy_test;
mod review;
mod rule;
mod rulebook;
mod schema;
mod seen;
pub mod settings;
mod standing;
mod truth;
mod when;

pub use allowance::Allowance;
pub use asker::{Asker, AskerError, Mfa};
pub use decision::{Decision, Grant, Life, Missed, RefusedBy, RuleName, WhyMissed};
pub use difference::{Change, Difference};
pub use dn::group_of_dn;
pub use environment::{Environment, GroupNames, KnownService, Realm, Realms};
pub use policy::{Context, Named, Policy, RuleSource};
pub use policy_test::{Case, Failure, Found, Identities, PolicyTests, Question, Request, Stage, TestedFiles, TestedRules, Who, WhoCan};
pub use review::{Holder, Holders, Reach};
pub use rulebook::{RuleFile, RuleSet, Rulebook};
pub use schema::schema;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod findings;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod scale;
