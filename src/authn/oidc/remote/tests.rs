//! An issuer that changes its keys, fails, lies and comes back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::super::fake::{DEVICE, DISCOVERY, FakeIssuer, KEYS, Reply, TOKEN};
use super::*;
use crate::authn::jwt::forge::Forge;
use crate::clock::Timestamp;

const NOW: Timestamp = Timestamp(1_800_000_000);

fn remote(issuer: &FakeIssuer) -> Remote {
    remote_with(issuer, "")
}

fn remote_with(issuer: &FakeIssuer, more: &str) -> Remote {
    let (settings, file) = issuer.settings(more);
    Remote::build(Arc::from("sso"), &settings, &file, &Clock::fixed(NOW)).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(8)
}

async fn verify(remote: &Remote, token: &str) -> Result<String, Unverified> {
    remote.verify(token, Checks::default(), soon()).await.map(|claims| claims["sub"].as_str().unwrap().to_owned())
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
