//! One request from its arrival to its line in the log: its id, its client, the caps on its head.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{HOST, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::Response;
use data_encoding::HEXLOWER;
use tokio::time::Instant;

use super::answer;
use super::bridge::Bridge;
use super::client::{self, Peer};
use super::edge::Edge;
use super::error::Invalid;
use super::limits::Limits;
use crate::issue::{Caller, Client};

/// The longest path and method that the log repeats.
const MAX_LOGGED: usize = 200;
/// What a header line costs beside its name and value.
const HEADER_OVERHEAD: usize = 4;

/// What is known of a request before anything of it means anything. Handlers find it among the extensions.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// 128 random bits; in the answer's header, the log and the audit.
    pub(super) id: Arc<str>,
    /// Where it came from.
    pub(super) client: Client,
    /// When its head was there.
    pub(super) received: Instant,
}

impl Visit {
    /// Whose request it is, as the service behind the edge wants to know it.
    pub(super) fn caller(&self) -> Caller {
        Caller { id: self.id.to_string(), client: self.client, received: self.received }
    }
}

/// The outermost layer: everything that is answered passes here and is logged once.
pub(super) async fn attend<B: Bridge>(
    State(edge): State<Edge<B>>,
    Extension(Peer(peer)): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let client = client::locate(peer.ip(), request.headers(), &edge.bridge.trusted_proxies());
    let visit = Visit { id: random_id(), client, received: Instant::now() };
    let (method, path) = (shown(request.method().as_str()), shown(request.uri().path()));
    let mut response =
        if let Some(invalid) = oversized(request.uri(), request.headers(), &edge.limits).or_else(|| ambiguous(request.headers())) {
            edge.refuse(&visit, &invalid.into(), None)
        } else {
            request.extensions_mut().insert(visit.clone());
            next.run(request).await
        };
    answer::mark(response.headers_mut(), &visit.id);
    log(&visit, &method, &path, response.status().as_u16());
    response
}

fn oversized(uri: &Uri, headers: &HeaderMap, limits: &Limits) -> Option<Invalid> {
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len()) + uri.authority().map_or(0, |host| host.as_str().len());
    let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD).sum();
    if target > limits.uri { Some(Invalid::UriTooLong) } else { (head > limits.headers).then_some(Invalid::HeadersTooLarge) }
}

/// What a proxy in front may have read in another way than hyper: it takes any list of codings that ends in `chunked` for
/// `chunked`, and the first of several hosts.
fn ambiguous(headers: &HeaderMap) -> Option<Invalid> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !chunked || codings.next().is_some() {
        return Some(Invalid::TransferCoding);
    }
    headers.get_all(HOST).iter().nth(1).map(|_| Invalid::DoubledHost)
}

/// Never the query, a header's value or a body: they hold what people type.
fn log(visit: &Visit, method: &str, path: &str, status: u16) {
    let Visit { id, client, received } = visit;
    let latency_us = u64::try_from(received.elapsed().as_micros()).unwrap_or(u64::MAX);
    let (address, trusted) = (client.address, client.trusted);
    if status >= 500 {
        tracing::warn!(request_id = %id, method, path, status, latency_us, client = %address, client_trusted = trusted, "{method} {path}: {status}");
    } else {
        tracing::info!(request_id = %id, method, path, status, latency_us, client = %address, client_trusted = trusted, "{method} {path}: {status}");
    }
}

/// Text of a stranger as a log may hold it.
fn shown(text: &str) -> String {
    text.escape_default().take(MAX_LOGGED).collect()
}

/// Only finds lines again and proves nothing, so that without randomness an id of zeros is better than no answer.
fn random_id() -> Arc<str> {
    let mut bytes = [0_u8; 16];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        tracing::error!("the operating system gives no randomness");
    }
    HEXLOWER.encode(&bytes).into()
}
