//! Spares an issuer that fails, and the people who would wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many failures in a row …
const FAILURES: u32 = 5;
/// … within so long open it.
const WINDOW: Duration = Duration::from_secs(10);
/// How long it stays open before somebody tries again; each failed trial doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Closed: everybody passes. Open: nobody, until a pause is over. Then one tries for all.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Failures since the last success, and when the first of them was.
    failures: u32,
    since: Option<Instant>,
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    until: Instant,
    pause: Duration,
    /// Somebody is trying.
    tried: bool,
    /// The issuer asked for it.
    asked_for: bool,
}

/// No leave to ask now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// When it makes sense to come again.
    pub(super) wait: Duration,
    /// Whether the issuer wants fewer requests, and is not out of order.
    pub(super) asked_for: bool,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There was an answer.
    Answered,
    /// There was none, or one that says that it is broken.
    Failed,
    /// It wants to be left alone for so long.
    Throttled(Duration),
}

/// Leave to ask. One that is dropped says nothing about the issuer.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    trial: bool,
}

impl Breaker {
    /// Leave to ask, or how long to wait for it.
    pub(super) fn pass(&self) -> Result<Pass<'_>, Held> {
        let now = Instant::now();
        let mut state = self.state();
        let Some(open) = &mut state.open else { return Ok(Pass { breaker: self, trial: false }) };
        let held = |wait: Duration| Held { wait, asked_for: open.asked_for };
        if now < open.until {
            return Err(held(open.until - now));
        }
        if open.tried {
            return Err(held(FIRST_PAUSE));
        }
        open.tried = true;
        Ok(Pass { breaker: self, trial: true })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// Says what came of it.
    pub(super) fn ended(mut self, end: End) {
        let trial = std::mem::take(&mut self.trial);
        let now = Instant::now();
        let mut state = self.breaker.state();
        match end {
            // Whoever was sent before it opened says nothing of now.
            End::Answered if state.open.is_some() && !trial => {}
            End::Answered => *state = State::default(),
            End::Throttled(wait) => {
                let wait = wait.max(FIRST_PAUSE);
                state.open = Some(Open { until: now + wait, pause: FIRST_PAUSE, tried: false, asked_for: true });
            }
            End::Failed if trial => {
                let pause = state.open.map_or(FIRST_PAUSE, |open| open.pause.saturating_mul(2)).min(LONGEST_PAUSE);
                state.open = Some(Open { until: now + pause, pause, tried: false, asked_for: false });
            }
            End::Failed => state.failed(now),
        }
    }
}

impl State {
    fn failed(&mut self, now: Instant) {
        if self.open.is_some() {
            return;
        }
        match self.since {
            Some(since) if now - since <= WINDOW => self.failures += 1,
            Some(_) | None => (self.failures, self.since) = (1, Some(now)),
        }
        if self.failures >= FAILURES {
            self.open = Some(Open { until: now + FIRST_PAUSE, pause: FIRST_PAUSE, tried: false, asked_for: false });
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.trial
            && let Some(open) = &mut self.breaker.state().open
        {
            open.tried = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn failed(wait: Duration) -> Held {
        Held { wait, asked_for: false }
    }

    fn end(breaker: &Breaker, end: End) {
        breaker.pass().unwrap().ended(end);
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_open_it_and_one_trial_closes_it() {
        let breaker = Breaker::default();
        for _ in 0..4 {
            end(&breaker, End::Failed);
        }
        end(&breaker, End::Answered);
        for _ in 0..5 {
            end(&breaker, End::Failed);
        }
        assert_eq!(breaker.pass().unwrap_err(), failed(FIRST_PAUSE));
        tokio::time::advance(FIRST_PAUSE).await;
        let trial = breaker.pass().unwrap();
        assert!(breaker.pass().is_err(), "one tries for all");
        trial.ended(End::Failed);
        assert_eq!(breaker.pass().unwrap_err(), failed(2 * FIRST_PAUSE));
        tokio::time::advance(2 * FIRST_PAUSE).await;
        drop(breaker.pass().unwrap());
        end(&breaker, End::Answered);
        end(&breaker, End::Failed);
        assert!(breaker.pass().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_far_apart_open_nothing_and_who_came_before_closes_nothing() {
        let breaker = Breaker::default();
        for _ in 0..20 {
            end(&breaker, End::Failed);
            tokio::time::advance(Duration::from_secs(3)).await;
        }
        let breaker = Breaker::default();
        let early = breaker.pass().unwrap();
        for _ in 0..5 {
            end(&breaker, End::Failed);
        }
        early.ended(End::Answered);
        assert!(breaker.pass().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_issuer_is_left_alone_for_as_long_as_it_says() {
        let breaker = Breaker::default();
        end(&breaker, End::Throttled(Duration::from_secs(30)));
        assert_eq!(breaker.pass().unwrap_err(), Held { wait: Duration::from_secs(30), asked_for: true });
        tokio::time::advance(Duration::from_secs(30)).await;
        end(&breaker, End::Throttled(Duration::ZERO));
        assert_eq!(breaker.pass().unwrap_err(), Held { wait: FIRST_PAUSE, asked_for: true });
        tokio::time::advance(FIRST_PAUSE).await;
        end(&breaker, End::Failed);
        assert!(!breaker.pass().unwrap_err().asked_for);
    }
}
