//! A connection that is bound as the service account and carries many searches at a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ldap3::Scope;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::connection::{Connection, Search};
use super::entry::Entry;
use super::template::Filter;
use super::trouble::Trouble;

/// A search that waited less long says nothing of its connection.
const LONG_ENOUGH: Duration = Duration::from_millis(200);

/// One of a server's connections for searches.
#[derive(Debug)]
pub(super) struct Searcher {
    connection: Connection,
    turns: Semaphore,
    operations: AtomicU64,
    max_operations: u64,
    /// When it is replaced.
    until: Instant,
    retired: AtomicBool,
    /// Milliseconds of its life until the last search.
    used: AtomicU64,
}

/// What a search brought, and whether its connection is to blame where it brought nothing.
pub(super) struct Searched {
    /// Entries or trouble.
    pub(super) found: Result<Vec<Entry>, Trouble>,
    /// Whether the connection should be used no more.
    pub(super) spoilt: bool,
    /// Whether it was the last one that the connection is for.
    pub(super) worn: bool,
}

impl Searcher {
    /// Over a connection that is bound.
    pub(super) fn new(connection: Connection, in_flight: usize, max_age: Duration, max_operations: u64) -> Self {
        let until = connection.opened() + max_age;
        let (operations, retired, used) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
        Self { connection, turns: Semaphore::new(in_flight), operations, max_operations, until, retired, used }
    }

    /// Whether it may be used.
    pub(super) fn is_alive(&self) -> bool {
        !self.retired.load(Ordering::Acquire) && self.connection.ending().reason().is_none()
    }
    /// Whether another should take its place.
    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.until || self.operations.load(Ordering::Relaxed) >= self.max_operations
    }
    /// When it is replaced for its age.
    pub(super) fn until(&self) -> Instant {
        self.until
    }
    /// The last search, or the opening.
    pub(super) fn used(&self) -> Instant {
        self.connection.opened() + Duration::from_millis(self.used.load(Ordering::Relaxed))
    }
    /// How many more searches it can take now.
    pub(super) fn room(&self) -> usize {
        self.turns.available_permits()
    }
    /// The connection below.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
    /// From now on nobody gets it; who has it goes on.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Searches when there is room.
    pub(super) async fn search(&self, search: &Search<'_>, deadline: Instant) -> Searched {
        let Ok(Ok(_turn)) = timeout_at(deadline, self.turns.acquire()).await else {
            return Searched { found: Err(Trouble::new("search", "too many searches at a time")), spoilt: false, worn: false };
        };
        let before = self.operations.fetch_add(1, Ordering::Relaxed);
        let worn = before + 1 == self.max_operations;
        let age = u64::try_from(self.connection.opened().elapsed().as_millis()).unwrap_or(u64::MAX);
        self.used.fetch_max(age, Ordering::Relaxed);
        let started = Instant::now();
        let (found, spoilt) = match self.connection.search(search, deadline).await {
            Ok(found) => (Ok(found), false),
            // Where nothing else came either, the connection is dead; else the search is slow, and another would be as slow.
            Err(trouble) if trouble.is_late() => {
                let silent = self.connection.ending().is_silent_since(started) && started.elapsed() >= LONG_ENOUGH;
                let trouble = if silent { Trouble::lost("search", trouble.reason) } else { trouble };
                (Err(trouble), silent)
            }
            // Active Directory says 1 where it forgot who is bound.
            Err(trouble) if trouble.code == Some(1) => (Err(Trouble::lost("search", trouble.reason)), true),
            Err(trouble) => {
                let spoilt = trouble.is_of_the_server();
                (Err(trouble), spoilt)
            }
        };
        Searched { found, spoilt, worn }
    }

    /// The cheapest search there is, which keeps firewalls from forgetting the connection.
    pub(super) async fn keep_alive(&self, deadline: Instant) -> Searched {
        let filter = Filter::any();
        self.search(&Search { base: "", scope: Scope::Base, filter: &filter, attributes: &["1.1"], at_most: None }, deadline).await
    }
}
