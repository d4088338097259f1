//! The shield in front of directories: it keeps guessed passwords from being compared, and an account from being locked by
//! others. It outlives every reload, and its failed binds and known sources outlive the process.
//!
//! What somebody without a password can do: make `comparisons_per_source` different guesses for a name from one source,
//! ten times that from all sources together that never logged in to it, and of those `failures` less the kept part reach
//! the directory in a `window`. Then strangers are told 429 for this name, while sources that logged in before have
//! the kept part, and a password that was right within a day and has not changed gets its bind. What they cannot do: lock the account at
//! a directory that allows more than `failures`; learn whether a name exists, because unknown ones spend a share of their
//! own; push a counter out by a flood of other names, because the least of a sample leaves and names that exist outweigh
//! those that do not. Counters of one or two may go that way: each such guess costs a flood as large as the map.
//!
//! - `source`: who counts as one
//! - `comparisons`: different wrong passwords, before anything is compared
//! - `binds`: failed binds, as the directory counts them; `account`: one of them
//! - `looks`: markers that were read, so that guesses do not search for one each
//! - `bounded`: the map of all of them
//! - `memory`: what of it is written down

mod account;
mod binds;
mod bounded;
mod comparisons;
mod looks;
mod memory;
mod source;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac;

pub(super) use self::account::{Bind, Withheld};
pub(super) use self::binds::Pass;
use self::binds::{Binds, Failures};
use self::bounded::{Bounded, Weighed};
use self::comparisons::{Comparisons, Counted, Pair};
use self::looks::{Looks, Seen};
use self::memory::{Memory, Row};
pub(super) use self::source::Source;
use super::identity::PasswordMarker;
use super::settings::{CacheSettings, ThrottleSettings};
use crate::clock::Clock;
use crate::metrics;
use crate::store::{FailedBinds, ShieldChange, StateKey, Store, StoreError, StoredBinds};

/// A password that was right within so many seconds always gets its bind.
const WAS_RIGHT: i64 = 24 * 3600;
/// A source that succeeded within so many seconds is known.
const KNOWN: i64 = 30 * 24 * 3600;
/// A known source is written down again after so many seconds.
const WRITTEN_AGAIN: i64 = 24 * 3600;
/// All strangers of a name together have so many times the share of one source.
const STRANGERS: u32 = 10;
/// Known sources, and passwords that were right.
const CAPACITY: usize = 200_000;

/// An HMAC under a key of the state: whoever chooses names cannot choose these, and a copy names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

/// The figures of `throttle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// This replica's part.
    pub(super) failures: u32,
    /// Seconds.
    pub(super) window: i64,
    pub(super) comparisons: u32,
    /// Seconds.
    pub(super) comparisons_window: i64,
    /// Seconds after which an equal pair is asked about again.
    pub(super) repeated: i64,
}

impl Limits {
    pub(super) fn of(settings: &ThrottleSettings, cache: &CacheSettings) -> Self {
        let seconds = |period: std::time::Duration| i64::try_from(period.as_secs()).unwrap_or(i64::MAX);
        Self {
            failures: settings.failures.value.checked_div(settings.replicas.value).unwrap_or(1).max(1),
            window: seconds(settings.window.value.duration()),
            comparisons: settings.comparisons_per_source.value,
            comparisons_window: seconds(settings.comparisons_window.value.duration()),
            repeated: seconds(cache.rejected.value.duration()),
        }
    }

    /// How many failed binds strangers may use up: at least one is kept for known sources, where there are two.
    fn share_of_strangers(&self) -> u32 {
        let kept = if self.failures < 2 { 0 } else { (self.failures / 3).max(1) };
        self.failures.saturating_sub(kept)
    }
}

/// Which step refused: the word of audit and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Too many different wrong passwords for the name from this source.
    Comparisons,
    /// Too many for the name from all strangers.
    Strangers,
    /// The account's failed binds are used up.
    Binds,
}

impl Step {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Comparisons => "comparisons",
            Self::Strangers => "comparisons_of_strangers",
            Self::Binds => "binds",
        }
    }
}

/// When something was.
#[derive(Clone, Copy, Debug)]
struct Since(i64);

impl Weighed for Since {
    type Weight = i64;
    fn weight(&self) -> i64 {
        self.0
    }
}

/// When a password was right, and the marker that it had.
#[derive(Clone, Copy, Debug)]
struct Right {
    since: i64,
    marker: Option<Key>,
}

impl Weighed for Right {
    type Weight = i64;
    fn weight(&self) -> i64 {
        self.since
    }
}

