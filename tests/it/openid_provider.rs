//! The `oidc-provider` of npm as an OpenID Provider with knobs: what it signs, says and does wrong can be changed while it runs.
//!
//! Its people's `sub` is `id-of-NAME`. Refresh tokens rotate, and one that comes a second time ends all that it stood for.

mod answers;
mod install;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::labs::accounts::Person;
use crate::labs::oidc::{self, ALICE, BOB, CLIENT_ID, CLIENT_SECRET, Issuer, MFA, REDIRECT_URI};
use crate::labs::ports;
use crate::labs::process::{self, Server};
use crate::labs::visitor::{Fields, Visitor};

const PROGRAM: &str = include_str!("openid_provider/server.mjs");

/// A running server. Ends with its value or with the test process, whichever comes first.
pub(crate) struct OpenidProvider {
    folder: PathBuf,
    /// `None` between `stop` and `restart`.
    server: Option<Server>,
    port: u16,
    client: reqwest::Client,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Endpoint {
    Discovery,
    Jwks,
    Token,
    Device,
    Userinfo,
    Revocation,
}

impl Endpoint {
    const ALL: [Self; 6] = [Self::Discovery, Self::Jwks, Self::Token, Self::Device, Self::Userinfo, Self::Revocation];

    fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Jwks => "jwks",
            Self::Token => "token",
            Self::Device => "device",
            Self::Userinfo => "userinfo",
            Self::Revocation => "revocation",
        }
    }
}

/// What happens instead of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// This status, with an error in JSON.
    Status(u16),
    /// 429 with so many seconds in `Retry-After`.
    Throttled(u16),
    /// 503 with so many seconds in `Retry-After`.
    Busy(u16),
    /// This status and this body: a page where it begins as one, else JSON.
    Says(u16, &'static str),
    /// The right answer, as if it were of this type.
    Typed(&'static str),
    /// The right answer, late.
    Slow(Duration),
    /// Nothing, for ever.
    Hang,
    /// The connection is reset.
    Reset,
    /// 200 with a page, as of a proxy that wants a sign-in.
    Html,
    /// 200 with nothing.
    Empty,
    /// 302 to itself.
    Redirect,
    /// 10 MiB of JSON.
    Huge,
    /// The connection ends in the middle of the body.
    Truncated,
}

impl Fault {
    fn wire(self) -> Value {
        let body = |status: u16, body: &str| json!({"status": status, "body": body});
        match self {
            Self::Status(status) => body(status, r#"{"error":"server_error","error_description":"made up by the lab"}"#),
            Self::Throttled(seconds) => json!({"status": 429, "headers": {"retry-after": seconds.to_string()}, "body": "{}"}),
            Self::Busy(seconds) => json!({"status": 503, "headers": {"retry-after": seconds.to_string()}, "body": "{}"}),
            Self::Says(status, page) if page.starts_with('<') => {
                json!({"status": status, "headers": {"content-type": "text/html"}, "body": page})
            }
            Self::Says(status, text) => body(status, text),
            Self::Typed(kind) => json!({"kind": "typed", "type": kind}),
            Self::Slow(delay) => json!({"kind": "slow", "delay": u64::try_from(delay.as_millis()).unwrap()}),
            Self::Hang => json!({"kind": "hang"}),
            Self::Reset => json!({"kind": "reset"}),
            Self::Html => json!({"headers": {"content-type": "text/html"}, "body": "<html><title>Please sign in</title></html>"}),
            Self::Empty => body(200, ""),
            Self::Redirect => json!({"status": 302, "headers": {"location": "/elsewhere"}}),
            Self::Huge => json!({"kind": "huge"}),
            Self::Truncated => json!({"kind": "truncated"}),
        }
    }
}

/// A JSON document that leaves, whose members a test may change.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Document {
    Discovery,
    Jwks,
    /// The claims, signed after the change.
    IdToken,
    Userinfo,
    /// What the token endpoint answers.
    Token,
    /// What the device authorization endpoint answers.
    Device,
    /// The parameters of the address that a browser is sent back to.
    Callback,
}

impl Document {
    fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Jwks => "jwks",
            Self::IdToken => "id_token",
            Self::Userinfo => "userinfo",
            Self::Token => "token",
            Self::Device => "device",
            Self::Callback => "callback",
        }
    }
}

