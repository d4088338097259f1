//! The shield in front of directories: it keeps guessed passwords from being compared, and an account from being locked by
//! others. It outlives every reload, and its failed binds and known sources outlive the process.
//!
//! What somebody without a password can do: make `comparisons_per_source` different guesses for a name from one source,
//! ten times that from all sources together that never logged in to it, and of those `failures` less the kept part reach
//! the directory in a `window`. Then strangers are told 429 for this name, while sources that logged in before have
//! the kept part, and a password that was right within a day always gets its bind. What they cannot do: lock the account at
//! a directory that allows more than `failures`; learn whether a name exists, because unknown ones spend a share of their
//! own; push a counter out by a flood of other names, because the least of a sample leaves and names that exist outweigh
//! those that do not. Counters of one or two may go that way: each such guess costs a flood as large as the map.
//!
//! - `source`: who counts as one
//! - `comparisons`: different wrong passwords, before anything is compared
//! - `binds`: failed binds, as the directory counts them
//! - `bounded`: the map of both

mod binds;
mod bounded;
mod comparisons;
mod source;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};

use self::binds::{Asking, Binds, Failures, Leave};
use self::bounded::{Bounded, Weighed};
use self::comparisons::{Comparisons, Counted, Pair};
pub(super) use self::source::Source;
use super::settings::ThrottleSettings;
use crate::clock::Clock;
use crate::metrics;
use crate::store::{FailedBinds, StateKey, Store, StoreError, StoredBinds};

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
}

impl Limits {
    pub(super) fn of(settings: &ThrottleSettings) -> Self {
        let seconds = |period: std::time::Duration| i64::try_from(period.as_secs()).unwrap_or(i64::MAX);
        Self {
            failures: settings.failures.value.checked_div(settings.replicas.value).unwrap_or(1).max(1),
            window: seconds(settings.window.value.duration()),
            comparisons: settings.comparisons_per_source.value,
            comparisons_window: seconds(settings.comparisons_window.value.duration()),
        }
    }

    /// How many failed binds such a source may use up: at least one is kept for known ones, where there are two, and no
    /// stranger's bind leaves where failures cannot be written down.
    fn share(&self, known: bool, memory: bool) -> u32 {
        let kept = if self.failures < 2 { 0 } else { (self.failures / 3).max(1) };
        match (known, memory) {
            (true, _) => self.failures,
            (false, true) => self.failures.saturating_sub(kept),
            (false, false) => 0,
        }
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

/// Counters and memories of the process, shared by every generation of providers.
pub struct Throttle {
    key: hmac::Key,
    comparisons: Mutex<Comparisons>,
    binds: Mutex<Binds>,
    known: Mutex<Bounded<Since>>,
    were_right: Mutex<Bounded<Since>>,
    store: Option<Store>,
    /// Whether the state could not be written the last time.
    forgetful: AtomicBool,
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
            match binds {
                StoredBinds::Intact(it) => throttle.binds().remember(Key(it.account), it.exists, it.failures, it.last),
                StoredBinds::Altered(account) => {
                    altered += 1;
                    throttle.binds().remember(Key(account), true, u32::MAX, now);
                }
            }
        }
        if altered > 0 {
            tracing::error!(altered, "failed binds in the state were not written by narrows: these accounts count as used up");
        }
        for (pair, last) in known {
            locked(&throttle.known).insert(Key(pair), Since(last));
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
            store,
            forgetful: AtomicBool::new(false),
            clock,
        }
    }

    /// What is wrong with the memory, for operators.
    pub fn trouble(&self) -> Option<&'static str> {
        self.forgetful
            .load(Ordering::Relaxed)
            .then_some("failed binds cannot be written to the state: new sources get no bind at a directory")
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

    /// Whether an account may be bound now; waits while binds that are under way could use up the rest.
    pub(super) async fn may_bind(&self, bind: &Bind<'_>, limits: &Limits, deadline: Instant) -> Result<(), Withheld> {
        let account = self.account(bind);
        let secret = self.secret(&account, bind.password);
        let was_right = self.was_right(&secret);
        let known = self.is_known_at(&account, bind.source);
        if self.forgetful.load(Ordering::Relaxed) {
            self.try_to_write(&account).await;
        }
        loop {
            let memory = !self.forgetful.load(Ordering::Relaxed);
            let (share, share_of_strangers) = (limits.share(known, memory), limits.share(false, memory));
            let asking = Asking { exists: bind.exists, was_right, secret, share, share_of_strangers };
            let (leave, pushed_out) = self.binds().may_leave(account, asking, limits, self.clock.now().0);
            if let Some(pushed_out) = pushed_out {
                self.forget(&pushed_out).await;
            }
            match leave {
                Leave::Granted => return Ok(()),
                Leave::Locked => {
                    if !known && !was_right {
                        self.spend(&account, secret).await;
                    }
                    return Err(Withheld::Locked);
                }
                Leave::UsedUp(wait) => return Err(Withheld::UsedUp { wait, known }),
                Leave::AfterOneEnded(ended) => {
                    if timeout_at(deadline, ended).await.is_err() {
                        return Err(Withheld::UsedUp { wait: 1, known });
                    }
                }
            }
        }
    }

    /// A bind that left came to nothing that counts.
    pub(super) fn ended(&self, bind: &Bind<'_>) {
        let account = self.account(bind);
        self.binds().ended(&account);
    }

    /// The directory counted a wrong password. It is written down before anybody is told.
    pub(super) async fn failed(&self, bind: &Bind<'_>) {
        let account = self.account(bind);
        let secret = self.secret(&account, bind.password);
        locked(&self.were_right).remove(&secret);
        self.spend(&account, secret).await;
        self.binds().ended(&account);
    }

