//! narrows at every real OpenID Provider: a person's groups decide, a wrong password is no outage, and changes arrive.

mod cold;
mod faults;
mod give_back;
mod lab;
mod lies;
mod renewals;
mod rotation;

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::Value;

use self::lab::RULES;
pub(crate) use self::lab::SERVICE;
use crate::dex::Dex;
use crate::glewlwyd::Glewlwyd;
use crate::keycloak::{self, Keycloak};
use crate::labs::accounts::Person;
use crate::labs::bridge::{Bridge, Site};
use crate::labs::oidc::{ALICE, CLIENT_SECRET, Issuer, PASSWORDS, REDIRECT_URI, claims};
use crate::labs::wait;
use crate::openid_provider::OpenidProvider;

/// A bridge whose people are those of an issuer, of which this stands below `oidc`.
pub(crate) async fn bridge(oidc: &str) -> Bridge {
    let site = Site::new();
    site.write("rules.yaml", RULES);
    site.write("oidc-secret", CLIENT_SECRET);
    site.configure(&format!(
        "public_url: {}\nservices: [{{name: {SERVICE}, registry: distribution-2}}]\nrules: rules.yaml\ncredentials_cache: {{verified: 1s}}\n\
         identity_tokens: {{recheck: 1s}}\nproviders:\n  - name: sso\n    realm: corp\n    oidc:\n{oidc}{PASSWORDS}",
        site.url("")
    ));
    site.command(&["keys", "init"]).await.ok();
    site.serve().await
}

fn scope(group: &str) -> String {
    format!("repository:{group}/app:pull,push")
}

pub(crate) async fn ask(bridge: &Bridge, person: &Person, password: &str, group: &str) -> Response {
    let query = [("service", SERVICE), ("scope", &scope(group)), ("offline_token", "true")];
    reqwest::Client::new().get(bridge.url("/token")).query(&query).basic_auth(person.name, Some(password)).send().await.unwrap()
}

pub(crate) async fn refresh(bridge: &Bridge, identity_token: &str, group: &str) -> Response {
    let form = [("grant_type", "refresh_token"), ("service", SERVICE), ("scope", &scope(group)), ("refresh_token", identity_token)];
    reqwest::Client::new().post(bridge.url("/token")).form(&form).send().await.unwrap()
}

/// How many actions an answer grants.
async fn granted(bridge: &Bridge, response: Response) -> usize {
    let (status, body) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{body}\n{}", bridge.log());
    let answer: Value = serde_json::from_str(&body).unwrap();
    claims(&answer["token"])["access"].as_array().unwrap().iter().map(|it| it["actions"].as_array().unwrap().len()).sum()
}

/// Logs in by the password and tells the identity token.
async fn logs_in(bridge: &Bridge, person: &Person, group: &str, foreign: &str) -> String {
    assert_eq!(granted(bridge, ask(bridge, person, person.password, group).await).await, 2);
    assert_eq!(granted(bridge, ask(bridge, person, person.password, foreign).await).await, 0);
    let wrong = ask(bridge, person, "wrong", group).await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED, "{}\n{}", wrong.text().await.unwrap(), bridge.log());
    // The last sign-in: at Dex it ends what the ones before were given.
    let answer: Value = ask(bridge, person, person.password, group).await.json().await.unwrap();
    answer["refresh_token"].as_str().unwrap_or_else(|| panic!("no identity token: {answer}\n{}", bridge.log())).to_owned()
}

/// Waits until the identity token opens this many actions.
async fn comes_to(bridge: &Bridge, identity_token: &str, group: &str, actions: usize) {
    wait::until(Duration::from_secs(20), async || {
        let found = granted(bridge, refresh(bridge, identity_token, group).await).await;
        if found == actions { Ok(()) } else { Err(format!("{found} actions in {group}\n{}", bridge.log())) }
    })
    .await;
}

/// Waits until the identity token is refused for good.
async fn ends(bridge: &Bridge, identity_token: &str, group: &str) {
    wait::until(Duration::from_secs(20), async || {
        let status = refresh(bridge, identity_token, group).await.status();
        if status.is_client_error() { Ok(()) } else { Err(format!("{status}\n{}", bridge.log())) }
    })
    .await;
}

/// Nothing is given any more, and nobody can say whether the login is over: by an empty 400 Glewlwyd may mean the client as well.
async fn is_refused(bridge: &Bridge, identity_token: &str, group: &str) {
    wait::until(Duration::from_secs(20), async || {
        let status = refresh(bridge, identity_token, group).await.status();
        if status == StatusCode::SERVICE_UNAVAILABLE { Ok(()) } else { Err(format!("{status}\n{}", bridge.log())) }
    })
    .await;
}

#[tokio::test]
async fn at_glewlwyd() {
    let Some(lab) = Glewlwyd::start().await else { return };
    let bridge = bridge(&(lab.oidc() + "      groups: {sources: [{from: userinfo, claim: groups}]}\n")).await;
    let identity_token = logs_in(&bridge, &ALICE, "dev", "other").await;
    lab.set_groups(&ALICE, &["ops"]).await;
    comes_to(&bridge, &identity_token, "dev", 0).await;
    comes_to(&bridge, &identity_token, "ops", 2).await;
    lab.end_sessions(&ALICE).await;
    is_refused(&bridge, &identity_token, "ops").await;
}

#[tokio::test]
async fn at_oidc_provider() {
    let Some(lab) = OpenidProvider::start().await else { return };
    let bridge = bridge(&lab.oidc()).await;
    let identity_token = logs_in(&bridge, &ALICE, "dev", "other").await;
    lab.set_groups(&ALICE, &["ops"]).await;
    comes_to(&bridge, &identity_token, "dev", 0).await;
    comes_to(&bridge, &identity_token, "ops", 2).await;
    assert_eq!(lab.counters().await.refresh_reuses, 0);
    lab.remove(&ALICE).await;
    ends(&bridge, &identity_token, "ops").await;
}

#[tokio::test]
async fn at_keycloak() {
    let Some(lab) = Keycloak::start().await else { return };
    let bridge = bridge(&lab.oidc()).await;
    let identity_token = logs_in(&bridge, &keycloak::ALICE, "ops", "other").await;
    lab.set_groups(&keycloak::ALICE, &["dev"]).await;
    comes_to(&bridge, &identity_token, "ops", 0).await;
    comes_to(&bridge, &identity_token, "dev", 2).await;
    lab.remove(&keycloak::ALICE).await;
    ends(&bridge, &identity_token, "dev").await;
}

#[tokio::test]
async fn at_dex() {
    let Some(lab) = Dex::start(REDIRECT_URI).await else { return };
    // Without device logins the default way does as well.
    let bridge = bridge(&lab.oidc().replace(Dex::CLIENT, "")).await;
    let alice = Person { name: "alice", password: "secret", groups: &[] };
    let first = logs_in(&bridge, &alice, "developers", "other").await;
    let group = "dn: cn=developers,ou=groups,dc=example,dc=org\nchangetype: modify\ndelete: member\n";
    lab.slapd.modify(&format!("{group}member: uid=alice,ou=people,dc=example,dc=org\n"));
    comes_to(&bridge, &first, "developers", 0).await;
    // A newer sign-in takes the refresh token of the one before away, which lives by the new one from then on.
    assert_eq!(granted(&bridge, ask(&bridge, &alice, alice.password, "developers").await).await, 0);
    comes_to(&bridge, &first, "developers", 0).await;
}
