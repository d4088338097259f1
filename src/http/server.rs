//! Connections: accepted, encrypted, limited in number and time, and drained at the end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::Service;

use super::client::Peer;
use super::limits::Limits;
use super::patience::{Busy, Patience};

/// The pause after a failed `accept` that is the machine's fault (no descriptors, no memory), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much of a head over the caps is read to answer it.
const BEYOND_CAPS: usize = 8 * 1024;

/// Serves until `shutdown` is ready, then takes no new connections, lets requests that are being answered finish for up to
/// `drain`, and cuts the rest. Returns how many connections were cut.
///
/// The certificate is looked up for each connection, so that a replaced one counts from the next connection on.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
    drain: Duration,
) -> usize {
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let next = tokio::select! {
            biased;
            () = &mut shutdown => break,
            next = accept(&listener, &places) => next,
        };
        let Some((stream, peer, place)) = next else { continue };
        let tls = tls.as_ref().map(|tls| TlsAcceptor::from(tls.load_full()));
        let connection = Connection { peer, router: router.clone(), limits: limits.clone(), watcher: graceful.watcher() };
        connections.spawn(async move {
            connection.run(stream, tls).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let finished = tokio::time::timeout(drain, graceful.shutdown()).await.is_ok();
    while connections.try_join_next().is_some() {}
    if finished { 0 } else { connections.len() }
}

/// The next connection, once there is a place for it. `None` after a failure: the peer's own, or the machine's, which
/// passes; the loop never ends for either.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            if !is_peers_fault(&error) {
                tracing::warn!(%error, "cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None
        }
    }
}

fn is_peers_fault(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}

/// One connection and what it needs.
struct Connection {
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    watcher: Watcher,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(client = %self.peer, %error, "the connection is gone already: {error}");
        }
        match tls {
            None => self.talk(stream).await,
            Some(tls) => match tokio::time::timeout(self.limits.handshake_time, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.talk(stream).await,
                Ok(Err(error)) => tracing::debug!(client = %self.peer, %error, "the TLS handshake failed: {error}"),
                Err(_) => tracing::debug!(client = %self.peer, "the TLS handshake took too long"),
            },
        }
    }

    /// Requests and answers, until either side has enough.
    async fn talk(self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
        let Self { peer, router, limits, watcher } = self;
        let busy = Busy::default();
        let stream = Patience::new(stream, &limits, busy.clone());
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            let answering = busy.start();
            request.extensions_mut().insert(Peer(peer));
            let mut router = router.clone();
            async move {
                let response = router.call(request).await;
                drop(answering);
                response.map_err(|never: Infallible| never)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // `Patience` is stricter; this one makes hyper look at a connection again that has become idle.
            .header_read_timeout(limits.idle_time + limits.head_time)
            // A head a little over the caps gets an answer of ours, one far over them hyper's bare 431.
            .max_buf_size(limits.uri + limits.headers + BEYOND_CAPS)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(client = %peer, %error, "the connection ended early: {error}");
        }
    }
}
