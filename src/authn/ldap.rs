//! An LDAP directory: search with a service account, bind as the user (or the other way round), then the account's state and
//! groups.
//!
//! - `settings`: the configuration's keys
//! - `servers`, `server`: which server is asked, whether it can be; `session`: the one of a request
//! - `searcher`, `bind_pool`: its connections; `service`: the service account that the first are bound as
//! - `connection`, `paging`: one bind, one search
//! - `wire`, `carry`, `frame`, `ber`, `tls`, `tls_error`, `endpoint`: the way there, and the guard on it
//! - `template`, `dn_template`, `dn`: filters and names, escaped by their types
//! - `typed`: what of a typed text is a name
//! - `answer`, `state`: what a bind's answer and an account's attributes mean
//! - `entry`, `person`, `groups`: what an entry says of somebody
//! - `directory`: the steps of a verification; `rehearsal`: the same one by one, for operators; `probe`, `lockout`: what the
//!   online check asks besides; `journey`, `advice`: what was met on the way, and what to do

mod advice;
mod answer;
mod ber;
mod bind_pool;
mod build;
mod carry;
mod chance;
mod connection;
mod directory;
mod dn;
mod dn_template;
mod endpoint;
mod entry;
#[cfg(test)]
mod fake;
mod frame;
mod groups;
mod journey;
mod lockout;
mod paging;
mod person;
mod probe;
mod rehearsal;
mod searcher;
mod server;
mod servers;
mod service;
mod session;
mod settings;
mod state;
mod template;
mod tls;
mod tls_error;
mod trouble;
mod typed;
mod wire;

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

pub(super) use dn::leading_value;
pub use lockout::NAME as LOCK_OUT;
pub use settings::{BindMode, GroupStrategy, LdapSettings, Preset};
pub(super) use typed::{counted, may_be_a_name};

use self::dn::Dn;
use self::dn_template::DnTemplate;
use self::groups::Groups;
use self::person::IdAttribute;
use self::servers::Servers;
use self::state::AccountRules;
use self::template::FilterTemplate;
use self::trouble::Trouble;
use self::typed::Strip;
use super::attempt::Attempt;
use super::cache::Freshness;
use super::identity::{Identity, PasswordMarker};
use super::provider::{Health, Names};
use super::rehearsal::{BindBudget, Rehearsal, Step};
use super::verdict::{Circumstances, Rejection, Standing, Unavailable, Verdict};
use crate::clock::Clock;
use crate::source::{Diagnostics, SourceFile};

/// How a password is proven.
#[derive(Debug)]
enum Bind {
    /// The entry is searched first, and bound by its DN.
    Search,
    /// The DN is made of the name, and its entry read afterwards.
    Template(DnTemplate),
    /// The name with this suffix is bound, and its entry searched afterwards.
    Upn(String),
}

/// One directory, ready to be asked.
pub struct Directory {
    names: Names,
    servers: Arc<Servers>,
    /// As written and as compared.
    bases: Vec<(String, Dn)>,
    scope: ldap3::Scope,
    bind: Bind,
    strip: Strip,
    filter: FilterTemplate,
    username: String,
    id: IdAttribute,
    groups: Groups,
    accounts: AccountRules,
    clock: Clock,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("provider", &self.names.provider).field("servers", &self.servers.origin()).finish_non_exhaustive()
    }
}

impl Directory {
    /// Reads certificates and the service account's password and checks the templates. Asks nobody.
    pub fn build(names: Names, settings: &LdapSettings, file: &SourceFile, clock: &Clock) -> Result<Self, Diagnostics> {
        build::directory(names, settings, file, clock)
    }

    /// The name in what somebody typed, without what `user.strip` cuts off: every spelling of it comes to one.
    pub fn stripped<'a>(&self, typed: &'a str) -> &'a str {
        self.strip.name(typed)
    }

    /// Whether this name and password are right, and whose they are. A rejection other than `WrongPassword`, `Ambiguous`
    /// and `Restricted` is returned only where the password was proven right. What lasts is made of groups that are read now.
    pub async fn verify(
        &self,
        username: &str,
        password: &SecretString,
        circumstances: &Circumstances,
        freshness: Freshness,
        attempt: &Attempt,
    ) -> Result<Verdict, Unavailable> {
        let secret = password.expose_secret();
        // An empty password is an anonymous bind to a directory, which succeeds for every name.
        if secret.is_empty() || secret.contains('\0') {
            return Ok(Verdict::Rejected(Rejection::WrongPassword));
        }
        let username = self.stripped(username);
        if !may_be_a_name(username) {
            return Ok(Verdict::NotMine);
        }
        self.answered(self.verified(username, password, freshness, attempt, circumstances.deadline).await)
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
        counted(self.stripped(typed))
    }

    /// Whether its servers can be asked, as far as is known.
    pub fn health(&self) -> Health {
        self.servers.health()
    }

    /// Changes when the settings that make a stable id mean somebody change: the attribute, where it is searched, and,
    /// for ids that another directory could give to somebody else, the servers.
    pub fn fingerprint(&self) -> String {
        let mut bases: Vec<&str> = self.bases.iter().map(|(base, _)| base.as_str()).collect();
        bases.sort_unstable();
        let server = if self.id.is_unique_everywhere() { String::new() } else { self.servers.origin() };
        let settings = serde_json::json!(["ldap", self.names.realm, self.id.name().to_ascii_lowercase(), bases, server]);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, settings.to_string().as_bytes());
        data_encoding::HEXLOWER.encode(digest.as_ref())
    }

    /// Asks step by step whether anybody could log in, and whether the directory locks accounts later than the budget ends, for
    /// `check --online`. Each server, and what follows, may take as long as the circumstances say.
    pub async fn probe(&self, budget: BindBudget, circumstances: &Circumstances) -> Vec<Step> {
        self.probed(budget, circumstances.patience()).await
    }

    /// A login step by step, with the same code that logs in; without a password all but the bind. With one it is one real bind,
    /// which counts at the directory. Each server, and what follows, may take as long as the circumstances say.
    pub async fn rehearse(&self, typed: &str, password: Option<&SecretString>, circumstances: &Circumstances) -> Rehearsal {
        self.rehearsed(typed, password, circumstances.patience()).await
    }

    /// The entry of a canonical name, without its password: `explain --lookup`, `check --online`.
    pub async fn find_user(&self, username: &str, circumstances: &Circumstances) -> Result<Option<Identity>, Unavailable> {
        let username = self.stripped(username);
        if !may_be_a_name(username) {
            return Ok(None);
        }
        self.answered(self.found(username, circumstances.deadline).await)
    }

    /// Whether two names are one here.
    pub fn is_same_name(&self, one: &str, other: &str) -> bool {
        self.names.fold(one) == self.names.fold(other)
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

    /// The boundary: says once in the log what went wrong.
    fn answered<T>(&self, outcome: Result<T, Trouble>) -> Result<T, Unavailable> {
        outcome.map_err(|trouble| {
            tracing::warn!(provider = %self.names.provider, reason = %trouble, "the directory cannot be asked");
            trouble.unavailable(&self.names.provider)
        })
    }
}
