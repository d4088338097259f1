//! Device logins in one process: a credential helper or docker itself, the service, a scripted issuer.

mod refused;
mod saved;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::basic;
use crate::app::{App, Reread};
use crate::authn::oidc::fake::{DEVICE, FakeIssuer, Reply, TOKEN};
use crate::clock::{Clock, Timestamp};
use crate::config;
use crate::http::{Limits, Peer, router};
use crate::metrics::Exporter;

const INSIDE: &str = "192.0.2.7";
const OUTSIDE: &str = "198.51.100.1";
const SECRET: &str = "correct horse battery";
const WRONG: &str = "no passwords are taken here: open https://auth.test/login, then run the docker login that it shows";
const LOGIN: &str = "/token?service=reg&offline_token=true&account=device&client_id=docker";

struct Scene {
    folder: tempfile::TempDir,
    issuer: FakeIssuer,
    app: Arc<App>,
    clock: Clock,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    json: Value,
}

impl Answer {
    fn message(&self) -> &str {
        self.json["errors"][0]["message"].as_str().unwrap_or_else(|| panic!("{}", self.json))
    }

    fn error(&self) -> (u16, &str) {
        (self.status, self.json["error"].as_str().unwrap_or_else(|| panic!("{}", self.json)))
    }

    fn text(&self, name: &str) -> String {
        self.json[name].as_str().unwrap_or_else(|| panic!("{}", self.json)).to_owned()
    }

    /// The name that the second command is to give.
    fn second(&self) -> String {
        assert_eq!(self.status, 401, "{}", self.json);
        let rest = self.message().split_once("docker login -u ").unwrap_or_else(|| panic!("{}", self.json)).1;
        rest.split(' ').next().unwrap().to_owned()
    }
}

impl Scene {
    async fn new() -> Self {
        Self::with("device_grant: {in_band: true, from: [192.0.2.0/24]}", "").await
    }

    /// With these keys of the issuer, and these lines of the configuration.
    async fn with(keys: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issuer = FakeIssuer::start().await;
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("rules.yaml", "version: 1\nrealm: sso\nrules:\n  - {name: dev, to: {group: dev}, allow: contributor, repository: team/**}\n");
        let text = format!(
            "public_url: https://auth.test\nservices: [{{name: reg, address: \"reg.test:5000\"}}, {{name: lab}}]\nsigning: {{create: true}}\nrules: rules.yaml\n\
             audit: {{file: audit.jsonl}}\nthrottle: {{rejection_floor: 0s}}\n{more}\nproviders:\n  - name: sso\n    oidc:\n      issuer: \"{}\"\n      \
             client: {{id: narrows, secret: s3cret}}\n      tokens: {{algorithms: [ES256]}}\n      {keys}\n",
            issuer.issuer()
        );
        write("narrows.yaml", &text);
        let (config, _) = config::load(&folder.path().join("narrows.yaml")).unwrap_or_else(|findings| panic!("{findings}"));
        let clock = Clock::fixed(Timestamp(1_790_000_000));
        let app = App::start(config, clock.clone(), Exporter::idle()).await.unwrap();
        let scene = Self { folder, issuer, app: Arc::new(app), clock };
        scene.offers_device_logins();
        scene
    }

    fn offers_device_logins(&self) {
        let verification = format!("{}/activate", self.issuer.issuer());
        let body = json!({
            "device_code": "DEVICE-CODE", "user_code": "ABCD-EFGH", "verification_uri": verification, "expires_in": 600, "interval": 5,
        });
        self.issuer.always(DEVICE, Reply::json(200, &body));
        self.issuer.always(TOKEN, Reply::json(400, &json!({"error": "authorization_pending"})));
    }

    /// The token endpoint's next answer: alice, and this refresh token.
    fn approves(&self, renewal: Option<&str>) {
        self.issuer.next(TOKEN, self.tokens("alice", renewal));
    }

    fn tokens(&self, subject: &str, renewal: Option<&str>) -> Reply {
        let token = self.issuer.token(subject, self.clock.now(), json!({"groups": ["dev"]}));
        let mut body = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": token});
        if let Some(renewal) = renewal {
            body["refresh_token"] = json!(renewal);
        }
        Reply::json(200, &body)
    }

