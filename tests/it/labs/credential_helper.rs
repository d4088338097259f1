//! Somebody's account on a machine where `docker-credential-narrows` is installed: a home, docker's configuration, and a
//! `PATH` with the program, so that docker, podman and skopeo find it by its name.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::process::{self, Ran};

/// The program as cargo built it.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_docker-credential-narrows");
/// The name by which docker asks for it.
pub const NAME: &str = "docker-credential-narrows";

/// The account.
#[derive(Debug)]
pub struct Lab {
    home: TempDir,
    more: Vec<(String, String)>,
}

impl Lab {
    /// With nothing configured yet.
    pub fn new() -> Self {
        let lab = Self { home: tempfile::tempdir().expect("a temporary folder"), more: Vec::new() };
        fs::create_dir(lab.path("bin")).expect("a folder for programs is made");
        fs::create_dir(lab.path("run")).expect("a folder for what runs is made");
        symlink(PROGRAM, lab.path("bin").join(NAME)).expect("the program is installed");
        lab
    }

    /// The same with another variable in the environment.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.more.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A file or folder of the account.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Docker's configuration.
    pub fn docker_config(&self) -> PathBuf {
        self.path("docker/config.json")
    }

    /// What docker's configuration holds.
    pub fn docker_text(&self) -> String {
        fs::read_to_string(self.docker_config()).expect("docker's configuration is text")
    }

    /// Writes docker's configuration.
    pub fn write_docker(&self, text: &str) {
        fs::create_dir_all(self.path("docker")).expect("docker's folder is made");
        fs::write(self.docker_config(), text).expect("docker's configuration is written");
    }

    /// Where the program keeps tokens.
    pub fn tokens(&self) -> PathBuf {
        self.path("config/narrows/credential-helper-tokens.json")
    }

    /// Where the program keeps what was set up.
    pub fn pins(&self) -> PathBuf {
        self.path("config/narrows/credential-helper.json")
    }

    /// Installs a shell script by this name.
    pub fn install(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script is written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a script becomes a program");
    }

    /// The whole environment of the account's programs, as arguments of `env -i`.
    pub fn environment(&self) -> Vec<String> {
        let text = |path: &Path| path.to_str().expect("paths here are UTF-8").to_owned();
        let own = [
            ("HOME", text(self.home.path())),
            ("DOCKER_CONFIG", text(&self.path("docker"))),
            ("XDG_CONFIG_HOME", text(&self.path("config"))),
            ("XDG_RUNTIME_DIR", text(&self.path("run"))),
            ("PATH", format!("{}:/usr/bin:/usr/sbin:/bin:/sbin", text(&self.path("bin")))),
            ("TERM", "xterm".to_owned()),
        ];
        let more = self.more.iter().map(|(name, value)| format!("{name}={value}"));
        own.into_iter().map(|(name, value)| format!("{name}={value}")).chain(more).collect()
    }

    /// Runs the program, without a terminal.
    pub async fn run(&self, arguments: &[&str], input: &str) -> Ran {
        self.run_other(NAME, arguments, input.as_bytes()).await
    }

    /// Runs another program of the account.
    pub async fn run_other(&self, program: &str, arguments: &[&str], input: &[u8]) -> Ran {
        let environment = self.environment();
        let words = ["-i"].into_iter().chain(environment.iter().map(String::as_str)).chain([program]).chain(arguments.iter().copied());
        process::run("/usr/bin/env", &words.collect::<Vec<_>>(), &[], input).await
    }

    /// Runs the program at a terminal of its own; what it writes there is the standard output.
    pub async fn run_at_terminal(&self, arguments: &[&str]) -> Ran {
        self.run_other("script", &["-qec", &Self::typed(arguments), "/dev/null"], b"").await
    }

    /// What somebody types at a terminal. The shell makes place, so that Ctrl-C and the exit code are the program's.
    pub fn typed(arguments: &[&str]) -> String {
        ["exec", NAME].into_iter().chain(arguments.iter().copied()).collect::<Vec<_>>().join(" ")
    }
}
