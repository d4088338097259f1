//! What goes wrong between narrows and a directory: an outage within the deadline each time, never another answer, and
//! soon it is back.

use std::time::Duration;

use narrows::authn::attempt::Attempt;
use narrows::authn::authenticator::Freshness;
use narrows::authn::ldap::Directory;
use narrows::authn::verdict::Verdict;
use secrecy::SecretString;
use tokio::time::Instant;

use super::{directory_at, within, word};
use crate::labs::tap::Tap;
use crate::slapd::{Options, SERVICE_DN, Slapd};

const ALICE: &str = "uid=alice,ou=people,dc=example,dc=org";
const PLAIN: [(&str, &str); 2] = [("allow_plaintext", "allow_plaintext: true"), ("tls", "")];
const SHORT: &str = "timeouts: {connect: 2s, tls: 2s, bind: 3s, search: 3s}";

/// Whether the right password is let in before the default deadline is over. Every other answer is a fault.
async fn log_in(staff: &Directory, told: &str) -> bool {
    let started = Instant::now();
    let password = SecretString::from("secret".to_owned());
    let verdict = staff.verify("alice", &password, &within(Duration::from_secs(8)), Freshness::CacheAllowed, &Attempt::default()).await;
    assert!(started.elapsed() < Duration::from_millis(8500), "{told}: {:?}", started.elapsed());
    match verdict {
        Ok(Verdict::Authenticated(..)) => true,
        Err(_) => false,
        Ok(other) => panic!("{told}: {other:?}"),
    }
}

/// Fails unless somebody gets in within two seconds.
async fn back(staff: &Directory, told: &str) {
    let started = Instant::now();
    while !log_in(staff, told).await {
        assert!(started.elapsed() < Duration::from_secs(2), "{told}: still an outage");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_tap_sees_what_the_directory_sees() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let tap = Tap::start(&lab.url()).await;
    let staff = directory_at(lab.folder(), &tap.url(), &PLAIN);
    for (password, expected) in [("secret", "authenticated alice"), ("wrong", "wrong_password")] {
        assert_eq!(word(&staff, "alice", password).await, expected);
    }
    assert_eq!((tap.binds(ALICE), tap.binds(SERVICE_DN)), (lab.binds(ALICE), lab.binds(SERVICE_DN)));
    assert_eq!(tap.binds(ALICE), 2);
    assert!(tap.searches() >= 2 && tap.connections() >= 2 && tap.open() <= tap.connections());

    let hidden = Tap::start(&lab.tls_url()).await;
    assert_eq!(word(&directory_at(lab.folder(), &hidden.url(), &[]), "alice", "secret").await, "authenticated alice");
    assert_eq!((hidden.binds(ALICE), hidden.searches(), lab.binds(ALICE)), (0, 0, 3));
}

#[tokio::test]
async fn a_long_way_is_slow_and_no_outage() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    for url in [lab.tls_url(), lab.url()] {
        let tap = Tap::start(&url).await;
        tap.delay(Duration::from_millis(60));
        let staff = directory_at(lab.folder(), &tap.url(), &[("timeouts", SHORT)]);
        let started = Instant::now();
        assert!(log_in(&staff, &url).await);
        // A search and a bind at least, there and back.
        assert!(started.elapsed() >= Duration::from_millis(240), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_way_that_breaks_is_an_outage_and_is_back_within_two_seconds() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let tap = Tap::start(&lab.tls_url()).await;
    let staff = directory_at(lab.folder(), &tap.url(), &[("timeouts", SHORT)]);
    for told in ["reset", "half-closed", "forgotten"] {
        assert!(log_in(&staff, told).await, "{told}: before");
        match told {
            "reset" => tap.reset(),
            "half-closed" => tap.half_close(),
            _ => tap.forget(),
        }
        if !log_in(&staff, told).await {
            back(&staff, told).await;
        }
    }
    tap.hold();
    assert!(!log_in(&staff, "held").await, "nothing gets through");
    tap.release();
    back(&staff, "released").await;
}

#[tokio::test]
async fn an_answer_that_is_cut_anywhere_is_never_another_answer() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    for (url, lines, step) in [(lab.url(), &PLAIN[..], 5), (lab.tls_url(), &[], 97)] {
        let tap = Tap::start(&url).await;
        let (mut outages, mut bytes) = (0, 1);
        // Until a whole login fits into what one connection lets through.
        loop {
            tap.cut_after(Some(bytes));
            let staff = directory_at(lab.folder(), &tap.url(), lines);
            let password = SecretString::from("secret".to_owned());
            match staff.verify("alice", &password, &within(Duration::from_millis(400)), Freshness::CacheAllowed, &Attempt::default()).await
            {
                Ok(Verdict::Authenticated(identity, _)) => {
                    assert_eq!(identity.groups.len(), 3, "after {bytes} bytes");
                    break;
                }
                Ok(other) => panic!("after {bytes} bytes: {other:?}"),
                Err(_) => outages += 1,
            }
            bytes += step;
            assert!(bytes < 20_000, "a login takes less");
        }
        assert!(outages > 10, "{url}: {outages}");
    }
}
