//! `audit` of the configuration.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::{Diagnostics, Located, SourceFile};

/// Where the audit goes: `audit: stdout`, or `audit: {file: audit.jsonl}`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditSettings {
    /// To standard output, one line an event. The default.
    #[default]
    Stdout,
    /// To the end of this file, which is made (0600) where it is missing.
    File(Located<PathBuf>),
}

impl AuditSettings {
    /// Finds what cannot work.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        match self {
            Self::File(path) if path.value.as_os_str().is_empty() => {
                findings.push(file.error(path.place, "`audit.file` is empty").hint("write the path of a file, or `audit: stdout`"));
            }
            Self::Stdout | Self::File(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(default)]
        audit: AuditSettings,
    }

    fn check(text: &str, expected: &str) {
        let file = SourceFile::new("narrows.yaml", text);
        let mut findings = Diagnostics::default();
        let shown = match file.parse::<Outer>() {
            Ok(outer) => {
                outer.audit.check(&file, &mut findings);
                match outer.audit {
                    AuditSettings::Stdout => "stdout".to_owned(),
                    AuditSettings::File(path) => format!("{} at {}", path.value.display(), path.place),
                }
            }
            Err(finding) => format!("refused: {}", finding.message),
        };
        let shown = findings.first().map_or(shown, |finding| finding.message.clone());
        assert!(shown.starts_with(expected), "{text}: {shown}");
    }

    #[test]
    fn the_audit_goes_to_stdout_or_to_a_file() {
        check("{}", "stdout");
        check("audit: stdout", "stdout");
        check("audit: {file: a.jsonl}", "a.jsonl at 1:15");
        check("audit:\n  file: a.jsonl\n", "a.jsonl at 2:9");
        check("audit: {file: ''}", "`audit.file` is empty");
        check("audit: stderr", "refused");
        check("audit: {fiel: a}", "refused");
        check("audit: {file: a, stdout: b}", "refused");
        check("audit: file", "refused");
    }
}
