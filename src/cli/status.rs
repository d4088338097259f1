//! `narrows status`: how a running service stands, asked at `admin_listen`.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{ConfigFile, DIFFERENT, UNAVAILABLE};
use crate::app::Status;

/// How long the service may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than any status needs.
const MAX_BYTES: usize = 1024 * 1024;

/// `narrows status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  narrows status --config narrows.yaml\n  narrows status --json | jq .generation\n\nExit code 0: ready. 1: running, but nobody can be served or the last reload was refused. 3: no answer."
)]
pub struct StatusArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
pub async fn run(args: &StatusArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let address = reachable(config.admin_listen.value);
    let asked = tokio::time::timeout(PATIENCE, ask(address)).await;
    let answer = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Ok(unavailable(address, &format!("{error:#}"))),
        Err(_) => return Ok(unavailable(address, "no answer in 5 s")),
    };
    let status: Status = serde_json::from_slice(&answer).context("what answers at `admin_listen` is not narrows")?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?;
    } else {
        print(&status, out)?;
    }
    Ok(if status.ready && status.reload.error.is_none() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
}

fn unavailable(address: SocketAddr, reason: &str) -> ExitCode {
    super::talk(&format!("error: nothing answers at {address}: {reason}"));
    ExitCode::from(UNAVAILABLE)
}

/// The address to ask: one that listens everywhere is asked on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        SocketAddr::V4(_) | SocketAddr::V6(_) => listen,
    }
}

async fn ask(address: SocketAddr) -> anyhow::Result<Bytes> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = hyper::Request::get("/readyz").header("host", address.to_string()).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let body = Limited::new(response.into_body(), MAX_BYTES).collect().await.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
    driver.abort();
    Ok(body)
}

fn print(status: &Status, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "narrows {}: {}, generation {}", status.version, if status.ready { "ready" } else { "not ready" }, status.generation)?;
    for provider in &status.providers {
        let reason = provider.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        writeln!(out, "provider {} ({}, realm {}): {}{reason}", provider.name, provider.kind, provider.realm, provider.state)?;
    }
    for key in &status.keys {
        writeln!(out, "key of {}: {} {}, until {}", key.service, key.algorithm, key.kid, key.not_after)?;
    }
    writeln!(out, "loaded {}", status.reload.loaded)?;
    if let (Some(at), Some(error)) = (&status.reload.refused, &status.reload.error) {
        writeln!(out, "reload refused {at}: {error}")?;
    }
    Ok(())
}
