//! A finding in a file, for programs.

use serde_json::{Value, json};

use crate::source::{Diagnostic, Severity};

/// One finding as a JSON object; the same for every command.
pub(super) fn as_json(finding: &Diagnostic) -> Value {
    let severity = match finding.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    json!({
        "severity": severity,
        "file": finding.file.display().to_string(),
        "line": finding.place.map(|place| place.line),
        "column": finding.place.map(|place| place.column),
        "message": finding.message,
        "hint": finding.hint,
    })
}
