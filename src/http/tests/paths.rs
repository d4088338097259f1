//! The paths beside the token's: who, revocation, keys, health.

use super::fake::Fake;
use super::{Running, basic};
use crate::http::Limits;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

#[tokio::test]
async fn whoami_tells_the_person_who_asks() {
    let running = Running::start().await;
    let answer = running.get_as("/whoami?service=reg.test&scope=repository:a:pull&scope=repository:b:push", "alice:good").await;
    assert_eq!(running.asked(), ["who reg.test | repository:a:pull repository:b:push | alice/good"]);
    let expected =
        serde_json::json!({"username": "alice", "realm": "corp", "groups": ["dev"], "granted": ["repository:a:pull repository:b:push"]});
    assert_eq!((answer.status, answer.json()), (200, expected));
    for (head, status) in [
        ("GET /whoami".to_owned(), 401),
        (format!("GET /whoami\nAuthorization: {}", basic("alice:bad")), 401),
        ("GET /whoami\nAuthorization: Bearer x".to_owned(), 401),
        (format!("GET /whoami?service=other\nAuthorization: {}", basic("alice:good")), 400),
        (format!("GET /whoami\nAuthorization: {}", basic("down:x")), 503),
        ("GET /whoami?username=alice&password=good".to_owned(), 401),
    ] {
        let answer = running.send(&head, "").await;
        assert_eq!(answer.status, status, "{head}");
        answer.error();
    }
}

