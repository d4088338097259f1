//! How much and how long the edge takes from one peer.

use std::time::Duration;

/// Sizes in bytes, and patience. The defaults are the product's; tests shorten the times.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Of the whole request target; more is 414.
    pub uri: usize,
    /// Of all header names and values together; more is 431.
    pub headers: usize,
    /// Of a form; more is 413.
    pub body: usize,
    /// For a request's head to come whole, counted from the connection or from its first byte.
    pub head_time: Duration,
    /// For a form to come whole.
    pub body_time: Duration,
    /// For the next request on an open connection, and for a peer to take an answer.
    pub idle_time: Duration,
    /// For the TLS handshake.
    pub handshake_time: Duration,
    /// Open connections; more wait in the operating system's queue.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            uri: 8 * 1024,
            headers: 32 * 1024,
            body: 64 * 1024,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(10),
            // Over the 60 s that proxies keep an idle connection, so that the proxy is the one that closes.
            idle_time: Duration::from_secs(75),
            handshake_time: Duration::from_secs(10),
            connections: 4096,
        }
    }
}
