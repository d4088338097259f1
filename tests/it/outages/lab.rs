//! A bridge with a directory that may fail, and a users file that may not.

use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::Value;

use crate::labs::bridge::{self, Bridge, Site};
use crate::labs::wait;
use crate::slapd::{Options, SERVICE_DN, SERVICE_PASSWORD, Slapd};

pub const SERVICE: &str = "registry.test";
pub const OTHER_SERVICE: &str = "other.test";

/// No answer takes longer, whatever the directory does: `request_deadline`.
pub const AT_MOST: Duration = Duration::from_secs(8);
/// How soon people are served again after an outage.
pub const SOON: Duration = Duration::from_secs(2);
/// What nobody notices.
pub const FAST: Duration = Duration::from_secs(1);

/// People of the directory; the password of each is `secret`.
pub const ALICE: (&str, &str) = ("alice", "secret");
pub const VICTIM: (&str, &str) = ("victim", "secret");
pub const ROBOT: (&str, &str) = ("robot-deploy", "robot secret");

/// What everybody may pull, and what alice's group may push to.
pub const PUBLIC: &str = "repository:base/x:pull";
pub const PAYMENTS: &str = "repository:payments/api:push";

pub const RULES: &str = r#"
version: 1
realm: corp
rules:
  - {name: base images are public, to: anyone, allow: viewer, repository: "base/**"}
  - {name: developers push, to: {group: developers}, allow: contributor, repository: "payments/**"}
"#;

/// What differs between labs.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Whether the directory is asked over `ldap://` with StartTLS instead of LDAPS.
    pub start_tls: bool,
    /// Another port than the directory's own: that of a relay in front of it.
    pub port: Option<u16>,
    /// More top-level keys of the configuration.
    pub top: &'static str,
    /// More keys of the provider, a line each.
    pub provider: &'static [&'static str],
    /// More keys in `ldap`, a line each.
    pub ldap: &'static [&'static str],
    /// The file of the directory's folder that the bridge trusts.
    pub authority: &'static str,
    /// The name that the directory's certificate has to bear.
    pub server_name: &'static str,
    /// What the bridge takes for the service account's password.
    pub service_password: &'static str,
}

impl Plan {
    /// Nothing out of the ordinary.
    pub const DEFAULT: Self = Self {
        start_tls: false,
        port: None,
        top: "",
        provider: &[],
        ldap: &[],
        authority: "ca.pem",
        server_name: "127.0.0.1",
        service_password: SERVICE_PASSWORD,
    };
}

impl Default for Plan {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The bridge ends before its directory does.
pub struct Lab {
    pub bridge: Bridge,
    pub slapd: Slapd,
    plan: Plan,
    client: reqwest::Client,
}

impl Lab {
    /// Starts a directory and a bridge in front of it; `None` where there is no slapd.
    pub async fn start(plan: Plan) -> Option<Self> {
        Some(Self::of(plan, Slapd::start(Options::default()).await?).await)
    }

    /// Starts a bridge in front of a directory.
    pub async fn of(plan: Plan, slapd: Slapd) -> Self {
        let site = Site::new();
        site.write("rules.yaml", RULES);
        site.write("ldap-password", plan.service_password);
        trust(&site, &slapd, plan.authority);
        site.write("users.yaml", &users().await);
        site.configure(&configuration(&plan, &slapd));
        site.command(&["keys", "init"]).await.ok();
        Self { bridge: site.serve().await, slapd, plan, client: reqwest::Client::new() }
    }

    /// Writes the configuration anew with another plan; the bridge reads it at the next SIGHUP.
    pub fn replan(&mut self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.plan);
        self.bridge.site().configure(&configuration(&self.plan, &self.slapd));
    }

    /// Lets the bridge trust this file of the directory's folder from now on.
    pub fn trust(&self, authority: &str) {
        trust(self.bridge.site(), &self.slapd, authority);
    }

    /// `GET /whoami` with a scope.
    pub async fn who(&self, who: (&str, &str), scope: &str) -> Answer {
        let query = [("service", SERVICE), ("scope", scope)];
        Answer::of(self.client.get(self.bridge.url("/whoami")).query(&query).basic_auth(who.0, Some(who.1))).await
    }

    /// The last line of the audit.
    pub fn audited(&self) -> Value {
        let lines = std::fs::read_to_string(self.bridge.site().folder().join("audit.jsonl")).expect("there is an audit");
        serde_json::from_str(lines.lines().last().expect("it has a line")).expect("it is JSON")
    }

    /// `GET /token` as somebody, or as nobody.
    pub async fn ask(&self, who: Option<(&str, &str)>, scope: &str) -> Answer {
        self.get(who, &[("service", SERVICE), ("scope", scope)]).await
    }

    /// The same with `offline_token=true`.
    pub async fn log_in(&self, who: (&str, &str), service: &str) -> Answer {
        self.get(Some(who), &[("service", service), ("scope", PUBLIC), ("offline_token", "true")]).await
    }

    /// `GET /token` with this query.
    pub async fn get(&self, who: Option<(&str, &str)>, query: &[(&str, &str)]) -> Answer {
        let request = self.client.get(self.bridge.url("/token")).query(query);
        Answer::of(match who {
            Some((name, password)) => request.basic_auth(name, Some(password)),
            None => request,
        })
        .await
    }

    /// `POST /token` with this form.
    pub async fn post(&self, form: &[(&str, &str)]) -> Answer {
        Answer::of(self.client.post(self.bridge.url("/token")).form(form)).await
    }

    /// A text of `admin_listen`.
    pub async fn admin(&self, path: &str) -> String {
        let answer = self.client.get(self.bridge.site().admin_url(path)).send().await.expect("admin_listen answers");
        answer.text().await.expect("admin_listen answers with text")
    }

