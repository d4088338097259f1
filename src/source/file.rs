//! A file that was read, and findings at its places.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Severity};
use super::excerpt::{Around, Excerpt, Rest};
use super::lines::Lines;
use super::located::Place;
use super::secret_keys::SecretKeys;
use super::visible::fit;
use super::whole::read_whole;

/// Larger files are refused before they are parsed.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// So many bytes on either side of a place matter to it; more than is ever shown.
const AROUND: usize = 1024;

/// A file that was read, kept so that later findings can show its lines.
#[derive(Clone, Debug)]
pub struct SourceFile {
    path: PathBuf,
    text: Arc<str>,
    lines: Arc<Lines>,
    secret_keys: Arc<SecretKeys>,
}

impl SourceFile {
    /// Reads a file of at most 16 MiB of UTF-8.
    pub fn load(path: &Path) -> Result<Self, Diagnostic> {
        let bytes = read_whole(path, MAX_BYTES).map_err(|cause| {
            let finding = Diagnostic::whole(path, format!("cannot read the file: {cause}"));
            if cause.kind() == ErrorKind::FileTooLarge { finding.hint("check that this is the right file") } else { finding }
        })?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(path, text)),
            Err(error) => Err(not_utf8(path, error.utf8_error().valid_up_to(), error.as_bytes())),
        }
    }

    /// A text that is already in memory, under the name that findings shall show. A byte order mark is no part of it.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> Self {
        let text: Arc<str> = text.into();
        let text = text.strip_prefix('\u{feff}').map_or_else(|| Arc::clone(&text), Arc::from);
        Self { path: path.into(), text, lines: Arc::default(), secret_keys: Arc::default() }
    }

    /// Under which name it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// What it holds.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The folder that relative paths inside the file are meant from.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// An error at a place of this file.
    pub fn error(&self, place: Place, message: impl Into<String>) -> Diagnostic {
        self.finding(Severity::Error, place, message.into())
    }
    /// A warning at a place of this file.
    pub fn warning(&self, place: Place, message: impl Into<String>) -> Diagnostic {
        self.finding(Severity::Warning, place, message.into())
    }

    fn finding(&self, severity: Severity, place: Place, message: String) -> Diagnostic {
        Diagnostic {
            severity,
            file: self.path.clone(),
            place: (place.line > 0).then_some(place),
            message: fit(message),
            hint: None,
            line: self.excerpt(place),
        }
    }

    /// The line of a place; of a long one a kilobyte on either side.
    pub fn around(&self, place: Place) -> Option<&str> {
        let (start, at) = self.lines.find(&self.text, place)?;
        let (from, to, _) = self.bounds(start, at);
        self.text.get(from..to)
    }

    fn excerpt(&self, place: Place) -> Option<Excerpt> {
        let (start, at) = self.lines.find(&self.text, place)?;
        let (_, seen, ends) = self.bounds(start, at);
        let key = self.secret_keys.first(&self.text, start, seen);
        // A place inside of a secret is shown at its key.
        let caret = key.map_or(at, |key| key.min(at));
        let (from, to, rest) = match key {
            Some(key) => (self.bounds(start, caret).0, key, Rest::Secret { caret: caret < at }),
            None => (self.bounds(start, at).0, seen, if ends { Rest::Nothing } else { Rest::More }),
        };
        let (before, behind) = (self.text.get(from..caret)?, self.text.get(caret..to)?);
        Some(Excerpt::of(Around { before, behind, begins_earlier: from > start, rest }))
    }

    /// The bytes between which the line matters to what is at `at`, and whether it ends there.
    fn bounds(&self, start: usize, at: usize) -> (usize, usize, bool) {
        let from = start.max(self.text.floor_char_boundary(at.saturating_sub(AROUND)));
        let most = self.text.floor_char_boundary(at.saturating_add(AROUND));
        let behind = self.text.get(at..most).unwrap_or_default();
        match behind.find(['\n', '\r']) {
            Some(length) => (from, at + length, true),
            None => (from, most, most == self.text.len()),
        }
    }
}

/// Shows where the text ends.
fn not_utf8(path: &Path, valid: usize, bytes: &[u8]) -> Diagnostic {
    let text = bytes.get(..valid).and_then(|valid| str::from_utf8(valid).ok()).unwrap_or_default();
    let file = SourceFile::new(path, text);
    let place = file.lines.end(&file.text);
    let byte = bytes.get(valid).copied().unwrap_or_default();
    file.error(place, format!("the byte 0x{byte:02x} is no UTF-8 text")).hint("save the file as UTF-8")
}
