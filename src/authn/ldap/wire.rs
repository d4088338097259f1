//! The way to a directory: TCP, StartTLS and TLS are ours, so that every byte can be looked at before ldap3 parses it.
//! ldap3 gets one end of a socket pair; a task carries whole messages between the pair and the directory.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::ber::{BerError, Elements, unsigned};
use super::carry::{Ending, carry};
use super::endpoint::{Endpoint, Security};
use super::frame::{self, MAX_ANSWER};
use super::journey::{Handshake, Journey};
use super::tls::TlsClient;
use super::tls_error::explain;
use super::trouble::Trouble;

/// `ExtendedRequest` number 1 with the name 1.3.6.1.4.1.1466.20037 (RFC 4511 §4.14.1).
const START_TLS: &[u8; 31] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// What was sent and not even taken by the other side's system for so long ends the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Opens TCP within `connect` and, as the endpoint demands, TLS within `tls`. The carrying task lives in `tasks`; what was met
/// on the way is written into `journey`.
pub(super) async fn open(
    endpoint: &Endpoint,
    tls: Option<&TlsClient>,
    connect: Instant,
    tls_timeout: impl FnOnce() -> Instant,
    tasks: &mut JoinSet<()>,
    journey: &mut Journey,
) -> Result<(StdUnixStream, Ending), Trouble> {
    let mut stream = tcp(endpoint, connect, journey).await?;
    let (inner, outer) = UnixStream::pair().map_err(|error| Trouble::new("connect", format!("no socket pair: {error}")))?;
    let inner = inner.into_std().map_err(|error| Trouble::new("connect", format!("no socket pair: {error}")))?;
    let (teller, ending) = Ending::new();
    match (endpoint.security, tls) {
        (Security::None, _) => {
            tasks.spawn(carry(stream, outer, teller));
        }
        (Security::Tls | Security::StartTls, None) => return Err(Trouble::new("tls", "TLS is demanded and not configured")),
        (security @ (Security::Tls | Security::StartTls), Some(tls)) => {
            let (until, started) = (tls_timeout(), Instant::now());
            if security == Security::StartTls {
                timeout_at(until, start_tls(&mut stream)).await.map_err(|_| Trouble::timeout("tls"))??;
            }
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&tls.config));
            let handshake = timeout_at(until, connector.connect(tls.name.clone(), stream));
            let protected = handshake.await.map_err(|_| Trouble::timeout("tls"))?.map_err(|error| Trouble::new("tls", explain(&error)))?;
            journey.handshake = Some(Handshake::of(protected.get_ref().1, started.elapsed()));
            tasks.spawn(carry(protected, outer, teller));
        }
    }
    Ok((inner, ending))
}

/// Connects to the first address that answers; no address may use up the time of those behind it.
async fn tcp(endpoint: &Endpoint, until: Instant, journey: &mut Journey) -> Result<TcpStream, Trouble> {
    let started = Instant::now();
    let found = timeout_at(until, tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port))).await;
    let addresses: Vec<SocketAddr> = found
        .map_err(|_| Trouble::new("connect", "no answer from DNS in time"))?
        .map_err(|error| Trouble::new("connect", format!("cannot resolve `{}`: {error}", endpoint.host)))?
        .collect();
    journey.resolved = Some((addresses.clone(), started.elapsed()));
    let (started, mut last) = (Instant::now(), Trouble::new("connect", format!("`{}` has no address", endpoint.host)));
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(1);
        let now = Instant::now();
        let share = now + until.saturating_duration_since(now) / left;
        match timeout_at(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                journey.connected = Some((*address, started.elapsed()));
                return prepared(stream).map_err(|error| Trouble::new("connect", format!("{address}: {error}")));
            }
            Ok(Err(error)) => last = Trouble::new("connect", format!("{address}: {error}")),
            Err(_) => last = Trouble::new("connect", format!("{address}: no answer in time")),
        }
    }
    Err(last)
}

/// No delay (a bind over TLS takes 40 ms longer with it), and a peer that vanished is noticed.
fn prepared(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(&stream);
    let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10));
    socket.set_tcp_keepalive(&keepalive.with_retries(3))?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(stream)
}

/// Asks for TLS and reads the one answer, not a byte more: whatever somebody put behind it is taken for TLS and fails there.
async fn start_tls(stream: &mut TcpStream) -> Result<(), Trouble> {
    stream.write_all(START_TLS).await.map_err(|error| Trouble::new("tls", error.to_string()))?;
    let answer = frame::read(stream, || MAX_ANSWER).await.map_err(|error| Trouble::new("tls", error.to_string()))?;
    match start_tls_code(&answer.bytes) {
        Ok(0) => Ok(()),
        Ok(code) => {
            let refused = "the directory refuses StartTLS: give the server a certificate, or write ldaps:// where it listens for TLS";
            Err(Trouble::code("tls", code, refused))
        }
        Err(error) => Err(Trouble::new("tls", format!("the answer to StartTLS cannot be read: {error}"))),
    }
}

/// The result code of an `ExtendedResponse` number 1.
fn start_tls_code(answer: &[u8]) -> Result<u32, BerError> {
    let mut message = Elements::of(Elements::of(answer).expect(0x30)?);
    if unsigned(message.expect(0x02)?)? != 1 {
        return Err(BerError::Malformed);
    }
    unsigned(Elements::of(message.expect(0x78)?).expect(0x0a)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_start_tls_is_read_strictly() {
        assert_eq!(start_tls_code(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"), Ok(0));
        assert_eq!(start_tls_code(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00"), Ok(52));
        // Another message number, another operation, a notice of disconnection.
        assert!(start_tls_code(b"\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\x00\x04\x00\x04\x00").is_err());
        assert!(start_tls_code(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00").is_err());
        assert!(start_tls_code(b"\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x00\x04\x00\x04\x00").is_err());
    }
}
