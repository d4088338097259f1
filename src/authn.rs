//! Who asks: credentials, providers, identities. Knows no scopes, tokens or HTTP.

pub mod credentials;
pub mod identity;
pub mod verdict;