/// What stands in a token instead of more groups than fit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Overage {
    /// Entra's, in the tokens of its ID token flows: a place to ask.
    ClaimSources,
    /// Entra's, in tokens that come through the browser.
    HasGroups,
    /// Okta's: the first 100, without a word.
    FirstHundred,
}

/// When refresh tokens are given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RefreshTokens {
    Always,
    /// Only where the scope has `offline_access`; by the code flow also only with `prompt=consent`.
    OfflineAccess,
    Never,
}

/// What it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) discovery: u64,
    pub(crate) jwks: u64,
    pub(crate) userinfo: u64,
    /// Requests to the token endpoint, of every grant.
    pub(crate) token: u64,
    pub(crate) passwords: u64,
    pub(crate) refreshes: u64,
    pub(crate) codes: u64,
    pub(crate) device_polls: u64,
    pub(crate) device_starts: u64,
    pub(crate) authorizations: u64,
    /// How often a refresh token came a second time.
    pub(crate) refresh_reuses: u64,
}

/// A request as it came.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Seen {
    /// `token`, `device`, `authorization` and so on.
    pub(crate) endpoint: String,
    /// The scheme of its `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// Its form or query.
    pub(crate) form: Value,
}

impl OpenidProvider {
    /// Starts one with Alice, Bob and Mfa; `None` where there is no Node.js, or nothing to install from.
    pub(crate) async fn start() -> Option<Self> {
        let modules = install::modules().await?;
        let folder = process::folder();
        fs::write(folder.join("server.mjs"), PROGRAM).unwrap();
        symlink(modules, folder.join("node_modules")).unwrap();
        let mut lab = Self { folder, server: None, port: ports::free().port(), client: oidc::plain_client() };
        lab.restart().await;
        Some(lab)
    }

    // === Faults ===

    /// From now on this happens at that endpoint, until `heal`.
    pub(crate) async fn fail(&self, endpoint: Endpoint, fault: Fault) {
        self.command("fault", json!({"endpoint": endpoint.name(), "fault": fault.wire()})).await;
    }

    /// The same, for so many requests.
    pub(crate) async fn fail_times(&self, endpoint: Endpoint, fault: Fault, times: u32) {
        let mut fault = fault.wire();
        fault["times"] = json!(times);
        self.command("fault", json!({"endpoint": endpoint.name(), "fault": fault})).await;
    }

    /// The same, at every endpoint.
    pub(crate) async fn fail_everywhere(&self, fault: Fault) {
        for endpoint in Endpoint::ALL {
            self.fail(endpoint, fault).await;
        }
    }

    /// Lays members over a document; `null` takes one away. The last call counts for each document.
    pub(crate) async fn alter(&self, document: Document, members: Value) {
        self.command("overlay", json!({"document": document.name(), "members": members})).await;
    }

    /// Ends all faults and alterations of documents; what people are like stays.
    pub(crate) async fn heal(&self) {
        self.command("heal", json!({})).await;
    }

    // === Keys ===

    /// Signs with a new key from now on; the old ones stay in the key set.
    pub(crate) async fn rotate_keys(&self) {
        self.command("rotate", json!({})).await;
    }

    /// Takes all keys but the newest out of the key set.
    pub(crate) async fn withdraw_old_keys(&self) {
        self.command("withdraw", json!({})).await;
    }

    /// Makes a new key each time that this passes, and keeps two in the key set.
    pub(crate) async fn rotate_keys_every(&self, period: Duration) {
        self.command("rotate_every", json!({"milliseconds": u64::try_from(period.as_millis()).unwrap()})).await;
    }

    /// Signs with keys that the key set never has.
    pub(crate) async fn sign_with_unknown_keys(&self) {
        self.command("knobs", json!({"unpublished": true})).await;
    }

    /// Signs with `RS256`, `ES256`, `HS256` with the client's secret, or `none`; what discovery says stays.
    pub(crate) async fn sign_with(&self, algorithm: &str) {
        self.command("knobs", json!({"algorithm": algorithm})).await;
    }