#[tokio::test]
async fn revoke_takes_the_token_as_its_own_proof() {
    let running = Running::start().await;
    let head = format!("POST /revoke\n{FORM}");
    let answer = running.send(&head, "token=nrw_REFRESH-123&token_type_hint=refresh_token").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(running.send(&head, "token=garbage").await.status, 200);
    assert_eq!(running.asked(), ["revoke nrw_REFRESH-123", "revoke garbage"]);
    let down = running.send(&head, "token=nrw_down").await;
    assert_eq!((down.status, down.header("retry-after")), (503, "5"));
    running.asked();
    for (form, message) in [
        ("x=y", "the parameter `token` is missing"),
        ("token=a&token=b", "the parameter `token` is given more than once"),
        ("token=%ff", "the parameter `token` is not percent-encoded UTF-8"),
    ] {
        let answer = running.send(&head, form).await;
        assert_eq!((answer.status, answer.error().2.as_str()), (400, message));
    }
    assert_eq!(running.send("POST /revoke\nContent-Type: application/json", "{}").await.status, 415);
    assert_eq!(running.send("POST /revoke?token=nrw_x\nContent-Length: 0", "").await.status, 415);
    assert_eq!(running.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn keys_are_found_by_service_and_alone_where_there_is_one() {
    let one = Running::start().await;
    let jwks = one.get("/keys/reg.test/jwks.json").await;
    assert_eq!((jwks.status, jwks.json()["keys"][0]["kid"].as_str()), (200, Some("reg.test")));
    let bundle = one.get("/keys/reg.test/bundle.pem").await;
    assert_eq!((bundle.status, bundle.body.as_str()), (200, "-----BEGIN reg.test"));
    assert_eq!(bundle.header("content-type"), "application/x-pem-file");
    assert_eq!(one.get("/.well-known/jwks.json").await.body, jwks.body);
    assert_eq!(one.get("/keys/bundle.pem").await.body, bundle.body);
    let two = Running::with(Fake { services: vec!["a.test:5000", "b.test"], ..Fake::default() }, Limits::default()).await;
    assert_eq!(two.get("/keys/a.test:5000/jwks.json").await.status, 200);
    assert_eq!(two.get("/keys/a.test%3A5000/jwks.json").await.status, 200);
    for path in [
        "/.well-known/jwks.json",
        "/keys/bundle.pem",
        "/keys/other/jwks.json",
        "/keys/%00/jwks.json",
        "/keys/%ff/jwks.json",
        "/keys/../jwks.json",
    ] {
        let answer = two.get(path).await;
        assert_eq!((answer.status, answer.error().0.as_str()), (404, "NOT_FOUND"), "{path}");
    }
}

#[tokio::test]
async fn details_are_on_the_admin_listener_only() {
    let public = Running::start().await;
    for path in ["/livez", "/readyz"] {
        let answer = public.get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
    }
    for path in ["/metrics", "/status", "/reload", "/", "/token/", "//token", "/TOKEN", "/v2/", "/logins", "/tok%65n/x", "/../token"] {
        let answer = public.get(path).await;
        assert_eq!((answer.status, answer.error().0.as_str()), (404, "NOT_FOUND"), "{path}");
    }
    let admin = Running::admin(Fake::default()).await;
    for path in ["/readyz", "/status"] {
        assert_eq!(admin.get(path).await.json()["providers"][0]["name"], "staff", "{path}");
    }
    let metrics = admin.get("/metrics").await;
    assert_eq!(metrics.body, "narrows_generation 1\n");
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for path in ["/token", "/whoami", "/keys/bundle.pem"] {
        assert_eq!(admin.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_reload_is_ordered_on_the_admin_listener_and_never_by_a_page_in_a_browser() {
    let public = Running::start().await;
    assert_eq!(public.send("POST /reload\nX-Narrows: reload", "").await.status, 404);
    let admin = Running::admin(Fake::default()).await;
    for (query, status, asked) in
        [("", 200, "reload -"), ("?accept_widening=0f", 200, "reload 0f"), ("?accept_widening=wrong", 409, "reload wrong")]
    {
        let answer = admin.send(&format!("POST /reload{query}\nX-Narrows: reload"), "").await;
        assert_eq!(answer.status, status, "{query}");
        assert!(asked.ends_with(answer.json()["accept"].as_str().unwrap()));
        assert_eq!(admin.asked(), [asked]);
    }
    let ending = admin.send("POST /reload?accept_widening=nobody\nX-Narrows: reload", "").await;
    assert_eq!((ending.status, ending.error().0.as_str()), (503, "UNAVAILABLE"));
    admin.asked();
    for mark in ["X-Other: reload", "X-Narrows: yes", "X-Narrows: reload\nX-Narrows: reload", "X-Narrows: reload\nOrigin: http://127.0.0.1"]
    {
        let answer = admin.send(&format!("POST /reload\n{mark}"), "").await;
        assert_eq!((answer.status, answer.error().0.as_str()), (403, "DENIED"), "{mark}");
    }
    assert_eq!(admin.send("POST /reload?accept_widening=a&accept_widening=b\nX-Narrows: reload", "").await.status, 400);
    assert_eq!(admin.send("GET /reload\nX-Narrows: reload", "").await.header("allow"), "POST, OPTIONS");
    assert_eq!(admin.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_service_that_can_serve_nobody_is_not_ready() {
    let public = Running::with(Fake { ready: false, ..Fake::default() }, Limits::default()).await;
    let answer = public.get("/readyz").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, ""));
    assert_eq!(public.get("/livez").await.status, 200);
    let admin = Running::admin(Fake { ready: false, ..Fake::default() }).await;
    assert_eq!((admin.get("/readyz").await.status, admin.get("/status").await.status), (503, 200));
}

#[tokio::test]
async fn the_client_is_the_peer_or_whom_a_trusted_proxy_names() {
    let client = async |proxies: Vec<&'static str>| {
        let running = Running::with(Fake { proxies, ..Fake::default() }, Limits::default()).await;
        running.send("GET /token\nX-Forwarded-For: 192.0.2.7, 198.51.100.1", "").await;
        let clients = running.fake.clients.lock().unwrap();
        format!("{} {}", clients[0].address, clients[0].trusted)
    };
    assert_eq!(client(vec![]).await, "127.0.0.1 true");
    assert_eq!(client(vec!["127.0.0.0/8"]).await, "198.51.100.1 true");
    assert_eq!(client(vec!["127.0.0.0/8", "198.51.100.0/24"]).await, "192.0.2.7 true");
}

#[tokio::test]
async fn every_request_has_an_id_of_its_own() {
    let running = Running::start().await;
    let mut ids = Vec::new();
    for head in ["GET /token", "GET /nowhere", "PUT /token", "OPTIONS /token", "GET /livez"] {
        let id = running.send(&format!("{head}\nX-Request-Id: mine"), "").await.header("x-request-id").to_owned();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert!(!ids.contains(&id));
        ids.push(id);
    }
    assert_eq!(*running.fake.ids.lock().unwrap(), ids[..1]);
}
