//! Workload issuers: their keys are read, and a provider of this kind is refused by name until it can be asked.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::source::{Located, OneOrMany};

/// An issuer of tokens for pipelines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadSettings {
    /// The preset that names the issuer and the claims that pin it, such as `github-actions`.
    pub preset: Located<String>,
    /// The `aud` values that a token may carry; at least one.
    pub audiences: OneOrMany,
    /// Claims that must have these values; at least one that pins the owner.
    #[serde(default)]
    pub require: BTreeMap<String, String>,
}
