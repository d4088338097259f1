//! What is left of logins that are over.

use super::shared::renewal;
use super::*;
use crate::authn::verdict::SESSION_ENDED;

impl Scene {
    /// What is to be given back, and of which token.
    async fn due(&self) -> Vec<(String, String)> {
        due(&self.tokens).await
    }

    async fn id(&self, token: &SecretString) -> String {
        self.tokens.present(token, SERVICE).await.unwrap().id
    }

    /// Whether the database holds a renewal of this token.
    async fn holds_a_renewal(&self, id: &str) -> bool {
        let listed = self.tokens.list().await.unwrap().into_iter().find(|listed| listed.id == id).unwrap();
        listed.row.unwrap().renewal.is_some()
    }

    async fn reason(&self, id: &str) -> &'static str {
        self.tokens.list().await.unwrap().into_iter().find(|listed| listed.id == id).unwrap().state
    }
}

fn text(renewal: Option<&Renewal>) -> String {
    renewal.map_or_else(|| "none".to_owned(), |renewal| String::from_utf8(renewal.0.to_vec()).unwrap())
}

async fn due(tokens: &IdentityTokens) -> Vec<(String, String)> {
    let (mut found, mut place) = (Vec::new(), Some(0));
    while let Some(after) = place {
        let page = tokens.leftovers(after).await.unwrap();
        found.extend(page.found.iter().map(|leftover| (leftover.id().to_owned(), text(leftover.renewal.as_ref()))));
        place = page.next;
    }
    found
}

