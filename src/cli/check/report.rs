//! What a check found, for people and for machines.

use std::collections::HashSet;
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::authn::rehearsal::{Outcome as Ending, Step};
use crate::cli::{finding, steps};
use crate::source::{Diagnostic, Diagnostics, Severity};

/// Everything that one check found.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Diagnostics,
    /// The same, to see at once what is there already.
    known: HashSet<Diagnostic>,
    /// What was asked of providers, in its order.
    pub(super) steps: Vec<Asked>,
    /// How much there is; `None` where it could not be read.
    pub(super) summary: Option<Summary>,
    /// Whether a warning is as bad as an error.
    pub(super) deny_warnings: bool,
}

/// One question to a provider, and what came of it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) provider: String,
    pub(super) step: Step,
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
        let denied = self.deny_warnings && self.count(Severity::Warning) > 0;
        if self.count(Severity::Error) > 0 || denied {
            Outcome::Refused
        } else if self.steps_with(Ending::Failed) > 0 {
            Outcome::Unavailable
        } else {
            Outcome::Good
        }
    }

    fn count(&self, severity: Severity) -> usize {
        let steps = match severity {
            Severity::Warning => self.steps_with(Ending::Warning),
            Severity::Error => self.steps_with(Ending::Wrong),
        };
        self.findings.0.iter().filter(|finding| finding.severity == severity).count() + steps
    }

    fn steps_with(&self, outcome: Ending) -> usize {
        self.steps.iter().filter(|asked| asked.step.outcome == outcome).count()
    }

    pub(super) fn write_text(&self, out: &mut dyn Write, talk: &mut dyn Write) -> io::Result<()> {
        if !self.findings.0.is_empty() {
            writeln!(talk, "{}", self.findings)?;
        }
        talk.flush()?;
        for Asked { provider, step } in &self.steps {
            steps::write(step, &format!("{provider}: "), out)?;
        }
        writeln!(out, "{}", self.line())
    }

    /// The last line: how much there is, and how it stands.
    fn line(&self) -> String {
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let mut verdict = match self.outcome() {
            Outcome::Good => "good".to_owned(),
            Outcome::Refused if errors == 0 => "warnings are denied".to_owned(),
            Outcome::Refused => counted(errors, "error"),
            Outcome::Unavailable => "a provider cannot be asked".to_owned(),
        };
        if warnings > 0 {
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
        let steps: Vec<Value> = self.steps.iter().map(|asked| steps::as_json(&asked.provider, &asked.step)).collect();
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
            report.steps.push(Asked { provider: "staff".to_owned(), step: Step::new("connect", Ending::Failed, "no\u{1b}route") });
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
        check(&Report { deny_warnings: true, ..report(0, 0, false) }, "2 providers, 14 rules, 1 service: good");
        check(&report(2, 0, true), "2 providers, 14 rules, 1 service: 2 errors");
        check(&report(0, 0, true), "2 providers, 14 rules, 1 service: a provider cannot be asked");
        check(&Report { summary: None, ..report(1, 2, false) }, "1 error, 2 warnings");
    }

    #[test]
    fn warnings_refuse_where_they_are_denied() {
        let denying = |warnings, failed| Report { deny_warnings: true, ..report(0, warnings, failed) };
        assert_eq!(denying(0, false).outcome(), Outcome::Good);
        assert_eq!(denying(0, true).outcome(), Outcome::Unavailable);
        assert_eq!(denying(1, true).outcome(), Outcome::Refused);
        check(&denying(1, false), "2 providers, 14 rules, 1 service: warnings are denied, 1 warning");
        assert_eq!(report(0, 1, false).outcome(), Outcome::Good);
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
                "steps": [{
                    "provider": "staff", "step": "connect", "good": false, "outcome": "failed", "text": "no\u{1b}route", "details": [],
                    "hint": null, "milliseconds": null,
                }],
            })
        );
    }

    #[test]
    fn a_step_that_is_wrong_is_an_error_and_one_that_warns_a_warning() {
        let mut asked = report(0, 0, false);
        asked.steps.push(Asked { provider: "staff".to_owned(), step: Step::new("lock-out", Ending::Warning, "soon") });
        check(&asked, "2 providers, 14 rules, 1 service: good, 1 warning");
        assert_eq!((asked.outcome(), Report { deny_warnings: true, ..asked }.outcome()), (Outcome::Good, Outcome::Refused));
        let mut asked = report(0, 0, true);
        asked.steps.push(Asked { provider: "staff".to_owned(), step: Step::new("lock-out", Ending::Wrong, "too many") });
        check(&asked, "2 providers, 14 rules, 1 service: 1 error");
        assert_eq!(asked.outcome(), Outcome::Refused);
    }

    #[test]
    fn a_directory_cannot_move_the_cursor() {
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        report(0, 0, true).write_text(&mut out, &mut talk).unwrap();
        assert!(!out.contains(&0x1b), "{}", String::from_utf8_lossy(&out));
    }
}
