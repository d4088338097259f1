//! The lab answers as the tests on it take for granted.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::Dex;
use crate::labs::accounts::Person;
use crate::labs::oidc::{self, REDIRECT_URI, RelyingParty, claims, groups};
use crate::labs::wait;
use crate::slapd::{Options, Slapd};

const ALICE: Person = Person { name: "alice", password: "secret", groups: &["a, b (c*)", "developers"] };
const SCOPE: &str = "openid profile groups offline_access";

#[tokio::test]
async fn dex_answers() {
    let Some(slapd) = Slapd::start(Options::default()).await else { return };
    let Some(lab) = Dex::start(&slapd).await else { return };
    let party = RelyingParty::of(&lab.issuer()).await;
    let signed_in = oidc::json(party.password(&ALICE, ALICE.password, SCOPE).await).await;
    let told = claims(&signed_in["id_token"]);
    assert_eq!(groups(&told), ALICE.groups);
    assert_eq!(told["preferred_username"], ALICE.name);
    let wrong = party.password(&ALICE, "wrong", SCOPE).await;
    println!("wrong password: {} {}", wrong.status(), wrong.text().await.unwrap());

    slapd.modify("dn: cn=developers,ou=groups,dc=example,dc=org\nchangetype: modify\ndelete: member\nmember: uid=alice,ou=people,dc=example,dc=org\n");
    let first = signed_in["refresh_token"].as_str().unwrap();
    let refreshed = oidc::json(party.refresh(first).await).await;
    assert_eq!(groups(&claims(&refreshed["id_token"])), ["a, b (c*)"]);
    assert_ne!(refreshed["refresh_token"], first);

    let callback = lab.sign_in(&ALICE, &party.authorization_url(REDIRECT_URI, SCOPE, "a-nonce")).await;
    let told = claims(&oidc::json(party.exchange(&callback, REDIRECT_URI).await).await["id_token"]);
    assert_eq!(told["nonce"], "a-nonce");

    let started = party.start_device(SCOPE).await;
    let pending = party.poll_device(&started).await;
    println!("pending: {} {}", pending.status(), pending.text().await.unwrap());
    lab.approve_device(&ALICE, started["user_code"].as_str().unwrap()).await;
    let tokens: Value = wait::until(Duration::from_secs(20), async || {
        let answer = party.poll_device(&started).await;
        if answer.status() == StatusCode::OK { Ok(oidc::json(answer).await) } else { Err(answer.text().await.unwrap()) }
    })
    .await;
    assert_eq!(groups(&claims(&tokens["id_token"])), ["a, b (c*)"]);

    slapd.modify("dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: delete\n");
    let gone = party.refresh(refreshed["refresh_token"].as_str().unwrap()).await;
    println!("gone: {} {}", gone.status(), gone.text().await.unwrap());
}
