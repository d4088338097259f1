//! An issuer that changes its keys, fails, lies and comes back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::super::fake::{DEVICE, DISCOVERY, FakeIssuer, KEYS, Reply, TOKEN};
use super::super::upstream::get;
use super::*;
use crate::authn::jwt::forge::Forge;
use crate::clock::Timestamp;

const NOW: Timestamp = Timestamp(1_800_000_000);

fn remote(issuer: &FakeIssuer) -> Remote {
    let (settings, file) = issuer.settings("");
    Remote::build(Arc::from("sso"), &settings, &file, &Clock::fixed(NOW)).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(8)
}

async fn verify(remote: &Remote, token: &str) -> Result<String, Unverified> {
    remote.verify(token, Checks::default(), soon()).await.map(|claims| claims["sub"].as_str().unwrap().to_owned())
}

async fn send(remote: &Remote, path: &str, lane: Lane) -> Result<Answer, Trouble> {
    let url = format!("{}{path}", remote.issuer()).parse().unwrap();
    remote.send(get(&url).unwrap(), lane, soon()).await
}

#[tokio::test]
async fn a_token_of_the_issuer_is_good_and_the_issuer_is_asked_once() {
    let issuer = FakeIssuer::start().await;
    let remote = remote(&issuer);
    assert_eq!(remote.health(), Health::Unknown);
    let token = issuer.token("alice", NOW, json!({}));
    let all = futures_util::future::join_all((0..50).map(|_| verify(&remote, &token))).await;
    assert!(all.iter().all(|one| one.as_deref() == Ok("alice")), "{all:?}");
    assert_eq!((issuer.asked(DISCOVERY).len(), issuer.asked(KEYS).len()), (1, 1));
    assert_eq!(remote.health(), Health::Up);
    assert_eq!(issuer.asked(KEYS)[0].user_agent, concat!("narrows/", env!("CARGO_PKG_VERSION")));
    let wrong = issuer.token("alice", NOW, json!({"nonce": "x"}));
    let checks = Checks { nonce: Some("y"), ..Checks::default() };
    assert_eq!(remote.verify(&wrong, checks, soon()).await, Err(Unverified::Refused("nonce")));
}

#[tokio::test]
async fn a_new_key_is_found_at_once_and_a_withdrawn_one_is_gone() {
    let issuer = FakeIssuer::start().await;
    let remote = remote(&issuer);
    let former = issuer.token("alice", NOW, json!({}));
    assert_eq!(verify(&remote, &former).await.as_deref(), Ok("alice"));
    issuer.rotate(Forge::p256("two"), true);
    let token = issuer.token("bob", NOW, json!({}));
    let all = futures_util::future::join_all((0..20).map(|_| verify(&remote, &token))).await;
    assert!(all.iter().all(|one| one.as_deref() == Ok("bob")), "{all:?}");
    assert_eq!(issuer.asked(KEYS).len(), 2);
    assert_eq!(verify(&remote, &former).await.as_deref(), Ok("alice"));
    issuer.rotate(Forge::p256("three"), false);
    assert_eq!(verify(&remote, &issuer.token("eve", NOW, json!({}))).await.as_deref(), Ok("eve"));
    assert_eq!(verify(&remote, &former).await, Err(Unverified::Refused("unknown_key")));
}

#[tokio::test]
async fn forged_key_names_neither_storm_the_issuer_nor_hide_a_new_key() {
    let issuer = FakeIssuer::start().await;
    let remote = remote(&issuer);
    assert!(verify(&remote, &issuer.token("alice", NOW, json!({}))).await.is_ok());
    let forged: Vec<String> =
        (0..200).map(|number| Forge::p256(&format!("forged-{number}")).token(&issuer.claims("mallory", NOW))).collect();
    let began = Instant::now();
    let all = futures_util::future::join_all(forged.iter().map(|token| verify(&remote, token))).await;
    assert!(all.iter().all(|one| *one == Err(Unverified::Refused("unknown_key"))), "{all:?}");
    assert!(issuer.asked(KEYS).len() <= 2 + usize::try_from(began.elapsed().as_secs()).unwrap(), "{}", issuer.asked(KEYS).len());
    // The same names again: nobody is asked.
    let before = issuer.asked(KEYS).len();
    let again = futures_util::future::join_all(forged.iter().map(|token| verify(&remote, token))).await;
    assert!(again.iter().all(|one| *one == Err(Unverified::Refused("unknown_key"))));
    assert_eq!(issuer.asked(KEYS).len(), before);
    issuer.rotate(Forge::p256("two"), true);
    assert_eq!(verify(&remote, &issuer.token("bob", NOW, json!({}))).await.as_deref(), Ok("bob"));
}

