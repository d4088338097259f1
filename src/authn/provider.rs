//! The providers that can be asked: one closed set.

use std::net::IpAddr;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::time::Instant;

use super::attempt::Attempt;
use super::cache::Freshness;
use super::identity::{Identity, PasswordMarker};
use super::rehearsal::Rehearsal;
use super::verdict::{Circumstances, GivenBack, Rejection, Renewal, Standing, Unavailable, Verdict};
use super::{file, ldap, oidc};

/// A source of identities, ready to be asked.
#[derive(Debug)]
pub enum Provider {
    /// A users file.
    File(file::Users),
    /// An LDAP directory.
    Ldap(Box<ldap::Directory>),
    /// An OIDC issuer.
    Oidc(Box<oidc::RelyingParty>),
}

impl Provider {
    /// The same, with what the provider of a former generation knows of the same issuer.
    pub(super) fn succeeding(self, former: &Self) -> Self {
        match (self, former) {
            (Self::Oidc(party), Self::Oidc(former)) => Self::Oidc(Box::new(party.succeeding(former))),
            (provider @ (Self::File(_) | Self::Ldap(_) | Self::Oidc(_)), _) => provider,
        }
    }

    /// Whether this name and password are right, whoever asks from wherever. The answer may be shared and remembered;
    /// what depends on the single request is [`Provider::admits`]. The password is asked about now in any case; `freshness` says
    /// whether groups of a moment ago will do, and whether a renewal is wanted.
    pub(super) async fn verify(
        &self,
        username: &str,
        password: &SecretString,
        circumstances: &Circumstances,
        freshness: Freshness,
        attempt: &Attempt,
    ) -> Result<Verdict, Unavailable> {
        match self {
            Self::File(users) => users.verify(username, password, circumstances, attempt).await,
            Self::Ldap(directory) => directory.verify(username, password, circumstances, freshness, attempt).await,
            Self::Oidc(party) => party.verify(username, password, circumstances, freshness, attempt).await,
        }
    }

    /// Whether somebody who was verified may be served from this address. Asks nobody, so it is cheap enough for every
    /// request, the remembered ones too.
    pub(super) fn admits(&self, identity: &Identity, source: Option<IpAddr>) -> Result<(), Rejection> {
        match self {
            Self::File(users) => users.admits(identity, source),
            Self::Ldap(_) | Self::Oidc(_) => Ok(()),
        }
    }

    /// How somebody who was verified earlier stands now, without the password. A renewal that comes back has to be
    /// stored before the result is acted on.
    pub async fn recheck(
        &self,
        identity: &Identity,
        renewal: Option<Renewal>,
        circumstances: &Circumstances,
    ) -> (Result<Standing, Unavailable>, Option<Renewal>) {
        match self {
            Self::File(users) => (Ok(users.recheck(identity)), renewal),
            Self::Ldap(directory) => (directory.recheck(identity, circumstances).await, renewal),
            Self::Oidc(party) => party.recheck(identity, renewal, circumstances).await,
        }
    }

    /// A typed name as it is counted, so that no other spelling of it has a counter of its own.
    pub(super) fn counted_as(&self, typed: &str) -> String {
        match self {
            Self::File(users) => users.counted_as(typed),
            Self::Ldap(directory) => directory.counted_as(typed),
            Self::Oidc(party) => party.counted_as(typed),
        }
    }

    /// The marker of an id's password now, where it can be read without a bind.
    pub(super) async fn marker(&self, id: &str, circumstances: &Circumstances) -> Result<Option<PasswordMarker>, Unavailable> {
        match self {
            Self::File(_) | Self::Oidc(_) => Ok(None),
            Self::Ldap(directory) => directory.marker(id, circumstances).await,
        }
    }

    /// Whether it is asked about passwords at all.
    pub(super) fn takes_passwords(&self) -> bool {
        match self {
            Self::File(_) | Self::Ldap(_) => true,
            Self::Oidc(party) => party.takes_passwords(),
        }
    }

