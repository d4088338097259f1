//! The sign-in page in a real browser, in front of a real OpenID Provider.

mod attacks;
mod journey;
mod looks;
mod stranger;
mod texts;

use std::fmt::Write;

use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::house::RULES;
use crate::labs::accounts::Person;
use crate::labs::bridge::{Bridge, Site};
use crate::labs::chromium::Chromium;
use crate::labs::oidc::{self, CLIENT_SECRET, Issuer};
use crate::openid_provider::OpenidProvider;

const SERVICE: &str = "registry.corp.example";
const OTHER_SERVICE: &str = "images.example:5000";
const SIGN_IN: &str = "__Host-narrows-sign-in";
const LOGIN: &str = "__Host-narrows-login";
/// More than the house's, so that there is something to see.
const MORE_RULES: &str = r#"
  - {name: archivists, to: {group: ops}, allow: viewer, repository: "an-operators-namespace-with-a-very-long-name/**"}
  - {name: teams, to: {group: "{team}"}, allow: viewer, repository: "teams/{team}/**"}
"#;

/// A browser, a bridge, and the issuer that it trusts by the name `corp`.
struct Scene {
    op: OpenidProvider,
    bridge: Bridge,
    browser: Chromium,
}

impl Scene {
    /// `None` where this machine lacks a part.
    async fn open() -> Option<Self> {
        Self::beside(&[]).await
    }

    /// With more issuers, by their names.
    async fn beside(others: &[(&str, &OpenidProvider)]) -> Option<Self> {
        let browser = Chromium::start().await?;
        let op = OpenidProvider::start().await?;
        let bridge = bridge(&op, others).await;
        Some(Self { op, bridge, browser })
    }

    fn login(&self) -> String {
        self.bridge.url("/login")
    }

    /// Opens the page.
    async fn enter(&self) {
        self.browser.open(&self.login()).await;
    }

    /// Presses a provider's button and tells the authorization request; the browser is at the issuer then.
    async fn start(&self, provider: &str) -> String {
        self.enter().await;
        self.browser.requested().await;
        self.browser.click(&format!("button[value={provider}]")).await;
        self.browser.shows("Sign in at the lab").await;
        let requested = self.browser.requested().await;
        let asked = requested.iter().find(|url| url.contains("code_challenge"));
        asked.unwrap_or_else(|| panic!("no authorization request among {requested:?}")).clone()
    }

    /// Signs somebody in with the mouse.
    async fn sign_in(&self, person: &Person) {
        self.start("corp").await;
        self.browser.enter("[name=username]", person.name).await;
        self.browser.enter("[name=password]", person.password).await;
        self.browser.click("button").await;
        self.browser.arrives(&self.login()).await;
        assert!(self.is_signed_in().await, "{}\n{}", self.browser.visible_text().await, self.bridge.log());
    }

    /// The same where the issuer still knows who it is, from the page that is open.
    async fn sign_in_again(&self) {
        self.browser.click("button").await;
        self.browser.shows("Signed in as ").await;
    }

    /// Whether the page shows somebody.
    async fn is_signed_in(&self) -> bool {
        self.enter().await;
        self.browser.title().await.starts_with("Signed in")
    }

    /// The cookies of ours that the browser has, by name.
    async fn cookies(&self) -> Vec<Value> {
        let all = self.browser.cookies().await;
        all.into_iter().filter(|cookie| cookie["name"].as_str().is_some_and(|name| name.contains("narrows"))).collect()
    }

    /// `docker login` as it comes here.
    async fn log_in(&self, username: &str, secret: &str) -> Response {
        let query = [("service", SERVICE), ("offline_token", "true"), ("account", username), ("client_id", "docker")];
        oidc::plain_client().get(self.bridge.url("/token")).query(&query).basic_auth(username, Some(secret)).send().await.unwrap()
    }

    /// What docker does with what it stored.
    async fn refresh(&self, identity_token: &str) -> Response {
        let scope = "repository:dev/app:pull,push";
        let form = [("grant_type", "refresh_token"), ("service", SERVICE), ("scope", scope), ("refresh_token", identity_token)];
        oidc::plain_client().post(self.bridge.url("/token")).form(&form).send().await.unwrap()
    }

    /// Logs in with the code that the browser shows and tells the identity token.
    async fn use_code(&self, person: &Person) -> String {
        self.browser.shows("Your login code").await;
        let code = self.browser.text("pre.code").await;
        let answer = oidc::json(self.log_in(person.name, &code).await).await;
        assert_eq!(self.log_in(person.name, &code).await.status(), StatusCode::UNAUTHORIZED, "a code counts once");
        let identity_token = answer["refresh_token"].as_str().unwrap_or_else(|| panic!("no identity token: {answer}"));
        assert_eq!(self.refresh(identity_token).await.status(), StatusCode::OK);
        identity_token.to_owned()
    }
}

async fn bridge(op: &OpenidProvider, others: &[(&str, &OpenidProvider)]) -> Bridge {
    let site = Site::new();
    site.write("rules.yaml", &format!("{RULES}{MORE_RULES}"));
    site.write("oidc-secret", CLIENT_SECRET);
    let mut text = format!(
        "public_url: {}\nservices: [{{name: {SERVICE}, registry: distribution-2}}, {{name: \"{OTHER_SERVICE}\", registry: distribution-2}}]\n\
         rules: rules.yaml\naudit: {{file: audit.jsonl}}\nlog: {{level: debug}}\nproviders:\n",
        site.url("")
    );
    for (name, op) in [("corp", op)].iter().chain(others) {
        op.redirect_to(&site.url(&format!("/oidc/{name}/callback"))).await;
        write!(text, "  - name: {name}\n    realm: corp\n    oidc:\n{}", op.oidc()).unwrap();
    }
    site.configure(&text);
    site.command(&["keys", "init"]).await.ok();
    site.serve().await
}
