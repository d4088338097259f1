//! Waiting for something to come true, with a deadline.

use std::future::Future;
use std::time::{Duration, Instant};

/// Asks until the answer is `Ok`; when `within` is over, fails with the last `Err`.
#[track_caller]
pub fn until<T, F>(within: Duration, mut ask: impl FnMut() -> F) -> impl Future<Output = T>
where
    F: Future<Output = Result<T, String>>,
{
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + within;
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(state) => assert!(Instant::now() < deadline, "{caller}: not within {within:?}: {state}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Waits for the next whole second of the clock.
pub async fn next_second() {
    let over = jiff::Timestamp::now().subsec_nanosecond();
    tokio::time::sleep(Duration::from_nanos(u64::try_from(1_000_000_000 - over).unwrap())).await;
}
