//! Rules, and the decision.
//!
//! A rule file goes through `document` (what is written, with places), `compile` (what it means, or every mistake in it) and
//! `rule`; a request goes through `seen` (who asks, as rules see it) and `decide`. Everything here is pure: no clock, no
//! files, no failure once a policy is compiled.

mod alias;
mod allowance;
mod binding;
mod compile;
mod decide;
mod decision;
mod dn;
mod document;
mod index;
mod node;
mod pattern;
mod piece;
mod policy;
mod rule;
mod schema;
mod seen;
pub mod settings;

pub use allowance::Allowance;
pub use decision::{Decision, Grant, RefusedBy, RuleName};
pub use dn::group_of_dn;
pub use policy::{Context, Named, Policy, Realm, Realms};
pub use schema::schema;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod findings;
#[cfg(test)]
mod model;
#[cfg(test)]
mod scale;
