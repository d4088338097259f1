//! `podman` with a storage and a credentials file of its own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tempfile::TempDir;

use super::image;
use super::process::{self, Ran};

const PROGRAM: &str = "/usr/bin/podman";

/// Whether this machine has it and may run it without user namespaces.
pub fn present() -> bool {
    Path::new(PROGRAM).exists() && fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Somebody who types podman commands.
#[derive(Debug)]
pub struct Podman {
    folder: TempDir,
}

impl Podman {
    /// With nothing stored yet.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Runs `podman ARGUMENTS` with something on standard input.
    pub async fn run(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let place = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let (root, run_root, credentials) = (place("root"), place("run"), place("auth.json"));
        let storage = ["--root", &root, "--runroot", &run_root, "--storage-driver", "vfs"];
        let host = ["--cgroup-manager", "cgroupfs", "--events-backend", "none"];
        let arguments: Vec<&str> = storage.into_iter().chain(host).chain(arguments.iter().copied()).collect();
        process::run(PROGRAM, &arguments, &[("REGISTRY_AUTH_FILE", &credentials)], input).await
    }

    /// `podman login`.
    pub async fn login(&self, registry: &str, username: &str, password: &str) -> Ran {
        let arguments = ["login", "--tls-verify=false", "--username", username, "--password-stdin", registry];
        self.run(&arguments, password.as_bytes()).await
    }

    /// Makes an image with one layer that holds `content`.
    pub async fn make(&self, image: &str, content: &str) {
        self.run(&["import", "-", image], &image::archive(content)).await.ok();
    }

    /// `podman push`.
    pub async fn push(&self, image: &str) -> Ran {
        self.run(&["push", "--tls-verify=false", image], b"").await
    }
}
