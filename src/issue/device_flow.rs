//! One device login on its way (RFC 8628), as the state keeps it: who asks the issuer, how often, and who gets what came of it.
//!
//! The device code stays here. However many ask about a flow, and from however many processes, the issuer is asked by one at
//! a time and no more often than it wants.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::authn::oidc::{DeviceAuthorization, DevicePoll, DeviceStartError, SignedIn};
use crate::authn::verdict::Unavailable;
use crate::clock::Clock;
use crate::store::{Begun, NewPending, Pending, PendingCaps, PendingKind, Store, StoreError};

/// Under way at once: in all, and from one source. A company's whole network of IPv6 is not enough to take all places.
pub(super) const CAPS: PendingCaps = PendingCaps { all: 5000, source: 10 };
/// A person who takes longer begins anew, whatever the issuer allows. Seconds.
const LONGEST: i64 = 30 * 60;
/// A place is kept for so many seconds while the issuer is asked for its codes.
const STARTING: i64 = 60;
/// A flow is known for so many seconds beyond its end, so that whoever asks late is told so.
const KNOWN_AFTER_END: i64 = 60;
/// RFC 8628 §3.5, in seconds.
const SLOWER: i64 = 5;
/// How often a change is tried again when somebody else changed the row first.
const ATTEMPTS: usize = 10;

/// A flow as it is kept. The user code and the address are public; the device code is not.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Flow {
    device_code: String,
    /// At which issuer.
    pub(super) provider: String,
    /// What it was then: the device code of one issuer is never shown to another.
    pub(super) fingerprint: String,
    /// For which registry.
    pub(super) service: String,
    /// What the person types.
    pub(super) user_code: String,
    /// Where.
    pub(super) verification_uri: String,
    /// Seconds between two questions to the issuer.
    pub(super) interval: i64,
    /// When the next one may be asked, in seconds since 1970.
    next_poll: i64,
    /// When the issuer gives it up.
    pub(super) ends: i64,
    /// Whose it is, where whoever began it chose a secret.
    pub(super) lock: Option<Lock>,
}

/// A keyed digest of a chosen secret, and of those that were tried in its place.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Lock {
    pub(super) key: Vec<u8>,
    pub(super) digest: Vec<u8>,
    pub(super) wrong: Vec<Vec<u8>>,
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.device_code.zeroize();
    }
}

/// What begins.
pub(super) struct NewFlow<'a> {
    pub(super) kind: PendingKind,
    /// What finds it again.
    pub(super) key: &'a SecretString,
    /// Whom it counts against.
    pub(super) source: &'a str,
    pub(super) provider: &'a str,
    pub(super) fingerprint: &'a str,
    pub(super) service: &'a str,
    pub(super) lock: Option<Lock>,
}

