//! Reload: read again, check, swap. Whatever fails, what ran goes on running.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::tls::Tls;
use super::watch::{Reading, Watch};
use crate::app::{App, Reread};
use crate::config::{self, Config};
use crate::source::{Diagnostic, Diagnostics, Severity};

/// The second look at a changed file comes no later than this.
const SETTLING: Duration = Duration::from_secs(1);

/// The files of a configuration, by what has to be read again when they change. To be made before they are read for
/// their use: what changes in between is then a change.
#[derive(Clone, Debug)]
pub struct Files {
    rules: Watch,
    providers: Watch,
    tls: Watch,
}

impl Files {
    /// Looks at every file that the configuration names.
    pub fn of(config: &Config) -> Self {
        let tls = config.tls_files().map(|(certificate, key)| vec![certificate, key]);
        Self {
            rules: Watch::new(config.policy_files()),
            providers: Watch::new(config.provider_files()),
            tls: Watch::new(tls.unwrap_or_default()),
        }
    }

    fn look(mut self) -> (Self, [Reading; 3]) {
        let readings = [self.rules.look(), self.providers.look(), self.tls.look()];
        (self, readings)
    }

    fn tried(&mut self) {
        self.rules.tried();
        self.providers.tried();
        self.tls.tried();
    }
}

/// Looks at the files and reloads what changed.
pub(super) struct Reloader {
    app: Arc<App>,
    tls: Option<Arc<Tls>>,
    files: Files,
    /// Whether a refused reload left changed users or secrets unread: the next one reads them too.
    owed: bool,
    next_look: Instant,
}

impl Reloader {
    pub(super) fn new(app: Arc<App>, tls: Option<Arc<Tls>>, files: Files) -> Self {
        let next_look = Instant::now() + every(&app);
        Self { app, tls, files, owed: false, next_look }
    }

    /// When to look again.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Looks once; reloads where something changed and settled.
    pub(super) async fn look(&mut self) {
        let every = every(&self.app);
        self.next_look = Instant::now() + every;
        let files = self.files.clone();
        let Some((files, readings)) = off_the_runtime(move || files.look()).await else { return };
        self.files = files;
        if readings.contains(&Reading::Moving) {
            self.next_look = Instant::now() + every.min(SETTLING);
        } else if readings.contains(&Reading::Settled) {
            let [_, providers, _] = readings;
            self.files.tried();
            self.owed |= providers == Reading::Settled;
            if self.reload(Reread { configuration: None, providers: self.owed }).await {
                self.owed = false;
            }
            self.next_look = Instant::now() + every;
        }
    }

    /// Reads the configuration and every file again (SIGHUP).
    pub(super) async fn reload_everything(&mut self) {
        let path = self.app.config().file.path().to_owned();
        let read = off_the_runtime(move || config::load(&path).map(|(config, warnings)| (Files::of(&config), config, warnings))).await;
        match read {
            Some(Ok((files, config, warnings))) => {
                log(&warnings);
                if self.reload(Reread { configuration: Some(config), providers: true }).await {
                    self.files = files;
                    self.owed = false;
                }
            }
            Some(Err(findings)) => self.refuse(&findings),
            None => tracing::error!("the configuration could not be read: what ran before goes on"),
        }
    }

    /// Whether the next generation runs.
    async fn reload(&self, reread: Reread) -> bool {
        let (app, tls) = (Arc::clone(&self.app), self.tls.clone());
        let prepared = off_the_runtime(move || {
            let certificate =
                tls.as_deref().map(Tls::read).transpose().map_err(|error| whole(error.path().to_owned(), error.to_string()))?;
            app.prepare(reread).map(|candidate| (candidate, certificate))
        })
        .await;
        match prepared {
            Some(Ok((candidate, certificate))) => {
                log(&candidate.warnings);
                for name in &candidate.needs_restart {
                    tracing::warn!(setting = name, "this setting changed in the configuration and needs a restart");
                }
                self.app.adopt(candidate).await;
                if let (Some(tls), Some(certificate)) = (&self.tls, certificate) {
                    tls.swap(certificate);
                }
                tracing::info!(generation = self.app.status().generation, "reloaded");
                true
            }
            Some(Err(findings)) => {
                self.refuse(&findings);
                false
            }
            None => {
                tracing::error!("the reload ended without an answer: what ran before goes on");
                false
            }
        }
    }

    fn refuse(&self, findings: &Diagnostics) {
        self.app.refuse(findings);
        tracing::error!(findings = %findings, "the reload was refused: what ran before goes on");
    }
}

fn log(warnings: &Diagnostics) {
    for finding in &warnings.0 {
        tracing::warn!("{}", finding.summary());
    }
}

fn every(app: &App) -> Duration {
    app.config().reload.every.value.duration()
}

fn whole(file: PathBuf, message: String) -> Diagnostics {
    Diagnostics::from(Diagnostic { severity: Severity::Error, file, place: None, message, hint: None, line: None })
}

/// Runs file work where it holds up nobody; `None` where it panicked.
async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
