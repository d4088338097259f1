//! What a login lived by at its issuer ends with it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::sign_in::{KeptLeftover, decode, encode, person_of, source_of};
use super::{Issuer, randomness};
use crate::authn::identity::Identity;
use crate::authn::provider::Provider;
use crate::authn::verdict::{GivenBack, Renewal};
use crate::metrics;
use crate::store::{Begun, KEPT_AFTER_END, NewPending, PendingCaps, PendingKind, PendingLeftover, StoreError};
use crate::token::identity_token::Person;

/// How soon an issuer that could not be asked is asked again; each time in vain doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// After an outage there may be thousands: so many go to one issuer one after the other …
const AT_ONCE: u32 = 50;
/// … before it is given so long to breathe.
const BREATH: Duration = Duration::from_secs(10);
/// So many sign-ins are read at a time.
const PAGE: u32 = 200;
/// Sign-ins to give back: in all, and of one person.
const LEFTOVERS: PendingCaps = PendingCaps { all: 10_000, source: 1000 };

/// Which issuers are left alone, and until when. Another configuration is tried at once.
#[derive(Debug, Default)]
pub struct Pauses {
    generation: u64,
    by_provider: HashMap<String, Pause>,
}

#[derive(Debug)]
struct Pause {
    until: Instant,
    /// The last one, where the issuer could not be asked.
    length: Option<Duration>,
    /// How many were given back since the last one.
    sent: u32,
}

impl Pauses {
    /// When the first of them is over.
    pub fn next(&self) -> Option<Instant> {
        let now = Instant::now();
        self.by_provider.values().map(|pause| pause.until).filter(|until| *until > now).min()
    }

    /// For those of this generation.
    fn of(&mut self, generation: u64) {
        if self.generation != generation {
            *self = Self { generation, by_provider: HashMap::new() };
        }
    }

    fn is_left_alone(&self, provider: &str) -> bool {
        self.by_provider.get(provider).is_some_and(|pause| pause.until > Instant::now())
    }

    fn answered(&mut self, provider: &str) {
        let pause = self.entry(provider);
        pause.length = None;
        pause.sent += 1;
        if pause.sent >= AT_ONCE {
            (pause.sent, pause.until) = (0, Instant::now() + BREATH);
        }
    }

    /// How long it is left alone now.
    fn failed(&mut self, provider: &str, wanted: Duration) -> Duration {
        let pause = self.entry(provider);
        let length = pause.length.map_or(FIRST_PAUSE, |length| (length * 2).min(LONGEST_PAUSE));
        let wait = length.max(wanted);
        *pause = Pause { until: Instant::now() + wait, length: Some(length), sent: 0 };
        wait
    }

    fn entry(&mut self, provider: &str) -> &mut Pause {
        self.by_provider.entry(provider.to_owned()).or_insert_with(|| Pause { until: Instant::now(), length: None, sent: 0 })
    }
}

/// What somebody lived by at an issuer.
struct Remains<'a> {
    person: Person<'a>,
    renewal: Option<&'a Renewal>,
    /// What operators call the identity token, where it is one.
    token: Option<&'a str>,
    /// Whether the issuer itself ended it.
    ended_there: bool,
    /// What operators call it.
    of: String,
}

impl Issuer {
    /// Gives issuers back what logins and sign-ins lived by that are over, as far as they can be asked now. What is done is taken out
    /// of the state, the rest is found again the next time.
    pub async fn give_back(&self, pauses: &mut Pauses) {
        pauses.of(self.generation);
        let of_logins = self.give_back_logins(pauses).await;
        let of_sign_ins = self.give_back_sign_ins(pauses).await;
        if let Err(error) = of_logins.and(of_sign_ins) {
            tracing::warn!(error = %error, "which logins are over cannot be read or written; they are looked for again");
        }
    }

    /// Keeps what somebody got from an issuer and has no use for, until it is given back.
    pub(super) async fn leave(&self, identity: &Identity, fingerprint: Option<String>, renewal: Option<Renewal>) {
        let (Some(fingerprint), Some(renewal)) = (fingerprint, renewal) else { return };
        let (provider, source) = (&identity.provider, person_of(identity));
        let kept = encode(&KeptLeftover { identity: identity.clone(), fingerprint, renewal: Some(renewal.into()) });
        let Ok(key) = randomness::secret() else { return };
        let (now, kind) = (self.clock.now(), PendingKind::Leftover);
        let new = NewPending { kind, key: &key, source: &source, expires: now.plus(KEPT_AFTER_END), value: &kept };
        match self.store.begin_pending(&new, now, LEFTOVERS).await {
            Ok(Begun::Kept) => {}
            Ok(Begun::Full | Begun::SourceFull) => {
                tracing::warn!(provider = %provider, "there are too many sign-ins to give back; one is forgotten");
            }
            Err(error) => tracing::warn!(provider = %provider, error = %error, "a sign-in cannot be given back to {provider}"),
        }
    }

    async fn give_back_logins(&self, pauses: &mut Pauses) -> Result<(), StoreError> {
        let mut place = Some(0);
        while let Some(after) = place {
            let leftovers = self.identity_tokens.leftovers(after).await?;
            for leftover in &leftovers.found {
                let remains = Remains {
                    person: leftover.person(),
                    renewal: leftover.renewal.as_ref(),
                    token: Some(leftover.id()),
                    ended_there: leftover.ended_there(),
                    of: format!("identity token {}", leftover.id()),
                };
                if self.is_done(&remains, pauses).await? {
                    self.identity_tokens.forget_renewal(leftover).await?;
                }
            }
            place = leftovers.next;
        }
        Ok(())
    }

