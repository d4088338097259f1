//! Reload: read again, check, compare, swap. Whatever fails, what ran goes on running.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::files::Files;
use super::tls::Tls;
use super::watch::Reading;
use crate::app::{App, Candidate, Comparison, HeldStatus, ReloadOutcome, ReloadReport, Reread};
use crate::authz::Rulebook;
use crate::authz::settings::Widen;
use crate::config::{self, Config};
use crate::metrics;
use crate::source::{Diagnostic, Diagnostics};

/// The second look at a changed file comes no later than this.
const SETTLING: Duration = Duration::from_secs(1);
/// How often files that change while they are read are read again, where somebody waits for it.
const ATTEMPTS: u32 = 5;
/// Rules that take longer to compare are taken for ones that widen.
const COMPARING: Duration = Duration::from_secs(5);
/// So many findings are told to whoever asked for the reload.
const MOST_FINDINGS: usize = 100;

/// Looks at the files and reloads what changed.
pub(super) struct Reloader {
    app: Arc<App>,
    tls: Option<Arc<Tls>>,
    files: Files,
    /// Whether a refused reload left changed users or secrets unread: the next one reads them too.
    owed: bool,
    /// Whether something was refused that the files no longer were when it was noted: they are tried once more, also where they are
    /// as they run, so that no refusal of what is gone stays in the status.
    doubted: bool,
    next_look: Instant,
    /// A comparison that takes too long is left to itself; until it ends there is no other.
    comparing: Arc<Semaphore>,
}

/// What came of reading files.
struct Attempt {
    report: ReloadReport,
    adopted: Adopted,
}

/// What has to be read again. Where it is rules alone, providers and what they answered lately stay.
enum News {
    None,
    Rules,
    All,
}

/// What of the files runs now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Adopted {
    Nothing,
    Files,
    Configuration,
}

/// Everything that was read for the next generation.
struct Prepared {
    candidate: Candidate,
    certificate: Option<Arc<ServerConfig>>,
}

impl Prepared {
    fn read(app: &App, tls: Option<&Tls>, reread: Reread) -> Result<Self, Diagnostics> {
        let certificate = tls.map(Tls::read).transpose().map_err(|error| whole(error.path().to_owned(), error.to_string()))?;
        Ok(Self { candidate: app.prepare(reread)?, certificate })
    }
}

impl Reloader {
    pub(super) fn new(app: Arc<App>, tls: Option<Arc<Tls>>, files: Files) -> Self {
        let next_look = Instant::now() + every(&app);
        Self { app, tls, files, owed: false, doubted: false, next_look, comparing: Arc::new(Semaphore::new(1)) }
    }

    /// When to look again.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Looks once; reloads where something changed and settled.
    pub(super) async fn look(&mut self) {
        let every = every(&self.app);
        self.next_look = Instant::now() + every;
        let mut files = self.files.clone();
        let Some((look, files)) = off_the_runtime(move || (files.look(), files)).await else { return };
        self.files = files;
        self.owed |= look.providers;
        let reading = if self.doubted && look.reading == Reading::Unchanged { Reading::Settled } else { look.reading };
        match reading {
            Reading::Unchanged => {}
            Reading::Moving => self.look_soon(every),
            Reading::Settled => match self.attempt(&self.files, Reread { configuration: None, providers: self.owed }, None).await {
                None => self.look_soon(every),
                Some(Attempt { adopted, .. }) => {
                    self.doubted = false;
                    self.files.tried();
                    self.owed &= adopted == Adopted::Nothing;
                    self.next_look = Instant::now() + every;
                }
            },
        }
    }

    fn look_soon(&mut self, every: Duration) {
        self.next_look = Instant::now() + every.min(SETTLING);
    }

    /// Reads the configuration and every file again (SIGHUP).
    pub(super) async fn reload_everything(&mut self) {
        self.read_everything(None, |_, _| News::All).await;
    }

    /// The same where something changed, or where what was read last does not run; rules of the digest `accept` may widen.
    pub(super) async fn reload_changes(&mut self, accept: Option<&str>) -> ReloadReport {
        let (running, status) = (self.app.config(), self.app.status().reload);
        let waits = self.owed || status.error.is_some() || status.held.is_some();
        let (tried, owed) = (self.files.clone(), self.owed);
        let news = |config: &Config, files: &Files| {
            if owed || config.file.text() != running.file.text() || !files.have_providers_of(&tried) {
                News::All
            } else if waits || !files.are(&tried) {
                News::Rules
            } else {
                News::None
            }
        };
        self.read_everything(accept, news).await
    }

