//! The bridge's own certificate is replaced while it runs.

use std::time::{Duration, Instant};

use rcgen::CertifiedKey;
use rustls::pki_types::CertificateDer;

use super::wire;
use crate::labs::bridge::{Bridge, Site};
use crate::labs::wait;

const CONFIGURATION: &str = "
services:
  - {name: registry.test, registry: distribution-2}
rules: rules.yaml
reload: {every: 200ms}
audit: {file: audit.jsonl}
tls: {certificate: tls.crt, key: tls.key}
providers:
  - {name: robots, file: {path: users.yaml}}
";
const ANONYMOUS: &str = "/token?service=registry.test&scope=repository:base/x:pull";
/// Two looks at the files, and a busy machine.
const NOTICED: Duration = Duration::from_secs(5);

struct Pair {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: String,
}

fn pair() -> Pair {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Pair { certificate: cert.der().clone(), certificate_pem: cert.pem(), key_pem: signing_key.serialize_pem() }
}

#[tokio::test]
async fn replaced_certificate_counts_from_the_next_connection_on() {
    let (first, second) = (pair(), pair());
    let site = Site::new();
    site.write("rules.yaml", super::lab::RULES.replace("realm: corp", "realm: robots").as_str());
    site.write("users.yaml", "users: []\n");
    site.write("tls.crt", &first.certificate_pem);
    site.write("tls.key", &first.key_pem);
    site.configure(CONFIGURATION);
    site.command(&["keys", "init"]).await.ok();
    let bridge = site.launch();
    let address = bridge.site().address();
    let mut old = wait::until(Duration::from_secs(30), async || {
        wire::over_tls(address, &first.certificate).await.map_err(|error| format!("{error}; {}", bridge.log()))
    })
    .await;
    assert_eq!(wire::shown(&old), first.certificate);
    assert_eq!(wire::ask(&mut old, ANONYMOUS).await, Some(200), "{}", bridge.log());

    // Half of the change: the new certificate with the old key is complained about and not used.
    bridge.site().write("tls.crt", &second.certificate_pem);
    wait::until(NOTICED, async || {
        let log = bridge.log();
        if log.contains("cannot be used together") { Ok(()) } else { Err(log) }
    })
    .await;
    serves(&bridge, &first).await.expect("what ran goes on");

    bridge.site().write("tls.key", &second.key_pem);
    let began = Instant::now();
    wait::until(NOTICED, async || serves(&bridge, &second).await).await;
    eprintln!("measured: the new certificate was shown after {:?}", began.elapsed());
    assert!(serves(&bridge, &first).await.is_err(), "the old certificate is not shown any more");
    // Who is connected stays connected.
    assert_eq!(wire::ask(&mut old, ANONYMOUS).await, Some(200), "{}", bridge.log());
}

/// Whether a new connection is answered under this certificate.
async fn serves(bridge: &Bridge, pair: &Pair) -> Result<(), String> {
    let mut stream = wire::over_tls(bridge.site().address(), &pair.certificate).await?;
    assert_eq!(wire::shown(&stream), pair.certificate);
    match wire::ask(&mut stream, ANONYMOUS).await {
        Some(200) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}
