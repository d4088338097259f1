//! A password on its way to a directory, as the shield in front of directories sees it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::identity::PasswordMarker;
use super::throttle::{Bind, Limits, Pass, Source, Throttle, Withheld};

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
    /// The account may not be used at this hour or from here; whether the password was compared is not said.
    Restricted,
    /// It may have reached the directory, and no answer came: it counts until the directory says otherwise.
    Unanswered,
    /// It never left, or the answer is that nothing was compared. Not counted.
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
    /// Nobody knows what is left of it: an outage.
    Unsure {
        /// For operators.
        reason: &'static str,
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
}

/// One try to prove a password. Every bind asks here first and says here what came of it. The default is bound by nothing:
/// for an administrator's own try.
#[derive(Default)]
pub struct Attempt {
    shield: Option<Shield>,
    /// The account whose bind is under way; taken off when the attempt ends, however it does.
    under_way: Mutex<Option<UnderWay>>,
    refused: Mutex<Option<Tried>>,
    account: Mutex<Option<(String, Option<PasswordMarker>)>>,
}

struct UnderWay {
    id: String,
    exists: bool,
    marker: Option<PasswordMarker>,
    pass: Pass,
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
        self.leave(account, true).await
    }

    /// Whether an earlier bind of this account was not answered: the directory has to show that it answers before another one
    /// is sent, because those that it has not read yet count as well.
    pub fn is_unanswered(&self, account: &Account<'_>) -> bool {
        self.shield.as_ref().is_some_and(|shield| shield.asker.throttle.is_unanswered(&shield.bind(account.id, true, account.marker)))
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
        self.leave(&Account { id: name, marker: None }, false).await?;
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

    async fn leave(&self, account: &Account<'_>, exists: bool) -> Result<(), Throttled> {
        let Some(shield) = &self.shield else { return Ok(()) };
        let bind = shield.bind(account.id, exists, account.marker);
        let left = shield.asker.throttle.may_bind(&bind, &shield.asker.limits, shield.deadline).await;
        let pass = left.map_err(|withheld| match withheld {
            Withheld::Locked => Throttled::LockedOut,
            Withheld::UsedUp { wait, known } => Throttled::UsedUp { retry_after: seconds(wait), known },
            Withheld::Unanswered { wait } => Throttled::Unsure {
                reason: "earlier binds of the account were not answered, and may have counted",
                retry_after: seconds(wait),
            },
            Withheld::Unwritten => Throttled::Unsure { reason: "a failed bind could not be written to the state", retry_after: seconds(5) },
        })?;
        let under_way = UnderWay { id: account.id.to_owned(), exists, marker: account.marker.cloned(), pass };
        *self.under_way() = Some(under_way);
        Ok(())
    }

    async fn came_to(&self, outcome: Bound) {
        let Some(shield) = &self.shield else { return };
        let under_way = self.under_way().take();
        let Some(UnderWay { id, exists, marker, pass }) = under_way else { return };
        let bind = shield.bind(&id, exists, marker.as_ref());
        shield.asker.throttle.came_to(&bind, pass, outcome, &shield.asker.limits).await;
    }

    fn under_way(&self) -> MutexGuard<'_, Option<UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shield {
    fn bind<'a>(&'a self, id: &'a str, exists: bool, marker: Option<&'a PasswordMarker>) -> Bind<'a> {
        Bind { provider: &self.provider, id, exists, marker, password: &self.password, source: self.asker.source }
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
        let under_way = self.under_way().take();
        if let (Some(shield), Some(UnderWay { id, exists, marker, pass })) = (&self.shield, under_way) {
            shield.asker.throttle.abandoned(&shield.bind(&id, exists, marker.as_ref()), pass);
        }
    }
}
