//! A bridge in front of an issuer that fails and lies, and every door that people come in by.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use serde_json::Value;

use crate::labs::accounts::Person;
use crate::labs::bridge::{Bridge, Site};
use crate::labs::oidc::{ALICE, CLIENT_SECRET, Issuer, PASSWORDS, claims};
use crate::labs::visitor::{self, Visitor};
use crate::labs::wait;
use crate::openid_provider::{Counters, OpenidProvider};

pub const SERVICE: &str = "registry.test";
/// What both of Alice's groups open: four actions.
pub const SCOPES: [&str; 2] = ["repository:dev/app:pull,push", "repository:ops/app:pull,push"];
/// `request_deadline` of every lab here.
pub const DEADLINE: Duration = Duration::from_secs(3);
/// No answer comes later.
pub const AT_MOST: Duration = Duration::from_secs(5);
/// How soon people are served again after an outage.
pub const SOON: Duration = Duration::from_secs(10);

pub const RULES: &str = r#"
version: 1
realm: corp
reserved: []
rules:
  - {name: a group works in its namespace, to: {group: "{team}"}, allow: contributor, repository: "{team}/**"}
"#;

/// What differs between labs.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// More keys of `oidc`, a line each.
    pub oidc: &'static [&'static str],
    /// `identity_tokens.recheck`.
    pub recheck: &'static str,
    /// More top-level lines.
    pub top: &'static str,
}

impl Plan {
    /// Nothing is remembered, and identity tokens are looked at whenever they are used.
    pub const DEFAULT: Self = Self { oidc: &[], recheck: "0s", top: "" };
    /// Groups come from userinfo.
    pub const USERINFO: Self = Self { oidc: &["groups: {sources: [{from: userinfo, claim: groups}]}"], ..Self::DEFAULT };
}

/// The bridge ends before its issuer does.
pub struct Lab {
    pub bridge: Bridge,
    pub op: OpenidProvider,
}

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Password,
    /// An identity token, which the issuer is asked about.
    Refresh,
    /// A browser that comes back from the issuer.
    Code,
    DeviceStart,
    /// A device login that the person has approved.
    DevicePoll,
}

/// Somebody in front of a door, with all that is needed to knock.
pub enum Ready {
    Password(Person),
    Refresh(String),
    Code(Visitor, String),
    DeviceStart,
    DevicePoll(String),
}

impl Lab {
    /// Starts both; `None` where this machine lacks a part.
    pub async fn start(plan: Plan) -> Option<Self> {
        let op = OpenidProvider::start().await?;
        let site = site(&op, plan).await;
        Some(Self { bridge: site.serve().await, op })
    }

    /// Gets somebody ready, while all is well.
    pub async fn ready(&self, door: Door) -> Ready {
        match door {
            Door::Password => Ready::Password(ALICE),
            Door::Refresh => Ready::Refresh(self.identity_token().await),
            Door::Code => {
                let visitor = Visitor::new();
                let answer = visitor.post(&self.bridge.url("/login/start"), &[("provider", "sso")]).await;
                let authorization = visitor::redirect(&answer).unwrap_or_else(|| panic!("no redirect but {}", answer.status()));
                Ready::Code(visitor, self.op.sign_in(&ALICE, &authorization).await)
            }
            Door::DeviceStart => Ready::DeviceStart,
            Door::DevicePoll => {
                let started = self.knock(&Ready::DeviceStart).await.ok();
                self.op.approve_device(&ALICE, started.text("user_code")).await;
                Ready::DevicePoll(started.text("flow").to_owned())
            }
        }
    }

