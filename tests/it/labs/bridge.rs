//! The real `narrows`, with a folder for its configuration, keys and state.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::ports;
use super::process::{self, Ran, Server};

/// The binary under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_narrows");
const CONFIGURATION: &str = "narrows.yaml";

/// Runs a command of `narrows` to its end.
pub async fn narrows(arguments: &[&str], input: &[u8]) -> Ran {
    process::run(PROGRAM, arguments, &[], input).await
}

/// A folder with a configuration, and the addresses that it listens on.
#[derive(Debug)]
pub struct Site {
    folder: PathBuf,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Site {
    /// An empty one.
    pub fn new() -> Self {
        Self { folder: process::folder(), address: ports::free(), admin: ports::free() }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The address of a path on `admin_listen`.
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The configuration file.
    pub fn configuration(&self) -> String {
        self.folder.join(CONFIGURATION).to_str().unwrap().to_owned()
    }

    /// Writes `narrows.yaml`: `listen` and `admin_listen` are put before the rest.
    pub fn configure(&self, rest: &str) {
        self.write(CONFIGURATION, &format!("listen: {}\nadmin_listen: {}\n{rest}", self.address, self.admin));
    }

    /// Replaces a file in one step, readable by its owner alone.
    pub fn write(&self, name: &str, text: &str) {
        let (new, path) = (self.folder.join(format!("{name}.new")), self.folder.join(name));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new).expect("the file opens");
        file.write_all(text.as_bytes()).expect("the file takes its text");
        fs::rename(new, path).expect("the file is replaced");
    }

    /// Runs a command with `--config` of this site.
    pub async fn command(&self, arguments: &[&str]) -> Ran {
        let configuration = self.configuration();
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--config", &configuration]).collect();
        narrows(&arguments, b"").await
    }

    /// Starts `narrows serve` and waits until it is ready.
    pub async fn serve(self) -> Bridge {
        let bridge = self.launch();
        let ready = bridge.url("/readyz");
        bridge
            .server
            .ready(|| async {
                match reqwest::get(&ready).await {
                    Ok(answer) if answer.status() == 200 => Ok(()),
                    Ok(answer) => Err(format!("/readyz answers {}", answer.status())),
                    Err(error) => Err(error.to_string()),
                }
            })
            .await;
        bridge
    }

    /// Starts `narrows serve` and does not wait.
    pub fn launch(self) -> Bridge {
        let configuration = self.configuration();
        let server = Server::start("narrows", self.folder.clone(), Path::new(PROGRAM), &["serve", "--config", &configuration]);
        Bridge { site: self, server }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The server's keeper was faster, unless the site was never served.
        let _: std::io::Result<()> = fs::remove_dir_all(&self.folder);
    }
}

/// A running bridge; its folder goes when it is dropped.
#[derive(Debug)]
pub struct Bridge {
    // Fields drop in this order: the service ends before its folder goes.
    server: Server,
    site: Site,
}

impl Bridge {
    /// Its configuration and addresses.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        self.site.url(path)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.server.id().expect("a bridge that serves has a process")
    }

    /// What it logged.
    pub fn log(&self) -> String {
        self.server.stderr()
    }

    /// Sends a signal such as `HUP` or `TERM`.
    pub fn signal(&self, signal: &str) {
        self.server.signal(signal);
    }

    /// Waits until it has ended by itself and tells its status.
    pub async fn ended(&self) -> i32 {
        self.server.ended().await
    }

    /// Ends it and keeps its folder, so that `Site::serve` starts it again as it was.
    pub fn end(self) -> Site {
        let Self { site, server } = self;
        server.end();
        site
    }
}
