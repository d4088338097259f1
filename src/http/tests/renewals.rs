//! What saved logins live by, at issuers that give a new refresh token at every use: one that keeps one for each login and takes an
//! old one that comes again for stolen, and one that keeps one for each person, as Dex does.

mod give_back;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::basic;
use crate::app::App;
use crate::authn::oidc::fake::{DEVICE, FakeIssuer, REVOKE, Reply, TOKEN};
use crate::clock::{Clock, Timestamp};
use crate::config;
use crate::http::{Limits, Peer, router};
use crate::metrics::Exporter;

const ORIGIN: &str = "http://127.0.0.1:5001";
const RECHECK: i64 = 300;

/// How an issuer keeps refresh tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    /// One for each login. An old one that comes again ends the login (RFC 9700 §4.14).
    OneForEachLogin,
    /// One for each person. A sign-in ends the one before.
    OneForEachPerson,
}

/// What an issuer knows.
#[derive(Default)]
struct Known {
    given: usize,
    /// Live refresh tokens, and the login or the person that each belongs to.
    live: BTreeMap<String, String>,
    /// Those that were used, and whose they were.
    used: BTreeMap<String, String>,
    /// Logins that ended because an old one came again.
    stolen: usize,
}

impl Known {
    fn gives(&mut self, owner: String) -> String {
        self.given += 1;
        let token = format!("R{}", self.given);
        self.live.insert(token.clone(), owner);
        token
    }

    fn signs_in(&mut self, keeps: Keeps) -> String {
        match keeps {
            Keeps::OneForEachLogin => self.gives(format!("login {}", self.given)),
            Keeps::OneForEachPerson => {
                self.live.clear();
                self.gives("alice".to_owned())
            }
        }
    }

    fn refreshes(&mut self, keeps: Keeps, shown: &str) -> Option<String> {
        let Some(owner) = self.live.remove(shown) else {
            if let (Keeps::OneForEachLogin, Some(owner)) = (keeps, self.used.get(shown)) {
                self.stolen += 1;
                self.live.retain(|_, other| other != owner);
            }
            return None;
        };
        self.used.insert(shown.to_owned(), owner.clone());
        Some(self.gives(owner))
    }
}

struct Scene {
    folder: tempfile::TempDir,
    issuer: Arc<FakeIssuer>,
    known: Arc<Mutex<Known>>,
    app: Arc<App>,
    clock: Clock,
}

impl Scene {
    async fn new(keeps: Keeps) -> Self {
        Self::with(keeps, if keeps == Keeps::OneForEachPerson { "dex" } else { "generic" }).await
    }

    async fn with(keeps: Keeps, preset: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issuer = Arc::new(FakeIssuer::start().await);
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("rules.yaml", "version: 1\nrealm: sso\nrules:\n  - {name: dev, to: {group: dev}, allow: contributor, repository: team/**}\n");
        let text = format!(
            "public_url: {ORIGIN}\nservices: [{{name: reg, address: \"reg.test:5000\"}}, {{name: lab}}]\nsigning: {{create: true}}\n\
             rules: rules.yaml\naudit: {{file: audit.jsonl}}\nthrottle: {{rejection_floor: 0s}}\nproviders:\n  - name: sso\n    oidc:\n      \
             preset: {preset}\n      issuer: \"{}\"\n      client: {{id: narrows, secret: s3cret}}\n      tokens: {{algorithms: [ES256]}}\n      \
             scopes: [openid, groups, offline_access]\n      password_grant: {{enabled: true}}\n      device_grant: {{enabled: true}}\n",
            issuer.issuer()
        );
        write("narrows.yaml", &text);
        let clock = Clock::fixed(Timestamp(1_790_000_000));
        let app = started(&folder, &clock).await;
        let scene = Self { folder, issuer, known: Arc::default(), app, clock };
        scene.answers(keeps);
        scene.takes_back();
        scene
    }

