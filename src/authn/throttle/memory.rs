//! What is written down of the shield. Rows that changed at the same time are written together, and a row that could not be
//! written is written again, whoever asks next.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::Key;
use crate::store::{ShieldChange, Store};

/// So many rows are one transaction.
const TOGETHER: usize = 500;

/// A row that is not yet as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Row {
    /// Failed binds of an account.
    Account(Key),
    /// A source that logged in.
    Source(Key),
}

/// The state, as the shield writes it.
pub(super) struct Memory {
    /// `None`: nothing outlives the process, and nobody relies on it.
    store: Option<Store>,
    unwritten: Mutex<HashSet<Row>>,
    /// Whose turn it is; and when a write failed last.
    turn: tokio::sync::Mutex<Option<Instant>>,
    forgetful: AtomicBool,
}

impl Memory {
    pub(super) fn new(store: Option<Store>) -> Self {
        Self { store, unwritten: Mutex::default(), turn: tokio::sync::Mutex::default(), forgetful: AtomicBool::new(false) }
    }

    pub(super) const fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Whether the state could not be written the last time.
    pub(super) fn is_forgetful(&self) -> bool {
        self.forgetful.load(Ordering::Relaxed)
    }

    /// This row is not as it should be.
    pub(super) fn mark(&self, row: Row) {
        if self.store.is_some() {
            self.unwritten().insert(row);
        }
    }

    /// Writes every row that is not as it should be, as `change` has it at that moment. Ends when those of the caller are
    /// written, by whomever, or could not be.
    pub(super) async fn write(&self, change: impl Fn(Row) -> ShieldChange + Send + Sync) {
        let Some(store) = &self.store else { return };
        let began = Instant::now();
        let mut failed_last = self.turn.lock().await;
        // One who waited while a write failed has had a try: a state that hangs is not tried by each in turn.
        if failed_last.is_some_and(|failed| failed >= began) {
            return;
        }
        loop {
            let rows = self.take();
            if rows.is_empty() {
                break;
            }
            let mut taken = Taken { memory: self, rows };
            let changes: Vec<ShieldChange> = taken.rows.iter().map(|row| change(*row)).collect();
            if let Err(error) = store.write_shield(&changes).await {
                tracing::error!(error = %error, "the shield cannot write to the state: new sources get no bind at a directory");
                *failed_last = Some(Instant::now());
                self.forgetful.store(true, Ordering::Relaxed);
                return;
            }
            taken.rows.clear();
        }
        if self.forgetful.swap(false, Ordering::Relaxed) {
            tracing::info!("the shield can write to the state again");
        }
    }

    /// The next ones. A row that changes again from here on is written again.
    fn take(&self) -> Vec<Row> {
        let mut unwritten = self.unwritten();
        let rows: Vec<Row> = unwritten.iter().take(TOGETHER).copied().collect();
        for row in &rows {
            unwritten.remove(row);
        }
        rows
    }

    fn unwritten(&self) -> MutexGuard<'_, HashSet<Row>> {
        // A set holds a row or does not.
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rows on their way: put back unless they arrived, also where who writes them goes away.
struct Taken<'a> {
    memory: &'a Memory,
    rows: Vec<Row>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.memory.unwritten().extend(self.rows.drain(..));
    }
}
