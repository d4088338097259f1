//! What docker keeps: never multiplied, never good elsewhere, never forged, and never ended by an outage.

use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::Value;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::lab::{ALICE, Answer, Lab, OTHER_SERVICE, PAYMENTS, PUBLIC, Plan, SERVICE, VICTIM};
use crate::labs::wait;

/// Every way in which a client presents one, and asks for another.
async fn presented_in_every_way(lab: &Lab, service: &str, token: &str) -> [Answer; 3] {
    let query = [("service", service), ("scope", PAYMENTS), ("offline_token", "true")];
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("service", service),
        ("scope", PAYMENTS),
        ("client_id", "docker"),
        ("access_type", "offline"),
        ("offline_token", "true"),
    ];
    [lab.get(Some(("", token)), &query).await, lab.get(Some(("<token>", token)), &query).await, lab.post(&form).await]
}

async fn present(lab: &Lab, service: &str, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("service", service), ("client_id", "docker")];
    lab.post(&form).await
}

async fn listed(lab: &Lab) -> Vec<Value> {
    let listed = lab.bridge.site().command(&["tokens", "list", "--json"]).await.ok();
    serde_json::from_str(&listed.stdout).unwrap()
}

#[tokio::test]
async fn identity_token_never_becomes_two() {
    let Some(lab) = Lab::start(Plan::default()).await else { return };
    let login = lab.log_in(ALICE, SERVICE).await.ok();
    let token = login.refresh_token();
    for _ in 0..3 {
        for answer in presented_in_every_way(&lab, SERVICE, token).await {
            let answer = answer.ok();
            assert_eq!(answer.refresh_token(), token);
            assert_eq!(answer.opens(), ["payments/api"]);
        }
    }
    // A success from the cache proves nothing now, so it makes no login either: the directory is asked.
    lab.ask(Some(ALICE), PUBLIC).await.ok();
    assert_eq!(listed(&lab).await.len(), 1);
}

