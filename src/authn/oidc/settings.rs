//! `oidc` of a provider.

use serde::Deserialize;

use crate::source::Located;

/// An OIDC issuer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// The issuer's URL.
    pub issuer: Located<String>,
}
