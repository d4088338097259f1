//! `file` of a provider.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::source::{Diagnostics, Located, SourceFile, exactly_one_of};

/// `file: {path: users.yaml}` or `file: {htpasswd: FILE}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one_of(&["path", "htpasswd"])))]
pub struct FileSettings {
    /// A users file in narrows' own format.
    #[serde(default)]
    pub path: Option<Located<PathBuf>>,
    /// An htpasswd file: bcrypt lines, no groups.
    #[serde(default)]
    pub htpasswd: Option<Located<PathBuf>>,
}

/// The one file that is meant, and its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::authn) enum UsersPath {
    /// narrows' own format.
    Yaml(PathBuf),
    /// Apache's format.
    Htpasswd(PathBuf),
}

impl UsersPath {
    pub(in crate::authn) fn as_path(&self) -> &Path {
        match self {
            Self::Yaml(path) | Self::Htpasswd(path) => path,
        }
    }
}

impl FileSettings {
    /// Exactly one file.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        match (&self.path, &self.htpasswd) {
            (Some(_), Some(second)) => findings.push(
                file.error(second.place, "`path` and `htpasswd` stand together").hint("one provider reads one file: make it two providers"),
            ),
            (Some(one), None) | (None, Some(one)) if one.value.as_os_str().is_empty() => {
                findings.push(file.error(one.place, "the path of the users file is empty").hint("write `file: {path: users.yaml}`"));
            }
            (Some(_), None) | (None, Some(_)) => {}
            (None, None) => findings.push(
                file.error(crate::source::Place::default(), "`file` names no file")
                    .hint("write `file: {path: users.yaml}` or `file: {htpasswd: FILE}`"),
            ),
        }
    }

    /// The file, meant from `folder`; `None` unless exactly one is written.
    pub(in crate::authn) fn users_path(&self, folder: &Path) -> Option<UsersPath> {
        match (&self.path, &self.htpasswd) {
            (Some(path), None) => Some(UsersPath::Yaml(folder.join(&path.value))),
            (None, Some(path)) => Some(UsersPath::Htpasswd(folder.join(&path.value))),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }
}
