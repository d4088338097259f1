//! `ctr`, which asks for tokens the way containerd and Kubernetes do: by POST with the password.

use std::path::{Path, PathBuf};

use super::process::{self, Ran};

const PROGRAM: &str = "/usr/bin/ctr";

/// Whether this machine has it.
pub fn present() -> bool {
    Path::new(PROGRAM).exists()
}

/// A client of one containerd.
#[derive(Debug)]
pub struct Ctr {
    socket: PathBuf,
}

impl Ctr {
    /// For the containerd behind a socket.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// `ctr images pull`, as `user:password` or as nobody.
    pub async fn pull(&self, image: &str, user: Option<&str>) -> Ran {
        let credentials = user.map(|user| ["--user", user]);
        let credentials = credentials.iter().flatten().copied();
        let pull = ["images", "pull", "--snapshotter", "native", "--plain-http"];
        let socket = ["--address", self.socket.to_str().unwrap(), "--namespace", "it"];
        let arguments: Vec<&str> = socket.into_iter().chain(pull).chain(credentials).chain([image]).collect();
        process::run(PROGRAM, &arguments, &[], b"").await
    }
}
