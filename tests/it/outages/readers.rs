//! Whoever reads the log or the audit may stop reading; whoever asks for a token, or tells the service to end, is not held up.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::labs::bridge::Site;
use crate::labs::wait;

const PROGRAM: &str = env!("CARGO_BIN_EXE_narrows");
/// More lines than a pipe holds.
const MANY: usize = 1_500;

/// A service whose standard output and standard error are pipes that nobody reads.
async fn unread(audit: &str) -> (Site, Child) {
    let site = Site::new();
    site.write("users.yaml", "users: []\n");
    site.write("rules.yaml", "version: 1\nrules: [{to: anyone, allow: viewer, repository: \"base/**\"}]\n");
    site.configure(&format!(
        "services: [{{name: registry.test}}]\nsigning: {{create: true}}\nrules: rules.yaml\n\
         providers: [{{name: people, file: {{path: users.yaml}}}}]\naudit: {audit}\n"
    ));
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--config", &site.configuration()]).kill_on_drop(true);
    let service = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait::until(Duration::from_secs(30), async || reqwest::get(site.url("/livez")).await.map(drop).map_err(|error| error.to_string()))
        .await;
    (site, service)
}

async fn status(client: &reqwest::Client, url: &str) -> u16 {
    let answer = timeout(Duration::from_secs(10), client.get(url).send()).await.expect("an answer within 10 s");
    answer.unwrap().status().as_u16()
}

async fn ends(mut service: Child) {
    let id = service.id().unwrap().to_string();
    assert!(Command::new("/bin/kill").args(["-s", "TERM", &id]).status().await.unwrap().success());
    let ended = timeout(Duration::from_secs(20), service.wait()).await.expect("the service ends").unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_nobody() {
    let (site, service) = unread("{file: audit.jsonl}").await;
    let client = reqwest::Client::new();
    for _ in 0..MANY {
        assert_eq!(status(&client, &site.url("/livez")).await, 200);
    }
    assert_eq!(status(&client, &site.url("/token?service=registry.test&scope=repository:base/x:pull")).await, 200);
    ends(service).await;
}

#[tokio::test]
async fn an_audit_that_nobody_reads_grants_nothing_and_holds_up_nothing_else() {
    let (site, service) = unread("stdout").await;
    let (client, url) = (reqwest::Client::new(), site.url("/token?service=registry.test&scope=repository:base/x:pull"));
    let mut granted = 0;
    loop {
        match status(&client, &url).await {
            200 => granted += 1,
            other => break assert_eq!(other, 503, "after {granted} grants"),
        }
        assert!(granted < MANY, "the pipe never fills");
    }
    assert!(granted > 0);
    assert_eq!(status(&client, &site.url("/livez")).await, 200);
    ends(service).await;
}
