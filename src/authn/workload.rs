//! Workload issuers: their keys are read, and a provider of this kind is refused by name until it can be asked.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::source::{AnyScalar, Located, OneOrMany};

/// An issuer of tokens for pipelines.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadSettings {
    /// The preset that names the issuer and the claims that pin it, such as `github-actions`.
    pub preset: Located<String>,
    /// The `aud` values that a token may carry; at least one.
    pub audiences: OneOrMany,
    /// Claims that must have these values; at least one that pins the owner.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, AnyScalar>")]
    pub require: BTreeMap<String, String>,
}
