//! The whole way in one process: browser, service, scripted issuer, login code, registry token.

mod issuers;
mod refused;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::basic;
use crate::app::{App, Reread};
use crate::authn::oidc::fake::{FakeIssuer, Reply, TOKEN};
use crate::clock::{Clock, Timestamp};
use crate::config;
use crate::http::{Limits, Peer, router};
use crate::metrics::Exporter;

const ORIGIN: &str = "http://127.0.0.1:5001";
const FORM: &str = "application/x-www-form-urlencoded";

/// A service with two issuers and two registries.
struct Scene {
    folder: tempfile::TempDir,
    issuer: FakeIssuer,
    partners: FakeIssuer,
    app: Arc<App>,
    clock: Clock,
}

/// What a browser holds.
#[derive(Clone, Debug, Default)]
struct Browser {
    cookies: BTreeMap<String, String>,
    address: Option<&'static str>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The message that docker prints.
    fn message(&self) -> String {
        let json: Value = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body));
        json["errors"][0]["message"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned()
    }

    /// The first hidden value of a page that has this name.
    fn value(&self, name: &str) -> String {
        let rest = self.body.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {}", self.body)).1;
        rest.split_once('"').unwrap().0.to_owned()
    }

    fn code(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        let rest = self.body.split_once("<code>nrl_").unwrap_or_else(|| panic!("{}", self.body)).1;
        format!("nrl_{}", rest.split_once('<').unwrap().0)
    }
}

