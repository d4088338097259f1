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

/// Waits until a new step of so many seconds begins, which is what some servers count in.
pub async fn next_step(seconds: u32) {
    let (now, step) = (jiff::Timestamp::now().as_millisecond(), 1000 * i64::from(seconds));
    tokio::time::sleep(Duration::from_millis((step - now % step).unsigned_abs())).await;
}
