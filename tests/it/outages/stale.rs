//! `stale_if_error`: who was verified lately goes on pulling while the directory is dead, and does nothing else.

use std::time::Duration;

use serde_json::Value;

use super::lab::{ALICE, AT_MOST, Answer, Lab, PAYMENTS, PUBLIC, Plan, SERVICE, VICTIM};
use crate::labs::wait;

const BOTH: &str = "repository:payments/api:pull,push";
const SECRET: &str = "repository:payments/secret/x:pull";
/// Every request asks, and every identity token is looked at.
const ASKS: &str = "credentials_cache: {verified: 0s}\nidentity_tokens: {recheck: 0s}";
const PLAN: Plan = Plan { top: ASKS, provider: &["stale_if_error: 30m"], ..Plan::DEFAULT };
/// Whoever asked last has been forgotten, or let in again.
const WHILE: Duration = Duration::from_secs(6);

async fn present(lab: &Lab, token: &str, scope: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("service", SERVICE), ("scope", scope), ("client_id", "docker")];
    lab.post(&form).await
}

async fn tokens(lab: &Lab) -> Vec<Value> {
    let listed = lab.bridge.site().command(&["tokens", "list", "--json"]).await.ok();
    serde_json::from_str(&listed.stdout).unwrap()
}

#[tokio::test]
async fn whoever_was_verified_pulls_and_does_nothing_else() {
    let Some(mut lab) = Lab::start(PLAN).await else { return };
    assert_eq!(lab.ask(Some(ALICE), BOTH).await.ok().carries(), ["payments/api:pull,push"]);
    let login = lab.log_in(ALICE, SERVICE).await.ok();
    let token = login.refresh_token().to_owned();
    assert_eq!(lab.ask(Some(("alice", "wrong")), PUBLIC).await.status, 401);
    let before = tokens(&lab).await;

    lab.slapd.kill();
    let pulled = lab.ask(Some(ALICE), BOTH).await.ok();
    assert_eq!(pulled.carries(), ["payments/api:pull"]);
    assert!(pulled.body["expires_in"].as_i64().unwrap() <= 300, "{pulled:?}");
    let line = lab.audited();
    assert_eq!((&line["outcome"], &line["cached"], &line["proof"]["how"]), (&"narrowed".into(), &true.into(), &"password".into()));
    assert!(line["stale"].is_string(), "{line}");
    assert_eq!(line["refused"], serde_json::json!([{"scope": "repository:payments/api", "action": "push", "by": "stale"}]));
    assert_eq!(lab.ask(Some(ALICE), PAYMENTS).await.ok().carries(), [""; 0], "a push alone is nothing");

    let by_form = [
        ("grant_type", "password"),
        ("username", "alice"),
        ("password", "secret"),
        ("service", SERVICE),
        ("scope", BOTH),
        ("client_id", "x"),
    ];
    assert_eq!(lab.post(&by_form).await.ok().carries(), ["payments/api:pull"]);
    let who = lab.who(ALICE, BOTH).await.ok();
    assert_eq!(who.body["granted"], serde_json::json!(["repository:payments/api:pull"]));
    assert!(who.body["stale"].is_string(), "{who:?}");

    // Nothing is minted, and a login that would get a password stored instead is told to wait.
    let offline = lab.log_in(ALICE, SERVICE).await.ok();
    assert!(offline.body.get("refresh_token").is_none(), "{offline:?}");
    lab.get(Some(ALICE), &[("service", SERVICE), ("offline_token", "true"), ("client_id", "docker")]).await.is_an_outage();

    // Who was never verified, and any other password, is an outage; one that was refused stays refused.
    lab.ask(Some(VICTIM), PUBLIC).await.is_an_outage();
    lab.ask(Some(("alice", "another")), PUBLIC).await.is_an_outage();
    lab.ask(Some(("nobody-here", "secret")), PUBLIC).await.is_an_outage();
    assert_eq!(lab.ask(Some(("alice", "wrong")), PUBLIC).await.status, 401);

    let presented = present(&lab, &token, BOTH).await.ok();
    assert_eq!((presented.carries(), presented.refresh_token()), (vec!["payments/api:pull".to_owned()], &*token));
    let line = lab.audited();
    assert_eq!((&line["proof"]["how"], line["stale"].is_string()), (&"identity_token".into(), true), "{line}");
    assert_eq!(tokens(&lab).await, before, "nothing is stored that nobody confirmed");

    let id = presented.headers["x-request-id"].to_str().unwrap().to_owned();
    let explained = lab.bridge.site().command(&["explain", "--event", &id, "--group", "developers"]).await;
    let told = format!("{}{}", explained.stdout, explained.stderr);
    assert!(told.contains("the same was granted then") && told.contains("the provider could not be asked"), "{told}");

    assert!(lab.admin("/metrics").await.contains("narrows_stale_total{provider=\"staff\",proof=\"identity_token\"} 1"));
    let status: Value = serde_json::from_str(&lab.admin("/readyz").await).unwrap();
    assert_eq!(status["ready"], true);
    assert!(status["providers"].as_array().unwrap().iter().any(|it| it["reason"].as_str().is_some_and(|why| why.contains("from memory"))));
    assert_eq!(lab.bridge.log().matches("goes on pulling, from memory").count(), 1, "{}", lab.bridge.log());

    lab.slapd.restart().await;
    lab.served_again(VICTIM).await;
    assert_eq!(lab.ask(Some(ALICE), BOTH).await.ok().carries(), ["payments/api:pull,push"]);
    assert!(lab.audited().get("stale").is_none());
    assert_eq!(lab.bridge.log().matches("nobody is served from memory any more").count(), 1, "{}", lab.bridge.log());
}

