//! An OpenID Provider, a bridge that trusts it, a registry that trusts the bridge, and a docker daemon.

use crate::end_to_end::lab::export;
use crate::glewlwyd::Glewlwyd;
use crate::labs::accounts::Person;
use crate::labs::bridge::{Bridge, Site};
use crate::labs::dockerd::{self, Docker};
use crate::labs::oidc::{CLIENT_ID, CLIENT_SECRET};
use crate::labs::registry::{self, Registry};
use crate::require;

pub const SERVICE: &str = "registry.test";

const RULES: &str = r#"
version: 1
realm: corp
reserved: []
rules:
  - {name: developers, to: {group: dev}, allow: contributor, repository: "dev/**"}
  - {name: operators, to: {group: ops}, allow: contributor, repository: "ops/**"}
  - {name: with a second factor, to: {group: dev, mfa: {within: 12h}}, allow: contributor, repository: "prod/**"}
"#;

/// What a scenario needs of an OpenID Provider.
pub trait OpenidProvider {
    /// Its issuer.
    fn issuer(&self) -> String;
    /// What stands below `oidc` beside issuer and client, each line indented by six.
    fn settings(&self) -> &'static str;
    /// Lets sign-ins return here.
    async fn redirect_to(&self, uri: &str);
    /// Signs somebody in at an authorization request and tells the address that the browser is sent back to.
    async fn sign_in(&self, person: &Person, authorization_url: &str) -> String;
    /// Enters a device's code as somebody.
    async fn approve_device(&self, person: &Person, user_code: &str);
    /// Asks somebody for a second factor from now on.
    async fn require_second_factor(&self, person: &Person);
    /// Gives somebody other groups.
    async fn set_groups(&self, person: &Person, groups: &[&str]);
    /// Ends the sessions and refresh tokens of somebody.
    async fn end_sessions(&self, person: &Person);
    /// Makes somebody's account unusable.
    async fn remove(&self, person: &Person);
}

impl OpenidProvider for Glewlwyd {
    fn issuer(&self) -> String {
        self.issuer()
    }
    fn settings(&self) -> &'static str {
        "      scopes: [openid, groups]\n      identity: {username: [name]}\n"
    }
    async fn redirect_to(&self, uri: &str) {
        self.redirect_to(uri).await;
    }
    async fn sign_in(&self, person: &Person, authorization_url: &str) -> String {
        self.sign_in(person, authorization_url).await
    }
    async fn approve_device(&self, person: &Person, user_code: &str) {
        self.approve_device(person, user_code).await;
    }
    async fn require_second_factor(&self, person: &Person) {
        self.require_totp(person).await;
    }
    async fn set_groups(&self, person: &Person, groups: &[&str]) {
        self.set_groups(person, groups).await;
    }
    async fn end_sessions(&self, person: &Person) {
        self.end_sessions(person).await;
    }
    async fn remove(&self, person: &Person) {
        self.remove(person).await;
    }
}

/// All of it.
pub struct House<O> {
    pub op: O,
    pub bridge: Bridge,
    pub registry: Registry,
    pub docker: Docker,
}

impl<O: OpenidProvider> House<O> {
    /// Starts the rest around a provider; `None` where this machine lacks a part.
    pub async fn open(op: Option<O>) -> Option<Self> {
        let op = op?;
        let registry = require::available("docker-registry", registry::present());
        if !(require::available("docker daemon (docker.io and containerd, as root)", dockerd::present()) && registry) {
            return None;
        }
        let site = Site::new();
        op.redirect_to(&site.url("/oidc/corp/callback")).await;
        site.write("rules.yaml", RULES);
        site.write("oidc-secret", CLIENT_SECRET);
        let (own, settings, issuer) = (site.url(""), op.settings(), op.issuer());
        // The periods are short so that a test need not wait for what an operator may wait for.
        site.configure(&format!(
            "public_url: {own}\nservices: [{{name: {SERVICE}, registry: distribution-2}}]\nrules: rules.yaml\n\
             credentials_cache: {{verified: 1s}}\nidentity_tokens: {{recheck: 1s}}\naudit: {{file: audit.jsonl}}\nlog: {{level: debug}}\n\
             providers:\n  - name: corp\n    oidc:\n      issuer: {issuer}\n\
             \x20     client: {{id: {CLIENT_ID}, secret: {{file: oidc-secret}}}}\n{settings}\
             \x20     password_grant: {{enabled: true}}\n      device_grant: {{enabled: true, in_band: true, from: [127.0.0.0/8]}}\n"
        ));
        site.command(&["keys", "init"]).await.ok();
        let bundle = export(&site, SERVICE).await;
        let bridge = site.serve().await;
        let registry = Registry::start(&bridge.url("/token"), SERVICE, "narrows", &bundle).await;
        Some(Self { op, bridge, registry, docker: Docker::start().await })
    }

    /// The name of an image at the registry.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.host())
    }

    /// Pushes a new image of this name.
    pub async fn push(&self, client: &dockerd::Client, name: &str) -> crate::labs::process::Ran {
        let image = self.image(name);
        client.make(&image, name).await;
        client.push(&image).await
    }
}
