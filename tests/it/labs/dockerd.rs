//! Debian's docker daemon with a containerd of its own, and clients of it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::image;
use super::process::{self, Ran, Server};

/// Debian's client: another docker on the `PATH` prints other words.
const CLIENT: &str = "/usr/bin/docker";
const DAEMON: &str = "/usr/sbin/dockerd";
const CONTAINERD: &str = "/usr/bin/containerd";

/// Whether this machine has the daemon and may run it.
pub fn present() -> bool {
    let programs = [CLIENT, DAEMON, CONTAINERD].iter().all(|program| Path::new(program).exists());
    programs && fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// A running docker daemon.
#[derive(Debug)]
pub struct Docker {
    // Fields drop in this order: the daemon ends before the containerd that it talks to.
    daemon: Server,
    containerd: Server,
}

impl Docker {
    /// Starts containerd, then the daemon; no bridge, no firewall rules, no image of another daemon.
    pub async fn start() -> Self {
        let containerd = start_containerd().await;
        let folder = process::folder();
        let place = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (data, exec, pid_file) = (place("data"), place("exec"), place("daemon.pid"));
        let (host, configuration) = (format!("unix://{}", place("docker.sock")), place("daemon.json"));
        fs::write(&configuration, "{}").expect("the daemon's configuration is written");
        let containerd_socket = socket_of(&containerd).to_str().unwrap().to_owned();
        let arguments = [
            ["--config-file", &configuration],
            ["--data-root", &data],
            ["--exec-root", &exec],
            ["--pidfile", &pid_file],
            ["--host", &host],
            ["--storage-driver", "vfs"],
            ["--containerd", &containerd_socket],
            ["--bridge", "none"],
        ];
        let switches = ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"];
        let arguments: Vec<&str> = arguments.iter().flatten().copied().chain(switches).collect();
        let daemon = Server::start("dockerd", folder, Path::new(DAEMON), &arguments);
        let docker = Self { daemon, containerd };
        let client = docker.client();
        docker
            .daemon
            .ready(|| async {
                let asked = client.run(&["version", "--format", "{{.Server.Version}}"], b"").await;
                if asked.success { Ok(()) } else { Err(asked.text()) }
            })
            .await;
        docker
    }

    /// A client with a docker configuration of its own, that of one person at one machine.
    pub fn client(&self) -> Client {
        let configuration = tempfile::tempdir().expect("a temporary folder");
        Client { host: self.host(), configuration }
    }

    /// Its address, for a client with an environment of its own.
    pub fn host(&self) -> String {
        format!("unix://{}", self.daemon.folder().join("docker.sock").display())
    }

    /// The socket of its containerd, for clients that speak to that alone.
    pub fn containerd(&self) -> PathBuf {
        socket_of(&self.containerd)
    }
}

async fn start_containerd() -> Server {
    let folder = process::folder();
    let configuration = folder.join("config.toml");
    // These plugins want file systems or networks that are not there, and log errors about it.
    let unwanted = ["grpc.v1.cri", "snapshotter.v1.btrfs", "snapshotter.v1.zfs", "snapshotter.v1.devmapper", "snapshotter.v1.aufs"];
    let unwanted: Vec<String> = unwanted.iter().map(|plugin| format!("\"io.containerd.{plugin}\"")).collect();
    let text = format!(
        "version = 2\nroot = \"{folder}/root\"\nstate = \"{folder}/state\"\ndisabled_plugins = [{unwanted}]\n[grpc]\naddress = \"{folder}/containerd.sock\"\n",
        folder = folder.display(),
        unwanted = unwanted.join(", "),
    );
    fs::write(&configuration, text).expect("containerd's configuration is written");
    let server = Server::start("containerd", folder, Path::new(CONTAINERD), &["--config", configuration.to_str().unwrap()]);
    let socket = socket_of(&server);
    server.ready(|| async { tokio::net::UnixStream::connect(&socket).await.map(drop).map_err(|error| error.to_string()) }).await;
    server
}

fn socket_of(containerd: &Server) -> PathBuf {
    containerd.folder().join("containerd.sock")
}

/// Somebody who types docker commands.
#[derive(Debug)]
pub struct Client {
    host: String,
    configuration: TempDir,
}

impl Client {
    /// Runs `docker ARGUMENTS` with something on standard input.
    pub async fn run(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let configuration = self.configuration.path().to_str().unwrap();
        process::run(CLIENT, arguments, &[("DOCKER_HOST", &self.host), ("DOCKER_CONFIG", configuration)], input).await
    }

    /// `docker login`.
    pub async fn login(&self, registry: &str, username: &str, password: &str) -> Ran {
        self.run(&["login", "--username", username, "--password-stdin", registry], password.as_bytes()).await
    }

    /// `docker pull`, after the local copy is gone, so that the registry is really asked.
    pub async fn pull(&self, image: &str) -> Ran {
        self.run(&["rmi", "--force", image], b"").await;
        self.run(&["pull", image], b"").await
    }

    /// `docker push`.
    pub async fn push(&self, image: &str) -> Ran {
        self.run(&["push", image], b"").await
    }

    /// Makes an image with one layer that holds `content`.
    pub async fn make(&self, image: &str, content: &str) {
        self.run(&["import", "-", image], &image::archive(content)).await.ok();
    }

    /// `docker tag`.
    pub async fn tag(&self, image: &str, another: &str) {
        self.run(&["tag", image, another], b"").await.ok();
    }

    /// What `docker login` left behind for a registry.
    pub fn stored(&self, registry: &str) -> Option<serde_json::Value> {
        let text = fs::read_to_string(self.configuration.path().join("config.json")).ok()?;
        let all: serde_json::Value = serde_json::from_str(&text).expect("docker's configuration is JSON");
        all["auths"].get(registry).cloned()
    }
}