async fn only_leftover(tokens: &IdentityTokens) -> Leftover {
    let mut found = tokens.leftovers(0).await.unwrap().found;
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[tokio::test]
async fn a_login_that_is_over_leaves_its_renewal_once() {
    let scene = Scene::new().await;
    let alice = scene.alice();
    let (ended, live) =
        (scene.mint_with(&alice, SERVICE, "print", "first").await, scene.mint_with(&alice, SERVICE, "print", "second").await);
    let without = scene.mint_without_renewal(&alice, BIRTH).await;
    let id = scene.id(&ended).await;
    assert_eq!(scene.due().await, []);
    for token in [&ended, &without] {
        scene.tokens.revoke(token).await.unwrap();
    }
    assert_eq!(scene.due().await, [(id.clone(), "first".to_owned())]);
    let leftover = only_leftover(&scene.tokens).await;
    assert_eq!(leftover.person(), Person::of(&alice, "print"));
    assert!(!leftover.ended_there() && !format!("{leftover:?}").contains("first"));
    assert_eq!(scene.tokens.renewals_of_person(leftover.person()).await.unwrap(), [renewal("second")]);
    assert!(scene.tokens.forget_renewal(&leftover).await.unwrap());
    assert!(!scene.tokens.forget_renewal(&leftover).await.unwrap(), "another process was faster");
    assert!(!scene.holds_a_renewal(&id).await);
    assert_eq!((scene.due().await, scene.state(&ended).await, scene.state(&live).await), (vec![], "revoked", "live"));
}

#[tokio::test]
async fn every_end_leaves_it_and_a_week_later_it_is_gone() {
    let scene = Scene::new().await;
    let alice = scene.alice();
    let mut ids = Vec::new();
    for reason in ["password_changed", "claim_required", SESSION_ENDED] {
        let token = scene.mint_with(&alice, SERVICE, "print", reason).await;
        let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
        scene.tokens.end(&presented, reason).await.unwrap();
        ids.push((presented.id, reason.to_owned()));
    }
    // By another process.
    let token = scene.mint_with(&alice, SERVICE, "print", "by id").await;
    let id = scene.id(&token).await;
    assert_eq!(scene.second().await.revoke_selected(&Selection::Id(id.clone())).await.unwrap(), 1);
    ids.push((id, "by id".to_owned()));
    assert_eq!(scene.due().await, ids);
    let ended_there = scene.tokens.leftovers(0).await.unwrap().found.iter().map(Leftover::ended_there).collect::<Vec<_>>();
    assert_eq!(ended_there, [false, false, true, false]);
    scene.clock.advance(7 * DAY + 1);
    scene.tokens.purge().await.unwrap();
    assert_eq!(scene.due().await, []);
}

#[tokio::test]
async fn one_too_many_is_over() {
    let scene = Scene::new().await;
    let alice = scene.alice();
    for number in 0..=AT_MOST {
        scene.mint_with(&alice, SERVICE, "print", &number.to_string()).await;
        scene.clock.advance(1);
    }
    assert_eq!(scene.due().await.into_iter().map(|(_, renewal)| renewal).collect::<Vec<_>>(), ["0"]);
}

#[tokio::test]
async fn what_ends_by_itself_is_over_for_good() {
    let scene = Scene::new().await;
    let (device, page) = (scene.mint_signed_in(Born::Device).await, scene.mint_signed_in(Born::SignIn).await);
    let (device_id, page_id) = (scene.id(&device).await, scene.id(&page).await);
    scene.clock.advance(7 * DAY - 1);
    let late = scene.tokens.present(&device, SERVICE).await.unwrap();
    assert_eq!(scene.due().await, []);
    scene.clock.advance(1);
    assert_eq!(scene.due().await, [(device_id.clone(), "refresh-0".to_owned())]);
    // A look that began when it lived does not bring it back.
    assert!(matches!(scene.tokens.confirm(&late, &late.identity, None).await, Err(PresentError::Ended("absolute"))));
    let leftover = only_leftover(&scene.tokens).await;
    scene.tokens.forget_renewal(&leftover).await.unwrap();
    scene.clock.advance(23 * DAY - 1);
    assert_eq!(scene.due().await, []);
    scene.clock.advance(1);
    assert_eq!(scene.due().await, [(page_id.clone(), "refresh-0".to_owned())]);
    assert_eq!((scene.reason(&device_id).await, scene.reason(&page_id).await), ("absolute", "idle"));
    // Nor does a longer life.
    let settings = IdentityTokenSettings { idle: Located::nowhere(Period::days(60)), ..IdentityTokenSettings::default() };
    assert_eq!(state(&open(&scene.folder, &scene.clock, settings).await, &page).await, "idle");
}

#[tokio::test]
async fn a_renewal_that_comes_when_the_login_is_over_is_left_too() {
    let scene = Scene::new().await;
    let token = scene.mint_with(&scene.alice(), SERVICE, "print", "first").await;
    scene.clock.advance(10 * MINUTE);
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.revoke(&token).await.unwrap();
    assert!(!scene.tokens.was_renewed(&presented).await.unwrap());
    // Before the first was given back …
    assert!(matches!(scene.tokens.keep_renewal(&presented, &renewal("second")).await, Err(PresentError::Ended("revoked"))));
    let id = presented.id.clone();
    assert_eq!(scene.due().await, [(id.clone(), "second".to_owned())]);
    let leftover = only_leftover(&scene.tokens).await;
    scene.tokens.forget_renewal(&leftover).await.unwrap();
    assert!(!scene.tokens.was_renewed(&presented).await.unwrap());
    // … and after it.
    let confirmed = scene.tokens.confirm(&presented, &presented.identity, Some(renewal("third"))).await;
    assert!(matches!(confirmed, Err(PresentError::Ended("revoked"))));
    assert_eq!(scene.due().await, [(id, "third".to_owned())]);
    assert_eq!(scene.state(&token).await, "revoked");
    // One that was the same all the time is no new one.
    let leftover = only_leftover(&scene.tokens).await;
    scene.tokens.forget_renewal(&leftover).await.unwrap();
    assert!(scene.tokens.confirm(&presented, &presented.identity, presented.renewal.clone()).await.is_err());
    assert_eq!(scene.due().await, []);
}

#[tokio::test]
async fn who_changes_the_row_meanwhile_is_not_overwritten() {
    let scene = Scene::new().await;
    let token = scene.mint_with(&scene.alice(), SERVICE, "print", "first").await;
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.revoke(&token).await.unwrap();
    let leftover = only_leftover(&scene.tokens).await;
    let _ = scene.second().await.keep_renewal(&presented, &renewal("second")).await;
    assert!(!scene.tokens.forget_renewal(&leftover).await.unwrap());
    assert_eq!(scene.due().await, [(presented.id, "second".to_owned())]);
}

#[tokio::test]
async fn what_others_wrote_is_left_out() {
    let scene = Scene::new().await;
    let alice = scene.alice();
    let tokens = [scene.mint_with(&alice, SERVICE, "print", "first").await, scene.mint_with(&alice, SERVICE, "print", "second").await];
    let ids = [scene.id(&tokens[0]).await, scene.id(&tokens[1]).await];
    for token in &tokens {
        scene.tokens.revoke(token).await.unwrap();
    }
    scene.forge(&format!("UPDATE identity_tokens SET provider = 'evil' WHERE id = '{}'", ids[0])).await;
    assert_eq!(scene.due().await, [(ids[1].clone(), "second".to_owned())]);
}

#[tokio::test]
async fn all_of_many_are_found() {
    let scene = Scene::new().await;
    for number in 0..450 {
        let person = Identity { id: format!("uuid-{number}"), ..scene.alice() };
        let token = scene.mint_with(&person, SERVICE, "print", &number.to_string()).await;
        scene.tokens.revoke(&token).await.unwrap();
    }
    assert_eq!(
        scene.due().await.into_iter().map(|(_, text)| text).collect::<Vec<_>>(),
        (0..450).map(|n| n.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn an_end_is_heard_of() {
    let scene = Scene::new().await;
    let token = scene.mint_with(&scene.alice(), SERVICE, "print", "first").await;
    assert!(futures_util::FutureExt::now_or_never(scene.tokens.ended()).is_none());
    scene.tokens.revoke(&token).await.unwrap();
    scene.tokens.ended().await;
    assert!(futures_util::FutureExt::now_or_never(scene.tokens.ended()).is_none());
}
