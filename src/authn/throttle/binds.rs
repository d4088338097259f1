//! The fourth step: how many failed binds an account has left before its directory would lock it.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::bounded::{Bounded, Weighed};
use super::{Key, Limits};
use crate::store::ShortDigest;

/// Accounts and unknown names that failed within a window.
const CAPACITY: usize = 100_000;
/// A directory that says "locked" is not asked for the account again before so many seconds: the answer would be the
/// same, and some directories count every try.
pub(super) const LOCKED: i64 = 60;

/// So many failed passwords of an account are told apart: more than the failures that anybody configures.
const REMEMBERED: usize = 64;

/// Failed binds of one account.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    /// Whether the directory has such an account. A flood of names that nobody has pushes none of these out.
    pub(super) exists: bool,
    pub(super) failed: u32,
    /// Binds that the directory did not answer, and may have counted or still count.
    pub(super) unanswered: u32,
    /// When the last one failed; directories forget by it as well.
    pub(super) last: i64,
    /// Binds that count until they end; and those that count only if they fail.
    pub(super) under_way: u32,
    trusted: u32,
    locked_until: i64,
    /// The passwords that failed and when each was counted last, so that a machine that repeats one uses up nothing of the kept
    /// part.
    wrong: Vec<(ShortDigest, i64)>,
    ended: Arc<Notify>,
}

impl Weighed for Failures {
    type Weight = (bool, bool, u32, i64);
    fn weight(&self) -> Self::Weight {
        (self.is_busy(), self.exists, self.counted(), self.last)
    }
}

impl Failures {
    /// As many as the directory may have counted.
    fn counted(&self) -> u32 {
        self.failed.saturating_add(self.unanswered)
    }

    fn is_busy(&self) -> bool {
        self.under_way > 0 || self.trusted > 0
    }

    /// As many as there will be, at worst.
    pub(super) fn expected(&self) -> u32 {
        self.counted().saturating_add(self.under_way)
    }

    pub(super) fn passwords(&self) -> Vec<ShortDigest> {
        self.wrong.iter().map(|(digest, _)| *digest).collect()
    }

    fn forgive(&mut self) {
        (self.failed, self.unanswered, self.locked_until) = (0, 0, 0);
        self.wrong.clear();
    }
}

/// Whether a bind may leave.
#[derive(Debug)]
pub(super) enum Leave {
    /// It may, and has to end.
    Granted(Pass),
    /// Binds that are under way could use up the rest: one has to end first.
    AfterOneEnded(OwnedNotified),
    /// The share is used up; seconds until it is forgotten.
    UsedUp(i64),
    /// What is left of the share may be used up by binds that the directory did not answer.
    Unanswered(i64),
    /// The directory said a moment ago that the account is locked.
    Locked,
}

/// How a bind that left is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::authn) enum Pass {
    /// As failed until the directory says otherwise.
    Counted,
    /// Only if it fails: as far as anybody can tell this is the account's password.
    Trusted,
}

/// What is known about a password at an account before its bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// It was right lately, and the account's password has not changed since.
    Right,
    /// It was right lately; whether the password has changed since cannot be read.
    Likely,
    /// It was right lately, and the password has changed since.
    Outdated,
    /// Nothing.
    Nothing,
}

