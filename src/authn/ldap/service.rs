//! The service account: who searches, and how it is kept from being locked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use secrecy::SecretString;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};

use super::answer::Proof;
use super::connection::Connection;
use super::trouble::Trouble;

/// How long the service account is left alone after it was refused.
const RESTS: Duration = Duration::from_secs(30);

/// Who searches.
pub(super) struct ServiceLogin {
    pub(super) dn: String,
    pub(super) password: SecretString,
    /// Whether the directory took it the last time.
    proven: AtomicBool,
    /// Until it is proven one binds at a time: a crowd with a wrong password would lock it.
    turn: Mutex<()>,
    /// After it was refused nobody binds it before this: tries would lock it.
    rests: ArcSwapOption<Instant>,
}

impl ServiceLogin {
    pub(super) fn new(dn: String, password: SecretString) -> Self {
        Self { dn, password, proven: AtomicBool::new(false), turn: Mutex::new(()), rests: ArcSwapOption::empty() }
    }

    /// Whether it may be tried now.
    pub(super) fn may_bind(&self) -> Result<(), Trouble> {
        if self.rests.load().as_deref().is_some_and(|until| Instant::now() < *until) {
            return Err(Trouble::new("service account", "it was refused a moment ago and is left alone, so that it is not locked"));
        }
        Ok(())
    }

    /// Binds a connection as the service account.
    pub(super) async fn bind(&self, connection: &mut Connection, deadline: Instant) -> Result<(), Trouble> {
        let _turn = self.turn(deadline).await?;
        // It may have been refused while this one waited.
        self.may_bind()?;
        match connection.bind(&self.dn, &self.password, deadline).await? {
            Proof::Proven => {
                self.proven.store(true, Ordering::Release);
                Ok(())
            }
            Proof::Refused { rejection, detail, .. } => {
                self.rests.store(Some(Arc::new(Instant::now() + RESTS)));
                self.proven.store(false, Ordering::Release);
                Err(Trouble::new("service account", format!("the directory refuses it: {}, {detail}", rejection.as_str())))
            }
        }
    }

    /// Waits for the turn where the account is not proven; those who waited for the first success go on side by side.
    async fn turn(&self, deadline: Instant) -> Result<Option<MutexGuard<'_, ()>>, Trouble> {
        if self.proven.load(Ordering::Acquire) {
            return Ok(None);
        }
        let turn = timeout_at(deadline, self.turn.lock()).await.map_err(|_| Trouble::timeout("service account"))?;
        Ok((!self.proven.load(Ordering::Acquire)).then_some(turn))
    }
}
