//! narrows stands between `docker login` and a company's own directory.
//!
//! A reader goes down this list as a request does:
//!
//! - [`cli`]: the commands; `serve` is one of them
//! - [`http`]: requests become values, values become answers; the only place that knows status codes
//! - [`lifecycle`]: start, listen, reload, drain
//! - [`app`]: wires configuration into the parts; the only shared state
//! - [`config`]: what an operator wrote
//! - [`issue`]: the path itself: authenticate → decide → sign → audit; sign-ins, login codes and device logins that lead to it
//! - [`audit`]: one line for one decision
//! - [`token`]: claims, keys, signatures, identity tokens
//! - [`authz`]: rules, and the decision
//! - [`authn`]: credentials, providers, identities
//! - [`store`]: what outlives the process
//! - [`registry`]: scopes, actions, names
//! - [`clock`], [`metrics`], [`source`]: time, counters, files that people write
//!
//! `src/bin/docker-credential-narrows` is a program of its own, which people run beside docker.
//!
//! Imports go down this list only; `tests/it/tidy.rs` holds that.

pub mod app;
pub mod audit;
pub mod authn;
pub mod authz;
pub mod cli;
pub mod clock;
pub mod config;
pub mod http;
pub mod issue;
pub mod lifecycle;
pub mod metrics;
pub mod registry;
pub mod source;
pub mod store;
pub mod token;
