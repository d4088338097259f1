//! Signals: what a restart keeps, and what a reload changes.

use std::time::Duration;

use serde_json::Value;

use super::lab::{self, ALICE, BOB, SERVICE};
use crate::labs::bridge::Bridge;
use crate::labs::wait;

#[tokio::test]
async fn terminated_service_ends_well_and_keeps_logins_and_keys() {
    let (site, _) = lab::site().await;
    let before = lab::export(&site, SERVICE).await;
    let bridge = site.serve().await;
    let login = identity_token(&bridge).await;

    bridge.signal("TERM");
    assert_eq!(bridge.ended().await, 0, "{}", bridge.log());
    let bridge = bridge.end().serve().await;

    let form = [("grant_type", "refresh_token"), ("refresh_token", &login), ("service", SERVICE), ("client_id", "docker")];
    let answer = reqwest::Client::new().post(bridge.url("/token")).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", bridge.log());
    let served = reqwest::get(bridge.url(&format!("/keys/{SERVICE}/bundle.pem"))).await.unwrap().text().await.unwrap();
    assert_eq!(served.trim(), before.trim());
}

#[tokio::test]
async fn reload_takes_good_rules_and_keeps_them_over_bad_ones() {
    let (site, _) = lab::site().await;
    let bridge = site.serve().await;
    assert!(!may_push(&bridge).await, "bob is in no team yet");

    let rules = format!("{}  - {{name: bob helps, to: {{user: bob}}, allow: contributor, repository: \"payments/**\"}}\n", lab::RULES);
    bridge.site().write("rules.yaml", &rules);
    bridge.signal("HUP");
    wait::until(Duration::from_secs(30), async || {
        if may_push(&bridge).await { Ok(()) } else { Err(format!("bob still may not push; {}", bridge.log())) }
    })
    .await;

    bridge.site().write("rules.yaml", "version: 1\nrules: [{to: anyone, alow: pull}]\n");
    bridge.signal("HUP");
    wait::until(Duration::from_secs(30), async || {
        let log = bridge.log();
        if log.contains("alow") { Ok(()) } else { Err(format!("the bad rule file is not complained about; {log}")) }
    })
    .await;
    assert!(may_push(&bridge).await, "the last good rules should hold; {}", bridge.log());
}

#[tokio::test]
async fn what_changed_beside_bad_rules_is_read_when_they_are_mended() {
    let (site, accounts) = lab::site().await;
    let bridge = site.serve().await;
    let status = async || lab::ask(&bridge, SERVICE, "", Some(&BOB)).await.status().as_u16();
    assert_eq!(status().await, 200, "{}", bridge.log());

    bridge.site().write("rules.yaml", "version: 1\nrules: [{to: anyone, alow: pull}]\n");
    accounts.disable(bridge.site(), BOB.name).await;
    wait::until(Duration::from_secs(30), async || {
        // Once for the rules, and once more should the users be seen later.
        tokio::time::sleep(Duration::from_secs(4)).await;
        if bridge.log().contains("the reload was refused") { Ok(()) } else { Err(bridge.log()) }
    })
    .await;
    assert_eq!(status().await, 200, "half of a reload was taken; {}", bridge.log());

    bridge.site().write("rules.yaml", lab::RULES);
    wait::until(Duration::from_secs(30), async || match status().await {
        401 => Ok(()),
        other => Err(format!("bob still gets {other}; {}", bridge.log())),
    })
    .await;
}

async fn may_push(bridge: &Bridge) -> bool {
    let token = lab::ask(bridge, SERVICE, "repository:payments/api:push", Some(&BOB)).await;
    assert_eq!(token.status(), 200, "{}", bridge.log());
    let answer: Value = token.json().await.unwrap();
    // The claims stand between the dots of the token.
    let claims = answer["token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    !claims["access"].as_array().unwrap().is_empty()
}

async fn identity_token(bridge: &Bridge) -> String {
    let query = [("service", SERVICE), ("offline_token", "true"), ("client_id", "docker"), ("account", ALICE.name)];
    let request = reqwest::Client::new().get(bridge.url("/token")).query(&query);
    let answer = request.basic_auth(ALICE.name, Some(ALICE.password)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", bridge.log());
    let answer: Value = answer.json().await.unwrap();
    answer["refresh_token"].as_str().expect("an offline request is answered with an identity token").to_owned()
}
