//! Several servers, what their certificates say, and who binds with one of its own.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use narrows::authn::attempt::Attempt;
use narrows::authn::authenticator::Freshness;
use narrows::authn::ldap::Directory;
use narrows::authn::provider::Health;
use narrows::authn::verdict::Verdict;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{directory, directory_at, within, word};
use crate::slapd::{Options, SERVICE_DN, Slapd};

const TIMEOUTS: &str = "timeouts: {connect: 2s, tls: 2s, bind: 3s, search: 3s}";

/// One directory of two servers, asked in this order.
fn of_two(first: &Slapd, second: &Slapd) -> Directory {
    let authorities = [first, second].map(|lab| fs::read_to_string(lab.folder().join("ca.pem")).unwrap()).concat();
    fs::write(first.folder().join("both.pem"), authorities).unwrap();
    let servers = format!("servers: [\"{}\", {{url: \"{}\", priority: 10}}]", first.tls_url(), second.tls_url());
    let lines = [("servers", &*servers), ("tls", "tls: {ca: {file: both.pem}}"), ("timeouts", TIMEOUTS)];
    directory_at(first.folder(), "", &lines)
}

/// How long a right password takes to be taken within the default deadline.
async fn log_in(staff: &Directory) -> Duration {
    let started = Instant::now();
    let password = SecretString::from("secret".to_owned());
    let verdict = staff.verify("alice", &password, &within(Duration::from_secs(8)), Freshness::CacheAllowed, &Attempt::default()).await;
    assert!(matches!(verdict, Ok(Verdict::Authenticated(..))), "{verdict:?}");
    started.elapsed()
}

#[tokio::test]
async fn a_server_that_freezes_or_dies_is_replaced_and_gets_its_requests_back() {
    let (Some(mut first), Some(second)) = (Slapd::start(Options::default()).await, Slapd::start(Options::default()).await) else { return };
    let staff = of_two(&first, &second);
    for _ in 0..5 {
        log_in(&staff).await;
    }
    assert_eq!((second.connections(), staff.health()), (0, Health::Up));

    first.freeze();
    let mut slow = 0;
    for _ in 0..20 {
        slow += usize::from(log_in(&staff).await > Duration::from_secs(1));
    }
    assert!(slow <= 1, "{slow} of 20 waited");
    first.thaw();
    back(&staff, &first).await;

    first.kill();
    for _ in 0..20 {
        assert!(log_in(&staff).await < Duration::from_secs(1));
    }
    assert!(matches!(staff.health(), Health::Impaired(why) if why.contains(&first.tls_url())));
    first.restart().await;
    back(&staff, &first).await;
    assert_eq!(staff.health(), Health::Up);
}

/// Within two seconds the first server is asked again, and nobody waits for it.
async fn back(staff: &Directory, first: &Slapd) {
    let (before, started) = (first.binds("uid=alice,ou=people,dc=example,dc=org"), Instant::now());
    while first.binds("uid=alice,ou=people,dc=example,dc=org") == before {
        assert!(started.elapsed() < Duration::from_secs(2), "it is not asked again");
        assert!(log_in(staff).await < Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_crowd_uses_the_connections_of_the_pool() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let pool = "timeouts: {connect: 20s, tls: 20s, bind: 20s, search: 20s}\npool: {bind: 4}";
    let staff = Arc::new(directory(&lab, &[("timeouts", pool)]));
    let mut asked = JoinSet::new();
    for number in 0..200 {
        let staff = Arc::clone(&staff);
        asked.spawn(async move {
            let (name, password, expected) =
                if number % 2 == 0 { ("alice", "secret", "authenticated alice") } else { ("nomarker", "secret", "authenticated nomarker") };
            assert_eq!(word(&staff, name, password).await, expected);
        });
    }
    asked.join_all().await;
    assert!((3..=2 + 4).contains(&lab.connections()), "{}", lab.connections());
    assert_eq!(lab.binds(SERVICE_DN), 2);
}

#[tokio::test]
async fn a_client_certificate_stands_for_the_service_account() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    for (server, shared) in [(lab.tls_url(), "LDAPS"), (lab.url(), "StartTLS")] {
        let tls = "tls: {ca: {file: ca.pem}, certificate: client.pem, key: client.key}";
        let staff = directory_at(lab.folder(), &server, &[("service_account", "service_account: external"), ("tls", tls)]);
        assert_eq!(word(&staff, "alice", "secret").await, "authenticated alice", "{shared}");
        assert_eq!(word(&staff, "alice", "wrong").await, "wrong_password", "{shared}");
    }
    assert!(lab.external_binds() >= 2);
    assert_eq!(lab.binds(SERVICE_DN), 0);
    // Somebody whom the directory does not know may not search; it is an outage and no unknown name.
    let tls = "tls: {ca: {file: ca.pem}, certificate: stranger.pem, key: stranger.key}";
    let staff = directory_at(lab.folder(), &lab.tls_url(), &[("service_account", "service_account: external"), ("tls", tls)]);
    let said = word(&staff, "alice", "secret").await;
    assert!(said.starts_with("unavailable: "), "{said}");
    let staff = directory(&lab, &[("service_account", "service_account: anonymous")]);
    let said = word(&staff, "alice", "secret").await;
    assert!(said.starts_with("unavailable: ") || said == "not mine", "{said}");
}

/// Speaks TLS with this certificate, and nothing more.
async fn speaks_tls(certificate: &str, key: &str) -> (String, JoinSet<()>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldaps://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    (url, tasks)
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said_with_what_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    fs::write(folder.path().join("ca.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    let named = |names: &[&str]| CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    let (mut expired, mut early) = (named(&["127.0.0.1"]), named(&["127.0.0.1"]));
    expired.not_after = rcgen::date_time_ymd(2020, 1, 31);
    early.not_before = rcgen::date_time_ymd(2200, 1, 31);
    early.not_after = rcgen::date_time_ymd(2300, 1, 31);
    for (params, expected) in [
        (expired, "expired on 2020-01-31T00:00:00Z: renew it"),
        (early, "not valid before 2200-01-31T00:00:00Z: are the clocks right?"),
        (named(&[]), "bears no name (subjectAltName) at all"),
        (named(&["dc1.corp.example"]), "not valid for name `127.0.0.1`: it bears dc1.corp.example;"),
    ] {
        let own = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&own, &issuer).unwrap();
        let (url, _serving) = speaks_tls(&certificate.pem(), &own.serialize_pem()).await;
        let said = word(&directory_at(folder.path(), &url, &[]), "alice", "secret").await;
        assert!(said.starts_with("unavailable: tls: the server's certificate") && said.contains(expected), "{said}");
    }
    // A file that holds no certificate is found out at the start, not at the first login.
    fs::write(folder.path().join("none.pem"), "").unwrap();
    let built = std::panic::catch_unwind(|| directory_at(folder.path(), "ldaps://h", &[("tls", "tls: {ca: {file: none.pem}}")]));
    assert!(built.is_err());
}
