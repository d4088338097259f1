//! Where log lines go: standard error, in the format that the configuration names.

use std::panic::PanicHookInfo;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};

/// So many lines wait for a reader of standard error that is slow; later ones are dropped, and requests never wait.
const WAITING_LINES: usize = 16_384;

/// Starts logging, until the guard is dropped. Other crates speak from `warn` on: some would print protocol messages below
/// it.
pub(super) fn start(settings: LogSettings) -> anyhow::Result<WorkerGuard> {
    let filter = EnvFilter::try_new(format!("warn,narrows={}", settings.level.as_str()))?;
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING_LINES).thread_name("log").finish(std::io::stderr());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let started = match settings.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(false).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(guard)
}

/// A panic ends a request or a connection and never the service. Its text may quote what a peer sent, so only the place
/// is logged.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "a task panicked");
}
