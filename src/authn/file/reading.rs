//! What both formats of a users file have in common: names, hashes, and each user once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::password::{HashError, PasswordHash};
use super::user::User;
use crate::authn::provider::Names;
use crate::authn::route::NamePatterns;
use crate::source::{Diagnostic, Diagnostics, Place, SourceFile};

/// The longest name that a request may hold.
const MAX_NAME: usize = 256;

/// A users file while it is being read.
pub(super) struct Reading<'a> {
    file: &'a SourceFile,
    names: &'a Names,
    patterns: &'a NamePatterns,
    pub(super) findings: Diagnostics,
    users: BTreeMap<String, (User, Place)>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(file: &'a SourceFile, names: &'a Names, patterns: &'a NamePatterns) -> Self {
        Self { file, names, patterns, findings: Diagnostics::default(), users: BTreeMap::new() }
    }

    pub(super) fn file(&self) -> &'a SourceFile {
        self.file
    }

    /// An error whose line may be shown only if it cannot hold a hash.
    pub(super) fn error(&mut self, place: Place, message: impl Into<String>, hint: &str) {
        let finding = self.file.error(place, message).hint(hint);
        let may_hold_a_hash = self.file.around(place).is_some_and(|line| line.contains('$'));
        self.findings.push(if may_hold_a_hash { hidden(finding) } else { finding });
    }

    /// Whether requests can ever ask for this name, and this provider is asked for it.
    pub(super) fn check_name(&mut self, name: &str, place: Place) {
        if name.is_empty() || name.len() > MAX_NAME || name.trim() != name || name.chars().any(char::is_control) {
            self.error(place, format!("`{}` is no user name", name.escape_debug()), "write 1 to 256 bytes without spaces around them");
        } else if name.contains(':') || name == "<token>" {
            self.error(
                place,
                format!("nobody can log in as `{name}`"),
                "HTTP ends the user name at the first `:`, and `<token>` is docker's",
            );
        } else if !self.patterns.matches(name) {
            self.error(
                place,
                format!("user `{name}` is outside the `names` of provider `{}`", self.names.provider),
                "nobody would be asked for this user: add the name to the provider's `names`",
            );
        }
    }

    /// The hash, or a finding that does not show it.
    pub(super) fn hash(&mut self, name: &str, text: &str, place: Place) -> Option<PasswordHash> {
        match text.parse::<PasswordHash>() {
            Ok(hash) => {
                if hash.is_weak() {
                    let weak = self.file.warning(place, format!("the password hash of `{name}` is cheap to guess from a stolen copy"));
                    self.findings.push(hidden(weak.hint("make a new one with `narrows hash`")));
                }
                Some(hash)
            }
            Err(error) => {
                let hint = match error {
                    HashError::NoHash => "put a hash here, never the password itself: make it with `narrows hash`",
                    HashError::OtherKind(_)
                    | HashError::DamagedArgon2id
                    | HashError::DamagedBcrypt
                    | HashError::Argon2Version
                    | HashError::Argon2Bounds
                    | HashError::BcryptCost(_) => "argon2id and bcrypt are accepted: make a new one with `narrows hash`",
                };
                self.findings.push(hidden(self.file.error(place, format!("user `{name}`: {error}")).hint(hint)));
                None
            }
        }
    }

    /// Adds a user, unless there is one of this name.
    pub(super) fn add(&mut self, user: User, place: Place) {
        let name = user.name.clone();
        match self.users.entry(self.names.fold(&name)) {
            Entry::Vacant(free) => {
                free.insert((user, place));
            }
            Entry::Occupied(taken) => {
                let first = taken.get().1.line;
                let hint = if self.names.ignore_case { "remove one of them; case makes no difference here" } else { "remove one of them" };
                self.error(place, format!("user `{name}` stands in line {first} already"), hint);
            }
        }
    }

    /// The users by folded name, and the warnings; or everything that is wrong.
    pub(super) fn finish(self) -> Result<(BTreeMap<String, User>, Diagnostics), Diagnostics> {
        if self.findings.has_errors() {
            return Err(self.findings);
        }
        Ok((self.users.into_iter().map(|(name, (user, _))| (name, user)).collect(), self.findings))
    }
}

/// The finding without its line: a hash or a password stands in it.
pub(super) fn hidden(finding: Diagnostic) -> Diagnostic {
    Diagnostic { line: None, ..finding }
}
