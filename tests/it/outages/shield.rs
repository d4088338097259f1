//! Guessed passwords at a real directory that locks after three: how many binds it sees, and that the owner stays in.

use std::net::IpAddr;

use futures_util::future::join_all;
use reqwest::header::RETRY_AFTER;

use super::lab::{Answer, Lab, PUBLIC, Plan, SERVICE, VICTIM};

/// Below the three of the directory; one of the two is kept for sources that logged in before.
const PLAN: Plan = Plan { top: "throttle: {failures: 2, comparisons_per_source: 20}\ncredentials_cache: {verified: 0s}", ..Plan::DEFAULT };

/// Asks from another address of this machine.
async fn from(lab: &Lab, last: u8, who: (&str, &str)) -> Answer {
    let address = IpAddr::from([127, 0, 0, last]);
    let client = reqwest::Client::builder().local_address(address).build().unwrap();
    let request = client.get(lab.bridge.url("/token")).query(&[("service", SERVICE), ("scope", PUBLIC)]);
    Answer::of(request.basic_auth(who.0, Some(who.1))).await
}

#[tokio::test]
async fn guesses_from_elsewhere_neither_lock_the_account_nor_keep_its_owner_out() {
    let Some(lab) = Lab::start(PLAN).await else { return };
    lab.ask(Some(VICTIM), PUBLIC).await.ok();
    let before = lab.binds("victim");
    let guess = async |number: u8| from(&lab, 2 + number / 15, ("victim", &format!("guess {number}"))).await;
    for answer in join_all((0..200).map(guess)).await {
        assert!(matches!(answer.status, 401 | 429), "{answer:?}");
    }
    assert!(lab.binds("victim") - before <= 2, "{} binds", lab.binds("victim") - before);
    lab.ask(Some(VICTIM), PUBLIC).await.ok();
    // The owner's success gave strangers another share.
    for number in 0..20 {
        from(&lab, 100, ("victim", &format!("other {number}"))).await;
    }
    let lab = lab.crash().await;
    let restarted = lab.binds("victim");
    for number in 0..5 {
        let answer = from(&lab, 101, ("victim", &format!("more {number}"))).await;
        assert_eq!(answer.status, 429, "the restart forgot what failed: {answer:?}");
    }
    assert_eq!(lab.binds("victim"), restarted);
    lab.slapd.modify("dn: uid=victim,ou=people,dc=example,dc=org\nchangetype: modify\nreplace: userPassword\nuserPassword: brand new\n");
    lab.ask(Some(("victim", "brand new")), PUBLIC).await.ok();
}

#[tokio::test]
async fn names_that_nobody_has_run_out_alike() {
    let Some(lab) = Lab::start(PLAN).await else { return };
    for number in 0..22 {
        let password = format!("guess {number}");
        let (known, unknown) = tokio::join!(from(&lab, 3, ("victim", &password)), from(&lab, 3, ("nobody", &password)));
        assert_eq!((known.status, &known.body), (unknown.status, &unknown.body), "{number}");
        let wait = |answer: &Answer| answer.headers.get(RETRY_AFTER).map(|wait| wait.to_str().unwrap().parse::<u32>().unwrap());
        // A second may begin between the two.
        assert!(wait(&known).unwrap_or(0).abs_diff(wait(&unknown).unwrap_or(0)) <= 1, "{known:?} {unknown:?}");
        assert_eq!(wait(&known).is_some(), wait(&unknown).is_some());
        assert_eq!(known.status, if number == 0 { 401 } else { 429 });
    }
}