    fn says(&self, error: &str) {
        self.issuer.next(TOKEN, Reply::json(400, &json!({"error": error})));
    }

    async fn send(&self, from: &str, request: Request<Body>) -> Answer {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(Peer(format!("{from}:4711").parse().unwrap()));
        parts.headers.insert("host", "127.0.0.1:5001".parse().unwrap());
        let response = router(Arc::clone(&self.app), Limits::default()).oneshot(Request::from_parts(parts, body)).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, json: serde_json::from_slice(&body).unwrap_or_default() }
    }

    async fn post(&self, path: &str, form: &str) -> Answer {
        self.post_from(INSIDE, path, form).await
    }

    async fn post_from(&self, from: &str, path: &str, form: &str) -> Answer {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.send(from, request.body(Body::from(form.to_owned())).unwrap()).await
    }

    async fn login_from(&self, from: &str, target: &str, name: &str, secret: &str) -> Answer {
        let request = Request::get(target).header("authorization", basic(&format!("{name}:{secret}")));
        self.send(from, request.body(Body::empty()).unwrap()).await
    }

    async fn login(&self, name: &str, secret: &str) -> Answer {
        self.login_from(INSIDE, LOGIN, name, secret).await
    }

    /// What a saved login gets now.
    async fn pull(&self, token: &str) -> Answer {
        self.login_from(INSIDE, "/token?service=reg&scope=repository:team/app:pull", "", token).await
    }

    async fn start(&self) -> String {
        let started = self.post("/device/start", "service=reg").await;
        assert_eq!(started.status, 200, "{}", started.json);
        started.text("flow")
    }

    async fn poll(&self, flow: &str) -> Answer {
        self.post("/device/poll", &format!("flow={flow}")).await
    }

    /// A saved login with this renewal.
    async fn logged_in(&self, renewal: Option<&str>) -> String {
        let flow = self.start().await;
        self.approves(renewal);
        self.poll(&flow).await.text("refresh_token")
    }

    /// The refresh tokens that the issuer was shown.
    fn refreshed(&self) -> Vec<String> {
        self.issuer.asked(TOKEN).iter().filter_map(|asked| asked.form.get("refresh_token").cloned()).collect()
    }

    fn polls(&self) -> usize {
        self.issuer.asked(TOKEN).iter().filter(|asked| asked.form.contains_key("device_code")).count()
    }

    fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

// === A credential helper ===

#[tokio::test]
async fn a_page_has_nobodys_browser_begin_a_login() {
    let scene = Scene::new().await;
    for (name, value) in
        [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "none")]
    {
        let request = Request::post("/device/start").header("content-type", "application/x-www-form-urlencoded").header(name, value);
        let answer = scene.send(INSIDE, request.body(Body::from("service=reg")).unwrap()).await;
        assert_eq!(answer.error(), (403, "invalid_request"), "{name}: {value}");
    }
    assert!(scene.issuer.asked(DEVICE).is_empty());
}

#[tokio::test]
async fn a_device_code_is_never_shown_to_another_issuer() {
    let scene = Scene::new().await;
    let flow = scene.start().await;
    let second = scene.login("device", SECRET).await.second();
    // Meanwhile another issuer has its name.
    let other = FakeIssuer::start().await;
    let path = scene.folder.path().join("narrows.yaml");
    let text = std::fs::read_to_string(&path).unwrap().replace(&scene.issuer.issuer(), &other.issuer());
    std::fs::write(&path, text).unwrap();
    let (config, _) = config::load(&path).unwrap();
    let candidate = scene.app.prepare(Reread { configuration: Some(config), providers: true }).unwrap();
    scene.app.adopt(candidate).await;
    assert_eq!(scene.poll(&flow).await.error(), (400, "access_denied"));
    let over = scene.login(&second, SECRET).await;
    assert!(over.status == 401 && over.message().contains("is over"), "{}", over.json);
    assert!(scene.issuer.asked(TOKEN).is_empty() && other.asked(TOKEN).is_empty());
}

