//! One bridge, the two registries that trust it, and a docker daemon; started once and shared by the tests of a provider.

use std::sync::{Arc, Weak};

use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

use crate::labs::accounts::{Accounts, Person};
use crate::labs::bridge::{Bridge, Site};
use crate::labs::dockerd::{self, Docker};
use crate::labs::registry::{self, Registry};
use crate::require;

pub const SERVICE: &str = "registry.test";
pub const OTHER_SERVICE: &str = "other.test";

/// In a group of its own each who is changed by a test: the tests run side by side.
pub const ALICE: Person = Person { name: "alice", password: "alice: p\u{e4}ss+&%20word", groups: &["registry-payments"] };
pub const BOB: Person = Person { name: "bob", password: "bob-password", groups: &[] };
pub const AUDITOR: Person = Person { name: "auditor", password: "auditor-password", groups: &["auditors"] };
pub const ROBOT: Person = Person { name: "robot", password: "robot-password", groups: &[] };
pub const REVOKED: Person = Person { name: "erin", password: "erin-password", groups: &["registry-search"] };
pub const LEAVER: Person = Person { name: "dave", password: "dave-password", groups: &["registry-billing"] };
pub const MOVER: Person = Person { name: "mallory", password: "mallory-password", groups: &["registry-mail"] };
pub const CHANGER: Person = Person { name: "carol", password: "carol-password", groups: &["registry-maps"] };

pub const PEOPLE: [Person; 8] = [ALICE, BOB, AUDITOR, ROBOT, REVOKED, LEAVER, MOVER, CHANGER];

pub const RULES: &str = r#"
version: 1
realm: corp
reserved: [users, base]
rules:
  - {name: base images are public, to: anyone, allow: viewer, repository: "base/**"}
  - {name: the robot publishes base images, to: {user: robot}, allow: contributor, repository: "base/**"}
  - {name: personal namespaces, to: authenticated, allow: owner, repository: "users/{user}/**"}
  - {name: a team works in its namespace, to: {group: "registry-{team}"}, allow: contributor, repository: "{team}/**"}
  - {name: auditors see the catalogue, to: {group: auditors}, allow: [catalog]}
"#;

/// The periods are short so that a test need not wait for what an operator may wait for.
const REST: &str = "
services:
  - {name: registry.test, registry: distribution-2}
  - {name: other.test, registry: distribution-2}
rules: rules.yaml
credentials_cache: {verified: 1s}
identity_tokens: {recheck: 1s}
audit: {file: audit.jsonl}
";

static USERS_FILE: OnceCell<Option<Lab>> = OnceCell::const_new();
static DIRECTORY: Mutex<Weak<Lab>> = Mutex::const_new(Weak::new());

/// The lab whose people stand in a users file; `None` where this machine lacks a part.
pub async fn users_file() -> Option<&'static Lab> {
    let lab = USERS_FILE.get_or_init(|| async {
        if !present() {
            return None;
        }
        let (site, accounts) = site().await;
        Some(Lab::start(site, accounts).await)
    });
    lab.await.as_ref()
}

/// A bridge that is configured but not started, with the people in a users file.
pub async fn site() -> (Site, Accounts) {
    let site = Site::new();
    let accounts = Accounts::file(&site, &PEOPLE).await;
    configure(&site, &accounts).await;
    (site, accounts)
}

async fn configure(site: &Site, accounts: &Accounts) {
    site.write("rules.yaml", RULES);
    site.configure(&format!("{REST}{}", accounts.providers()));
    site.command(&["keys", "init"]).await.ok();
}

fn present() -> bool {
    let registry = require::available("docker-registry", registry::present());
    require::available("docker daemon (docker.io and containerd, as root)", dockerd::present()) && registry
}

/// The lab whose people stand in a directory. It ends with the last test that holds it: `Slapd` ends by being dropped,
/// and what a `static` holds never is.
pub async fn directory() -> Option<Arc<Lab>> {
    let mut shared = DIRECTORY.lock().await;
    if let Some(lab) = shared.upgrade() {
        return Some(lab);
    }
    if !present() {
        return None;
    }
    let site = Site::new();
    let accounts = Accounts::slapd(&site, &PEOPLE).await?;
    configure(&site, &accounts).await;
    let lab = Arc::new(Lab::start(site, accounts).await);
    *shared = Arc::downgrade(&lab);
    Some(lab)
}

/// Everything that a scenario talks to.
pub struct Lab {
    pub accounts: Accounts,
    pub bridge: Bridge,
    /// Of service `registry.test`.
    pub registry: Registry,
    /// Of service `other.test`.
    pub other: Registry,
    pub docker: Docker,
}

impl Lab {
    async fn start(site: Site, accounts: Accounts) -> Self {
        let bundle = export(&site, SERVICE).await;
        let other_bundle = export(&site, OTHER_SERVICE).await;
        let bridge = site.serve().await;
        let realm = bridge.url("/token");
        let registry = Registry::start(&realm, SERVICE, "narrows", &bundle).await;
        let other = Registry::start(&realm, OTHER_SERVICE, "narrows", &other_bundle).await;
        Self { accounts, bridge, registry, other, docker: Docker::start().await }
    }

    /// The name of an image at the registry.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.host())
    }

    /// A docker client that has logged in.
    pub async fn logged_in(&self, person: &Person) -> dockerd::Client {
        let client = self.docker.client();
        client.login(&self.registry.host(), person.name, person.password).await.ok();
        client
    }

    /// Pushes a new image as somebody who may.
    pub async fn published(&self, person: &Person, name: &str) -> String {
        let (client, image) = (self.logged_in(person).await, self.image(name));
        client.make(&image, &image).await;
        client.push(&image).await.ok();
        image
    }

    /// Asks for a token the way a client does.
    pub async fn ask(&self, service: &str, scope: &str, person: Option<&Person>) -> reqwest::Response {
        ask(&self.bridge, service, scope, person).await
    }

    /// A token for somebody whom the bridge knows.
    pub async fn token(&self, service: &str, scope: &str, person: &Person) -> String {
        let answer = self.ask(service, scope, Some(person)).await;
        assert_eq!(answer.status(), 200, "{} asks for {scope}", person.name);
        let answer: Value = answer.json().await.expect("the bridge answers JSON");
        answer["token"].as_str().expect("an answer of 200 has a token").to_owned()
    }
}

/// What a registry of this service shall trust.
pub async fn export(site: &Site, service: &str) -> String {
    let bundle = site.command(&["keys", "export", "--format", "bundle", "--service", service]).await.ok().stdout;
    assert!(bundle.contains("BEGIN CERTIFICATE"), "`narrows keys export` should print a certificate, not `{bundle}`");
    bundle
}

/// Asks for a token the way a client does.
pub async fn ask(bridge: &Bridge, service: &str, scope: &str, person: Option<&Person>) -> reqwest::Response {
    let request = reqwest::Client::new().get(bridge.url("/token")).query(&[("service", service), ("scope", scope)]);
    let request = match person {
        Some(person) => request.basic_auth(person.name, Some(person.password)),
        None => request,
    };
    request.send().await.expect("the bridge answers")
}

/// What a registry answers to somebody with a token.
pub async fn get(url: String, token: &str) -> reqwest::Response {
    reqwest::Client::new().get(url).bearer_auth(token).send().await.expect("the registry answers")
}
