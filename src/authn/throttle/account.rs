//! One bind of an account: whether it may leave, and what its answer changes.

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};

use super::binds::{Asking, Belief, Leave, Pass};
use super::memory::Row;
use super::{Key, Limits, Right, Source, Throttle, WAS_RIGHT, locked};
use crate::authn::attempt::Bound;
use crate::authn::identity::PasswordMarker;
use crate::store::ShortDigest;

/// One bind: for whom, with which password, for whose request.
#[derive(Clone, Copy)]
pub(in crate::authn) struct Bind<'a> {
    pub(in crate::authn) provider: &'a str,
    /// The stable id, or the folded name.
    pub(in crate::authn) id: &'a str,
    /// Whether the id is one of the directory.
    pub(in crate::authn) exists: bool,
    /// The marker that the account's password has now, where it can be read before the bind.
    pub(in crate::authn) marker: Option<&'a PasswordMarker>,
    pub(in crate::authn) password: &'a SecretString,
    pub(in crate::authn) source: Source,
}

/// A bind that is counted, until it leaves or whoever asked for it goes away.
struct Leaving<'a> {
    throttle: &'a Throttle,
    account: Key,
    left: bool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if !self.left {
            self.throttle.binds().ended(&self.account, Pass::Counted);
            self.throttle.memory.mark(Row::Account(self.account));
        }
    }
}

/// Why a bind did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::authn) enum Withheld {
    UsedUp {
        wait: i64,
        /// Whether it was asked for as a known source.
        known: bool,
    },
    /// Binds that the directory did not answer may have used it up.
    Unanswered {
        wait: i64,
    },
    /// The failure could not be written down.
    Unwritten,
    Locked,
}

impl Throttle {
    /// Whether an account may be bound now; waits while binds that are under way could use up the rest. That it leaves is
    /// written down first, so that a process that ends before the answer has counted it.
    pub(in crate::authn) async fn may_bind(&self, bind: &Bind<'_>, limits: &Limits, deadline: Instant) -> Result<Pass, Withheld> {
        let account = self.account(bind);
        let (belief, known) = (self.belief(&account, bind), self.is_known_at(&account, bind.source));
        let trusted = matches!(belief, Belief::Right | Belief::Likely);
        if self.memory.is_forgetful() {
            self.write().await;
        }
        loop {
            // What cannot be written down could be done again after every restart.
            if self.memory.is_forgetful() && !known && !trusted {
                return Err(Withheld::Unwritten);
            }
            let share_of_strangers = limits.share_of_strangers();
            let share = if known { limits.failures } else { share_of_strangers };
            let password = self.short(&account, bind.password);
            let asking = Asking { exists: bind.exists, belief, password, share, share_of_strangers };
            let (leave, pushed_out) = self.binds().may_leave(account, asking, limits, self.clock.now().0);
            self.mark(pushed_out.map(Row::Account));
            match leave {
                Leave::Granted(Pass::Trusted) => return Ok(Pass::Trusted),
                Leave::Granted(Pass::Counted) => {
                    // The one of a name that nobody has is over in a moment.
                    if bind.exists {
                        let mut leaving = Leaving { throttle: self, account, left: false };
                        self.write_account(account).await;
                        if self.memory.is_forgetful() && !known && !trusted {
                            return Err(Withheld::Unwritten);
                        }
                        leaving.left = true;
                    }
                    return Ok(Pass::Counted);
                }
                Leave::Locked => {
                    if !known && !trusted {
                        self.spend_once(&account, bind, limits).await;
                    }
                    return Err(Withheld::Locked);
                }
                Leave::UsedUp(wait) => return Err(Withheld::UsedUp { wait, known }),
                Leave::Unanswered(wait) => return Err(Withheld::Unanswered { wait }),
                Leave::AfterOneEnded(ended) => {
                    if timeout_at(deadline, ended).await.is_err() {
                        return Err(Withheld::Unanswered { wait: 1 });
                    }
                }
            }
        }
    }

    /// Whether a bind of this account was not answered, and nothing has been heard of it since.
    pub(in crate::authn) fn is_unanswered(&self, bind: &Bind<'_>) -> bool {
        let account = self.account(bind);
        self.binds().get(&account).is_some_and(|failures| failures.unanswered > 0)
    }

