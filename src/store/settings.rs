//! `state` of the configuration.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::source::{Diagnostics, Located, SourceFile};

/// Where narrows keeps what outlives the process.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StateSettings {
    /// The `SQLite` database, made where it is missing. Default `state.db`.
    pub path: Located<PathBuf>,
    /// The key that seals what stands in the database, made where it is missing. Default `state.key`.
    pub key: Located<PathBuf>,
    /// A `PostgreSQL` database for several replicas. Not available yet.
    #[schemars(with = "Option<serde_json::Value>")]
    pub postgres: Option<Located<IgnoredAny>>,
}

impl Default for StateSettings {
    fn default() -> Self {
        Self { path: Located::nowhere(PathBuf::from("state.db")), key: Located::nowhere(PathBuf::from("state.key")), postgres: None }
    }
}

impl StateSettings {
    /// Finds what cannot work.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        if let Some(postgres) = &self.postgres {
            findings.push(file.error(postgres.place, "`state.postgres` is not available yet").hint("remove it and use `path`"));
        }
        for (name, path) in [("path", &self.path), ("key", &self.key)] {
            if path.value.as_os_str().is_empty() {
                findings.push(file.error(path.place, format!("`state.{name}` is empty")).hint("write the path of a file"));
            }
        }
        if self.path.value == self.key.value {
            findings.push(
                file.error(self.key.place, "`state.path` and `state.key` are the same file")
                    .hint("keep the key in a file of its own, best outside the database's backup"),
            );
        }
    }

    /// Where the database stands; a relative path is meant from `folder`, that of the configuration.
    pub fn database(&self, folder: &Path) -> PathBuf {
        folder.join(&self.path.value)
    }

    /// Where the key stands.
    pub fn key_file(&self, folder: &Path) -> PathBuf {
        folder.join(&self.key.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let file = SourceFile::new("narrows.yaml", text);
        let mut findings = Diagnostics::default();
        match file.parse::<StateSettings>() {
            Ok(settings) => settings.check(&file, &mut findings),
            Err(finding) => findings.push(finding),
        }
        let shown = findings.first().map_or_else(|| "good".to_owned(), |finding| finding.message.clone());
        assert!(shown.contains(expected), "{text}: {shown}");
    }

    #[test]
    fn the_state_is_two_files_and_no_postgres_yet() {
        check("{}", "good");
        check("{path: a.db, key: a.key}", "good");
        check("{path: same, key: same}", "the same file");
        check("{path: ''}", "`state.path` is empty");
        check("{postgres: {url: {file: x}}}", "`state.postgres` is not available yet");
        check("{pth: a.db}", "pth");
    }
}
