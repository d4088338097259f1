//! What a check found, for people and for machines.

use std::collections::HashSet;
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::finding;
use crate::source::{Diagnostic, Diagnostics, Severity, is_hidden};

/// Everything that one check found.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Diagnostics,
    /// The same, to see at once what is there already.
    known: HashSet<Diagnostic>,
    /// What was asked of providers, in its order.
    pub(super) steps: Vec<Step>,
    /// How much there is; `None` where it could not be read.
    pub(super) summary: Option<Summary>,
    /// Whether a warning is refused like an error.
    pub(super) deny_warnings: bool,
}

/// One question to a provider.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) provider: String,
    pub(super) what: String,
    /// What came of it, or what is wrong and what to do.
    pub(super) outcome: Result<String, String>,
}

/// How much a configuration holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Summary {
    pub(super) providers: usize,
    pub(super) rules: usize,
    pub(super) services: usize,
}

/// What a check comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The service would start.
    Good,
    /// It would refuse something.
    Refused,
    /// A provider could not be asked.
    Unavailable,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }

    pub(super) fn exit_code(self) -> ExitCode {
        match self {
            Self::Good => ExitCode::SUCCESS,
            Self::Refused => ExitCode::from(2),
            Self::Unavailable => ExitCode::from(3),
        }
    }
}

impl Report {
    /// Adds findings; what two parts found alike stands there once.
    pub(super) fn found(&mut self, findings: Diagnostics) {
        for finding in findings.0 {
            if self.known.insert(finding.clone()) {
                self.findings.push(finding);
            }
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        if self.count(Severity::Error) > 0 || (self.deny_warnings && self.count(Severity::Warning) > 0) {
            Outcome::Refused
        } else if self.steps.iter().any(|step| step.outcome.is_err()) {
            Outcome::Unavailable
        } else {
            Outcome::Good
        }
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.0.iter().filter(|finding| finding.severity == severity).count()
    }

    pub(super) fn write_text(&self, out: &mut dyn Write, talk: &mut dyn Write) -> io::Result<()> {
        if !self.findings.0.is_empty() {
            writeln!(talk, "{}", self.findings)?;
        }
        talk.flush()?;
        for Step { provider, what, outcome } in &self.steps {
            let (word, text) = match outcome {
                Ok(text) => ("good", text),
                Err(text) => ("FAILED", text),
            };
            writeln!(out, "{provider}: {}: {word}: {}", printable(what), printable(text))?;
        }
        writeln!(out, "{}", self.line())
    }

    /// The last line: how much there is, and how it stands.
    fn line(&self) -> String {
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let mut verdict = match self.outcome() {
            Outcome::Good => "good".to_owned(),
            Outcome::Refused if errors == 0 => format!("refused for {}", counted(warnings, "warning")),
            Outcome::Refused => counted(errors, "error"),
            Outcome::Unavailable => "a provider cannot be asked".to_owned(),
        };
        if warnings > 0 && !(self.outcome() == Outcome::Refused && errors == 0) {
            verdict = format!("{verdict}, {}", counted(warnings, "warning"));
        }
        match self.summary {
            Some(Summary { providers, rules, services }) => {
                format!("{}, {}, {}: {verdict}", counted(providers, "provider"), counted(rules, "rule"), counted(services, "service"))
            }
            None => verdict,
        }
    }

    pub(super) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let findings: Vec<Value> = self.findings.0.iter().map(finding::as_json).collect();
        let step = |step: &Step| {
            let (good, text) = match &step.outcome {
                Ok(text) => (true, text),
                Err(text) => (false, text),
            };
            json!({"provider": step.provider, "step": step.what, "good": good, "text": text})
        };
        let steps: Vec<Value> = self.steps.iter().map(step).collect();
        let whole = json!({
            "outcome": self.outcome().as_str(),
            "providers": self.summary.map(|summary| summary.providers),
            "rules": self.summary.map(|summary| summary.rules),
            "services": self.summary.map(|summary| summary.services),
            "findings": findings,
            "steps": steps,
        });
        writeln!(out, "{whole}")
    }
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A directory's text must not move the cursor of whoever reads it.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if is_hidden(letter) { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Place, SourceFile};

    fn report(errors: usize, warnings: usize, failed: bool) -> Report {
        let file = SourceFile::new("narrows.yaml", "listen: x\n");
        let mut report = Report { summary: Some(Summary { providers: 2, rules: 14, services: 1 }), ..Report::default() };
        for number in 0..errors {
            report.found(file.error(Place { line: 1, column: 9 }, format!("error {number}")).into());
        }
        for number in 0..warnings {
            report.found(file.warning(Place::default(), format!("warning {number}")).into());
        }
        if failed {
            report.steps.push(Step { provider: "staff".to_owned(), what: "connect".to_owned(), outcome: Err("no\u{1b}route".to_owned()) });
        }
        report
    }

    fn check(report: &Report, expected: &str) {
        assert_eq!(report.line(), expected);
    }

    #[test]
    fn the_last_line_says_how_it_stands() {
        check(&report(0, 0, false), "2 providers, 14 rules, 1 service: good");
        check(&report(0, 1, false), "2 providers, 14 rules, 1 service: good, 1 warning");
        check(&report(2, 0, true), "2 providers, 14 rules, 1 service: 2 errors");
        check(&report(0, 0, true), "2 providers, 14 rules, 1 service: a provider cannot be asked");
        check(&Report { summary: None, ..report(1, 2, false) }, "1 error, 2 warnings");
    }

    #[test]
    fn warnings_are_refused_where_they_are_denied() {
        let strict = |warnings| Report { deny_warnings: true, ..report(0, warnings, false) };
        check(&strict(0), "2 providers, 14 rules, 1 service: good");
        check(&strict(2), "2 providers, 14 rules, 1 service: refused for 2 warnings");
        assert_eq!((strict(2).outcome(), report(0, 2, false).outcome()), (Outcome::Refused, Outcome::Good));
    }

    #[test]
    fn a_machine_reads_one_object() {
        let mut out = Vec::new();
        report(1, 0, true).write_json(&mut out).unwrap();
        let read: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            read,
            json!({
                "outcome": "refused", "providers": 2, "rules": 14, "services": 1,
                "findings": [{"severity": "error", "file": "narrows.yaml", "line": 1, "column": 9, "message": "error 0", "hint": null}],
                "steps": [{"provider": "staff", "step": "connect", "good": false, "text": "no\u{1b}route"}],
            })
        );
    }

    #[test]
    fn a_directory_cannot_move_the_cursor() {
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        report(0, 0, true).write_text(&mut out, &mut talk).unwrap();
        assert!(!out.contains(&0x1b), "{}", String::from_utf8_lossy(&out));
    }
}
