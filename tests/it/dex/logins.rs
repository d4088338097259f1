//! Dex keeps one refresh token for each person and client: saved logins of one person live by the newest.

use std::time::{Duration, Instant};

use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::Dex;
use crate::labs::accounts::Person;
use crate::labs::bridge::Bridge;
use crate::labs::oidc::{self, Issuer, REDIRECT_URI, RelyingParty};
use crate::labs::wait;
use crate::oidc::{SERVICE, ask, bridge, refresh};

const ALICE: Person = Person { name: "alice", password: "secret", groups: &["a, b (c*)", "developers"] };
const GROUP: &str = "developers";

#[tokio::test]
async fn logins_of_one_person_leave_each_other_alive() {
    let Some(dex) = Dex::start(REDIRECT_URI).await else { return };
    let bridge = bridge(&format!("{}      device_grant: {{enabled: true}}\n", dex.oidc())).await;
    let mut logins = vec![logs_in(&bridge).await, logs_in(&bridge).await];
    looks(&bridge, &logins).await;
    logins.push(logs_in_by_device(&bridge, &dex).await);
    looks(&bridge, &logins).await;
    // A pull with the password asks for no refresh token, and so ends none.
    assert_eq!(pull(&bridge).await.status(), StatusCode::OK);
    looks(&bridge, &logins).await;

    // A sign-in at the same client that narrows knows nothing of.
    let party = RelyingParty::of(&dex.issuer()).await;
    oidc::json(party.password(&ALICE, ALICE.password, "openid offline_access").await).await;
    for login in &logins {
        wait::until(Duration::from_secs(20), async || match refresh(&bridge, login, GROUP).await.status() {
            StatusCode::UNAUTHORIZED => Ok(()),
            status => Err(status.to_string()),
        })
        .await;
    }
    assert!(bridge.log().contains("the issuer has ended a session"), "{}", bridge.log());
}

/// As `docker login` does with a password.
async fn logs_in(bridge: &Bridge) -> String {
    let answer = oidc::json(ask(bridge, &ALICE, ALICE.password, GROUP).await).await;
    answer["refresh_token"].as_str().unwrap().to_owned()
}

async fn logs_in_by_device(bridge: &Bridge, dex: &Dex) -> String {
    let client = oidc::plain_client();
    let started = oidc::json(client.post(bridge.url("/device/start")).form(&[("service", SERVICE)]).send().await.unwrap()).await;
    dex.approve_device(&ALICE, started["user_code"].as_str().unwrap()).await;
    let done: Value = wait::until(Duration::from_secs(30), async || {
        let form = [("flow", started["flow"].as_str().unwrap())];
        let answer = client.post(bridge.url("/device/poll")).form(&form).send().await.unwrap();
        if answer.status() == StatusCode::OK { Ok(oidc::json(answer).await) } else { Err(answer.text().await.unwrap()) }
    })
    .await;
    done["refresh_token"].as_str().unwrap().to_owned()
}

/// With the password, as clients do that keep it.
async fn pull(bridge: &Bridge) -> Response {
    let query = [("service", SERVICE), ("scope", "repository:developers/app:pull")];
    let request = reqwest::Client::new().get(bridge.url("/token")).query(&query);
    request.basic_auth(ALICE.name, Some(ALICE.password)).send().await.unwrap()
}

/// Asks for so long that every login is looked at more than twice.
async fn looks(bridge: &Bridge, logins: &[String]) {
    let began = Instant::now();
    wait::until(Duration::from_mins(1), async || {
        for login in logins {
            assert_eq!(refresh(bridge, login, GROUP).await.status(), StatusCode::OK, "{}", bridge.log());
        }
        if began.elapsed() > Duration::from_secs(5) { Ok(()) } else { Err("not long enough".to_owned()) }
    })
    .await;
}
