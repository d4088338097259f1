//! A password on its way to a directory, as the shield in front of directories sees it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::identity::PasswordMarker;
use super::throttle::{Bind, Limits, Source, Throttle, Withheld};

/// The account that a bind is for.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// The stable id where the account was found before the bind, or else the folded name.
    pub id: &'a str,
    /// The password's marker, where one can be read before the bind.
    pub marker: Option<&'a PasswordMarker>,
}

/// Whether a bind proved the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The password is right, whatever becomes of the account.
    Proven,
    /// The directory counts it as a wrong password.
    Wrong,
    /// The account is locked: the directory compares nothing.
    LockedOut,
    /// No answer that says so: an outage. Not counted.
    Unknown,
}

/// Why an account is not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttled {
    /// Its share of binds is used up.
    UsedUp {
        /// When it makes sense to ask again.
        retry_after: Duration,
        /// Whether the source is one that logged in to it before.
        known: bool,
    },
    /// The directory said a moment ago that it is locked.
    LockedOut,
}

/// One try to prove a password. Every bind asks here first and says here what came of it. The default is bound by nothing:
/// for an administrator's own try.
#[derive(Default)]
pub struct Attempt {
    shield: Option<Shield>,
    /// The account whose bind is under way; taken off when the attempt ends, however it does.
    under_way: Mutex<Option<(String, bool)>>,
    refused: Mutex<Option<Tried>>,
    account: Mutex<Option<(String, Option<PasswordMarker>)>>,
}

struct Shield {
    asker: Asker,
    provider: Arc<str>,
    password: SecretString,
    deadline: Instant,
}

/// An account that a wrong password was tried at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) provider: Arc<str>,
    pub(super) id: String,
    pub(super) marker: PasswordMarker,
}

/// Whose attempts.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) throttle: Arc<Throttle>,
    pub(super) limits: Limits,
    pub(super) source: Source,
    /// The typed name, as it is counted.
    pub(super) name: String,
}

impl Attempt {
    pub(super) fn new(asker: &Asker, provider: &Arc<str>, password: &SecretString, deadline: Instant) -> Self {
        let (asker, provider, password) = (asker.clone(), Arc::clone(provider), password.clone());
        let mut attempt = Self::default();
        attempt.shield = Some(Shield { asker, provider, password, deadline });
        attempt
    }

    /// Whether this account may be bound now.
    pub async fn may_bind(&self, account: &Account<'_>) -> Result<(), Throttled> {
        *self.account.lock().unwrap_or_else(PoisonError::into_inner) = Some((account.id.to_owned(), account.marker.cloned()));
        self.leave(account.id, true).await
    }

    /// What came of the bind.
    pub async fn bound(&self, account: &Account<'_>, outcome: Bound) {
        if let (Bound::Wrong, Some(shield), Some(marker)) = (outcome, &self.shield, account.marker) {
            let tried = Tried { provider: Arc::clone(&shield.provider), id: account.id.to_owned(), marker: marker.clone() };
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(tried);
        }
        self.came_to(outcome).await;
    }

    /// A name that no directory knows spends as much as one that it knows, so that nobody can tell them apart.
    pub(super) async fn spend_for_nobody(&self, name: &str) -> Result<(), Throttled> {
        self.leave(name, false).await?;
        self.came_to(Bound::Wrong).await;
        Ok(())
    }

    /// The account that refused the password, where its marker was read.
    pub(super) fn tried(&self) -> Option<Tried> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The account that the password was tried at, or would have been, with the marker that was read before.
    pub(super) fn account(&self) -> Option<(String, Option<PasswordMarker>)> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the request came from.
    pub(super) fn source(&self) -> Source {
        self.shield.as_ref().map_or(Source::UNKNOWN, |shield| shield.asker.source)
    }

    async fn leave(&self, id: &str, exists: bool) -> Result<(), Throttled> {
        let Some(shield) = &self.shield else { return Ok(()) };
        let left = shield.asker.throttle.may_bind(&shield.bind(id, exists), &shield.asker.limits, shield.deadline).await;
        left.map_err(|withheld| match withheld {
            Withheld::Locked => Throttled::LockedOut,
            Withheld::UsedUp { wait, known } => Throttled::UsedUp { retry_after: seconds(wait), known },
        })?;
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) = Some((id.to_owned(), exists));
        Ok(())
    }

    async fn came_to(&self, outcome: Bound) {
        let Some(shield) = &self.shield else { return };
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((id, exists)) = under_way else { return };
        let (bind, throttle) = (shield.bind(&id, exists), &shield.asker.throttle);
        match outcome {
            Bound::Proven => throttle.succeeded(&bind).await,
            Bound::Wrong => throttle.failed(&bind).await,
            Bound::LockedOut => throttle.locked_out(&bind).await,
            Bound::Unknown => throttle.ended(&bind),
        }
    }
}

impl Shield {
    fn bind<'a>(&'a self, id: &'a str, exists: bool) -> Bind<'a> {
        Bind { provider: &self.provider, id, exists, password: &self.password, source: self.asker.source }
    }
}

/// At least one, as `Retry-After` has it.
pub(super) fn seconds(wait: i64) -> Duration {
    Duration::from_secs(u64::try_from(wait).unwrap_or(1).max(1))
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").field("provider", &self.shield.as_ref().map(|shield| &shield.provider)).finish_non_exhaustive()
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(shield), Some((id, exists))) = (&self.shield, under_way) {
            shield.asker.throttle.ended(&shield.bind(&id, exists));
        }
    }
}
