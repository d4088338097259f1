//! What came of policy tests, for people and for programs.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::audit;
use crate::authn::identity::Principal;
use crate::authz::{Failure, Found, Question};
use crate::cli::explain;
use crate::cli::{BAD, DIFFERENT, finding};
use crate::registry::ResourceScope;
use crate::source::Diagnostics;

/// Takes down what happened, file by file.
pub(super) struct Report<'a> {
    form: Form<'a>,
    passed: usize,
    failed: usize,
    /// Files that could not be run.
    bad: usize,
    findings: Diagnostics,
}

/// How it is written.
enum Form<'a> {
    /// Failures to `out` and findings to `talk`, as they come.
    Text { out: &'a mut dyn Write, talk: &'a mut dyn Write },
    /// One object at the end.
    Json { out: &'a mut dyn Write, failures: Vec<Value> },
}

impl<'a> Report<'a> {
    pub(super) fn as_text(out: &'a mut dyn Write, talk: &'a mut dyn Write) -> Self {
        Self::new(Form::Text { out, talk })
    }

    pub(super) fn as_json(out: &'a mut dyn Write) -> Self {
        Self::new(Form::Json { out, failures: Vec::new() })
    }

    fn new(form: Form<'a>) -> Self {
        Self { form, passed: 0, failed: 0, bad: 0, findings: Diagnostics::default() }
    }

    /// What was found on the way; the same rules may be read for several files.
    pub(super) fn found(&mut self, findings: Diagnostics) -> io::Result<()> {
        for finding in findings.0 {
            if self.findings.0.contains(&finding) {
                continue;
            }
            if let Form::Text { talk, .. } = &mut self.form {
                writeln!(talk, "{finding}")?;
            }
            self.findings.push(finding);
        }
        Ok(())
    }

    /// A file that could not be run.
    pub(super) fn cannot_be_run(&mut self, errors: Diagnostics) -> io::Result<()> {
        self.bad += 1;
        self.found(errors)
    }

    /// A file that was run.
    pub(super) fn ran(&mut self, cases: usize, failures: &[Failure<'_>]) -> io::Result<()> {
        self.passed += cases.saturating_sub(failures.len());
        self.failed += failures.len();
        match &mut self.form {
            Form::Text { out, .. } => failures.iter().try_for_each(|failure| write_failure(failure, *out)),
            Form::Json { failures: all, .. } => {
                all.extend(failures.iter().map(failure_json));
                Ok(())
            }
        }
    }

    /// The last words.
    pub(super) fn finish(self) -> io::Result<ExitCode> {
        let Self { form, passed, failed, bad, findings } = self;
        match form {
            Form::Text { out, .. } => {
                write!(out, "{} passed", counted(passed, "case"))?;
                if failed > 0 {
                    write!(out, ", {failed} failed")?;
                }
                if bad > 0 {
                    write!(out, ", {} could not be run", counted(bad, "file"))?;
                }
                writeln!(out)?;
            }
            Form::Json { out, failures } => {
                let findings: Vec<Value> = findings.0.iter().map(finding::as_json).collect();
                let whole = json!({"passed": passed, "failed": failed, "bad_files": bad, "failures": failures, "findings": findings});
                writeln!(out, "{whole:#}")?;
            }
        }
        Ok(match (bad, failed) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::from(DIFFERENT),
            (_, _) => ExitCode::from(BAD),
        })
    }
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A failed case: where, what it asks, what differs, and what `explain` says of it.
fn write_failure(failure: &Failure<'_>, out: &mut dyn Write) -> io::Result<()> {
    let name = failure.case.name.as_ref().map(|name| format!(" `{}`", audit::escaped(name))).unwrap_or_default();
    writeln!(out, "FAILED {}:{}{name}", failure.file().path().display(), failure.case.place)?;
    writeln!(out, "  {}", audit::escaped(&failure.case.question.to_string()))?;
    for (word, list) in [("missing", &failure.missing), ("too much", &failure.excess)] {
        if !list.is_empty() {
            writeln!(out, "  {word}: {}", audit::escaped(&list.join(", ")))?;
        }
    }
    if let Some(report) = explanation(failure) {
        let mut text = Vec::new();
        report.write_text(&mut text)?;
        for line in String::from_utf8_lossy(&text).lines() {
            writeln!(out, "    {line}")?;
        }
    }
    for group in hidden_groups(failure) {
        let group = audit::escaped(group);
        writeln!(
            out,
            "    note: the group `{group}` matches nothing: the rules use that name as an alias; give a group that it stands for"
        )?;
    }
    writeln!(out)
}

fn failure_json(failure: &Failure<'_>) -> Value {
    let case = failure.case;
    let expected: Vec<String> = match &case.question {
        Question::Request(request) => {
            let scopes = request.gets.value.iter();
            scopes.map(|(resource, actions)| ResourceScope { resource: resource.clone(), actions: *actions }.to_string()).collect()
        }
        Question::WhoCan(question) => question.is.value.iter().cloned().collect(),
    };
    json!({
        "file": failure.file().path().display().to_string(),
        "line": case.place.line,
        "column": case.place.column,
        "name": case.name,
        "question": case.question.to_string(),
        "expected": expected,
        "missing": failure.missing,
        "excess": failure.excess,
        "explanation": explanation(failure).map(|report| report.json()),
    })
}

fn explanation<'a>(failure: &'a Failure<'_>) -> Option<explain::Report<'a>> {
    match &failure.found {
        Found::Decision { decision, .. } => Some(explain::Report { decision, policy: failure.policy, dropped: &[], lifetime: None }),
        Found::Holders(_) => None,
    }
}

fn hidden_groups<'a>(failure: &'a Failure<'_>) -> Vec<&'a str> {
    match &failure.found {
        Found::Decision { principal: Principal::Identified(identity), .. } => {
            failure.policy.hidden_groups(identity).into_iter().map(|group| group.name.as_str()).collect()
        }
        Found::Decision { principal: Principal::Anonymous, .. } | Found::Holders(_) => Vec::new(),
    }
}
