//! Asking a running service at its `admin_listen`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper::http::request::Builder;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use super::UNAVAILABLE;

/// More than any answer needs.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The service at an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admin(SocketAddr);

impl Admin {
    /// The service that listens there; one that listens everywhere is asked on loopback.
    pub(super) fn at(listen: SocketAddr) -> Self {
        Self(match listen {
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
            SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
            SocketAddr::V4(_) | SocketAddr::V6(_) => listen,
        })
    }

    /// Sends a request and reads the JSON that comes back. `Ok(Err)` where nothing answers in time: the exit code, said to
    /// standard error.
    pub(super) async fn ask<T: DeserializeOwned>(self, request: Builder, patience: Duration) -> anyhow::Result<Result<T, ExitCode>> {
        let answer = match tokio::time::timeout(patience, self.send(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Ok(Err(self.unavailable(&format!("{error:#}")))),
            Err(_) => return Ok(Err(self.unavailable(&format!("no answer in {} s", patience.as_secs())))),
        };
        serde_json::from_slice(&answer).map(Ok).with_context(|| match said(&answer) {
            Some(message) => format!("the service at `admin_listen` refuses: {message}"),
            None => "what answers at `admin_listen` is not narrows, or another version of it".to_owned(),
        })
    }

    fn unavailable(self, reason: &str) -> ExitCode {
        super::talk(&format!("error: nothing answers at {}: {reason}", self.0));
        ExitCode::from(UNAVAILABLE)
    }

    async fn send(self, request: Builder) -> anyhow::Result<Bytes> {
        let stream = TcpStream::connect(self.0).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let request: Request<Empty<Bytes>> = request.header("host", self.0.to_string()).body(Empty::new())?;
        let response = sender.send_request(request).await?;
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
        driver.abort();
        Ok(body)
    }
}

/// The message of an error that the service answers with.
fn said(answer: &[u8]) -> Option<String> {
    let error: serde_json::Value = serde_json::from_slice(answer).ok()?;
    Some(error.get("error_description")?.as_str()?.to_owned())
}
