//! `narrows explain`: which rule gives or takes each action, and what is missing, before anybody tries.

mod event;
mod report;

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
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
use crate::clock::{Clock, Timestamp};
use crate::issue;
use crate::registry::{Action, ScopeRequest};
use event::Event;
pub(super) use report::{Report, rule_json};

const EXAMPLES: &str = "\
Examples:
  narrows explain --rules rules.yaml --user alice --group registry-payments --scope repository:payments/api:pull,push
  narrows explain --config narrows.yaml --realm robots --user robot-deploy --scope 'repository:payments/api:*' --json

  narrows explain --config narrows.yaml --user alice --lookup staff --scope repository:prod/app:push --at 2035-01-31T18:00:00Z
  narrows explain --config narrows.yaml --event 01J9ZC3T6V --lookup staff

The groups are those that you name: nobody is asked, unless --lookup takes them from a provider. With --rules alone names and groups compare with their case, and
plain names mean the file's `realm`; with --config they compare as the providers say.

--event takes who asked for what, when and from where from the audit, and decides it by the rules as they are now; it says
where that is something else than what was granted. Groups, claims and second factors are not in the audit.

Exit codes: 0 everything was granted, 1 something was not, 2 bad usage, configuration or rules, 3 the provider of --lookup
cannot be asked.";

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
    #[arg(long, conflicts_with_all = ["user", "group", "realm", "provider", "lookup", "claim", "mfa"])]
    pub anonymous: bool,
    #[command(flatten)]
    somebody: Somebody,
    /// The client's address.
    #[arg(long, value_name = "IP")]
    pub source: Option<IpAddr>,
    /// As of when, as 2035-01-31T18:00:00Z. Default: now.
    #[arg(long, value_name = "INSTANT")]
    pub at: Option<Timestamp>,
    /// What is asked for, as repository:payments/api:pull,push. May be repeated, or hold several with spaces between.
    #[arg(long, value_name = "SCOPE", required_unless_present = "event")]
    pub scope: Vec<String>,
    /// Explain a request that was decided: its id, as the audit, the log and the answer's header have it.
    #[arg(long, value_name = "REQUEST_ID", conflicts_with_all = ["user", "anonymous", "realm", "provider", "service", "source", "at", "scope"])]
    pub event: Option<String>,
    /// The audit file of --event. Default: the configuration's.
    #[arg(long, value_name = "FILE", requires = "event")]
    pub audit: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Decides as the service would, and prints why. Reads files alone, unless it is told to look somebody up.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    explain(args, out, &mut io::stderr())
}

fn explain(args: &ExplainArgs, out: &mut dyn Write, talk: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Some(id) = &args.event else { return decide(args, None, out, talk) };
    let event = Event::find(id, args)?;
    writeln!(talk, "{}", event.told())?;
    if !event.was_decided() {
        writeln!(out, "no rule was asked")?;
        return Ok(ExitCode::from(DIFFERENT));
    }
    if event.username.is_some() && args.somebody.group.is_empty() && args.somebody.lookup.is_none() {
        writeln!(talk, "the audit has no groups: name each with --group, or take them from the directory with --lookup")?;
    }
    let at = event.time.parse::<Timestamp>()?;
    let asked = ExplainArgs {
        files: RuleFiles { service: event.service.clone(), ..args.files.clone() },
        user: event.username.clone(),
        anonymous: event.username.is_none(),
        somebody: Somebody {
            // One that is looked up has the realm of the provider.
            realm: event.realm.clone().filter(|_| args.somebody.lookup.is_none()),
            provider: event.provider.clone(),
            ..args.somebody.clone()
        },
        source: event.source(),
        at: Some(at),
        scope: event.requested.clone(),
        ..args.clone()
    };
    decide(&asked, Some(&event), out, talk)
}

fn decide(args: &ExplainArgs, event: Option<&Event>, out: &mut dyn Write, talk: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let clock = Clock::system();
    let opened = args.files.open(clock.now(), talk)?;
    let now = args.at.unwrap_or_else(|| clock.now());
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
    let mut decision = opened.policy.decide(&principal, &request.scopes, &context);
    if event.is_some_and(|event| event.stale.is_some()) {
        let life = opened.ttl().map_or(0, |ttl| i64::try_from(ttl.pull.value.as_seconds()).unwrap_or(i64::MAX));
        decision = decision.pull_only(now.plus(life));
    }
    let lifetime = opened.ttl().map(|ttl| (issue::lifetime(ttl, &decision, now), now));
    let report = Report { decision: &decision, policy: &opened.policy, dropped: &dropped, lifetime };
    if let Some(event) = event {
        event.write_generation(opened.config.as_ref(), talk)?;
    }
    if args.json {
        let mut whole = report.json();
        if let (Some(event), Some(fields)) = (event, whole.as_object_mut()) {
            fields.insert("event".to_owned(), event.json(&report.granted()));
        }
        writeln!(out, "{whole:#}")?;
    } else {
        report.write_text(out)?;
        if let Some(event) = event {
            event.write_compared(&report.granted(), out)?;
        }
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
