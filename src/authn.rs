//! Who asks: credentials, providers, identities. Knows no scopes, tokens or HTTP.

pub mod credentials;
pub mod file;
pub mod identity;
pub mod ldap;
pub mod oidc;
pub mod provider;
pub mod settings;
pub mod verdict;
pub mod workload;
