//! What becomes of a saved login.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Scene, TOKEN};

#[tokio::test]
async fn a_renewal_is_used_once_and_the_next_one_is_kept() {
    let scene = Scene::new().await;
    let token = scene.logged_in(Some("R0")).await;
    for round in 1..4 {
        scene.clock.advance(300);
        scene.issuer.next(TOKEN, scene.tokens("alice", Some(&format!("R{round}"))));
        assert_eq!(scene.pull(&token).await.status, 200);
        assert_eq!(scene.pull(&token).await.status, 200, "no look is due");
    }
    assert_eq!(scene.refreshed(), ["R0", "R1", "R2"]);
    scene.clock.advance(300);
    scene.says("invalid_grant");
    let ended = scene.pull(&token).await;
    assert_eq!((ended.status, ended.message().starts_with("the saved login has ended: ")), (401, true));
    assert_eq!(scene.audit().pop().unwrap()["reason"], "session_ended");
    assert_eq!(scene.pull(&token).await.status, 401);
    assert_eq!(scene.refreshed().len(), 4, "an ended one is not asked about");
}

#[tokio::test]
async fn without_a_renewal_a_login_lives_for_half_a_day() {
    let scene = Scene::new().await;
    let flow = scene.start().await;
    scene.approves(None);
    let done = scene.poll(&flow).await;
    assert_eq!(done.json["expires_in"], json!(12 * 3600));
    scene.clock.advance(12 * 3600 - 1);
    assert_eq!(scene.pull(&done.text("refresh_token")).await.status, 200);
    assert!(scene.refreshed().is_empty());
    scene.clock.advance(1);
    assert_eq!(scene.pull(&done.text("refresh_token")).await.status, 401);
}

#[tokio::test]
async fn many_at_once_use_one_renewal_once() {
    let scene = Arc::new(Scene::new().await);
    let token = scene.logged_in(Some("R0")).await;
    scene.clock.advance(300);
    scene.issuer.next(TOKEN, scene.tokens("alice", Some("R1")).after(Duration::from_millis(50)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (scene, token) = (Arc::clone(&scene), token.clone());
        tasks.spawn(async move { scene.pull(&token).await.status });
    }
    assert_eq!(tasks.join_all().await, [200; 10]);
    assert_eq!(scene.refreshed(), ["R0"]);
}

#[tokio::test]
async fn who_waits_in_vain_gets_503_and_the_late_answer_is_kept() {
    let scene = Arc::new(Scene::with("device_grant: {enabled: true}", "request_deadline: 1s").await);
    let token = scene.logged_in(Some("R0")).await;
    scene.clock.advance(300);
    let before = scene.issuer.asked(TOKEN).len();
    scene.issuer.next(TOKEN, scene.tokens("alice", Some("R1")).after(Duration::from_millis(1700)));
    scene.issuer.always(TOKEN, scene.tokens("alice", Some("R2")));
    let first = tokio::spawn({
        let (scene, token) = (Arc::clone(&scene), token.clone());
        async move { scene.pull(&token).await.status }
    });
    scene.issuer.was_asked(TOKEN, before + 1).await;
    let second = scene.pull(&token).await;
    assert_eq!((second.status, second.headers.contains_key("retry-after")), (503, true), "{}", second.json);
    assert_eq!(first.await.unwrap(), 503);
    assert_eq!(scene.refreshed(), ["R0"]);
    // The issuer answered after all: the old one is never shown again.
    assert_eq!(scene.pull(&token).await.status, 200);
    assert_eq!(scene.refreshed(), ["R0", "R1"]);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_lose_the_renewal() {
    let scene = Arc::new(Scene::new().await);
    let token = scene.logged_in(Some("R0")).await;
    scene.clock.advance(300);
    let before = scene.issuer.asked(TOKEN).len();
    scene.issuer.next(TOKEN, scene.tokens("alice", Some("R1")).after(Duration::from_millis(100)));
    let leaving = tokio::spawn({
        let (scene, token) = (Arc::clone(&scene), token.clone());
        async move { scene.pull(&token).await.status }
    });
    scene.issuer.was_asked(TOKEN, before + 1).await;
    leaving.abort();
    assert!(leaving.await.is_err());
    // The next one waits for the look that goes on.
    assert_eq!(scene.pull(&token).await.status, 200);
    assert_eq!(scene.refreshed(), ["R0"]);
    scene.clock.advance(300);
    scene.issuer.next(TOKEN, scene.tokens("alice", Some("R2")));
    assert_eq!(scene.pull(&token).await.status, 200);
    assert_eq!(scene.refreshed(), ["R0", "R1"]);
}
