//! Policy tests: what the rules have to answer before they are used.

use crate::authz::{Failure, PolicyTests, Rulebook, Stage, TestedRules};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::source::{Diagnostics, SourceFile};

/// Runs the policy tests of the configuration against rules that were read; each that fails, or cannot be run, is an error.
pub fn check_policy_tests(config: &Config, rulebook: &Rulebook, now: Timestamp) -> Diagnostics {
    match read(config) {
        Ok(files) => run(&files, config, rulebook, now),
        Err(findings) => findings,
    }
}

/// The files of tests as they stand.
pub(super) fn read(config: &Config) -> Result<Vec<SourceFile>, Diagnostics> {
    let (mut files, mut findings) = (Vec::new(), Diagnostics::default());
    for path in config.policy_tests.paths() {
        match SourceFile::load(&config.folder().join(path.value)) {
            Ok(file) => files.push(file),
            Err(finding) => findings.push(finding),
        }
    }
    if findings.has_errors() { Err(findings) } else { Ok(files) }
}

/// The findings of all files at once.
pub(super) fn run(files: &[SourceFile], config: &Config, rulebook: &Rulebook, now: Timestamp) -> Diagnostics {
    let services = config.services.iter().map(|service| service.name.value.as_str());
    let rules = TestedRules::Services(services.filter_map(|name| Some((name, &**rulebook.policy(name)?))).collect());
    let stage = Stage { rules, realms: &rulebook.environment().realms, now };
    let mut findings = Diagnostics::default();
    for file in files {
        let tests = match PolicyTests::parse(file) {
            Ok(tests) => tests,
            Err(errors) => {
                findings.0.extend(errors.0);
                continue;
            }
        };
        match tests.run(&stage) {
            Ok(failures) => findings.0.extend(failures.iter().map(Failure::diagnostic)),
            Err(errors) => findings.0.extend(errors.0),
        }
    }
    findings
}
