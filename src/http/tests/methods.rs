//! Methods: HEAD is GET without a body, OPTIONS lists, the others are refused.

use super::{Running, basic};

#[tokio::test]
async fn n13_head_is_get_without_its_body() {
    let running = Running::start().await;
    for (target, pair) in [("/token?service=reg.test", "alice:good"), ("/token", "alice:bad"), ("/whoami", "alice:good")] {
        let get = running.get_as(target, pair).await;
        let head = running.send(&format!("HEAD {target}\nAuthorization: {}", basic(pair)), "").await;
        assert_eq!(head.body, "");
        let mut expected = get.without_id();
        expected.body.clear();
        assert_eq!(head.without_id(), expected, "{target}");
    }
}

#[tokio::test]
async fn n13_options_lists_the_methods_and_others_are_not_allowed() {
    let running = Running::start().await;
    for (path, allow) in [
        ("/token", "GET, HEAD, POST, OPTIONS"),
        ("/auth", "GET, HEAD, POST, OPTIONS"),
        ("/auth/token", "GET, HEAD, POST, OPTIONS"),
        ("/v2/token", "GET, HEAD, POST, OPTIONS"),
        ("/revoke", "POST, OPTIONS"),
        ("/whoami", "GET, HEAD, OPTIONS"),
        ("/livez", "GET, HEAD, OPTIONS"),
        ("/readyz", "GET, HEAD, OPTIONS"),
        ("/keys/reg.test/jwks.json", "GET, HEAD, OPTIONS"),
        ("/keys/reg.test/bundle.pem", "GET, HEAD, OPTIONS"),
    ] {
        let options = running.send(&format!("OPTIONS {path}"), "").await;
        assert_eq!((options.status, options.header("allow"), options.body.as_str()), (204, allow, ""), "{path}");
        let unknown = ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get"];
        for method in
            unknown.into_iter().chain((!allow.contains("GET")).then_some("GET")).chain((!allow.contains("POST")).then_some("POST"))
        {
            let answer = running.send(&format!("{method} {path}"), "").await;
            assert_eq!((answer.status, answer.header("allow")), (405, allow), "{method} {path}");
            assert_eq!(answer.error().0, "UNSUPPORTED");
        }
    }
    assert_eq!(running.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn odd_request_targets_are_answered() {
    let running = Running::start().await;
    assert_eq!(running.send("OPTIONS *", "").await.status, 404);
    assert_eq!(running.send("CONNECT reg.test:443", "").await.status, 404);
    assert_eq!(running.send("GET http://reg.test/livez", "").await.status, 200);
    assert_eq!(running.send("GET https://user:pass@evil.test/token", "").await.status, 401);
    assert_eq!(running.asked(), ["- |  | anonymous | Basic"]);
}
