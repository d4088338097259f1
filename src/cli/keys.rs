//! `narrows keys`: makes, shows, changes and hands out the keys that registries trust.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::clock::Clock;
use crate::token::settings::{ServiceSettings, SigningSettings};
use crate::token::{self, Advance, Anchor, Keys, Published, Stage};

/// Signing keys: what registries trust.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  narrows keys init --config narrows.yaml
  narrows keys export --config narrows.yaml --service registry.corp.example > bundle.pem
  narrows keys show --config narrows.yaml --json
  narrows keys new-ca --config narrows.yaml --service registry.corp.example")]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make the keys that are missing; never replaces one
    #[command(after_help = "\
Examples:
  narrows keys init --config narrows.yaml
  narrows keys init --config narrows.yaml --service registry.corp.example --lost FINGERPRINT

`--lost` says that the key with this fingerprint is gone for good, or was replaced on purpose. `serve` names the
fingerprint when it refuses to start.")]
    Init {
        /// Only this service
        #[arg(long)]
        service: Option<String>,
        /// A fingerprint that is given up on purpose
        #[arg(long, value_name = "FINGERPRINT", requires = "service")]
        lost: Option<String>,
    },
    /// Show what each registry trusts; reads no private key
    #[command(after_help = "\
Examples:
  narrows keys show --config narrows.yaml
  narrows keys show --config narrows.yaml --json | jq '.[].keys[].fingerprint'")]
    Show {
        /// Only this service
        #[arg(long)]
        service: Option<String>,
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// Change a fixed key (distribution-3-jwks, gitlab, zot)
    #[command(after_help = "\
Examples, in this order:
  narrows keys rotate --config narrows.yaml --service S              # prepare: the next key is published
  narrows keys rotate --config narrows.yaml --service S --activate   # it signs
  narrows keys rotate --config narrows.yaml --service S --finish     # the old one is published no more

Give the registry the new export and restart it after each step. zot holds one certificate alone: give it the new one right
after `--activate`. A running service takes up each step within an hour, or at a restart.")]
    Rotate(StepArgs),
    /// Change a certificate authority (distribution-2, distribution-3)
    #[command(after_help = "\
Examples, in this order:
  narrows keys new-ca --config narrows.yaml --service S              # prepare: both authorities are in the bundle
  narrows keys new-ca --config narrows.yaml --service S --activate   # leaves come from the new one
  narrows keys new-ca --config narrows.yaml --service S --finish     # the old one leaves the bundle

Give the registry the new bundle and restart it after the first and after the last step. A running service takes up each step
within an hour, or at a restart.")]
    NewCa(StepArgs),
    /// Print what the registry reads: a bundle of certificates or a key set
    #[command(after_help = "\
Examples:
  narrows keys export --config narrows.yaml --service registry.corp.example > bundle.pem
  narrows keys export --config narrows.yaml --service registry.corp.example --format jwks > jwks.json")]
    Export {
        /// Which service; not needed where there is one
        #[arg(long)]
        service: Option<String>,
        /// Default: the one that the kind of registry reads
        #[arg(long)]
        format: Option<Format>,
    },
}

#[derive(Debug, Args)]
struct StepArgs {
    /// Which service
    #[arg(long)]
    service: String,
    /// Let the prepared key sign
    #[arg(long, conflicts_with = "finish")]
    activate: bool,
    /// Give up the keys before the active one
    #[arg(long)]
    finish: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// PEM certificates
    Bundle,
    /// JSON Web Key Set
    Jwks,
}

/// What a command works on.
struct Site<'a> {
    settings: &'a SigningSettings,
    services: &'a [ServiceSettings],
    folder: &'a Path,
}

