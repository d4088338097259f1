//! Successes that may be gone by while their provider cannot be asked (`stale_if_error`), and what ended them.
//!
//! What is missing here refuses: whatever is pushed out or was never seen is an outage.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::time::Instant;

use super::Digest;
use crate::authn::identity::{Identity, PasswordMarker};
use crate::clock::{Clock, Timestamp};

/// A provider, and a stable id, a name or an account of it.
type Key = (Arc<str>, String);

/// The longest window; what ended is kept for as long.
const LONGEST: Duration = Duration::from_hours(24);

/// When something was asked: by the clock of the wall, which identity tokens go by, and by one that nobody can set.
#[derive(Clone, Copy, Debug)]
pub(in crate::authn) struct Moment {
    pub(in crate::authn) at: Timestamp,
    instant: Instant,
}

/// A name and a password that were right.
pub(in crate::authn) struct Proved<'a> {
    pub(in crate::authn) digest: &'a Digest,
    /// The typed name, as it is counted.
    pub(in crate::authn) name: &'a str,
    /// What the account was bound as, where that is not the stable id.
    pub(in crate::authn) account: Option<&'a str>,
    /// The password alone.
    pub(in crate::authn) secret: Digest,
    pub(in crate::authn) asked: Moment,
}

/// When a pair was right, and whose it is.
#[derive(Clone)]
struct Pair {
    person: Key,
    secret: Digest,
    marker: Option<PasswordMarker>,
    asked: Moment,
}

/// Somebody as of the last look, whatever was looked for.
#[derive(Clone)]
struct Seen {
    identity: Arc<Identity>,
    looked: Moment,
    /// The password that was right last, unless it was refused since.
    secret: Option<Digest>,
    /// A look that began before this says nothing new.
    changed: Instant,
}

/// Whom a directory no longer lets in, by the time at which it said so. Outlives a reload: identity tokens do too.
pub(in crate::authn) struct Endings {
    ended: Cache<Key, Timestamp>,
    /// Nothing is known of what ended before: it was pushed out.
    forgotten: Arc<AtomicI64>,
}

impl Endings {
    fn new(capacity: u64) -> Self {
        let forgotten = Arc::new(AtomicI64::new(i64::MIN));
        let floor = Arc::clone(&forgotten);
        let pushed_out = move |_: Arc<Key>, at: Timestamp, cause: moka::notification::RemovalCause| {
            if cause == moka::notification::RemovalCause::Size {
                floor.fetch_max(at.0, Ordering::SeqCst);
            }
        };
        let ended = Cache::builder().max_capacity(capacity).time_to_live(LONGEST).eviction_listener(pushed_out).build();
        Self { ended, forgotten }
    }

    fn note(&self, person: Key, at: Timestamp) {
        // A clock that was set back must not let anybody in again.
        let latest = self.ended.get(&person).map_or(at, |before| before.max(at));
        self.ended.insert(person, latest);
    }

    /// Whether somebody was refused at this time or later.
    fn since(&self, person: &Key, at: Timestamp) -> bool {
        self.forgotten.load(Ordering::SeqCst) >= at.0 || self.ended.get(person).is_some_and(|ended| ended >= at)
    }
}

/// The memory of one generation of providers.
pub(in crate::authn) struct Memory {
    pairs: Cache<Digest, Pair>,
    people: Cache<Key, Seen>,
    /// Whom a name means, or what an account is bound as.
    names: Cache<Key, String>,
    endings: Arc<Endings>,
    /// A change of what is known of somebody is one step.
    turn: Mutex<()>,
    capacity: u64,
    clock: Clock,
}

impl Memory {
    pub(in crate::authn) fn new(capacity: u64, clock: &Clock) -> Self {
        Self {
            pairs: bounded(capacity),
            people: bounded(capacity),
            names: bounded(capacity.saturating_mul(2)),
            endings: Arc::new(Endings::new(capacity)),
            turn: Mutex::default(),
            capacity,
            clock: clock.clone(),
        }
    }

    /// Takes over who was refused, and nothing else.
    pub(in crate::authn) fn succeeding(&self, former: &Self) -> Self {
        Self { endings: Arc::clone(&former.endings), ..Self::new(self.capacity, &self.clock) }
    }

    pub(in crate::authn) fn now(&self) -> Moment {
        Moment { at: self.clock.now(), instant: Instant::now() }
    }

    /// What is left of a window that began then; `None` where it is over, or the clock says that it did not begin.
    fn left(&self, began: Moment, window: Duration) -> Option<i64> {
        let by_instants = i64::try_from(began.instant.elapsed().as_secs()).unwrap_or(i64::MAX);
        self.left_by_clock(began.at, window).map(|left| left.min(seconds(window).saturating_sub(by_instants))).filter(|left| *left > 0)
    }

    fn left_by_clock(&self, began: Timestamp, window: Duration) -> Option<i64> {
        let age = self.clock.now().since(began);
        (age >= 0).then(|| seconds(window).saturating_sub(age)).filter(|left| *left > 0)
    }

