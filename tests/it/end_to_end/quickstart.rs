//! The first minutes of a new user: one command, what it prints, and a docker client that does what it says.

use std::fs;
use std::path::Path;

use crate::labs::bridge;
use crate::labs::dockerd::{self, Docker};
use crate::labs::ports;
use crate::labs::process::{self, Server};
use crate::labs::registry::{self, Registry};
use crate::require;

const PROGRAM: &str = env!("CARGO_BIN_EXE_narrows");

/// A running quickstart and what it printed.
struct Started {
    server: Server,
    printed: String,
}

async fn start(directory: &str, registry: &str) -> Started {
    let (listen, admin) = (ports::free().to_string(), ports::free().to_string());
    let arguments = ["quickstart", "--directory", directory, "--registry", registry, "--listen", &listen, "--admin-listen", &admin];
    let server = Server::start("narrows quickstart", process::folder(), Path::new(PROGRAM), &arguments);
    server
        .ready(|| async {
            let printed = server.stdout();
            let realm = printed.lines().find_map(|line| line.trim().strip_prefix("realm: ")).ok_or("no realm is printed")?;
            let alive = realm.replace("/token", "/livez");
            reqwest::get(alive).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
    Started { printed: server.stdout(), server }
}

#[tokio::test]
async fn what_the_quickstart_prints_connects_a_registry_and_a_client() {
    let parts = require::available("docker-registry", registry::present());
    if !require::available("docker daemon (docker.io and containerd, as root)", dockerd::present()) || !parts {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("demo");
    let (directory, address) = (directory.to_str().unwrap(), ports::free());
    let host = address.to_string();
    let bridge = start(directory, &host).await;

    // The printed lines, as they are, are the registry's `auth:` section.
    let auth: Vec<_> = bridge.printed.lines().skip_while(|line| *line != "auth:").take_while(|line| !line.is_empty()).collect();
    assert_eq!(auth.len(), 6, "{}", bridge.printed);
    let _registry = Registry::start_with(address, &format!("{}\n", auth.join("\n"))).await;
    let login = bridge.printed.lines().find(|line| line.contains("docker login")).unwrap();
    assert_eq!(login.trim(), format!("docker login -u alice {host}"));
    let password = bridge.printed.lines().find_map(|line| line.trim().strip_prefix("Password: ")).unwrap();

    let docker = Docker::start().await;
    let client = docker.client();
    client.login(&host, "alice", "not the password").await.refused(&["unauthorized: invalid username or password"]);
    client.login(&host, "alice", password).await.ok();
    for image in ["payments/hello", "users/alice/hello"] {
        let image = format!("{host}/{image}");
        client.make(&image, "hello").await;
        client.push(&image).await.ok();
        client.pull(&image).await.ok();
    }
    let elsewhere = format!("{host}/other/hello");
    client.make(&elsewhere, "hello").await;
    client.push(&elsewhere).await.refused(&["denied: requested access to the resource is denied"]);
}

#[tokio::test]
async fn a_second_start_changes_nothing_and_serves_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("demo");
    let directory = directory.to_str().unwrap();
    let first = start(directory, "localhost:5000").await;
    first.server.signal("TERM");
    assert_eq!(first.server.ended().await, 0);
    let read = |name: &str| fs::read_to_string(format!("{directory}/{name}")).unwrap();
    let before = ["narrows.yaml", "users.yaml", "rules.yaml", "rootcertbundle.pem"].map(read);
    let hash = before[1].clone();
    let password = first.printed.lines().find_map(|line| line.trim().strip_prefix("Password: ")).unwrap();
    assert!(!hash.contains(password), "the password itself is kept");

    let arguments = ["quickstart", "--directory", directory, "--no-serve"];
    let second = bridge::narrows(&arguments, b"").await.ok();
    assert!(!second.stdout.contains("Password:") && second.stdout.contains("rootcertbundle:"), "{}", second.stdout);
    assert_eq!(before, ["narrows.yaml", "users.yaml", "rules.yaml", "rootcertbundle.pem"].map(read));
}

#[tokio::test]
async fn a_folder_that_holds_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "x").unwrap();
    let arguments = ["quickstart", "--directory", folder.path().to_str().unwrap(), "--no-serve"];
    let ran = bridge::narrows(&arguments, b"").await;
    assert_eq!(ran.code, Some(2), "{}", ran.text());
    ran.refused(&["is not empty", "--directory"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
