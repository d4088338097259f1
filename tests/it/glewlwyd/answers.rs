//! The lab answers as the tests on it take for granted.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::Glewlwyd;
use crate::labs::accounts::Person;
use crate::labs::oidc::{ALICE, BOB, CLIENT_SECRET, Issuer, MFA, REDIRECT_URI, RelyingParty, SCOPE, claims, groups, json};
use crate::labs::wait;
use crate::slapd::{Options, Slapd};

async fn tokens(party: &RelyingParty, person: &Person) -> Value {
    json(party.password(person, person.password, SCOPE).await).await
}

#[tokio::test]
async fn the_password_grant_gives_the_groups() {
    let Some(lab) = Glewlwyd::start().await else { return };
    let party = RelyingParty::of(&lab.issuer()).await;
    let (alice, bob) = (tokens(&party, &ALICE).await, tokens(&party, &BOB).await);
    assert_eq!(groups(&claims(&alice["id_token"])), ALICE.groups);
    assert_eq!(groups(&claims(&bob["id_token"])), BOB.groups);
    assert_ne!(claims(&alice["id_token"])["sub"], ALICE.name, "its `sub` is a random one");

    let wrong = party.password(&ALICE, "wrong", SCOPE).await;
    assert_eq!(wrong.status(), StatusCode::FORBIDDEN);
    assert_eq!(wrong.text().await.unwrap(), "");
}