/// Why no flow began.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("too many device logins are under way")]
    TooMany,
    #[error(transparent)]
    Issuer(#[from] DeviceStartError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a flow.
pub(super) enum Polled {
    /// None of this key, or somebody else got it.
    Unknown,
    /// The person is not done; ask again after so many seconds.
    Pending(i64),
    /// The same, and from now on only this often.
    SlowDown(i64),
    /// It is over: the word of logs and audit.
    Ended(&'static str),
    /// The person signed in; nobody else gets this.
    SignedIn(Box<SignedIn>),
}

/// Why nobody knows what became of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum PollError {
    #[error(transparent)]
    Issuer(#[from] Unavailable),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The flows of one store.
pub(super) struct Flows<'a> {
    pub(super) store: &'a Store,
    pub(super) clock: &'a Clock,
}

impl Flows<'_> {
    /// Begins one. Its place is taken before the issuer is asked, so that nobody can make narrows ask for more than may be kept.
    pub(super) async fn begin<F>(&self, new: NewFlow<'_>, ask: F) -> Result<Flow, StartError>
    where
        F: Future<Output = Result<DeviceAuthorization, DeviceStartError>>,
    {
        let NewFlow { kind, key, source, provider, fingerprint, service, lock } = new;
        let place = |expires, value| NewPending { kind, key, source, expires, value };
        let now = self.clock.now();
        self.keep(&place(now.plus(STARTING), b"")).await?;
        let answer = ask.await;
        if let Some(place) = self.store.pending(kind, key, now).await? {
            self.store.take_pending(kind, key, &place).await?;
        }
        let answer = answer?;
        let now = self.clock.now();
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(LONGEST);
        let interval = seconds(answer.interval).clamp(1, LONGEST);
        let ends = now.plus(seconds(answer.expires_in).min(LONGEST));
        let flow = Flow {
            device_code: answer.device_code.expose_secret().to_owned(),
            provider: provider.to_owned(),
            fingerprint: fingerprint.to_owned(),
            service: service.to_owned(),
            user_code: answer.user_code,
            verification_uri: answer.verification_uri.to_string(),
            interval,
            next_poll: now.0,
            ends: ends.0,
            lock,
        };
        self.keep(&place(ends.plus(KNOWN_AFTER_END), &encode(&flow))).await?;
        Ok(flow)
    }

    async fn keep(&self, new: &NewPending<'_>) -> Result<(), StartError> {
        match self.store.begin_pending(new, self.clock.now(), CAPS).await? {
            Begun::Kept => Ok(()),
            Begun::SourceFull | Begun::Full => Err(StartError::TooMany),
        }
    }

    /// The flow of this key.
    pub(super) async fn find(&self, kind: PendingKind, key: &SecretString) -> Result<Option<(Pending, Flow)>, StoreError> {
        let Some(row) = self.store.pending(kind, key, self.clock.now()).await? else { return Ok(None) };
        Ok(decode(&row.value).map(|flow| (row, flow)))
    }

    /// Asks the issuer whether the person is done, unless it is too early or somebody else is asking. Whoever is told of a
    /// sign-in is the only one: the flow is over first.
    pub(super) async fn poll<A, F>(&self, kind: PendingKind, key: &SecretString, patience: Duration, ask: A) -> Result<Polled, PollError>
    where
        A: FnOnce(SecretString) -> F,
        F: Future<Output = Result<DevicePoll, Unavailable>>,
    {
        let Some((row, mut flow)) = self.find(kind, key).await? else { return Ok(Polled::Unknown) };
        let now = self.clock.now().0;
        if now >= flow.ends {
            return Ok(self.end(kind, key).await?.map_or(Polled::Unknown, |_| Polled::Ended("expired")));
        }
        // A clock that was ahead must not make anybody wait for ever.
        let patience = i64::try_from(patience.as_secs()).unwrap_or(LONGEST).saturating_add(1);
        let turn = flow.interval.max(patience);
        if now < flow.next_poll && flow.next_poll <= now.saturating_add(turn) {
            return Ok(Polled::Pending(flow.interval));
        }
        // Nobody else asks until this answer is there, or can no longer come.
        flow.next_poll = now.saturating_add(turn);
        if !self.store.replace_pending(kind, key, &row, &encode(&flow)).await? {
            return Ok(Polled::Pending(flow.interval));
        }
        let answer = ask(SecretString::from(flow.device_code.clone())).await;
        let next = now.saturating_add(flow.interval);
        Ok(match answer {
            Ok(DevicePoll::Pending) => {
                self.change(kind, key, |flow| flow.next_poll = next).await?;
                Polled::Pending(flow.interval)
            }
            Ok(DevicePoll::SlowDown) => {
                let interval = flow.interval.saturating_add(SLOWER);
                self.change(kind, key, |flow| {
                    flow.interval = interval;
                    flow.next_poll = next.saturating_add(SLOWER);
                })
                .await?;
                Polled::SlowDown(interval)
            }
            Ok(DevicePoll::Ended(reason)) => self.end(kind, key).await?.map_or(Polled::Unknown, |_| Polled::Ended(reason)),
            Ok(DevicePoll::SignedIn(signed_in)) => self.end(kind, key).await?.map_or(Polled::Unknown, |_| Polled::SignedIn(signed_in)),
            Err(error) => {
                self.change(kind, key, |flow| flow.next_poll = next).await?;
                return Err(error.into());
            }
        })
    }

    /// Ends a flow; none for everybody but one caller.
    pub(super) async fn end(&self, kind: PendingKind, key: &SecretString) -> Result<Option<Flow>, StoreError> {
        for _ in 0..ATTEMPTS {
            let Some((row, flow)) = self.find(kind, key).await? else { return Ok(None) };
            if self.store.take_pending(kind, key, &row).await? {
                return Ok(Some(flow));
            }
        }
        Err(StoreError::Contended)
    }

    /// Changes a flow; the flow as it is then, none where it is over.
    pub(super) async fn change(
        &self,
        kind: PendingKind,
        key: &SecretString,
        alter: impl Fn(&mut Flow),
    ) -> Result<Option<Flow>, StoreError> {
        for _ in 0..ATTEMPTS {
            let Some((row, mut flow)) = self.find(kind, key).await? else { return Ok(None) };
            alter(&mut flow);
            if self.store.replace_pending(kind, key, &row, &encode(&flow)).await? {
                return Ok(Some(flow));
            }
        }
        Err(StoreError::Contended)
    }
}

/// A value as the store keeps it. Strings and numbers always have a JSON.
pub(super) fn encode(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(serde_json::to_vec(value).unwrap_or_default())
}

/// Back again; none for a place that is only taken.
pub(super) fn decode<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}

#[cfg(test)]
mod tests;
