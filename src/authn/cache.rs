//! What is remembered about credentials: right ones, wrong ones, and those that are being asked for at this moment.

mod flight;
mod groups;
mod handout;
mod memory;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};

use super::attempt::Tried;
use super::identity::Identity;
use super::settings::CacheSettings;
use super::verdict::{Rejection, Renewal, Unavailable};
use crate::metrics;
use flight::Flights;
pub(super) use groups::KeptGroups;
pub(super) use handout::Handout;
pub(super) use memory::{Memory, Moment, Proved};

/// A name and a password on their way to certain providers, as an HMAC under a key that dies with the process: a copy
/// of the memory's digests tests no passwords elsewhere, and nobody can choose names that collide.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Digest(Arc<[u8]>);

impl Digest {
    /// Enough to tell a few hundred pairs of one name apart.
    pub(super) fn short(&self) -> u64 {
        self.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

/// One look-up: what it is known by, and who is asked first, for messages.
pub(super) struct LookUp<'a> {
    pub(super) digest: Digest,
    pub(super) provider: &'a str,
    pub(super) freshness: Freshness,
    /// Nobody waits longer.
    pub(super) deadline: Instant,
}

/// Whether a remembered success will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// A success of the last seconds is good enough.
    CacheAllowed,
    /// What comes of it lasts, so the provider has to say so now.
    AskNow,
}

/// What a look-up came to.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Verified(Arc<Identity>, Handout),
    Refused(Refused),
    /// The account's share of binds is used up. Never remembered.
    Throttled {
        retry_after: Duration,
        /// Whether a known source asked.
        known: bool,
    },
}

/// Who refused, and why; nobody and nothing where no provider knows the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) provider: Option<Arc<str>>,
    pub(super) rejection: Option<Rejection>,
    /// The account that refused the password, where its marker can be looked at again.
    pub(super) tried: Option<Tried>,
}

/// A refusal and when it was said, and when the account's marker was looked at last.
#[derive(Clone)]
struct Remembered {
    refused: Refused,
    said: Instant,
    looked: Instant,
}

/// So long a marker is taken for unmoved.
const LOOKED: Duration = Duration::from_secs(30);
/// So long a directory that said "locked" is believed: nothing was said about the password.
const LOCKED_OUT: Duration = Duration::from_mins(1);

impl Remembered {
    fn new(refused: Refused) -> Self {
        let now = Instant::now();
        Self { refused, said: now, looked: now }
    }

    /// A look at the marker writes the entry anew, and must not make it live longer.
    fn is_over(&self, lifetime: Duration) -> bool {
        let lifetime = if self.refused.rejection == Some(Rejection::LockedOut) { lifetime.min(LOCKED_OUT) } else { lifetime };
        self.said.elapsed() >= lifetime
    }

    /// The account, where it is time to look at its marker.
    fn to_look_at(&self) -> Option<&Tried> {
        self.refused.tried.as_ref().filter(|_| self.looked.elapsed() >= LOOKED)
    }
}

impl Refused {
    /// Whether the same pair is wrong in a minute too. What an administrator sets right (disabled, locked, expired) has
    /// to count at once, and was never about the pair.
    fn is_about_the_pair(&self) -> bool {
        match self.rejection {
            // More than one entry is said to be no entry, and costs as much.
            None | Some(Rejection::WrongPassword | Rejection::LockedOut | Rejection::Ambiguous) => true,
            Some(
                Rejection::Disabled
                | Rejection::Locked
                | Rejection::Expired
                | Rejection::MustChange
                | Rejection::Grace
                | Rejection::Restricted
                | Rejection::Source
                | Rejection::InteractionRequired
                | Rejection::NoOfflineAccess,
            ) => false,
        }
    }
}

/// An answer, and whether it was remembered.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) answer: Answer,
    pub(super) cached: bool,
    /// What this request alone may keep of it; nothing where a remembered success would do.
    pub(super) renewal: Option<Renewal>,
}

impl Found {
    fn new(answer: Answer, cached: bool) -> Self {
        Self { answer, cached, renewal: None }
    }
}

/// The verified and the rejected, each with a capacity of its own, and the look-ups under way.
pub(super) struct CredentialCache {
    key: hmac::Key,
    /// `None`: every request asks.
    verified: Option<Cache<Digest, Arc<Identity>>>,
    rejected: Option<Cache<Digest, Remembered>>,
    rejected_for: Duration,
    flights: Arc<Flights<Result<Found, Unavailable>>>,
}

