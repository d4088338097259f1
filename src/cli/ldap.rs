//! `narrows ldap test`: a login at a directory, step by step, with what to do where a step fails.

mod report;

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use tokio::time::Instant;

use self::report::{Report, Tried};
use super::{ConfigFile, password};
use crate::authn::authenticator::Authenticator;
use crate::authn::rehearsal::End;
use crate::authn::throttle::Throttle;
use crate::authn::verdict::Circumstances;
use crate::authz::Rulebook;
use crate::clock::Clock;
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  $ narrows ldap test alice --config narrows.yaml
  $ narrows ldap test 'CORP\\alice' --password
  $ read -rs PASSWORD; printf %s \"$PASSWORD\" | narrows ldap test alice --password-stdin --json

Asks every provider that `serve` would ask for this name, in its order, and prints each step with what was found, how long it
took, and what to do where it fails: the way to each server, its certificate, the service account, the bases, the filter, the
entry, the account's state, the groups, and what the rules give.

Without a password everything but the bind is tried. With one it is one real bind: a wrong one counts at the directory, beside
what the service lets through.

Exit codes: 0 would be let in (without a password: as far as that can be told), 1 would be refused, 2 bad usage or
configuration, 3 a directory cannot be asked.";

/// `narrows ldap`.
#[derive(Debug, Args)]
pub struct LdapArgs {
    #[command(subcommand)]
    command: LdapCommand,
}

#[derive(Debug, Subcommand)]
enum LdapCommand {
    /// Print every step of a login at the directory.
    Test(TestArgs),
}

/// Print every step of a login at the directory.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TestArgs {
    /// The name, as somebody would type it.
    #[arg(value_name = "USER", value_parser = NonEmptyStringValueParser::new())]
    user: String,
    #[command(flatten)]
    config: ConfigFile,
    /// Ask this provider alone, whatever its `names`.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Ask for the password at the terminal, and bind with it once.
    #[arg(long, conflicts_with = "password_stdin")]
    password: bool,
    /// Read the password from standard input, and bind with it once.
    #[arg(long)]
    password_stdin: bool,
    /// The service whose rules are asked. Default: each.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Tries and prints; changes nothing, but for what a wrong password changes at a directory.
pub async fn run(args: &LdapArgs, input: &mut dyn BufRead, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        LdapCommand::Test(args) => test(args, input, out).await,
    }
}

async fn test(args: &TestArgs, input: &mut dyn BufRead, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (config, clock) = (args.config.load()?, Clock::system());
    let services = services(args.service.as_deref(), &config)?;
    let shield = (Arc::new(Throttle::forgetting(clock.clone())), &config.throttle);
    let (authenticator, _) = Authenticator::build(&config.providers, &config.credentials_cache, &config.file, &clock, shield)?;
    let (rulebook, _) = Rulebook::load(&config.rule_sets(), &config.environment(clock.now()))?;
    if let Some(provider) = args.provider.as_ref().filter(|name| authenticator.provider(name).is_none()) {
        let known: Vec<&str> = config.providers.iter().map(|provider| provider.name.value.as_str()).collect();
        bail!("the configuration has no provider `{provider}`; it has {}", known.join(", "));
    }
    let secret = secret(args, input)?;
    let mut tried = Vec::new();
    for asked in authenticator.health() {
        let settings = config.providers.iter().find(|settings| settings.name.value == *asked.name);
        let pattern = settings.and_then(|settings| settings.asked_by(&args.user));
        let wanted = args.provider.as_ref().map_or(pattern.is_some(), |name| **name == *asked.name);
        let provider = authenticator.provider(&asked.name).context("a provider is gone")?;
        let circumstances = Circumstances { source: None, deadline: Instant::now() + config.request_deadline.duration() };
        let rehearsal = if wanted { Some(provider.rehearse(&args.user, secret.as_ref(), &circumstances).await) } else { None };
        let goes_on = rehearsal.as_ref().is_none_or(|rehearsal| matches!(rehearsal.end, End::NotMine));
        tried.push(Tried { provider: asked, pattern, rehearsal });
        if !goes_on {
            break;
        }
    }
    let report = Report { user: &args.user, with_password: secret.is_some(), tried, services, rulebook: &rulebook, now: clock.now() };
    if args.json {
        writeln!(out, "{:#}", report.json())?;
    } else {
        report.write_text(out)?;
    }
    Ok(report.exit_code())
}

/// The one that is named, or all.
fn services(named: Option<&str>, config: &Config) -> anyhow::Result<Vec<String>> {
    let known: Vec<String> = config.services.iter().map(|service| service.name.value.clone()).collect();
    match named {
        None => Ok(known),
        Some(named) if known.iter().any(|known| known == named) => Ok(vec![named.to_owned()]),
        Some(named) => bail!("the configuration has no service `{named}`; it has {}", known.join(", ")),
    }
}

fn secret(args: &TestArgs, input: &mut dyn BufRead) -> anyhow::Result<Option<SecretString>> {
    let password = match (args.password, args.password_stdin) {
        (true, _) => password::ask("Password: ")?,
        (false, true) => password::read(input, "narrows ldap test USER --password-stdin")?,
        (false, false) => return Ok(None),
    };
    password::usable(&args.user, &password)?;
    Ok(Some(SecretString::from(password.as_str())))
}
