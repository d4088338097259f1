//! `/device/start` and `/device/poll` on the wire: a credential helper is written against exactly this.

use serde_json::json;

use super::Running;
use super::fake::{Fake, IDENTITY_TOKEN};
use crate::http::Limits;

const START: &str = "POST /device/start\nContent-Type: application/x-www-form-urlencoded";
const POLL: &str = "POST /device/poll\nContent-Type: application/x-www-form-urlencoded";

#[tokio::test]
async fn a_device_login_begins_with_what_a_person_needs() {
    let running = Running::start().await;
    let answer = running.send(START, "service=reg.test&provider=sso").await;
    let expected = json!({
        "flow": "FLOW", "provider": "sso", "verification_uri": "https://sso.test/device",
        "verification_uri_complete": "https://sso.test/device?user_code=AB", "user_code": "AB", "expires_in": 600, "interval": 5,
    });
    assert_eq!((answer.status, answer.json()), (200, expected));
    assert_eq!(answer.header("cache-control"), "no-store");
    let short = running.send(START, "provider=lab").await.json();
    assert!(short.get("verification_uri_complete").is_none());
    assert_eq!(running.asked(), ["start reg.test at sso", "start - at lab"]);
}

#[tokio::test]
async fn a_start_that_fails_says_what_to_do() {
    let running = Running::start().await;
    for (form, status, error, message) in [
        ("service=other&provider=sso", 400, "invalid_request", "unknown service"),
        ("x=y", 400, "invalid_request", "several issuers offer a device login: name one of sso, lab"),
        ("provider=other", 400, "invalid_request", "no issuer of this name offers a device login: name one of sso, lab"),
        ("provider=none", 404, "invalid_request", "no issuer here offers a device login"),
        ("provider=busy", 429, "temporarily_unavailable", "too many device logins are under way: wait a minute, then try again"),
        ("provider=down", 503, "temporarily_unavailable", "the directory or issuer cannot be asked at the moment: try again shortly"),
        ("provider=a&provider=b", 400, "invalid_request", "the parameter `provider` is given more than once"),
        ("service=a&service=b", 400, "invalid_request", "the parameter `service` is given more than once"),
    ] {
        let answer = running.send(START, form).await;
        let (_, found, text) = answer.error();
        assert_eq!((answer.status, found.as_str(), text.as_str()), (status, error, message), "{form}");
        assert_eq!(answer.header("retry-after"), if status == 429 || status == 503 { "3" } else { "" }, "{form}");
        assert!(answer.header("www-authenticate").is_empty());
    }
    let several = Running::with(Fake { services: vec!["a.test", "b.test"], ..Fake::default() }, Limits::default()).await;
    let answer = several.send(START, "provider=sso").await;
    assert_eq!((answer.status, answer.error().2.as_str()), (400, "the service parameter is missing"));
    assert_eq!(running.send("POST /device/start\nContent-Type: application/json", "{}").await.status, 415);
    let get = running.get("/device/start").await;
    assert_eq!((get.status, get.header("allow")), (405, "POST, OPTIONS"));
}

#[tokio::test]
async fn a_poll_answers_in_the_words_of_rfc_8628() {
    let running = Running::start().await;
    let done = running.send(POLL, "flow=done").await;
    let expected = json!({"username": "alice", "refresh_token": IDENTITY_TOKEN, "service": "reg.test", "expires_in": 604_800});
    assert_eq!((done.status, done.json()), (200, expected));
    for (flow, error, interval) in [
        ("pending", "authorization_pending", json!(5)),
        ("fast", "slow_down", json!(10)),
        ("denied", "access_denied", json!(null)),
        ("late", "expired_token", json!(null)),
        ("unknown", "invalid_grant", json!(null)),
    ] {
        let answer = running.send(POLL, &format!("flow={flow}")).await;
        assert_eq!((answer.status, answer.error().1.as_str()), (400, error));
        assert_eq!(answer.json()["interval"], interval, "{flow}");
    }
    let down = running.send(POLL, "flow=down").await;
    assert_eq!((down.status, down.header("retry-after")), (503, "3"));
    for (form, message) in [("x=y", "the parameter `flow` is missing"), ("flow=a&flow=b", "the parameter `flow` is given more than once")] {
        let answer = running.send(POLL, form).await;
        assert_eq!((answer.status, answer.error().2.as_str()), (400, message));
    }
    assert_eq!(running.send("POST /device/poll?flow=done\nContent-Length: 0", "").await.status, 415);
}
