//! Whether somebody who signed in earlier still may.

use super::super::fake::DISCOVERY;
use super::super::flow::{Callback, SignInError};
use super::*;
use crate::authn::attempt::Attempt;
use crate::authn::authenticator::Freshness;
use crate::authn::identity::{IdentityClaims, Kind};
use crate::authn::provider::Health;
use crate::authn::verdict::{Renewal, Standing, Unavailable};

pub(super) fn alice() -> Identity {
    Identity {
        realm: Arc::from("corp"),
        provider: Arc::from("sso"),
        id: "7".to_owned(),
        username: "alice".to_owned(),
        groups: Vec::new(),
        kind: Kind::Person,
        method: Method::SignIn,
        proven: NOW.plus(-5000),
        marker: None,
        claims: IdentityClaims::new(),
        second_factor: SecondFactor::Used(NOW.plus(-5000)),
    }
}

fn shown(standing: &Result<Standing, Unavailable>) -> String {
    match standing {
        Ok(Standing::Good(identity)) => format!("{} {}", identity.username, group_names(identity).join(" ")),
        Ok(Standing::Ended(word)) => format!("ended: {word}"),
        Err(error) => error.reason.clone(),
    }
}

/// What a re-check comes to, and the refresh token that is kept after it.
async fn recheck(scene: &Scene) -> (String, String) {
    let renewal = Some(Renewal::from(b"rt-1".to_vec()));
    let (standing, renewal) = scene.party.recheck(&alice(), renewal, &circumstances()).await;
    (shown(&standing), renewal.map_or_else(|| "none".to_owned(), |renewal| String::from_utf8(renewal.0.to_vec()).unwrap()))
}

async fn check(scene: &Scene, expected: &str, kept: &str) {
    assert_eq!(recheck(scene).await, (expected.to_owned(), kept.to_owned()));
}

#[tokio::test]
async fn a_fresh_token_is_who_they_are_now() {
    let scene = scene("mfa: {amr: [otp]}").await;
    scene.grants("7", json!({"preferred_username": "alice.b", "groups": ["new"], "amr": ["pwd"]}), &[("refresh_token", "rt-2")]);
    let (standing, renewal) = scene.party.recheck(&alice(), Some(Renewal::from(b"rt-1".to_vec())), &circumstances()).await;
    let Ok(Standing::Good(identity)) = standing else { panic!("{standing:?}") };
    assert_eq!((identity.username.as_str(), group_names(&identity)), ("alice.b", vec!["new"]));
    // How it was proven stays as it was at the login.
    assert_eq!(method_and_time(&identity), (Method::SignIn, NOW.plus(-5000), SecondFactor::Used(NOW.plus(-5000))));
    assert_eq!(renewal, Some(Renewal::from(b"rt-2".to_vec())));
    let form = scene.forms().pop().unwrap();
    assert_eq!((form["grant_type"].as_str(), form["refresh_token"].as_str()), ("refresh_token", "rt-1"));
}

#[tokio::test]
async fn without_a_new_refresh_token_the_old_one_stays() {
    let scene = scene("").await;
    scene.grants("7", json!({"groups": ["dev"]}), &[]);
    check(&scene, "7 dev", "rt-1").await;
}

#[tokio::test]
async fn a_new_refresh_token_is_kept_whatever_comes_of_the_rest() {
    let scene = scene("identity: {require: {hd: corp.example}}").await;
    let next = [("refresh_token", "rt-2")];
    for (claims, expected) in [
        (json!({"hd": "corp.example", "aud": "other"}), "the id_token of a re-check is not accepted: audience"),
        (json!({"hd": "corp.example", "sub": "8"}), "a refresh token brought somebody else's id_token"),
        (json!({"hd": "corp.example", "iat": NOW.0 - 61}), "a refresh token brought an id_token of an earlier time"),
        (json!({"hd": "corp.example", "groups": 5}), "groups: `groups` holds a number, where groups are texts"),
        (json!({"hd": "other.example"}), "ended: claim_required"),
        (json!({"hd": "corp.example", "iat": NOW.0 - 60}), "7 "),
        // One of the sign-in proves nothing, and hurts nobody.
        (json!({"hd": "corp.example", "nonce": "of then"}), "7 "),
    ] {
        scene.grants("7", claims, &next);
        check(&scene, expected, "rt-2").await;
    }
    // Neither keys nor userinfo can be had.
    let other = self::scene("").await;
    other.issuer.always(super::super::fake::KEYS, Reply::text(500, ""));
    other.grants("7", json!({}), &next);
    let (reason, kept) = recheck(&other).await;
    assert!(reason.contains("HTTP status 500") && kept == "rt-2", "{reason} {kept}");
    other.issuer.next(TOKEN, Reply::json(200, &json!({"access_token": "at", "refresh_token": "rt-3"})));
    other.issuer.next(USERINFO, Reply::text(503, ""));
    let (reason, kept) = recheck(&other).await;
    assert!(reason.contains("HTTP status 503") && kept == "rt-3", "{reason} {kept}");
}

