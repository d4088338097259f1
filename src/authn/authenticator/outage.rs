//! `stale_if_error`: what is gone by while a provider cannot be asked, and what is noted for it while it can.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use secrecy::SecretString;

use super::{Asked, Authenticator, Denied, Verified, refused};
use crate::authn::attempt::Attempt;
use crate::authn::cache::{CredentialCache, Digest, Memory, Moment, Proved};
use crate::authn::identity::Identity;
use crate::authn::throttle::Guess;
use crate::authn::verdict::{Rejection, Standing, Unavailable, Verdict};
use crate::clock::{Clock, Timestamp};
use crate::metrics;

/// An earlier success that is gone by. Whoever is served by it may pull and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// When the provider was asked.
    pub asked: Timestamp,
    /// When it is too long ago.
    pub until: Timestamp,
}

/// A provider's `stale_if_error`, and whether it is being made use of.
#[derive(Debug)]
pub(super) struct Outage {
    window: Duration,
    /// When it answered last, or was configured.
    answered: AtomicI64,
    /// Whether somebody was served from memory since.
    begun: AtomicBool,
    clock: Clock,
}

impl Outage {
    pub(super) fn new(window: Duration, clock: &Clock) -> Self {
        Self { window, answered: AtomicI64::new(clock.now().0), begun: AtomicBool::new(false), clock: clock.clone() }
    }

    /// When nobody can be served from memory any more; `None` where that is now, or was never wanted.
    pub(super) fn stale_until(&self) -> Option<Timestamp> {
        let window = i64::try_from(self.window.as_secs()).unwrap_or(i64::MAX);
        let until = Timestamp(self.answered.load(Ordering::Relaxed)).plus(window);
        (until > self.clock.now()).then_some(until)
    }

    fn is_wanted(&self) -> bool {
        !self.window.is_zero()
    }
}

impl Asked {
    fn succeeding(self, former: &Authenticator) -> Self {
        match former.provider(&self.names.provider) {
            Some(provider) => Self { provider: self.provider.succeeding(provider), ..self },
            None => self,
        }
    }

    fn answered(&self) {
        self.outage.answered.store(self.outage.clock.now().0, Ordering::Relaxed);
        if self.outage.begun.load(Ordering::Relaxed) && !self.provider.is_down() && self.outage.begun.swap(false, Ordering::Relaxed) {
            tracing::info!(provider = %self.names.provider, "the provider answers again: nobody is served from memory any more");
        }
    }

    fn served_from_memory(&self, proof: &'static str) {
        metrics::stale(&self.names.provider, proof);
        if !self.outage.begun.swap(true, Ordering::Relaxed) {
            let stale_if_error = self.outage.window.as_secs();
            tracing::warn!(
                provider = %self.names.provider, stale_if_error,
                "the provider cannot be asked: who was verified within {stale_if_error} s goes on pulling, from memory"
            );
        }
    }
}

/// What a look-up notes for a later outage.
pub(super) struct Notes {
    memory: Arc<Memory>,
    cache: Arc<CredentialCache>,
    digest: Digest,
    name: String,
}

impl Notes {
    pub(super) fn new(authenticator: &Authenticator, digest: &Digest, name: &str) -> Self {
        let (memory, cache) = (Arc::clone(&authenticator.memory), Arc::clone(&authenticator.cache));
        Self { memory, cache, digest: digest.clone(), name: name.to_owned() }
    }

    pub(super) fn now(&self) -> Moment {
        self.memory.now()
    }

