//! Somebody's account at a machine with every client and the credential helper, in front of a house.

use std::env;
use std::path::Path;
use std::sync::LazyLock;

use super::house::{ENDED, House};
use crate::labs::accounts::Person;
use crate::labs::credential_helper::{Lab, NAME};
use crate::labs::oidc::Issuer;
use crate::labs::process::Ran;
use crate::labs::terminal::Terminal;
use crate::labs::{image, podman, skopeo};
use crate::require;

/// Debian's docker, by its whole name: another one on the `PATH` prints other words.
pub const DOCKER: &str = "/usr/bin/docker";
const NEWER_DOCKER: &str = "/usr/local/bin/docker";
const PODMAN: &str = "/usr/bin/podman";
const BUILDAH: &str = "/usr/bin/buildah";
const SKOPEO: &str = "/usr/bin/skopeo";
/// What nerdctl calls what it pulled last.
const PULLED: &str = "localhost/pulled:last";

/// `make interop` builds it.
static NERDCTL: LazyLock<Option<String>> = LazyLock::new(|| env::var_os("NARROWS_NERDCTL")?.into_string().ok());

/// Both dockers, where the machine has them.
pub fn dockers() -> Vec<&'static str> {
    [DOCKER, NEWER_DOCKER].into_iter().filter(|docker| Path::new(docker).exists()).collect()
}

/// All clients that the machine has.
pub fn clients() -> Vec<&'static str> {
    let podman = require::available("podman", podman::present()).then_some(PODMAN);
    let buildah = require::available("buildah", Path::new(BUILDAH).exists()).then_some(BUILDAH);
    let skopeo = require::available("skopeo", skopeo::present()).then_some(SKOPEO);
    if NERDCTL.is_none() {
        require::skip("nerdctl (`make interop` builds it where Go is)");
    }
    dockers().into_iter().chain(podman).chain(buildah).chain(skopeo).chain(NERDCTL.as_deref()).collect()
}

/// What a client prints where narrows gave less than it asked for.
pub fn denied(client: &str) -> &'static str {
    if is_nerdctl(client) { "insufficient_scope: authorization failed" } else { "requested access to the resource is denied" }
}

/// What a client prints of an identity token that is over.
pub fn ended(client: &str) -> &'static str {
    // It keeps what a token server says to itself.
    if is_nerdctl(client) { "401 Unauthorized" } else { ENDED }
}

fn is_nerdctl(client: &str) -> bool {
    NERDCTL.as_deref() == Some(client)
}

/// The account.
pub struct Account<'a, O> {
    pub lab: Lab,
    house: &'a House<O>,
}

impl<'a, O: Issuer> Account<'a, O> {
    /// With nothing configured yet.
    pub fn new(house: &'a House<O>) -> Self {
        let lab = Lab::new().with("DOCKER_HOST", &house.docker.host()).with("DOCKER_API_VERSION", "1.41");
        Self { lab, house }
    }

    /// Somebody who is set up and signed in by the helper.
    pub async fn signed_in(house: &'a House<O>, person: &Person) -> Self {
        let account = Self::new(house);
        account.set_up().await.ok();
        account.signs_in(person).await.ok();
        account
    }

    /// The registry.
    pub fn host(&self) -> String {
        self.house.registry.host()
    }

    /// The helper's `setup`.
    pub async fn set_up(&self) -> Ran {
        self.lab.run(&["setup", &self.host(), "--narrows", &self.house.bridge.url("")], "").await
    }

    /// The helper's `login` at a terminal, and what somebody does at the issuer meanwhile.
    pub async fn signs_in(&self, person: &Person) -> Ran {
        let terminal = self.at_terminal(&format!("{NAME} login {}", self.host()));
        let shown = terminal.shows("Waiting for the sign-in").await;
        self.house.op.approve_device(person, code(&shown)).await;
        terminal.ends().await
    }

    /// A command at a terminal.
    pub fn at_terminal(&self, command: &str) -> Terminal {
        Terminal::open(&self.lab.environment(), command)
    }

