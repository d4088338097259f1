//! One at a time by name: of many requests with one stale identity token the first looks, the others use what it found.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

/// Who is having a turn. Holds a name only while somebody has or awaits one.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<String, Weak<Turn<()>>>>);

impl Turns {
    /// Waits for the turn of `name`; it is over when the guard is dropped. `None` where the deadline comes first.
    pub(super) async fn take(&self, name: &str, deadline: Instant) -> Option<OwnedMutexGuard<()>> {
        let turn = self.of(name);
        timeout_at(deadline, turn.lock_owned()).await.ok()
    }

    fn of(&self, name: &str) -> Arc<Turn<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(name).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Turn::new(()));
        turns.insert(name.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_waited_for_by_those_of_the_same_name_alone() {
        let turns = Turns::default();
        let soon = || Instant::now() + Duration::from_secs(1);
        let first = turns.take("a", soon()).await.unwrap();
        assert!(turns.take("a", soon()).await.is_none());
        assert!(turns.take("b", soon()).await.is_some());
        drop(first);
        assert!(turns.take("a", soon()).await.is_some());
        drop(turns.take("c", soon()).await);
        assert_eq!(turns.0.lock().unwrap().len(), 1, "only the last name is still there");
    }
}
