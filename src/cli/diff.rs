//! `narrows diff`: what a change of the rules gives and takes.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};

use super::DIFFERENT;
use super::explain::rule_json;
use crate::audit;
use crate::authz::{Change, Difference, Environment, Policy, RuleFile, RuleSet, Rulebook};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::registry::Action;
use crate::source::{Diagnostics, SourceFile};

const EXAMPLES: &str = "\
Examples:
  narrows diff old/rules.yaml rules.yaml
  narrows diff --config narrows.yaml old/rules.yaml rules.yaml --fail-on-widen
  narrows diff old/narrows.yaml narrows.yaml --json

OLD and NEW are rule files, or configurations; a file with a key `services` at its left edge is a configuration, which
brings its rule files, realms and services. Of several rule files the first says what holds for all, as in
base.yaml,teams/payments.yaml; `within` needs a configuration.

A line is somebody whom the rules name, with what they gain (`+`) or lose (`-`), whatever time, address and second factor it
needs; behind it stand the services, where the configurations have some. `?` is a rule that was added, changed or removed
and may give more, though nobody was found who gains: look at it. Lives (`ttl`) are not compared.

Exit codes: 0 no difference, 1 a difference, 2 bad usage, configuration or rules. With --fail-on-widen: 1 only where
somebody gains or a rule is unclear, else 0.";

/// Say what a change of the rules gives and takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DiffArgs {
    /// The rules as they were.
    #[arg(value_name = "OLD")]
    pub old: PathBuf,
    /// The rules as they are to be.
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// Both are configurations, whatever is in them.
    #[arg(long, conflicts_with = "config")]
    pub configs: bool,
    /// A configuration of which both rule files get the realms and services.
    #[arg(long, short = 'c', value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Fail only where somebody may gain something.
    #[arg(long)]
    pub fail_on_widen: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What differs, and for which services.
struct Part {
    services: Vec<String>,
    difference: Difference,
}

/// Compares and prints. Asks nobody; reads the rules and configurations alone.
pub fn run(args: &DiffArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    diff(args, &Clock::system(), out, &mut io::stderr())
}

fn diff(args: &DiffArgs, clock: &Clock, out: &mut dyn Write, talk: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let configs = [is_configuration(args, &args.old)?, is_configuration(args, &args.new)?];
    let parts = match configs {
        [true, true] if args.config.is_some() => bail!("--config goes with rule files: OLD and NEW are configurations"),
        [true, true] => between_configurations(args, clock, talk)?,
        [false, false] => between_rules(args, clock, talk)?,
        [_, _] => bail!("OLD and NEW are both rule files, or both configurations"),
    };
    let differs = parts.iter().any(|part| !part.difference.is_empty());
    let widens = parts.iter().any(|part| part.difference.widens());
    if args.json {
        write_json(&parts, out)?;
    } else {
        write_text(&parts, out)?;
    }
    let fails = if args.fail_on_widen { widens } else { differs };
    Ok(if fails { ExitCode::from(DIFFERENT) } else { ExitCode::SUCCESS })
}

/// Whether it is a configuration, told by its one key that rule files do not have.
fn is_configuration(args: &DiffArgs, path: &Path) -> anyhow::Result<bool> {
    let Some(first) = files(path).into_iter().next() else { bail!("name a file") };
    let file = SourceFile::load(&first).map_err(Diagnostics::from)?;
    Ok(args.configs || file.text().lines().any(|line| line.starts_with("services:")))
}

/// The files of `a.yaml,b.yaml`; a file that has a comma in its name is one.
fn files(path: &Path) -> Vec<PathBuf> {
    match path.to_str() {
        Some(text) if !path.exists() => text.split(',').map(PathBuf::from).collect(),
        Some(_) | None => vec![path.to_owned()],
    }
}

