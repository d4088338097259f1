//! Tokens that are ended: by somebody, by a newer one, and for how long that is known.

use super::*;

#[tokio::test]
async fn a_revoked_token_is_over_in_every_process_at_once() {
    let scene = Scene::new().await;
    let second = scene.second().await;
    let token = scene.mint(&scene.alice()).await;
    assert_eq!(state(&second, &token).await, "live");
    let presented = second.present(&token, SERVICE).await.unwrap();
    assert!(scene.tokens.revoke(&token).await.unwrap().is_some());
    assert_eq!(state(&second, &token).await, "revoked");
    assert!(second.revoke(&token).await.unwrap().is_none());
    // A look that was under way brings nothing back.
    let late = second.confirm(&presented, &scene.alice(), None).await;
    assert!(matches!(late, Err(PresentError::Ended("revoked"))));
    second.used(&presented, None).await;
    second.end(&presented, "gone").await.unwrap();
    assert_eq!(state(&second, &token).await, "revoked");
}

#[tokio::test]
async fn the_reason_of_an_end_is_kept_for_a_week() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.end(&presented, "disabled").await.unwrap();
    assert_eq!(scene.state(&token).await, "disabled");
    scene.clock.advance(7 * DAY);
    assert_eq!(scene.tokens.purge().await.unwrap(), 0);
    scene.clock.advance(1);
    assert_eq!(scene.tokens.purge().await.unwrap(), 1);
    assert_eq!(scene.state(&token).await, "unknown");
    let live = scene.mint(&scene.alice()).await;
    assert_eq!(scene.tokens.purge().await.unwrap(), 0);
    assert_eq!(scene.state(&live).await, "live");
    scene.clock.advance(38 * DAY);
    assert_eq!(scene.tokens.purge().await.unwrap(), 1);
}

#[tokio::test]
async fn the_fifty_first_token_ends_the_one_unused_for_longest() {
    let scene = Scene::new().await;
    let alice = scene.alice();
    let mut minted = Vec::new();
    for _ in 0..50 {
        minted.push(scene.mint(&alice).await);
        scene.clock.advance(MINUTE);
    }
    let first = scene.tokens.present(&minted[0], SERVICE).await.unwrap();
    scene.tokens.used(&first, None).await;
    // Other services and other people do not count.
    scene.tokens.mint(&alice, "other.example", "print", None, Recheck::ByProvider, BIRTH).await.unwrap();
    scene.mint(&Identity { id: "uuid-2".to_owned(), ..alice.clone() }).await;
    assert_ne!(scene.state(&minted[1]).await, "replaced");
    scene.mint(&alice).await;
    assert_eq!(scene.state(&minted[1]).await, "replaced");
    assert_ne!(scene.state(&minted[0]).await, "replaced");
    assert_ne!(scene.state(&minted[2]).await, "replaced");
}

#[tokio::test]
async fn who_has_the_same_id_at_another_issuer_sees_and_ends_nothing() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    let own = scene.tokens.of("staff", "print", "uuid-1").await.unwrap();
    assert_eq!(own.len(), 1);
    assert!(scene.tokens.of("staff", "other", "uuid-1").await.unwrap().is_empty());
    assert!(scene.tokens.revoke_own(&own[0].id, "staff", "other", "uuid-1").await.unwrap().is_none());
    assert_eq!(scene.state(&token).await, "live");
    assert!(scene.tokens.revoke_own(&own[0].id, "staff", "print", "uuid-1").await.unwrap().is_some());
    assert_eq!(scene.state(&token).await, "revoked");
}