#[tokio::test]
async fn keys_that_cannot_be_asked_for_are_an_outage_and_no_refusal() {
    let issuer = FakeIssuer::start().await;
    let remote = remote(&issuer);
    let known = issuer.token("alice", NOW, json!({}));
    assert!(verify(&remote, &known).await.is_ok());
    issuer.always(KEYS, Reply::text(503, "no"));
    issuer.rotate(Forge::p256("two"), true);
    let token = issuer.token("bob", NOW, json!({}));
    assert!(matches!(verify(&remote, &token).await, Err(Unverified::Unavailable(_))));
    assert_eq!(verify(&remote, &known).await.as_deref(), Ok("alice"));
    // A list without one key that can be used proves nothing about anybody.
    issuer.always(KEYS, Reply::json(200, &json!({"keys": []})));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(matches!(verify(&remote, &token).await, Err(Unverified::Unavailable(_))));
    assert!(matches!(verify(&remote, &known).await, Err(Unverified::Unavailable(_))));
}

#[tokio::test]
async fn an_issuer_that_is_down_at_first_is_found_later() {
    let issuer = FakeIssuer::start().await;
    issuer.next(DISCOVERY, Reply::text(503, "no"));
    let remote = remote(&issuer);
    let trouble = remote.metadata(soon()).await.unwrap_err();
    assert_eq!(trouble.to_string(), "discovery: 127.0.0.1: HTTP status 503");
    assert_eq!(remote.health(), Health::Down(trouble.to_string()));
    // Within a second nobody else tries.
    assert_eq!(remote.metadata(soon()).await.unwrap_err(), trouble);
    assert_eq!(issuer.asked(DISCOVERY).len(), 1);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(remote.metadata(soon()).await.is_ok());
    assert_eq!(remote.health(), Health::Up);
}

#[tokio::test]
async fn what_is_due_is_asked_for_without_anybody_who_waits() {
    let issuer = FakeIssuer::start().await;
    let remote = remote(&issuer);
    remote.tend();
    issuer.was_asked(DISCOVERY, 1).await;
    remote.metadata(soon()).await.unwrap();
    remote.tend();
    issuer.was_asked(KEYS, 1).await;
    assert!(verify(&remote, &issuer.token("alice", NOW, json!({}))).await.is_ok());
    remote.tend();
    assert_eq!((issuer.asked(DISCOVERY).len(), issuer.asked(KEYS).len()), (1, 1));
    // The next generation of the same settings knows all of it.
    let next = self::remote(&issuer).succeeding(&remote);
    issuer.always(DISCOVERY, Reply::text(503, "no"));
    assert!(verify(&next, &issuer.token("alice", NOW, json!({}))).await.is_ok());
    assert_eq!((issuer.asked(DISCOVERY).len(), issuer.asked(KEYS).len()), (1, 1));
    assert_eq!(next.health(), Health::Up);
}