impl CredentialCache {
    pub(super) fn new(settings: &CacheSettings) -> Result<Self, Unspecified> {
        Ok(Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?,
            verified: bounded(settings.verified.value.duration(), settings.max_verified.value),
            rejected: bounded(settings.rejected.value.duration(), settings.max_rejected.value),
            rejected_for: settings.rejected.value.duration(),
            flights: Arc::default(),
        })
    }

    /// Every part with its length in front, so that no two different look-ups read the same.
    pub(super) fn digest(&self, route: &[&str], username: &str, password: &SecretString) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&route.len().to_be_bytes());
        for part in route.iter().chain(&[username, password.expose_secret()]) {
            context.update(&part.len().to_be_bytes());
            context.update(part.as_bytes());
        }
        Digest(context.sign().as_ref().into())
    }

    /// The remembered answer, that of an equal look-up under way, or that of `ask`, which runs in a task of its own and
    /// to its end.
    ///
    /// `moved` says whether an account has another password since; a refusal of an earlier one is asked about again then.
    pub(super) async fn look_up<Asking, Moving>(
        self: &Arc<Self>,
        look_up: &LookUp<'_>,
        ask: impl Fn() -> Asking,
        moved: impl Fn(Tried) -> Moving,
    ) -> Result<Found, Unavailable>
    where
        Asking: Future<Output = Result<Answer, Unavailable>> + Send + 'static,
        Moving: Future<Output = bool> + Send + 'static,
    {
        let LookUp { digest, provider, freshness, deadline } = look_up;
        let unanswered = |reason: &str| {
            Err(Unavailable {
                provider: (*provider).to_owned(),
                reason: reason.to_owned(),
                retry_after: Duration::from_secs(1),
                is_misconfigured: false,
            })
        };
        let mut looking = None;
        if let Some(found) = self.remembered(digest, *freshness).await {
            let Some(tried) = self.to_look_at(digest, &found).await else { return Ok(found) };
            looking = Some(tried);
        }
        loop {
            // Also who wants an answer of this moment joins: the provider had not answered when the request came, so the
            // answer is no older than the request. A hundred equal requests stay one bind, whatever they are for; only of those
            // who keep a renewal each one asks until it has one that nobody else has.
            let (flight, joined) = self.flights.join_or_start(digest, || {
                let moving = looking.take().map(&moved);
                Arc::clone(self).ask(digest.clone(), *freshness, ask(), moving)
            });
            if joined {
                metrics::cache_lookup("verified", "shared");
            }
            let mut found = match timeout_at(*deadline, flight).await {
                Ok(Ok(found)) => found,
                Ok(Err(_)) => unanswered("the look-up ended without an answer"),
                Err(_) => unanswered("no answer before the request's deadline"),
            };
            if let (Freshness::AskNow, Ok(Found { answer: Answer::Verified(_, handout), cached, renewal })) = (freshness, &mut found) {
                let Ok(taken) = handout.take() else { continue };
                if *cached {
                    continue;
                }
                *renewal = taken;
            }
            return found;
        }
    }

    async fn ask(
        self: Arc<Self>,
        digest: Digest,
        freshness: Freshness,
        asking: impl Future<Output = Result<Answer, Unavailable>>,
        moving: Option<impl Future<Output = bool>>,
    ) -> Result<Found, Unavailable> {
        // A look-up that ended between the first look and this start has left its answer.
        if let Some(found) = self.look(&digest, freshness).await {
            let due = self.to_look_at(&digest, &found).await.is_some();
            let moved = match moving.filter(|_| due) {
                Some(moving) => moving.await,
                None => false,
            };
            if !moved {
                self.looked_at(&digest).await;
                return Ok(found);
            }
        }
        let answer = asking.await?;
        self.keep(digest, &answer).await;
        Ok(Found::new(answer, false))
    }

    /// The account of a remembered refusal, where it is time to look at its marker.
    async fn to_look_at(&self, digest: &Digest, found: &Found) -> Option<Tried> {
        let Answer::Refused(_) = &found.answer else { return None };
        self.rejected.as_ref()?.get(digest).await?.to_look_at().cloned()
    }

    /// Notes that a marker was looked at; how long the refusal is remembered does not change.
    async fn looked_at(&self, digest: &Digest) {
        let Some(rejected) = &self.rejected else { return };
        let Some(remembered) = rejected.get(digest).await.filter(|remembered| remembered.to_look_at().is_some()) else { return };
        rejected.insert(digest.clone(), Remembered { looked: Instant::now(), ..remembered }).await;
    }

    /// [`CredentialCache::look`], counted.
    async fn remembered(&self, digest: &Digest, freshness: Freshness) -> Option<Found> {
        let found = self.look(digest, freshness).await;
        let (verified, rejected) = match &found {
            Some(Found { answer: Answer::Verified(..), .. }) => ("hit", None),
            Some(Found { answer: Answer::Refused(_), .. }) => ("miss", Some("hit")),
            Some(Found { answer: Answer::Throttled { .. }, .. }) | None => ("miss", Some("miss")),
        };
        if freshness == Freshness::CacheAllowed {
            metrics::cache_lookup("verified", verified);
        }
        if let Some(rejected) = rejected {
            metrics::cache_lookup("rejected", rejected);
        }
        found
    }

    async fn look(&self, digest: &Digest, freshness: Freshness) -> Option<Found> {
        if let (Freshness::CacheAllowed, Some(verified)) = (freshness, &self.verified)
            && let Some(identity) = verified.get(digest).await
        {
            return Some(Found::new(Answer::Verified(identity, Handout::ForAll(None)), true));
        }
        let remembered = self.rejected.as_ref()?.get(digest).await.filter(|remembered| !remembered.is_over(self.rejected_for))?;
        Some(Found::new(Answer::Refused(remembered.refused), true))
    }

    /// The newest answer takes the place of an older one, whichever it was.
    async fn keep(&self, digest: Digest, answer: &Answer) {
        match answer {
            Answer::Verified(identity, _) => {
                if let Some(rejected) = &self.rejected {
                    rejected.invalidate(&digest).await;
                }
                if let Some(verified) = &self.verified {
                    verified.insert(digest, Arc::clone(identity)).await;
                }
            }
            Answer::Refused(refused) => {
                if let Some(verified) = &self.verified {
                    verified.invalidate(&digest).await;
                }
                if let Some(rejected) = self.rejected.as_ref().filter(|_| refused.is_about_the_pair()) {
                    rejected.insert(digest, Remembered::new(refused.clone())).await;
                }
            }
            Answer::Throttled { .. } => {}
        }
    }
}

fn bounded<V: Clone + Send + Sync + 'static>(lifetime: Duration, capacity: u64) -> Option<Cache<Digest, V>> {
    (!lifetime.is_zero()).then(|| Cache::builder().max_capacity(capacity).time_to_live(lifetime).build())
}

#[cfg(test)]
mod tests;
