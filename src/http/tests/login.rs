//! The sign-in page through its front door.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::fake::Fake;
use super::{Answer, Running};
use crate::clock::Timestamp;
use crate::http::Limits;
use crate::issue::{LoginView, ReachView, ServiceView, SessionProof, SignInOffer, SignInRefusal, SignInView};
use crate::token::identity_token::Born;

pub(super) const ISSUER: &str = "https://sso.example/authorize?client_id=x&state=state";
pub(super) const BROWSER: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
pub(super) const SESSION: &str = "SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS";
pub(super) const CODE: &str = "nrl_abcdefghijklmnopqrstuvwx";
const CSRF: &str = "csrf-123";
const OWN: &str = "Origin: https://reg.test\nSec-Fetch-Site: same-origin";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

pub(super) fn ordered(proof: &SessionProof) -> Result<(), SignInRefusal> {
    match (proof.session.expose_secret(), proof.csrf.expose_secret()) {
        (SESSION, CSRF) => Ok(()),
        (SESSION, _) => Err(SignInRefusal::NotYours),
        (_, _) => Err(SignInRefusal::Ended),
    }
}

pub(super) fn view() -> SignInView {
    let reach = |repository: &str, actions: &str, conditions: &[&str], less: &[&str]| ReachView {
        repository: repository.to_owned(),
        actions: actions.to_owned(),
        conditions: conditions.iter().map(ToString::to_string).collect(),
        less: less.iter().map(ToString::to_string).collect(),
    };
    let login = |id: &str, service: &str, made, how, from: Option<&str>| LoginView {
        id: id.to_owned(),
        service: service.to_owned(),
        how,
        from: from.map(ToOwned::to_owned),
        made: Timestamp(made),
        used: Timestamp(made + 90_000),
        ends: Some(Timestamp(made + 43_200)),
    };
    SignInView {
        username: "alice".to_owned(),
        realm: "corp".to_owned(),
        provider: "sso".to_owned(),
        seconds_left: 551,
        csrf: SecretString::from(CSRF),
        code_given: false,
        groups: vec!["dev".to_owned(), "payments".to_owned()],
        more_groups: 0,
        service: None,
        services: vec![
            ServiceView {
                name: "registry.corp.example".to_owned(),
                address: "registry.corp.example:5000".to_owned(),
                reach: Some(vec![
                    reach("payments/**", "pull,push", &[], &["push in payments/release/**"]),
                    reach("base/*", "pull", &[], &[]),
                    reach("prod/**", "pull,push,delete", &["a second factor used within 12h", "mon-fri 08:00-18:00 Europe/Berlin"], &[]),
                    reach("catalog", "list", &[], &[]),
                ]),
                more: 3,
            },
            ServiceView { name: "lab.corp.example".to_owned(), address: "lab.corp.example".to_owned(), reach: Some(Vec::new()), more: 0 },
        ],
        logins: vec![
            login("k3j5x7a2", "registry.corp.example", 1_700_000_000, Some(Born::Device), Some("192.0.2.9")),
            login("b7m2q9z4", "lab.corp.example", 1_699_000_000, None, None),
        ],
        more_logins: 0,
    }
}

fn offering(providers: &[&str], view: SignInView) -> Fake {
    let providers = providers.iter().map(|&provider| Arc::from(provider)).collect();
    let services = view.services.iter().map(|service| service.name.clone()).collect();
    Fake { offer: Some(SignInOffer { url: Arc::new("https://reg.test".parse().unwrap()), providers, services }), view, ..Fake::default() }
}

async fn running() -> Running {
    Running::with(offering(&["sso"], view()), Limits::default()).await
}

async fn post(running: &Running, path: &str, more: &str, form: &str) -> Answer {
    running.send(&format!("POST {path}\n{FORM}\n{more}"), form).await
}

/// A form of one of our own pages, sent by somebody who signed in.
async fn order(running: &Running, path: &str, form: &str) -> Answer {
    post(running, path, &format!("{OWN}\nCookie: __Host-narrows-sign-in={SESSION}"), form).await
}

