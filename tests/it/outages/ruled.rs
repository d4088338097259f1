//! A bridge with a users file alone, whose rules are the subject of the test.

use std::time::Duration;

use serde_json::Value;

use crate::labs::bridge::{Bridge, Site};
use crate::labs::process::Ran;
use crate::labs::wait;

pub const SERVICE: &str = "registry.test";
pub const OTHER: &str = "other.test";
/// What a reload may take on a busy machine.
pub const TAKEN: Duration = Duration::from_secs(20);

const PASSWORD: &str = "correct horse";

/// A folder with a configuration, users and keys, and no rules yet. `rest` are more top-level keys.
pub async fn site(rest: &str) -> Site {
    let site = Site::new();
    users(&site, PASSWORD);
    configure(&site, rest);
    site.command(&["keys", "init"]).await.ok();
    site
}

/// Writes the configuration anew.
pub fn configure(site: &Site, rest: &str) {
    site.configure(&format!(
        "services: [{{name: {SERVICE}}}, {{name: {OTHER}, rules: other.yaml}}]\n\
         providers: [{{name: people, file: {{path: users.yaml}}}}]\ncredentials_cache: {{verified: 10m}}\naudit: {{file: audit.jsonl}}\n\
         throttle: {{rejection_floor: 1ms}}\n{rest}\n"
    ));
    site.write("other.yaml", &rules("group: nobody", "other/**"));
}

/// Gives alice, who is in the group `dev`, this password.
pub fn users(site: &Site, password: &str) {
    let hash = bcrypt::hash(password, 4).unwrap();
    site.write("users.yaml", &format!("users: [{{name: alice, password: \"{hash}\", groups: [dev]}}]\n"));
}

/// Rules of one line: these may push there.
pub fn rules(to: &str, repository: &str) -> String {
    format!("{{version: 1, rules: [{{to: {{{to}}}, allow: contributor, repository: \"{repository}\"}}]}}\n")
}

/// A running bridge, and who asks it.
pub struct Ruled {
    pub bridge: Bridge,
    client: reqwest::Client,
}

impl Ruled {
    pub async fn serve(site: Site) -> Self {
        Self { bridge: site.serve().await, client: reqwest::Client::new() }
    }

    pub fn site(&self) -> &Site {
        self.bridge.site()
    }

    /// Alice's scopes as they are granted.
    pub async fn ask(&self, scopes: &[&str]) -> String {
        self.ask_as(PASSWORD, SERVICE, scopes).await.unwrap_or_else(|status| panic!("alice gets a {status}"))
    }

    /// The same with another password or service; the status where that is not 200.
    pub async fn ask_as(&self, password: &str, service: &str, scopes: &[&str]) -> Result<String, u16> {
        let query: Vec<_> = [("service", service)].into_iter().chain(scopes.iter().map(|scope| ("scope", *scope))).collect();
        let request = self.client.get(self.bridge.url("/token")).query(&query).basic_auth("alice", Some(password));
        let answer = request.send().await.expect("the bridge answers");
        if answer.status() != 200 {
            return Err(answer.status().as_u16());
        }
        let answer: Value = answer.json().await.expect("the bridge answers JSON");
        Ok(answer["scope"].as_str().unwrap().to_owned())
    }

    /// What `admin_listen` says at a path, with its status.
    pub async fn admin(&self, path: &str) -> (u16, String) {
        let answer = self.client.get(self.site().admin_url(path)).send().await.expect("admin_listen answers");
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// `reload` of `/readyz`.
    pub async fn reload_status(&self) -> Value {
        let (_, text) = self.admin("/readyz").await;
        serde_json::from_str::<Value>(&text).unwrap()["reload"].take()
    }

    /// The value of a line of `/metrics`.
    pub async fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.admin("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.trim().parse().unwrap()
    }

    /// Waits until alice gets this.
    pub async fn gets(&self, scope: &str, granted: &str) {
        wait::until(TAKEN, async || {
            let found = self.ask(&[scope]).await;
            if found == granted { Ok(()) } else { Err(format!("alice gets `{found}`; {}", self.bridge.log())) }
        })
        .await;
    }

    /// Waits until `/readyz` says this of the last reload.
    pub async fn says(&self, what: impl Fn(&Value) -> bool) -> Value {
        wait::until(TAKEN, async || {
            let status = self.reload_status().await;
            if what(&status) { Ok(status) } else { Err(format!("{status}; {}", self.bridge.log())) }
        })
        .await
    }

    /// Runs `narrows reload` with these arguments.
    pub async fn reload(&self, arguments: &[&str]) -> Ran {
        let arguments: Vec<&str> = ["reload"].into_iter().chain(arguments.iter().copied()).collect();
        self.site().command(&arguments).await
    }
}
