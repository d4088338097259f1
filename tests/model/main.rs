//! The decision against an independent reading of docs/rules.md, on random rules, people and requests.
//!
//! `rules` is what a rule file says, `generator` makes some up, `print` writes their text for the product, `model` (with
//! `pattern`, `who` and `time`) reads them in the most literal way, `engine` asks the product, `compare` holds the two
//! against each other, and `laws` are what holds whatever the rules are. Nothing here knows code of `narrows::authz` but
//! its entry.
#![cfg(test)]
#![expect(unreachable_pub, reason = "nothing is reachable from outside a test binary; `pub` says what a part offers to the others")]

mod compare;
mod dice;
mod engine;
mod generator;
mod laws;
mod model;
mod part;
mod pattern;
mod print;
mod rules;
mod time;
mod who;