/// Counters and memories of the process, shared by every generation of providers.
pub struct Throttle {
    key: hmac::Key,
    comparisons: Mutex<Comparisons>,
    binds: Mutex<Binds>,
    known: Mutex<Bounded<Since>>,
    were_right: Mutex<Bounded<Right>>,
    looks: Looks,
    memory: Memory,
    clock: Clock,
}

/// One request's guess, counted as under way until it is dropped.
pub(super) struct Guess {
    throttle: Arc<Throttle>,
    counters: Vec<Counted>,
    pair: Pair,
    source: Source,
    name: String,
    wrong: bool,
}

impl Throttle {
    /// With what the state remembers. Where it cannot be read, the service does not start: nobody could tell which
    /// accounts are about to be locked.
    pub async fn remembering(store: Store, key: &StateKey, clock: Clock) -> Result<Self, StoreError> {
        let (failed, known) = (store.failed_binds().await?, store.known_sources().await?);
        let throttle = Self::with(hmac::Key::new(hmac::HMAC_SHA256, &key.derive("shield")), Some(store), clock);
        let now = throttle.clock.now().0;
        let mut altered = 0;
        for binds in failed {
            let (account, failures) = match binds {
                StoredBinds::Intact(it) => (it.account, Failures::remembered(it.exists, it.failures, it.last, &it.passwords)),
                StoredBinds::Altered(account) => {
                    altered += 1;
                    (account, Failures::remembered(true, u32::MAX, now, &[]))
                }
            };
            let pushed_out = throttle.binds().remember(Key(account), failures);
            throttle.mark(pushed_out.map(Row::Account));
        }
        if altered > 0 {
            tracing::error!(altered, "failed binds in the state were not written by narrows: these accounts count as used up");
        }
        for (pair, last) in known {
            let pushed_out = locked(&throttle.known).insert(Key(pair), Since(last));
            throttle.mark(pushed_out.map(Row::Source));
        }
        Ok(throttle)
    }

    /// Without a state, for checks that serve nobody.
    pub fn forgetting(clock: Clock) -> Self {
        let mut key = [0; 32];
        // A check compares nothing; the key protects nothing here.
        let _ = aws_lc_rs::rand::fill(&mut key);
        Self::with(hmac::Key::new(hmac::HMAC_SHA256, &key), None, clock)
    }

    fn with(key: hmac::Key, store: Option<Store>, clock: Clock) -> Self {
        Self {
            key,
            comparisons: Mutex::default(),
            binds: Mutex::default(),
            known: Mutex::new(Bounded::new(CAPACITY)),
            were_right: Mutex::new(Bounded::new(CAPACITY)),
            looks: Looks::new(CAPACITY),
            memory: Memory::new(store),
            clock,
        }
    }