/// Runs one of the commands. `folder` is where relative paths of the configuration begin.
pub fn run(
    args: &KeysArgs,
    settings: &SigningSettings,
    services: &[ServiceSettings],
    folder: &Path,
    clock: &Clock,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let site = Site { settings, services, folder };
    match &args.command {
        KeysCommand::Init { service, lost } => site.init(service.as_deref(), lost.as_deref(), clock, out)?,
        KeysCommand::Show { service, json } => site.show(service.as_deref(), *json, out)?,
        KeysCommand::Rotate(step) => site.step(step, Anchor::Fixed, clock, out)?,
        KeysCommand::NewCa(step) => site.step(step, Anchor::Authority, clock, out)?,
        KeysCommand::Export { service, format } => site.export(service.as_deref(), *format, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Site<'_> {
    fn named(&self, name: &str) -> anyhow::Result<&ServiceSettings> {
        let known = || self.services.iter().map(|service| service.name.value.as_str()).collect::<Vec<_>>().join(", ");
        let found = self.services.iter().find(|service| service.name.value == name);
        found.with_context(|| format!("no service is called `{name}`\nhint: the configuration has {}", known()))
    }

    fn chosen(&self, name: Option<&str>) -> anyhow::Result<&[ServiceSettings]> {
        name.map_or(Ok(self.services), |name| Ok(std::slice::from_ref(self.named(name)?)))
    }

    fn init(&self, service: Option<&str>, lost: Option<&str>, clock: &Clock, out: &mut dyn Write) -> anyhow::Result<()> {
        let chosen = self.chosen(service)?;
        if let (Some(fingerprint), [one]) = (lost, chosen) {
            token::accept_loss(self.settings, one, self.folder, fingerprint)?;
            writeln!(out, "{}: {fingerprint} is given up", one.name.value)?;
        }
        let made = Keys::initialise(self.settings, chosen, self.folder, clock)?;
        for service in chosen {
            let name = &service.name.value;
            let done = if service.signing.is_some() {
                "its key was brought"
            } else if made.contains(name) {
                "keys made; give `narrows keys export` to its registry"
            } else {
                "has keys"
            };
            writeln!(out, "{name}: {done}")?;
        }
        Ok(())
    }

    fn show(&self, service: Option<&str>, machine: bool, out: &mut dyn Write) -> anyhow::Result<()> {
        let chosen = self.chosen(service)?;
        let mut shown = Vec::new();
        for service in chosen {
            shown.push((service, Published::load(self.settings, service, self.folder)?));
        }
        if machine {
            let list: Vec<_> = shown.iter().map(|(service, published)| as_json(service, published)).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
            return Ok(());
        }
        for (service, published) in shown {
            let kind = service.registry.value;
            let sort = sort(service);
            writeln!(out, "{}  ({}, {sort}, tokens {})", service.name.value, kind.as_str(), service.algorithm.value.as_str())?;
            for key in published.generations() {
                writeln!(out, "  {:<6} {}  {}  until {}", key.stage.as_str(), key.fingerprint, key.algorithm, key.not_after.rfc3339())?;
            }
        }
        Ok(())
    }

    fn step(&self, step: &StepArgs, anchor: Anchor, clock: &Clock, out: &mut dyn Write) -> anyhow::Result<()> {
        let service = self.named(&step.service)?;
        let (name, kind) = (&service.name.value, service.registry.value);
        match (anchor, kind.anchor()) {
            (Anchor::Fixed, Anchor::Authority) => bail!(
                "service `{name}` ({}) has an authority; its leaves are renewed without a command\nhint: to change the authority, run `narrows keys new-ca`",
                kind.as_str()
            ),
            (Anchor::Authority, Anchor::Fixed) => {
                bail!("service `{name}` ({}) has a fixed key and no authority\nhint: run `narrows keys rotate`", kind.as_str())
            }
            (Anchor::Fixed, Anchor::Fixed) | (Anchor::Authority, Anchor::Authority) => {}
        }
        let (advance, done, next) = if step.activate {
            (
                token::activate(self.settings, service, self.folder)?,
                "the next key is active",
                "run it with --finish once the longest token has ended",
            )
        } else if step.finish {
            (token::finish(self.settings, service, self.folder)?, "the old key is given up", "give the registry the new export")
        } else {
            let advance = token::prepare(self.settings, service, self.folder, clock)?;
            (advance, "a next key is published", "give the registry the new export, restart it, then run this with --activate")
        };
        let already = if advance == Advance::Already { " (nothing to do)" } else { "" };
        writeln!(out, "{name}: {done}{already}; next: {next}")?;
        Ok(())
    }

    fn export(&self, service: Option<&str>, format: Option<Format>, out: &mut dyn Write) -> anyhow::Result<()> {
        let [service] = self.chosen(service)? else {
            bail!("there are several services\nhint: name one with `--service`");
        };
        let published = Published::load(self.settings, service, self.folder)?;
        let (name, kind) = (&service.name.value, service.registry.value.as_str());
        match (format, published.bundle(), published.jwks()) {
            (None | Some(Format::Bundle), Some(bundle), _) => write!(out, "{bundle}")?,
            (None | Some(Format::Jwks), _, Some(jwks)) => writeln!(out, "{}", serde_json::to_string_pretty(&jwks)?)?,
            (Some(Format::Bundle), None, _) => bail!("the registry of service `{name}` ({kind}) reads a key set\nhint: `--format jwks`"),
            (Some(Format::Jwks) | None, _, None) => {
                bail!("the registry of service `{name}` ({kind}) reads certificates\nhint: `--format bundle`")
            }
        }
        Ok(())
    }
}

fn sort(service: &ServiceSettings) -> &'static str {
    match (&service.signing, service.registry.value.anchor()) {
        (Some(_), _) => "brought key",
        (None, Anchor::Authority) => "own authority",
        (None, Anchor::Fixed) => "fixed key",
    }
}

fn as_json(service: &ServiceSettings, published: &Published) -> serde_json::Value {
    let keys = published.generations().iter().map(|key| {
        json!({
            "stage": key.stage.as_str(),
            "active": key.stage == Stage::Active,
            "fingerprint": key.fingerprint,
            "algorithm": key.algorithm,
            "not_after": key.not_after.rfc3339(),
        })
    });
    json!({
        "service": service.name.value,
        "registry": service.registry.value.as_str(),
        "algorithm": service.algorithm.value.as_str(),
        "sort": sort(service),
        "keys": keys.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::source::SourceFile;

    #[derive(Parser)]
    struct Whole {
        #[command(flatten)]
        keys: KeysArgs,
    }

    fn run_in(folder: &Path, words: &str) -> Result<String, String> {
        let text = "[{name: one}, {name: two, registry: distribution-3-jwks}]";
        let services: Vec<ServiceSettings> = SourceFile::new("services", text).parse().unwrap();
        let whole = Whole::try_parse_from(std::iter::once("keys").chain(words.split(' '))).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        let clock = Clock::fixed(crate::clock::Timestamp(1_800_000_000));
        run(&whole.keys, &SigningSettings::default(), &services, folder, &clock, &mut out).map_err(|error| format!("{error:#}"))?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn keys_are_made_shown_and_exported() {
        let folder = tempfile::tempdir().unwrap();
        let run = |words| run_in(folder.path(), words);
        assert!(run("show").unwrap_err().contains("narrows keys init"));
        assert!(run("init").unwrap().starts_with("one: keys made"));
        assert!(run("init").unwrap().starts_with("one: has keys\ntwo: has keys"));
        let shown: serde_json::Value = serde_json::from_str(&run("show --json").unwrap()).unwrap();
        assert_eq!(shown[0]["sort"], "own authority");
        assert_eq!(shown[1]["keys"][0]["stage"], "active");
        assert!(run("show --service one").unwrap().contains(shown[0]["keys"][0]["fingerprint"].as_str().unwrap()));
        let bundle = run("export --service one").unwrap();
        assert!(bundle.starts_with("-----BEGIN CERTIFICATE-----\n") && !bundle.contains("PRIVATE"));
        assert!(run("export --service two").unwrap().contains("\"kty\": \"EC\""));
        assert!(run("export").unwrap_err().contains("--service"));
        assert!(run("export --service one --format jwks").unwrap_err().contains("--format bundle"));
        assert!(run("export --service three").unwrap_err().contains("one, two"));
    }

    #[test]
    fn each_sort_of_key_has_its_command_and_the_steps_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let run = |words| run_in(folder.path(), words);
        run("init").unwrap();
        assert!(run("rotate --service one").unwrap_err().contains("narrows keys new-ca"));
        assert!(run("new-ca --service two").unwrap_err().contains("narrows keys rotate"));
        assert!(run("rotate --service two --activate").unwrap_err().contains("without `--activate`"));
        assert!(run("rotate --service two --activate --finish").unwrap_err().contains("cannot be used with"));
        assert!(run("rotate --service two").unwrap().contains("is published"));
        assert!(run("show --service two").unwrap().contains("  next "));
        run("rotate --service two --activate").unwrap();
        assert!(run("show --service two").unwrap().contains("  old "));
        run("rotate --service two --finish").unwrap();
        assert_eq!(run("show --service two").unwrap().lines().count(), 2);
    }

    #[test]
    fn giving_up_a_key_names_one_service() {
        let folder = tempfile::tempdir().unwrap();
        assert!(run_in(folder.path(), "init --lost 00").unwrap_err().contains("--service"));
        let words = format!("init --service one --lost {}", "0".repeat(64));
        assert!(run_in(folder.path(), &words).unwrap().contains("is given up\none: keys made"));
    }
}
