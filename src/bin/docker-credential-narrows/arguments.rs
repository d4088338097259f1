//! The commands and their arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::address::{NarrowsUrl, Registry};

const EXAMPLES: &str = "\
Once for each registry:
  docker-credential-narrows setup registry.corp.example --narrows https://auth.corp.example
Then, whenever the sign-in has ended:
  docker-credential-narrows login registry.corp.example

After that docker, podman, skopeo, buildah and nerdctl need no `login` of their own. The other commands are the protocol
that they speak with this program.";

/// Gives docker the identity token of a browser sign-in at narrows.
#[derive(Debug, Parser)]
#[command(name = "docker-credential-narrows", version, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say where people of a registry sign in, and let docker ask this program.
    Setup(SetupArgs),
    /// Sign in to a registry with a browser.
    Login(LoginArgs),
    /// For docker: read a registry from standard input, write its identity token.
    Get,
    /// For docker: keep the identity token that is written to standard input.
    Store,
    /// For docker: forget the identity token of the registry on standard input, and end it at narrows.
    Erase,
    /// For docker: write for which registries there is an identity token.
    List,
    /// Write the version.
    Version,
}

/// Say where people of a registry sign in, and let docker ask this program.
#[derive(Debug, Args)]
#[command(after_help = "\
Looks at the registry once, to learn the service and to see that it sends its clients to this very narrows; then writes
one line into docker's config.json and nothing else there. podman, skopeo, buildah and nerdctl read the same line.")]
pub(crate) struct SetupArgs {
    /// The registry as it stands before the first slash of an image's name, as in registry.corp.example:5000.
    pub(crate) registry: Registry,
    /// Where narrows is: its `public_url`.
    #[arg(long, value_name = "URL")]
    pub(crate) narrows: NarrowsUrl,
    /// What narrows calls the registry, where the registry cannot be asked from here.
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Where to sign in, for a narrows with several issuers.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Certificates in PEM to trust beside those of the system.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Take the place of another helper or another narrows that this registry has now.
    #[arg(long)]
    pub(crate) replace: bool,
}

/// Sign in to a registry with a browser.
#[derive(Debug, Args)]
#[command(after_help = "\
Shows an address and a code. Open the address on any device, sign in, and check that the page shows the same code.
BROWSER=none in the environment does what --no-browser does.")]
pub(crate) struct LoginArgs {
    /// The registry, as in `setup`.
    pub(crate) registry: Registry,
    /// Do not open a browser here.
    #[arg(long)]
    pub(crate) no_browser: bool,
}
