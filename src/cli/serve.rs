//! `narrows serve`: the service.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::ConfigFile;
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::http::{self, Limits};
use crate::lifecycle::{self, DRAIN, Files, Tls};
use crate::metrics::Exporter;

/// `narrows serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  narrows serve --config /etc/narrows/narrows.yaml\n  kill -HUP PID      reads configuration, rules, users, secrets and certificates again\n  kill -TERM PID     stops listening, finishes what is under way, ends"
)]
pub struct ServeArgs {
    #[command(flatten)]
    config: ConfigFile,
}

/// Runs until it is told to end.
pub async fn run(args: &ServeArgs, clock: Clock) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let _log = super::logging::start(config.log)?;
    serve(config, clock).await
}

/// Runs a configuration that was read already, logging started.
pub(super) async fn serve(config: Config, clock: Clock) -> anyhow::Result<ExitCode> {
    let told_to_end = lifecycle::told_to_end()?;
    let files = Files::of(&config);
    let exporter = Exporter::install().context("cannot start the metrics")?;
    let tls = config.tls_files().map(|(certificate, key)| Tls::load(&certificate, &key)).transpose()?.map(Arc::new);
    let listener = bind("listen", config.listen.value).await?;
    let admin = bind("admin_listen", config.admin_listen.value).await?;
    let (address, admin_address) = (listener.local_addr()?, admin.local_addr()?);
    let app = Arc::new(App::start(config, clock, exporter).await?);

    let (end, ending) = watch::channel(false);
    let until = |mut ending: watch::Receiver<bool>| async move {
        // The sender goes away only with the service itself.
        let _ = ending.wait_for(|ending| *ending).await;
    };
    let attend = lifecycle::attend(Arc::clone(&app), tls.clone(), files, ending.clone())?;
    let bridge = Arc::clone(&app);
    let current = tls.as_ref().map(|tls| tls.current());
    let front = tokio::spawn(http::serve(
        listener,
        current,
        http::router(Arc::clone(&bridge), Limits::default()),
        Limits::default(),
        until(ending.clone()),
        DRAIN,
    ));
    let back = tokio::spawn(http::serve(
        admin,
        None,
        http::admin_router(bridge, Limits::default()),
        Limits::default(),
        until(ending.clone()),
        DRAIN,
    ));
    let attend = tokio::spawn(attend);
    tracing::info!(listen = %address, admin_listen = %admin_address, tls = tls.is_some(), generation = app.status().generation, "ready");

    told_to_end.await;
    tracing::info!("ending: no new connections, requests under way are finished");
    let _ = end.send(true);
    let (front, back, attend) = tokio::join!(front, back, attend);
    front?;
    back?;
    attend?;
    app.close().await;
    tracing::info!("ended");
    Ok(ExitCode::SUCCESS)
}

async fn bind(key: &str, address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} (`{key}`): is another program there already?"))
}