    /// What came of a bind that left. A failure is written down before anybody is told.
    pub(in crate::authn) async fn came_to(&self, bind: &Bind<'_>, pass: Pass, outcome: Bound, limits: &Limits) {
        let account = self.account(bind);
        let now = self.clock.now().0;
        let stranger =
            || !self.is_known_at(&account, bind.source) && !matches!(self.belief(&account, bind), Belief::Right | Belief::Likely);
        match outcome {
            Bound::Proven => {
                locked(&self.were_right).insert(self.secret(&account, bind.password), Right { since: now, marker: self.marker(bind) });
                let had = self.binds().succeeded(&account);
                self.binds().ended(&account, pass);
                let written = had || pass == Pass::Counted;
                if written {
                    self.memory.mark(Row::Account(account));
                }
                let new = self.know(self.hash(b"account and source", &[&account.0, &bind.source.bytes()]));
                if written || new {
                    self.write().await;
                }
                return;
            }
            Bound::Wrong => {
                locked(&self.were_right).remove(&self.secret(&account, bind.password));
                self.spend(&account, bind);
            }
            // Whatever the password. Strangers spend their share by it, as at a name that nobody has; the owner, who may be right, does not.
            Bound::LockedOut => {
                self.binds().locked(&account, now);
                if stranger() {
                    self.spend_once(&account, bind, limits).await;
                }
            }
            Bound::Restricted => {
                if stranger() {
                    self.spend_once(&account, bind, limits).await;
                }
            }
            Bound::Unanswered => self.unanswered(bind, pass),
            Bound::Unknown => {}
        }
        self.binds().ended(&account, pass);
        if outcome == Bound::Wrong || pass == Pass::Counted {
            self.write_account(account).await;
        }
    }

    /// Nobody waits for the bind any more, and it may have left.
    pub(in crate::authn) fn abandoned(&self, bind: &Bind<'_>, pass: Pass) {
        self.unanswered(bind, pass);
        let account = self.account(bind);
        self.binds().ended(&account, pass);
        self.memory.mark(Row::Account(account));
    }

    /// One more failure.
    fn spend(&self, account: &Key, bind: &Bind<'_>) {
        self.binds().failed(account, self.short(account, bind.password), self.clock.now().0);
    }

    /// One more, written down, unless this very password was counted as lately as an equal pair of another name would be remembered.
    async fn spend_once(&self, account: &Key, bind: &Bind<'_>, limits: &Limits) {
        let lately = self.binds().counted_lately(account, self.short(account, bind.password), limits, self.clock.now().0);
        if !lately {
            self.spend(account, bind);
            self.write_account(*account).await;
        }
    }

    fn unanswered(&self, bind: &Bind<'_>, pass: Pass) {
        // The password that the account has counts nowhere.
        if pass == Pass::Counted {
            let account = self.account(bind);
            self.binds().unanswered(&account, self.clock.now().0);
        }
    }

    fn belief(&self, account: &Key, bind: &Bind<'_>) -> Belief {
        let now = self.clock.now().0;
        let right = locked(&self.were_right).get(&self.secret(account, bind.password)).copied();
        match right.filter(|right| right.since.saturating_add(WAS_RIGHT) > now) {
            None => Belief::Nothing,
            Some(Right { marker: None, .. }) if bind.marker.is_none() => Belief::Likely,
            Some(right) if right.marker == self.marker(bind) => Belief::Right,
            Some(_) => Belief::Outdated,
        }
    }

    fn marker(&self, bind: &Bind<'_>) -> Option<Key> {
        bind.marker.map(|marker| self.hash(b"marker", &[marker.0.as_bytes()]))
    }

    fn account(&self, bind: &Bind<'_>) -> Key {
        let kind: &[u8] = if bind.exists { b"exists" } else { b"unknown" };
        self.hash(b"account", &[kind, bind.provider.as_bytes(), bind.id.as_bytes()])
    }

    fn secret(&self, account: &Key, password: &SecretString) -> Key {
        self.hash(b"password", &[&account.0, password.expose_secret().as_bytes()])
    }

    /// Enough to know a password again.
    fn short(&self, account: &Key, password: &SecretString) -> ShortDigest {
        let [a, b, c, ..] = self.hash(b"failed password", &[&account.0, password.expose_secret().as_bytes()]).0;
        [a, b, c]
    }
}
