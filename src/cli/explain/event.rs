//! A decision that was made, found in the audit by its request id.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use hyper::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ExplainArgs;
use crate::app::Status;
use crate::audit;
use crate::audit::settings::AuditSettings;
use crate::cli::admin::Admin;
use crate::cli::runtime;
use crate::config::{self, Config};

/// The file is read backwards in pieces of this size.
const PIECE: usize = 256 * 1024;
/// How long the running service may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What an audit line says of a request; what is not needed is left unread.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    pub(super) time: String,
    pub(super) request_id: String,
    outcome: String,
    client: String,
    client_trusted: bool,
    pub(super) service: Option<String>,
    pub(super) realm: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) username: Option<String>,
    pub(super) requested: Vec<String>,
    granted: Vec<String>,
    generation: u64,
    reason: Option<String>,
    /// When the provider had been asked, where it could not be then.
    #[serde(default)]
    pub(super) stale: Option<String>,
}

impl Event {
    /// Finds the last line of this request in the named file, or in that of the configuration.
    pub(super) fn find(id: &str, args: &ExplainArgs) -> anyhow::Result<Self> {
        let path = match (&args.audit, &args.files.config) {
            (Some(path), _) => path.clone(),
            (None, Some(path)) => of_configuration(path)?,
            (None, None) => bail!("name the audit file with --audit, or a configuration with --config"),
        };
        let mut file = File::open(&path).with_context(|| format!("the audit file `{}` cannot be read", path.display()))?;
        let found = last_line(&mut file, id).with_context(|| format!("the audit file `{}` cannot be read", path.display()))?;
        found.with_context(|| {
            format!("`{}` has no request `{}`; it may be in a file that was rotated away", path.display(), audit::escaped(id))
        })
    }

    /// Whether rules decided: somebody was known, or nobody in particular asked.
    pub(super) fn was_decided(&self) -> bool {
        matches!(self.outcome.as_str(), "granted" | "narrowed" | "empty")
    }

    /// The client's address, where it could be believed.
    pub(super) fn source(&self) -> Option<IpAddr> {
        self.client.parse().ok().filter(|_| self.client_trusted)
    }

    /// One line about the event itself.
    pub(super) fn told(&self) -> String {
        let Self { time, request_id, outcome, client, reason, stale, .. } = self;
        let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let who = self.username.as_deref().unwrap_or("somebody without credentials");
        let stale = stale.as_ref().map(|asked| format!("; the provider could not be asked, so it was pulls alone, as it stood at {asked}"));
        let stale = stale.unwrap_or_default();
        audit::escaped(&format!("request {request_id} at {time} by {who} from {client}: {outcome}{reason}{stale}"))
    }

    /// What it got then beside what it would get now.
    pub(super) fn write_compared(&self, granted: &[String], out: &mut dyn Write) -> io::Result<()> {
        if self.granted == granted {
            return writeln!(out, "event: the same was granted then");
        }
        let then = if self.granted.is_empty() { "nothing".to_owned() } else { self.granted.join(" ") };
        writeln!(out, "event: other than these rules say now, it was granted {}", audit::escaped(&then))
    }

    /// The same for programs.
    pub(super) fn json(&self, granted: &[String]) -> Value {
        json!({
            "request_id": self.request_id,
            "time": self.time,
            "outcome": self.outcome,
            "granted": self.granted,
            "generation": self.generation,
            "same": self.granted == granted,
        })
    }

    /// Says whether the rules that decided still run, as far as that can be told.
    pub(super) fn write_generation(&self, config: Option<&Config>, talk: &mut dyn Write) -> anyhow::Result<()> {
        let then = self.generation;
        let Some(config) = config else {
            writeln!(talk, "it was decided by generation {then}; without --config it is not known which one runs")?;
            return Ok(());
        };
        let admin = Admin::at(config.admin_listen.value);
        match runtime()?.block_on(admin.ask::<Status>(Request::get("/status"), PATIENCE)) {
            Ok(Ok(status)) if status.generation == then => {}
            Ok(Ok(Status { generation, .. })) => {
                writeln!(talk, "it was decided by generation {then}, and {generation} runs: the rules may have changed between")?;
            }
            Ok(Err(_)) | Err(_) => writeln!(talk, "it was decided by generation {then}; which one runs could not be asked")?,
        }
        Ok(())
    }
}

/// The audit file that a configuration names; its warnings come with its rules.
fn of_configuration(path: &Path) -> anyhow::Result<PathBuf> {
    let (config, _) = config::load(path)?;
    match &config.audit {
        AuditSettings::File(file) => Ok(config.folder().join(&file.value)),
        AuditSettings::Stdout => bail!("the audit of this configuration goes to standard output; name a file that keeps it with --audit"),
    }
}

/// The last line of a request, searched from the end.
fn last_line(file: &mut File, id: &str) -> io::Result<Option<Event>> {
    let mut left = file.seek(SeekFrom::End(0))?;
    // The begin of a line of which the rest was read before.
    let mut rest: Vec<u8> = Vec::new();
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
        left = left.saturating_sub(size as u64);
        file.seek(SeekFrom::Start(left))?;
        let mut piece = vec![0; size];
        file.read_exact(&mut piece)?;
        piece.append(&mut rest);
        let mut lines: Vec<&[u8]> = piece.split(|byte| *byte == b'\n').collect();
        // The first one may have begun before.
        let first = if left > 0 && !lines.is_empty() { lines.remove(0).to_vec() } else { Vec::new() };
        if let Some(event) = lines.into_iter().rev().find_map(|line| event(line, id)) {
            return Ok(Some(event));
        }
        rest = first;
    }
    Ok(None)
}

/// The event of a line, if it is this request's.
fn event(line: &[u8], id: &str) -> Option<Event> {
    let text = std::str::from_utf8(line).ok().filter(|text| text.contains(id))?;
    serde_json::from_str::<Event>(text).ok().filter(|event| event.request_id == id)
}
