//! How long a token lives, and what shortens that.

use super::*;

#[tokio::test]
async fn an_idle_token_ends() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    scene.clock.advance(29 * DAY);
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.used(&presented, None).await;
    scene.clock.advance(30 * DAY - 1);
    assert_eq!(scene.state(&token).await, "recheck");
    scene.clock.advance(1);
    assert_eq!(scene.state(&token).await, "idle");
}

#[tokio::test]
async fn use_does_not_prolong_the_absolute_life() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    for _ in 0..89 {
        scene.clock.advance(DAY);
        let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
        scene.tokens.confirm(&presented, &scene.alice(), None).await.unwrap();
    }
    scene.clock.advance(DAY - 1);
    assert_eq!(scene.state(&token).await, "recheck");
    scene.clock.advance(1);
    assert_eq!(scene.state(&token).await, "absolute");
}

#[tokio::test]
async fn what_cannot_be_checked_lives_shorter() {
    let scene = Scene::new().await;
    let alice = scene.alice();
    let unmarked = scene.mint_without_renewal(&Identity { marker: None, ..alice.clone() }, BIRTH).await;
    let unchecked = scene.tokens.mint(&alice, SERVICE, "print", None, Recheck::Impossible, BIRTH).await.unwrap();
    let workload = scene.mint(&Identity { kind: Kind::Workload, method: Method::Workload, ..alice.clone() }).await;
    scene.clock.advance(HOUR - 1);
    assert_eq!([scene.state(&unmarked).await, scene.state(&unchecked).await, scene.state(&workload).await], ["recheck", "live", "recheck"]);
    scene.clock.advance(1);
    assert_eq!(scene.state(&workload).await, "absolute");
    scene.clock.advance(11 * HOUR - 1);
    assert_eq!(scene.state(&unchecked).await, "live");
    scene.clock.advance(1);
    assert_eq!(scene.state(&unchecked).await, "absolute");
    scene.clock.advance(7 * DAY - 12 * HOUR - 1);
    assert_eq!(scene.state(&unmarked).await, "recheck");
    scene.clock.advance(1);
    assert_eq!(scene.state(&unmarked).await, "absolute");
}

#[tokio::test]
async fn a_marker_that_can_no_longer_be_read_shortens_the_life() {
    let scene = Scene::new().await;
    let token = scene.mint_without_renewal(&scene.alice(), BIRTH).await;
    scene.clock.advance(DAY);
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&presented, &Identity { marker: None, ..scene.alice() }, None).await.unwrap();
    scene.clock.advance(6 * DAY);
    assert_eq!(scene.state(&token).await, "absolute");
}

#[tokio::test]
async fn a_login_by_device_lives_for_a_week_and_a_sign_in_as_long_as_its_session() {
    let scene = Scene::new().await;
    let (sign_in, device) = (scene.mint_signed_in(Born::SignIn).await, scene.mint_signed_in(Born::Device).await);
    let in_band = scene.mint_signed_in(Born::InBand).await;
    let without = scene.mint_without_renewal(&scene.alice(), Birth { how: Born::Device, source: None }).await;
    let ends = scene.clock.now().plus(7 * DAY);
    for token in [&device, &in_band, &without] {
        assert_eq!(scene.tokens.present(token, SERVICE).await.unwrap().ends, ends);
    }
    scene.clock.advance(7 * DAY);
    assert_eq!([scene.state(&device).await, scene.state(&in_band).await, scene.state(&without).await], ["absolute"; 3]);
    assert_eq!(scene.state(&sign_in).await, "recheck");
    // A look changes nothing of it.
    let presented = scene.tokens.present(&sign_in, SERVICE).await.unwrap();
    assert_eq!(presented.ends, ends.plus(83 * DAY));
    scene.tokens.confirm(&presented, &Identity { marker: None, ..scene.alice() }, None).await.unwrap();
    let listed = scene.tokens.list().await.unwrap();
    assert!(listed.iter().any(|listed| listed.state == "live" && listed.birth.is_some_and(|birth| birth.how == Born::SignIn)));
}

#[tokio::test]
async fn a_clock_that_was_ahead_asks_for_a_look_and_ends_nothing() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    scene.clock.advance(10_000 * DAY);
    assert_eq!(scene.state(&token).await, "absolute");
    scene.clock.advance(-10_000 * DAY - HOUR);
    assert_eq!(scene.state(&token).await, "recheck");
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&presented, &scene.alice(), None).await.unwrap();
    assert_eq!(scene.state(&token).await, "live");
    scene.clock.advance(i64::MAX - scene.clock.now().0);
    assert_eq!(scene.state(&token).await, "absolute");
}