    /// Goes to the door.
    pub async fn knock(&self, ready: &Ready) -> Answer {
        let began = Instant::now();
        let response = match ready {
            Ready::Password(person) => {
                let mut query = vec![("service", SERVICE), ("offline_token", "true")];
                query.extend(SCOPES.map(|scope| ("scope", scope)));
                let request = reqwest::Client::new().get(self.bridge.url("/token")).query(&query);
                request.basic_auth(person.name, Some(person.password)).send().await.unwrap()
            }
            Ready::Refresh(token) => {
                let scopes = SCOPES.join(" ");
                let form = [("grant_type", "refresh_token"), ("service", SERVICE), ("scope", &scopes), ("refresh_token", token)];
                reqwest::Client::new().post(self.bridge.url("/token")).form(&form).send().await.unwrap()
            }
            Ready::Code(visitor, callback) => visitor.get(callback).await,
            Ready::DeviceStart => {
                let form = [("service", SERVICE)];
                reqwest::Client::new().post(self.bridge.url("/device/start")).form(&form).send().await.unwrap()
            }
            Ready::DevicePoll(flow) => {
                let form = [("flow", flow)];
                reqwest::Client::new().post(self.bridge.url("/device/poll")).form(&form).send().await.unwrap()
            }
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&body).unwrap_or(Value::String(body)), took: began.elapsed() }
    }

    /// Gets somebody ready and goes to the door.
    pub async fn visit(&self, door: Door) -> Answer {
        self.knock(&self.ready(door).await).await
    }

    /// An identity token of Alice's.
    pub async fn identity_token(&self) -> String {
        self.knock(&Ready::Password(ALICE)).await.ok().text("refresh_token").to_owned()
    }

    /// Fails unless whoever was refused at the door is on this side of it.
    pub async fn is_outside(&self, ready: &Ready, told: &str) {
        if let Ready::Code(visitor, _) = ready {
            let page = visitor.get(&self.bridge.url("/login")).await.text().await.unwrap();
            assert!(page.contains("action=\"/login/start\"") && !page.contains("Signed in as"), "{told}: {page}");
        }
    }

    /// Knocks until the door opens as wide as ever, which has to be soon; how long that took. Nothing but an outage comes before.
    pub async fn opens_again(&self, ready: &Ready, told: &str) -> Duration {
        let began = Instant::now();
        wait::until(SOON, async || {
            let answer = self.knock(ready).await;
            if answer.is_open(ready) {
                self.forget(&answer).await;
                return Ok(());
            }
            let waits = matches!(ready, Ready::DevicePoll(_)) && answer.status == 400 && answer.text("error") == "authorization_pending";
            assert!(waits || matches!(answer.status, 429 | 503), "{told}, afterwards: {answer:?}\n{}", self.bridge.log());
            Err(format!("{told}, afterwards: {answer:?}\n{}", self.bridge.log()))
        })
        .await;
        began.elapsed()
    }

    /// Says no to a device login that began: there may be few at a time.
    pub async fn forget(&self, answer: &Answer) {
        let user_code = answer.text("user_code");
        if !user_code.is_empty() {
            self.op.deny_device(user_code).await;
            self.ends(&Ready::DevicePoll(answer.text("flow").to_owned())).await;
        }
    }

    /// Asks for a device login until it is over.
    pub async fn ends(&self, ready: &Ready) {
        wait::until(SOON, async || {
            let answer = self.knock(ready).await;
            answer.holds_nothing("a device login that is over");
            if answer.status == 400 && answer.text("error") != "authorization_pending" { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
    }

    /// What the issuer saw since.
    pub async fn since(&self, before: &Counters) -> Counters {
        let now = self.op.counters().await;
        Counters {
            discovery: now.discovery - before.discovery,
            jwks: now.jwks - before.jwks,
            userinfo: now.userinfo - before.userinfo,
            token: now.token - before.token,
            passwords: now.passwords - before.passwords,
            refreshes: now.refreshes - before.refreshes,
            codes: now.codes - before.codes,
            device_polls: now.device_polls - before.device_polls,
            device_starts: now.device_starts - before.device_starts,
            authorizations: now.authorizations - before.authorizations,
            refresh_reuses: now.refresh_reuses - before.refresh_reuses,
        }
    }

    /// Ends the bridge as a power cut does and starts it again as it was.
    pub async fn crash(self) -> Self {
        let Self { bridge, op } = self;
        bridge.signal("KILL");
        Self { bridge: bridge.end().serve().await, op }
    }
}

/// A folder for a bridge in front of this issuer, with its keys.
pub async fn site(op: &OpenidProvider, plan: Plan) -> Site {
    let site = Site::new();
    op.redirect_to(&site.url("/oidc/sso/callback")).await;
    op.pace_devices(Duration::from_mins(10), 0).await;
    configure(&site, op, plan);
    site.command(&["keys", "init"]).await.ok();
    site
}

/// Writes all that a bridge reads.
pub fn configure(site: &Site, op: &OpenidProvider, plan: Plan) {
    let Plan { oidc, recheck, top } = plan;
    let (own, issuer, seconds) = (site.url(""), op.oidc(), DEADLINE.as_secs());
    let mut text = format!(
        "public_url: {own}\nservices: [{{name: {SERVICE}, registry: distribution-2}}]\nrules: rules.yaml\nrequest_deadline: {seconds}s\n\
         credentials_cache: {{verified: 0s, rejected: 0s}}\nidentity_tokens: {{recheck: {recheck}}}\n{top}\n\
         providers:\n  - name: sso\n    realm: corp\n    oidc:\n{issuer}{PASSWORDS}"
    );
    for line in oidc {
        writeln!(text, "      {line}").unwrap();
    }
    site.write("rules.yaml", RULES);
    site.write("oidc-secret", CLIENT_SECRET);
    site.configure(&text);
}

/// What somebody was told.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// Its JSON, or its text.
    pub body: Value,
    pub took: Duration,
}

impl Answer {
    /// Fails unless it is a 200.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }

    /// A text of the body, empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    /// How many actions it grants.
    #[track_caller]
    pub fn actions(&self) -> usize {
        assert_eq!(self.status, 200, "{self:?}");
        let claims = claims(&self.body["token"]);
        claims["access"].as_array().unwrap().iter().map(|it| it["actions"].as_array().unwrap().len()).sum()
    }

    /// Whether the door opened as wide as it should.
    #[track_caller]
    pub fn is_open(&self, ready: &Ready) -> bool {
        match ready {
            Ready::Password(person) => self.status == 200 && self.actions() == 2 * person.groups.len(),
            Ready::Refresh(_) => self.status == 200 && self.actions() == 2 * ALICE.groups.len(),
            Ready::Code(..) => self.status == 303 && self.headers.contains_key(SET_COOKIE),
            Ready::DeviceStart => self.status == 200 && !self.text("user_code").is_empty(),
            Ready::DevicePoll(_) => self.status == 200 && self.text("refresh_token").starts_with("nrw_"),
        }
    }

    /// `Retry-After`, in whole seconds.
    #[track_caller]
    pub fn retry_after(&self) -> u64 {
        let value = self.headers.get(RETRY_AFTER).unwrap_or_else(|| panic!("no Retry-After: {self:?}"));
        value.to_str().unwrap().parse().unwrap_or_else(|_| panic!("Retry-After is no number of seconds: {self:?}"))
    }

    /// Fails unless it came in time and holds nothing that anybody could use.
    #[track_caller]
    pub fn holds_nothing(&self, told: &str) {
        let body = self.body.to_string();
        for words in ["nrw_", "eyJ", "user_code"] {
            assert!(!body.contains(words), "{told}: {self:?}");
        }
        assert!(self.body["token"].is_null() && !self.headers.contains_key(SET_COOKIE), "{told}: {self:?}");
        assert!(self.took <= AT_MOST, "{told}: {self:?}");
    }

    /// Fails unless it is an outage in every respect, with this wait where one is given.
    #[track_caller]
    pub fn is_an_outage(&self, wait: Option<u64>, told: &str) {
        self.holds_nothing(told);
        assert_eq!(self.status, 503, "{told}: {self:?}");
        let later = self.retry_after();
        assert!(wait.map_or(later > 0, |wait| wait == later), "{told}: {self:?}");
        assert!(!self.headers.contains_key(WWW_AUTHENTICATE), "{told}: {self:?}");
        if self.body.is_object() {
            assert_eq!(
                (self.body["errors"][0]["code"].as_str(), self.text("error")),
                (Some("UNAVAILABLE"), "temporarily_unavailable"),
                "{told}"
            );
        }
    }

    /// Fails unless it is a refusal with this status, and for one of credentials a challenge.
    #[track_caller]
    pub fn is_refused(&self, status: u16, told: &str) {
        self.holds_nothing(told);
        assert_eq!(self.status, status, "{told}: {self:?}");
        assert!(!self.headers.contains_key(RETRY_AFTER), "{told}: {self:?}");
        assert_eq!(self.headers.contains_key(WWW_AUTHENTICATE), status == 401, "{told}: {self:?}");
    }
}