#[tokio::test]
async fn a_companys_network_cannot_take_all_places() {
    let scene = Scene::new().await;
    // What one home is given is one source.
    for number in 0..10 {
        assert_eq!(scene.post_from(&format!("[2001:db8:7:{number}::1]"), "/device/start", "service=reg").await.status, 200);
    }
    assert_eq!(scene.post_from("[2001:db8:7:ff::1]", "/device/start", "service=reg").await.status, 429);
    assert_eq!(scene.post_from("[2001:db8:7:100::1]", "/device/start", "service=reg").await.status, 200);
}

#[tokio::test]
async fn a_helper_gets_one_login_when_the_person_is_done() {
    let scene = Scene::new().await;
    let started = scene.post("/device/start", "service=reg").await;
    let json = &started.json;
    assert_eq!(
        (&json["provider"], &json["user_code"], &json["expires_in"], &json["interval"]),
        (&json!("sso"), &json!("ABCD-EFGH"), &json!(600), &json!(5))
    );
    assert_eq!(started.text("verification_uri"), format!("{}/activate", scene.issuer.issuer()));
    assert!(!json.to_string().contains("DEVICE-CODE"));
    let flow = started.text("flow");
    assert_eq!(flow.len(), 43);
    let pending = scene.poll(&flow).await;
    assert_eq!((pending.error(), &pending.json["interval"]), ((400, "authorization_pending"), &json!(5)));
    scene.clock.advance(5);
    scene.approves(Some("R0"));
    let done = scene.poll(&flow).await;
    assert_eq!((done.status, &done.json["username"], &done.json["service"]), (200, &json!("alice"), &json!("reg")));
    assert_eq!(done.json["expires_in"], json!(7 * 24 * 3600));
    assert_eq!(scene.poll(&flow).await.error(), (400, "invalid_grant"));
    let event = scene.audit().pop().unwrap();
    assert_eq!((&event["outcome"], &event["reason"], &event["username"]), (&json!("empty"), &json!("device_login"), &json!("alice")));
    assert_eq!(
        (&event["proof"]["how"], &event["provider"], &event["service"]),
        (&json!("device"), &json!("sso"), &json!("reg")),
        "{event}"
    );
    let pulled = scene.pull(&done.text("refresh_token")).await;
    assert_eq!((pulled.status, pulled.text("scope")), (200, "repository:team/app:pull".to_owned()));
    // It is for one registry.
    let other = scene.login_from(INSIDE, "/token?service=lab", "", &done.text("refresh_token")).await;
    assert_eq!(other.status, 401);
}

#[tokio::test]
async fn a_helper_that_hurries_does_not_hurry_the_issuer() {
    let scene = Scene::new().await;
    let flow = scene.start().await;
    for _ in 0..20 {
        assert_eq!(scene.poll(&flow).await.error(), (400, "authorization_pending"));
    }
    assert_eq!(scene.polls(), 1);
    scene.clock.advance(5);
    scene.says("slow_down");
    let slower = scene.poll(&flow).await;
    assert_eq!((slower.error(), &slower.json["interval"]), ((400, "slow_down"), &json!(10)));
    scene.clock.advance(9);
    scene.approves(None);
    assert_eq!(scene.poll(&flow).await.json["interval"], json!(10));
    assert_eq!(scene.polls(), 2);
}

#[tokio::test]
async fn a_helper_is_told_how_a_login_ended() {
    let scene = Scene::new().await;
    for (says, error, reason) in [
        ("access_denied", "access_denied", Some("denied")),
        ("expired_token", "expired_token", None),
        ("invalid_grant", "access_denied", Some("code_refused")),
    ] {
        let flow = scene.start().await;
        scene.says(says);
        assert_eq!(scene.poll(&flow).await.error(), (400, error), "{says}");
        assert_eq!(scene.poll(&flow).await.error(), (400, "invalid_grant"));
        if let Some(reason) = reason {
            let event = scene.audit().pop().unwrap();
            assert_eq!((&event["outcome"], &event["reason"]), (&json!("rejected"), &json!(reason)));
        }
    }
    let flow = scene.start().await;
    scene.clock.advance(600);
    assert_eq!(scene.poll(&flow).await.error(), (400, "expired_token"));
    assert_eq!(scene.poll("x").await.error(), (400, "invalid_grant"));
    let flow = scene.start().await;
    scene.issuer.next(TOKEN, Reply::text(502, "<html>"));
    let down = scene.poll(&flow).await;
    assert_eq!((down.status, down.headers.contains_key("retry-after")), (503, true));
    scene.clock.advance(5);
    scene.approves(None);
    assert_eq!(scene.poll(&flow).await.status, 200);
}