    /// The directory said that this password is theirs, now.
    pub(in crate::authn) fn proved(&self, identity: &Arc<Identity>, proved: &Proved<'_>) {
        let person = (Arc::clone(&identity.provider), identity.id.clone());
        self.see(&person, identity, proved.asked, Some(proved.secret.clone()));
        for name in [Some(proved.name), proved.account].into_iter().flatten() {
            self.names.insert((Arc::clone(&identity.provider), name.to_owned()), identity.id.clone());
        }
        let pair = Pair { person, secret: proved.secret.clone(), marker: identity.marker.clone(), asked: proved.asked };
        self.pairs.insert(proved.digest.clone(), pair);
    }

    /// A look without the password found them in order.
    pub(in crate::authn) fn seen(&self, identity: &Identity, asked: Moment) {
        let person = (Arc::clone(&identity.provider), identity.id.clone());
        self.see(&person, &Arc::new(identity.clone()), asked, None);
    }

    fn see(&self, person: &Key, identity: &Arc<Identity>, looked: Moment, proven: Option<Digest>) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.people.get(person);
        // Of two looks the later one stays.
        if before.as_ref().is_some_and(|before| before.changed > looked.instant) {
            return;
        }
        let same = before.filter(|before| before.identity.marker == identity.marker);
        let secret = proven.or_else(|| same.and_then(|before| before.secret));
        self.people.insert(person.clone(), Seen { identity: Arc::clone(identity), looked, secret, changed: looked.instant });
    }

    /// A name and a password were refused as not going together.
    pub(in crate::authn) fn wrong(&self, provider: &Arc<str>, digest: &Digest, account: Option<&str>, secret: &Digest) {
        self.pairs.invalidate(digest);
        for person in account.into_iter().flat_map(|account| self.people_of(provider, account)) {
            self.change(&person, |seen| seen.secret = seen.secret.take().filter(|right| right != secret));
        }
    }

    /// The marker of somebody's password was read.
    pub(in crate::authn) fn marked(&self, provider: &Arc<str>, account: &str, marker: Option<&PasswordMarker>) {
        for person in self.people_of(provider, account) {
            self.change(&person, |seen| {
                if seen.identity.marker.as_ref() != marker {
                    seen.identity = Arc::new(Identity { marker: marker.cloned(), ..(*seen.identity).clone() });
                    seen.secret = None;
                }
            });
        }
    }

    /// The account is disabled, locked, gone or the like.
    pub(in crate::authn) fn ended(&self, provider: &Arc<str>, account: &str) {
        for person in self.people_of(provider, account) {
            self.change(&person, |seen| seen.secret = None);
            self.endings.note(person, self.clock.now());
        }
    }

    /// A name means nobody, or several.
    pub(in crate::authn) fn nameless(&self, provider: &Arc<str>, name: &str) {
        let named = (Arc::clone(provider), name.to_owned());
        if self.names.get(&named).is_some() {
            self.ended(provider, name);
            self.names.invalidate(&named);
        }
    }

    /// Whoever an account may be: the one of this id, and the one of this name, which somebody could choose like an id.
    fn people_of(&self, provider: &Arc<str>, account: &str) -> Vec<Key> {
        let named = (Arc::clone(provider), account.to_owned());
        let by_name = self.names.get(&named).filter(|id| id != account).map(|id| (Arc::clone(provider), id));
        std::iter::once(named).chain(by_name).collect()
    }

    fn change(&self, person: &Key, alter: impl FnOnce(&mut Seen)) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut seen) = self.people.get(person) {
            alter(&mut seen);
            seen.changed = Instant::now();
            self.people.insert(person.clone(), seen);
        }
    }

    /// Who a name and a password belonged to within the window, as they were seen last; when the password was right, and
    /// the seconds that are left.
    pub(in crate::authn) fn recall(
        &self,
        digest: &Digest,
        name: &str,
        provider: &str,
        window: Duration,
    ) -> Option<(Arc<Identity>, Timestamp, i64)> {
        let pair = self.pairs.get(digest).filter(|pair| &*pair.person.0 == provider)?;
        let left = self.left(pair.asked, window)?;
        let names_them = self.names.get(&(Arc::clone(&pair.person.0), name.to_owned())).is_some_and(|id| id == pair.person.1);
        let seen = self.people.get(&pair.person)?;
        let is_theirs = seen.secret.as_ref() == Some(&pair.secret) && seen.identity.marker == pair.marker;
        let holds = names_them && is_theirs && !self.endings.since(&pair.person, pair.asked.at);
        holds.then_some((seen.identity, pair.asked.at, left))
    }

    /// The same for an identity token whose owner was looked at then.
    pub(in crate::authn) fn recall_of(&self, identity: &Identity, looked: Timestamp, window: Duration) -> Option<(Identity, i64)> {
        let left = self.left_by_clock(looked, window)?;
        let person = (Arc::clone(&identity.provider), identity.id.clone());
        if self.endings.since(&person, looked) {
            return None;
        }
        let Some(seen) = self.people.get(&person).filter(|seen| seen.looked.at >= looked) else { return Some((identity.clone(), left)) };
        let now = Identity {
            method: identity.method,
            proven: identity.proven,
            second_factor: identity.second_factor,
            ..(*seen.identity).clone()
        };
        (now.marker == identity.marker).then_some((now, left))
    }
}

fn bounded<K, V>(capacity: u64) -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().max_capacity(capacity).time_to_live(LONGEST).build()
}

fn seconds(window: Duration) -> i64 {
    i64::try_from(window.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