    /// The directory says that the account is locked, whatever the password. Strangers spend their share by it, as at a
    /// name that nobody has; the owner, who may be right, does not.
    pub(super) async fn locked_out(&self, bind: &Bind<'_>) {
        let account = self.account(bind);
        let secret = self.secret(&account, bind.password);
        self.binds().locked(&account, self.clock.now().0);
        if !self.is_known_at(&account, bind.source) && !self.was_right(&secret) {
            self.spend(&account, secret).await;
        }
        self.binds().ended(&account);
    }

    /// The password is right.
    pub(super) async fn succeeded(&self, bind: &Bind<'_>) {
        let account = self.account(bind);
        let now = self.clock.now().0;
        locked(&self.were_right).insert(self.secret(&account, bind.password), Since(now));
        let had = self.binds().succeeded(&account);
        self.binds().ended(&account);
        if had {
            self.forget(&account).await;
        }
        self.know(self.hash(b"account and source", &[&account.0, &bind.source.bytes()])).await;
    }

    /// Drops what is over.
    pub(super) async fn purge(&self, limits: &Limits) {
        let now = self.clock.now().0;
        locked(&self.comparisons).purge(limits, now);
        self.binds().purge(limits, now);
        locked(&self.known).retain(|since| since.0.saturating_add(KNOWN) > now);
        locked(&self.were_right).retain(|since| since.0.saturating_add(WAS_RIGHT) > now);
        if let Some(store) = &self.store {
            let outcome = store.purge_shield(now.saturating_sub(limits.window), now.saturating_sub(KNOWN)).await;
            self.written(outcome);
        }
    }

    /// One more failure, written down.
    async fn spend(&self, account: &Key, secret: Key) {
        let failures = self.binds().failed(account, secret, self.clock.now().0);
        if let Some(failures) = failures {
            self.write(account, &failures).await;
        }
    }

    async fn know(&self, pair: Key) {
        let now = self.clock.now().0;
        let before = locked(&self.known).get(&pair).map(|since| since.0);
        if before.is_some_and(|since| since.saturating_add(WRITTEN_AGAIN) > now) {
            return;
        }
        locked(&self.known).insert(pair, Since(now));
        if let Some(store) = &self.store {
            let outcome = store.keep_known_source(&pair.0, now).await;
            self.written(outcome);
        }
    }

    fn is_known_at(&self, account: &Key, source: Source) -> bool {
        self.is_known(&self.hash(b"account and source", &[&account.0, &source.bytes()]))
    }

    fn is_known(&self, pair: &Key) -> bool {
        let now = self.clock.now().0;
        locked(&self.known).get(pair).is_some_and(|since| since.0.saturating_add(KNOWN) > now)
    }

    fn was_right(&self, secret: &Key) -> bool {
        let now = self.clock.now().0;
        locked(&self.were_right).get(secret).is_some_and(|since| since.0.saturating_add(WAS_RIGHT) > now)
    }

    async fn try_to_write(&self, account: &Key) {
        let failures = self.binds().get(account).cloned().unwrap_or_default();
        if failures.failed > 0 { self.write(account, &failures).await } else { self.forget(account).await }
    }

    async fn write(&self, account: &Key, failures: &Failures) {
        let Some(store) = &self.store else { return };
        let binds = FailedBinds { account: account.0, exists: failures.exists, failures: failures.failed, last: failures.last };
        let outcome = store.keep_failed_binds(&binds).await;
        self.written(outcome);
    }

    async fn forget(&self, account: &Key) {
        let Some(store) = &self.store else { return };
        let outcome = store.forget_failed_binds(&account.0).await;
        self.written(outcome);
    }

    fn written(&self, outcome: Result<(), StoreError>) {
        let failed = outcome.is_err();
        if let Err(error) = outcome {
            tracing::error!(error = %error, "the shield cannot write to the state: new sources get no bind at a directory");
        }
        if self.forgetful.swap(failed, Ordering::Relaxed) && !failed {
            tracing::info!("the shield can write to the state again");
        }
    }

    fn account(&self, bind: &Bind<'_>) -> Key {
        let kind: &[u8] = if bind.exists { b"exists" } else { b"unknown" };
        self.hash(b"account", &[kind, bind.provider.as_bytes(), bind.id.as_bytes()])
    }

    fn secret(&self, account: &Key, password: &SecretString) -> Key {
        self.hash(b"password", &[&account.0, password.expose_secret().as_bytes()])
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

/// One bind: for whom, with which password, for whose request.
#[derive(Clone, Copy)]
pub(super) struct Bind<'a> {
    pub(super) provider: &'a str,
    /// The stable id, or the folded name.
    pub(super) id: &'a str,
    /// Whether the id is one of the directory.
    pub(super) exists: bool,
    pub(super) password: &'a SecretString,
    pub(super) source: Source,
}

/// Why a bind did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Withheld {
    UsedUp {
        wait: i64,
        /// Whether it was asked for as a known source.
        known: bool,
    },
    Locked,
}

impl Guess {
    /// It was wrong.
    pub(super) fn was_wrong(mut self) {
        self.wrong = true;
    }

    /// It was right: its source is known from now on.
    pub(super) async fn was_right(self) {
        let pair = self.throttle.hash(b"name and source", &[self.name.as_bytes(), &self.source.bytes()]);
        self.throttle.know(pair).await;
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
        f.debug_struct("Throttle").field("forgetful", &self.forgetful).finish_non_exhaustive()
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
