//! The lab answers as the tests on it take for granted.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::{ALICE, BOB, Keycloak, MFA};
use crate::labs::oidc::{self, Issuer, REDIRECT_URI, RelyingParty, claims, groups};
use crate::labs::wait;

/// Keycloak puts groups into every token of this client, and knows no scope of that name.
const SCOPE: &str = "openid profile";

async fn error(response: Response) -> String {
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    response.json::<Value>().await.unwrap()["error"].as_str().unwrap().to_owned()
}

/// One server for all, as it takes long to start.
#[tokio::test]
async fn keycloak_answers() {
    let Some(lab) = Keycloak::start().await else { return };
    let party = RelyingParty::of(&lab.issuer()).await;
    let signed_in = oidc::json(party.password(&ALICE, ALICE.password, SCOPE).await).await;
    let told = claims(&signed_in["id_token"]);
    assert_eq!(groups(&told), ALICE.groups);
    assert_eq!(told["preferred_username"], ALICE.name);
    assert_eq!(told["resource_access"]["registry"]["roles"], json!(["pusher"]));
    let wrong = party.password(&ALICE, "wrong", SCOPE).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let wrong: Value = wrong.json().await.unwrap();
    assert_eq!(wrong["error"], "invalid_grant");
    let second_factor: Value = party.password(&MFA, MFA.password, SCOPE).await.json().await.unwrap();
    assert_eq!(second_factor, wrong, "a missing second factor looks like a wrong password");

    lab.set_groups(&ALICE, &["ops"]).await;
    let first = signed_in["refresh_token"].as_str().unwrap();
    let refreshed = oidc::json(party.refresh(first).await).await;
    assert_eq!(groups(&claims(&refreshed["id_token"])), ["/ops"]);
    let second = refreshed["refresh_token"].as_str().unwrap();
    assert_ne!(first, second);
    assert_eq!(error(party.refresh(first).await).await, "invalid_grant");

    let callback = lab.sign_in(&MFA, &party.authorization_url(REDIRECT_URI, SCOPE, "a-nonce")).await;
    assert_eq!(oidc::query(&callback, "iss"), Some(lab.issuer()));
    let told = claims(&oidc::json(party.exchange(&callback, REDIRECT_URI).await).await["id_token"]);
    assert_eq!((groups(&told), told["nonce"].as_str()), (MFA.groups.to_vec(), Some("a-nonce")));
    let elsewhere = "http://127.0.0.1:5003/oidc/corp/callback";
    lab.redirect_to(elsewhere).await;
    assert!(lab.sign_in(&BOB, &party.authorization_url(elsewhere, SCOPE, "n")).await.starts_with(elsewhere));

    let started = party.start_device(SCOPE).await;
    assert_eq!(error(party.poll_device(&started).await).await, "authorization_pending");
    lab.approve_device(&BOB, started["user_code"].as_str().unwrap()).await;
    let tokens = wait::until(Duration::from_secs(20), async || {
        let answer = party.poll_device(&started).await;
        if answer.status() == StatusCode::OK { Ok(oidc::json(answer).await) } else { Err(answer.text().await.unwrap()) }
    })
    .await;
    assert_eq!(groups(&claims(&tokens["id_token"])), BOB.groups);

    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    lab.end_sessions(&BOB).await;
    assert_eq!(error(party.refresh(refresh_token).await).await, "invalid_grant");
    let signed_in = oidc::json(party.password(&BOB, BOB.password, SCOPE).await).await;
    lab.remove(&BOB).await;
    assert_eq!(error(party.refresh(signed_in["refresh_token"].as_str().unwrap()).await).await, "invalid_grant");

    let keys = async || {
        let set = oidc::json(reqwest::get(party.endpoint("jwks_uri")).await.unwrap()).await;
        set["keys"].as_array().unwrap().len()
    };
    let before = keys().await;
    lab.rotate_keys().await;
    assert_eq!(keys().await, before + 1);
}
