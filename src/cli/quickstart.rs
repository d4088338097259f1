//! `narrows quickstart`: one command to a running bridge on loopback, with nothing else installed.

mod files;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::authn::file::{HashAlgorithm, hash_password};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::token::Keys;

/// `narrows quickstart`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  narrows quickstart\n  narrows quickstart --directory demo --registry registry.corp.example --listen 127.0.0.1:6001\n\nWhat is there already is served as it is: a second start changes nothing."
)]
pub struct QuickstartArgs {
    /// Where to write the configuration, the users, the rules and the keys.
    #[arg(long, value_name = "DIR", default_value = "narrows-quickstart")]
    directory: PathBuf,
    /// The registry's name, as in `docker login NAME`.
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:5000")]
    registry: String,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5001")]
    listen: SocketAddr,
    /// Where to answer operators (metrics, status).
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5002")]
    admin_listen: SocketAddr,
    /// Write everything and end.
    #[arg(long)]
    no_serve: bool,
}

/// Writes what is missing as a whole or not at all, says what to do next, and serves.
pub fn run(args: &QuickstartArgs, clock: Clock, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let file = args.directory.join("narrows.yaml");
    let password = if file.exists() { None } else { Some(create(args, &clock)?) };
    let (config, _) = config::load(&file)?;
    explain(&config, &args.directory, password.as_deref(), out)?;
    if args.no_serve {
        return Ok(ExitCode::SUCCESS);
    }
    let _log = super::logging::start(config.log)?;
    super::until_ended(super::serve::serve(config, clock))
}

/// Everything is written into a sibling folder that takes its name at the end, so that no half of it is ever found.
fn create(args: &QuickstartArgs, clock: &Clock) -> anyhow::Result<String> {
    let directory = &args.directory;
    anyhow::ensure!(
        !directory.exists() || std::fs::read_dir(directory)?.next().is_none(),
        "`{}` exists, is not empty, and holds no narrows.yaml: name another --directory",
        directory.display()
    );
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).with_context(|| format!("cannot make `{}`", parent.display()))?;
    let draft = files::Draft::new(parent).with_context(|| format!("cannot write into `{}`", parent.display()))?;
    let password = files::password()?;
    let hash = hash_password(password.as_bytes(), HashAlgorithm::Argon2id)?;
    draft.write("narrows.yaml", &files::configuration(args.listen, args.admin_listen, &args.registry)?)?;
    draft.write("users.yaml", &files::users(&hash))?;
    draft.write("rules.yaml", files::RULES)?;
    let (config, _) = config::load(&draft.path().join("narrows.yaml"))?;
    Keys::initialise(&config.signing, &config.services, config.folder(), clock).context("cannot make the signing keys")?;
    draft.keep_as(directory).with_context(|| format!("cannot make `{}`", directory.display()))?;
    Ok(password)
}

/// What goes into the registry's configuration, and what a user types.
fn explain(config: &Config, directory: &Path, password: Option<&str>, out: &mut dyn Write) -> anyhow::Result<()> {
    let service = config.services.first().context("the configuration names no service")?;
    let keys = Keys::open(&config.signing, &config.services, config.folder(), &std::collections::BTreeMap::new(), &Clock::system())?;
    let bundle = keys.bundle(&service.name.value).context("the service has no key")?;
    let bundle_file = directory.join("rootcertbundle.pem");
    files::replace(&bundle_file, &bundle).with_context(|| format!("cannot write `{}`", bundle_file.display()))?;
    let bundle_file = std::fs::canonicalize(&bundle_file)?;
    let (name, issuer) = (&service.name.value, &service.issuer.value);
    writeln!(out, "Put this into the configuration of your registry (distribution) and restart it:\n")?;
    writeln!(out, "auth:\n  token:")?;
    writeln!(out, "    realm: http://{}/token", config.listen.value)?;
    writeln!(out, "    service: {name}")?;
    writeln!(out, "    issuer: {issuer}")?;
    writeln!(out, "    rootcertbundle: {}", bundle_file.display())?;
    writeln!(out, "\nThen:\n")?;
    writeln!(out, "  docker login -u alice {name}")?;
    match password {
        Some(password) => writeln!(out, "  Password: {password}\n\nIt is shown this once; only its hash is kept. Then try:\n")?,
        None => writeln!(out, "\nThe password was shown when {} was made. Then try:\n", directory.display())?,
    }
    writeln!(out, "  docker push {name}/users/alice/hello      alice's own namespace")?;
    writeln!(out, "  docker push {name}/payments/hello         her team's")?;
    writeln!(out, "  docker push {name}/other/hello            denied: no rule allows it\n")?;
    writeln!(out, "Users, rules and configuration: {}. A change of users or rules is taken up within seconds.", directory.display())?;
    out.flush()?;
    Ok(())
}