fn configuration(issuer: &FakeIssuer, partners: Option<&FakeIssuer>) -> String {
    let provider = |name: &str, issuer: &FakeIssuer, fold: bool| {
        let client = "client: {id: narrows, secret: s3cret}, tokens: {algorithms: [ES256]}";
        format!("  - {{name: {name}, realm: {name}, ignore_case: {fold}, oidc: {{issuer: \"{}\", {client}}}}}\n", issuer.issuer())
    };
    let providers = provider("sso", issuer, true) + &partners.map(|partners| provider("partners", partners, false)).unwrap_or_default();
    format!(
        "public_url: {ORIGIN}\nservices: [{{name: reg, address: \"reg.test:5000\"}}, {{name: lab}}]\nsigning: {{create: true}}\n\
         rules: rules.yaml\naudit: {{file: audit.jsonl}}\nthrottle: {{rejection_floor: 0s}}\nproviders:\n{providers}"
    )
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (issuer, partners) = (FakeIssuer::start().await, FakeIssuer::start().await);
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("rules.yaml", "version: 1\nrealm: sso\nrules:\n  - {name: dev, to: {group: dev}, allow: contributor, repository: team/**}\n");
        write("narrows.yaml", &configuration(&issuer, Some(&partners)));
        let (config, _) = config::load(&folder.path().join("narrows.yaml")).unwrap_or_else(|findings| panic!("{findings}"));
        let clock = Clock::fixed(Timestamp(1_790_000_000));
        let app = App::start(config, clock.clone(), Exporter::idle()).await.unwrap();
        Self { folder, issuer, partners, app: Arc::new(app), clock }
    }

    fn router(&self) -> Router {
        router(Arc::clone(&self.app), Limits::default())
    }

    async fn send(&self, browser: &mut Browser, request: Request<Body>) -> Answer {
        let (mut parts, body) = request.into_parts();
        let address = browser.address.unwrap_or("192.0.2.7");
        parts.extensions.insert(Peer(format!("{address}:4711").parse().unwrap()));
        parts.headers.insert("host", "127.0.0.1:5001".parse().unwrap());
        let cookies: Vec<String> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            parts.headers.insert("cookie", cookies.join("; ").parse().unwrap());
        }
        let response = self.router().oneshot(Request::from_parts(parts, body)).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        for cookie in headers.get_all("set-cookie") {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                drop(browser.cookies.remove(name));
            } else {
                drop(browser.cookies.insert(name.to_owned(), value.to_owned()));
            }
        }
        Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn get(&self, browser: &mut Browser, target: &str) -> Answer {
        self.send(browser, Request::get(target).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, browser: &mut Browser, target: &str, form: &str) -> Answer {
        let request = Request::post(target).header("content-type", FORM).header("origin", ORIGIN).header("sec-fetch-site", "same-origin");
        self.send(browser, request.body(Body::from(form.to_owned())).unwrap()).await
    }

    /// Off to an issuer; what it was asked.
    async fn start(&self, browser: &mut Browser, provider: &str) -> BTreeMap<String, String> {
        let answer = self.post(browser, "/login/start", &format!("provider={provider}")).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let url: url::Url = answer.header("location").parse().unwrap();
        url.query_pairs().into_owned().collect()
    }

    /// What an issuer answers at its token endpoint next.
    fn answers(&self, issuer: &FakeIssuer, asked: &BTreeMap<String, String>, claims: &Value, renewal: Option<&str>) {
        let mut all = json!({"nonce": asked["nonce"], "groups": ["dev"]});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let token = issuer.token("alice", self.clock.now(), all);
        let mut reply = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": token});
        if let Some(renewal) = renewal {
            reply["refresh_token"] = json!(renewal);
        }
        issuer.next(TOKEN, Reply::json(200, &reply));
    }

    fn callback(issuer: &FakeIssuer, provider: &str, state: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("code", "code-1")
            .append_pair("state", state)
            .append_pair("iss", &issuer.issuer())
            .finish();
        format!("/oidc/{provider}/callback?{query}")
    }

    /// Somebody signs in.
    async fn sign_in(&self, claims: &Value, renewal: Option<&str>) -> Browser {
        let mut browser = Browser::default();
        self.sign_in_with(&mut browser, claims, renewal).await;
        browser
    }

    async fn sign_in_with(&self, browser: &mut Browser, claims: &Value, renewal: Option<&str>) {
        let asked = self.start(browser, "sso").await;
        self.answers(&self.issuer, &asked, claims, renewal);
        let back = self.get(browser, &Self::callback(&self.issuer, "sso", &asked["state"])).await;
        assert_eq!((back.status, back.header("location")), (303, "/login"), "{}", back.body);
    }

    async fn order_code(&self, browser: &mut Browser, service: &str) -> Answer {
        let page = self.get(browser, "/login").await;
        let csrf = page.value("csrf");
        self.post(browser, "/login/code", &format!("csrf={csrf}&service={service}")).await
    }

    /// A login code of somebody who signs in now.
    async fn code(&self, service: &str, renewal: Option<&str>) -> String {
        let mut browser = self.sign_in(&json!({}), renewal).await;
        self.order_code(&mut browser, service).await.code()
    }

    async fn token(&self, name: &str, code: &str, query: &str) -> Answer {
        let request = Request::get(format!("/token?{query}")).header("authorization", basic(&format!("{name}:{code}")));
        self.send(&mut Browser::default(), request.body(Body::empty()).unwrap()).await
    }

    async fn reload(&self, configuration: &str) {
        let path = self.folder.path().join("narrows.yaml");
        std::fs::write(&path, configuration).unwrap();
        let (config, _) = config::load(&path).unwrap();
        let candidate = self.app.prepare(Reread { configuration: Some(config), providers: true }).unwrap();
        self.app.adopt(candidate).await;
    }

    fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

const LOGIN: &str = "service=reg&offline_token=true&account=alice&client_id=docker";

#[tokio::test]
async fn a_browser_gets_a_code_and_docker_an_identity_token_for_it() {
    let scene = Scene::new().await;
    let mut browser = Browser::default();
    let chooser = scene.get(&mut browser, "/login").await;
    assert!(chooser.body.contains("Sign in with sso") && chooser.body.contains("Sign in with partners"));
    scene.sign_in_with(&mut browser, &json!({}), Some("rt-1")).await;
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), ["__Host-narrows-sign-in"]);
    let sent = &scene.issuer.asked(TOKEN)[0].form;
    assert_eq!((sent["code"].as_str(), sent["redirect_uri"].as_str()), ("code-1", "http://127.0.0.1:5001/oidc/sso/callback"));
    let page = scene.get(&mut browser, "/login").await;
    for text in ["Signed in as alice", "<li>dev</li>", "team/**", "pull, push", "reg.test:5000", "None. After a docker login"] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    let given = scene.order_code(&mut browser, "reg").await;
    assert!(given.body.contains("docker login --username alice reg.test:5000"), "{}", given.body);
    let code = given.code();
    let issued = scene.token("Alice", &code, &format!("{LOGIN}&scope=repository:team/app:pull,push,delete")).await;
    assert_eq!(issued.status, 200, "{}", issued.body);
    let issued: Value = serde_json::from_str(&issued.body).unwrap();
    assert_eq!(issued["scope"], "repository:team/app:pull,push");
    let identity_token = issued["refresh_token"].as_str().unwrap();
    let again = scene.token("<token>", identity_token, "service=reg&scope=repository:team/app:pull").await;
    assert_eq!(again.status, 200, "{}", again.body);
    // It stands on the page, and its owner ends it there.
    let page = scene.get(&mut browser, "/login").await;
    assert!(page.body.contains("by login code</div>") && page.body.contains("from 192.0.2.7"), "{}", page.body);
    let (csrf, id) = (page.value("csrf"), page.value("id"));
    let revoked = scene.post(&mut browser, "/login/revoke", &format!("csrf={csrf}&id={id}")).await;
    assert_eq!((revoked.status, revoked.header("location")), (303, "/login"));
    assert_eq!(scene.token("<token>", identity_token, "service=reg").await.status, 401);
    let out = scene.post(&mut browser, "/login/out", &format!("csrf={csrf}&service=")).await;
    assert_eq!((out.status, browser.cookies.len()), (303, 0));
    let audit = scene.audit();
    let told: Vec<_> = audit.iter().map(|event| (event["outcome"].as_str().unwrap(), event["reason"].as_str().unwrap_or("-"))).collect();
    let expected =
        [("empty", "sign_in"), ("empty", "login_code"), ("narrowed", "-"), ("granted", "-"), ("empty", "revoke"), ("rejected", "revoked")];
    assert_eq!(told, expected);
    assert_eq!((&audit[4]["username"], &audit[4]["notes"]), (&json!("alice"), &json!([format!("identity token {id}")])));
    assert_eq!((audit[0]["username"].as_str(), audit[1]["service"].as_str()), (Some("alice"), Some("reg")));
    assert_eq!(audit[2]["proof"]["how"].as_str(), Some("sign_in"), "{}", audit[2]);
    let text = std::fs::read_to_string(scene.folder.path().join("audit.jsonl")).unwrap();
    assert!(!text.contains("nrl_") && !text.contains("rt-1") && !text.contains("code-1"));
}

