//! The lab answers as the tests on it take for granted.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::Dex;
use crate::labs::accounts::Person;
use crate::labs::oidc::{self, Issuer, REDIRECT_URI, RelyingParty, claims, groups};
use crate::labs::wait;

const ALICE: Person = Person { name: "alice", password: "secret", groups: &["a, b (c*)", "developers"] };
const SCOPE: &str = "openid profile groups offline_access";

#[tokio::test]
async fn dex_answers() {
    let Some(lab) = Dex::start(REDIRECT_URI).await else { return };
    let party = RelyingParty::of(&lab.issuer()).await;
    let signed_in = oidc::json(party.password(&ALICE, ALICE.password, SCOPE).await).await;
    let told = claims(&signed_in["id_token"]);
    assert_eq!(groups(&told), ALICE.groups);
    assert_eq!(told["preferred_username"], ALICE.name);
    let wrong = party.password(&ALICE, "wrong", SCOPE).await;
    assert_eq!(error(wrong, StatusCode::UNAUTHORIZED).await, "access_denied");

    lab.slapd.modify("dn: cn=developers,ou=groups,dc=example,dc=org\nchangetype: modify\ndelete: member\nmember: uid=alice,ou=people,dc=example,dc=org\n");
    let first = signed_in["refresh_token"].as_str().unwrap();
    let refreshed = oidc::json(party.refresh(first).await).await;
    assert_eq!(groups(&claims(&refreshed["id_token"])), ["a, b (c*)"]);
    assert_ne!(refreshed["refresh_token"], first);

    let second = refreshed["refresh_token"].as_str().unwrap();
    let newer = oidc::json(party.password(&ALICE, ALICE.password, SCOPE).await).await;
    assert_eq!(error(party.refresh(second).await, StatusCode::BAD_REQUEST).await, "invalid_request", "the newer sign-in ended it");
    let newer = newer["refresh_token"].as_str().unwrap();

    let callback = lab.sign_in(&ALICE, &party.authorization_url(REDIRECT_URI, SCOPE, "a-nonce")).await;
    let told = claims(&oidc::json(party.exchange(&callback, REDIRECT_URI).await).await["id_token"]);
    assert_eq!(told["nonce"], "a-nonce");

    let started = party.start_device(SCOPE).await;
    let pending = party.poll_device(&started).await;
    assert_eq!(error(pending, StatusCode::BAD_REQUEST).await, "authorization_pending");
    lab.approve_device(&ALICE, started["user_code"].as_str().unwrap()).await;
    let tokens: Value = wait::until(Duration::from_secs(20), async || {
        let answer = party.poll_device(&started).await;
        if answer.status() == StatusCode::OK { Ok(oidc::json(answer).await) } else { Err(answer.text().await.unwrap()) }
    })
    .await;
    assert_eq!(groups(&claims(&tokens["id_token"])), ["a, b (c*)"]);

    let last = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(error(party.refresh(newer).await, StatusCode::BAD_REQUEST).await, "invalid_request");
    lab.remove(&ALICE).await;
    let gone = party.refresh(last).await;
    assert_eq!(error(gone, StatusCode::INTERNAL_SERVER_ERROR).await, "invalid_request", "one who is gone looks like an outage");
}

async fn error(response: Response, status: StatusCode) -> String {
    let (found, body) = (response.status(), response.text().await.unwrap());
    assert_eq!(found, status, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["error"].as_str().unwrap().to_owned()
}
