//! `narrows status`: how a running service stands, asked at `admin_listen`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hyper::Request;

use super::admin::Admin;
use super::{ConfigFile, DIFFERENT, reload};
use crate::app::Status;

/// How long the service may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// `narrows status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  narrows status --config narrows.yaml\n  narrows status --json | jq .generation\n\nExit code 0: ready. 1: running, but nobody can be served, the last reload was refused or rules are\nheld back. 3: no answer."
)]
pub struct StatusArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
pub async fn run(args: &StatusArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let admin = Admin::at(args.config.load()?.admin_listen.value);
    let status: Status = match admin.ask(Request::get("/status"), PATIENCE).await? {
        Ok(status) => status,
        Err(unavailable) => return Ok(unavailable),
    };
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?;
    } else {
        print(&status, out)?;
    }
    let good = status.ready && status.reload.error.is_none() && status.reload.held.is_none();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
}

fn print(status: &Status, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "narrows {}: {}, generation {}", status.version, if status.ready { "ready" } else { "not ready" }, status.generation)?;
    for provider in &status.providers {
        let reason = provider.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        writeln!(out, "provider {} ({}, realm {}): {}{reason}", provider.name, provider.kind, provider.realm, provider.state)?;
    }
    for key in &status.keys {
        writeln!(out, "key of {}: {} {}, until {}", key.service, key.algorithm, key.kid, key.not_after)?;
    }
    let rules = if status.reload.last_good { ", with the rules of the last good load" } else { "" };
    writeln!(out, "loaded {}{rules}", status.reload.loaded)?;
    if let (Some(at), Some(error)) = (&status.reload.refused, &status.reload.error) {
        writeln!(out, "reload refused {at}: {error}")?;
    }
    if let Some(held) = &status.reload.held {
        reload::print_held(held, out)?;
    }
    Ok(())
}