#[tokio::test]
async fn a_sign_in_gives_one_code_and_the_renewal_to_nobody_else() {
    let scene = Scene::new().await;
    let mut browser = scene.sign_in(&json!({}), Some("rt-1")).await;
    scene.order_code(&mut browser, "reg").await.code();
    let page = scene.get(&mut browser, "/login").await;
    assert!(!page.body.contains("Get a login code") && page.body.contains("Sign in again"));
    let csrf = page.value("csrf");
    for service in ["reg", "lab"] {
        let again = scene.post(&mut browser, "/login/code", &format!("csrf={csrf}&service={service}")).await;
        assert!(again.status == 409 && !again.body.contains("nrl_"), "{}", again.body);
    }
    let out = scene.post(&mut browser, "/login/out", &format!("csrf={csrf}&service=lab")).await;
    assert_eq!(out.header("location"), "/login?service=lab");
    // Many tabs at once do not get more either.
    let mut browser = scene.sign_in(&json!({}), Some("rt-2")).await;
    let csrf = scene.get(&mut browser, "/login").await.value("csrf");
    let scene = Arc::new(scene);
    let mut tabs = JoinSet::new();
    for _ in 0..10 {
        let (scene, mut browser, csrf) = (Arc::clone(&scene), browser.clone(), csrf.clone());
        tabs.spawn(async move { scene.post(&mut browser, "/login/code", &format!("csrf={csrf}&service=reg")).await.status });
    }
    let given = tabs.join_all().await.into_iter().filter(|status| *status == 200).count();
    assert_eq!(given, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_logins_with_one_code_one_wins() {
    let scene = Arc::new(Scene::new().await);
    let code = scene.code("reg", Some("rt-1")).await;
    let mut logins = JoinSet::new();
    for _ in 0..20 {
        let (scene, code) = (Arc::clone(&scene), code.clone());
        logins.spawn(async move { scene.token("alice", &code, LOGIN).await });
    }
    let (won, lost): (Vec<_>, Vec<_>) = logins.join_all().await.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 19));
    for answer in lost {
        let message = "the login code is used up or older than 5 minutes: get a new one at http://127.0.0.1:5001/login";
        assert_eq!((answer.status, answer.message().as_str()), (401, message));
    }
}

