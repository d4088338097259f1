//! A small directory for tests where timing matters: it answers, keeps silent or closes as told, and counts what it sees.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::ber::{Elements, unsigned};
use super::connection::{Limits, Link};
use super::endpoint::{Endpoint, Security};
use super::frame;

/// The service account of every test.
pub(super) const SERVICE: &str = "cn=narrows";

/// What it saw, and how it behaves.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) connections: AtomicUsize,
    pub(super) open: AtomicUsize,
    pub(super) most_open: AtomicUsize,
    pub(super) binds: AtomicUsize,
    pub(super) service_binds: AtomicUsize,
    pub(super) searches: AtomicUsize,
    pub(super) abandoned: AtomicUsize,
    /// Searches on a connection that somebody else than the service account was bound on.
    pub(super) mixed: AtomicUsize,
    /// No answer on connections that are open now, nor on new ones.
    pub(super) silent: AtomicBool,
    /// No answer on connections with a lower number.
    pub(super) deaf_below: AtomicUsize,
    /// Every connection ends with the answer to its first bind.
    pub(super) hangs_up: AtomicBool,
    /// Milliseconds before an answer to a bind.
    pub(super) slow: AtomicU64,
    /// Entries of each search; `usize::MAX` never end.
    pub(super) entries: AtomicUsize,
}

/// Running, until it is dropped.
#[derive(Debug)]
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(super) async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let mut tasks = JoinSet::new();
        let kept = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = kept.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, number, Arc::clone(&kept)));
            }
        });
        Self { address, seen, _tasks: tasks }
    }

    pub(super) fn count(&self, what: impl Fn(&Seen) -> &AtomicUsize) -> usize {
        what(&self.seen).load(Ordering::SeqCst)
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint { host: self.address.ip().to_string(), port: self.address.port(), security: Security::None }
    }

    pub(super) fn link(&self) -> Link {
        let endpoint = self.endpoint();
        Link { provider: Arc::from("staff"), label: Arc::from(endpoint.to_string()), endpoint, tls: None, limits: limits() }
    }
}

pub(super) fn limits() -> Limits {
    let second = Duration::from_secs(1);
    Limits { connect: second, tls: second, bind: second, search: second }
}

struct Closing<'a>(&'a Seen);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(mut stream: TcpStream, number: usize, seen: Arc<Seen>) {
    let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most_open.fetch_max(open, Ordering::SeqCst);
    let _closing = Closing(&seen);
    let mut somebody_else = false;
    while let Ok(request) = frame::read_whole(&mut stream, || 1_000_000).await {
        let mut parts = Elements::of(Elements::of(&request).expect(0x30).unwrap());
        let id = u16::try_from(unsigned(parts.expect(0x02).unwrap()).unwrap()).unwrap();
        let operation = parts.element().unwrap();
        let answers = match operation.tag {
            0x60 => {
                let mut bind = Elements::of(operation.content);
                bind.expect(0x02).unwrap();
                let service = bind.expect(0x04).unwrap() == SERVICE.as_bytes();
                somebody_else |= !service;
                seen.binds.fetch_add(1, Ordering::SeqCst);
                seen.service_binds.fetch_add(usize::from(service), Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(seen.slow.load(Ordering::SeqCst))).await;
                let code = match bind.element().unwrap().content {
                    b"secret" => 0,
                    b"busy" => 51,
                    _ => 49,
                };
                answer(id, 0x61, code)
            }
            0x63 => {
                seen.searches.fetch_add(1, Ordering::SeqCst);
                seen.mixed.fetch_add(usize::from(somebody_else), Ordering::SeqCst);
                let mut sent = 0;
                let entries = seen.entries.load(Ordering::SeqCst);
                while sent < entries && entries > 1000 {
                    if stream.write_all(&entry(id)).await.is_err() {
                        return;
                    }
                    sent += 1;
                }
                [entry(id).repeat(entries.saturating_sub(sent)), answer(id, 0x65, 0)].concat()
            }
            0x50 => {
                seen.abandoned.fetch_add(1, Ordering::SeqCst);
                Vec::new()
            }
            _ => Vec::new(),
        };
        if seen.silent.load(Ordering::SeqCst) || number < seen.deaf_below.load(Ordering::SeqCst) {
            continue;
        }
        if stream.write_all(&answers).await.is_err() || seen.hangs_up.load(Ordering::SeqCst) {
            return;
        }
    }
}

fn message(id: u16, tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    let length = u8::try_from(content.len()).unwrap();
    [&[0x30, length + 7, 0x02, 0x03, 0, high, low, tag, length], content].concat()
}

fn answer(id: u16, tag: u8, code: u8) -> Vec<u8> {
    message(id, tag, &[0x0a, 0x01, code, 0x04, 0x00, 0x04, 0x00])
}

/// `uid=a` with `uid: a`.
fn entry(id: u16) -> Vec<u8> {
    message(id, 0x64, b"\x04\x05uid=a\x30\x0c\x30\x0a\x04\x03uid\x31\x03\x04\x01a")
}
