//! What a login lived by at its issuer ends with it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Issuer;
use crate::authn::provider::Provider;
use crate::authn::verdict::{GivenBack, Renewal};
use crate::metrics;
use crate::store::StoreError;
use crate::token::identity_token::Leftover;

/// How soon an issuer that could not be asked is asked again; each time in vain doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// After an outage there may be thousands: so many go to one issuer one after the other …
const AT_ONCE: u32 = 50;
/// … before it is given so long to breathe.
const BREATH: Duration = Duration::from_secs(10);

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

impl Issuer {
    /// Gives issuers back what logins lived by that are over, as far as they can be asked now. What is done is taken out of the state,
    /// the rest is found again the next time.
    pub async fn give_back(&self, pauses: &mut Pauses) {
        pauses.of(self.generation);
        let mut place = Some(0);
        while let Some(after) = place {
            match self.give_some_back(after, pauses).await {
                Ok(next) => place = next,
                Err(error) => {
                    tracing::warn!(error = %error, "which logins are over cannot be read or written; they are looked for again");
                    return;
                }
            }
        }
    }

    async fn give_some_back(&self, after: i64, pauses: &mut Pauses) -> Result<Option<i64>, StoreError> {
        let leftovers = self.identity_tokens.leftovers(after).await?;
        for leftover in &leftovers.found {
            if self.gave_back(leftover, pauses).await? {
                self.identity_tokens.forget_renewal(leftover).await?;
            }
        }
        Ok(leftovers.next)
    }

    /// Whether nothing is left to be done for this one.
    async fn gave_back(&self, leftover: &Leftover, pauses: &mut Pauses) -> Result<bool, StoreError> {
        let (provider, id) = (leftover.provider(), leftover.id());
        // What one issuer gave is shown to no other.
        let current = self.authenticator.provider(provider).filter(|current| current.fingerprint() == leftover.fingerprint());
        let (Some(current), Some(renewal)) = (current, &leftover.renewal) else {
            tracing::debug!(provider, token.id = id, "what identity token {id} lived by is forgotten: nobody would take it back");
            return Ok(true);
        };
        if leftover.ended_there() {
            return Ok(true);
        }
        if pauses.is_left_alone(provider) {
            return Ok(false);
        }
        if self.is_needed(current, renewal, leftover).await? {
            tracing::debug!(provider, token.id = id, "what identity token {id} lived by ends with another login of the same person");
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
                    token.id = id,
                    reason = error.reason,
                    "a login that is over could not be ended at {provider}; it is tried again in {seconds} s"
                );
                return Ok(false);
            }
        };
        metrics::oidc_revocation(provider, outcome);
        pauses.answered(provider);
        tracing::info!(provider, token.id = id, outcome, "what identity token {id} lived by was given back to {provider}");
        Ok(true)
    }

    /// Whether another login of the same person would end too.
    async fn is_needed(&self, provider: &Provider, renewal: &Renewal, leftover: &Leftover) -> Result<bool, StoreError> {
        let others = self.identity_tokens.renewals_beside(leftover).await?;
        Ok(others.iter().any(|other| provider.end_together(renewal, other)))
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
        assert_eq!(pauses.failed("sso", Duration::from_secs(60)).as_secs(), 60, "the issuer says so");
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