const WRONG: &str = "no passwords are taken here: open http://127.0.0.1:5001/login, then run the docker login that it shows";

#[tokio::test]
async fn a_code_is_kept_from_all_that_may_not_use_it_up() {
    let scene = Scene::new().await;
    let code = scene.code("reg", None).await;
    let podman = scene.token("alice", &code, "service=reg&account=alice").await;
    let advice = "this code is for docker login; with podman or skopeo use docker-credential-narrows: see http://127.0.0.1:5001/login";
    assert_eq!((podman.status, podman.message().as_str()), (401, advice));
    let request = Request::get("/whoami?service=reg").header("authorization", basic(&format!("alice:{code}")));
    assert_eq!(scene.send(&mut Browser::default(), request.body(Body::empty()).unwrap()).await.message(), advice);
    let request = Request::head(format!("/token?{LOGIN}")).header("authorization", basic(&format!("alice:{code}")));
    assert_eq!(scene.send(&mut Browser::default(), request.body(Body::empty()).unwrap()).await.status, 401);
    for name in ["bob", "", "alice2", "<token>", "sso/alice"] {
        let answer = scene.token(name, &code, LOGIN).await;
        assert_eq!((answer.status, answer.message().as_str()), (401, WRONG), "{name:?}");
    }
    let lab = scene.token("alice", &code, "service=lab&offline_token=true").await;
    let message = "this code is for another registry: get one for this registry at http://127.0.0.1:5001/login";
    assert_eq!((lab.status, lab.message().as_str()), (401, message));
    for garbage in ["nrl_", "nrl_x", &format!("{code}a"), &code.replace("nrl_", "nrl_a")] {
        assert_eq!(scene.token("alice", garbage, LOGIN).await.status, 401, "{garbage}");
    }
    // None of them used it up; nerdctl asks with a form.
    let form = format!("grant_type=password&username=alice&password={code}&service=reg&access_type=offline&client_id=containerd");
    let request = Request::post("/token").header("content-type", FORM).body(Body::from(form)).unwrap();
    let issued = scene.send(&mut Browser::default(), request).await;
    assert_eq!(issued.status, 200, "{}", issued.body);
    assert!(issued.body.contains("\"refresh_token\":\"nrw_"));
    assert_eq!(scene.token("alice", &code, LOGIN).await.status, 401);
}

#[tokio::test]
async fn everything_has_an_end() {
    let scene = Scene::new().await;
    let mut browser = Browser::default();
    let asked = scene.start(&mut browser, "sso").await;
    scene.clock.advance(600);
    let late = scene.get(&mut browser, &Scene::callback(&scene.issuer, "sso", &asked["state"])).await;
    assert!(late.status == 400 && late.body.contains("Sign in again"), "{}", late.body);
    assert!(scene.issuer.asked(TOKEN).is_empty());
    let mut browser = scene.sign_in(&json!({}), None).await;
    let code = scene.order_code(&mut browser, "reg").await.code();
    scene.clock.advance(299);
    let used = scene.code("reg", None).await;
    scene.clock.advance(1);
    assert_eq!(scene.token("alice", &code, LOGIN).await.status, 401);
    assert_eq!(scene.token("alice", &used, LOGIN).await.status, 200);
    scene.clock.advance(299);
    assert!(scene.get(&mut browser, "/login").await.body.contains("Signed in as alice"));
    scene.clock.advance(1);
    let over = scene.get(&mut browser, "/login").await;
    assert!(over.body.contains("Your sign-in is over") && browser.cookies.is_empty(), "{}", over.body);
}