#[tokio::test]
async fn identity_token_of_one_service_is_refused_at_the_other() {
    let Some(lab) = Lab::start(Plan::default()).await else { return };
    let login = lab.log_in(ALICE, SERVICE).await.ok();
    for answer in presented_in_every_way(&lab, OTHER_SERVICE, login.refresh_token()).await {
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    // The try abroad has not ended it at home.
    present(&lab, SERVICE, login.refresh_token()).await.ok();
}

#[tokio::test]
async fn row_that_was_written_by_hand_is_refused() {
    let Some(lab) = Lab::start(Plan::default()).await else { return };
    let (alice, victim) = (lab.log_in(ALICE, SERVICE).await.ok(), lab.log_in(VICTIM, SERVICE).await.ok());
    let (alice, victim) = (alice.refresh_token(), victim.refresh_token());
    let mut state = state(&lab).await;
    sqlx::query("CREATE TABLE genuine AS SELECT * FROM identity_tokens").execute(&mut state).await.unwrap();

    let alterations = [
        ("UPDATE identity_tokens SET service = 'other.test' WHERE username = 'victim'", OTHER_SERVICE),
        ("UPDATE identity_tokens SET groups = (SELECT groups FROM genuine WHERE username = 'alice') WHERE username = 'victim'", SERVICE),
        ("UPDATE identity_tokens SET subject = (SELECT subject FROM genuine WHERE username = 'alice') WHERE username = 'victim'", SERVICE),
        ("UPDATE identity_tokens SET username = 'alice' WHERE username = 'victim'", SERVICE),
        ("UPDATE identity_tokens SET provider = 'robots' WHERE username = 'victim'", SERVICE),
        ("UPDATE identity_tokens SET looked = looked + 1000000 WHERE username = 'victim'", SERVICE),
        ("UPDATE identity_tokens SET created = created + 1, proven = proven + 1 WHERE username = 'victim'", SERVICE),
        ("UPDATE identity_tokens SET recheck = 'impossible' WHERE username = 'victim'", SERVICE),
        ("UPDATE identity_tokens SET marker = 'another' WHERE username = 'victim'", SERVICE),
        ("UPDATE identity_tokens SET seal = x'00' WHERE username = 'victim'", SERVICE),
        // Somebody else's intact row under the token that one has.
        ("UPDATE identity_tokens SET seal = (SELECT seal FROM genuine WHERE username = 'alice') WHERE username = 'victim'", SERVICE),
    ];
    for (alteration, service) in alterations {
        present(&lab, SERVICE, victim).await.ok();
        assert_eq!(sqlx::query(alteration).execute(&mut state).await.unwrap().rows_affected(), 1, "{alteration}");
        assert_eq!(present(&lab, service, victim).await.status, 401, "{alteration}");
        assert_eq!(present(&lab, SERVICE, victim).await.status, 401, "{alteration}");
        restore(&mut state).await;
    }

    // A row that never was: alice's, for the token that victim holds.
    sqlx::query("DELETE FROM identity_tokens").execute(&mut state).await.unwrap();
    let forged = sqlx::query(
        "INSERT INTO identity_tokens SELECT 'forged', (SELECT token_hash FROM genuine WHERE username = 'victim'), provider, fingerprint, realm, \
         subject, username, kind, groups, marker, recheck, renewal, service, proven, created, looked, used, ended, reason, seal \
         FROM genuine WHERE username = 'alice'",
    );
    assert_eq!(forged.execute(&mut state).await.unwrap().rows_affected(), 1);
    assert_eq!(present(&lab, SERVICE, victim).await.status, 401);
    assert_eq!(listed(&lab).await[0]["state"], "altered");
    restore(&mut state).await;

    // Ended, and taken back to life by hand.
    lab.bridge.site().command(&["tokens", "revoke", "--user", "victim"]).await.ok();
    wait::until(Duration::from_secs(1), async || match present(&lab, SERVICE, victim).await.status {
        401 => Ok(()),
        status => Err(status.to_string()),
    })
    .await;
    let revived = sqlx::query("UPDATE identity_tokens SET ended = NULL, reason = NULL WHERE username = 'victim'");
    assert_eq!(revived.execute(&mut state).await.unwrap().rows_affected(), 1);
    assert_eq!(present(&lab, SERVICE, victim).await.status, 401);
    present(&lab, SERVICE, alice).await.ok();
    assert!(lab.bridge.log().contains("written or altered by hand"), "{}", lab.bridge.log());
}

/// The database as somebody with a shell opens it.
async fn state(lab: &Lab) -> SqliteConnection {
    SqliteConnectOptions::new().filename(lab.bridge.site().folder().join("state.db")).connect().await.unwrap()
}

async fn restore(state: &mut SqliteConnection) {
    sqlx::query("DELETE FROM identity_tokens").execute(&mut *state).await.unwrap();
    sqlx::query("INSERT INTO identity_tokens SELECT * FROM genuine").execute(&mut *state).await.unwrap();
}

#[tokio::test]
async fn outage_ends_no_identity_token() {
    let Some(mut lab) = Lab::start(Plan { top: "identity_tokens: {recheck: 1s}", ..Plan::default() }).await else { return };
    let login = lab.log_in(ALICE, SERVICE).await.ok();
    let token = login.refresh_token();
    lab.slapd.kill();
    // Until the last look is a second old the token is good without one.
    wait::until(Duration::from_secs(4), async || match present(&lab, SERVICE, token).await {
        answer if answer.status == 200 => Err("the last look still counts".to_owned()),
        answer => {
            answer.is_an_outage();
            Ok(())
        }
    })
    .await;
    for answer in presented_in_every_way(&lab, SERVICE, token).await {
        answer.is_an_outage();
    }
    // Garbage is refused as ever: it asks nobody.
    let garbage = format!("nrw_{}", BASE64.encode(&[7; 33]));
    assert_eq!(present(&lab, SERVICE, &garbage).await.status, 401);

    lab.slapd.restart().await;
    let began = Instant::now();
    wait::until(super::lab::SOON, async || match present(&lab, SERVICE, token).await {
        answer if answer.status == 200 => Ok(()),
        answer => {
            answer.is_an_outage();
            Err("still an outage".to_owned())
        }
    })
    .await;
    eprintln!("measured: an identity token was good again after {:?}", began.elapsed());
    assert_eq!(listed(&lab).await.len(), 1);
}
