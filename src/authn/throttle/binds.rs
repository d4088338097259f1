//! The fourth step: how many failed binds an account has left before its directory would lock it.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::bounded::{Bounded, Weighed};
use super::{Key, Limits};

/// Accounts and unknown names that failed within a window.
const CAPACITY: usize = 100_000;
/// A directory that says "locked" is not asked for the account again before so many seconds: the answer would be the
/// same, and some directories count every try.
pub(super) const LOCKED: i64 = 60;

/// So many failed passwords of an account are told apart.
const REMEMBERED: usize = 8;

/// Failed binds of one account.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    /// Whether the directory has such an account. A flood of names that nobody has pushes none of these out.
    pub(super) exists: bool,
    pub(super) failed: u32,
    /// When the last one failed; directories forget by it as well.
    pub(super) last: i64,
    pub(super) under_way: u32,
    locked_until: i64,
    /// The passwords that failed, so that a machine that repeats one uses up nothing of the kept part.
    wrong: Vec<Key>,
    ended: Arc<Notify>,
}

impl Weighed for Failures {
    type Weight = (bool, bool, u32, i64);
    fn weight(&self) -> Self::Weight {
        (self.under_way > 0, self.exists, self.failed, self.last)
    }
}

/// Whether a bind may leave.
#[derive(Debug)]
pub(super) enum Leave {
    /// It may, and counts as under way until it ended.
    Granted,
    /// Binds that are under way could use up the rest: one has to end first.
    AfterOneEnded(OwnedNotified),
    /// The share is used up; seconds until it is forgotten.
    UsedUp(i64),
    /// The directory said a moment ago that the account is locked.
    Locked,
}

/// Whose bind it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    pub(super) exists: bool,
    /// Whether this very password was right lately.
    pub(super) was_right: bool,
    /// The password at this account.
    pub(super) secret: Key,
    /// How many failed binds its source may use up, and how many a stranger: the rest is kept for sources that had a
    /// success for this account.
    pub(super) share: u32,
    pub(super) share_of_strangers: u32,
}

#[derive(Debug)]
pub(super) struct Binds(Bounded<Failures>);

impl Default for Binds {
    fn default() -> Self {
        Self(Bounded::new(CAPACITY))
    }
}

impl Binds {
    pub(super) fn may_leave(&mut self, account: Key, asking: Asking, limits: &Limits, now: i64) -> (Leave, Option<Key>) {
        let mut pushed_out = None;
        if self.0.get(&account).is_none() {
            pushed_out = self.0.insert(account, Failures { exists: asking.exists, ..Failures::default() });
        }
        let Some(failures) = self.0.get_mut(&account) else { return (Leave::UsedUp(1), pushed_out) };
        if failures.last.saturating_add(limits.window) <= now {
            failures.failed = 0;
            failures.wrong.clear();
        }
        let share = if failures.wrong.contains(&asking.secret) { asking.share_of_strangers } else { asking.share };
        if failures.locked_until > now && (asking.was_right || failures.failed < share) {
            return (Leave::Locked, pushed_out);
        }
        let leave = if asking.was_right {
            Leave::Granted
        } else if failures.failed >= share {
            let wait = if failures.failed == 0 { 5 } else { failures.last.saturating_add(limits.window).saturating_sub(now) };
            Leave::UsedUp(wait)
        } else if failures.failed.saturating_add(failures.under_way) >= share {
            // It listens from now on, also before somebody waits.
            Leave::AfterOneEnded(Arc::clone(&failures.ended).notified_owned())
        } else {
            Leave::Granted
        };
        if matches!(leave, Leave::Granted) {
            failures.under_way = failures.under_way.saturating_add(1);
        }
        (leave, pushed_out)
    }

    /// A bind ended without an answer that counts.
    pub(super) fn ended(&mut self, account: &Key) {
        if let Some(failures) = self.0.get_mut(account) {
            failures.under_way = failures.under_way.saturating_sub(1);
            failures.ended.notify_waiters();
        }
    }

    /// A bind failed; what is to be written down.
    pub(super) fn failed(&mut self, account: &Key, secret: Key, now: i64) -> Option<Failures> {
        let failures = self.0.get_mut(account)?;
        if !failures.wrong.contains(&secret) && failures.wrong.len() < REMEMBERED {
            failures.wrong.push(secret);
        }
        failures.failed = failures.failed.saturating_add(1);
        failures.last = now;
        Some(failures.clone())
    }

    /// A bind succeeded: directories forget now, and so does this. Whether there was anything to forget.
    pub(super) fn succeeded(&mut self, account: &Key) -> bool {
        let Some(failures) = self.0.get_mut(account) else { return false };
        let had = failures.failed > 0;
        (failures.failed, failures.locked_until) = (0, 0);
        failures.wrong.clear();
        had
    }

    /// The directory says that the account is locked.
    pub(super) fn locked(&mut self, account: &Key, now: i64) {
        if let Some(failures) = self.0.get_mut(account) {
            failures.locked_until = now.saturating_add(LOCKED);
        }
    }

    /// What the state remembers.
    pub(super) fn remember(&mut self, account: Key, exists: bool, failed: u32, last: i64) {
        self.0.insert(account, Failures { exists, failed, last, ..Failures::default() });
    }

    pub(super) fn get(&self, account: &Key) -> Option<&Failures> {
        self.0.get(account)
    }

    pub(super) fn purge(&mut self, limits: &Limits, now: i64) {
        let keep =
            |it: &Failures| it.under_way > 0 || it.locked_until > now || (it.failed > 0 && it.last.saturating_add(limits.window) > now);
        self.0.retain(keep);
    }
}