    /// What is wrong with the memory, for operators.
    pub fn trouble(&self) -> Option<&'static str> {
        self.memory.is_forgetful().then_some("failed binds cannot be written to the state: new sources get no bind at a directory")
    }

    /// Whether a source logged in under this name lately.
    pub(super) fn knows(&self, name: &str, source: Source) -> bool {
        self.is_known(&self.hash(b"name and source", &[name.as_bytes(), &source.bytes()]))
    }

    /// Lets a name and a password through to caches and comparison, or says in how many seconds.
    pub(super) fn enter(self: &Arc<Self>, name: &str, source: Source, pair: Pair, limits: Limits) -> Result<Guess, (Step, i64)> {
        let own = self.hash(b"guesses of a source", &[name.as_bytes(), &source.bytes()]);
        let own = [Counted { key: own, at_most: limits.comparisons }];
        let strangers =
            Counted { key: self.hash(b"guesses of strangers", &[name.as_bytes()]), at_most: limits.comparisons.saturating_mul(STRANGERS) };
        let now = self.clock.now().0;
        let known = self.knows(name, source);
        let mut comparisons = locked(&self.comparisons);
        comparisons.enter(&own, pair, &limits, now).map_err(|wait| (Step::Comparisons, wait))?;
        let mut counters = own.to_vec();
        if !known {
            if let Err(wait) = comparisons.enter(&[strangers], pair, &limits, now) {
                comparisons.leave(&own, pair, false, now);
                return Err((Step::Strangers, wait));
            }
            counters.push(strangers);
        }
        drop(comparisons);
        Ok(Guess { throttle: Arc::clone(self), counters, pair, source, name: name.to_owned(), wrong: false })
    }

    /// Whether an account has another password than the one with this marker. `read` searches for it, at most once in a while for all
    /// passwords of the account together.
    pub(super) async fn has_moved<F: Future<Output = Option<PasswordMarker>>>(
        &self,
        who: (&str, &str),
        from: &PasswordMarker,
        read: F,
    ) -> bool {
        let account = self.hash(b"account", &[b"exists", who.0.as_bytes(), who.1.as_bytes()]);
        let digest = |marker: &PasswordMarker| self.hash(b"marker", &[marker.0.as_bytes()]);
        let seen = match self.looks.begin(account, self.clock.now().0) {
            Seen::Marker(seen) => Some(seen),
            Seen::Nothing => None,
            Seen::NotLately => {
                let seen = read.await.as_ref().map(digest);
                self.looks.saw(account, seen);
                seen
            }
        };
        seen.is_some_and(|seen| seen != digest(from))
    }

    /// Drops what is over.
    pub(super) async fn purge(&self, limits: &Limits) {
        let now = self.clock.now().0;
        locked(&self.comparisons).purge(limits, now);
        self.binds().purge(limits, now);
        locked(&self.known).retain(|since| since.0.saturating_add(KNOWN) > now);
        locked(&self.were_right).retain(|right| right.since.saturating_add(WAS_RIGHT) > now);
        self.looks.purge(now);
        if let Some(store) = self.memory.store()
            && let Err(error) = store.purge_shield(now.saturating_sub(limits.window), now.saturating_sub(KNOWN)).await
        {
            tracing::warn!(error = %error, "what is over of the shield stays in the state");
        }
        self.write().await;
    }

    /// Whether there is something to write down.
    fn know(&self, pair: Key) -> bool {
        let now = self.clock.now().0;
        let mut known = locked(&self.known);
        if known.get(&pair).is_some_and(|since| since.0.saturating_add(WRITTEN_AGAIN) > now) {
            return false;
        }
        let pushed_out = known.insert(pair, Since(now));
        drop(known);
        self.mark(pushed_out.map(Row::Source));
        self.memory.mark(Row::Source(pair));
        true
    }

    fn is_known_at(&self, account: &Key, source: Source) -> bool {
        self.is_known(&self.hash(b"account and source", &[&account.0, &source.bytes()]))
    }

    fn is_known(&self, pair: &Key) -> bool {
        let now = self.clock.now().0;
        locked(&self.known).get(pair).is_some_and(|since| since.0.saturating_add(KNOWN) > now)
    }

    fn mark(&self, row: Option<Row>) {
        if let Some(row) = row {
            self.memory.mark(row);
        }
    }

    async fn write_account(&self, account: Key) {
        self.memory.mark(Row::Account(account));
        self.write().await;
    }

    async fn write(&self) {
        self.memory.write(|row| self.as_it_is(row)).await;
    }

    fn as_it_is(&self, row: Row) -> ShieldChange {
        match row {
            Row::Account(account) => {
                let failures = self.binds().get(&account).cloned().unwrap_or_default();
                let last = if failures.under_way > 0 { self.clock.now().0 } else { failures.last };
                let (exists, passwords, failures) = (failures.exists, failures.passwords(), failures.expected());
                match failures {
                    0 => ShieldChange::Forgiven(account.0),
                    _ => ShieldChange::Failed(FailedBinds { account: account.0, exists, failures, last, passwords }),
                }
            }
            Row::Source(pair) => match locked(&self.known).get(&pair) {
                Some(since) => ShieldChange::Known(pair.0, since.0),
                None => ShieldChange::Strange(pair.0),
            },
        }
    }

    /// Every part with its length in front, so that no two lists read the same.
    fn hash(&self, purpose: &[u8], parts: &[&[u8]]) -> Key {
        let mut context = hmac::Context::with_key(&self.key);
        for part in std::iter::once(&purpose).chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        Key(key)
    }

    fn binds(&self) -> MutexGuard<'_, Binds> {
        locked(&self.binds)
    }
}

impl Guess {
    /// It was wrong.
    pub(super) fn was_wrong(mut self) {
        self.wrong = true;
    }

    /// It was right: its source is known from now on.
    pub(super) async fn was_right(self) {
        let pair = self.throttle.hash(b"name and source", &[self.name.as_bytes(), &self.source.bytes()]);
        if self.throttle.know(pair) {
            self.throttle.write().await;
        }
    }
}

impl Drop for Guess {
    fn drop(&mut self) {
        let now = self.throttle.clock.now().0;
        locked(&self.throttle.comparisons).leave(&self.counters, self.pair, self.wrong, now);
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle").field("trouble", &self.trouble()).finish_non_exhaustive()
    }
}

/// Counts a refusal of a step.
pub(super) fn count(step: Step) {
    metrics::throttled(step.as_str());
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these locks can leave it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