    /// Signs with RS256 and the newest published key again.
    pub(crate) async fn sign_honestly(&self) {
        self.command("knobs", json!({"unpublished": false, "algorithm": "RS256"})).await;
    }

    // === Conduct ===

    /// Whether each refresh brings a new refresh token and ends the old one.
    pub(crate) async fn rotate_refresh_tokens(&self, rotate: bool) {
        self.command("knobs", json!({"rotate_refresh_tokens": rotate})).await;
    }

    /// When refresh tokens are given.
    pub(crate) async fn give_refresh_tokens(&self, when: RefreshTokens) {
        let when = match when {
            RefreshTokens::Always => "always",
            RefreshTokens::OfflineAccess => "offline_access",
            RefreshTokens::Never => "never",
        };
        self.command("knobs", json!({"refresh_tokens": when})).await;
    }

    /// How long device codes live, and how many seconds must lie between two polls.
    pub(crate) async fn pace_devices(&self, life: Duration, interval: u32) {
        self.command("knobs", json!({"device_life": life.as_secs(), "poll_interval": interval})).await;
    }

    // === People ===

    /// Lays claims over somebody's ID tokens and userinfo, such as groups of another shape; `null` takes one away.
    pub(crate) async fn set_claims(&self, person: &Person, claims: Value) {
        self.person(person, json!({"claims": claims})).await;
    }

    /// Gives somebody more groups than the provider puts into a token.
    pub(crate) async fn exceed(&self, person: &Person, overage: Overage) {
        let claims = match overage {
            Overage::ClaimSources => json!({
                "groups": null,
                "_claim_names": {"groups": "src1"},
                "_claim_sources": {"src1": {"endpoint": format!("{}/users/{}/getMemberObjects", self.issuer(), person.name)}},
            }),
            Overage::HasGroups => json!({"groups": null, "hasgroups": true}),
            Overage::FirstHundred => json!({"groups": (0..100).map(|number| format!("group-{number}")).collect::<Vec<_>>()}),
        };
        self.set_claims(person, claims).await;
    }

    /// Undoes `remove`.
    pub(crate) async fn restore(&self, person: &Person) {
        self.person(person, json!({"enabled": true})).await;
    }

    /// Refuses somebody's right password like this, as where a second factor is due.
    pub(crate) async fn refuse_password(&self, person: &Person, status: StatusCode, error: &str, description: &str) {
        let refusal = json!({"status": status.as_u16(), "error": error, "description": description});
        self.person(person, json!({"refusal": refusal})).await;
    }

    /// How somebody will prove who it is at a page or for a device, and how long ago.
    pub(crate) async fn set_proof(&self, person: &Person, amr: &[&str], acr: Option<&str>, ago: Duration) {
        let mut proof = json!({"amr": amr, "age": ago.as_secs()});
        if let Some(acr) = acr {
            proof["acr"] = json!(acr);
        }
        self.person(person, json!({"proof": proof})).await;
    }

    /// Says no to a device's code.
    pub(crate) async fn deny_device(&self, user_code: &str) {
        self.command("device", json!({"user_code": user_code, "denied": true})).await;
    }

    /// Cancels at the sign-in page and tells the address that the browser is sent back to.
    pub(crate) async fn cancel_sign_in(&self, authorization_url: &str) -> String {
        at_page(authorization_url, vec![("cancel", "1".to_owned())]).await
    }

    // === What it has seen ===

    /// The counts so far.
    pub(crate) async fn counters(&self) -> Counters {
        let counted = self.command("counters", json!({})).await;
        let of = |group: &str, name: &str| counted[group][name].as_u64().unwrap_or_default();
        Counters {
            discovery: of("requests", "discovery"),
            jwks: of("requests", "jwks"),
            userinfo: of("requests", "userinfo"),
            token: of("requests", "token"),
            passwords: of("grants", "password"),
            refreshes: of("grants", "refresh_token"),
            codes: of("grants", "authorization_code"),
            device_polls: of("grants", "urn:ietf:params:oauth:grant-type:device_code"),
            device_starts: of("requests", "device"),
            authorizations: of("requests", "authorization"),
            refresh_reuses: counted["refresh_reuses"].as_u64().unwrap(),
        }
    }