async fn signed_in(running: &Running, target: &str) -> Answer {
    running.send(&format!("GET {target}\nCookie: __Host-narrows-sign-in={SESSION}"), "").await
}

/// What every answer of these paths carries.
fn check_headers(answer: &Answer, forms: &str) {
    let policy = answer.header("content-security-policy");
    let parts: BTreeMap<&str, &str> = policy.split("; ").map(|part| part.split_once(' ').unwrap()).collect();
    assert_eq!(parts["default-src"], "'none'");
    assert!(parts["style-src"].starts_with("'sha256-"), "{policy}");
    assert_eq!((parts["form-action"], parts["frame-ancestors"], parts["base-uri"]), (forms, "'none'", "'none'"), "{policy}");
    assert_eq!(parts.len(), 5, "{policy}");
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(answer.header("permissions-policy").contains("camera=()"));
}

/// A page, read strictly: no script, nothing from outside, no style attribute, one heading that comes first.
fn check_page(answer: &Answer, status: u16, forms: &str) {
    assert_eq!((answer.status, answer.header("content-type")), (status, "text/html; charset=utf-8"), "{}", answer.body);
    check_headers(answer, forms);
    let body = answer.body.to_ascii_lowercase();
    let (head, rest) = body.split_once("<style>").unwrap();
    let (style, main) = rest.split_once("</style>").unwrap();
    assert!(!style.contains("url(") && !style.contains("@import"));
    for tag in tags(head).into_iter().chain(tags(main)) {
        let (name, attributes) = tag.split_once(' ').unwrap_or((&tag, ""));
        assert!(!["script", "iframe", "img", "link", "base", "object", "style"].contains(&name), "<{tag}>");
        let own = |attribute: &&str| !["style", "src", "srcset", "data"].contains(attribute) && !attribute.starts_with("on");
        assert!(attributes.split(' ').all(|attribute| own(&attribute.trim_end_matches('='))), "<{tag}>");
    }
    assert!(head.starts_with("<!doctype html><html lang=\"en\">"), "{head}");
    assert_eq!((main.matches("<h1").count(), main.matches("<main").count()), (1, 1));
    for target in main.split("href=\"").skip(1) {
        assert!(target.starts_with('/'), "{target}");
    }
    let mut level = 1;
    for heading in main.split("<h").skip(1).filter_map(|rest| rest.chars().next().and_then(|digit| digit.to_digit(10))) {
        assert!(heading <= level + 1, "a heading is left out: {main}");
        level = heading;
    }
}

/// Every tag without its attributes' values.
fn tags(html: &str) -> Vec<String> {
    let tags = html.split('<').skip(1).map(|rest| rest.split_once('>').unwrap().0);
    tags.map(|tag| tag.split('"').step_by(2).collect()).collect()
}

