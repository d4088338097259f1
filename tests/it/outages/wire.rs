//! Bytes to the bridge and back, with and without TLS, as no client library would send them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Sends bytes and reads until the other side closes, or for so long. A peer that closes before it has read all is no
/// failure.
pub async fn exchange(address: SocketAddr, bytes: &[u8], patience: Duration) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the bridge takes connections");
    let mut answer = Vec::new();
    let talk = async {
        if stream.write_all(bytes).await.is_ok() {
            let _ = stream.flush().await;
        }
        let _ = stream.read_to_end(&mut answer).await;
    };
    let _ = tokio::time::timeout(patience, talk).await;
    answer
}

/// The status of an answer; `None` where there was none.
pub fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "))?.get(..3)?.parse().ok()
}

/// A TLS connection to the bridge that trusts this certificate alone.
pub async fn over_tls(address: SocketAddr, trusted: &CertificateDer<'static>) -> Result<TlsStream<TcpStream>, String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).map_err(|error| error.to_string())?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| error.to_string())
}

/// The certificate that the other side showed.
pub fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().expect("the server shows a certificate")[0].clone().into_owned()
}

/// One request on an open connection; its status. The connection stays open.
pub async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> Option<u16> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let read = async {
        while !is_whole(&answer) {
            if stream.read_buf(&mut answer).await.ok()? == 0 {
                return None;
            }
        }
        status(&answer)
    };
    tokio::time::timeout(Duration::from_secs(10), read).await.ok()?
}

/// Whether an answer with a length has come to its end: what is left of it would be read as the next one.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("an answer has a length");
    body.len() >= length.parse().expect("a length is a number")
}
