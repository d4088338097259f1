//! `narrows who-can`: who may do something, for an access review.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use super::explain::rule_json;
use super::rule_files::{Opened, RuleFiles};
use super::{DIFFERENT, UNAVAILABLE, needing};
use crate::audit;
use crate::authz::{Context, Identities, RefusedBy, RuleName};
use crate::clock::{Clock, Timestamp};
use crate::registry::{Action, ActionSet, Resource, ResourceScope};
use crate::source::{Diagnostics, SourceFile};

const EXAMPLES: &str = "\
Examples:
  narrows who-can push prod/app --rules rules.yaml
  narrows who-can catalog --config narrows.yaml --service registry.corp.example --json
  narrows who-can pull payments/api --config narrows.yaml --identities people.yaml

One line for everybody whom the rules name: a group, a user, a provider of workloads, `authenticated` or `anyone`, with the
rule that allows it and what else it needs: claims, a second factor, a time, an address, or a way past a deny. Somebody
is listed who can do it when all of that is so. Groups are not taken apart: nobody is asked who is in them.

--identities lists instead which of these people and workloads can do it now, in the words of a policy test's `who`:
  - {user: alice, groups: [registry-payments]}          # also realm, provider, claims, mfa
  - {provider: github, claims: {repository_id: \"991\"}}
  - anonymous
What is not said of them, as a claim, a second factor or their address, is not known and never helps.

Exit codes: 0 somebody can, 1 nobody can, 2 bad usage, configuration, rules or identities, 3 not all could be
found: the rules leave too many ways to try.";

/// List who may do something, and under which conditions.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WhoCanArgs {
    /// pull, push or delete; or `catalog`, which goes without a repository.
    #[arg(value_name = "ACTION")]
    pub action: String,
    /// The repository, as in prod/app.
    #[arg(value_name = "REPOSITORY")]
    pub repository: Option<String>,
    #[command(flatten)]
    files: RuleFiles,
    /// List those of this file's people and workloads who can, instead of whom the rules name.
    #[arg(long, value_name = "FILE")]
    pub identities: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Somebody who can.
struct Line {
    who: String,
    conditions: Vec<String>,
    rules: Vec<RuleName>,
}

/// Prints who can. Asks nobody; reads the configuration, the rules and the identities alone.
pub fn run(args: &WhoCanArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    who_can(args, &Clock::system(), out, &mut io::stderr())
}

fn who_can(args: &WhoCanArgs, clock: &Clock, out: &mut dyn Write, talk: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let now = clock.now();
    let (action, resource) = question(&args.action, args.repository.as_deref())?;
    let opened = args.files.open(now, talk)?;
    let mut complete = true;
    let lines: Vec<Line> = if let Some(path) = &args.identities {
        let identities = Identities::parse(&SourceFile::load(path).map_err(Diagnostics::from)?)?;
        of_these(&identities, action, &resource, &opened, now, talk)?
    } else {
        let holders = opened.policy.who_can(action, &resource, &opened.service, now);
        complete = holders.complete;
        holders.list.into_iter().map(|holder| Line { who: holder.who, conditions: holder.conditions, rules: vec![holder.rule] }).collect()
    };
    if args.json {
        let holders = lines.iter().map(|line| {
            let rules: Vec<_> = line.rules.iter().map(rule_json).collect();
            json!({"who": line.who, "conditions": line.conditions, "rules": rules})
        });
        let question = ResourceScope { resource, actions: action.into() }.to_string();
        writeln!(out, "{:#}", json!({"question": question, "holders": holders.collect::<Vec<_>>(), "complete": complete}))?;
    } else {
        for Line { who, conditions, rules } in &lines {
            let rules: Vec<String> = rules.iter().map(ToString::to_string).collect();
            writeln!(out, "{}", audit::escaped(&format!("{who}  by {}{}", rules.join(", "), needing(conditions))))?;
        }
        if lines.is_empty() && complete {
            writeln!(out, "nobody")?;
        }
    }
    if !complete {
        writeln!(talk, "warning: this is not everybody: the rules leave too many ways to try")?;
        writeln!(talk, "hint: `--identities FILE` says of given people and workloads whether they can")?;
        return Ok(ExitCode::from(UNAVAILABLE));
    }
    Ok(if lines.is_empty() { ExitCode::from(DIFFERENT) } else { ExitCode::SUCCESS })
}

/// `push prod/app`, or `catalog`.
fn question(action: &str, repository: Option<&str>) -> anyhow::Result<(Action, Resource)> {
    let word = Action::from_word(action).filter(|action| *action != Action::All);
    match (action, word, repository) {
        ("catalog", _, None) => Ok((Action::All, Resource::Catalog)),
        ("catalog", _, Some(_)) => bail!("`catalog` is about all repositories: leave the repository out"),
        (_, Some(action), Some(name)) => {
            let name = name.parse().with_context(|| format!("`{}` is no repository", audit::escaped(name)))?;
            Ok((action, Resource::Repository(name)))
        }
        (action, Some(_), None) => bail!("name a repository, as in `narrows who-can {action} prod/app`"),
        (action, None, _) => bail!("`{}` is no action: write pull, push, delete or catalog", audit::escaped(action)),
    }
}

/// Those who can; of whom too little is known to tell is said to `talk`.
fn of_these(
    identities: &Identities,
    action: Action,
    resource: &Resource,
    opened: &Opened,
    now: Timestamp,
    talk: &mut dyn Write,
) -> anyhow::Result<Vec<Line>> {
    let scope = ResourceScope { resource: resource.clone(), actions: ActionSet::from(action) };
    let context = Context { service: &opened.service, now, source: None };
    let mut lines = Vec::new();
    for (who, principal) in identities.principals(&opened.policy, &opened.environment.realms, now)? {
        let decision = opened.policy.decide(&principal, std::slice::from_ref(&scope), &context);
        for grant in decision.grants {
            lines.extend(grant.granted_by.into_iter().map(|(_, rules)| Line { who: who.to_string(), conditions: Vec::new(), rules }));
            for (_, reason) in &grant.refused {
                match reason {
                    RefusedBy::Unknown(what) => writeln!(talk, "{}", audit::escaped(&format!("{who}: {what}")))?,
                    RefusedBy::NoRule | RefusedBy::Deny(_) | RefusedBy::Stale => {}
                }
            }
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
