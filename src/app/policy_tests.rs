//! Policy tests: what the rules have to answer before they are used.

use crate::authz::Rulebook;
use crate::config::Config;
use crate::source::{Diagnostic, Diagnostics, Severity};

/// Runs the policy tests of the configuration against rules that were read; each that fails is an error.
pub fn check_policy_tests(config: &Config, _rulebook: &Rulebook) -> Diagnostics {
    let unable = |path: crate::source::Located<std::path::PathBuf>| Diagnostic {
        severity: Severity::Error,
        file: config.folder().join(path.value),
        place: None,
        message: "policy tests cannot be run yet".to_owned(),
        hint: Some("remove `policy_tests` from the configuration".to_owned()),
        line: None,
    };
    Diagnostics(config.policy_tests.paths().map(unable).collect())
}