    /// The token endpoint: `good` is alice's password, every code is hers, and so is every device.
    fn answers(&self, keeps: Keeps) {
        let device = json!({
            "device_code": "DEVICE-CODE", "user_code": "ABCD", "verification_uri": format!("{}/device", self.issuer.issuer()), "expires_in": 600,
        });
        self.issuer.always(DEVICE, Reply::json(200, &device));
        let (issuer, known, clock) = (Arc::downgrade(&self.issuer), Arc::clone(&self.known), self.clock.clone());
        self.issuer.by(TOKEN, move |asked| {
            let (issuer, mut known) = (issuer.upgrade().unwrap(), known.lock().unwrap());
            let field = |name: &str| asked.form.get(name).map_or("", String::as_str);
            let mut claims = json!({"groups": ["dev"]});
            let renewal = match field("grant_type") {
                "refresh_token" => match known.refreshes(keeps, field("refresh_token")) {
                    Some(next) => Some(next),
                    None if keeps == Keeps::OneForEachPerson => {
                        let text = "Refresh token is invalid or has already been claimed by another client.";
                        return Reply::json(400, &json!({"error": "invalid_request", "error_description": text}));
                    }
                    None => return Reply::json(400, &json!({"error": "invalid_grant"})),
                },
                "password" if field("password") != "good" => return Reply::json(401, &json!({"error": "invalid_grant"})),
                "password" if !field("scope").contains("offline_access") => None,
                "authorization_code" => {
                    claims["nonce"] = json!(field("code"));
                    Some(known.signs_in(keeps))
                }
                _ => Some(known.signs_in(keeps)),
            };
            let mut body = json!({
                "access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": issuer.token("alice", clock.now(), claims),
            });
            if let Some(renewal) = renewal {
                body["refresh_token"] = json!(renewal);
            }
            Reply::json(200, &body).after(Duration::from_millis(5))
        });
    }

    /// The revocation endpoint.
    fn takes_back(&self) {
        let known = Arc::clone(&self.known);
        self.issuer.by(REVOKE, move |asked| {
            known.lock().unwrap().live.remove(&asked.form["token"]);
            Reply::text(200, "")
        });
    }