/// Whose bind it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    pub(super) exists: bool,
    pub(super) belief: Belief,
    /// The password at this account.
    pub(super) password: ShortDigest,
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
            let locked_until = failures.locked_until;
            failures.forgive();
            failures.locked_until = locked_until;
        }
        let failed_before = failures.wrong.iter().any(|(digest, _)| *digest == asking.password);
        let outdated = failed_before || asking.belief == Belief::Outdated;
        let share = if outdated { asking.share_of_strangers } else { asking.share };
        // It is let through at most once in vain: also a marker may stay as it was when a password changes.
        let trusted = match asking.belief {
            Belief::Right | Belief::Likely => failures.expected() <= limits.failures,
            Belief::Outdated | Belief::Nothing => false,
        };
        let wait = failures.last.saturating_add(limits.window).saturating_sub(now);
        let leave = if failures.locked_until > now && (trusted || failures.failed < share) {
            Leave::Locked
        } else if trusted {
            Leave::Granted(if asking.belief == Belief::Right { Pass::Trusted } else { Pass::Counted })
        } else if failures.failed >= share {
            Leave::UsedUp(wait)
        } else if failures.counted() >= share {
            Leave::Unanswered(wait)
        } else if failures.expected() >= share {
            // It listens from now on, also before somebody waits.
            Leave::AfterOneEnded(Arc::clone(&failures.ended).notified_owned())
        } else {
            Leave::Granted(Pass::Counted)
        };
        match leave {
            Leave::Granted(Pass::Counted) => failures.under_way = failures.under_way.saturating_add(1),
            Leave::Granted(Pass::Trusted) => failures.trusted = failures.trusted.saturating_add(1),
            Leave::AfterOneEnded(_) | Leave::UsedUp(_) | Leave::Unanswered(_) | Leave::Locked => {}
        }
        (leave, pushed_out)
    }

    /// A bind ended.
    pub(super) fn ended(&mut self, account: &Key, pass: Pass) {
        let Some(failures) = self.0.get_mut(account) else { return };
        match pass {
            Pass::Counted => failures.under_way = failures.under_way.saturating_sub(1),
            Pass::Trusted => failures.trusted = failures.trusted.saturating_sub(1),
        }
        failures.ended.notify_waiters();
    }

    /// A bind failed.
    pub(super) fn failed(&mut self, account: &Key, password: ShortDigest, now: i64) {
        let Some(failures) = self.0.get_mut(account) else { return };
        if let Some((_, counted)) = failures.wrong.iter_mut().find(|(digest, _)| *digest == password) {
            *counted = now;
        } else if failures.wrong.len() < REMEMBERED {
            failures.wrong.push((password, now));
        }
        failures.failed = failures.failed.saturating_add(1);
        failures.last = now;
    }

    /// A bind was not answered: the directory may have counted it, or counts it when it goes on.
    pub(super) fn unanswered(&mut self, account: &Key, now: i64) {
        if let Some(failures) = self.0.get_mut(account) {
            failures.unanswered = failures.unanswered.saturating_add(1);
            failures.last = now;
        }
    }

    /// A bind succeeded: directories forget now, and so does this. Whether there was anything to forget.
    pub(super) fn succeeded(&mut self, account: &Key) -> bool {
        let Some(failures) = self.0.get_mut(account) else { return false };
        let had = failures.counted() > 0;
        failures.forgive();
        had
    }

    /// The directory says that the account is locked.
    pub(super) fn locked(&mut self, account: &Key, now: i64) {
        if let Some(failures) = self.0.get_mut(account) {
            failures.locked_until = now.saturating_add(LOCKED);
        }
    }

    /// Whether this password was counted a moment ago. A name that nobody has is not asked again as soon either.
    pub(super) fn counted_lately(&self, account: &Key, password: ShortDigest, limits: &Limits, now: i64) -> bool {
        let wrong = self.0.get(account).map(|failures| failures.wrong.as_slice()).unwrap_or_default();
        wrong.iter().any(|(digest, counted)| *digest == password && counted.saturating_add(limits.repeated) > now)
    }

    /// What the state remembers. Who had to leave for it.
    pub(super) fn remember(&mut self, account: Key, failures: Failures) -> Option<Key> {
        self.0.insert(account, failures)
    }

    pub(super) fn get(&self, account: &Key) -> Option<&Failures> {
        self.0.get(account)
    }

    pub(super) fn purge(&mut self, limits: &Limits, now: i64) {
        let keep =
            |it: &Failures| it.is_busy() || it.locked_until > now || (it.counted() > 0 && it.last.saturating_add(limits.window) > now);
        self.0.retain(keep);
    }
}

impl Failures {
    /// As it was written down.
    pub(super) fn remembered(exists: bool, failed: u32, last: i64, passwords: &[ShortDigest]) -> Self {
        let wrong = passwords.iter().take(REMEMBERED).map(|digest| (*digest, last)).collect();
        Self { exists, failed, last, wrong, ..Self::default() }
    }
}
