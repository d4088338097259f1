//! What is wrong in a file, where, and what to do: one look for syntax and for meaning.

use std::fmt;
use std::path::{Path, PathBuf};

use super::excerpt::Excerpt;
use super::located::Place;
use super::visible::{fit, told};

/// More findings than this are counted and not printed.
const MOST_PRINTED: usize = 100;

/// How bad it is. Errors refuse a file, warnings do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file is used; somebody should look at this.
    Warning,
    /// The file is refused.
    Error,
}

/// One finding. Displays itself over several lines: message, place, the line itself with a caret, hint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The file it is about.
    pub file: PathBuf,
    /// Where; `None` where it concerns the whole file.
    pub place: Option<Place>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The offending line alone (never its neighbours: a secret may stand there), secrets masked.
    pub line: Option<Excerpt>,
}

impl Diagnostic {
    /// An error that concerns a whole file.
    pub fn whole(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, file: file.into(), place: None, message: fit(message.into()), hint: None, line: None }
    }

    /// The same finding with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(fit(hint.into()));
        self
    }

    /// Message and place on one line, for logs and `/readyz`.
    pub fn summary(&self) -> String {
        match self.place {
            Some(place) => format!("{}:{place}: {}", shown(&self.file), told(&self.message)),
            None => format!("{}: {}", shown(&self.file), told(&self.message)),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        writeln!(f, "{word}: {}", told(&self.message))?;
        match self.place {
            Some(place) => writeln!(f, "  --> {}:{place}", shown(&self.file))?,
            None => writeln!(f, "  --> {}", shown(&self.file))?,
        }
        if let (Some(place), Some(line)) = (self.place, &self.line) {
            line.write(place, f)?;
        }
        match &self.hint {
            Some(hint) => writeln!(f, "hint: {}", told(hint)),
            None => Ok(()),
        }
    }
}

fn shown(path: &Path) -> String {
    told(&path.to_string_lossy()).into_owned()
}

/// Every finding of one reading, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Whether one of them refuses the file.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }
    /// Adds one.
    pub fn push(&mut self, finding: Diagnostic) {
        self.0.push(finding);
    }
    /// The first error, or else the first warning.
    pub fn first(&self) -> Option<&Diagnostic> {
        self.0.iter().find(|finding| finding.severity == Severity::Error).or_else(|| self.0.first())
    }
    /// A line for each, as a log takes them; of very many the foremost, and how many more there are.
    pub fn summaries(&self) -> impl Iterator<Item = String> {
        let (foremost, more) = self.foremost();
        foremost.into_iter().map(Diagnostic::summary).chain(more)
    }

    /// Those that are printed, and what says how many are not. Of very many the errors come first: they are what refuses
    /// the file.
    fn foremost(&self) -> (Vec<&Diagnostic>, Option<String>) {
        let Some(more @ 1..) = self.0.len().checked_sub(MOST_PRINTED) else { return (self.0.iter().collect(), None) };
        let (mut foremost, warnings): (Vec<_>, Vec<_>) = self.0.iter().partition(|finding| finding.severity == Severity::Error);
        let errors = foremost.len().saturating_sub(MOST_PRINTED);
        foremost.extend(warnings);
        foremost.truncate(MOST_PRINTED);
        let more = format!("{more} more findings, {errors} of them errors, are not shown; `narrows check --json` lists them all");
        (foremost, Some(more))
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Self(vec![one])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (foremost, more) = self.foremost();
        for (index, finding) in foremost.into_iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        match more {
            Some(more) => writeln!(f, "\n{more}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::source::SourceFile;

    #[test]
    fn of_very_many_findings_the_errors_are_printed_and_the_rest_is_counted() {
        let file = SourceFile::new("x.yaml", "a: b\n");
        let mut findings = Diagnostics::default();
        for number in 0..100 {
            findings.push(file.warning(Place::default(), format!("odd {number}")));
        }
        assert_eq!(findings.to_string().matches("warning: odd").count(), 100);
        assert_eq!(findings.summaries().count(), 100);
        findings.push(file.error(Place::default(), "wrong"));
        let shown = findings.to_string();
        assert!(shown.starts_with("error: wrong\n") && shown.contains("odd 98\n") && !shown.contains("odd 99\n"), "{shown}");
        let more = "1 more findings, 0 of them errors, are not shown; `narrows check --json` lists them all";
        assert_eq!(shown.lines().last().unwrap(), more);
        assert_eq!(findings.summaries().last().unwrap(), more);
    }

    /// Every place of a text has a finding; how long it took to make and print them.
    fn find_everywhere(text: String, places: impl Iterator<Item = Place>) -> Duration {
        let file = SourceFile::new("x.yaml", text);
        let started = Instant::now();
        let findings: Vec<String> = places.map(|place| file.clone().error(place, "wrong").to_string()).collect();
        assert_eq!(findings.len(), 10_000);
        assert!(findings.iter().all(|shown| shown.contains("| ") && shown.contains("repository")), "{}", findings[0]);
        started.elapsed()
    }

    #[test]
    fn many_findings_cost_time_in_proportion() {
        let lines = "- to: {group: a}\n  # of a\n  allow: viewer\n  repository: a/b\n".repeat(10_000);
        let lines = find_everywhere(lines, (1..=10_000).map(|index| Place { line: 4 * index, column: 3 }));
        let one_line = "{to: {group: a}, allow: viewer, repository: a/b}, ".repeat(10_000);
        let one_line = find_everywhere(one_line, (0..10_000).map(|index| Place { line: 1, column: 50 * index + 32 }));
        for (what, took) in [("40,000 lines", lines), ("one line", one_line)] {
            eprintln!("{:>7.1} ms  10,000 findings in {what}", took.as_secs_f64() * 1e3);
            assert!(took < Duration::from_secs(5), "{what}: {took:?}");
        }
    }
}