    /// Asks until somebody is served again, which has to be soon; how long it took. What comes before is an outage.
    pub async fn served_again(&self, who: (&str, &str)) -> Duration {
        let began = Instant::now();
        wait::until(SOON, async || {
            let answer = self.ask(Some(who), PAYMENTS).await;
            if answer.status == 200 {
                return Ok(());
            }
            answer.is_an_outage();
            Err(format!("still an outage; {}", self.bridge.log()))
        })
        .await;
        let took = began.elapsed();
        assert!(took <= SOON, "served again only after {took:?}");
        took
    }

    /// Ends the bridge as a power cut does and starts it again as it was.
    pub async fn crash(self) -> Self {
        let Self { bridge, slapd, plan, client } = self;
        bridge.signal("KILL");
        Self { bridge: bridge.end().serve().await, slapd, plan, client }
    }

    /// How often the directory saw a bind of one of the people.
    pub fn binds(&self, name: &str) -> usize {
        self.slapd.binds(&format!("uid={name},ou=people,dc=example,dc=org"))
    }
}

fn trust(site: &Site, slapd: &Slapd, authority: &str) {
    let pem = std::fs::read_to_string(slapd.folder().join(authority)).expect("the directory's folder has the certificate");
    site.write("ca.pem", &pem);
}

fn configuration(plan: &Plan, slapd: &Slapd) -> String {
    let (scheme, port) = if plan.start_tls { ("ldap", slapd.port()) } else { ("ldaps", slapd.tls_port()) };
    let port = plan.port.unwrap_or(port);
    let more: String = plan.ldap.iter().flat_map(|line| ["      ", line, "\n"]).collect();
    let of_provider: String = plan.provider.iter().flat_map(|line| ["    ", line, "\n"]).collect();
    let Plan { top, server_name, .. } = plan;
    format!(
        "services:
  - {{name: {SERVICE}, registry: distribution-2}}
  - {{name: {OTHER_SERVICE}, registry: distribution-2}}
rules: rules.yaml
reload: {{every: 200ms}}
audit: {{file: audit.jsonl}}
{top}
providers:
  - name: staff
    realm: corp
{of_provider}    ldap:
      servers: [\"{scheme}://127.0.0.1:{port}\"]
      tls: {{ca: {{file: ca.pem}}, server_name: \"{server_name}\"}}
      user: {{bases: [\"ou=people,dc=example,dc=org\"]}}
      service_account: {{dn: \"{SERVICE_DN}\", password: {{file: ldap-password}}}}
{more}  - name: robots
    names: [\"robot-*\"]
    file: {{path: users.yaml}}
"
    )
}

async fn users() -> String {
    let hash = bridge::narrows(&["hash"], ROBOT.1.as_bytes()).await.ok().stdout;
    let hash = hash.trim();
    format!(
        "users:\n  - {{name: {}, password: [\"{hash}\"]}}\n  - {{name: robot-disabled, password: [\"{hash}\"], disabled: true}}\n",
        ROBOT.0
    )
}

/// What the bridge answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
    pub took: Duration,
}

impl Answer {
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        Self::try_of(request).await.expect("the bridge answers JSON")
    }

    /// The same of somebody in a crowd: a connection that a slow machine let wait for too long is dropped, and whoever had it asks again.
    pub async fn of_crowd(request: reqwest::RequestBuilder) -> Self {
        let again = request.try_clone().expect("a request without a body");
        match Self::try_of(request).await {
            Ok(answer) => answer,
            Err(error) => {
                eprintln!("asks again: {error}");
                Self::of(again).await
            }
        }
    }

    async fn try_of(request: reqwest::RequestBuilder) -> reqwest::Result<Self> {
        let began = Instant::now();
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.json().await?;
        Ok(Self { status, headers, body, took: began.elapsed() })
    }

    /// Fails unless it is a 200.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }

    /// Fails unless it is an outage in every respect, and nothing that a client takes for a refusal.
    #[track_caller]
    pub fn is_an_outage(&self) {
        assert_eq!(self.status, 503, "{self:?}");
        let later: u32 = self.headers[RETRY_AFTER].to_str().unwrap().parse().expect("Retry-After is whole seconds");
        assert!(later > 0, "{self:?}");
        assert!(!self.headers.contains_key(WWW_AUTHENTICATE), "{self:?}");
        assert_eq!(self.body["errors"][0]["code"], "UNAVAILABLE");
        assert_eq!(self.body["error"], "temporarily_unavailable");
        assert!(self.took <= AT_MOST, "an outage took {:?}", self.took);
    }

    /// The identity token.
    #[track_caller]
    pub fn refresh_token(&self) -> &str {
        self.body["refresh_token"].as_str().unwrap_or_else(|| panic!("no identity token: {self:?}"))
    }

    /// What the signed token carries, as `name:actions`.
    #[track_caller]
    pub fn carries(&self) -> Vec<String> {
        let actions = |entry: &Value| {
            entry["actions"].as_array().unwrap().iter().map(|action| action.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        self.access().iter().map(|entry| format!("{}:{}", entry["name"].as_str().unwrap(), actions(entry).join(","))).collect()
    }

    /// The names of the repositories that the signed token opens.
    #[track_caller]
    pub fn opens(&self) -> Vec<String> {
        self.access().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn access(&self) -> Vec<Value> {
        let token = self.body["token"].as_str().unwrap_or_else(|| panic!("no token: {self:?}"));
        let claims = token.split('.').nth(1).expect("a token has three parts");
        let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).expect("claims are in base64");
        let claims: Value = serde_json::from_slice(&claims).expect("claims are JSON");
        claims["access"].as_array().unwrap().clone()
    }
}