#[tokio::test]
async fn without_the_key_it_is_an_outage() {
    let Some(mut lab) = Lab::start(Plan { provider: &[], ..PLAN }).await else { return };
    let login = lab.log_in(ALICE, SERVICE).await.ok();
    lab.slapd.kill();
    lab.ask(Some(ALICE), BOTH).await.is_an_outage();
    present(&lab, login.refresh_token(), BOTH).await.is_an_outage();
}

#[tokio::test]
async fn it_ends_with_its_time() {
    let Some(mut lab) = Lab::start(Plan { provider: &["stale_if_error: 4s"], ..PLAN }).await else { return };
    let login = lab.log_in(ALICE, SERVICE).await.ok();
    lab.slapd.kill();
    let pulled = lab.ask(Some(ALICE), BOTH).await.ok();
    assert!((1..=4).contains(&pulled.body["expires_in"].as_i64().unwrap()), "a token outlives what it rests on: {pulled:?}");
    assert!((1..=4).contains(&present(&lab, login.refresh_token(), BOTH).await.ok().body["expires_in"].as_i64().unwrap()));
    wait::until(WHILE, async || match lab.ask(Some(ALICE), BOTH).await.status {
        503 => Ok(()),
        status => Err(status.to_string()),
    })
    .await;
    present(&lab, login.refresh_token(), BOTH).await.is_an_outage();
    assert!(lab.admin("/readyz").await.contains("\"ready\":true"), "the users file still serves");
}

#[tokio::test]
async fn whoever_was_refused_since_gets_nothing() {
    // What is done to alice while the directory answers, and with which password she tries then.
    let cases = [
        ("add: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z", "secret"),
        ("add: objectClass\nobjectClass: shadowAccount\n-\nadd: shadowExpire\nshadowExpire: 1", "secret"),
        ("replace: userPassword\nuserPassword: new", "new"),
        ("replace: userPassword\nuserPassword: new", "secret"),
    ];
    for (change, tried) in cases {
        let Some(mut lab) = Lab::start(PLAN).await else { return };
        let login = lab.log_in(ALICE, SERVICE).await.ok();
        lab.slapd.modify(&format!("dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: modify\n{change}\n"));
        let status = lab.ask(Some(("alice", tried)), BOTH).await.status;
        assert_eq!(status, if tried == "new" { 200 } else { 401 }, "{change}");
        lab.slapd.kill();
        assert_ne!(lab.ask(Some(ALICE), BOTH).await.status, 200, "{change}");
        assert_eq!(lab.ask(Some(("alice", "new")), BOTH).await.status == 200, tried == "new", "{change}");
        if tried == "new" || change.contains("shadowExpire") {
            present(&lab, login.refresh_token(), BOTH).await.is_an_outage();
        }
    }
}

