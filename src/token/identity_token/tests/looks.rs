//! When a person is looked at again, and what comes of it.

use super::*;

#[tokio::test]
async fn an_old_look_asks_for_another() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    scene.clock.advance(5 * MINUTE - 1);
    assert_eq!(scene.state(&token).await, "live");
    scene.clock.advance(1);
    assert_eq!(scene.state(&token).await, "recheck");
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    let renamed = Identity { username: "alice2".to_owned(), groups: vec![Group::named("new")], ..scene.alice() };
    scene.tokens.confirm(&presented, &renamed, Some(Renewal::from(vec![9]))).await.unwrap();

    let second = scene.second().await.present(&token, SERVICE).await.unwrap();
    assert!(!second.needs_recheck);
    assert_eq!(second.identity.username, "alice2");
    assert_eq!(second.identity.groups, vec![Group::named("new")]);
    assert_eq!(second.identity.proven, presented.identity.proven);
    assert_eq!(second.renewal, Some(Renewal::from(vec![9])));
    assert_eq!(second.looked, scene.clock.now());
}

#[tokio::test]
async fn recheck_of_no_time_looks_at_every_use() {
    let settings = IdentityTokenSettings { recheck: Located::nowhere(Period::seconds(0)), ..IdentityTokenSettings::default() };
    let scene = Scene::with(settings).await;
    let token = scene.mint(&scene.alice()).await;
    assert_eq!(scene.state(&token).await, "recheck");
}

#[tokio::test]
async fn a_look_at_somebody_else_or_after_a_new_password_ends_the_token() {
    let scene = Scene::new().await;
    let others = [
        (Identity { id: "uuid-2".to_owned(), ..scene.alice() }, "other_identity"),
        (Identity { provider: Arc::from("else"), ..scene.alice() }, "other_identity"),
        (Identity { realm: Arc::from("else"), ..scene.alice() }, "other_identity"),
        (Identity { marker: Some(PasswordMarker("20260202".to_owned())), ..scene.alice() }, "password_changed"),
    ];
    for (other, reason) in others {
        let token = scene.mint(&scene.alice()).await;
        let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
        let refused = scene.tokens.confirm(&presented, &other, None).await;
        assert!(matches!(refused, Err(PresentError::Ended(found)) if found == reason));
        assert_eq!(scene.state(&token).await, reason);
    }
}

#[tokio::test]
async fn a_second_factor_stays_that_of_the_login_and_claims_are_those_of_the_last_look() {
    let scene = Scene::new().await;
    let claims = |value: &str| IdentityClaims::from([("dept".to_owned(), vec![value.to_owned()])]);
    let login = Identity { claims: claims("a"), second_factor: SecondFactor::Used(Timestamp(77)), ..scene.alice() };
    let token = scene.mint(&login).await;
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    assert_eq!((&presented.identity.claims, presented.identity.second_factor), (&login.claims, login.second_factor));
    scene.clock.advance(60);
    let again = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&again, &Identity { claims: claims("b"), ..scene.alice() }, None).await.unwrap();
    let after = scene.tokens.present(&token, SERVICE).await.unwrap().identity;
    assert_eq!((after.claims, after.second_factor), (claims("b"), SecondFactor::Used(Timestamp(77))));
}

#[tokio::test]
async fn an_older_look_does_not_undo_a_newer_one() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    let slow = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.clock.advance(MINUTE);
    let fast = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&fast, &Identity { groups: vec![], ..scene.alice() }, None).await.unwrap();
    scene.tokens.confirm(&slow, &scene.alice(), None).await.unwrap();
    assert_eq!(scene.tokens.present(&token, SERVICE).await.unwrap().identity.groups, vec![]);
}
