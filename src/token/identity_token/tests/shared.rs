//! Whose renewals a person's sign-in touches, and whose it leaves alone.

use super::*;

pub(super) fn renewal(text: &str) -> Renewal {
    Renewal::from(text.as_bytes().to_vec())
}

impl Scene {
    pub(super) async fn mint_with(&self, identity: &Identity, service: &str, fingerprint: &str, text: &str) -> SecretString {
        let (renewal, recheck) = (Some(renewal(text)), Recheck::ByProvider);
        self.tokens.mint(identity, service, fingerprint, renewal, recheck, BIRTH).await.unwrap()
    }

    async fn text(&self, token: &SecretString, service: &str) -> String {
        let presented = self.tokens.present(token, service).await.unwrap();
        presented.renewal.map_or_else(|| "none".to_owned(), |renewal| String::from_utf8(renewal.0.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn a_sign_in_reaches_the_persons_live_logins_and_no_others() {
    let scene = Scene::new().await;
    let alice = scene.alice();
    let here = scene.mint_with(&alice, SERVICE, "print", "old").await;
    let elsewhere = scene.mint_with(&alice, "other.example", "print", "old").await;
    let other_issuer = scene.mint_with(&alice, SERVICE, "another print", "old").await;
    let other_realm = scene.mint_with(&Identity { realm: Arc::from("lab"), ..alice.clone() }, SERVICE, "print", "old").await;
    let other_provider = scene.mint_with(&Identity { provider: Arc::from("sso"), ..alice.clone() }, SERVICE, "print", "old").await;
    let bob = scene.mint_with(&Identity { id: "uuid-2".to_owned(), ..alice.clone() }, SERVICE, "print", "old").await;
    let without = scene.tokens.mint(&alice, SERVICE, "print", None, Recheck::Impossible, BIRTH).await.unwrap();
    let ended = scene.mint_with(&alice, SERVICE, "print", "old").await;
    scene.tokens.revoke(&ended).await.unwrap();

    scene.clock.advance(MINUTE);
    scene.tokens.share(&alice, "print", &renewal("new"), scene.clock.now()).await.unwrap();
    assert_eq!((scene.text(&here, SERVICE).await, scene.text(&elsewhere, "other.example").await), ("new".to_owned(), "new".to_owned()));
    for token in [&other_issuer, &other_realm, &other_provider, &bob] {
        assert_eq!(scene.text(token, SERVICE).await, "old");
    }
    assert_eq!(scene.text(&without, SERVICE).await, "none");
    assert_eq!(scene.state(&ended).await, "revoked");
    let presented = scene.tokens.present(&here, SERVICE).await.unwrap();
    assert_eq!(scene.tokens.renewals_of(&presented).await.unwrap(), [renewal("new")]);
}

#[tokio::test]
async fn a_sign_in_that_is_stored_late_undoes_no_later_one() {
    let scene = Scene::new().await;
    let alice = scene.alice();
    let first = scene.mint_with(&alice, SERVICE, "print", "first").await;
    let at = scene.clock.now();
    let presented = scene.tokens.present(&first, SERVICE).await.unwrap();
    scene.tokens.share(&alice, "print", &renewal("late"), at).await.unwrap();
    assert_eq!(scene.text(&first, SERVICE).await, "first", "of the same second");
    scene.clock.advance(MINUTE);
    let second = scene.mint_with(&scene.alice(), SERVICE, "print", "second").await;
    assert_eq!(scene.tokens.renewals_of(&presented).await.unwrap(), [renewal("first"), renewal("second")], "its own comes first");
    let presented = scene.tokens.present(&second, SERVICE).await.unwrap();
    assert_eq!(scene.tokens.renewals_of(&presented).await.unwrap(), [renewal("second"), renewal("first")]);
    scene.tokens.share(&alice, "print", &renewal("late"), at.plus(1)).await.unwrap();
    assert_eq!((scene.text(&first, SERVICE).await, scene.text(&second, SERVICE).await), ("late".to_owned(), "second".to_owned()));
}

#[tokio::test]
async fn a_look_replaces_what_it_used_up_and_nothing_newer() {
    let scene = Scene::new().await;
    let alice = scene.alice();
    let used = scene.mint_with(&alice, SERVICE, "print", "used").await;
    let dead = scene.mint_with(&alice, "other.example", "print", "dead").await;
    let newer = scene.mint_with(&alice, SERVICE, "print", "newer").await;
    let presented = scene.tokens.present(&dead, "other.example").await.unwrap();
    scene.tokens.replace_renewals(&presented, &[renewal("dead"), renewal("used")], &renewal("next")).await.unwrap();
    assert_eq!((scene.text(&used, SERVICE).await, scene.text(&dead, "other.example").await), ("next".to_owned(), "next".to_owned()));
    assert_eq!(scene.text(&newer, SERVICE).await, "newer");
    // The answer of the look keeps what was put in.
    scene.tokens.confirm(&presented, &alice, None).await.unwrap();
    assert_eq!(scene.text(&dead, "other.example").await, "next");
}
