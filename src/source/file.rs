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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// What is said of a file with these bytes, or the text of it.
    fn load(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.yaml"), bytes).unwrap();
        let started = Instant::now();
        let loaded = SourceFile::load(&folder.path().join("x.yaml"));
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        match loaded {
            Ok(file) => file.text().to_owned(),
            Err(finding) => finding.to_string().replace(&format!("{}/", folder.path().display()), ""),
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        assert_eq!(load(&vec![b'a'; 16 << 20]).len(), 16 << 20);
        let refused = "error: cannot read the file: it is larger than 16384 KiB\n  --> x.yaml\nhint: check that this is the right file\n";
        assert_eq!(load(&vec![b'a'; (16 << 20) + 1]), refused);
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_refused_where_they_stand() {
        let refused = "error: the byte 0xfc is no UTF-8 text\n  --> x.yaml:2:5\n  |\n2 | b: m\n  |     ^\nhint: save the file as UTF-8\n";
        assert_eq!(load(b"a: b\nb: m\xfcller\n"), refused);
        assert!(load(b"\xff\xfea\0").contains("x.yaml:1:1"));
        let late = [filled(16 << 20).as_slice(), b"\xff"].concat();
        assert!(load(late.get(2..).unwrap()).contains("x.yaml:8388608:1"));
    }

    fn filled(bytes: usize) -> Vec<u8> {
        b"a\n".repeat(bytes / 2)
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        assert_eq!(load(b"\xef\xbb\xbfa: b\n"), "a: b\n");
        assert_eq!(load(b"\xef\xbb\xbf"), "");
    }
}
