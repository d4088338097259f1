//! An LDAP directory: search with a service account, bind as the user, then the account's state and groups.
//!
//! - `settings`: the configuration's keys
//! - `wire`, `frame`, `ber`, `tls`, `endpoint`: the way there
//! - `connection`: one bind, one search; `service`: the service account's; `session`: those of one request
//! - `template`, `dn`: filters and names, escaped by their types
//! - `answer`, `state`: what a bind's answer and an account's attributes mean
//! - `entry`, `person`, `groups`: what an entry says of somebody
//! - `directory`: the steps of a verification; `probe`: the same for the online check

mod answer;
mod ber;
mod build;
mod connection;
mod directory;
mod dn;
mod endpoint;
mod entry;
mod frame;
mod groups;
mod person;
mod probe;
mod service;
mod session;
mod settings;
mod state;
mod template;
mod tls;
mod trouble;
mod wire;

use std::sync::Arc;

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};

pub use settings::{BindMode, GroupStrategy, LdapSettings};

use self::connection::Link;
use self::dn::Dn;
use self::groups::Groups;
use self::person::IdAttribute;
use self::service::ServiceLogin;
use self::template::FilterTemplate;
use self::trouble::Trouble;
use super::attempt::Attempt;
use super::identity::{Identity, PasswordMarker};
use super::provider::{Health, Names, ProbeStep};
use super::verdict::{Circumstances, Rejection, Standing, Unavailable, Verdict};
use crate::clock::Clock;
use crate::source::{Diagnostics, SourceFile};

/// One directory, ready to be asked.
pub struct Directory {
    names: Names,
    link: Link,
    service: ServiceLogin,
    /// As written and as compared.
    bases: Vec<(String, Dn)>,
    scope: ldap3::Scope,
    filter: FilterTemplate,
    username: String,
    id: IdAttribute,
    groups: Groups,
    clock: Clock,
    health: ArcSwap<Health>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("provider", &self.names.provider).field("server", &self.link.endpoint).finish_non_exhaustive()
    }
}

impl Directory {
    /// Reads certificates and the service account's password and checks the templates. Asks nobody.
    pub fn build(names: Names, settings: &LdapSettings, file: &SourceFile, clock: &Clock) -> Result<Self, Diagnostics> {
        build::directory(names, settings, file, clock)
    }

    /// Whether this name and password are right, and whose they are. A rejection other than `WrongPassword` and
    /// `Ambiguous` is returned only where the password was proven right.
    pub async fn verify(
        &self,
        username: &str,
        password: &SecretString,
        circumstances: &Circumstances,
        attempt: &Attempt,
    ) -> Result<Verdict, Unavailable> {
        let secret = password.expose_secret();
        // An empty password is an anonymous bind to a directory, which succeeds for every name.
        if secret.is_empty() || secret.contains('\0') {
            return Ok(Verdict::Rejected(Rejection::WrongPassword));
        }
        if !may_be_a_name(username) {
            return Ok(Verdict::NotMine);
        }
        self.answered(self.verified(username, password, attempt, circumstances.deadline).await)
    }

    /// How somebody who was verified earlier stands now, found by the stable id.
    pub async fn recheck(&self, identity: &Identity, circumstances: &Circumstances) -> Result<Standing, Unavailable> {
        self.answered(self.standing(identity, circumstances.deadline).await)
    }

    /// The password's marker of a stable id, without a bind.
    pub async fn marker(&self, id: &str, circumstances: &Circumstances) -> Result<Option<PasswordMarker>, Unavailable> {
        self.answered(self.marker_of(id, circumstances.deadline).await)
    }

    /// A typed name as it is counted: the form under which the directory takes two of them for the same one.
    pub(super) fn counted_as(&self, typed: &str) -> String {
        self.names.fold(typed)
    }

    /// Whether it answered the last time that it was asked.
    pub fn health(&self) -> Health {
        Health::clone(&self.health.load())
    }

    /// Changes when the settings that make a stable id mean somebody change: the attribute, where it is searched, and,
    /// for ids that another directory could give to somebody else, the server.
    pub fn fingerprint(&self) -> String {
        let mut bases: Vec<&str> = self.bases.iter().map(|(base, _)| base.as_str()).collect();
        bases.sort_unstable();
        let server = if self.id.is_unique_everywhere() { String::new() } else { self.link.endpoint.to_string() };
        let settings = serde_json::json!(["ldap", self.names.realm, self.id.name().to_ascii_lowercase(), bases, server]);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, settings.to_string().as_bytes());
        data_encoding::HEXLOWER.encode(digest.as_ref())
    }

    /// Asks step by step (connect, TLS, service account, bases) for `check --online`.
    pub async fn probe(&self, circumstances: &Circumstances) -> Vec<ProbeStep> {
        self.probed(circumstances.deadline).await
    }

    /// The entry of a canonical name, without its password: `explain --lookup`, `check --online`.
    pub async fn find_user(&self, username: &str, circumstances: &Circumstances) -> Result<Option<Identity>, Unavailable> {
        if !may_be_a_name(username) {
            return Ok(None);
        }
        self.answered(self.found(username, circumstances.deadline).await)
    }

    /// Whether there is a place to look for a group of this name: a plain name needs `groups.bases`.
    pub fn can_find_group(&self, group: &str) -> bool {
        self.groups.can_look_for(group)
    }

    /// Whether a group of this name or DN exists.
    pub async fn find_group(&self, group: &str, circumstances: &Circumstances) -> Result<bool, Unavailable> {
        if !self.groups.can_look_for(group) {
            let trouble = Trouble::new("groups", "a group's name can be looked up only below `groups.bases`");
            return Err(trouble.unavailable(&self.names.provider));
        }
        self.answered(self.group_exists(group, circumstances.deadline).await)
    }

    /// The boundary: remembers the health, and says once in the log what went wrong.
    fn answered<T>(&self, outcome: Result<T, Trouble>) -> Result<T, Unavailable> {
        match outcome {
            Ok(answer) => {
                self.health.store(Arc::new(Health::Up));
                Ok(answer)
            }
            Err(trouble) => {
                tracing::warn!(provider = %self.names.provider, reason = %trouble, "the directory cannot be asked");
                let health = if trouble.is_of_an_entry() { Health::Up } else { Health::Down(trouble.to_string()) };
                self.health.store(Arc::new(health));
                Err(trouble.unavailable(&self.names.provider))
            }
        }
    }
}

/// Whether a typed text can be anybody's name. Directories ignore spaces around, characters that nobody sees and the width
/// of letters, so such spellings would be other names of the same account to every counter and cache in front of them.
fn may_be_a_name(typed: &str) -> bool {
    let unseen = |c: char| {
        c.is_control() || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let plain = !typed.chars().any(unseen) && unicode_normalization::is_nfkc(typed);
    !typed.is_empty() && typed.len() <= 256 && typed.trim() == typed && !typed.contains("  ") && plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_directories_ignore_are_nobody() {
        for name in ["alice", "Alice B", "álice", "a*b(c)", "CORP\\alice", "alice@corp.example"] {
            assert!(may_be_a_name(name), "{name:?}");
        }
        for name in [
            "",
            " alice",
            "alice ",
            "a  b",
            "al\u{200b}ice",
            "al\u{ad}ice",
            "\u{202e}alice",
            "al\0ice",
            "\u{a0}alice",
            "ａｌｉｃｅ",
            "a\u{301}lice",
        ] {
            assert!(!may_be_a_name(name), "{name:?}");
        }
        assert!(!may_be_a_name(&"x".repeat(257)));
    }
}