    /// Keeps a success; a refusal ends what it contradicts.
    pub(super) fn take(&self, asked: &Asked, password: &SecretString, verdict: &Verdict, attempt: &Attempt, began: Moment) {
        if !asked.outage.is_wanted() {
            return;
        }
        let (provider, memory) = (&asked.names.provider, &self.memory);
        let account = attempt.account();
        let id = account.as_ref().map(|(id, _)| id.as_str());
        let secret = self.cache.digest(&[provider], "", password);
        match verdict {
            Verdict::Authenticated(identity, _) => {
                asked.answered();
                let account = id.filter(|id| *id != identity.id);
                let proved = Proved { digest: &self.digest, name: &self.name, account, secret, asked: began };
                memory.proved(&Arc::new(identity.clone()), &proved);
            }
            Verdict::Rejected(rejection) => {
                asked.answered();
                memory.wrong(provider, &self.digest, id, &secret);
                match rejection {
                    Rejection::WrongPassword => {
                        if let Some((id, Some(marker))) = &account {
                            memory.marked(provider, id, Some(marker));
                        }
                    }
                    Rejection::Ambiguous => memory.nameless(provider, &self.name),
                    Rejection::Disabled
                    | Rejection::Locked
                    | Rejection::LockedOut
                    | Rejection::Expired
                    | Rejection::MustChange
                    | Rejection::Grace
                    | Rejection::Restricted
                    | Rejection::Source
                    | Rejection::InteractionRequired
                    | Rejection::NoOfflineAccess => memory.ended(provider, id.unwrap_or(&self.name)),
                }
            }
            Verdict::NotMine => memory.nameless(provider, &self.name),
            Verdict::Throttled(_) => {}
        }
    }
}

impl Authenticator {
    /// Goes on where a former one stood: who was refused stays refused, and nothing else is remembered of people. Keys of an
    /// issuer that is the same one stay known.
    #[must_use]
    pub fn succeeding(self, former: &Self) -> Self {
        let asked = self.asked.into_iter().map(|asked| match Arc::try_unwrap(asked) {
            Ok(asked) => Arc::new(asked.succeeding(former)),
            Err(shared) => shared,
        });
        Self { asked: asked.collect(), memory: Arc::new(self.memory.succeeding(&former.memory)), ..self }
    }

    /// Who a pair belonged to when its provider could be asked. What is not remembered counts as a guess: nobody could say
    /// that it is wrong, and each one that is right would be told by its answer.
    pub(super) fn recalled(
        &self,
        digest: &Digest,
        name: &str,
        error: Unavailable,
        guess: Guess,
        source: Option<IpAddr>,
    ) -> Result<Verified, Denied> {
        let Some(asked) = self.unasked(&error) else { return Err(Denied::Unavailable(error)) };
        let Some((identity, proven, left)) = self.memory.recall(digest, name, &error.provider, asked.outage.window) else {
            guess.was_wrong();
            return Err(Denied::Unavailable(error));
        };
        self.admits(&identity, source).map_err(|rejection| refused(Some(Arc::clone(&identity.provider)), rejection, true))?;
        asked.served_from_memory("password");
        let stale = Stale { asked: proven, until: self.memory.now().at.plus(left) };
        Ok(Verified { identity, renewal: None, cached: true, stale: Some(stale) })
    }

    /// The owner of an identity token as they were seen last, where the re-check ended in this error.
    pub fn last_seen(&self, identity: &Identity, looked: Timestamp, error: &Unavailable) -> Option<(Identity, Stale)> {
        let asked = self.unasked(error).filter(|asked| asked.names.provider == identity.provider)?;
        let (seen, left) = self.memory.recall_of(identity, looked, asked.outage.window)?;
        asked.served_from_memory("identity_token");
        Some((seen, Stale { asked: looked, until: self.memory.now().at.plus(left) }))
    }

    /// Notes what a re-check came to.
    pub(super) fn noted(&self, asked: &Asked, identity: &Identity, standing: &Result<Standing, Unavailable>, began: Moment) {
        if !asked.outage.is_wanted() {
            return;
        }
        match standing {
            Ok(Standing::Good(now)) => {
                asked.answered();
                self.memory.seen(now, began);
            }
            Ok(Standing::Ended(_)) => {
                asked.answered();
                self.memory.ended(&asked.names.provider, &identity.id);
            }
            Err(_) => {}
        }
    }

    /// The provider that the error is about, where it may be gone by without it. One that is busy is not meant: whoever was
    /// disabled could make it busy.
    fn unasked(&self, error: &Unavailable) -> Option<&Arc<Asked>> {
        let asked = self.asked.iter().find(|asked| *asked.names.provider == *error.provider)?;
        (asked.outage.is_wanted() && asked.provider.is_down()).then_some(asked)
    }
}
