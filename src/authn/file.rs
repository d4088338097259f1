//! People and robots of a users file.

use std::path::PathBuf;

use serde::Deserialize;

use crate::source::Located;

/// `file: {path: users.yaml}` or `file: {htpasswd: FILE}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// A users file in narrows' own format.
    #[serde(default)]
    pub path: Option<Located<PathBuf>>,
    /// An htpasswd file: bcrypt lines, no groups.
    #[serde(default)]
    pub htpasswd: Option<Located<PathBuf>>,
}
