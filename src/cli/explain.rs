//! `narrows explain`: which rule gives or takes each action, and what is missing, before anybody tries.

mod report;

use std::io::{self, Write};
use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::DIFFERENT;
use super::rule_files::RuleFiles;
use super::somebody::Somebody;
use crate::audit;
use crate::authn::identity::Principal;
use crate::authz::Context;
use crate::clock::Clock;
use crate::registry::{Action, ScopeRequest};
pub(super) use report::{Report, rule_json};

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
    #[command(flatten)]
    files: RuleFiles,
    /// Who asks: the canonical name, as the provider spells it.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub user: Option<String>,
    /// A request without credentials.
    #[arg(long, conflicts_with_all = ["user", "group", "realm", "provider", "claim", "mfa"])]
    pub anonymous: bool,
    #[command(flatten)]
    somebody: Somebody,
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
    let now = Clock::system().now();
    let opened = args.files.open(now, talk)?;
    let principal = match &args.user {
        _ if args.anonymous => Principal::Anonymous,
        None if args.somebody.claim.is_empty() => bail!("say who asks: --user NAME with a --group for each group, or --anonymous"),
        user => args.somebody.principal(user.as_deref(), &opened, now, talk)?,
    };
    let request = ScopeRequest::parse(args.scope.iter().map(String::as_str))?;
    let dropped = dropped(&request, &args.scope);
    for (item, why) in &dropped {
        writeln!(talk, "not granted: {}: {why}", audit::escaped(item))?;
    }
    let context = Context { service: &opened.service, now, source: args.source };
    let decision = opened.policy.decide(&principal, &request.scopes, &context);
    let report = Report { decision: &decision, policy: &opened.policy, dropped: &dropped };
    if args.json {
        writeln!(out, "{:#}", report.json())?;
    } else {
        report.write_text(out)?;
    }
    Ok(if decision.is_whole() && dropped.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
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
