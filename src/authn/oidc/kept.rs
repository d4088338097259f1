//! A document of an issuer: the last good one, asked for again in time, by one task at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::trouble::Trouble;

/// How soon a fetch that failed is tried again; each failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A document that was fetched.
#[derive(Debug)]
pub(super) struct Good<T> {
    /// What it says.
    pub(super) value: Arc<T>,
    /// When it was asked for. What the issuer did before that is in it.
    pub(super) asked: Instant,
}

impl<T> Clone for Good<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), asked: self.asked }
    }
}

/// A fetch under way.
pub(super) type Flight<T> = Shared<oneshot::Receiver<Result<Good<T>, Trouble>>>;

/// The document and its fetches.
#[derive(Debug)]
pub(super) struct Kept<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    good: Option<Good<T>>,
    flight: Option<Flight<T>>,
    /// When it should be asked for again.
    due: Instant,
    /// The last fetch, if it failed.
    failed: Option<(Trouble, Instant)>,
    pause: Duration,
}

impl<T> Kept<T> {
    /// Nothing yet, and due at once.
    pub(super) fn new() -> Self {
        let state = State { good: None, flight: None, due: Instant::now(), failed: None, pause: FIRST_PAUSE };
        Self(Mutex::new(state))
    }

    /// The last good one.
    pub(super) fn good(&self) -> Option<Good<T>> {
        self.state().good.clone()
    }

    /// Whether it should be asked for and is not.
    pub(super) fn is_due(&self) -> bool {
        let state = self.state();
        state.flight.is_none() && Instant::now() >= state.due
    }

    /// What the last fetch failed by, so short a while ago that nobody need try again.
    pub(super) fn failed_within(&self, span: Duration) -> Option<Trouble> {
        let state = self.state();
        let failed = state.failed.as_ref().filter(|_| state.flight.is_none());
        failed.filter(|(_, at)| at.elapsed() < span).map(|(trouble, _)| trouble.clone())
    }

    /// Asks again at the next occasion.
    pub(super) fn make_due(&self) {
        self.state().due = Instant::now();
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that holds this lock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a fetch comes to: the document, and for how long it is good.
pub(super) type Fetched<T> = Result<(T, Duration), Trouble>;

/// Joins the fetch under way, or starts one. The task belongs to nobody who waits: it ends by itself, at the deadline of its
/// requests. `kept` finds the document inside of what the task owns.
pub(super) fn fetch<O, T, Work>(owner: &Arc<O>, kept: fn(&O) -> &Kept<T>, start: impl FnOnce(Arc<O>) -> Work) -> Flight<T>
where
    O: Send + Sync + 'static,
    T: Send + Sync + 'static,
    Work: Future<Output = Fetched<T>> + Send + 'static,
{
    let (answer, waiting) = oneshot::channel();
    let asked = Instant::now();
    let flight = {
        let mut state = kept(owner).state();
        if let Some(flight) = &state.flight {
            return flight.clone();
        }
        state.flight.insert(waiting.shared()).clone()
    };
    let landing = Landing { owner: Arc::clone(owner), kept };
    let work = start(Arc::clone(owner));
    tokio::spawn(async move {
        let result = kept(&landing.owner).landed(work.await, asked);
        // INVARIANT: nobody joins a flight whose answer is known.
        drop(landing);
        // Nobody may be left to hear it.
        let _ = answer.send(result);
    });
    flight
}

/// What a flight brings, if it does so in time.
pub(super) async fn wait<T>(flight: Flight<T>, deadline: Instant) -> Result<Good<T>, Trouble> {
    let ours = |reason: &str| Trouble::new("fetch", reason).ours();
    match timeout_at(deadline, flight).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(ours("it ended without a result")),
        Err(_) => Err(ours("no answer in time")),
    }
}

impl<T> Kept<T> {
    fn landed(&self, fetched: Fetched<T>, asked: Instant) -> Result<Good<T>, Trouble> {
        let now = Instant::now();
        let mut state = self.state();
        match fetched {
            Ok((value, life)) => {
                let good = Good { value: Arc::new(value), asked };
                state.good = Some(good.clone());
                state.failed = None;
                state.pause = FIRST_PAUSE;
                state.due = now + scattered(life);
                Ok(good)
            }
            Err(trouble) => {
                state.failed = Some((trouble.clone(), now));
                state.due = now + scattered(state.pause.max(trouble.retry_after.min(LONGEST_PAUSE)));
                state.pause = (state.pause * 2).min(LONGEST_PAUSE);
                Err(trouble)
            }
        }
    }
}

/// Takes the flight off when its task ends, also by a panic.
struct Landing<O, T> {
    owner: Arc<O>,
    kept: fn(&O) -> &Kept<T>,
}

impl<O, T> Drop for Landing<O, T> {
    fn drop(&mut self) {
        (self.kept)(&self.owner).state().flight = None;
    }
}

/// A tenth more or less, so that replicas do not come all at once.
fn scattered(span: Duration) -> Duration {
    let mut random = [0];
    // Without randomness there is no scatter, and nothing else depends on it.
    let _ = aws_lc_rs::rand::fill(&mut random);
    span.mul_f64(0.9 + 0.2 * f64::from(random[0]) / 255.0)
}