#[tokio::test]
async fn metadata_is_about_this_issuer_and_leads_nowhere_else() {
    #[track_caller]
    fn says(trouble: &Trouble, part: &str) {
        assert!(trouble.to_string().contains(part), "{trouble}");
    }
    for (name, value, part) in [
        ("issuer", json!("https://evil.example"), "it says that the issuer is `https://evil.example`"),
        ("token_endpoint", json!("http://evil.example/token"), "`token_endpoint` is `http://evil.example/token`: it is not https"),
        ("jwks_uri", json!("https://169.254.169.254/"), "it leads to a link-local address"),
        ("jwks_uri", json!("file:///etc/passwd"), "it is not https"),
        ("jwks_uri", json!(null), "lacks a value"),
        ("authorization_endpoint", json!("https://u:p@evil.example/"), "it holds credentials"),
        ("authorization_endpoint", json!(7), "has one of another kind"),
    ] {
        let issuer = FakeIssuer::start().await;
        issuer.metadata(name, value);
        says(&remote(&issuer).metadata(soon()).await.unwrap_err(), part);
    }
    let issuer = FakeIssuer::start().await;
    issuer.metadata("issuer", json!(format!("{}/", issuer.issuer())));
    says(&remote(&issuer).metadata(soon()).await.unwrap_err(), "equal to the letter");
    // What is only offered is left out.
    let issuer = FakeIssuer::start().await;
    issuer.metadata("device_authorization_endpoint", json!("http://evil.example/device"));
    let metadata = remote(&issuer).metadata(soon()).await.unwrap();
    assert!(metadata.device_authorization().is_none() && metadata.userinfo().is_some() && metadata.names_itself());
    for (reply, part) in [
        (Reply::text(200, "<html>").header("content-type", "text/html"), "the content type is `text/html`, not JSON"),
        (Reply::text(200, "<html>"), "is no JSON"),
        (Reply::text(404, ""), "HTTP status 404"),
    ] {
        let issuer = FakeIssuer::start().await;
        issuer.always(DISCOVERY, reply);
        says(&remote(&issuer).metadata(soon()).await.unwrap_err(), part);
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed_and_an_answer_has_an_end() {
    let issuer = FakeIssuer::start().await;
    let elsewhere = FakeIssuer::start().await;
    let remote = remote(&issuer);
    let target = format!("{}/x?code=s3cret", elsewhere.issuer());
    issuer.always(TOKEN, Reply::text(307, "").header("location", &target));
    let trouble = send(&remote, TOKEN, Lane::Main).await.unwrap_err();
    assert!(trouble.to_string().contains("a redirect to `127.0.0.1`") && !trouble.to_string().contains("s3cret"), "{trouble}");
    assert!(elsewhere.asked("/x").is_empty());
    issuer.always(TOKEN, Reply::text(200, &"x".repeat(1024 * 1024 + 1)));
    let trouble = send(&remote, TOKEN, Lane::Main).await.unwrap_err();
    assert_eq!(trouble.reason, "the answer is larger than 1 MiB");
    issuer.always(TOKEN, Reply::text(403, ""));
    assert_eq!(send(&remote, TOKEN, Lane::Main).await.unwrap().status.as_u16(), 403);
    issuer.always(TOKEN, Reply::text(200, "").after(Duration::from_mins(1)));
    let url = format!("{}{TOKEN}", remote.issuer()).parse().unwrap();
    let began = Instant::now();
    let trouble = remote.send(get(&url).unwrap(), Lane::Main, began + Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(trouble.reason, "no answer in time");
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(remote.health(), Health::Up, "who has no time left says nothing about the issuer");
}

#[tokio::test]
async fn device_logins_have_a_breaker_of_their_own() {
    let issuer = FakeIssuer::start().await;
    let remote = remote(&issuer);
    issuer.always(DEVICE, Reply::text(429, "").header("retry-after", "40"));
    let trouble = send(&remote, DEVICE, Lane::DeviceStart).await.unwrap_err();
    assert!(trouble.is_throttling() && trouble.retry_after == Duration::from_secs(40));
    // Nobody is asked for as long, and everything else goes on.
    let held = send(&remote, DEVICE, Lane::DeviceStart).await.unwrap_err();
    assert!(held.is_throttling() && held.retry_after > Duration::from_secs(30) && !held.may_have_arrived, "{held:?}");
    assert_eq!(issuer.asked(DEVICE).len(), 1);
    assert!(verify(&remote, &issuer.token("alice", NOW, json!({}))).await.is_ok());
    assert_eq!(remote.health(), Health::Up);
    issuer.always(TOKEN, Reply::text(500, ""));
    for _ in 0..10 {
        assert!(send(&remote, TOKEN, Lane::Main).await.is_err());
    }
    assert_eq!(issuer.asked(TOKEN).len(), 5);
    assert!(matches!(remote.health(), Health::Down(_)));
    assert!(verify(&remote, &issuer.token("alice", NOW, json!({}))).await.is_ok(), "what is known needs no issuer");
}

#[tokio::test]
async fn another_client_or_authority_is_another_issuer() {
    let issuer = FakeIssuer::start().await;
    let first = remote(&issuer);
    first.metadata(soon()).await.unwrap();
    let (settings, file) = issuer.settings("proxy: http://127.0.0.1:9");
    let other = Remote::build(Arc::from("sso"), &settings, &file, &Clock::fixed(NOW)).unwrap().succeeding(&first);
    assert_eq!(other.health(), Health::Unknown);
    assert!(!format!("{first:?}").contains("s3cret"));
}

/// Every second and a bit another key, while people sign in and somebody forges.
#[tokio::test]
async fn nobody_fails_while_keys_change_under_load() {
    let issuer = FakeIssuer::start().await;
    let remote = remote(&issuer);
    for round in 0..3 {
        issuer.rotate(Forge::p256(&format!("key-{round}")), true);
        let good: Vec<String> = (0..20).map(|number| issuer.token(&format!("user-{number}"), NOW, json!({}))).collect();
        let forged = Forge::p256(&format!("forged-{round}")).token(&issuer.claims("mallory", NOW));
        let (good, forged) = tokio::join!(
            futures_util::future::join_all(good.iter().map(|token| verify(&remote, token))),
            futures_util::future::join_all((0..20).map(|_| verify(&remote, &forged))),
        );
        assert!(good.iter().all(Result::is_ok), "{good:?}");
        assert!(forged.iter().all(|one| *one == Err(Unverified::Refused("unknown_key"))), "{forged:?}");
    }
    assert!(issuer.asked(KEYS).len() <= 7, "{}", issuer.asked(KEYS).len());
}
