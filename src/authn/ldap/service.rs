//! The service account: who searches, and how it is kept from being locked.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex as Lock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};

use super::answer::Proof;
use super::connection::{Connection, until};
use super::trouble::Trouble;
use crate::source::SecretSource;

/// How long the service account is left alone after it was refused.
const RESTS: Duration = Duration::from_secs(30);

/// So long the answer of one server is waited for before another is asked beside it.
const TURN: Duration = Duration::from_millis(500);

/// Who searches, at every server of a provider.
pub(super) struct ServiceLogin {
    account: Account,
    /// Whether the directory took it the last time.
    proven: AtomicBool,
    /// Until it is proven one binds at a time: a crowd with a wrong password would lock it.
    turn: Mutex<()>,
    /// After it was refused nobody binds it before this: tries would lock it.
    rests: Lock<Option<Rest>>,
}

/// How it proves itself.
pub(super) enum Account {
    /// By a password, which may be replaced in its file.
    Simple {
        /// Its DN.
        dn: String,
        /// As it was read last.
        password: ArcSwap<SecretString>,
        /// Where it is read.
        source: SecretSource,
        /// What the source is relative to.
        folder: PathBuf,
    },
    /// By the client certificate.
    External,
    /// Not at all.
    Anonymous,
}

struct Rest {
    until: Instant,
    why: String,
}

impl std::fmt::Debug for ServiceLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceLogin").field("proven", &self.proven).finish_non_exhaustive()
    }
}

impl ServiceLogin {
    pub(super) fn new(account: Account) -> Self {
        Self { account, proven: AtomicBool::new(false), turn: Mutex::new(()), rests: Lock::new(None) }
    }

    /// Who it is, for operators.
    pub(super) fn who(&self) -> &str {
        match &self.account {
            Account::Simple { dn, .. } => dn,
            Account::External => "the client certificate",
            Account::Anonymous => "nobody: searches are anonymous",
        }
    }

    /// Whether it may be tried now.
    pub(super) fn may_bind(&self) -> Result<(), Trouble> {
        match &*self.rests.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(rest) if Instant::now() < rest.until => {
                let why = format!("{}; it is left alone for a while, so that it is not locked", rest.why);
                Err(Trouble::new("service account", why))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Binds a connection as the service account.
    pub(super) async fn bind(&self, connection: &mut Connection, deadline: Instant) -> Result<(), Trouble> {
        if matches!(self.account, Account::Anonymous) {
            return Ok(());
        }
        let _turn = self.turn(deadline).await;
        // It may have been refused while this one waited.
        self.may_bind()?;
        let why = match self.proof(connection, deadline).await {
            Ok(Proof::Proven { .. }) => {
                self.proven.store(true, Ordering::Release);
                return Ok(());
            }
            Ok(Proof::Refused { rejection, detail, .. }) => format!("the directory refuses it: {}, {detail}", rejection.as_str()),
            // Inappropriate authentication, insufficient access, unwilling to perform.
            Err(trouble) if matches!(trouble.code, Some(7 | 48 | 50 | 53)) => format!("the directory refuses it: {}", trouble.reason),
            Err(trouble) => return Err(trouble),
        };
        let rest = Rest { until: Instant::now() + RESTS, why: why.clone() };
        *self.rests.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
        self.proven.store(false, Ordering::Release);
        Err(Trouble::new("service account", why))
    }

    /// A refused password is read again, as somebody may just have replaced it, and only another one is tried.
    async fn proof(&self, connection: &mut Connection, deadline: Instant) -> Result<Proof, Trouble> {
        let (dn, password, source, folder) = match &self.account {
            Account::Simple { dn, password, source, folder } => (dn, password, source, folder),
            Account::External => return connection.bind_external(deadline).await,
            Account::Anonymous => return Ok(Proof::Proven { expires_in: None }),
        };
        let tried = password.load_full();
        let proof = connection.bind(dn, &tried, deadline).await?;
        if matches!(proof, Proof::Proven { .. }) || !connection.is_clean() {
            return Ok(proof);
        }
        let (source, folder) = (source.clone(), folder.clone());
        let read = tokio::task::spawn_blocking(move || source.load(&folder)).await;
        match read {
            Ok(Ok(fresh)) if fresh.expose_secret() != tried.expose_secret() && !fresh.expose_secret().is_empty() => {
                let proof = connection.bind(dn, &fresh, deadline).await?;
                password.store(fresh.into());
                Ok(proof)
            }
            Ok(_) | Err(_) => Ok(proof),
        }
    }

    /// Waits for the turn where the account is not proven; those who waited for the first success go on side by side. A
    /// refusal comes at once, so whoever waits longer waits for a server that says nothing, and goes on as well.
    async fn turn(&self, deadline: Instant) -> Option<MutexGuard<'_, ()>> {
        if self.proven.load(Ordering::Acquire) {
            return None;
        }
        let turn = timeout_at(until(TURN, deadline), self.turn.lock()).await.ok()?;
        (!self.proven.load(Ordering::Acquire)).then_some(turn)
    }
}