#[tokio::test]
async fn starts_are_few_and_an_issuer_that_has_enough_is_left_alone() {
    let scene = Scene::new().await;
    scene.issuer.next(DEVICE, Reply::text(429, "").header("retry-after", "17"));
    let throttled = scene.post("/device/start", "service=reg").await;
    assert_eq!(throttled.error(), (429, "temporarily_unavailable"));
    assert!(throttled.headers.contains_key("retry-after"));
    let scene = Scene::new().await;
    for _ in 0..10 {
        scene.start().await;
    }
    let full = scene.post("/device/start", "service=reg").await;
    assert_eq!((full.error(), full.headers["retry-after"].to_str().unwrap()), ((429, "temporarily_unavailable"), "60"));
    assert_eq!(scene.issuer.asked(DEVICE).len(), 10);
    assert_eq!(scene.post_from(OUTSIDE, "/device/start", "service=reg").await.status, 200);
    assert_eq!(scene.post("/device/start", "service=other").await.error(), (400, "invalid_request"));
    assert_eq!(scene.post("/device/start", "service=reg&provider=other").await.error(), (400, "invalid_request"));
    assert_eq!(scene.post("/device/start", "").await.message(), "the service parameter is missing");
    let off = Scene::with("device_grant: {enabled: false}", "").await;
    assert_eq!(off.post("/device/start", "service=reg").await.status, 404);
}

// === docker login itself ===

#[tokio::test]
async fn two_commands_of_docker_are_a_login() {
    let scene = Scene::new().await;
    let first = scene.login("device", SECRET).await;
    let name = first.second();
    assert_eq!(
        first.message(),
        format!(
            "open {}/activate and enter ABCD-EFGH, then run: docker login -u {name} reg.test:5000 and give the same secret",
            scene.issuer.issuer()
        )
    );
    assert_eq!(first.headers["www-authenticate"].to_str().unwrap(), "Basic realm=\"reg\",charset=\"UTF-8\"");
    assert!(name.len() == 15 && name.starts_with("device-"));
    // Docker may ask twice; that is the same login.
    assert_eq!(scene.login("device", SECRET).await.message(), first.message());
    assert_eq!(scene.issuer.asked(DEVICE).len(), 1);
    let early = scene.login(&name, SECRET).await;
    assert_eq!((early.status, early.message().starts_with("not approved yet: open http")), (401, true), "{}", early.message());
    assert!(early.message().ends_with("/activate and enter ABCD-EFGH, then run the same command again"));
    scene.clock.advance(5);
    scene.approves(Some("R0"));
    let done = scene.login(&name, SECRET).await;
    assert_eq!(done.status, 200, "{}", done.json);
    let event = scene.audit().pop().unwrap();
    assert_eq!((&event["outcome"], &event["reason"], &event["proof"]["how"]), (&json!("empty"), &json!("device_login"), &json!("device")));
    assert_eq!(scene.pull(&done.text("refresh_token")).await.status, 200);
    // Once.
    let again = scene.login(&name, SECRET).await;
    assert_eq!((again.status, again.message()), (401, "this device login is over: run docker login -u device again to begin a new one"));
}

#[tokio::test]
async fn who_saw_what_docker_printed_gets_nothing() {
    let scene = Scene::new().await;
    let name = scene.login("device", SECRET).await.second();
    scene.approves(Some("R0"));
    // The same wrong one twice is one try: docker may ask twice.
    for (guess, over) in
        [("a guess of a thief", false), ("a guess of a thief", false), ("another long guess", false), ("a third long guess", true)]
    {
        let refused = scene.login(&name, guess).await;
        assert_eq!(refused.status, 401);
        assert_eq!(refused.message().contains("is over"), over, "{guess}: {}", refused.message());
        assert!(!refused.json.to_string().contains("nrw_"));
    }
    // From now on the right one does not do either, and nobody asked the issuer.
    let owner = scene.login(&name, SECRET).await;
    assert_eq!((owner.status, owner.message().contains("is over")), (401, true));
    assert_eq!(scene.polls(), 0);
    let event = scene.audit().into_iter().find(|event| event["reason"] == "device_login_wrong_secret").unwrap();
    assert_eq!(event["outcome"], "rejected");
    // The same secret cannot begin another one at once.
    assert_eq!(
        scene.login("device", SECRET).await.message(),
        "a device login with this secret is over: wait a minute, or choose another secret"
    );
    scene.clock.advance(60);
    assert_ne!(scene.login("device", SECRET).await.second(), name);
}