#[tokio::test]
async fn an_answer_counts_in_the_browser_that_asked_once_and_at_its_own_address() {
    let scene = Scene::new().await;
    let (mut mine, mut theirs) = (Browser::default(), Browser::default());
    // Somebody else's answer, pushed into my browser, signs me in as nobody.
    scene.start(&mut mine, "sso").await;
    let asked = scene.start(&mut theirs, "sso").await;
    scene.answers(&scene.issuer, &asked, &json!({}), None);
    let target = Scene::callback(&scene.issuer, "sso", &asked["state"]);
    let pushed = scene.get(&mut mine, &target).await;
    assert!(pushed.status == 403 && !mine.cookies.contains_key("__Host-narrows-sign-in"), "{}", pushed.body);
    // And it is used up.
    assert_eq!(scene.get(&mut theirs, &target).await.status, 400);
    assert!(scene.issuer.asked(TOKEN).is_empty());
    // Another issuer's address.
    let asked = scene.start(&mut mine, "sso").await;
    let answer = scene.get(&mut mine, &Scene::callback(&scene.partners, "partners", &asked["state"])).await;
    assert_eq!(answer.status, 403);
    // Another issuer's word at the right address.
    let asked = scene.start(&mut mine, "sso").await;
    let answer = scene.get(&mut mine, &Scene::callback(&scene.partners, "sso", &asked["state"])).await;
    assert_eq!(answer.status, 403);
    assert!(scene.issuer.asked(TOKEN).is_empty() && scene.partners.asked(TOKEN).is_empty());
    // A state of nobody, and no cookie.
    let mut fresh = Browser::default();
    assert_eq!(scene.get(&mut fresh, &Scene::callback(&scene.issuer, "sso", "made-up")).await.status, 400);
    let asked = scene.start(&mut mine, "sso").await;
    assert_eq!(scene.get(&mut fresh, &Scene::callback(&scene.issuer, "sso", &asked["state"])).await.status, 403);
    // An answer whose nonce is another sign-in's.
    let (first, mut second) = (scene.start(&mut mine, "sso").await, Browser::default());
    let other = scene.start(&mut second, "sso").await;
    scene.answers(&scene.issuer, &first, &json!({}), None);
    assert_eq!(scene.get(&mut second, &Scene::callback(&scene.issuer, "sso", &other["state"])).await.status, 403);
    assert!(!second.cookies.contains_key("__Host-narrows-sign-in"));
    let reasons: Vec<_> = scene.audit().iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons[..3], ["sign_in: other_browser", "sign_in: unknown_state", "sign_in: other_issuer"]);
}

#[tokio::test]
async fn a_session_is_new_at_every_sign_in_and_the_former_one_ends() {
    let scene = Scene::new().await;
    let mut browser = scene.sign_in(&json!({}), None).await;
    let former = browser.clone();
    scene.sign_in_with(&mut browser, &json!({"sub": "bob-1", "preferred_username": "bob"}), None).await;
    assert_ne!(browser.cookies, former.cookies);
    assert!(scene.get(&mut browser, "/login").await.body.contains("Signed in as bob"));
    let over = scene.get(&mut former.clone(), "/login").await;
    assert!(over.body.contains("Your sign-in is over"), "{}", over.body);
    // An address that somebody made up signs nobody out.
    assert_eq!(scene.get(&mut browser, &Scene::callback(&scene.issuer, "sso", "made-up")).await.status, 400);
    assert!(scene.get(&mut browser, "/login").await.body.contains("Signed in as bob"));
    // A session that somebody made up is none.
    let mut planted = Browser::default();
    planted.cookies.insert("__Host-narrows-sign-in".to_owned(), "A".repeat(43));
    let asked = scene.start(&mut planted, "sso").await;
    scene.answers(&scene.issuer, &asked, &json!({}), None);
    scene.get(&mut planted, &Scene::callback(&scene.issuer, "sso", &asked["state"])).await;
    assert_ne!(planted.cookies["__Host-narrows-sign-in"], "A".repeat(43));
}

