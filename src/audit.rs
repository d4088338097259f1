//! One line for one decision: who asked for what, what came of it, and why.

mod escape;
mod event;
mod line;
pub mod settings;
mod sink;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use tokio::sync::Mutex as Turn;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

pub use escape::escaped;
pub use event::{AuditEvent, Outcome, Proof, RefusedAction};

use self::settings::AuditSettings;
use self::sink::Sink;
use crate::store::StateKey;

/// So many bytes of an HMAC tell names apart.
const CONCEALED: usize = 12;

/// How long a request waits for a reader of standard output.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the audit cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be opened or made.
    #[error("cannot open the audit file `{}`: check that the folder exists and belongs to the service", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// Not a regular file.
    #[error("the audit file `{}` is not a regular file: write `audit: stdout` for a pipe", .0.display())]
    NotAFile(PathBuf),
    /// Others may read the file, or the group may write it.
    #[error("the audit file `{}` is open to others (mode {mode:04o}): chmod 640 it", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line could not be written whole.
    #[error("the audit cannot be written")]
    Write(#[source] std::io::Error),
}

/// The audit: a stream of its own, apart from the log.
#[derive(Debug)]
pub struct Audit {
    sink: Sink,
    names: hmac::Key,
    /// Who writes to standard output, of which a reader that went to sleep makes a wall.
    turn: Arc<Turn<()>>,
}

impl Audit {
    /// Opens the stream; a relative path is meant from `folder`, that of the configuration.
    pub fn open(settings: &AuditSettings, folder: &Path, key: &StateKey) -> Result<Self, AuditError> {
        let sink = match settings {
            AuditSettings::Stdout => Sink::Stdout,
            AuditSettings::File(path) => Sink::file(folder.join(&path.value))?,
        };
        Ok(Self { sink, names: hmac::Key::new(hmac::HMAC_SHA256, &key.derive("names in the audit")), turn: Arc::default() })
    }

    /// Appends one line whole. It is with the operating system when this returns; a caller that gets an error must not
    /// hand out what the event grants.
    pub fn write(&self, event: &AuditEvent) -> Result<(), AuditError> {
        self.sink.write(line::line(event).as_bytes()).map_err(AuditError::Write)
    }

    /// [`Audit::write`] for a request: standard output that nobody reads costs it two seconds and one thread of the whole
    /// service, and counts as a failure.
    pub async fn record(self: &Arc<Self>, event: &AuditEvent) -> Result<(), AuditError> {
        match self.sink {
            Sink::File { .. } => self.write(event),
            Sink::Stdout => {
                let late = || AuditError::Write(ErrorKind::TimedOut.into());
                let deadline = Instant::now() + PATIENCE;
                let turn = timeout_at(deadline, Arc::clone(&self.turn).lock_owned()).await.map_err(|_| late())?;
                let (audit, event) = (Arc::clone(self), event.clone());
                let writing = spawn_blocking(move || {
                    let written = audit.write(&event);
                    drop(turn);
                    written
                });
                timeout_at(deadline, writing).await.map_or_else(|_| Err(late()), |joined| joined.unwrap_or_else(|_| Err(late())))
            }
        }
    }

    /// Opens the file again under its name, after a rotation moved the old one away. On failure the old one stays in use.
    pub fn reopen(&self) -> Result<(), AuditError> {
        self.sink.reopen()
    }

    /// What stands for a name that no provider knows: people type passwords there. Equal names look equal, and nobody
    /// without the state key can try names.
    pub fn conceal(&self, name: &str) -> String {
        let tag = hmac::sign(&self.names, name.as_bytes());
        format!("hmac:{}", HEXLOWER.encode(tag.as_ref().get(..CONCEALED).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests;