#[tokio::test]
async fn guesses_that_come_at_once_are_counted_one_by_one() {
    let scene = Arc::new(Scene::new().await);
    let name = scene.login("device", SECRET).await.second();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (scene, name) = (Arc::clone(&scene), name.clone());
        tasks.spawn(async move { scene.login(&name, &format!("guess number {number}")).await.message().contains("is over") });
    }
    let over = tasks.join_all().await.into_iter().filter(|over| *over).count();
    assert_eq!(over, 18, "two wrong ones are told so, the third ends it");
}

#[tokio::test]
async fn a_device_login_is_for_docker_login_and_secrets_are_long() {
    let scene = Scene::new().await;
    let podman = scene.login_from(INSIDE, "/token?service=reg", "device", SECRET).await;
    assert_eq!(podman.status, 401);
    assert!(podman.message().contains("docker login"), "{}", podman.message());
    let short = scene.login("device", "elevenchars").await;
    assert!(short.message().contains("at least 12 characters"), "{}", short.message());
    assert_eq!(scene.issuer.asked(DEVICE).len(), 0);
    let name = scene.login("device@sso", SECRET).await.second();
    scene.approves(Some("R0"));
    // It is not used up by a client that would not keep what it gets.
    assert!(scene.login_from(INSIDE, "/token?service=reg", &name, SECRET).await.message().contains("docker login"));
    assert!(scene.login_from(INSIDE, "/token?service=lab&offline_token=true", &name, SECRET).await.message().contains("another registry"));
    assert_eq!(scene.login(&name, SECRET).await.status, 200);
    scene.says("access_denied");
    let denied = scene.login("device", "another long secret").await.second();
    assert!(scene.login(&denied, "another long secret").await.message().contains("refused at the issuer"));
}

#[tokio::test]
async fn elsewhere_device_is_a_name_as_any_other() {
    let users = |scene: &Scene| scene.issuer.asked(DEVICE).len();
    let scene = Scene::new().await;
    for name in ["device", "device@sso", "device-7k2m9x4q", "device-abcdefgh"] {
        let refused = scene.login_from(OUTSIDE, LOGIN, name, SECRET).await;
        assert_eq!((refused.status, refused.message()), (401, WRONG), "{name}");
    }
    for name in ["device@other", "devices", "device-", "device-ABCDEFGH", "device-abcdefg", "device-abcdefghi", "device-abcdefg1", "Device"]
    {
        let refused = scene.login(name, SECRET).await;
        assert_eq!((refused.status, refused.message()), (401, WRONG), "{name}");
    }
    assert_eq!(users(&scene), 0);
    let off = Scene::with("device_grant: {enabled: true}", "").await;
    assert_eq!(off.login("device", SECRET).await.message(), WRONG);
}

#[tokio::test]
async fn first_commands_are_few() {
    let scene = Scene::new().await;
    for number in 0..3 {
        scene.login("device", &format!("a long secret {number}")).await.second();
    }
    let fourth = scene.login("device", "a long secret 4").await;
    assert_eq!((fourth.status, fourth.message()), (429, "too many device logins are under way: wait a minute, then try again"));
    assert_eq!(scene.issuer.asked(DEVICE).len(), 3);
    scene.clock.advance(60);
    scene.issuer.next(DEVICE, Reply::text(503, ""));
    assert_eq!(scene.login("device", "a long secret 5").await.status, 503);
    // The last one: an issuer that has enough is left alone for a while.
    scene.issuer.next(DEVICE, Reply::text(429, ""));
    assert_eq!(scene.login("device", "a long secret 6").await.status, 429);
}
