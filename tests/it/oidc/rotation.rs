//! Keys that change under load lose nobody a login, and tokens of keys that nobody has do not make narrows a nuisance.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::lab::{Door, Lab, Plan, Ready};
use crate::labs::oidc::{ALICE, BOB};

const LASTS: Duration = Duration::from_secs(16);
const EVERY: Duration = Duration::from_secs(5);
const EACH: usize = 3;

#[tokio::test]
async fn keys_that_change_under_load_lose_nobody_a_login() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let mut people = Vec::new();
    for _ in 0..EACH {
        people.push(lab.ready(Door::Refresh).await);
        people.extend([Ready::Password(ALICE), Ready::Password(BOB)]);
    }
    let lab = Arc::new(lab);
    let before = lab.op.counters().await;
    lab.op.rotate_keys_every(EVERY).await;
    let ends = Instant::now() + LASTS;
    let mut workers = JoinSet::new();
    for ready in people {
        let lab = Arc::clone(&lab);
        workers.spawn(async move {
            let (mut times, mut longest) = (0, Duration::ZERO);
            while Instant::now() < ends {
                let answer = lab.knock(&ready).await;
                assert!(answer.is_open(&ready), "{answer:?}\n{}", lab.bridge.log());
                (times, longest) = (times + 1, longest.max(answer.took));
            }
            (times, longest)
        });
    }
    let worked = workers.join_all().await;
    let (times, longest) = worked.iter().fold((0, Duration::ZERO), |(times, longest), each| (times + each.0, longest.max(each.1)));
    let seen = lab.since(&before).await;
    println!("{times} logins, the longest {} ms, {seen:?}", longest.as_millis());
    // Equal passwords at the same moment are asked about once.
    assert!(seen.passwords >= 6 && seen.refreshes >= 6 && times >= seen.passwords + seen.refreshes, "{times}: {seen:?}");
    // Three new keys, each looked for once.
    assert!((3..=4).contains(&seen.jwks), "{seen:?}");
    assert_eq!((seen.refresh_reuses, seen.discovery), (0, 0));
}

#[tokio::test]
async fn tokens_of_unknown_keys_are_no_storm() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let kept = lab.ready(Door::Refresh).await;
    lab.op.sign_with_unknown_keys().await;
    let lab = Arc::new(lab);
    let before = lab.op.counters().await;
    let (began, ends) = (Instant::now(), Instant::now() + Duration::from_secs(4));
    let mut workers = JoinSet::new();
    for _ in 0..2 * EACH {
        let lab = Arc::clone(&lab);
        workers.spawn(async move {
            let mut times = 0;
            while Instant::now() < ends {
                lab.knock(&Ready::Password(ALICE)).await.is_an_outage(None, "an unknown key");
                times += 1;
            }
            times
        });
    }
    let times: u64 = workers.join_all().await.iter().sum();
    lab.knock(&kept).await.is_an_outage(None, "an unknown key");
    let seen = lab.since(&before).await;
    let most = 2 + began.elapsed().as_secs() / 5;
    println!("{times} tokens of an unknown key, {seen:?}");
    assert!(seen.jwks <= most && times > seen.jwks, "{times} tokens, {seen:?}");
    lab.op.sign_honestly().await;
    lab.opens_again(&kept, "signed by a key that is known").await;
}
