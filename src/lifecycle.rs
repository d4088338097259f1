//! What happens while the service runs: files change, signals come, certificates age, and it ends.

mod files;
mod give_back;
mod reload;
mod tls;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch as channel};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

pub use files::Files;
pub use tls::{Tls, TlsError};

use self::reload::Reloader;
use crate::app::{App, ReloadOrder};

/// How often certificates and ended identity tokens are tended.
const UPKEEP: Duration = Duration::from_mins(1);

/// How often it is looked whether an issuer's documents are due.
const TEND: Duration = Duration::from_secs(1);

/// How often the counters are: what is counted between two drains is kept in memory sample by sample.
const DRAIN_COUNTERS: Duration = Duration::from_secs(5);

/// How long requests under way may take after the service was told to end.
pub const DRAIN: Duration = Duration::from_secs(10);

/// Watches the files, which were looked at before they were read, the hang-up signal and orders to reload until `ending`
/// turns true. A reload is all or nothing: what cannot be read, parsed or checked changes nothing and is shown by the log, `/readyz`
/// and the metrics.
///
/// Signals and orders count from the call on, so call it before anybody is served; the work is the future's.
pub fn attend(
    app: Arc<App>,
    tls: Option<Arc<Tls>>,
    files: Files,
    ending: channel::Receiver<bool>,
) -> std::io::Result<impl Future<Output = ()> + Send + use<>> {
    let hangup = signal(SignalKind::hangup())?;
    let orders = app.take_orders();
    let reloader = Reloader::new(Arc::clone(&app), tls, files);
    Ok(async move {
        let giving_back = give_back::giving_back(&app, ending.clone());
        tokio::join!(attending(Arc::clone(&app), reloader, Calls { hangup, orders }, ending), giving_back);
    })
}

/// The ways to ask for a reload.
struct Calls {
    hangup: Signal,
    orders: mpsc::Receiver<ReloadOrder>,
}

async fn attending(app: Arc<App>, mut reloader: Reloader, mut calls: Calls, mut ending: channel::Receiver<bool>) {
    let mut upkeep = interval_at(Instant::now() + UPKEEP, UPKEEP);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut counters = interval_at(Instant::now() + DRAIN_COUNTERS, DRAIN_COUNTERS);
    counters.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one comes at once: who signs in first should not have to wait.
    let mut issuers = tokio::time::interval(TEND);
    issuers.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next_look = reloader.next_look();
        tokio::select! {
            changed = ending.changed() => {
                if changed.is_err() || *ending.borrow() {
                    return;
                }
            }
            _ = calls.hangup.recv() => {
                app.reopen_audit();
                app.renew_keys().await;
                reloader.reload_everything().await;
            }
            Some(ReloadOrder { accept, answer }) = calls.orders.recv() => {
                app.renew_keys().await;
                // Whoever does not wait for the report any more finds it in the log.
                let _ = answer.send(Box::pin(reloader.reload_changes(accept.as_deref())).await);
            }
            () = tokio::time::sleep_until(next_look) => reloader.look().await,
            _ = upkeep.tick() => app.upkeep().await,
            _ = issuers.tick() => app.tend(),
            _ = counters.tick() => app.drain_counters(),
        }
    }
}

/// A future that is ready when the service is told to end by SIGTERM or Ctrl-C; both count from the call on.
pub fn told_to_end() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
