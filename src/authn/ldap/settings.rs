//! `ldap` of a provider.

use serde::Deserialize;

use crate::source::Located;

/// An LDAP directory. (The ldap helper completes these keys.)
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LdapSettings {
    /// Where to ask.
    pub servers: Vec<Located<String>>,
}
