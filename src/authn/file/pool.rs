//! Room for password comparisons: as many at a time as there are cores, and a short queue in which sources take turns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::cores::Cores;
use super::scratch::{Scratch, Shelf};
use crate::authn::throttle::Source;

/// So many comparisons may wait for a core; at 25 ms each that is less than a second's work on two cores.
const QUEUE: usize = 64;
/// So many of one source run or wait in that queue; its others wait for these, in front of the queue. More than cores would
/// not be faster.
const OF_ONE_SOURCE: usize = 8;
/// Sources on the list before those that left work behind are looked for.
const SOURCES: usize = 1024;

/// Bounds the work of all users files together: a comparison takes tens of milliseconds and megabytes, so that a flood
/// of them, unbounded, would be an outage.
#[derive(Debug)]
pub(in crate::authn) struct HashPool {
    cores: Cores,
    /// Each source's way into the queue, while somebody is on it.
    turns: Mutex<HashMap<Source, Arc<Semaphore>>>,
    shelf: Arc<Shelf>,
}

/// Why a comparison was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PoolError {
    #[error("too many password comparisons are waiting")]
    Full,
    #[error("no password comparison before the request's deadline")]
    Deadline,
    #[error("the password comparison ended without a result")]
    Failed,
}

impl PoolError {
    /// When it makes sense to ask again: the whole queue is worked off in about a second.
    pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);
}

impl HashPool {
    /// As wide as the machine.
    pub(in crate::authn) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::sized(cores, QUEUE)
    }

    pub(super) fn sized(cores: usize, queue: usize) -> Self {
        Self { cores: Cores::new(cores, queue), turns: Mutex::default(), shelf: Arc::default() }
    }

    /// Runs the work on a thread of its own. The work keeps its core until it ends, also when nobody waits any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        source: Source,
        deadline: Instant,
        work: impl FnOnce(&mut Scratch) -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let line = Line { pool: self, source, turns: self.turns_of(source) };
        let turn = match timeout_at(deadline, Arc::clone(&line.turns).acquire_owned()).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) => return Err(PoolError::Failed),
            Err(_) => return Err(PoolError::Deadline),
        };
        let core = match timeout_at(deadline, self.cores.take(source)).await {
            Ok(Some(core)) => core,
            Ok(None) => return Err(PoolError::Full),
            Err(_) => return Err(PoolError::Deadline),
        };
        let unused = Arc::clone(&self.shelf);
        let working = tokio::task::spawn_blocking(move || {
            let mut scratch = unused.take();
            let result = work(&mut scratch);
            unused.put_back(scratch);
            drop((core, turn));
            result
        });
        match timeout_at(deadline, working).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(PoolError::Failed),
            Err(_) => Err(PoolError::Deadline),
        }
    }
}

impl HashPool {
    fn turns_of(&self, source: Source) -> Arc<Semaphore> {
        let mut turns = self.turns();
        if turns.len() > SOURCES {
            turns.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        Arc::clone(turns.entry(source).or_insert_with(|| Arc::new(Semaphore::new(OF_ONE_SOURCE))))
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<Source, Arc<Semaphore>>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits for a source's turn or has it. The last one takes the source off the list.
struct Line<'a> {
    pool: &'a HashPool,
    source: Source,
    turns: Arc<Semaphore>,
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let mut turns = self.pool.turns();
        // This one, and the list's. Work that nobody waits for any more has its own, and keeps its turn.
        if Arc::strong_count(&self.turns) <= 2 {
            turns.remove(&self.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const HERE: Source = Source::UNKNOWN;

    #[tokio::test]
    async fn one_source_waits_in_front_of_the_queue_and_not_in_it() {
        let pool = Arc::new(HashPool::sized(1, 10));
        let far = Instant::now() + Duration::from_mins(1);
        let slow = |source: &'static str| {
            let pool = Arc::clone(&pool);
            let work = |_: &mut Scratch| {
                let (_never, silence) = mpsc::channel::<()>();
                assert!(silence.recv_timeout(Duration::from_millis(5)).is_err());
            };
            async move { pool.run(Source::of(source.parse().ok()), far, work).await }
        };
        let flood: Vec<_> = (0..100).map(|_| tokio::spawn(slow("192.0.2.1"))).collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(slow("192.0.2.2").await, Ok(()));
        assert!(flood.iter().any(|waits| !waits.is_finished()), "the flood was still there");
        for waiting in flood {
            assert_eq!(waiting.await.unwrap(), Ok(()), "nobody is refused");
        }
        assert!(pool.turns().is_empty());
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_deadline_ends_the_waiting() {
        let pool = Arc::new(HashPool::sized(1, 1));
        let far = Instant::now() + Duration::from_mins(1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (release, released) = mpsc::channel::<()>();
        let running = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move {
                pool.run(HERE, far, move |_| {
                    started.send(()).unwrap();
                    released.recv().unwrap();
                    7
                })
                .await
            }
        });
        has_started.await.unwrap();
        let waiting = pool.run(HERE, Instant::now() + Duration::from_millis(20), |_| 8);
        let (waited, refused) = tokio::join!(waiting, async {
            tokio::task::yield_now().await;
            pool.run(HERE, far, |_| 9).await
        });
        assert_eq!(refused, Err(PoolError::Full));
        assert_eq!(waited, Err(PoolError::Deadline));
        release.send(()).unwrap();
        assert_eq!(running.await.unwrap(), Ok(7));
        assert_eq!(pool.run(HERE, far, |_| 9).await, Ok(9), "the places came back");
    }

    #[tokio::test]
    async fn work_that_panics_gives_its_places_back() {
        let pool = HashPool::sized(1, 0);
        let far = Instant::now() + Duration::from_mins(1);
        assert_eq!(pool.run(HERE, far, |_| panic!("in the work")).await, Err::<(), _>(PoolError::Failed));
        assert_eq!(pool.run(HERE, far, |_| 9).await, Ok(9));
    }
}
