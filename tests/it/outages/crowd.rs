//! A hundred clients at a time: how many binds the directory sees.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::lab::{ALICE, Answer, Lab, PAYMENTS, PUBLIC, Plan, SERVICE, VICTIM};
use crate::labs::wait;
use crate::slapd::{SERVICE_DN, SERVICE_PASSWORD};

const CROWD: usize = 100;
/// Identity tokens of one person for one service.
const KEPT: usize = 50;

/// Everybody at once; fails unless all get this status.
async fn all<F: Future<Output = Answer>>(status: u16, ask: impl Fn() -> F) -> Vec<Answer> {
    let began = Instant::now();
    let answers = join_all((0..CROWD).map(|_| ask())).await;
    eprintln!("measured: {CROWD} at once, all {status}, in {:?}", began.elapsed());
    for answer in &answers {
        assert_eq!(answer.status, status, "{answer:?}");
    }
    answers
}

#[tokio::test]
async fn wrong_password_is_one_bind_however_often_it_comes() {
    let Some(lab) = Lab::start(Plan::default()).await else { return };
    all(401, || lab.ask(Some(("victim", "wrong")), PUBLIC)).await;
    assert_eq!(lab.binds("victim"), 1);
    all(401, || lab.ask(Some(("victim", "wrong")), PUBLIC)).await;
    all(401, || lab.log_in(("victim", "wrong"), SERVICE)).await;
    assert_eq!(lab.binds("victim"), 1);
    // The directory locks after three: the owner is still let in.
    lab.ask(Some(VICTIM), PUBLIC).await.ok();
}

#[tokio::test]
async fn right_password_is_one_bind_however_often_it_comes() {
    let Some(lab) = Lab::start(Plan::default()).await else { return };
    for answer in all(200, || lab.ask(Some(ALICE), PAYMENTS)).await {
        assert_eq!(answer.opens(), ["payments/api"]);
    }
    assert_eq!(lab.binds("alice"), 1);
}

#[tokio::test]
async fn logins_that_wait_for_one_bind_share_it() {
    let patient =
        Plan { ldap: &["timeouts: {connect: 1m, tls: 1m, bind: 1m, search: 1m}"], top: "request_deadline: 12s", ..Plan::default() };
    let Some(lab) = Lab::start(patient).await else { return };
    lab.slapd.freeze();
    let release = async {
        let others = format!("narrows_cache_lookups_total{{cache=\"verified\",outcome=\"shared\"}} {}", CROWD - 1);
        wait::until(Duration::from_secs(30), async || {
            let counted = lab.admin("/metrics").await;
            if counted.contains(&others) { Ok(()) } else { Err(format!("not all wait: {counted}")) }
        })
        .await;
        lab.slapd.thaw();
    };
    let (answers, ()) = tokio::join!(all(200, || lab.log_in(ALICE, SERVICE)), release);
    assert_eq!(lab.binds("alice"), 1);
    let mut tokens: Vec<&str> = answers.iter().map(Answer::refresh_token).collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), CROWD, "two clients got the same identity token");
    let kept = lab.bridge.site().command(&["tokens", "list", "--json"]).await.ok().stdout;
    let kept: Vec<serde_json::Value> = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept.len(), KEPT, "the oldest make room");
    // A login lasts, so one that comes later asks anew.
    lab.log_in(ALICE, SERVICE).await.ok();
    assert_eq!(lab.binds("alice"), 2);
}

#[tokio::test]
async fn logins_of_a_crowd_are_few_binds() {
    let Some(lab) = Lab::start(Plan::default()).await else { return };
    all(200, || lab.log_in(ALICE, SERVICE)).await;
    let binds = lab.binds("alice");
    eprintln!("measured: {CROWD} logins at once were {binds} binds");
    assert!((1..CROWD).contains(&binds), "{CROWD} logins at once were {binds} binds");
}

/// The directory locks an account after three wrong passwords: a crowd must not do that to the one that everybody needs.
#[tokio::test]
async fn crowd_does_not_lock_the_service_account() {
    let Some(lab) = Lab::start(Plan { service_password: "not the password", ..Plan::default() }).await else { return };
    let names: Vec<String> = (0..CROWD).map(|number| format!("person-{number}")).collect();
    for answer in join_all(names.iter().map(|name| lab.ask(Some((name, "secret")), PUBLIC))).await {
        answer.is_an_outage();
    }
    let binds = lab.slapd.binds(SERVICE_DN);
    eprintln!("measured: {CROWD} people at once were {binds} binds of a refused service account");
    assert_eq!(binds, 1);
    lab.bridge.site().write("ldap-password", SERVICE_PASSWORD);
    lab.served_again(ALICE).await;
}
