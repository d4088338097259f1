//! Password markers as they were read last. Guesses are refused with the marker of their time; whether it moved since costs one
//! search for all guesses of an account, not one for each.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Key;
use super::bounded::{Bounded, Weighed};

/// What was read is believed for so many seconds.
const BELIEVED: i64 = 10;

#[derive(Clone, Copy, Debug)]
struct Look {
    began: i64,
    /// `None` while it is read, and where it could not be.
    seen: Option<Key>,
}

/// What is known about an account's marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Marker(Key),
    /// Somebody looks at this moment, or looked and found nothing.
    Nothing,
    /// The one who asked has to look.
    NotLately,
}

impl Weighed for Look {
    type Weight = i64;
    fn weight(&self) -> i64 {
        self.began
    }
}

#[derive(Debug)]
pub(super) struct Looks(Mutex<Bounded<Look>>);

impl Looks {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Mutex::new(Bounded::new(capacity)))
    }

    /// What was seen a moment ago, or who has to look.
    pub(super) fn begin(&self, account: Key, now: i64) -> Seen {
        let mut looks = self.looks();
        if let Some(look) = looks.get(&account).filter(|look| look.began.saturating_add(BELIEVED) > now) {
            return look.seen.map_or(Seen::Nothing, Seen::Marker);
        }
        looks.insert(account, Look { began: now, seen: None });
        Seen::NotLately
    }

    pub(super) fn saw(&self, account: Key, seen: Option<Key>) {
        if let Some(look) = self.looks().get_mut(&account) {
            look.seen = seen;
        }
    }

    pub(super) fn purge(&self, now: i64) {
        self.looks().retain(|look| look.began.saturating_add(BELIEVED) > now);
    }

    fn looks(&self) -> MutexGuard<'_, Bounded<Look>> {
        // Nothing that holds it can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