#[tokio::test]
async fn nobody_ends_the_logins_of_somebody_else() {
    let scene = Scene::new().await;
    let code = scene.code("reg", None).await;
    let issued = scene.token("alice", &code, LOGIN).await;
    let issued: Value = serde_json::from_str(&issued.body).unwrap();
    let mut alice = scene.sign_in(&json!({}), None).await;
    let id = scene.get(&mut alice, "/login").await.value("id");
    let mut bob = scene.sign_in(&json!({"sub": "bob-1", "preferred_username": "bob"}), None).await;
    let page = scene.get(&mut bob, "/login").await;
    assert!(!page.body.contains(&id));
    scene.post(&mut bob, "/login/revoke", &format!("csrf={}&id={id}", page.value("csrf"))).await;
    let answer = scene.token("<token>", issued["refresh_token"].as_str().unwrap(), "service=reg").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    // Her form's word is not his.
    let hers = scene.get(&mut alice, "/login").await.value("csrf");
    let stolen = scene.post(&mut bob, "/login/code", &format!("csrf={hers}&service=reg")).await;
    assert!(stolen.status == 403 && !stolen.body.contains("nrl_"));
}

#[tokio::test]
async fn an_issuer_that_is_down_or_says_no_is_told_in_our_own_words() {
    let scene = Scene::new().await;
    let mut browser = Browser::default();
    let asked = scene.start(&mut browser, "sso").await;
    let target = format!("/oidc/sso/callback?error=access_denied&error_description=<b>evil</b>&state={}", asked["state"]);
    let denied = scene.get(&mut browser, &target.replace('<', "%3C").replace('>', "%3E")).await;
    assert!(denied.status == 403 && denied.body.contains("Not signed in") && !denied.body.contains("evil"), "{}", denied.body);
    let asked = scene.start(&mut browser, "sso").await;
    scene.issuer.next(TOKEN, Reply::text(500, "<b>evil</b>"));
    let down = scene.get(&mut browser, &Scene::callback(&scene.issuer, "sso", &asked["state"])).await;
    assert!(down.status == 503 && !down.header("retry-after").is_empty() && !down.body.contains("evil"), "{}", down.body);
}

#[tokio::test]
async fn one_source_and_one_person_have_a_share() {
    let scene = Scene::new().await;
    let mut browser = Browser::default();
    for _ in 0..30 {
        scene.start(&mut browser, "sso").await;
    }
    let full = scene.post(&mut browser, "/login/start", "provider=sso").await;
    assert_eq!((full.status, full.header("retry-after")), (429, "60"));
    let mut elsewhere = Browser { address: Some("192.0.2.8"), ..Browser::default() };
    scene.start(&mut elsewhere, "sso").await;
    // One network of IPv6 is one source.
    for number in 0..30 {
        let address = ["[2001:db8::1]", "[2001:db8::2]", "[2001:db8::ffff:3]"][number % 3];
        scene.start(&mut Browser { address: Some(address), ..Browser::default() }, "sso").await;
    }
    let mut full = Browser { address: Some("[2001:db8::4]"), ..Browser::default() };
    assert_eq!(scene.post(&mut full, "/login/start", "provider=sso").await.status, 429);
    scene.clock.advance(600);
    scene.start(&mut browser, "sso").await;
}

#[tokio::test]
async fn a_sign_in_of_an_issuer_that_is_gone_is_over() {
    let scene = Scene::new().await;
    let mut browser = Browser::default();
    let asked = scene.start(&mut browser, "partners").await;
    scene.answers(&scene.partners, &asked, &json!({}), None);
    let back = scene.get(&mut browser, &Scene::callback(&scene.partners, "partners", &asked["state"])).await;
    assert_eq!(back.status, 303, "{}", back.body);
    let mut other = browser.clone();
    let code = scene.order_code(&mut browser, "reg").await.code();
    scene.reload(&configuration(&scene.issuer, None)).await;
    let over = scene.get(&mut other, "/login").await;
    assert!(over.body.contains("Your sign-in is over"), "{}", over.body);
    assert_eq!(scene.token("alice", &code, LOGIN).await.status, 401);
}
