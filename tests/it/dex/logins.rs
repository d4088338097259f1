//! Dex keeps one refresh token for each person and client: saved logins of one person live by the newest.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use super::Dex;
use crate::labs::accounts::Person;
use crate::labs::bridge::{Bridge, Site};
use crate::labs::oidc::{self, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, RelyingParty};
use crate::labs::wait;
use crate::slapd::{Options, Slapd};

const ALICE: Person = Person { name: "alice", password: "secret", groups: &["a, b (c*)", "developers"] };
const SERVICE: &str = "registry.test";
const RULES: &str =
    "version: 1\nrealm: corp\nrules:\n  - {name: developers, to: {group: developers}, allow: contributor, repository: \"dev/**\"}\n";

async fn bridge_of(dex: &Dex) -> Bridge {
    let site = Site::new();
    site.write("rules.yaml", RULES);
    site.write("oidc-secret", CLIENT_SECRET);
    let (own, issuer) = (site.url(""), dex.issuer());
    site.configure(&format!(
        "public_url: {own}\nservices: [{{name: {SERVICE}}}]\nsigning: {{create: true}}\nrules: rules.yaml\naudit: {{file: audit.jsonl}}\n\
         credentials_cache: {{verified: 1s}}\nidentity_tokens: {{recheck: 1s}}\nproviders:\n  - name: corp\n    oidc:\n      preset: dex\n      \
         issuer: {issuer}\n      client: {{id: {CLIENT_ID}, secret: {{file: oidc-secret}}, auth: post}}\n      password_grant: {{enabled: true}}\n      \
         device_grant: {{enabled: true}}\n"
    ));
    site.serve().await
}

async fn asked(bridge: &Bridge, who: (&str, &str), more: &str) -> reqwest::Response {
    let request = oidc::plain_client().get(bridge.url(&format!("/token?service={SERVICE}&account=alice&client_id=docker{more}")));
    request.basic_auth(who.0, Some(who.1)).send().await.unwrap()
}

/// As `docker login` does with a password.
async fn log_in(bridge: &Bridge) -> String {
    let answer = oidc::json(asked(bridge, (ALICE.name, ALICE.password), "&offline_token=true").await).await;
    answer["refresh_token"].as_str().unwrap().to_owned()
}

async fn log_in_by_device(bridge: &Bridge, dex: &Dex) -> String {
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

async fn pull(bridge: &Bridge, token: &str) -> StatusCode {
    asked(bridge, ("", token), "&scope=repository:dev/app:pull").await.status()
}

/// Pulls for so long that every login is looked at more than twice.
async fn looks(bridge: &Bridge, logins: &[String]) {
    let began = Instant::now();
    wait::until(Duration::from_mins(1), async || {
        for login in logins {
            assert_eq!(pull(bridge, login).await, StatusCode::OK, "{}", bridge.log());
        }
        if began.elapsed() > Duration::from_secs(5) { Ok(()) } else { Err("not long enough".to_owned()) }
    })
    .await;
}

#[tokio::test]
async fn logins_of_one_person_leave_each_other_alive() {
    let Some(slapd) = Slapd::start(Options::default()).await else { return };
    let Some(dex) = Dex::over_slapd(&slapd, REDIRECT_URI).await else { return };
    let bridge = bridge_of(&dex).await;
    let mut logins = vec![log_in(&bridge).await, log_in(&bridge).await];
    looks(&bridge, &logins).await;
    logins.push(log_in_by_device(&bridge, &dex).await);
    looks(&bridge, &logins).await;
    // A pull with the password asks for no refresh token, and so ends none.
    let plain = asked(&bridge, (ALICE.name, ALICE.password), "&scope=repository:dev/app:pull").await;
    assert_eq!(plain.status(), StatusCode::OK);
    looks(&bridge, &logins).await;

    // A sign-in at the same client that narrows knows nothing of.
    let party = RelyingParty::of(&dex.issuer()).await;
    oidc::json(party.password(&ALICE, ALICE.password, "openid offline_access").await).await;
    for login in &logins {
        wait::until(Duration::from_secs(20), async || match pull(&bridge, login).await {
            StatusCode::UNAUTHORIZED => Ok(()),
            status => Err(status.to_string()),
        })
        .await;
    }
    let audit = std::fs::read_to_string(bridge.site().folder().join("audit.jsonl")).unwrap();
    assert!(audit.contains("session_ended"), "{audit}");
}
