//! What is wrong in a file, where, and what to do: one look for syntax and for meaning.

use std::fmt;
use std::path::PathBuf;

use super::located::Place;

/// How bad it is. Errors refuse a file, warnings do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is used; somebody should look at this.
    Warning,
    /// The file is refused.
    Error,
}

/// One finding. Displays itself over several lines: message, place, the line itself with a caret, hint.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub line: Option<String>,
}

impl Diagnostic {
    /// The same finding with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Message and place on one line, for logs and `/readyz`.
    pub fn summary(&self) -> String {
        match self.place {
            Some(place) => format!("{}:{place}: {}", self.file.display(), self.message),
            None => format!("{}: {}", self.file.display(), self.message),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        writeln!(f, "{word}: {}", self.message)?;
        match self.place {
            Some(place) => writeln!(f, "  --> {}:{place}", self.file.display())?,
            None => writeln!(f, "  --> {}", self.file.display())?,
        }
        if let (Some(place), Some(line)) = (self.place, &self.line) {
            let number = place.line.to_string();
            let margin = " ".repeat(number.len());
            let before: String =
                line.chars().take(place.column.saturating_sub(1) as usize).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            writeln!(f, "{margin} |\n{number} | {line}\n{margin} | {before}^")?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "hint: {hint}")?;
        }
        Ok(())
    }
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
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Self(vec![one])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
