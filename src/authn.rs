//! Who asks: credentials, providers, identities. Knows no scopes, tokens or HTTP.

pub mod attempt;
pub mod authenticator;
mod cache;
pub mod credentials;
pub mod file;
pub mod identity;
pub mod jwt;
pub mod ldap;
pub mod oidc;
pub mod provider;
pub mod rehearsal;
mod route;
pub mod settings;
pub mod throttle;
mod trust;
pub mod verdict;
pub mod workload;
