//! The storage of Dex. With its own kinds, `memory` and `sqlite3`, a refresh asks the storage for something while it holds the lock
//! of all of it, and never answers.

use std::path::Path;

use reqwest::StatusCode;

use crate::labs::ports;
use crate::labs::process::{self, Server};
use crate::require;

const PROGRAM: &str = "/usr/bin/etcd";

/// A running server. Ends with its value or with the test process, whichever comes first.
pub(super) struct Etcd {
    url: String,
    _server: Server,
}

impl Etcd {
    /// Starts an empty one; `None` where there is no program.
    pub(super) async fn start() -> Option<Self> {
        if !require::available("etcd (etcd-server)", Path::new(PROGRAM).exists()) {
            return None;
        }
        let folder = process::folder();
        let data = folder.join("data").display().to_string();
        let (url, peers) = (format!("http://{}", ports::free()), format!("http://{}", ports::free()));
        let cluster = format!("default={peers}");
        let arguments = [
            ["--data-dir", &data],
            ["--listen-client-urls", &url],
            ["--advertise-client-urls", &url],
            ["--listen-peer-urls", &peers],
            ["--initial-advertise-peer-urls", &peers],
            ["--initial-cluster", &cluster],
        ];
        let server = Server::start("etcd", folder, Path::new(PROGRAM), arguments.as_flattened());
        let health = format!("{url}/health");
        server
            .ready(async || match reqwest::get(&health).await {
                Ok(answer) if answer.status() == StatusCode::OK => Ok(()),
                Ok(answer) => Err(answer.status().to_string()),
                Err(error) => Err(error.to_string()),
            })
            .await;
        Some(Self { url, _server: server })
    }

    /// Where Dex finds it.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}