    async fn give_back_sign_ins(&self, pauses: &mut Pauses) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let leftovers = self.store.pending_leftovers(self.clock.now(), after, PAGE).await?;
            let Some(last) = leftovers.last() else { return Ok(()) };
            after = last.place;
            for leftover in &leftovers {
                if self.is_sign_in_done(leftover, pauses).await? {
                    self.store.drop_leftover(leftover).await?;
                }
            }
        }
    }

    async fn is_sign_in_done(&self, leftover: &PendingLeftover, pauses: &mut Pauses) -> Result<bool, StoreError> {
        // What another version or somebody else wrote is nothing to go by.
        let Some(kept) = leftover.value.as_ref().and_then(|value| decode::<KeptLeftover>(value)) else { return Ok(true) };
        let KeptLeftover { identity, fingerprint, renewal } = kept;
        let Some(renewal) = renewal.and_then(Option::<Renewal>::from) else { return Ok(true) };
        let person = Person::of(&identity, &fingerprint);
        let remains =
            Remains { person, renewal: Some(&renewal), token: None, ended_there: false, of: format!("a sign-in of {}", identity.username) };
        self.is_done(&remains, pauses).await
    }

    /// Whether nothing is left to be done.
    async fn is_done(&self, remains: &Remains<'_>, pauses: &mut Pauses) -> Result<bool, StoreError> {
        let Remains { person: Person { provider, fingerprint, .. }, of, token, .. } = remains;
        // What one issuer gave is shown to no other.
        let current = self.authenticator.provider(provider).filter(|current| current.fingerprint() == *fingerprint);
        let (Some(current), Some(renewal)) = (current, remains.renewal) else {
            tracing::debug!(provider, token.id = token, "what {of} lived by is forgotten: nobody would take it back");
            return Ok(true);
        };
        if remains.ended_there {
            return Ok(true);
        }
        if pauses.is_left_alone(provider) {
            return Ok(false);
        }
        if self.is_needed(current, renewal, remains.person).await? {
            tracing::debug!(provider, token.id = token, "what {of} lived by ends with another login of the same person");
            return Ok(true);
        }
        let outcome = match current.give_back(renewal, Instant::now() + self.request_deadline).await {
            Ok(GivenBack::NotOffered) => return Ok(true),
            Ok(GivenBack::Refused) => "refused",
            Ok(GivenBack::Revoked) => "revoked",
            Err(error) => {
                metrics::oidc_revocation(provider, "unavailable");
                let seconds = pauses.failed(provider, error.retry_after).as_secs();
                tracing::warn!(
                    provider,
                    token.id = token,
                    reason = error.reason,
                    "{of} is over and could not be ended at {provider}; it is tried again in {seconds} s"
                );
                return Ok(false);
            }
        };
        metrics::oidc_revocation(provider, outcome);
        pauses.answered(provider);
        tracing::info!(provider, token.id = token, outcome, "what {of} lived by was given back to {provider}");
        Ok(true)
    }

    /// Whether another login of the same person, or one that they are about to make, would end too.
    async fn is_needed(&self, provider: &Provider, renewal: &Renewal, person: Person<'_>) -> Result<bool, StoreError> {
        let ends = |other: &Renewal| provider.end_together(renewal, other);
        if self.identity_tokens.renewals_of_person(person).await?.iter().any(ends) {
            return Ok(true);
        }
        let under_way = self.store.sign_ins_of(&source_of(person.provider, person.subject), self.clock.now()).await?;
        let renewals = under_way.iter().filter_map(|value| {
            let KeptLeftover { identity, fingerprint, renewal } = decode(value)?;
            if Person::of(&identity, &fingerprint) == person { renewal.and_then(Option::<Renewal>::from) } else { None }
        });
        Ok(renewals.into_iter().any(|other| ends(&other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_issuer_that_cannot_be_asked_is_left_alone_longer_and_longer() {
        let mut pauses = Pauses::default();
        pauses.of(1);
        assert!(!pauses.is_left_alone("sso") && pauses.next().is_none());
        for expected in [5, 10, 20, 40, 80, 160, 320, 600, 600] {
            assert_eq!(pauses.failed("sso", Duration::ZERO).as_secs(), expected);
            assert!(pauses.is_left_alone("sso") && !pauses.is_left_alone("lab"));
            assert_eq!(pauses.next(), Some(Instant::now() + Duration::from_secs(expected)));
            tokio::time::advance(Duration::from_secs(expected)).await;
            assert!(!pauses.is_left_alone("sso"));
        }
        pauses.answered("sso");
        assert_eq!(pauses.failed("sso", Duration::from_mins(1)).as_secs(), 60, "the issuer says so");
        // Somebody may have mended the configuration.
        pauses.of(2);
        assert!(!pauses.is_left_alone("sso"));
    }

    #[tokio::test(start_paused = true)]
    async fn thousands_are_no_storm() {
        let mut pauses = Pauses::default();
        for _ in 0..AT_ONCE {
            assert!(!pauses.is_left_alone("sso"));
            pauses.answered("sso");
        }
        assert!(pauses.is_left_alone("sso"));
        tokio::time::advance(BREATH).await;
        assert!(!pauses.is_left_alone("sso"));
    }
}