    /// How many refresh tokens still bring tokens, of anybody.
    pub(crate) async fn live_refresh_tokens(&self) -> u64 {
        self.command("live_refresh_tokens", json!({})).await.as_u64().unwrap()
    }

    /// The last requests, the newest last.
    pub(crate) async fn requests(&self) -> Vec<Seen> {
        serde_json::from_value(self.command("requests", json!({})).await).unwrap()
    }

    // === The process ===

    /// Ends it at once.
    pub(crate) fn stop(&mut self) {
        let server = self.server.take().expect("it runs");
        server.signal("KILL");
        server.end();
    }

    /// Starts it again on the same port. It has new keys, and has forgotten all sessions, knobs and changes of people.
    pub(crate) async fn restart(&mut self) {
        let person = |person: &Person| json!({"name": person.name, "password": person.password, "groups": person.groups});
        let settings = json!({
            "port": self.port,
            "client": {"id": CLIENT_ID, "secret": CLIENT_SECRET},
            "redirect_uris": [REDIRECT_URI],
            "people": [person(&ALICE), person(&BOB), person(&MFA)],
        });
        let program = self.folder.join("server.mjs").display().to_string();
        let environment = [("LAB", settings.to_string())];
        let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
        let server = Server::start_with("oidc-provider", self.folder.clone(), Path::new(install::NODE), &[&program], &environment);
        let url = format!("{}/lab/counters", self.issuer());
        let server = self.server.insert(server);
        server.ready(async || reqwest::get(&url).await.map(drop).map_err(|error| error.to_string())).await;
        let advice = "AADSTS50076: Due to a configuration change made by your administrator, or because you moved to a new location, \
                      you must use multi-factor authentication to access the service.";
        self.refuse_password(&MFA, StatusCode::BAD_REQUEST, "invalid_grant", advice).await;
    }

    /// Freezes it: connections are still accepted by the system, and nobody answers.
    pub(crate) fn freeze(&self) {
        self.server.as_ref().expect("it runs").signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.server.as_ref().expect("it runs").signal("CONT");
    }

    async fn person(&self, person: &Person, change: Value) {
        self.command("person", json!({"name": person.name, "change": change})).await;
    }

    async fn command(&self, name: &str, arguments: Value) -> Value {
        oidc::json(self.client.post(format!("{}/lab/{name}", self.issuer())).json(&arguments).send().await.unwrap()).await
    }
}

impl Issuer for OpenidProvider {
    const TELLS_SECOND_FACTOR: bool = true;
    const TELLS_END: bool = true;
    const SETTINGS: &str = "      scopes: [openid, profile, groups]\n";

    fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn redirect_to(&self, uri: &str) {
        self.command("knobs", json!({"redirect_uris": [uri]})).await;
    }

    async fn sign_in(&self, person: &Person, authorization_url: &str) -> String {
        at_page(authorization_url, vec![("username", person.name.to_owned()), ("password", person.password.to_owned())]).await
    }

    async fn approve_device(&self, person: &Person, user_code: &str) {
        self.command("device", json!({"user_code": user_code, "name": person.name})).await;
    }

    /// Of Mfa it wants one anyway, at the password grant.
    async fn require_second_factor(&self, person: &Person) {
        self.set_proof(person, &["pwd", "otp"], None, Duration::ZERO).await;
    }

    async fn set_groups(&self, person: &Person, groups: &[&str]) {
        self.person(person, json!({"groups": groups})).await;
    }

    /// Access tokens and codes end as well.
    async fn end_sessions(&self, person: &Person) {
        self.command("end_sessions", json!({"name": person.name})).await;
    }

    /// No grant works any more, refresh included.
    async fn remove(&self, person: &Person) {
        self.person(person, json!({"enabled": false})).await;
    }
}

async fn at_page(authorization_url: &str, fields: Fields) -> String {
    Visitor::new().sign_in(authorization_url, async |page| page.contains("name=\"username\"").then(|| fields.clone())).await
}

impl Drop for OpenidProvider {
    fn drop(&mut self) {
        match &self.server {
            // It may be frozen, and then no other signal reaches it.
            Some(server) if server.id().is_some() && server.status().is_none() => server.signal("KILL"),
            Some(_) => {}
            None => fs::remove_dir_all(&self.folder).unwrap(),
        }
    }
}
