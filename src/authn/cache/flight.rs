//! Equal look-ups at the same time are one, and it goes on when those who wait have left.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::sync::oneshot;

use super::Digest;

/// The answer to come; an error if the task that looks for it panicked.
pub(super) type Flight<V> = Shared<oneshot::Receiver<V>>;

/// The look-ups under way. There are never more than requests that the server takes in.
pub(super) struct Flights<V: Clone>(Mutex<HashMap<Digest, Flight<V>>>);

impl<V: Clone + Send + Sync + 'static> Flights<V> {
    /// The flight of this digest, and whether it was there already.
    ///
    /// The task belongs to nobody who waits: a client that hangs up must not take back a bind that is on its way,
    /// because the next one would send it again. It ends by itself, with the deadline that every provider keeps.
    pub(super) fn join_or_start<Work>(self: &Arc<Self>, digest: &Digest, start: impl FnOnce() -> Work) -> (Flight<V>, bool)
    where
        Work: Future<Output = V> + Send + 'static,
    {
        let (answer, waiting) = oneshot::channel();
        let flight = match self.running().entry(digest.clone()) {
            Entry::Occupied(taken) => return (taken.get().clone(), true),
            Entry::Vacant(free) => free.insert(waiting.shared()).clone(),
        };
        // The lock is free again: a runtime that shuts down drops the task, and with it the landing, inside of `spawn`.
        let landing = Landing { flights: Arc::clone(self), digest: digest.clone() };
        let work = start();
        tokio::spawn(async move {
            let found = work.await;
            // INVARIANT: nobody joins a flight whose answer is known.
            drop(landing);
            // Nobody may be left to hear it.
            let _ = answer.send(found);
        });
        (flight, false)
    }
}

impl<V: Clone> Flights<V> {
    fn running(&self) -> MutexGuard<'_, HashMap<Digest, Flight<V>>> {
        // Nothing that holds this lock can leave the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Clone> Default for Flights<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Takes the flight off the list when its task ends, also by a panic.
struct Landing<V: Clone> {
    flights: Arc<Flights<V>>,
    digest: Digest,
}

impl<V: Clone> Drop for Landing<V> {
    fn drop(&mut self) {
        self.flights.running().remove(&self.digest);
    }
}
