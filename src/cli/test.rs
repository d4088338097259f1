//! `narrows test`: whether the rules do what their tests say.

mod report;
mod trial;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::clock::Clock;
use report::Report;
use trial::Trial;

const EXAMPLES: &str = "\
A file of policy tests names the rules and lists cases:
  rules: rules.yaml             # or `config: narrows.yaml`, which also says whose people the providers know
  cases:
    - who: {user: alice, groups: [registry-payments]}
      asks: repository:payments/api:pull,push,delete
      gets: [pull, push]
    - {who: anonymous, asks: \"repository:payments/api:pull\", gets: nothing}

Examples:
  narrows test rules.test.yaml
  narrows test --json tests/*.test.yaml

Asks nobody. Each failed case is printed with what `narrows explain` says of it.

Exit codes: 0 every case passed, 1 a case failed, 2 a file could not be run.";

/// Run policy tests and print each case that fails, with the reason.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TestArgs {
    /// Files of policy tests.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs every file, prints failed cases to `out` and findings to standard error (with `--json` all of it to `out`).
pub fn run(args: &TestArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    test(args, &Clock::system(), out, &mut io::stderr())
}

fn test(args: &TestArgs, clock: &Clock, out: &mut dyn Write, talk: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let now = clock.now();
    let mut report = if args.json { Report::as_json(out) } else { Report::as_text(out, talk) };
    for path in &args.files {
        let (trial, warnings) = match Trial::load(path, now) {
            Ok(loaded) => loaded,
            Err(errors) => {
                report.cannot_be_run(errors)?;
                continue;
            }
        };
        report.found(warnings)?;
        match trial.run(now) {
            Ok(failures) => report.ran(trial.tests.cases().len(), &failures)?,
            Err(errors) => report.cannot_be_run(errors)?,
        }
    }
    Ok(report.finish()?)
}

#[cfg(test)]
mod tests;
