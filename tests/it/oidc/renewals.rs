//! An issuer that gives a new refresh token each time and takes the old one for stolen: narrows shows none a second time, however
//! many ask at once, and whatever ends the process.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::lab::{self, Answer, Door, Lab, Plan, Ready, SERVICE};
use crate::labs::bridge::Site;
use crate::labs::oidc::ALICE;
use crate::labs::wait;
use crate::openid_provider::{Endpoint, Fault};

const CROWD: usize = 30;
/// Long enough for a whole crowd to be answered within it.
const RECHECK: Duration = Duration::from_secs(4);
const PLAN: Plan = Plan { recheck: "4s", ..Plan::DEFAULT };

/// When a token that was looked at just now has to be looked at again.
fn due() -> Instant {
    // Looks are kept by the second.
    Instant::now() + RECHECK + Duration::from_secs(1)
}

async fn crowd(lab: &Arc<Lab>, token: &str) -> Vec<Answer> {
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let (lab, ready) = (Arc::clone(lab), Ready::Refresh(token.to_owned()));
        crowd.spawn(async move { lab.knock(&ready).await });
    }
    crowd.join_all().await
}

#[tokio::test]
async fn a_crowd_with_one_identity_token_is_one_refresh() {
    let Some(lab) = Lab::start(PLAN).await else { return };
    let token = lab.identity_token().await;
    let lab = Arc::new(lab);
    for round in 1..=2 {
        sleep_until(due()).await;
        for answer in crowd(&lab, &token).await {
            assert_eq!(answer.actions(), 4, "{}", lab.bridge.log());
        }
        let seen = lab.op.counters().await;
        assert_eq!((seen.refreshes, seen.refresh_reuses), (round, 0));
    }
    // An outage between two looks is no reason either.
    sleep_until(due()).await;
    lab.op.fail(Endpoint::Token, Fault::Status(500)).await;
    for answer in crowd(&lab, &token).await {
        answer.is_an_outage(None, "the token endpoint fails");
    }
    lab.op.heal().await;
    lab.opens_again(&Ready::Refresh(token), "healed").await;
    assert_eq!(lab.op.counters().await.refresh_reuses, 0);
}

#[tokio::test]
async fn an_end_between_two_refreshes_reuses_none() {
    let Some(mut lab) = Lab::start(Plan::DEFAULT).await else { return };
    let kept = lab.ready(Door::Refresh).await;
    for round in 1..=3 {
        let answer = lab.knock(&kept).await;
        assert!(answer.is_open(&kept), "round {round}: {answer:?}\n{}", lab.bridge.log());
        lab = lab.crash().await;
    }
    let answer = lab.knock(&kept).await;
    assert!(answer.is_open(&kept), "{answer:?}\n{}", lab.bridge.log());
    let seen = lab.op.counters().await;
    assert_eq!((seen.refreshes, seen.refresh_reuses), (4, 0));
}

/// Nobody can know what became of a refresh whose answer never came. The issuer decides at the next one: this one takes the old
/// refresh token for stolen, and the person logs in again.
#[tokio::test]
async fn an_end_in_the_middle_of_a_refresh_is_the_issuers_to_judge() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let Ready::Refresh(token) = lab.ready(Door::Refresh).await else { panic!("an identity token") };
    let before = lab.op.counters().await;
    lab.op.fail_times(Endpoint::Token, Fault::Slow(Duration::from_secs(1)), 1).await;
    let url = lab.bridge.url("/token");
    let form = [("grant_type", "refresh_token"), ("service", SERVICE), ("refresh_token", &token)].map(|(a, b)| (a, b.to_owned()));
    let asked = tokio::spawn(async move { reqwest::Client::new().post(url).form(&form).send().await.is_err() });
    wait::until(
        Duration::from_secs(5),
        async || {
            if lab.since(&before).await.refreshes == 1 { Ok(()) } else { Err("nothing was asked".to_owned()) }
        },
    )
    .await;
    let lab = lab.crash().await;
    assert!(asked.await.unwrap(), "the process ended first");
    // The process that ended may have asked: until its answer could have come, nobody else does.
    let ready = Ready::Refresh(token);
    let answer = wait::until(Duration::from_secs(30), async || {
        let answer = lab.knock(&ready).await;
        if answer.status == 503 {
            answer.is_an_outage(None, "another process looks");
            return Err(format!("{answer:?}"));
        }
        Ok(answer)
    })
    .await;
    match lab.op.counters().await.refresh_reuses {
        // The issuer had not begun when the connection broke.
        0 => assert_eq!(answer.actions(), 4),
        reuses => {
            assert_eq!(reuses, 1);
            answer.is_refused(401, "the issuer ended the session");
            assert!(answer.text("error_description").contains("docker login"), "{answer:?}");
        }
    }
    assert!(lab.visit(Door::Password).await.is_open(&Ready::Password(ALICE)));
}

/// Two processes on one state, as while one takes over from the other.
#[tokio::test]
async fn two_processes_share_what_the_issuer_gave() {
    let Some(lab) = Lab::start(PLAN).await else { return };
    let token = lab.identity_token().await;
    let first = lab.bridge.site();
    let second = Site::new();
    let folder = first.folder().display();
    let top = format!("state: {{path: {folder}/state.db, key: {folder}/state.key}}\nsigning: {{directory: {folder}/keys}}");
    lab::configure(&second, &lab.op, Plan { top: top.leak(), ..PLAN });
    let second = second.serve().await;
    let at = |url: String, token: String| async move {
        let form = [("grant_type", "refresh_token".to_owned()), ("service", SERVICE.to_owned()), ("refresh_token", token)];
        reqwest::Client::new().post(url).form(&form).send().await.unwrap().status().as_u16()
    };
    // One after the other: each knows what the other was given.
    for bridge in [&lab.bridge, &second] {
        sleep_until(due()).await;
        assert_eq!(at(bridge.url("/token"), token.clone()).await, 200, "{}", bridge.log());
    }
    let seen = lab.op.counters().await;
    assert_eq!((seen.refreshes, seen.refresh_reuses), (2, 0));
    // At once.
    sleep_until(due()).await;
    let before = lab.op.counters().await;
    let mut crowd = JoinSet::new();
    for number in 0..CROWD {
        let url = [&lab.bridge, &second][number % 2].url("/token");
        crowd.spawn(at(url, token.clone()));
    }
    let mut answers = crowd.join_all().await;
    answers.sort_unstable();
    let seen = lab.since(&before).await;
    assert_eq!((answers, seen.refreshes, seen.refresh_reuses), (vec![200; CROWD], 1, 0), "{}", second.log());
}
