//! Debian's docker-registry (distribution 2.8) that trusts a bridge.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::ports;
use super::process::{self, Server};

const PROGRAM: &str = "/usr/bin/docker-registry";

/// Whether this machine has the registry.
pub fn present() -> bool {
    Path::new(PROGRAM).exists()
}

/// A running registry.
#[derive(Debug)]
pub struct Registry {
    server: Server,
    address: SocketAddr,
}

impl Registry {
    /// Starts one that sends its clients to `realm` and believes tokens of `issuer` for `service` that `bundle` vouches for.
    pub async fn start(realm: &str, service: &str, issuer: &str, bundle: &str) -> Self {
        Self::start_at(ports::free(), realm, service, issuer, bundle).await
    }

    /// The same at an address that somebody was told before.
    pub async fn start_at(address: SocketAddr, realm: &str, service: &str, issuer: &str, bundle: &str) -> Self {
        let bundles = tempfile::tempdir().expect("a temporary folder");
        let file = bundles.path().join("bundle.pem");
        fs::write(&file, bundle).expect("the bundle is written");
        let auth = format!(
            "auth:\n  token: {{realm: \"{realm}\", service: \"{service}\", issuer: \"{issuer}\", rootcertbundle: \"{}\"}}\n",
            file.display()
        );
        // The registry reads its bundle once, before it is ready.
        Self::start_with(address, &auth).await
    }

    /// Starts one with this `auth:` section.
    pub async fn start_with(address: SocketAddr, auth: &str) -> Self {
        let folder = process::folder();
        let configuration = format!(
            "version: 0.1\n\
             log: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage:\n  filesystem: {{rootdirectory: \"{folder}/storage\"}}\n  delete: {{enabled: true}}\n\
             http: {{addr: \"{address}\"}}\n\
             {auth}",
            folder = folder.display(),
        );
        let file = folder.join("config.yml");
        fs::write(&file, configuration).expect("the registry's configuration is written");
        let server = Server::start("docker-registry", folder, Path::new(PROGRAM), &["serve", file.to_str().unwrap()]);
        let registry = Self { server, address };
        registry
            .server
            .ready(|| async {
                match reqwest::get(registry.url("/v2/")).await {
                    Ok(answer) if answer.status() == 401 => Ok(()),
                    Ok(answer) => Err(format!("/v2/ answers {}", answer.status())),
                    Err(error) => Err(error.to_string()),
                }
            })
            .await;
        registry
    }

    /// `127.0.0.1:port`, as it stands before an image's name.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        self.server.stderr()
    }
}
