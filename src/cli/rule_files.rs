//! Which rules a command reads: those of a configuration, or a rule file.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use clap::builder::ArgPredicate;

use crate::authz::{Environment, Policy, RuleFile, RuleSource, Rulebook};
use crate::clock::Timestamp;
use crate::config::{self, Config};
use crate::source::{Diagnostics, SourceFile};
use crate::token::settings::TokenTtl;

/// The rules that a question is about.
#[derive(Clone, Debug, Args)]
pub struct RuleFiles {
    /// The configuration: its realms, and the rules of the service.
    #[arg(long, short = 'c', value_name = "FILE", env = "NARROWS_CONFIG", default_value_if("rules", ArgPredicate::IsPresent, None), default_value = super::CONFIGURATION)]
    pub config: Option<PathBuf>,
    /// A rule file: alone, or instead of those that the configuration names.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// The service that the token is for. Default: the first of the configuration.
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
}

/// The rules, and what they are read against.
pub(super) struct Opened {
    pub(super) config: Option<Config>,
    pub(super) environment: Environment,
    /// Empty where there is no configuration and none was named.
    pub(super) service: String,
    pub(super) policy: Arc<Policy>,
}

impl Opened {
    /// The lives of the service's tokens, where they are configured.
    pub(super) fn ttl(&self) -> Option<&TokenTtl> {
        let services = self.config.iter().flat_map(|config| &config.services);
        services.filter(|service| service.name.value == self.service).map(|service| &service.token_ttl).next()
    }
}

impl RuleFiles {
    /// Reads the configuration, then the rules of the service. Warnings of the configuration go to `talk`; those of the rules
    /// are for `narrows check`, and in the way of an answer.
    pub(super) fn open(&self, now: Timestamp, talk: &mut dyn Write) -> anyhow::Result<Opened> {
        let config = match &self.config {
            Some(path) => {
                let (config, warnings) = config::load(path)?;
                write!(talk, "{warnings}")?;
                Some(config)
            }
            None => None,
        };
        let environment = config.as_ref().map(|config| config.environment(now)).unwrap_or_default();
        let service = self.service(config.as_ref())?;
        let policy = self.policy(config.as_ref(), &service, &environment)?;
        Ok(Opened { config, environment, service, policy })
    }

    /// One of the configuration, where there is one.
    fn service(&self, config: Option<&Config>) -> anyhow::Result<String> {
        let known: Vec<&str> = config.iter().flat_map(|config| &config.services).map(|service| service.name.value.as_str()).collect();
        match (self.service.as_deref(), known.first()) {
            (Some(service), Some(_)) if !known.contains(&service) => {
                bail!("the configuration has no service `{service}`; it has {}", known.join(", "))
            }
            (Some(service), _) => Ok(service.to_owned()),
            (None, first) => Ok(first.copied().unwrap_or_default().to_owned()),
        }
    }

    /// The rules of a rule file alone; those of the service where there is a configuration, or another file in their place.
    fn policy(&self, config: Option<&Config>, service: &str, environment: &Environment) -> anyhow::Result<Arc<Policy>> {
        match (&self.rules, config) {
            (None, None) => bail!("name a file with --config or --rules"),
            (Some(path), None) => {
                let file = SourceFile::load(path).map_err(Diagnostics::from)?;
                let (policy, _) = Policy::compile_all(&[RuleSource { file, within: None }], environment)?;
                Ok(Arc::new(policy))
            }
            (rules, Some(config)) => {
                let mut sets = config.rule_sets();
                sets.retain(|set| set.services.iter().any(|known| **known == *service));
                if let Some(path) = rules {
                    for set in &mut sets {
                        set.files = vec![RuleFile { path: path.clone(), within: None }];
                    }
                }
                let (rulebook, _) = Rulebook::load(&sets, environment)?;
                let Some(policy) = rulebook.policy(service) else { bail!("the service `{service}` has no rules") };
                Ok(Arc::clone(policy))
            }
        }
    }
}