    /// Whether a wrong password costs an account something there.
    pub(super) const fn locks_accounts(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Ldap(_) | Self::Oidc(_) => true,
        }
    }

    /// Whether it can be asked about somebody only with what it gave at their login.
    pub const fn rechecks_by_renewal(&self) -> bool {
        match self {
            Self::File(_) | Self::Ldap(_) => false,
            Self::Oidc(_) => true,
        }
    }

    /// Whether it keeps one renewal for each person: every sign-in ends the one before, so all logins of a person use the newest.
    pub fn shares_renewals(&self) -> bool {
        match self {
            Self::File(_) | Self::Ldap(_) => false,
            Self::Oidc(party) => party.shares_renewals(),
        }
    }

    /// Ends a renewal that no login lives by any more.
    pub async fn give_back(&self, renewal: &Renewal, deadline: Instant) -> Result<GivenBack, Unavailable> {
        match self {
            Self::File(_) | Self::Ldap(_) => Ok(GivenBack::NotOffered),
            Self::Oidc(party) => party.give_back(renewal, deadline).await,
        }
    }

    /// Whether [`Provider::give_back`] of `one` may end `other` too, both of one person: then it must not be called while a login
    /// lives by `other`, whose own end brings the end of both.
    pub fn end_together(&self, one: &Renewal, other: &Renewal) -> bool {
        match self {
            Self::File(_) | Self::Ldap(_) => one == other,
            Self::Oidc(party) => party.end_together(one, other),
        }
    }

    /// Who has this name, with every group, found without the password; whether the account may be used is not judged.
    pub async fn look_up(&self, username: &str, circumstances: &Circumstances) -> Result<Option<Identity>, Unavailable> {
        match self {
            Self::File(users) => Ok(users.look_up(username)),
            Self::Ldap(directory) => directory.find_user(username, circumstances).await,
            // An issuer says nothing of somebody who does not sign in.
            Self::Oidc(_) => Ok(None),
        }
    }

    /// A login step by step, with the same code that logs in; without a password as far as that goes.
    pub async fn rehearse(&self, typed: &str, password: Option<&SecretString>, circumstances: &Circumstances) -> Rehearsal {
        match self {
            Self::File(users) => users.rehearse(typed, password, circumstances).await,
            Self::Ldap(directory) => directory.rehearse(typed, password, circumstances).await,
            Self::Oidc(party) => party.rehearse(typed, password, circumstances).await,
        }
    }

    /// Whether it answered the last time that it was asked.
    pub fn health(&self) -> Health {
        match self {
            Self::File(_) => Health::Up,
            Self::Ldap(directory) => directory.health(),
            Self::Oidc(party) => party.health(),
        }
    }

    /// Whether it is known that it cannot be asked: one that is only slow or busy is not meant.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.health(), Health::Down(_))
    }

    /// Changes when a stable id of this provider may mean somebody else.
    pub fn fingerprint(&self) -> String {
        match self {
            Self::File(users) => users.fingerprint(),
            Self::Ldap(directory) => directory.fingerprint(),
            Self::Oidc(party) => party.fingerprint(),
        }
    }

    /// The key of its kind in the configuration.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Ldap(_) => "ldap",
            Self::Oidc(_) => "oidc",
        }
    }
}

/// What a provider is called and how its names compare.
#[derive(Clone, Debug)]
pub struct Names {
    /// The provider's name.
    pub provider: Arc<str>,
    /// Its realm.
    pub realm: Arc<str>,
    /// Whether names and groups compare without regard to ASCII case.
    pub ignore_case: bool,
}

impl Names {
    /// The form under which two names are the same one here.
    pub(super) fn fold(&self, name: &str) -> String {
        if self.ignore_case { name.to_ascii_lowercase() } else { name.to_owned() }
    }
}

/// Whether a provider answered the last time that it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nobody asked yet.
    Unknown,
    /// It answered (a wrong password is an answer).
    Up,
    /// It answers, but not with all of its servers; which of them do not, for operators.
    Impaired(String),
    /// It did not; why, for operators.
    Down(String),
}