    async fn read_everything(&mut self, accept: Option<&str>, news: impl Fn(&Config, &Files) -> News) -> ReloadReport {
        for _ in 0..ATTEMPTS {
            let (path, mut watched) = (self.app.config().file.path().to_owned(), self.files.clone());
            let read = off_the_runtime(move || {
                watched.look();
                watched.tried();
                let (config, warnings) = config::load(&path)?;
                Ok((watched, Files::of(&config), config, warnings))
            });
            let (watched, files, config, warnings) = match read.await.unwrap_or_else(|| Err(unanswered(&self.app))) {
                Ok(read) => read,
                Err(findings) => return self.refuse(&findings),
            };
            let reread = match news(&config, &files) {
                News::None => {
                    metrics::reload("unchanged");
                    return self.report(ReloadOutcome::Unchanged);
                }
                News::Rules => Reread::default(),
                News::All => Reread { configuration: Some(config), providers: true },
            };
            log(&warnings);
            match self.attempt(&files, reread, accept).await {
                None => sleep(every(&self.app).min(SETTLING)).await,
                Some(Attempt { mut report, adopted }) => {
                    self.owed &= adopted == Adopted::Nothing;
                    match adopted {
                        Adopted::Configuration => self.files = files,
                        Adopted::Files => self.files = watched,
                        // What was refused here is not tried again either; other files of the running configuration are.
                        Adopted::Nothing if files.are(&watched) => {
                            self.owed |= !watched.have_providers_of(&self.files);
                            self.files = watched;
                        }
                        Adopted::Nothing => self.doubted = true,
                    }
                    report.findings.splice(0..0, told(&warnings));
                    return report;
                }
            }
        }
        self.doubted = true;
        let moving = "the files change again and again while they are read";
        self.refuse(&whole(self.app.config().file.path().to_owned(), moving.to_owned()))
    }

    /// Reads what `files` are, checks and compares it, and makes of it what can be made. `None` where they changed while
    /// they were read.
    async fn attempt(&self, files: &Files, reread: Reread, accept: Option<&str>) -> Option<Attempt> {
        let (app, tls, files) = (Arc::clone(&self.app), self.tls.clone(), files.clone());
        let prepared = off_the_runtime(move || {
            // What is wrong with a file that is being written may be that it is not whole yet: what is refused was read twice.
            let prepared = Prepared::read(&app, tls.as_deref(), reread.clone());
            let prepared = prepared.or_else(|_| Prepared::read(&app, tls.as_deref(), reread));
            let seen = prepared.as_ref().is_ok_and(|prepared| files.were_seen_as(prepared.candidate.policy_files()));
            let settled = (seen || prepared.is_err()) && files.stand_still();
            if settled { prepared.map(Some) } else { Ok(None) }
        });
        match prepared.await.unwrap_or_else(|| Err(unanswered(&self.app))) {
            Ok(None) => None,
            Ok(Some(prepared)) => {
                let comparison = self.compare(Arc::clone(prepared.candidate.rulebook())).await;
                log(&prepared.candidate.warnings);
                let waits = prepared.candidate.widen() == Widen::Refuse && comparison.widens();
                Some(if waits && accept != Some(prepared.candidate.rulebook().digest()) {
                    self.hold(prepared, comparison).await
                } else {
                    self.load(prepared, comparison).await
                })
            }
            Err(findings) => Some(Attempt { report: self.refuse(&findings), adopted: Adopted::Nothing }),
        }
    }

    /// How rules differ from those that run; found where it holds up nobody, and in a bounded time.
    async fn compare(&self, new: Arc<Rulebook>) -> Comparison {
        let old = self.app.rulebook();
        if Arc::ptr_eq(&old, &new) {
            return Comparison::none();
        }
        let Ok(turn) = Arc::clone(&self.comparing).try_acquire_owned() else { return Comparison::unfinished() };
        let compared = off_the_runtime(move || {
            let comparison = Comparison::of(&old, &new);
            drop(turn);
            comparison
        });
        timeout(COMPARING, compared).await.ok().flatten().unwrap_or_else(Comparison::unfinished)
    }

