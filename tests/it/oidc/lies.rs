//! What an issuer signs or says that must not be believed: at every door, nothing is granted for it, and nobody's saved login ends.

use serde_json::{Value, json};

use super::lab::{Door, Lab, Plan, Ready};
use crate::labs::oidc::{ALICE, CLIENT_ID, Issuer};
use crate::openid_provider::{Document, Overage};

const DOORS: [Door; 4] = [Door::Password, Door::Refresh, Door::Code, Door::DevicePoll];

/// What becomes of whoever knocks: a status, or the way in.
const IN: u16 = 0;
/// A token that proves nothing. A password may be right all the same, and a saved login good: for them it is an outage.
const UNBELIEVED: [u16; 4] = [503, 503, 403, 400];
const OUTAGE: [u16; 4] = [503; 4];

enum Lie {
    Lays(Document, Value),
    Signs(&'static str),
    UnknownKeys,
}

/// Tells one lie at all doors at once.
async fn tell(lab: &Lab, name: &str, lie: &Lie, comes: [u16; 4]) {
    let mut ready = Vec::new();
    for door in DOORS {
        ready.push(lab.ready(door).await);
    }
    match lie {
        Lie::Lays(document, members) => lab.op.alter(*document, members.clone()).await,
        Lie::Signs(algorithm) => lab.op.sign_with(algorithm).await,
        Lie::UnknownKeys => lab.op.sign_with_unknown_keys().await,
    }
    let answers = futures_util::future::join_all(ready.iter().map(|ready| lab.knock(ready))).await;
    for ((answer, status), (ready, door)) in answers.iter().zip(comes).zip(ready.iter().zip(DOORS)) {
        let told = format!("{name} at {door:?}");
        println!("{told}: {} in {} ms", answer.status, answer.took.as_millis());
        match status {
            IN => assert!(answer.is_open(ready), "{told}: {answer:?}\n{}", lab.bridge.log()),
            503 => answer.is_an_outage(None, &told),
            refused => answer.is_refused(refused, &told),
        }
        if status != IN {
            lab.is_outside(ready, &told).await;
        }
    }
    lab.op.heal().await;
    lab.op.sign_honestly().await;
    lab.opens_again(&ready[1], name).await;
    lab.opens_again(&ready[0], name).await;
    if comes[3] == 503 {
        // The issuer gave this one its tokens.
        lab.ends(&ready[3]).await;
    }
}

#[tokio::test]
async fn tokens_that_prove_nothing_open_nothing() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let id_token = |claims: Value| Lie::Lays(Document::IdToken, claims);
    let now = jiff::Timestamp::now().as_second();
    for (name, lie, comes) in [
        ("another issuer", id_token(json!({"iss": "https://other.example"})), UNBELIEVED),
        ("the issuer with a slash", id_token(json!({"iss": format!("{}/", lab.op.issuer())})), UNBELIEVED),
        ("another audience", id_token(json!({"aud": "other"})), UNBELIEVED),
        ("an audience more", id_token(json!({"aud": [CLIENT_ID, "other"]})), UNBELIEVED),
        ("an audience more, authorized for another", id_token(json!({"aud": [CLIENT_ID, "other"], "azp": "other"})), UNBELIEVED),
        ("authorized for another", id_token(json!({"azp": "other"})), UNBELIEVED),
        ("expired", id_token(json!({"iat": now - 7200, "exp": now - 3600})), UNBELIEVED),
        ("without an end", id_token(json!({"exp": null})), UNBELIEVED),
        ("of tomorrow", id_token(json!({"iat": now + 86_400, "exp": now + 90_000})), UNBELIEVED),
        ("not good before tomorrow", id_token(json!({"nbf": now + 86_400})), UNBELIEVED),
        ("without a subject", id_token(json!({"sub": null})), UNBELIEVED),
        ("of another access token", id_token(json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"})), UNBELIEVED),
        ("no token at all", Lie::Lays(Document::Token, json!({"id_token": "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"})), UNBELIEVED),
        ("signed with the client's secret", Lie::Signs("HS256"), UNBELIEVED),
        ("not signed", Lie::Signs("none"), UNBELIEVED),
        ("signed with a key that is not published", Lie::UnknownKeys, UNBELIEVED),
        // Only a browser was given a nonce.
        ("another nonce", id_token(json!({"nonce": "other"})), [IN, IN, 403, IN]),
        ("no nonce", id_token(json!({"nonce": null})), [IN, IN, 403, IN]),
        // Whoever signs in is who the issuer says; whoever is looked at again is who they were.
        ("another person", id_token(json!({"sub": "id-of-bob"})), [IN, 503, IN, IN]),
        ("of an hour ago", id_token(json!({"iat": now - 3600})), [IN, 503, IN, IN]),
        // At a second look userinfo does (Core §12.2), in the same groups.
        ("no id_token", Lie::Lays(Document::Token, json!({"id_token": null})), [503, IN, 503, 503]),
        ("no tokens", Lie::Lays(Document::Token, json!({"id_token": null, "access_token": null})), OUTAGE),
    ] {
        tell(&lab, name, &lie, comes).await;
    }
    assert_eq!(lab.op.counters().await.refresh_reuses, 0);
}

#[tokio::test]
async fn userinfo_of_somebody_else_opens_nothing() {
    let Some(lab) = Lab::start(Plan::USERINFO).await else { return };
    for (name, members) in [
        ("userinfo of another person", json!({"sub": "id-of-bob"})),
        ("userinfo of nobody", json!({"sub": null})),
        ("userinfo with a number for groups", json!({"groups": 5})),
    ] {
        tell(&lab, name, &Lie::Lays(Document::Userinfo, members), OUTAGE).await;
    }
}

#[tokio::test]
async fn answers_to_browsers_that_are_anothers_open_nothing() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    for (members, status) in [
        (json!({"iss": "https://other.example"}), 403),
        (json!({"iss": null}), 403),
        (json!({"state": "made-up"}), 400),
        (json!({"code": "made-up"}), 403),
        (json!({"code": null}), 400),
        (json!({"code": null, "error": "access_denied"}), 403),
    ] {
        lab.op.alter(Document::Callback, members.clone()).await;
        let told = format!("a callback with {members}");
        let ready = lab.ready(Door::Code).await;
        lab.knock(&ready).await.is_refused(status, &told);
        lab.is_outside(&ready, &told).await;
        lab.op.heal().await;
    }
}

#[tokio::test]
async fn groups_are_read_whole_or_not_at_all() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let kept = lab.ready(Door::Refresh).await;
    let many =
        |number: usize| -> Value { (2..number).map(|it| format!("group-{it}")).chain(["dev".to_owned(), "ops".to_owned()]).collect() };
    for (name, groups, actions) in [
        ("a text", json!("dev"), Some(2)),
        ("an object", json!({"dev": {"1": "x"}, "ops": {}}), Some(4)),
        ("an empty list", json!([]), Some(0)),
        ("2,000", many(2000), Some(4)),
        ("2,001", many(2001), None),
        ("5,000", many(5000), None),
        ("a number", json!(5), None),
        ("yes", json!(true), None),
        ("a number among texts", json!(["dev", 5]), None),
        ("a list in a list", json!(["dev", ["ops"]]), None),
        ("objects", json!([{"name": "dev"}]), None),
        ("an empty name", json!(["dev", ""]), None),
        ("hidden letters", json!(["dev", "o\u{202e}ps"]), None),
    ] {
        lab.op.set_claims(&ALICE, json!({"groups": groups})).await;
        let (password, again) = (lab.knock(&Ready::Password(ALICE)).await, lab.knock(&kept).await);
        for answer in [password, again] {
            println!("groups as {name}: {} in {} ms", answer.status, answer.took.as_millis());
            match actions {
                None => answer.is_an_outage(None, name),
                Some(actions) => assert_eq!(answer.actions(), actions, "{name}"),
            }
        }
    }
    for overage in [Overage::ClaimSources, Overage::HasGroups] {
        lab.op.exceed(&ALICE, overage).await;
        for ready in [&Ready::Password(ALICE), &kept] {
            lab.knock(ready).await.is_an_outage(None, &format!("{overage:?}"));
        }
    }
    lab.op.set_claims(&ALICE, json!({})).await;
    lab.opens_again(&kept, "as before").await;
}
