//! One at a time among all processes of one state: an issuer that is shown a refresh token by two takes it for stolen.

use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::store::{NewPending, Pending, PendingKind, Store};

/// How often whoever waits for another process asks again.
const PAUSE: Duration = Duration::from_millis(100);
const KIND: PendingKind = PendingKind::Recheck;

/// The turn of one request: among those of this process, and where it matters among those of all.
#[derive(Debug)]
pub(super) struct Turn {
    _here: OwnedMutexGuard<()>,
    everywhere: Option<Lease>,
}

impl Turn {
    /// One of this process alone.
    pub(super) fn here(guard: OwnedMutexGuard<()>) -> Self {
        Self { _here: guard, everywhere: None }
    }

    /// The same among all processes; `None` where another one has it until the deadline. A process that ends in the middle keeps
    /// it for as long as `life`.
    pub(super) async fn everywhere(self, store: &Store, clock: &Clock, name: &str, life: Duration, deadline: Instant) -> Option<Self> {
        let lease = Lease::take(store, clock, name, life, deadline).await?;
        Some(Self { everywhere: Some(lease), ..self })
    }

    /// Ends it, so that it is over when this returns.
    pub(super) async fn release(self) {
        if let Some(mut lease) = self.everywhere {
            lease.end().await;
        }
    }
}

/// A row of the state that only one process can have made.
#[derive(Debug)]
struct Lease {
    store: Store,
    key: SecretString,
    row: Option<Pending>,
}

impl Lease {
    async fn take(store: &Store, clock: &Clock, name: &str, life: Duration, deadline: Instant) -> Option<Self> {
        let key = SecretString::from(name.to_owned());
        let life = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
        loop {
            let now = clock.now();
            let new = NewPending { kind: KIND, key: &key, source: "", expires: now.plus(life), value: b"" };
            match store.claim_pending(&new, now).await {
                Ok(Some(row)) => return Some(Self { store: store.clone(), key, row: Some(row) }),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(error = %error, "whether another process looks at a login cannot be read or written");
                    return None;
                }
            }
            if Instant::now() + PAUSE >= deadline {
                return None;
            }
            sleep(PAUSE).await;
        }
    }

    async fn end(&mut self) {
        let Some(row) = self.row.take() else { return };
        if let Err(error) = self.store.take_pending(KIND, &self.key, &row).await {
            tracing::warn!(error = %error, "the turn of a look at a login could not be ended; it ends by itself");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Whoever was late, or left.
        let (Some(row), Ok(runtime)) = (self.row.take(), tokio::runtime::Handle::try_current()) else { return };
        let mut lease = Self { store: self.store.clone(), key: self.key.clone(), row: Some(row) };
        runtime.spawn(async move { lease.end().await });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Timestamp;
    use crate::issue::turns::Turns;
    use crate::store::StateKey;

    const LIFE: Duration = Duration::from_secs(20);

    async fn turn(store: &Store, clock: &Clock, name: &str) -> Option<Turn> {
        // Each is a process of its own.
        let soon = Instant::now() + Duration::from_millis(50);
        let here = Arc::new(Turns::default()).take(name, soon).await.unwrap();
        Turn::here(here).everywhere(store, clock, name, LIFE, soon).await
    }

    #[tokio::test]
    async fn of_two_processes_one_has_the_turn_until_it_ends_or_its_life_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let key = StateKey::open_or_create(&folder.path().join("state.key")).unwrap();
        let open = async || Store::open(&folder.path().join("state.db"), &key).await.unwrap();
        let (one, other, clock) = (open().await, open().await, Clock::fixed(Timestamp(1_800_000_000)));
        let first = turn(&one, &clock, "a").await.unwrap();
        assert!(turn(&other, &clock, "a").await.is_none());
        turn(&other, &clock, "b").await.unwrap().release().await;
        first.release().await;
        let second = turn(&other, &clock, "a").await.unwrap();
        assert!(turn(&one, &clock, "a").await.is_none());
        drop(second);
        let soon = Instant::now() + Duration::from_secs(10);
        let third = Lease::take(&one, &clock, "a", LIFE, soon).await.expect("who left has no turn");
        // The process ends in the middle.
        std::mem::forget(third);
        assert!(turn(&other, &clock, "a").await.is_none());
        clock.advance(20);
        assert!(turn(&other, &clock, "a").await.is_some());
    }
}
