//! A file of policy tests together with the rules that it names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::authz::{Environment, Failure, Policy, PolicyTests, RuleSource, Rulebook, Stage, TestedFiles, TestedRules};
use crate::clock::Timestamp;
use crate::config::{self, Config};
use crate::source::{Diagnostics, Located, SourceFile};

/// Tests, ready to run.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) tests: PolicyTests,
    environment: Environment,
    rules: Rules,
}

/// The rules that the tests are about.
#[derive(Debug)]
enum Rules {
    /// Those of files, without a configuration.
    Alone(Arc<Policy>),
    /// Those of a configuration, by service.
    Configured(Vec<(String, Arc<Policy>)>),
}

impl Trial {
    /// Reads the tests and everything that they name. Warnings are about the rules and the configuration.
    pub(super) fn load(path: &Path, now: Timestamp) -> Result<(Self, Diagnostics), Diagnostics> {
        let tests = PolicyTests::parse(&SourceFile::load(path)?)?;
        match &tests.files {
            TestedFiles::Rules(files) => {
                let mut sources = Vec::new();
                for rules in files {
                    let path = Located { value: rules.value.file.clone(), place: rules.place };
                    let within = rules.value.within.clone().map(|within| within.value);
                    sources.push(RuleSource { file: load_named(tests.file(), &path, "rule file")?, within });
                }
                let environment = Environment::default();
                let (policy, warnings) = Policy::compile_all(&sources, &environment)?;
                Ok((Self { tests, environment, rules: Rules::Alone(policy.into()) }, warnings))
            }
            TestedFiles::Config(path) => {
                let (config, mut warnings) = config::parse(load_named(tests.file(), path, "configuration")?)?;
                let environment = config.environment(now);
                let (rules, more) = load_configured(&config, &environment)?;
                warnings.0.extend(more.0);
                Ok((Self { tests, environment, rules }, warnings))
            }
        }
    }

    /// Runs every case.
    pub(super) fn run(&self, now: Timestamp) -> Result<Vec<Failure<'_>>, Diagnostics> {
        let rules = match &self.rules {
            Rules::Alone(policy) => TestedRules::Alone(policy),
            Rules::Configured(services) => {
                TestedRules::Services(services.iter().map(|(name, policy)| (name.as_str(), &**policy)).collect())
            }
        };
        self.tests.run(&Stage { rules, realms: &self.environment.realms, now })
    }
}

/// A file that the tests name; where it cannot be read, the finding stands at its name.
fn load_named(tests: &SourceFile, path: &Located<PathBuf>, what: &str) -> Result<SourceFile, Diagnostics> {
    let found = tests.folder().join(&path.value);
    // Findings and rules carry the path as it would be typed.
    SourceFile::load(found.strip_prefix(".").unwrap_or(&found)).map_err(|unreadable| {
        let message = format!("the {what} `{}`: {}", path.value.display(), unreadable.message);
        tests.error(path.place, message).hint("paths are meant from the folder of the tests").into()
    })
}

/// The rules of each service, in the order of the configuration.
fn load_configured(config: &Config, environment: &Environment) -> Result<(Rules, Diagnostics), Diagnostics> {
    let (rulebook, warnings) = Rulebook::load(&config.rule_sets(), environment)?;
    let names = config.services.iter().map(|service| &service.name.value);
    let rules = names.filter_map(|name| Some((name.clone(), Arc::clone(rulebook.policy(name)?)))).collect();
    Ok((Rules::Configured(rules), warnings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beside_the_tests_is_called_by_its_name() {
        let tests = SourceFile::new("rules.test.yaml", "");
        let rules = load_named(&tests, &Located::nowhere(PathBuf::from("config/rules.yaml")), "rule file").unwrap();
        assert_eq!(rules.path(), Path::new("config/rules.yaml"));
    }
}
