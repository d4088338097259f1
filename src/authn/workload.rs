//! Workload issuers: parsed so far, refused by name until they can be asked.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::source::{Located, OneOrMany};

/// A workload issuer's tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadSettings {
    /// The preset that names issuer and claims.
    #[serde(default)]
    pub preset: Option<Located<String>>,
    /// Accepted `aud` values.
    #[serde(default)]
    pub audiences: Option<OneOrMany>,
    /// Claims that must have these values.
    #[serde(default)]
    pub require: BTreeMap<String, String>,
}
