//! A start without the issuer, and an issuer whose documents fail later: narrows serves, says 503, and needs nobody to recover.

use std::time::Duration;

use serde_json::{Value, json};

use super::lab::{Door, Lab, Plan, Ready, SOON, site};
use crate::labs::bridge::Site;
use crate::labs::oidc::ALICE;
use crate::labs::wait;
use crate::openid_provider::{Document, Endpoint, Fault, OpenidProvider};

/// What is wrong with a document.
#[derive(Debug)]
enum Wrong {
    Fails(Fault),
    Holds(Value),
}

impl Wrong {
    async fn begin(&self, op: &OpenidProvider, endpoint: Endpoint, document: Document) {
        match self {
            Self::Fails(fault) => op.fail(endpoint, *fault).await,
            Self::Holds(members) => op.alter(document, members.clone()).await,
        }
    }
}

/// No document comes of these.
fn failures() -> Vec<Wrong> {
    [
        Fault::Reset,
        Fault::Hang,
        Fault::Status(500),
        Fault::Busy(7),
        Fault::Throttled(2),
        Fault::Redirect,
        Fault::Huge,
        Fault::Truncated,
        Fault::Html,
        Fault::Empty,
        Fault::Typed("text/html"),
        Fault::Says(404, "{}"),
    ]
    .map(Wrong::Fails)
    .into()
}

/// Starts while a document is wrong, and mends it.
async fn starts(op: OpenidProvider, site: Site, endpoint: Endpoint, document: Document, wrong: &Wrong) -> (OpenidProvider, Site) {
    let told = format!("{endpoint:?}: {wrong:?}");
    wrong.begin(&op, endpoint, document).await;
    let lab = Lab { bridge: site.launch(), op };
    let live = lab.bridge.url("/livez");
    wait::until(SOON, async || reqwest::get(&live).await.map(drop).map_err(|error| format!("{told}: {error}"))).await;
    let password = Ready::Password(ALICE);
    lab.knock(&password).await.is_an_outage(None, &told);
    readiness(&lab, 503, &told).await;
    lab.op.heal().await;
    let took = lab.opens_again(&password, &told).await;
    println!("start with {told} -> outage, served after {} ms", took.as_millis());
    readiness(&lab, 200, &told).await;
    let Lab { bridge, op } = lab;
    bridge.signal("KILL");
    (op, bridge.end())
}

/// Where nobody can be served, nobody is sent.
async fn readiness(lab: &Lab, status: u16, told: &str) {
    let url = lab.bridge.url("/readyz");
    wait::until(SOON, async || {
        let found = reqwest::get(&url).await.unwrap().status().as_u16();
        if found == status { Ok(()) } else { Err(format!("{told}: /readyz answers {found}")) }
    })
    .await;
}

async fn every_start(endpoint: Endpoint, document: Document, more: Vec<Value>) {
    let Some(mut op) = OpenidProvider::start().await else { return };
    let mut site = site(&op, Plan::DEFAULT).await;
    for wrong in failures().into_iter().chain(more.into_iter().map(Wrong::Holds)) {
        (op, site) = starts(op, site, endpoint, document, &wrong).await;
    }
}

#[tokio::test]
async fn a_start_without_discovery_is_an_outage_that_ends_by_itself() {
    let more = vec![
        json!({"issuer": "https://other.example"}),
        json!({"token_endpoint": null}),
        json!({"token_endpoint": "http://169.254.169.254/token"}),
        json!({"jwks_uri": "file:///etc/passwd"}),
        json!({"jwks_uri": 5}),
    ];
    every_start(Endpoint::Discovery, Document::Discovery, more).await;
}

#[tokio::test]
async fn a_start_without_keys_is_an_outage_that_ends_by_itself() {
    every_start(Endpoint::Jwks, Document::Jwks, vec![json!({"keys": []}), json!({"keys": null}), json!({"keys": "none"})]).await;
}

#[tokio::test]
async fn a_start_without_an_issuer_keeps_every_login() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let (kept, password) = (lab.ready(Door::Refresh).await, Ready::Password(ALICE));
    lab.op.fail_everywhere(Fault::Reset).await;
    let Lab { bridge, op } = lab;
    bridge.signal("KILL");
    let lab = Lab { bridge: bridge.end().launch(), op };
    let live = lab.bridge.url("/livez");
    wait::until(SOON, async || reqwest::get(&live).await.map(drop).map_err(|error| error.to_string())).await;
    for _ in 0..3 {
        lab.knock(&kept).await.is_an_outage(None, "started alone");
        lab.knock(&password).await.is_an_outage(None, "started alone");
    }
    lab.op.heal().await;
    lab.opens_again(&kept, "not alone").await;
    lab.opens_again(&password, "not alone").await;
}

#[tokio::test]
async fn the_last_good_documents_are_used_while_new_ones_fail() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let (kept, password) = (lab.ready(Door::Refresh).await, Ready::Password(ALICE));
    for wrong in failures() {
        for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
            wrong.begin(&lab.op, endpoint, Document::Discovery).await;
        }
        let told = format!("discovery and keys: {wrong:?}");
        for ready in [&password, &kept] {
            assert!(lab.knock(ready).await.is_open(ready), "{told}\n{}", lab.bridge.log());
        }
    }
    // What is known outlives a reload, and so does everybody's login.
    lab.bridge.site().command(&["reload"]).await.ok();
    for ready in [&password, &kept] {
        assert!(lab.knock(ready).await.is_open(ready), "after a reload\n{}", lab.bridge.log());
    }
    // A new key that cannot be had is no reason to refuse anybody.
    lab.op.rotate_keys().await;
    for ready in [&password, &kept, &password, &kept] {
        lab.knock(ready).await.is_an_outage(None, "a new key that cannot be had");
    }
    lab.op.heal().await;
    lab.opens_again(&kept, "the new key").await;
    lab.opens_again(&password, "the new key").await;
    assert_eq!(lab.op.counters().await.refresh_reuses, 0);
}

#[tokio::test]
async fn a_slow_start_is_awaited() {
    let Some(op) = OpenidProvider::start().await else { return };
    let site = site(&op, Plan::DEFAULT).await;
    for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
        op.fail(endpoint, Fault::Slow(Duration::from_millis(700))).await;
    }
    let lab = Lab { bridge: site.launch(), op };
    let live = lab.bridge.url("/livez");
    wait::until(SOON, async || reqwest::get(&live).await.map(drop).map_err(|error| error.to_string())).await;
    let password = Ready::Password(ALICE);
    let answer = lab.knock(&password).await;
    assert!(answer.is_open(&password), "{answer:?}\n{}", lab.bridge.log());
}
