//! The way to the directory: protected, or not at all; and what happens when it breaks.

use std::time::Duration;

use narrows::authn::attempt::Attempt;
use narrows::authn::authenticator::Freshness;
use narrows::authn::provider::Health;
use secrecy::SecretString;
use tokio::time::Instant;

use super::{directory, directory_at, identity, within, word};
use crate::slapd::{Options, Slapd};

#[tokio::test]
async fn ldaps_and_start_tls_and_the_plain_word_work() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let by_name = lab.tls_url().replace("127.0.0.1", "localhost");
    for (server, allow, tls) in [
        (lab.tls_url(), "", "tls: {ca: {file: ca.pem}}"),
        (lab.tls_url(), "", "tls: {ca: {file: ca.pem}, min_version: \"1.3\", server_name: localhost}"),
        (by_name, "", "tls: {ca: {file: ca.pem}}"),
        (lab.url(), "", "tls: {ca: {file: ca.pem}}"),
        (lab.url(), "allow_plaintext: true", ""),
    ] {
        let staff = directory_at(lab.folder(), &server, &[("allow_plaintext", allow), ("tls", tls)]);
        assert_eq!(word(&staff, "alice", "secret").await, "authenticated alice", "{server} {allow} {tls}");
        assert_eq!(staff.health(), Health::Up);
    }
}

#[tokio::test]
async fn a_server_that_does_not_prove_itself_gets_no_password() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let plain_port = lab.url().replace("ldap://", "ldaps://");
    for (server, tls, expected) in [
        (lab.tls_url(), "tls: {ca: {file: other-ca.pem}}", "UnknownIssuer"),
        (lab.url(), "tls: {ca: {file: other-ca.pem}}", "UnknownIssuer"),
        (lab.tls_url(), "tls: {ca: {file: ca.pem}, server_name: ldap.corp.example}", "not valid for name"),
        (plain_port, "tls: {ca: {file: ca.pem}}", "tls:"),
    ] {
        let staff = directory_at(lab.folder(), &server, &[("tls", tls)]);
        let said = word(&staff, "alice", "secret").await;
        assert!(said.starts_with("unavailable: tls") && said.contains(expected), "{server} {tls}: {said}");
        assert!(matches!(staff.health(), Health::Down(_)));
    }
    assert_eq!(lab.binds(crate::slapd::SERVICE_DN), 0);
}

#[tokio::test]
async fn a_server_that_refuses_start_tls_is_not_asked_without_it() {
    let Some(lab) = Slapd::start(Options { member_of: true, tls: false }).await else { return };
    let said = word(&directory_at(lab.folder(), &lab.url(), &[]), "alice", "secret").await;
    assert!(said.contains("refuses StartTLS"), "{said}");
    assert_eq!(lab.binds(crate::slapd::SERVICE_DN), 0);
}

#[tokio::test]
async fn a_frozen_server_is_an_outage_within_the_deadline_and_is_back_at_once() {
    let Some(mut lab) = Slapd::start(Options::default()).await else { return };
    let staff = directory(&lab, &[]);
    let alice = identity(&staff, "alice", "secret").await;
    lab.freeze();
    let started = Instant::now();
    let password = SecretString::from("secret".to_owned());
    let refused = staff
        .verify("alice", &password, &within(Duration::from_millis(700)), Freshness::CacheAllowed, &Attempt::default())
        .await
        .unwrap_err();
    assert!(refused.reason.contains("no answer in time"), "{refused}");
    assert_eq!(refused.retry_after, Duration::from_secs(5));
    assert!(staff.recheck(&alice, &within(Duration::from_millis(300))).await.is_err());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(matches!(staff.health(), Health::Down(_)));
    lab.thaw();
    assert_eq!(word(&staff, "alice", "secret").await, "authenticated alice");
    assert_eq!(staff.health(), Health::Up);

    lab.kill();
    let said = word(&staff, "alice", "secret").await;
    assert!(said.starts_with("unavailable: connect"), "{said}");
    assert!(staff.recheck(&alice, &within(Duration::from_secs(5))).await.is_err());
}
