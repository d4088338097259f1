//! Room for password comparisons: as many at a time as there are cores, and a short queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::scratch::{Scratch, Shelf};

/// So many comparisons may wait for a core; at 25 ms each that is less than a second's work on two cores.
const QUEUE: usize = 64;

/// Bounds the work of all users files together: a comparison takes tens of milliseconds and megabytes, so that a flood
/// of them, unbounded, would be an outage.
#[derive(Debug)]
pub(in crate::authn) struct HashPool {
    cores: Arc<Semaphore>,
    /// Those that run and those that wait.
    places: Arc<Semaphore>,
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
        Self { cores: Arc::new(Semaphore::new(cores)), places: Arc::new(Semaphore::new(cores + queue)), shelf: Arc::default() }
    }

    /// Runs the work on a thread of its own. The work keeps its core until it ends, also when nobody waits any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&mut Scratch) -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return Err(PoolError::Full) };
        let core = match timeout_at(deadline, Arc::clone(&self.cores).acquire_owned()).await {
            Ok(Ok(core)) => core,
            Ok(Err(_)) => return Err(PoolError::Failed),
            Err(_) => return Err(PoolError::Deadline),
        };
        let unused = Arc::clone(&self.shelf);
        let working = tokio::task::spawn_blocking(move || {
            let mut scratch = unused.take();
            let result = work(&mut scratch);
            unused.put_back(scratch);
            drop((core, place));
            result
        });
        match timeout_at(deadline, working).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(PoolError::Failed),
            Err(_) => Err(PoolError::Deadline),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_deadline_ends_the_waiting() {
        let pool = Arc::new(HashPool::sized(1, 1));
        let far = Instant::now() + Duration::from_mins(1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (release, released) = mpsc::channel::<()>();
        let running = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move {
                pool.run(far, move |_| {
                    started.send(()).unwrap();
                    released.recv().unwrap();
                    7
                })
                .await
            }
        });
        has_started.await.unwrap();
        let waiting = pool.run(Instant::now() + Duration::from_millis(20), |_| 8);
        let (waited, refused) = tokio::join!(waiting, async {
            tokio::task::yield_now().await;
            pool.run(far, |_| 9).await
        });
        assert_eq!(refused, Err(PoolError::Full));
        assert_eq!(waited, Err(PoolError::Deadline));
        release.send(()).unwrap();
        assert_eq!(running.await.unwrap(), Ok(7));
        assert_eq!(pool.run(far, |_| 9).await, Ok(9), "the places came back");
    }

    #[tokio::test]
    async fn work_that_panics_gives_its_places_back() {
        let pool = HashPool::sized(1, 0);
        let far = Instant::now() + Duration::from_mins(1);
        assert_eq!(pool.run(far, |_| panic!("in the work")).await, Err::<(), _>(PoolError::Failed));
        assert_eq!(pool.run(far, |_| 9).await, Ok(9));
    }
}
