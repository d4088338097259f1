//! Connections that only ever bind, each for one at a time: a bind changes who the searches of a connection run as, so no
//! search ever travels on one.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::answer::Proof;
use super::connection::{Connection, Link};
use super::trouble::Trouble;

/// Firewalls forget connections that were idle for longer without a word to either side.
const MAX_IDLE: Duration = Duration::from_mins(1);

/// The connections of one server.
#[derive(Debug)]
pub(super) struct BindPool {
    /// As many as there may be connections: whoever holds a turn takes an idle one, and opens one only where there is none.
    turns: Semaphore,
    /// The one used last is taken first, so that those that are not needed grow old.
    idle: Mutex<Vec<Idle>>,
    max_age: Duration,
    max_operations: u64,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
    binds: u64,
}

/// A bind without a verdict.
#[derive(Debug)]
pub(super) enum Unbound {
    /// Nothing of it left: another server may be asked.
    Unsent(Trouble),
    /// Nothing of it left, and no time is left either.
    NoTurn(Trouble),
    /// It may have reached the directory and count there, so it is not sent again.
    Sent(Trouble),
}

impl Unbound {
    /// Whether the directory may have counted it, or may yet. An answer with a code that is no verdict says that it did not.
    pub(super) const fn may_count(&self) -> bool {
        match self {
            Self::Unsent(_) | Self::NoTurn(_) => false,
            Self::Sent(trouble) => trouble.code.is_none(),
        }
    }

    pub(super) fn trouble(self) -> Trouble {
        match self {
            Self::Unsent(trouble) | Self::NoTurn(trouble) | Self::Sent(trouble) => trouble,
        }
    }
}

impl BindPool {
    /// At most `size` connections.
    pub(super) fn new(size: usize, max_age: Duration, max_operations: u64) -> Self {
        Self { turns: Semaphore::new(size), idle: Mutex::default(), max_age, max_operations }
    }

    /// Binds once.
    pub(super) async fn bind(&self, link: &Link, dn: &str, password: &SecretString, deadline: Instant) -> Result<Proof, Unbound> {
        let turn = timeout_at(deadline, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(Unbound::NoTurn(Trouble::new("bind", "every connection for binds is busy"))) };
        let (mut connection, binds) = match self.take() {
            Some(idle) => (idle.connection, idle.binds),
            None => (Connection::open(link, deadline).await.map_err(Unbound::Unsent)?, 0),
        };
        let proof = connection.bind(dn, password, deadline).await.map_err(Unbound::Sent);
        if connection.is_clean() && connection.opened().elapsed() < self.max_age && binds + 1 < self.max_operations {
            self.idle().push(Idle { connection, since: Instant::now(), binds: binds + 1 });
        }
        proof
    }

    /// Closes what is too old or ended.
    pub(super) fn sweep(&self) {
        self.idle().retain(|idle| idle.is_usable(self.max_age));
    }

    /// Closes every idle one: the server is not trusted to hold them.
    pub(super) fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }

    fn take(&self) -> Option<Idle> {
        let mut idle = self.idle();
        while let Some(last) = idle.pop() {
            if last.is_usable(self.max_age) {
                return Some(last);
            }
        }
        None
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    fn is_usable(&self, max_age: Duration) -> bool {
        self.connection.is_clean() && self.since.elapsed() < MAX_IDLE && self.connection.opened().elapsed() < max_age
    }
}