#[tokio::test]
async fn a_session_that_the_issuer_ended_is_over_and_an_outage_is_not() {
    let scene = scene("").await;
    for (status, error, description, expected) in [
        (400, "invalid_grant", "Session not active", "ended: session_ended"),
        (400, "interaction_required", "", "ended: session_ended"),
        (400, "invalid_grant", "AADSTS50173", "ended: session_ended"),
        (
            400,
            "invalid_grant",
            "AADSTS50053: locked",
            "the token endpoint refuses a refresh token without saying why: invalid_grant AADSTS50053 (HTTP 400)",
        ),
        (401, "invalid_client", "of rt-1", "the token endpoint refuses the client: invalid_client (HTTP 401)"),
        (400, "unauthorized_client", "", "the token endpoint refuses the client: unauthorized_client (HTTP 400)"),
        (400, "server_error", "", "the token endpoint refuses a refresh token without saying why: server_error (HTTP 400)"),
    ] {
        scene.refuses(status, error, description);
        check(&scene, expected, "rt-1").await;
    }
    for (reply, expected) in [
        (Reply::text(403, "<html>"), "token endpoint: HTTP status 403 with a body that is no OAuth error"),
        (Reply::text(403, ""), "the token endpoint refuses a refresh token without saying why: an empty body (HTTP 403)"),
        (Reply::text(500, ""), "127.0.0.1: HTTP status 500"),
    ] {
        scene.issuer.next(TOKEN, reply);
        check(&scene, expected, "rt-1").await;
    }
}

#[tokio::test]
async fn nobody_is_good_without_being_looked_at() {
    let scene = scene("").await;
    let (standing, renewal) = scene.party.recheck(&alice(), None, &circumstances()).await;
    assert_eq!((shown(&standing).as_str(), renewal), ("there is no refresh token of the sign-in to ask with", None));
    let odd = Some(Renewal::from(vec![0xff]));
    let (standing, renewal) = scene.party.recheck(&alice(), odd.clone(), &circumstances()).await;
    assert_eq!((shown(&standing).as_str(), renewal), ("the refresh token that was kept is none", odd));
    assert!(scene.issuer.asked(DISCOVERY).is_empty());
}

#[tokio::test]
async fn microsoft_dates_its_tokens_back() {
    let scene = scene("preset: entra\nidentity: {username: sub}").await;
    scene.grants("7", json!({"iat": NOW.0 - 360}), &[]);
    check(&scene, "7 ", "rt-1").await;
    scene.grants("7", json!({"iat": NOW.0 - 361}), &[]);
    check(&scene, "a refresh token brought an id_token of an earlier time", "rt-1").await;
}

#[tokio::test]
async fn userinfo_alone_has_to_hold_everything() {
    let scene = scene("groups: {sources: [{claim: groups}, {from: userinfo, claim: roles}]}").await;
    for (userinfo, expected) in [
        (json!({"sub": "7", "preferred_username": "alice", "groups": ["dev"], "roles": ["r"]}), "alice dev r"),
        (json!({"sub": "7", "preferred_username": "alice", "groups": [], "roles": []}), "alice "),
        (
            json!({"sub": "7", "preferred_username": "alice", "roles": ["r"]}),
            "a re-check brought no id_token, and userinfo does not hold the groups at `groups`, `roles`",
        ),
        (
            json!({"sub": "7", "groups": ["a"], "roles": ["r"], "hasgroups": true}),
            "a re-check brought no id_token, and userinfo not every group (`hasgroups` says that there are more groups than fit into a token)",
        ),
        (json!({"sub": "8", "groups": ["dev"], "roles": ["r"]}), "the userinfo endpoint's `sub` is not that of the id_token"),
    ] {
        scene.issuer.next(TOKEN, Reply::json(200, &json!({"access_token": "at", "refresh_token": "rt-2"})));
        scene.tells(&userinfo);
        check(&scene, expected, "rt-2").await;
    }
    assert_eq!(scene.issuer.asked(USERINFO).pop().unwrap().authorization.as_deref(), Some("Bearer at"));
    let none = self::scene("").await;
    none.issuer.metadata("userinfo_endpoint", Value::Null);
    none.issuer.next(TOKEN, Reply::json(200, &json!({"access_token": "at"})));
    check(&none, "a re-check brought no id_token, and there is no userinfo endpoint to ask", "rt-1").await;
}

#[tokio::test]
async fn what_strangers_bring_about_ends_no_look() {
    let scene = scene("password_grant: {enabled: true}").await;
    let kept = scene.party.authorize(&"https://auth.corp.example/x".parse().unwrap(), soon()).await.unwrap().kept;
    let throttles = || scene.issuer.next(TOKEN, Reply::text(429, "").header("retry-after", "40"));
    throttles();
    let callback = Callback { code: secret("made-up"), issuer: Some(scene.issuer.issuer()) };
    assert!(matches!(scene.party.exchange(&kept, callback, soon()).await, Err(SignInError::Unavailable(_))));
    assert!(matches!(scene.party.health(), Health::Impaired(_)));
    // For 40 s nobody guesses codes, passwords and devices there …
    assert!(scene.party.verify("alice", &secret("guess"), &circumstances(), Freshness::AskNow, &Attempt::default()).await.is_err());
    assert!(scene.party.poll_device(&secret("made-up"), soon()).await.is_err());
    assert_eq!(scene.forms().len(), 1);
    // … and who has signed in goes on.
    scene.grants("7", json!({"preferred_username": "alice"}), &[]);
    check(&scene, "alice ", "rt-1").await;
}

#[tokio::test]
async fn what_an_issuer_cannot_say_of_one_is_no_outage_for_the_others() {
    let scene = scene("").await;
    let good = async || {
        scene.grants("7", json!({"preferred_username": "alice"}), &[]);
        check(&scene, "alice ", "rt-1").await;
    };
    good().await;
    // As Dex answers for somebody who is gone.
    for _ in 0..10 {
        scene.issuer.next(TOKEN, Reply::json(500, &json!({"error": "invalid_request"})));
        check(&scene, "127.0.0.1: HTTP status 500", "rt-1").await;
    }
    assert_eq!(scene.party.health(), Health::Up);
    good().await;
    scene.issuer.next(TOKEN, Reply::json(500, &json!({"error": "server_error"})));
    check(&scene, "127.0.0.1: HTTP status 500", "rt-1").await;
    assert!(matches!(scene.party.health(), Health::Down(_)));
}