    async fn send(&self, request: Request<Body>) -> (u16, HeaderMap, String) {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(Peer("192.0.2.7:4711".parse().unwrap()));
        parts.headers.insert("host", "127.0.0.1:5001".parse().unwrap());
        let response = router(Arc::clone(&self.app), Limits::default()).oneshot(Request::from_parts(parts, body)).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, target: &str, name: &str, secret: &str) -> (u16, Value) {
        let request = Request::get(target).header("authorization", basic(&format!("{name}:{secret}")));
        let (status, _, body) = self.send(request.body(Body::empty()).unwrap()).await;
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    /// `docker login` with a password or a login code.
    async fn try_login(&self, service: &str, secret: &str) -> (u16, Value) {
        self.get(&format!("/token?service={service}&offline_token=true&account=alice&client_id=docker"), "alice", secret).await
    }

    async fn login(&self, service: &str, secret: &str) -> String {
        let (status, json) = self.try_login(service, secret).await;
        assert_eq!(status, 200, "{json}");
        json["refresh_token"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned()
    }

    async fn login_by_device(&self, service: &str) -> String {
        let post = |path: &str, form: String| {
            let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
            self.send(request.body(Body::from(form)).unwrap())
        };
        let (_, _, started) = post("/device/start", format!("service={service}")).await;
        let started: Value = serde_json::from_str(&started).unwrap();
        let (status, _, done) = post("/device/poll", format!("flow={}", started["flow"].as_str().unwrap())).await;
        assert_eq!(status, 200, "{done}");
        serde_json::from_str::<Value>(&done).unwrap()["refresh_token"].as_str().unwrap().to_owned()
    }

    async fn browse(&self, method: &str, target: &str, cookies: &str, form: String) -> (HeaderMap, String) {
        let request = Request::builder().method(method).uri(target).header("content-type", "application/x-www-form-urlencoded");
        let request = request.header("origin", ORIGIN).header("sec-fetch-site", "same-origin").header("cookie", cookies);
        let (_, headers, body) = self.send(request.body(Body::from(form)).unwrap()).await;
        (headers, body)
    }

    /// A sign-in with a browser that may have signed in before: its cookies afterwards.
    async fn sign_in(&self, former: &str) -> String {
        let (headers, body) = self.browse("POST", "/login/start", former, "provider=sso".to_owned()).await;
        let url: url::Url = headers.get("location").unwrap_or_else(|| panic!("{body}")).to_str().unwrap().parse().unwrap();
        let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        // The code says the nonce, so that the issuer need not remember it.
        let back = form_urlencoded::Serializer::new(String::new())
            .append_pair("code", &asked["nonce"])
            .append_pair("state", &asked["state"])
            .append_pair("iss", &self.issuer.issuer())
            .finish();
        let sent = format!("{}; {former}", cookies(&headers));
        let (headers, _) = self.browse("GET", &format!("/oidc/sso/callback?{back}"), &sent, String::new()).await;
        cookies(&headers)
    }

    /// What the page of somebody who signed in sends along.
    async fn csrf(&self, session: &str) -> String {
        let (_, page) = self.browse("GET", "/login", session, String::new()).await;
        page.split_once("name=\"csrf\" value=\"").unwrap_or_else(|| panic!("{page}")).1.split('"').next().unwrap().to_owned()
    }

    /// A login code of a sign-in with a browser.
    async fn code(&self, service: &str) -> String {
        let session = self.sign_in("").await;
        let form = format!("csrf={}&service={service}", self.csrf(&session).await);
        let (_, page) = self.browse("POST", "/login/code", &session, form).await;
        let code = page.split_once("<code>nrl_").unwrap_or_else(|| panic!("{page}")).1.split('<').next().unwrap();
        format!("nrl_{code}")
    }

    async fn pull(&self, service: &str, token: &str) -> u16 {
        self.get(&format!("/token?service={service}&scope=repository:team/app:pull"), "", token).await.0
    }

    /// What becomes of saved logins at two looks one after the other, where every login looks.
    async fn two_looks(&self, service: &str, tokens: &[String]) {
        for _ in 0..2 {
            self.clock.advance(RECHECK);
            for token in tokens {
                assert_eq!(self.pull(service, token).await, 200);
            }
        }
    }

    fn known<T>(&self, read: impl Fn(&Known) -> T) -> T {
        read(&self.known.lock().unwrap())
    }

    fn refreshed(&self) -> Vec<String> {
        self.issuer.asked(TOKEN).iter().filter_map(|asked| asked.form.get("refresh_token").cloned()).collect()
    }
}

fn cookies(headers: &HeaderMap) -> String {
    let values = headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
    values.filter(|cookie| !cookie.ends_with('=')).collect::<Vec<_>>().join("; ")
}

async fn started(folder: &tempfile::TempDir, clock: &Clock) -> Arc<App> {
    let (config, _) = config::load(&folder.path().join("narrows.yaml")).unwrap_or_else(|findings| panic!("{findings}"));
    Arc::new(App::start(config, clock.clone(), Exporter::idle()).await.unwrap())
}

async fn at_once(scene: &Arc<Scene>, count: usize, password: &'static str) -> Vec<(u16, Value)> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..count {
        let scene = Arc::clone(scene);
        tasks.spawn(async move { scene.try_login("reg", password).await });
    }
    tasks.join_all().await
}

fn saved(answers: &[(u16, Value)]) -> Vec<String> {
    answers.iter().map(|(_, json)| json["refresh_token"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned()).collect()
}

// === One for each login ===

#[tokio::test]
async fn ten_logins_at_once_share_no_refresh_token() {
    let scene = Arc::new(Scene::new(Keeps::OneForEachLogin).await);
    let tokens = saved(&at_once(&scene, 10, "good").await);
    assert_eq!(tokens.iter().collect::<BTreeSet<_>>().len(), 10);
    assert_eq!(scene.known(|known| known.live.len()), 10);
    scene.two_looks("reg", &tokens).await;
    assert_eq!(scene.known(|known| (known.stolen, known.live.len())), (0, 10));
    let refreshed = scene.refreshed();
    assert_eq!((refreshed.len(), refreshed.iter().collect::<BTreeSet<_>>().len()), (20, 20), "none is shown twice");
}

#[tokio::test]
async fn a_hundred_wrong_passwords_at_once_are_one_request() {
    let scene = Arc::new(Scene::new(Keeps::OneForEachLogin).await);
    let answers = at_once(&scene, 100, "bad").await;
    assert!(answers.iter().all(|(status, _)| *status == 401));
    assert_eq!(scene.issuer.asked(TOKEN).len(), 1);
}

// === One for each person ===

#[tokio::test]
async fn every_kind_of_login_leaves_the_others_alive() {
    let scene = Scene::new(Keeps::OneForEachPerson).await;
    let mut tokens = vec![scene.login("reg", "good").await];
    scene.clock.advance(1);
    tokens.push(scene.login_by_device("reg").await);
    scene.clock.advance(1);
    let code = scene.code("reg").await;
    tokens.push(scene.login("reg", &code).await);
    scene.two_looks("reg", &tokens).await;
    assert_eq!(scene.known(|known| known.given), 3 + 6);
    let refreshed = scene.refreshed();
    assert_eq!(refreshed.iter().collect::<BTreeSet<_>>().len(), 6, "each look used the newest: {refreshed:?}");
}

#[tokio::test]
async fn a_sign_in_counts_before_its_code_is_used() {
    let scene = Scene::new(Keeps::OneForEachPerson).await;
    let saved = scene.login("reg", "good").await;
    scene.clock.advance(RECHECK);
    let code = scene.code("lab").await;
    assert_eq!(scene.pull("reg", &saved).await, 200);
    // The look has used up what the code holds.
    let other = scene.login("lab", &code).await;
    scene.two_looks("lab", &[other]).await;
    assert_eq!(scene.pull("reg", &saved).await, 200);
}

#[tokio::test]
async fn codes_of_two_sign_ins_do_not_end_each_other() {
    let scene = Scene::new(Keeps::OneForEachPerson).await;
    let first = scene.code("reg").await;
    scene.clock.advance(1);
    let second = scene.code("reg").await;
    let tokens = [scene.login("reg", &first).await, scene.login("reg", &second).await];
    scene.two_looks("reg", &tokens).await;
}

#[tokio::test]
async fn logins_within_one_second_and_at_once_stay_alive() {
    let scene = Arc::new(Scene::new(Keeps::OneForEachPerson).await);
    let mut tokens = vec![scene.login("reg", "good").await, scene.login("reg", "good").await, scene.login_by_device("reg").await];
    tokens.extend(saved(&at_once(&scene, 10, "good").await));
    scene.two_looks("reg", &tokens).await;
}

#[tokio::test]
async fn the_looks_of_one_person_go_one_after_the_other() {
    let scene = Arc::new(Scene::new(Keeps::OneForEachPerson).await);
    let mut tokens = Vec::new();
    for _ in 0..5 {
        tokens.push(scene.login("reg", "good").await);
        scene.clock.advance(1);
    }
    scene.clock.advance(RECHECK);
    let mut tasks = tokio::task::JoinSet::new();
    for token in tokens.iter().chain(&tokens) {
        let (scene, token) = (Arc::clone(&scene), token.clone());
        tasks.spawn(async move { scene.pull("reg", &token).await });
    }
    assert_eq!(tasks.join_all().await, [200; 10]);
    let refreshed = scene.refreshed();
    assert_eq!((refreshed.len(), refreshed.iter().collect::<BTreeSet<_>>().len()), (5, 5), "{refreshed:?}");
}

#[tokio::test]
async fn a_pull_with_the_password_ends_no_saved_login() {
    let scene = Scene::new(Keeps::OneForEachPerson).await;
    let saved = scene.login("reg", "good").await;
    assert_eq!(scene.get("/token?service=reg&scope=repository:team/app:pull", "alice", "good").await.0, 200);
    assert_eq!(scene.known(|known| known.given), 1);
    scene.two_looks("reg", &[saved]).await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_nobody_elses_login_along() {
    let scene = Arc::new(Scene::new(Keeps::OneForEachPerson).await);
    let saved = scene.login("reg", "good").await;
    scene.clock.advance(RECHECK);
    let before = scene.issuer.asked(TOKEN).len();
    let leaving = tokio::spawn({
        let scene = Arc::clone(&scene);
        async move { scene.try_login("reg", "good").await.0 }
    });
    scene.issuer.was_asked(TOKEN, before + 1).await;
    leaving.abort();
    assert!(leaving.await.is_err());
    assert_eq!(scene.pull("reg", &saved).await, 200);
}

#[tokio::test]
async fn who_was_signed_out_at_the_issuer_is_out_here() {
    let scene = Scene::new(Keeps::OneForEachPerson).await;
    let tokens = [scene.login("reg", "good").await, scene.login("lab", "good").await];
    scene.known.lock().unwrap().live.clear();
    scene.clock.advance(RECHECK);
    assert_eq!((scene.pull("reg", &tokens[0]).await, scene.pull("lab", &tokens[1]).await), (401, 401));
    let audit = std::fs::read_to_string(scene.folder.path().join("audit.jsonl")).unwrap();
    let last: Value = serde_json::from_str(audit.lines().last().unwrap()).unwrap();
    assert_eq!(last["reason"], "session_ended");
}
