//! `narrows reload`: a running service reads its files again, and this says what came of it.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hyper::Request;

use super::admin::Admin;
use super::{BAD, ConfigFile, DIFFERENT};
use crate::app::{Comparison, HeldStatus, ReloadOutcome, ReloadReport, Status};
use crate::http::RELOAD_MARK;

/// How long the service may take to say how it stands.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to read everything.
const RELOADING: Duration = Duration::from_mins(1);

/// `narrows reload`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  narrows reload --config narrows.yaml\n  narrows reload --accept-widening=0f3a5b…    as `narrows status` shows it\n\nExit code 0: loaded, or unchanged. 1: the new rules widen and are held back. 2: refused, because something is wrong in the\nfiles. 3: no answer."
)]
pub struct ReloadArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Use rules that may give somebody more: those of the digest, or those that are held back at the moment. Where the
    /// files say something else by then, they are held back again.
    #[arg(long, value_name = "DIGEST", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    accept_widening: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Orders a reload, waits for it and prints what came of it.
pub async fn run(args: &ReloadArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let admin = Admin::at(args.config.load()?.admin_listen.value);
    let accept = match args.accept_widening.as_deref() {
        Some("") => match admin.ask::<Status>(Request::get("/status"), PATIENCE).await? {
            Ok(status) => status.reload.held.map(|held| held.digest),
            Err(unavailable) => return Ok(unavailable),
        },
        named => named.map(ToOwned::to_owned),
    };
    let report = match admin.ask::<ReloadReport>(order(accept.as_deref()), RELOADING).await? {
        Ok(report) => report,
        Err(unavailable) => return Ok(unavailable),
    };
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        for finding in &report.findings {
            super::talk(finding);
        }
        print(&report, accept.as_deref(), out)?;
    }
    Ok(match report.outcome {
        ReloadOutcome::Loaded | ReloadOutcome::Unchanged => ExitCode::SUCCESS,
        ReloadOutcome::Held => ExitCode::from(DIFFERENT),
        ReloadOutcome::Refused => ExitCode::from(BAD),
    })
}

fn order(accept: Option<&str>) -> hyper::http::request::Builder {
    let query = accept.map(|digest| {
        let mut query = form_urlencoded::Serializer::new("?".to_owned());
        query.append_pair("accept_widening", digest);
        query.finish()
    });
    let (name, value) = RELOAD_MARK;
    Request::post(format!("/reload{}", query.unwrap_or_default())).header(name, value)
}

fn print(report: &ReloadReport, accepted: Option<&str>, out: &mut dyn Write) -> std::io::Result<()> {
    let generation = report.generation;
    match report.outcome {
        ReloadOutcome::Unchanged => writeln!(out, "nothing changed: generation {generation} goes on")?,
        ReloadOutcome::Refused => writeln!(out, "refused: generation {generation} goes on")?,
        ReloadOutcome::Loaded => match &report.comparison {
            None => writeln!(out, "generation {generation} runs, with the same rules")?,
            Some(comparison) => {
                writeln!(out, "generation {generation} runs, with new rules: {comparison}")?;
                print_examples(comparison, out)?;
            }
        },
        ReloadOutcome::Held => {
            if let (Some(accepted), Some(held)) = (accepted, &report.held)
                && accepted != held.digest
            {
                writeln!(out, "the files say something else than the rules {accepted}: nothing was accepted")?;
            }
            if let Some(held) = &report.held {
                print_held(held, out)?;
            }
        }
    }
    for setting in &report.needs_restart {
        writeln!(out, "`{setting}` changed and needs a restart")?;
    }
    Ok(())
}

/// What is held back, why, and how to accept it.
pub(super) fn print_held(held: &HeldStatus, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "new rules are held back since {}, because they may give somebody more: {}", held.since, held.comparison)?;
    print_examples(&held.comparison, out)?;
    if held.configuration {
        writeln!(out, "the changed configuration waits with them")?;
    }
    writeln!(out, "accept them: {}", held.accept)
}

fn print_examples(comparison: &Comparison, out: &mut dyn Write) -> std::io::Result<()> {
    for example in &comparison.examples {
        writeln!(out, "  {example}")?;
    }
    let all = comparison.widened + comparison.unclear + comparison.narrowed;
    match all.saturating_sub(comparison.examples.len()) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more"),
    }
}