#[tokio::test]
async fn without_an_issuer_there_is_no_sign_in() {
    let running = Running::start().await;
    for head in ["GET /login", "GET /login?service=reg.test", "GET /oidc/sso/callback?state=state&code=c"] {
        check_page(&running.send(head, "").await, 404, "'none'");
    }
    for path in ["/login/start", "/login/code", "/login/revoke", "/login/out"] {
        check_page(&order(&running, path, "csrf=csrf-123&provider=sso&service=a&id=b").await, 404, "'none'");
    }
    assert_eq!(running.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_link_alone_signs_nobody_in() {
    let running = running().await;
    for target in ["/login", "/login?service=reg.test&provider=sso", "/login?next=https://evil.example", "/login?provider=nobody"] {
        let answer = running.get(target).await;
        check_page(&answer, 200, "'self' https:");
        assert_eq!(answer.header("set-cookie"), "");
        assert!(answer.body.contains("Sign in with sso") && !answer.body.contains("evil"), "{}", answer.body);
    }
    let known = running.get("/login?service=lab.corp.example").await;
    assert!(known.body.contains("<strong class=\"host\">lab.corp.example</strong>"), "{}", known.body);
    let words = running.get("/login?service=your+password+is+old:+call+555").await;
    check_page(&words, 200, "'self' https:");
    assert!(!words.body.contains("555"), "a link puts no words into this page: {}", words.body);
    assert_eq!(running.asked(), Vec::<String>::new());
    let head = running.send("HEAD /login", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(running.send("OPTIONS /login", "").await.header("allow"), "GET, HEAD, OPTIONS");
    assert_eq!(running.send("POST /login", "").await.status, 405);
    assert_eq!(running.get("/login/start").await.status, 405);
    assert_eq!(running.get("/login?service=%ff").await.status, 400);
    assert_eq!(running.get("/login?service=a&service=b").await.status, 400);
}

#[tokio::test]
async fn the_pages_know_what_stands_in_front_of_them() {
    let mut fake = offering(&["sso", "partners"], view());
    fake.offer.as_mut().unwrap().url = Arc::new("https://reg.test/narrows/".parse().unwrap());
    let running = Running::with(fake, Limits::default()).await;
    let answer = running.get("/login?provider=partners").await;
    assert!(answer.body.contains("action=\"/narrows/login/start\"") && answer.body.contains("value=\"partners\""), "{}", answer.body);
    assert!(!answer.body.contains("value=\"sso\""));
    let out = order(&running, "/login/out", "csrf=csrf-123&service=a%26b").await;
    assert_eq!((out.status, out.header("location")), (303, "/narrows/login?service=a%26b"));
    let mut fake = offering(&["sso"], view());
    fake.offer.as_mut().unwrap().url = Arc::new("http://127.0.0.1:5001".parse().unwrap());
    let running = Running::with(fake, Limits::default()).await;
    check_page(&running.get("/login").await, 200, "'self' https: http:");
}

#[tokio::test]
async fn a_start_sends_the_browser_off_with_a_cookie() {
    let running = running().await;
    let answer = post(&running, "/login/start", OWN, "provider=sso&service=reg.test").await;
    assert_eq!((answer.status, answer.header("location"), answer.body.as_str()), (303, ISSUER, ""));
    check_headers(&answer, "'none'");
    let expected = format!("__Host-narrows-login={BROWSER}; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax");
    assert_eq!(answer.header("set-cookie"), expected);
    assert_eq!(running.asked(), ["begin sso reg.test"]);
    for (provider, status, wait) in [("nobody", 400, ""), ("full", 429, "60"), ("down", 503, "3")] {
        let answer = post(&running, "/login/start", OWN, &format!("provider={provider}")).await;
        check_page(&answer, status, "'none'");
        assert_eq!((answer.header("retry-after"), answer.header("set-cookie")), (wait, ""));
    }
    running.asked();
    for (form, status) in [("", 400), ("service=a", 400), ("provider=a&provider=b", 400), ("provider=%ff", 400)] {
        let form = if form.is_empty() { "x=y" } else { form };
        check_page(&post(&running, "/login/start", OWN, form).await, status, "'none'");
    }
    check_page(&running.send(&format!("POST /login/start\nContent-Type: text/plain\n{OWN}"), "provider=sso").await, 415, "'none'");
    check_page(&post(&running, "/login/start", OWN, &format!("provider={}", "a".repeat(70_000))).await, 413, "'none'");
    assert_eq!(running.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_form_of_another_page_does_nothing() {
    let running = running().await;
    let cookie = format!("Cookie: __Host-narrows-sign-in={SESSION}");
    let form = "csrf=csrf-123&provider=sso&service=reg.test&id=x";
    for foreign in [
        "Origin: https://evil.example",
        "Origin: https://evil.example\nSec-Fetch-Site: cross-site",
        "Origin: null",
        "Origin: http://reg.test",
        "Sec-Fetch-Site: same-site",
        "Sec-Fetch-Site: cross-site",
        "Origin: https://reg.test\nOrigin: https://evil.example",
    ] {
        for path in ["/login/start", "/login/code", "/login/revoke", "/login/out"] {
            let answer = post(&running, path, &format!("{foreign}\n{cookie}"), form).await;
            check_page(&answer, 403, "'none'");
            assert_eq!(answer.header("set-cookie"), "");
        }
    }
    assert_eq!(running.asked(), Vec::<String>::new());
    assert!(running.fake.invalid.lock().unwrap().iter().all(|reason| *reason == "foreign_form"));
}

#[tokio::test]
async fn an_order_needs_the_word_of_its_page() {
    let running = running().await;
    for path in ["/login/code", "/login/revoke", "/login/out"] {
        for (form, status) in [
            ("service=reg.test&id=x", 403),
            ("csrf=&service=reg.test&id=x", 403),
            ("csrf=wrong&service=reg.test&id=x", 403),
            ("csrf=csrf-123&csrf=csrf-123&service=reg.test&id=x", 400),
            ("csrf=csrf-123", 400),
        ] {
            check_page(&order(&running, path, form).await, status, "'none'");
        }
        let form = "csrf=csrf-123&service=reg.test&id=x";
        check_page(&post(&running, path, OWN, form).await, 400, "'none'");
        let other = SESSION.replace('S', "T");
        check_page(&post(&running, path, &format!("{OWN}\nCookie: __Host-narrows-sign-in={other}"), form).await, 400, "'none'");
    }
}

#[tokio::test]
async fn a_browser_that_comes_back_gets_a_new_session() {
    let running = running().await;
    let cookies = format!("Cookie: __Host-narrows-login={BROWSER}; __Host-narrows-sign-in={}", "O".repeat(43));
    let answer = running.send(&format!("GET /oidc/sso/callback?code=c-1&state=state&iss=https%3A%2F%2Fsso.example\n{cookies}"), "").await;
    assert_eq!((answer.status, answer.header("location"), answer.body.as_str()), (303, "/login", ""));
    check_headers(&answer, "'none'");
    let set: Vec<&str> = answer.header("set-cookie").lines().collect();
    assert_eq!(
        set,
        [
            &format!("__Host-narrows-sign-in={SESSION}; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax"),
            "__Host-narrows-login=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
        ]
    );
    assert_eq!(running.asked(), [format!("finish sso state {BROWSER} {}: c-1 from https://sso.example", "O".repeat(43))]);
}

#[tokio::test]
async fn nothing_that_an_issuer_sends_is_shown_or_followed() {
    let running = running().await;
    let cookie = format!("Cookie: __Host-narrows-login={BROWSER}");
    let evil = "%3Cscript%3Ealert(1)%3C/script%3E";
    for (target, status) in [
        (format!("/oidc/sso/callback?error={evil}&error_description={evil}&error_uri=https://evil.example&state=state"), 403),
        ("/oidc/sso/callback?error=access_denied&code=c&state=state".to_owned(), 403),
        (format!("/oidc/sso/callback?code=c&state={evil}"), 400),
        (format!("/oidc/{evil}/callback?code=c&state={evil}"), 404),
        (format!("/oidc/%3Cscript%3E/callback?code=c&state={evil}"), 400),
        ("/oidc/sso/callback?code=c&state=state&state=state".to_owned(), 400),
        ("/oidc/sso/callback?code=c&code=d&state=state".to_owned(), 400),
        ("/oidc/sso/callback?code=c&state=state&iss=a&iss=b".to_owned(), 400),
        ("/oidc/sso/callback?code=c".to_owned(), 400),
        ("/oidc/sso/callback?state=state".to_owned(), 400),
        ("/oidc/sso/callback?code=%ff&state=state".to_owned(), 400),
    ] {
        let answer = running.send(&format!("GET {target}\n{cookie}"), "").await;
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(answer.header("location"), "");
        for text in ["script>", "alert", "evil", "access_denied"] {
            assert!(!answer.body.contains(text), "{target}: {}", answer.body);
        }
        assert!(!answer.header("set-cookie").contains(SESSION));
    }
    running.asked();
    let stranger = running.get("/oidc/sso/callback?code=c&state=state").await;
    check_page(&stranger, 403, "'none'");
    assert_eq!(running.asked(), ["finish sso state - -: c from -"]);
    assert_eq!(running.send(&format!("HEAD /oidc/sso/callback?code=c&state=state\n{cookie}"), "").await.status, 405);
    assert_eq!(running.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn who_signed_in_sees_what_they_may_do_and_where_they_are_logged_in() {
    let running = running().await;
    let answer = signed_in(&running, "/login").await;
    check_page(&answer, 200, "'self'");
    for text in [
        "Signed in as alice",
        "Realm corp, by sso",
        "in 10 minutes",
        "payments/**",
        "not push in payments/release/**",
        "a second factor used within 12h",
        "And 3 more.",
        "The rules allow you nothing there",
        "2023-11-14 22:13",
        "value=\"k3j5x7a2\"",
        "value=\"lab.corp.example\"",
        "<li>payments</li>",
        "by device login</div>",
        "from 192.0.2.9",
    ] {
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
    }
    assert_eq!(answer.body.matches("Get a login code").count(), 2);
    let (first, second) = (answer.body.find("registry.corp.example").unwrap(), answer.body.find("lab.corp.example").unwrap());
    assert!(first < second);
    let wanted = signed_in(&running, "/login?service=lab.corp.example").await;
    assert!(wanted.body.find("registry.corp.example").unwrap() > wanted.body.find("lab.corp.example").unwrap());
    assert!(!answer.body.contains("The issuer told of no groups."));
    for (groups, more, text) in [(0, 0, "The issuer told of no groups."), (50, 1, "And 1 more."), (50, 1950, "And 1950 more.")] {
        let groups: Vec<String> = (0..groups).map(|number| format!("group-{number}-{}", "x".repeat(250))).collect();
        let shown = SignInView { groups, more_groups: more, ..view() };
        let answer = signed_in(&Running::with(offering(&["sso"], shown), Limits::default()).await, "/login").await;
        check_page(&answer, 200, "'self'");
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
        assert_eq!(answer.body.contains(&format!("<span class=\"count\">{}</span></summary><ul", 50 + more)), more > 0);
    }
    let over = running.send(&format!("GET /login\nCookie: __Host-narrows-sign-in={}", SESSION.replace('S', "T")), "").await;
    check_page(&over, 200, "'self' https:");
    assert!(over.body.contains("Your sign-in is over") && over.header("set-cookie").starts_with("__Host-narrows-sign-in=; "));
    let given = Running::with(offering(&["sso"], SignInView { code_given: true, ..view() }), Limits::default()).await;
    let answer = signed_in(&given, "/login").await;
    check_page(&answer, 200, "'self'");
    assert!(!answer.body.contains("Get a login code") && answer.body.contains("Sign in again"));
}

#[tokio::test]
async fn a_code_is_shown_with_the_lines_to_run() {
    let running = running().await;
    let answer = order(&running, "/login/code", "csrf=csrf-123&service=reg.test").await;
    check_page(&answer, 200, "'self'");
    let both = format!("echo {CODE} | docker login --username alice --password-stdin reg.test:5000");
    for text in ["docker login --username alice reg.test:5000", &both, "within 5 minutes"] {
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
    }
    let again = order(&running, "/login/code", "csrf=csrf-123&service=again").await;
    check_page(&again, 409, "'self'");
    assert!(again.body.contains("Sign in again") && !again.body.contains("nrl_"));
    assert_eq!(running.asked(), ["code for reg.test", "code for again"]);
}

#[tokio::test]
async fn logins_are_revoked_and_the_sign_in_ends() {
    let running = running().await;
    let answer = order(&running, "/login/revoke", "csrf=csrf-123&id=k3j5x7a2").await;
    assert_eq!((answer.status, answer.header("location"), answer.header("set-cookie")), (303, "/login", ""));
    let out = order(&running, "/login/out", "csrf=csrf-123&service=").await;
    assert_eq!((out.status, out.header("location")), (303, "/login"));
    assert_eq!(out.header("set-cookie"), "__Host-narrows-sign-in=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
    let evil = order(&running, "/login/out", "csrf=csrf-123&service=%0d%0aSet-Cookie:%20x%3Dy%2F%2Fevil.example").await;
    assert!(evil.header("location").starts_with("/login?service=%0D%0ASet-Cookie"), "{evil:?}");
    assert_eq!(running.asked(), ["revoke login k3j5x7a2", "sign out", "sign out"]);
}

#[tokio::test]
async fn nothing_that_a_directory_says_is_read_as_html_or_hides_in_it() {
    for evil in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='x",
        "</title><script>",
        "a\u{202e}b\u{2066}c\u{200b}",
    ] {
        let mut view = view();
        for text in [&mut view.username, &mut view.realm, &mut view.provider] {
            *text = evil.to_owned();
        }
        for service in &mut view.services {
            (service.name, service.address) = (evil.to_owned(), evil.to_owned());
            for reach in service.reach.iter_mut().flatten() {
                (reach.repository, reach.actions) = (evil.to_owned(), evil.to_owned());
                (reach.conditions, reach.less) = (vec![evil.to_owned()], vec![evil.to_owned()]);
            }
        }
        for login in &mut view.logins {
            (login.id, login.service, login.from) = (evil.to_owned(), evil.to_owned(), Some(evil.to_owned()));
        }
        view.groups = vec![evil.to_owned()];
        view.service = Some(evil.to_owned());
        let running = Running::with(offering(&["sso"], view), Limits::default()).await;
        let encoded: String = form_urlencoded::byte_serialize(evil.as_bytes()).collect();
        for answer in [
            signed_in(&running, "/login").await,
            signed_in(&running, &format!("/login?service={encoded}")).await,
            running.get(&format!("/login?service={encoded}&provider={encoded}")).await,
            order(&running, "/login/code", &format!("csrf=csrf-123&service={encoded}")).await,
        ] {
            let forms =
                answer.header("content-security-policy").split("form-action ").nth(1).unwrap().split(';').next().unwrap().to_owned();
            check_page(&answer, 200, &forms);
            let shown = answer.body.split_once("</style>").unwrap().1;
            // What a form sends back stands in it as it is; everything that is seen is spelled out.
            let seen: String = shown
                .split(" value=\"")
                .enumerate()
                .map(|(at, part)| if at == 0 { part } else { part.split_once('"').unwrap().1 })
                .collect();
            assert!(!seen.contains(['\u{202e}', '\u{2066}', '\u{200b}']), "{seen}");
        }
    }
}

/// Writes the pages into the folder that `NARROWS_PAGES` names, to be looked at.
#[tokio::test]
async fn the_pages_can_be_looked_at() {
    let two = Running::with(offering(&["sso", "partners"], view()), Limits::default()).await;
    let given = Running::with(offering(&["sso"], SignInView { code_given: true, logins: Vec::new(), ..view() }), Limits::default()).await;
    let pages = [
        ("chooser", two.get("/login?service=registry.corp.example").await),
        ("signed-in", signed_in(&two, "/login").await),
        ("given", signed_in(&given, "/login").await),
        ("code", order(&two, "/login/code", "csrf=csrf-123&service=registry.corp.example").await),
        ("over", running().await.get("/oidc/sso/callback?state=x&code=y").await),
    ];
    for (name, page) in pages {
        assert!(page.body.ends_with("</html>"), "{name}");
        if let Some(folder) = option_env!("NARROWS_PAGES") {
            std::fs::write(format!("{folder}/{name}.html"), &page.body).unwrap();
        }
    }
}