fn between_rules(args: &DiffArgs, clock: &Clock, talk: &mut dyn Write) -> anyhow::Result<Vec<Part>> {
    let environment = match &args.config {
        Some(path) => load_config(path, talk)?.environment(clock.now()),
        None => Environment::default(),
    };
    let services: Vec<Arc<str>> = environment.services.iter().map(|service| Arc::clone(&service.name)).collect();
    // A set without services has rules, and nobody who could ask for them by name.
    let services = if services.is_empty() { vec![Arc::from("")] } else { services };
    let load = |path: &Path| -> anyhow::Result<Arc<Policy>> {
        let files = files(path).into_iter().map(|path| RuleFile { path, within: None }).collect();
        let (rulebook, _) = Rulebook::load(&[RuleSet { files, services: services.clone() }], &environment)?;
        let policy = rulebook.policies().next().map(|(_, _, policy)| Arc::clone(policy));
        policy.context("there are no rules")
    };
    let difference = Difference::between(&*load(&args.old)?, &*load(&args.new)?);
    Ok(vec![Part { services: Vec::new(), difference }])
}

fn between_configurations(args: &DiffArgs, clock: &Clock, talk: &mut dyn Write) -> anyhow::Result<Vec<Part>> {
    let mut load = |path: &Path| -> anyhow::Result<Rulebook> {
        let config = load_config(path, talk)?;
        let (rulebook, _) = Rulebook::load(&config.rule_sets(), &config.environment(clock.now()))?;
        Ok(rulebook)
    };
    let (old, new) = (load(&args.old)?, load(&args.new)?);
    let mut parts: Vec<Part> = Vec::new();
    for service in old.services().chain(new.services()).collect::<BTreeSet<_>>() {
        let difference = match (old.policy(service), new.policy(service)) {
            (Some(old), Some(new)) => Difference::between(old, new),
            // A service that only one of them has gives everything, or takes it.
            (None, Some(new)) => Difference::between(&new.without_rules(), new),
            (Some(old), None) => Difference::between(old, &old.without_rules()),
            (None, None) => continue,
        };
        match parts.iter_mut().find(|part| part.difference == difference) {
            Some(part) => part.services.push(service.to_owned()),
            None => parts.push(Part { services: vec![service.to_owned()], difference }),
        }
    }
    Ok(parts)
}

fn load_config(path: &Path, talk: &mut dyn Write) -> anyhow::Result<Config> {
    let (config, warnings) = config::load(path)?;
    write!(talk, "{warnings}")?;
    Ok(config)
}

fn write_text(parts: &[Part], out: &mut dyn Write) -> io::Result<()> {
    for Part { services, difference } in parts {
        let at = if services.is_empty() { String::new() } else { format!(" ({})", services.join(", ")) };
        let mut line = |text: String| writeln!(out, "{}", audit::escaped(&format!("{text}{at}")));
        for (sign, changes) in [('+', &difference.widened), ('-', &difference.narrowed)] {
            changes.iter().try_for_each(|change| line(format!("{sign} {}: {}", change.who, what(change))))?;
        }
        difference.unclear.iter().try_for_each(|rule| line(format!("? {rule}")))?;
    }
    let count = |of: fn(&Difference) -> usize| parts.iter().map(|part| of(&part.difference)).sum::<usize>();
    let (widened, narrowed) = (count(|it| it.widened.len()), count(|it| it.narrowed.len()));
    writeln!(out, "{widened} widened, {narrowed} narrowed, {} unclear", count(|it| it.unclear.len()))
}

/// `push prod/**`, or `catalog`.
fn what(change: &Change) -> String {
    match change.action {
        Action::All => change.repository.clone(),
        Action::Pull | Action::Push | Action::Delete => format!("{} {}", change.action, change.repository),
    }
}

fn write_json(parts: &[Part], out: &mut dyn Write) -> io::Result<()> {
    let list = |of: fn(&Difference) -> &Vec<Change>| -> Vec<Value> {
        let all = parts.iter().flat_map(|part| of(&part.difference).iter().map(move |change| (part, change)));
        let object = |(part, change): (&Part, &Change)| json!({"who": change.who, "action": change.action.as_str(), "repository": change.repository, "services": part.services});
        all.map(object).collect()
    };
    let unclear = parts.iter().flat_map(|part| part.difference.unclear.iter().map(move |rule| (part, rule)));
    let unclear: Vec<Value> = unclear.map(|(part, rule)| json!({"rule": rule_json(rule), "services": part.services})).collect();
    let widens = parts.iter().any(|part| part.difference.widens());
    let whole = json!({"widens": widens, "widened": list(|it| &it.widened), "narrowed": list(|it| &it.narrowed), "unclear": unclear});
    writeln!(out, "{whole:#}")
}

#[cfg(test)]
mod tests;
