//! The service account: who searches, and how it is kept from being locked.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};

use super::super::verdict::Rejection;
use super::answer::Proof;
use super::connection::{Connection, until};
use super::trouble::Trouble;
use crate::source::SecretSource;

/// The step that fails where it is refused.
pub(super) const SERVICE_ACCOUNT: &str = "service account";

/// How long the service account is left alone after it was refused.
const RESTS: Duration = Duration::from_secs(30);
/// And after its password was refused again, and again: directories lock after some wrong ones and forget them after half an
/// hour without another.
const RESTS_LONGER: Duration = Duration::from_mins(2);
const RESTS_LONG: Duration = Duration::from_mins(31);

/// So long the answer of one server is waited for before another is asked beside it.
const TURN: Duration = Duration::from_millis(500);

/// Who searches, at every server of a provider.
pub(super) struct ServiceLogin {
    account: Account,
    /// Whether the directory took it the last time.
    proven: AtomicBool,
    /// Until it is proven one binds at a time: a crowd with a wrong password would lock it.
    turn: Mutex<()>,
    /// After it was refused nobody binds it before this: tries would lock it. But for servers that took it before, and for one
    /// more: a server that does not know its new password yet must not take the others along.
    rests: Lock<Option<Rest>>,
    /// How often it was refused since a server took it.
    refused: AtomicU32,
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
    /// Which server refused it.
    by: Arc<str>,
    /// Whether none did so since another took it: that one may be the only one, so another is asked as well.
    first: bool,
}

/// How long after a wrong password, where it was refused so many times in a row.
fn rest_after(refused: u32) -> Duration {
    match refused {
        0 | 1 => RESTS,
        2 => RESTS_LONGER,
        _ => RESTS_LONG,
    }
}

impl std::fmt::Debug for ServiceLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceLogin").field("proven", &self.proven).finish_non_exhaustive()
    }
}

impl ServiceLogin {
    pub(super) fn new(account: Account) -> Self {
        Self { account, proven: AtomicBool::new(false), turn: Mutex::new(()), rests: Lock::new(None), refused: AtomicU32::new(0) }
    }

    /// Who it is, for operators.
    pub(super) fn who(&self) -> &str {
        match &self.account {
            Account::Simple { dn, .. } => dn,
            Account::External => "the client certificate",
            Account::Anonymous => "nobody: searches are anonymous",
        }
    }

    /// Whether it may be tried now at this server, which took it the last time or not.
    pub(super) fn may_bind(&self, server: &str, taken: bool) -> Result<(), Trouble> {
        match &*self.rests.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(rest) if Instant::now() < rest.until && !taken && (!rest.first || *rest.by == *server) => {
                let left = rest.until.saturating_duration_since(Instant::now()).as_secs() + 1;
                let why = format!("{}; it is left alone for {left} s, so that it is not locked (SIGHUP tries at once)", rest.why);
                Err(Trouble::new(SERVICE_ACCOUNT, why))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Binds a connection to this server as the service account.
    pub(super) async fn bind(&self, connection: &mut Connection, server: &Arc<str>, taken: bool, deadline: Instant) -> Result<(), Trouble> {
        if matches!(self.account, Account::Anonymous) {
            return Ok(());
        }
        let _turn = self.turn(deadline).await;
        // It may have been refused while this one waited.
        self.may_bind(server, taken)?;
        let mut is_wrong = false;
        let why = match self.proof(connection, deadline).await {
            Ok(Proof::Proven { .. }) => {
                self.proven.store(true, Ordering::Release);
                self.refused.store(0, Ordering::Relaxed);
                // Whoever refused it is the only one.
                if let Some(rest) = &mut *self.rests.lock().unwrap_or_else(PoisonError::into_inner) {
                    rest.first = true;
                }
                return Ok(());
            }
            Ok(Proof::Refused { rejection: rejection @ (Rejection::WrongPassword | Rejection::LockedOut), detail, .. }) => {
                is_wrong = matches!(self.account, Account::Simple { .. });
                format!("the directory refuses it: {}, {detail}", rejection.as_str())
            }
            Ok(Proof::Refused { rejection, detail, .. }) => format!("the directory refuses it: {}, {detail}", rejection.as_str()),
            // Inappropriate authentication, insufficient access, unwilling to perform.
            Err(trouble) if matches!(trouble.code, Some(7 | 48 | 50 | 53)) => format!("the directory refuses it: {}", trouble.reason),
            Err(trouble) => return Err(trouble),
        };
        let refused = self.refused.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let until = Instant::now() + if is_wrong { rest_after(refused) } else { RESTS };
        let rest = Rest { until, why: why.clone(), by: Arc::clone(server), first: refused == 1 };
        *self.rests.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
        self.proven.store(false, Ordering::Release);
        Err(Trouble::new(SERVICE_ACCOUNT, why))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_password_stays_below_what_locks_an_account() {
        // Of tries that are as close together as they may be, how many fall into a window that begins anew with each of them?
        let (mut window, mut most) = (1, 1);
        for refused in 1..20 {
            window = if rest_after(refused) > Duration::from_mins(30) { 1 } else { window + 1 };
            most = most.max(window);
        }
        assert_eq!(most, 3);
    }
}