#[tokio::test]
async fn refreshes_see_changes_until_the_sessions_end() {
    let Some(lab) = Glewlwyd::start().await else { return };
    let party = RelyingParty::of(&lab.issuer()).await;
    let signed_in = tokens(&party, &ALICE).await;
    let refresh_token = signed_in["refresh_token"].as_str().unwrap();

    lab.set_groups(&ALICE, &["guests"]).await;
    let refreshed = json(party.refresh(refresh_token).await).await;
    assert_eq!(refreshed["id_token"], Value::Null);
    assert_eq!(refreshed["refresh_token"], Value::Null);
    let userinfo = json(party.userinfo(refreshed["access_token"].as_str().unwrap()).await).await;
    assert_eq!(groups(&userinfo), ["guests"]);

    lab.disable(&ALICE).await;
    assert_eq!(party.password(&ALICE, ALICE.password, SCOPE).await.status(), StatusCode::FORBIDDEN);
    let refreshed = json(party.refresh(refresh_token).await).await;
    let userinfo = json(party.userinfo(refreshed["access_token"].as_str().unwrap()).await).await;
    assert_eq!(groups(&userinfo), ["guests"], "Glewlwyd goes on refreshing for an account that is switched off");

    lab.enable(&ALICE).await;
    lab.end_sessions(&ALICE).await;
    assert_eq!(party.refresh(refresh_token).await.status(), StatusCode::BAD_REQUEST);

    let signed_in = tokens(&party, &BOB).await;
    lab.remove(&BOB).await;
    assert_eq!(party.refresh(signed_in["refresh_token"].as_str().unwrap()).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn it_stops_and_comes_back() {
    let Some(mut lab) = Glewlwyd::start().await else { return };
    let party = RelyingParty::of(&lab.issuer()).await;
    lab.stop();
    assert!(reqwest::get(party.endpoint("jwks_uri")).await.is_err_and(|error| error.is_connect()));
    lab.restart().await;
    tokens(&party, &ALICE).await;

    lab.freeze();
    let asked = reqwest::Client::new().get(party.endpoint("jwks_uri")).timeout(Duration::from_millis(200)).send().await;
    assert!(asked.is_err_and(|error| error.is_timeout()));
    lab.thaw();
    tokens(&party, &ALICE).await;
}

#[tokio::test]
async fn refresh_tokens_rotate_when_asked() {
    let Some(lab) = Glewlwyd::start().await else { return };
    lab.rotate_refresh_tokens().await;
    let party = RelyingParty::of(&lab.issuer()).await;
    let signed_in = tokens(&party, &ALICE).await;
    let first = signed_in["refresh_token"].as_str().unwrap();
    let refreshed = json(party.refresh(first).await).await;
    let second = refreshed["refresh_token"].as_str().expect("a new refresh token");
    assert_ne!(first, second);
    assert_eq!(party.refresh(first).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_device_is_approved() {
    let Some(lab) = Glewlwyd::start().await else { return };
    let party = RelyingParty::of(&lab.issuer()).await;
    let started = party.start_device(SCOPE).await;
    assert_eq!(started["interval"], 1);
    let pending = party.poll_device(&started).await;
    assert_eq!(pending.status(), StatusCode::BAD_REQUEST);
    assert_eq!(pending.json::<Value>().await.unwrap()["error"], "authorization_pending");
    lab.approve_device(&BOB, started["user_code"].as_str().unwrap()).await;
    // It counts whole seconds between two polls.
    let tokens = wait::until(Duration::from_secs(10), async || {
        let answer = party.poll_device(&started).await;
        if answer.status() == StatusCode::OK { Ok(json(answer).await) } else { Err(answer.text().await.unwrap()) }
    });
    assert_eq!(groups(&claims(&tokens.await["id_token"])), BOB.groups);
}

#[tokio::test]
async fn a_browser_signs_in() {
    let Some(lab) = Glewlwyd::start().await else { return };
    let party = RelyingParty::of(&lab.issuer()).await;
    let callback = lab.sign_in(&ALICE, &party.authorization_url(REDIRECT_URI, SCOPE, "a-nonce")).await;
    assert!(callback.starts_with(REDIRECT_URI), "{callback}");
    let tokens = json(party.exchange(&callback, REDIRECT_URI).await).await;
    let claims = claims(&tokens["id_token"]);
    assert_eq!(groups(&claims), ALICE.groups);
    assert_eq!(claims["nonce"], "a-nonce");

    let elsewhere = "http://127.0.0.1:5003/oidc/corp/callback";
    lab.redirect_to(elsewhere).await;
    let callback = lab.sign_in(&ALICE, &party.authorization_url(elsewhere, SCOPE, "n")).await;
    assert!(callback.starts_with(elsewhere), "{callback}");
}

#[tokio::test]
async fn a_second_factor_closes_the_password_grant() {
    let Some(lab) = Glewlwyd::start().await else { return };
    let party = RelyingParty::of(&lab.issuer()).await;
    lab.require_second_factor(&MFA).await;
    let refused = party.password(&MFA, MFA.password, SCOPE).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(refused.text().await.unwrap(), "");

    let callback = lab.sign_in(&MFA, &party.authorization_url(REDIRECT_URI, SCOPE, "n")).await;
    let claims = claims(&json(party.exchange(&callback, REDIRECT_URI).await).await["id_token"]);
    assert_eq!(claims["amr"], serde_json::json!(["password", "otp"]));
    assert_eq!(groups(&claims), MFA.groups);
}

#[tokio::test]
async fn people_of_a_directory_have_its_groups() {
    let Some(slapd) = Slapd::start(Options::default()).await else { return };
    let alice = Person { name: "alice", password: "secret", groups: &[] };
    let Some(lab) = Glewlwyd::over_slapd(&slapd, std::slice::from_ref(&alice)).await else { return };
    let party = RelyingParty::of(&lab.issuer()).await;
    let claims = claims(&tokens(&party, &alice).await["id_token"]);
    assert!(groups(&claims).contains(&"cn=developers,ou=groups,dc=example,dc=org"), "{claims}");
}

#[tokio::test]
async fn refresh_tokens_are_taken_back_one_by_one() {
    let Some(lab) = Glewlwyd::start().await else { return };
    let party = RelyingParty::of(&lab.issuer()).await;
    let (first, second) = (tokens(&party, &ALICE).await, tokens(&party, &ALICE).await);
    let [first, second] = [&first, &second].map(|tokens| tokens["refresh_token"].as_str().unwrap());
    let said = async |token: &str, secret: &str| {
        let answer = party.revoke(token, secret).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let told = [
        said(first, "wrong").await,
        said(first, CLIENT_SECRET).await,
        said(first, CLIENT_SECRET).await,
        said("made-up", CLIENT_SECRET).await,
    ];
    assert_eq!(told.each_ref().map(|(status, body)| (*status, body.as_str())), [(401, ""), (200, ""), (200, ""), (200, "")]);
    assert!(party.refresh(first).await.status().is_client_error());
    assert_eq!(party.refresh(second).await.status(), StatusCode::OK);
}
