//! `narrows explain`: which rule gives or takes each action, and what is missing, before anybody tries.

mod asker;
mod report;

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::DIFFERENT;
use crate::audit;
use crate::authz::{Context, Environment, Policy, RuleFile, RuleSource, Rulebook};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::registry::{Action, ScopeRequest};
use crate::source::{Diagnostics, SourceFile};
pub(super) use report::Report;

const EXAMPLES: &str = "\
Examples:
  narrows explain --rules rules.yaml --user alice --group registry-payments --scope repository:payments/api:pull,push
  narrows explain --config narrows.yaml --realm robots --user robot-deploy --scope 'repository:payments/api:*' --json

The groups are those that you name: nobody is asked. With --rules alone names and groups compare with their case, and
plain names mean the file's `realm`; with --config they compare as the providers say.

Exit codes: 0 everything was granted, 1 something was not, 2 bad usage, configuration or rules.";

/// Say which rule gives or takes each action, and what is missing.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExplainArgs {
    /// The configuration: its realms, and the rules of the service.
    #[arg(long, short = 'c', value_name = "FILE", env = "NARROWS_CONFIG", default_value_if("rules", clap::builder::ArgPredicate::IsPresent, None), default_value = super::CONFIGURATION)]
    pub config: Option<PathBuf>,
    /// A rule file: alone, or instead of those that the configuration names.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Who asks: the canonical name, as the provider spells it.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub user: Option<String>,
    /// A request without credentials.
    #[arg(long, conflicts_with_all = ["user", "group", "realm", "provider"])]
    pub anonymous: bool,
    /// A group of the user; a text with `=` is a DN. May be repeated.
    #[arg(long, value_name = "GROUP", value_parser = NonEmptyStringValueParser::new())]
    pub group: Vec<String>,
    /// The user's realm. Default: the one that the rules mean, or the provider's.
    #[arg(long, value_name = "REALM")]
    pub realm: Option<String>,
    /// The provider that vouches for the user. Default: the first of the realm.
    #[arg(long, value_name = "PROVIDER")]
    pub provider: Option<String>,
    /// The service that the token is for. Default: the first of the configuration.
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// The client's address.
    #[arg(long, value_name = "IP")]
    pub source: Option<IpAddr>,
    /// What is asked for, as repository:payments/api:pull,push. May be repeated, or hold several with spaces between.
    #[arg(long, value_name = "SCOPE", required = true)]
    pub scope: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Decides as the service would, and prints why. Asks nobody; reads the configuration and the rules alone.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    explain(args, out, &mut io::stderr())
}

fn explain(args: &ExplainArgs, out: &mut dyn Write, talk: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = args.config.as_deref().map(|path| read_config(path, talk)).transpose()?;
    let clock = Clock::system();
    let environment = config.as_ref().map(|config| config.environment(clock.now())).unwrap_or_default();
    let service = service(args, config.as_ref())?;
    let policy = read_rules(args, config.as_ref(), service, &environment)?;
    let principal = asker::principal(args, &policy, &environment.realms, clock.now(), talk)?;
    let request = ScopeRequest::parse(args.scope.iter().map(String::as_str))?;
    let dropped = dropped(&request, &args.scope);
    for (item, why) in &dropped {
        writeln!(talk, "not granted: {}: {why}", audit::escaped(item))?;
    }
    let context = Context { service, now: clock.now(), source: args.source };
    let decision = policy.decide(&principal, &request.scopes, &context);
    let report = Report { decision: &decision, policy: &policy, dropped: &dropped };
    if args.json {
        writeln!(out, "{:#}", report.json())?;
    } else {
        report.write_text(out)?;
    }
    Ok(if decision.is_whole() && dropped.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
}

fn read_config(path: &Path, talk: &mut dyn Write) -> anyhow::Result<Config> {
    let (config, warnings) = config::load(path)?;
    write!(talk, "{warnings}")?;
    Ok(config)
}

/// The rules of a rule file alone; those of the service where there is a configuration, or another file in their place.
fn read_rules(args: &ExplainArgs, config: Option<&Config>, service: &str, environment: &Environment) -> anyhow::Result<Arc<Policy>> {
    // Warnings are for `narrows check`; they are in the way of an answer.
    let policy = match (&args.rules, config) {
        (None, None) => bail!("name a file with --config or --rules"),
        (Some(path), None) => {
            let file = SourceFile::load(path).map_err(Diagnostics::from)?;
            let (policy, _) = Policy::compile_all(&[RuleSource { file, within: None }], environment)?;
            Arc::new(policy)
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
            Arc::clone(policy)
        }
    };
    Ok(policy)
}

/// The service that the token would be for; one of the configuration, where there is one.
fn service<'a>(args: &'a ExplainArgs, config: Option<&'a Config>) -> anyhow::Result<&'a str> {
    let known: Vec<&str> = config.iter().flat_map(|config| &config.services).map(|service| service.name.value.as_str()).collect();
    match (args.service.as_deref(), known.first()) {
        (Some(service), Some(_)) if !known.contains(&service) => {
            bail!("the configuration has no service `{service}`; it has {}", known.join(", "))
        }
        (Some(service), _) => Ok(service),
        (None, first) => Ok(first.copied().unwrap_or_default()),
    }
}

/// What is asked for and can never be granted, with the reason: whole items, and items with a word that is no action.
fn dropped(request: &ScopeRequest, parameters: &[String]) -> Vec<(String, String)> {
    let mut dropped: Vec<(String, String)> = request.dropped.iter().map(|(item, error)| (item.clone(), error.to_string())).collect();
    let whole = |item: &&str| !request.dropped.iter().any(|(known, _)| known == item);
    for item in parameters.iter().flat_map(|text| text.split(' ')).filter(whole) {
        let words = item.rsplit_once(':').map_or("", |(_, words)| words).split(',');
        for word in words.filter(|word| !word.is_empty() && Action::from_word(word).is_none()) {
            dropped.push((item.to_owned(), format!("`{}` is no action", audit::escaped(word))));
        }
    }
    dropped
}

#[cfg(test)]
mod tests;
