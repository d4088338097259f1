//! `narrows what-can`: everything that somebody may do, for an access review.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};

use super::explain::rule_json;
use super::rule_files::RuleFiles;
use super::somebody::Somebody;
use super::{DIFFERENT, needing};
use crate::audit;
use crate::authn::identity::Principal;
use crate::authz::Reach;
use crate::clock::Clock;
use crate::registry::{Action, ActionSet};

const EXAMPLES: &str = "\
Examples:
  narrows what-can alice --group registry-payments --rules rules.yaml
  narrows what-can robot-deploy --realm robots --config narrows.yaml --json
  narrows what-can --provider github --claim repository_id=991 --claim ref=refs/heads/main --config narrows.yaml
  narrows what-can --anonymous --rules rules.yaml

One line for each pattern of repositories with the actions, the rule that allows them, and what else they need: claims and a
second factor that are not known, a time, an address, or a way past a deny. `less` lines say what a deny takes on a part of
the pattern.

Exit codes: 0 something, 1 nothing, 2 bad usage, configuration or rules, 3 the provider of --lookup cannot be asked.";

/// List everything that somebody may do, and under which conditions.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WhatCanArgs {
    /// Who: the canonical name, as the provider spells it.
    #[arg(value_name = "USER", value_parser = NonEmptyStringValueParser::new())]
    pub user: Option<String>,
    /// Requests without credentials.
    #[arg(long, conflicts_with_all = ["user", "group", "realm", "provider", "lookup", "claim", "mfa"])]
    pub anonymous: bool,
    #[command(flatten)]
    somebody: Somebody,
    #[command(flatten)]
    files: RuleFiles,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Prints what somebody can do; reads the configuration and the rules.
pub fn run(args: &WhatCanArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    what_can(args, &Clock::system(), out, &mut io::stderr())
}

fn what_can(args: &WhatCanArgs, clock: &Clock, out: &mut dyn Write, talk: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let now = clock.now();
    let opened = args.files.open(now, talk)?;
    let principal = match &args.user {
        _ if args.anonymous => Principal::Anonymous,
        None if args.somebody.claim.is_empty() => bail!("say who: USER with a --group for each group, or --anonymous"),
        user => args.somebody.principal(user.as_deref(), &opened, now, talk)?,
    };
    let reaches = opened.policy.what_can(&principal, &opened.service, now);
    if args.json {
        writeln!(out, "{:#}", json!({"can": reaches.iter().map(as_json).collect::<Vec<_>>()}))?;
    } else {
        for reach in &reaches {
            write_reach(reach, "", out)?;
        }
        if reaches.is_empty() {
            writeln!(out, "nothing")?;
        }
    }
    Ok(if reaches.is_empty() { ExitCode::from(DIFFERENT) } else { ExitCode::SUCCESS })
}

/// A line, with lines for what denies take, each behind the indentation.
pub(super) fn write_reach(reach: &Reach, indent: &str, out: &mut dyn Write) -> io::Result<()> {
    let Reach { repository, actions, conditions, rule, less } = reach;
    // The one action on the catalogue is said by its name.
    let actions = if *actions == ActionSet::CATALOG { String::new() } else { format!("  {actions}") };
    writeln!(out, "{indent}{}", audit::escaped(&format!("{repository}{actions}  by {rule}{}", needing(conditions))))?;
    for (place, actions, deny) in less {
        writeln!(out, "{indent}{}", audit::escaped(&format!("  less {actions} in {place}  by {deny}")))?;
    }
    Ok(())
}

/// The same as a JSON object.
pub(super) fn as_json(reach: &Reach) -> Value {
    let words = |actions: ActionSet| actions.iter().map(Action::as_str).collect::<Vec<_>>();
    let less =
        reach.less.iter().map(|(place, actions, deny)| json!({"repository": place, "actions": words(*actions), "rule": rule_json(deny)}));
    json!({
        "repository": reach.repository,
        "actions": words(reach.actions),
        "conditions": reach.conditions,
        "rule": rule_json(&reach.rule),
        "less": less.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
