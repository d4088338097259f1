//! `narrows check`: everything that the service would read, read once; with `--online` also whether directories answer.

mod offline;
mod online;
mod report;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::clock::Clock;
use crate::config;
use report::Report;

const EXAMPLE: &str = "\
Exit codes: 0 good (warnings allowed, unless --deny-warnings), 2 the service would refuse something, or there are warnings
and --deny-warnings, 3 a provider cannot be asked.

Examples:
  $ narrows check --config narrows.yaml
  2 providers, 14 rules, 1 service: good

  $ narrows check --config narrows.yaml --online --json
  $ narrows check --config narrows.yaml --deny-warnings";

/// Read everything that the service would read, and say what is wrong.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct CheckArgs {
    /// The configuration file.
    #[arg(long, short = 'c', value_name = "FILE", env = "NARROWS_CONFIG", default_value = super::CONFIGURATION)]
    pub config: PathBuf,
    /// Also ask each provider, step by step, and look for every group and user that the rules name.
    #[arg(long)]
    pub online: bool,
    /// Refuse warnings too, for pipelines.
    #[arg(long)]
    pub deny_warnings: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Checks, prints the result to `out` and findings to `talk` (with `--json` all of it to `out`). Changes nothing.
pub async fn run(args: &CheckArgs, out: &mut dyn Write, talk: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let report = check(args, &Clock::system()).await;
    let written = if args.json { report.write_json(out) } else { report.write_text(out, talk) };
    written.context("the result could not be written")?;
    Ok(report.outcome().exit_code())
}

async fn check(args: &CheckArgs, clock: &Clock) -> Report {
    let mut report = Report::default();
    report.deny_warnings = args.deny_warnings;
    let config = match config::load(&args.config) {
        Ok((config, warnings)) => {
            report.found(warnings);
            config
        }
        Err(errors) => {
            report.found(errors);
            return report;
        }
    };
    let parts = offline::inspect(&config, clock, &mut report);
    if let Some((authenticator, rulebook)) = parts.filter(|_| args.online) {
        online::ask(&config, &authenticator, &rulebook, &mut report).await;
    }
    report
}
