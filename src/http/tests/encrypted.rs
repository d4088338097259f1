//! TLS: what is offered, what is refused, and a certificate that is replaced while the service runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::fake::Fake;
use crate::http::{Limits, router, serve};
use crate::lifecycle::Tls;

struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

fn pair(folder: &Path, name: &str) -> Pair {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pair = Pair { certificate: folder.join(format!("{name}.crt")), key: folder.join(format!("{name}.key")) };
    std::fs::write(&pair.certificate, made.cert.pem()).unwrap();
    std::fs::write(&pair.key, made.signing_key.serialize_pem()).unwrap();
    pair
}

async fn start(config: Arc<ArcSwap<ServerConfig>>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits { handshake_time: Duration::from_secs(1), ..Limits::default() };
    let router = router(Arc::new(Fake::default()), limits.clone());
    tokio::spawn(serve(listener, Some(config), router, limits, std::future::pending(), Duration::ZERO));
    address
}

/// Asks over TLS, trusting this certificate alone.
async fn ask(address: std::net::SocketAddr, trusted: &Path, versions: &[&'static SupportedProtocolVersion]) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn a_replaced_certificate_counts_from_the_next_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (pair(folder.path(), "first"), pair(folder.path(), "second"));
    let config = Tls::load(&first.certificate, &first.key).unwrap().current();
    let address = start(Arc::clone(&config)).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        assert!(ask(address, &first.certificate, &[version]).await.unwrap().starts_with("HTTP/1.1 200"));
    }
    assert!(ask(address, &second.certificate, rustls::DEFAULT_VERSIONS).await.is_err());
    config.store(Tls::load(&second.certificate, &second.key).unwrap().read().unwrap());
    assert!(ask(address, &second.certificate, rustls::DEFAULT_VERSIONS).await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(ask(address, &first.certificate, rustls::DEFAULT_VERSIONS).await.is_err());
}

#[tokio::test]
async fn a_peer_that_does_not_shake_hands_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let pair = pair(folder.path(), "only");
    let address = start(Tls::load(&pair.certificate, &pair.key).unwrap().current()).await;
    for opening in [&b""[..], b"\x16\x03\x01", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(opening).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("the connection stays open");
        assert!(!answer.starts_with(b"HTTP"), "plain HTTP is answered on a TLS port");
    }
    assert!(ask(address, &pair.certificate, rustls::DEFAULT_VERSIONS).await.is_ok());
}