    async fn load(&self, prepared: Prepared, comparison: Comparison) -> Attempt {
        let same_rules = Arc::ptr_eq(&self.app.rulebook(), prepared.candidate.rulebook());
        let (warnings, needs_restart) = (told(&prepared.candidate.warnings), prepared.candidate.needs_restart.clone());
        let adopted = self.adopt(prepared, None).await;
        let generation = self.app.status().generation;
        if same_rules {
            tracing::info!(generation, "reloaded");
        } else {
            let Comparison { complete, widened, narrowed, unclear, .. } = comparison;
            let examples = examples(&comparison);
            tracing::info!(generation, widened, narrowed, unclear, complete, examples, "rules reloaded: {comparison}");
        }
        let report = ReloadReport {
            comparison: (!same_rules).then_some(comparison),
            findings: warnings,
            needs_restart: needs_restart.into_iter().map(ToOwned::to_owned).collect(),
            ..self.report(ReloadOutcome::Loaded)
        };
        Attempt { report, adopted }
    }

    /// The rules wait; what else was read runs under the former ones, so that a changed password does not wait with them.
    async fn hold(&self, Prepared { candidate, certificate }: Prepared, comparison: Comparison) -> Attempt {
        let (app, warnings, configuration) = (Arc::clone(&self.app), told(&candidate.warnings), candidate.has_configuration());
        let held = self.app.held(&candidate, comparison.clone(), false);
        let aside = off_the_runtime(move || app.set_rules_aside(candidate)).await;
        let (adopted, waits) = match aside.unwrap_or_else(|| Err(unanswered(&self.app))) {
            Ok(Some(candidate)) => {
                let held = HeldStatus { configuration: configuration && !candidate.has_configuration(), ..held };
                (self.adopt(Prepared { candidate, certificate }, Some(held.clone())).await, held)
            }
            Ok(None) => {
                self.swap(certificate);
                (Adopted::Nothing, held)
            }
            Err(findings) => {
                tracing::error!(findings = %findings, "users and secrets could not be read beside the rules that are held back");
                (Adopted::Nothing, HeldStatus { configuration, ..held })
            }
        };
        self.app.hold(waits.clone());
        let Comparison { complete, widened, narrowed, unclear, .. } = comparison;
        let (examples, accept, generation) = (examples(&comparison), &waits.accept, self.app.status().generation);
        tracing::warn!(generation, widened, narrowed, unclear, complete, examples, digest = %waits.digest, configuration = waits.configuration, "the new rules may give somebody more and are held back: `{accept}` or a restart accepts them");
        let report =
            ReloadReport { comparison: Some(comparison), held: Some(waits), findings: warnings, ..self.report(ReloadOutcome::Held) };
        Attempt { report, adopted }
    }

    async fn adopt(&self, Prepared { candidate, certificate }: Prepared, held: Option<HeldStatus>) -> Adopted {
        for name in &candidate.needs_restart {
            tracing::warn!(setting = name, "this setting changed in the configuration and needs a restart");
        }
        let adopted = if candidate.has_configuration() { Adopted::Configuration } else { Adopted::Files };
        self.app.adopt_beside(candidate, held).await;
        self.swap(certificate);
        adopted
    }

    fn swap(&self, certificate: Option<Arc<ServerConfig>>) {
        if let (Some(tls), Some(certificate)) = (&self.tls, certificate) {
            tls.swap(certificate);
        }
    }

    fn refuse(&self, findings: &Diagnostics) -> ReloadReport {
        self.app.refuse(findings);
        tracing::error!(findings = %findings, "the reload was refused: what ran before goes on");
        ReloadReport { findings: told(findings), ..self.report(ReloadOutcome::Refused) }
    }

    fn report(&self, outcome: ReloadOutcome) -> ReloadReport {
        let generation = self.app.status().generation;
        ReloadReport { outcome, generation, comparison: None, held: None, findings: Vec::new(), needs_restart: Vec::new() }
    }
}

fn log(warnings: &Diagnostics) {
    for warning in warnings.summaries() {
        tracing::warn!("{warning}");
    }
}

fn told(findings: &Diagnostics) -> Vec<String> {
    findings.0.iter().take(MOST_FINDINGS).map(ToString::to_string).collect()
}

/// As the log may hold them.
fn examples(comparison: &Comparison) -> String {
    comparison.examples.iter().map(|example| example.unnamed().to_string()).collect::<Vec<_>>().join("; ")
}

fn every(app: &App) -> Duration {
    app.config().reload.every.value.duration()
}

fn unanswered(app: &App) -> Diagnostics {
    whole(app.config().file.path().to_owned(), "the reload ended without an answer; please report this with the log".to_owned())
}

fn whole(file: PathBuf, message: String) -> Diagnostics {
    Diagnostics::from(Diagnostic::whole(file, message))
}

/// Runs file work where it holds up nobody; `None` where it panicked.
async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
