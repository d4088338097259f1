//! Policy tests: what the rules have to answer before they are used.

use std::path::PathBuf;

use crate::authz::Rulebook;
use crate::config::Config;
use crate::source::{Diagnostic, Diagnostics, Located};

/// Runs the policy tests of the configuration against rules that were read; each that fails is an error.
pub fn check_policy_tests(config: &Config, _rulebook: &Rulebook) -> Diagnostics {
    let unable = |path: Located<PathBuf>| {
        Diagnostic::whole(config.folder().join(path.value), "policy tests cannot be run yet")
            .hint("remove `policy_tests` from the configuration")
    };
    Diagnostics(config.policy_tests.paths().map(unable).collect())
}
