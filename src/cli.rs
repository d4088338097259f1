//! The command line: one file a command.
//!
//! Standard output is data, standard error is talk. Exit codes: 0 good, 1 a difference or denial, 2 bad usage or
//! configuration, 3 something unavailable.

mod admin;
pub mod check;
pub mod diff;
pub mod explain;
mod finding;
pub mod hash;
pub mod keys;
pub mod ldap;
mod logging;
mod password;
pub mod quickstart;
pub mod reload;
pub mod rule_files;
pub mod schema;
pub mod serve;
pub mod somebody;
pub mod status;
mod steps;
pub mod test;
pub mod tokens;
pub mod what_can;
pub mod who_can;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::authn::verdict::Unavailable;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::store::StoreError;

/// The configuration that a command works with where none is named.
const CONFIGURATION: &str = "narrows.yaml";
/// Exit code of a difference or a denial.
pub const DIFFERENT: u8 = 1;
/// Exit code of bad usage or configuration.
pub const BAD: u8 = 2;
/// Exit code where something that was needed could not be asked.
pub const UNAVAILABLE: u8 = 3;

/// An auth bridge between docker login and a company's own directory.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service.
    Serve(serve::ServeArgs),
    /// Write a working configuration with a user and keys, and run it on loopback.
    Quickstart(quickstart::QuickstartArgs),
    /// Check configuration, users, rules and keys; with --online also the providers.
    Check(check::CheckArgs),
    /// Say which rule gives or takes each action, and what is missing.
    Explain(explain::ExplainArgs),
    /// List who may do something, and under which conditions.
    WhoCan(who_can::WhoCanArgs),
    /// List everything that somebody may do, and under which conditions.
    WhatCan(what_can::WhatCanArgs),
    /// Say what a change of the rules gives and takes.
    Diff(diff::DiffArgs),
    /// Run policy tests: who asks for what, and gets what.
    Test(test::TestArgs),
    /// Try a login at a directory, step by step.
    Ldap(ldap::LdapArgs),
    /// Hash a password for the users file.
    Hash(hash::HashArgs),
    /// Make, show, replace and export signing keys.
    Keys(KeysCommand),
    /// List and revoke identity tokens.
    Tokens(TokensCommand),
    /// Show how a running service stands.
    Status(status::StatusArgs),
    /// Let a running service read its files again.
    Reload(reload::ReloadArgs),
    /// Print the JSON Schema of the configuration or of the rule file.
    Schema(schema::SchemaArgs),
}

/// `narrows keys`.
#[derive(Debug, Args)]
struct KeysCommand {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    keys: keys::KeysArgs,
}

/// `narrows tokens`.
#[derive(Debug, Args)]
struct TokensCommand {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    tokens: tokens::TokensArgs,
}

/// The configuration that a command works with.
#[derive(Clone, Debug, Args)]
pub struct ConfigFile {
    /// The configuration file.
    #[arg(long = "config", short = 'c', env = "NARROWS_CONFIG", value_name = "FILE", default_value = CONFIGURATION, global = true)]
    pub path: PathBuf,
}

impl ConfigFile {
    /// Reads it; warnings go to standard error.
    pub fn load(&self) -> anyhow::Result<Config> {
        let (config, warnings) = config::load(&self.path)?;
        if !warnings.0.is_empty() {
            talk(&warnings.to_string());
        }
        Ok(config)
    }
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let result = match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(BAD));
        }
    };
    result.unwrap_or_else(|error| {
        if !is_broken_pipe(&error) {
            talk(&describe(&error));
        }
        ExitCode::from(if is_outage(&error) { UNAVAILABLE } else { BAD })
    })
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let (clock, out) = (Clock::system(), &mut std::io::stdout());
    match cli.command {
        Command::Serve(args) => until_ended(serve::run(&args, clock)),
        Command::Quickstart(args) => quickstart::run(&args, clock, out),
        Command::Check(args) => runtime()?.block_on(check::run(&args, out, &mut std::io::stderr())),
        Command::Explain(args) => explain::run(&args, out),
        Command::WhoCan(args) => who_can::run(&args, out),
        Command::WhatCan(args) => what_can::run(&args, out),
        Command::Diff(args) => diff::run(&args, out),
        Command::Test(args) => test::run(&args, out),
        Command::Ldap(args) => runtime()?.block_on(ldap::run(&args, &mut std::io::stdin().lock(), out)),
        Command::Hash(args) => hash::run(&args, &mut std::io::stdin().lock(), out),
        Command::Keys(command) => {
            let config = command.config.load()?;
            keys::run(&command.keys, &config.signing, &config.services, config.folder(), &clock, out)
        }
        Command::Tokens(command) => {
            let config = command.config.load()?;
            runtime()?.block_on(tokens::run(&command.tokens, &config.state, &config.identity_tokens, config.folder(), &clock, out))
        }
        Command::Status(args) => runtime()?.block_on(status::run(&args, out)),
        Command::Reload(args) => runtime()?.block_on(reload::run(&args, out)),
        Command::Schema(args) => schema::run(&args, out),
    }
}

/// Runs the service. What still hangs at its end, as a write to a reader that sleeps, is left behind.
fn until_ended(service: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    let result = runtime.block_on(service);
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// What a grant needs, to follow its rule on the line.
fn needing(conditions: &[String]) -> String {
    if conditions.is_empty() { String::new() } else { format!(", needs {}", conditions.join("; and ")) }
}

/// Writes talk, as opposed to data, to standard error.
fn talk(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}

/// An error with its causes on one line; findings in files speak for themselves.
fn describe(error: &anyhow::Error) -> String {
    match error.downcast_ref::<crate::source::Diagnostics>() {
        Some(findings) => findings.to_string(),
        None => format!("error: {error:#}"),
    }
}

/// Whether it may go well the next time: the state is held by others, or it or a provider cannot be reached.
fn is_outage(error: &anyhow::Error) -> bool {
    if error.downcast_ref::<Unavailable>().is_some() {
        return true;
    }
    let mut states = error.chain().filter_map(|cause| cause.downcast_ref::<StoreError>());
    states.any(|cause| matches!(cause, StoreError::Open { .. } | StoreError::Unavailable(_) | StoreError::Contended))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