#[tokio::test]
async fn an_ending_that_a_recheck_saw_ends_the_password_too() {
    let Some(mut lab) = Lab::start(PLAN).await else { return };
    let (login, other) = (lab.log_in(ALICE, SERVICE).await.ok(), lab.log_in(ALICE, super::lab::OTHER_SERVICE).await.ok());
    lab.slapd.modify(
        "dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: modrdn\nnewrdn: uid=alice\ndeleteoldrdn: 1\nnewsuperior: ou=elsewhere,dc=example,dc=org\n",
    );
    assert_eq!(present(&lab, login.refresh_token(), BOTH).await.status, 401);
    lab.slapd.kill();
    lab.ask(Some(ALICE), BOTH).await.is_an_outage();
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", other.refresh_token()),
        ("service", super::lab::OTHER_SERVICE),
        ("client_id", "x"),
    ];
    lab.post(&form).await.is_an_outage();
    // A reload forgets successes, not endings.
    let generation = async || serde_json::from_str::<Value>(&lab.admin("/status").await).unwrap()["generation"].as_u64();
    let before = generation().await;
    lab.bridge.signal("HUP");
    wait::until(WHILE, async || if generation().await > before { Ok(()) } else { Err("not reloaded".to_owned()) }).await;
    lab.post(&form).await.is_an_outage();
}

#[tokio::test]
async fn denies_hold_on_the_groups_as_last_seen() {
    let Some(mut lab) = Lab::start(PLAN).await else { return };
    lab.bridge.site().write(
        "rules.yaml",
        &format!("{}  - {{name: barred, to: {{group: admins}}, deny: all, repository: \"payments/secret/**\"}}\n", super::lab::RULES),
    );
    wait::until(WHILE, async || match lab.ask(Some(ALICE), SECRET).await.ok().carries() {
        nothing if nothing.is_empty() => Ok(()),
        something => Err(something.join(" ")),
    })
    .await;
    let login = lab.log_in(ALICE, SERVICE).await.ok();
    lab.slapd.kill();
    assert_eq!(lab.ask(Some(ALICE), SECRET).await.ok().carries(), [""; 0]);
    assert_eq!(present(&lab, login.refresh_token(), SECRET).await.ok().carries(), [""; 0]);
    assert!(lab.audited()["refused"][0]["by"].as_str().unwrap().starts_with("barred"));
    assert_eq!(lab.ask(Some(ALICE), BOTH).await.ok().carries(), ["payments/api:pull"]);
}

#[tokio::test]
async fn guesses_at_what_is_remembered_are_counted() {
    let top = "credentials_cache: {verified: 0s}\nthrottle: {comparisons_per_source: 3, rejection_floor: 0s}";
    let Some(mut lab) = Lab::start(Plan { top, ..PLAN }).await else { return };
    lab.ask(Some(ALICE), BOTH).await.ok();
    lab.slapd.kill();
    for guess in ["a", "b", "c"] {
        lab.ask(Some(("alice", guess)), PUBLIC).await.is_an_outage();
    }
    assert_eq!(lab.ask(Some(("alice", "d")), PUBLIC).await.status, 429);
    assert_eq!(lab.ask(Some(ALICE), BOTH).await.status, 429, "nothing is compared any more, right or wrong");
}

#[tokio::test]
async fn a_reload_of_users_forgets_every_success() {
    let Some(mut lab) = Lab::start(PLAN).await else { return };
    let login = lab.log_in(ALICE, SERVICE).await.ok();
    lab.slapd.kill();
    lab.ask(Some(ALICE), BOTH).await.ok();
    lab.bridge.signal("HUP");
    wait::until(WHILE, async || match lab.ask(Some(ALICE), BOTH).await.status {
        503 => Ok(()),
        status => Err(status.to_string()),
    })
    .await;
    assert_eq!(present(&lab, login.refresh_token(), BOTH).await.ok().carries(), ["payments/api:pull"]);
}

#[tokio::test]
async fn a_frozen_directory_holds_up_a_pull_no_longer_than_a_refusal() {
    let Some(lab) = Lab::start(PLAN).await else { return };
    lab.ask(Some(ALICE), BOTH).await.ok();
    lab.slapd.freeze();
    let first = lab.ask(Some(ALICE), BOTH).await;
    let second = lab.ask(Some(ALICE), BOTH).await;
    lab.slapd.thaw();
    eprintln!("measured: pulls from memory after {:?} and {:?} with the directory frozen", first.took, second.took);
    for pulled in [first, second] {
        assert!(pulled.took <= AT_MOST, "{pulled:?}");
        assert_eq!(pulled.ok().carries(), ["payments/api:pull"]);
    }
}
