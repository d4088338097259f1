//! Guessed passwords at a real directory that locks one failure after `failures`: how many binds it sees, and that the owner stays in.

mod alike;
mod domain;
mod figures;
mod frozen;

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

/// Asks through a proxy that says where the request comes from.
async fn behind(lab: &Lab, client: &reqwest::Client, source: &str, who: (&str, &str)) -> Answer {
    let request = client.get(lab.bridge.url("/token")).query(&[("service", SERVICE), ("scope", PUBLIC)]);
    Answer::of(request.header("X-Forwarded-For", source).basic_auth(who.0, Some(who.1))).await
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
    let binds = lab.binds("victim") - before;
    eprintln!("measured: 200 different wrong passwords from 14 addresses were {binds} binds");
    assert!((1..=2).contains(&binds), "{binds} binds");
    lab.ask(Some(VICTIM), PUBLIC).await.ok();
    // Killed in between, nothing is in the memory of the process.
    let lab = lab.crash().await;
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

#[tokio::test]
async fn who_guessed_too_often_is_not_told_the_right_one_and_the_owner_is() {
    let warm = Plan { top: "throttle: {failures: 2, comparisons_per_source: 20}", ..PLAN };
    let Some(lab) = Lab::start(warm).await else { return };
    lab.ask(Some(VICTIM), PUBLIC).await.ok();
    let binds = lab.binds("victim");
    for number in 0..20 {
        from(&lab, 2, ("victim", &format!("guess {number}"))).await;
        lab.ask(Some(VICTIM), PUBLIC).await.ok();
    }
    assert_eq!(lab.binds("victim") - binds, 1, "a warm owner needs none, a stranger has one");
    // What never reached the directory was not found wrong; those that did not were 429, and count nothing.
    let other = Plan { top: "throttle: {failures: 30, comparisons_per_source: 20}", ..PLAN };
    let Some(lab) = Lab::start(other).await else { return };
    lab.slapd.modify("dn: cn=default,ou=policies,dc=example,dc=org\nchangetype: modify\nreplace: pwdMaxFailure\npwdMaxFailure: 31\n");
    lab.ask(Some(VICTIM), PUBLIC).await.ok();
    for number in 0..20 {
        assert_eq!(from(&lab, 2, ("victim", &format!("guess {number}"))).await.status, 401);
    }
    let before = lab.binds("victim");
    for password in ["secret", "another"] {
        assert_eq!(from(&lab, 2, ("victim", password)).await.status, 429, "right or not");
    }
    lab.ask(Some(VICTIM), PUBLIC).await.ok();
    assert_eq!(lab.binds("victim"), before, "nothing was compared, and the owner's answer was remembered");
}

#[tokio::test]
async fn ten_networks_at_once_do_not_reach_the_owners() {
    let proxied = Plan {
        top: "behind_proxy: true\ntrusted_proxies: [127.0.0.1/32]\nthrottle: {failures: 2}\ncredentials_cache: {verified: 0s}",
        ..PLAN
    };
    let Some(lab) = Lab::start(proxied).await else { return };
    let (client, owner) = (reqwest::Client::new(), "2001:db8:a:1::7");
    behind(&lab, &client, owner, VICTIM).await.ok();
    let before = lab.binds("victim");
    let (lab, client) = (&lab, &client);
    let guesses = (0..10).flat_map(|network| (0..10).map(move |host| (network, host))).map(|(network, host)| async move {
        let source = if network % 2 == 0 { format!("2001:db8:f:{network}::{host}") } else { format!("198.51.100.{network}") };
        behind(lab, client, &source, ("victim", &format!("guess {network} {host}"))).await
    });
    let owners = (0..20).map(|_| behind(lab, client, owner, VICTIM));
    let (guesses, owners) = tokio::join!(join_all(guesses), join_all(owners));
    for answer in owners {
        answer.ok();
    }
    for answer in guesses {
        assert!(matches!(answer.status, 401 | 429), "{answer:?}");
    }
    // Another host of the owner's network is the same source: it has the kept part, and a new password gets in.
    for number in 0..5 {
        behind(lab, client, "198.51.100.3", ("victim", &format!("more {number}"))).await;
    }
    lab.slapd.modify("dn: uid=victim,ou=people,dc=example,dc=org\nchangetype: modify\nreplace: userPassword\nuserPassword: brand new\n");
    assert_eq!(behind(lab, client, "198.51.100.3", ("victim", "brand new")).await.status, 429);
    behind(lab, client, "2001:db8:a:1:ffff::9", ("victim", "brand new")).await.ok();
    eprintln!("measured: {} binds for 100 guesses from 10 networks and 22 logins", lab.binds("victim") - before);
    // Nobody is believed who is no proxy.
    let spoofed = reqwest::Client::builder().local_address(IpAddr::from([127, 0, 0, 9])).build().unwrap();
    for number in 0..3 {
        behind(lab, &spoofed, owner, ("victim", &format!("spoofed {number}"))).await;
    }
    assert_eq!(behind(lab, &spoofed, owner, ("victim", "spoofed 4")).await.status, 429);
    behind(lab, client, owner, ("victim", "brand new")).await.ok();
}

#[tokio::test]
async fn a_reload_forgets_nothing() {
    let Some(lab) = Lab::start(PLAN).await else { return };
    lab.ask(Some(VICTIM), PUBLIC).await.ok();
    from(&lab, 2, ("victim", "guess")).await;
    let (binds, users) = (lab.binds("victim"), std::fs::read_to_string(lab.bridge.site().folder().join("users.yaml")).unwrap());
    lab.bridge.site().write("users.yaml", &users.replace("robot-disabled", "robot-other"));
    lab.bridge.signal("HUP");
    crate::labs::wait::until(std::time::Duration::from_secs(20), async || {
        let answer = lab.ask(Some(("robot-other", super::lab::ROBOT.1)), PUBLIC).await;
        // Another name is disabled: only who has the new file can tell.
        if answer.body.to_string().contains("disabled") { Ok(()) } else { Err(format!("not reloaded: {answer:?}")) }
    })
    .await;
    for number in 0..5 {
        assert_eq!(from(&lab, 3, ("victim", &format!("other {number}"))).await.status, 429);
    }
    assert_eq!(lab.binds("victim"), binds);
    lab.ask(Some(VICTIM), PUBLIC).await.ok();
}