    /// What the helper hands to clients.
    pub async fn identity_token(&self) -> String {
        let got = self.lab.run(&["get"], &self.host()).await.ok();
        let got: serde_json::Value = serde_json::from_str(&got.stdout).unwrap();
        assert_eq!(got["Username"], "<token>");
        got["Secret"].as_str().unwrap().to_owned()
    }

    /// Makes an image of this name, and lets a client push it.
    pub async fn push(&self, client: &str, name: &str) -> Ran {
        let image = self.house.image(name);
        match client {
            PODMAN | BUILDAH => {
                self.stored(PODMAN, &["import", "-", &image], &image::archive(name)).await.ok();
                self.stored(client, &["push", "--tls-verify=false", &image], b"").await
            }
            SKOPEO => {
                let folder = format!("dir:{}", self.lab.path("image").display());
                self.lab.run_other(SKOPEO, &["copy", "--dest-tls-verify=false", &folder, &format!("docker://{image}")], b"").await
            }
            // It imports nothing, so it pushes what it pulled last.
            nerdctl if is_nerdctl(nerdctl) => {
                self.nerdctl(nerdctl, &["tag", PULLED, &image]).await.ok();
                self.nerdctl(nerdctl, &["push", &image]).await
            }
            docker => {
                self.lab.run_other(docker, &["import", "-", &image], &image::archive(name)).await.ok();
                self.lab.run_other(docker, &["push", &image], b"").await
            }
        }
    }

    /// Lets a client pull an image, after the local copy is gone, so that the registry is really asked.
    pub async fn pull(&self, client: &str, name: &str) -> Ran {
        let image = self.house.image(name);
        match client {
            PODMAN | BUILDAH => {
                self.stored(PODMAN, &["rmi", "--force", &image], b"").await;
                self.stored(client, &["pull", "--tls-verify=false", &image], b"").await
            }
            SKOPEO => {
                let folder = format!("dir:{}", self.lab.path("image").display());
                self.lab.run_other(SKOPEO, &["copy", "--src-tls-verify=false", &format!("docker://{image}"), &folder], b"").await
            }
            nerdctl if is_nerdctl(nerdctl) => {
                self.nerdctl(nerdctl, &["rmi", "--force", &image]).await;
                let pulled = self.nerdctl(nerdctl, &["pull", "--unpack=false", &image]).await;
                if pulled.success {
                    self.nerdctl(nerdctl, &["tag", &image, PULLED]).await.ok();
                }
                pulled
            }
            docker => {
                self.lab.run_other(docker, &["rmi", "--force", &image], b"").await;
                self.lab.run_other(docker, &["pull", &image], b"").await
            }
        }
    }

    /// `nerdctl` with a name space of the account's own in docker's containerd.
    async fn nerdctl(&self, program: &str, arguments: &[&str]) -> Ran {
        let (socket, data) = (self.house.docker.containerd(), self.lab.path("nerdctl"));
        let name_space = self.host().replace([':', '.'], "-");
        let mut all = vec!["--address", socket.to_str().unwrap(), "--data-root", data.to_str().unwrap(), "--namespace", &name_space];
        all.extend(arguments);
        self.lab.run_other(program, &all, b"").await
    }

    /// A client with a storage of the account's own.
    pub async fn stored(&self, client: &str, arguments: &[&str], input: &[u8]) -> Ran {
        let place = |name: &str| self.lab.path(name).to_str().unwrap().to_owned();
        let (root, run_root) = (place("storage"), place("storage-run"));
        let mut all = vec!["--root", &root, "--runroot", &run_root, "--storage-driver", "vfs"];
        if client == PODMAN {
            all.extend(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
        }
        all.extend(arguments);
        self.lab.run_other(client, &all, input).await
    }
}

/// The code that the helper shows.
pub fn code(shown: &str) -> &str {
    let (_, rest) = shown.split_once("and enter the code\n\n").unwrap_or_else(|| panic!("no code in {shown}"));
    rest.lines().next().unwrap().trim()
}
