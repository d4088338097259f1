//! One server: whether it can be asked, and the connections to it.

mod keeper;
#[cfg(test)]
pub(super) mod tests;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::answer::Proof;
use super::bind_pool::{BindPool, Unbound};
use super::connection::{Connection, Link, Search};
use super::entry::Entry;
use super::searcher::Searcher;
use super::service::{SERVICE_ACCOUNT, ServiceLogin};
use super::trouble::Trouble;
use crate::metrics;

/// So many failures in a row, and the server is not asked until it is tried in the background.
const OPENS_AFTER: u32 = 3;

/// How many connections there may be and how long they live.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolLimits {
    /// Connections for searches.
    pub(super) search: usize,
    /// Searches at a time on each.
    pub(super) in_flight: usize,
    /// Connections for binds.
    pub(super) bind: usize,
    /// How old one gets.
    pub(super) max_age: Duration,
    /// How much one carries.
    pub(super) max_operations: u64,
}

/// A connection that brings nothing for so long while a search waits may be dead.
const DOUBT: Duration = Duration::from_secs(1);

/// One server of a directory.
#[derive(Debug)]
pub(super) struct Server {
    link: Link,
    pool: PoolLimits,
    service: Arc<ServiceLogin>,
    searchers: Mutex<Vec<Arc<Searcher>>>,
    binds: BindPool,
    condition: watch::Sender<Condition>,
    /// Failures since the last success.
    failures: AtomicU32,
    /// Whether something failed, or is about to, since the last success: others are asked first where there are any.
    doubted: AtomicBool,
    in_flight: AtomicUsize,
    /// Whether it took the service account the last time.
    takes_service: AtomicBool,
    /// When somebody last wanted it.
    wanted: Mutex<Option<Instant>>,
    /// Wakes the keeper.
    poke: Arc<Notify>,
    /// The keeper, which ends with its server.
    tasks: Mutex<JoinSet<()>>,
}

/// Whether a server can be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Condition {
    /// Tries that came to an end.
    attempts: u64,
    /// Since when a try runs.
    dialing: Option<Instant>,
    /// What came of the last one.
    pub(super) state: State,
}

/// The breaker of a server.
#[derive(Clone, Debug, Default)]
pub(super) enum State {
    /// Nobody tried yet.
    #[default]
    Fresh,
    /// It answers.
    Up,
    /// It does not, and only the keeper tries it.
    Down(Trouble),
}

impl Server {
    /// Asks nobody.
    pub(super) fn new(link: Link, pool: PoolLimits, service: Arc<ServiceLogin>) -> Self {
        Self {
            link,
            pool,
            service,
            searchers: Mutex::default(),
            binds: BindPool::new(pool.bind, pool.max_age, pool.max_operations),
            condition: watch::Sender::default(),
            failures: AtomicU32::new(0),
            doubted: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            takes_service: AtomicBool::new(false),
            wanted: Mutex::default(),
            poke: Arc::default(),
            tasks: Mutex::default(),
        }
    }

    /// How it is reached.
    pub(super) fn link(&self) -> &Link {
        &self.link
    }
    /// Whether it can be asked.
    pub(super) fn state(&self) -> State {
        self.condition.borrow().state.clone()
    }
    /// Operations that run now.
    pub(super) fn load(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
    /// Why it cannot be asked now, as far as is known.
    pub(super) fn trouble(&self, patience: Duration) -> Option<Trouble> {
        match self.state() {
            State::Down(trouble) => Some(trouble),
            State::Fresh | State::Up => self.is_slow(patience).then(|| Trouble::timeout("connect")),
        }
    }
    /// Whether others should be asked first.
    pub(super) fn comes_last(&self, patience: Duration) -> bool {
        self.doubted.load(Ordering::Relaxed) || self.is_slow(patience)
    }
    /// Whether a first connection takes longer than it should.
    fn is_slow(&self, patience: Duration) -> bool {
        self.searcher().is_none() && self.condition.borrow().dialing.is_some_and(|since| since.elapsed() > patience)
    }

    /// Somebody would ask it if it could be asked.
    pub(super) fn want(&self) {
        *locked(&self.wanted) = Some(Instant::now());
    }

    /// Waits for a connection for searches; one try that fails is the answer. Those who wait at a time wait for the same try.
    pub(super) async fn ready(self: &Arc<Self>, until: Instant) -> Result<(), Trouble> {
        self.want();
        if self.searcher().is_some() {
            return Ok(());
        }
        let mut condition = self.condition.subscribe();
        let seen = condition.borrow_and_update().attempts;
        self.start();
        self.poke.notify_one();
        let ready = condition.wait_for(|now| now.attempts > seen || self.searcher().is_some());
        let waited = timeout_at(until, ready).await.map(|_| ());
        if self.searcher().is_some() {
            return Ok(());
        }
        match (self.state(), waited) {
            (State::Down(trouble), _) => Err(trouble),
            (State::Fresh | State::Up, Err(_)) => Err(Trouble::timeout("connect")),
            (State::Fresh | State::Up, Ok(())) => Err(Trouble::lost("connect", "the directory closed the connection")),
        }
    }

    /// Searches on the connection with the most room.
    pub(super) async fn search(&self, search: &Search<'_>, deadline: Instant) -> Result<Vec<Entry>, Trouble> {
        let searcher = self.searcher().ok_or_else(|| Trouble::lost("search", "the connection was lost"))?;
        let _counted = self.counted("search");
        let started = Instant::now();
        let mut work = std::pin::pin!(searcher.search(search, deadline));
        let answer = tokio::select! {
            answer = &mut work => answer,
            () = sleep(DOUBT) => {
                if searcher.connection().ending().is_silent_since(started) {
                    self.doubted.store(true, Ordering::Relaxed);
                }
                work.await
            }
        };
        // Of all searches on a connection that broke, the first to say so counts against the server.
        let first = answer.spoilt && self.retire(&searcher, started);
        if answer.worn {
            self.poke.notify_one();
        }
        match &answer.found {
            Ok(_) => self.succeeded(),
            Err(trouble) if first => self.failed(trouble),
            Err(_) => {}
        }
        answer.found
    }

    /// Binds on a connection that only binds.
    pub(super) async fn bind(&self, dn: &str, password: &SecretString, deadline: Instant) -> Result<Proof, Unbound> {
        let _counted = self.counted("bind");
        let bound = self.binds.bind(&self.link, dn, password, deadline).await;
        match &bound {
            Ok(_) => self.succeeded(),
            // It cannot be reached at all: nobody else has to find that out. A request that came to its end says less.
            Err(Unbound::Unsent(trouble)) if Instant::now() < deadline => self.down(trouble.clone()),
            Err(Unbound::Unsent(trouble)) => self.failed(trouble),
            Err(Unbound::Sent(trouble)) if trouble.is_of_the_server() || trouble.is_late() => self.failed(trouble),
            Err(Unbound::Sent(_) | Unbound::NoTurn(_)) => {}
        }
        bound
    }

    /// Who searches.
    pub(super) fn service(&self) -> &ServiceLogin {
        &self.service
    }

    /// Binds a connection to this server as the service account.
    pub(super) async fn bind_service(&self, connection: &mut Connection, deadline: Instant) -> Result<(), Trouble> {
        let bound = self.service.bind(connection, &self.link.label, self.takes_service.load(Ordering::Relaxed), deadline).await;
        match &bound {
            Ok(()) => self.takes_service.store(true, Ordering::Relaxed),
            Err(trouble) if trouble.operation == SERVICE_ACCOUNT => self.takes_service.store(false, Ordering::Relaxed),
            Err(_) => {}
        }
        bound
    }

    async fn dial(&self, deadline: Instant) -> Result<Connection, Trouble> {
        let mut connection = Connection::open(&self.link, deadline).await?;
        self.bind_service(&mut connection, deadline).await?;
        Ok(connection)
    }

    fn searcher(&self) -> Option<Arc<Searcher>> {
        let searchers = locked(&self.searchers);
        searchers.iter().filter(|searcher| searcher.is_alive()).max_by_key(|searcher| searcher.room()).cloned()
    }

    /// No more searches on this one, nor on those that were as silent since: what broke it broke them too, and each of them
    /// would cost somebody a time-out. Whether anybody could still have got it.
    fn retire(&self, searcher: &Arc<Searcher>, since: Instant) -> bool {
        let mut searchers = locked(&self.searchers);
        let first = searchers.iter().any(|other| Arc::ptr_eq(other, searcher));
        searchers.retain(|other| {
            let kept = !Arc::ptr_eq(other, searcher) && !other.connection().ending().is_silent_since(since);
            if !kept {
                other.retire();
            }
            kept
        });
        drop(searchers);
        if first {
            self.binds.clear();
            self.poke.notify_one();
        }
        first
    }

    fn succeeded(&self) {
        self.doubted.store(false, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
    }

    fn failed(&self, trouble: &Trouble) {
        self.doubted.store(true, Ordering::Relaxed);
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= OPENS_AFTER {
            self.down(trouble.clone());
        }
    }

    /// Nobody asks it until the keeper got through. What was opened before is not trusted.
    fn down(&self, trouble: Trouble) {
        for searcher in locked(&self.searchers).drain(..) {
            searcher.retire();
        }
        self.binds.clear();
        self.tell(State::Down(trouble), false);
        self.poke.notify_one();
    }

    /// Says how it stands; once in the log where that changes.
    fn tell(&self, state: State, tried: bool) {
        let (provider, server) = (&self.link.provider, &self.link.label);
        let was = self.condition.borrow().state.clone();
        match (&was, &state) {
            (State::Fresh | State::Up, State::Down(trouble)) => {
                tracing::warn!(%provider, %server, reason = %trouble, "a server cannot be asked; it is tried in the background");
            }
            (State::Down(_), State::Up) => tracing::info!(%provider, %server, "a server answers again"),
            (State::Down(_), State::Down(_)) | (_, State::Fresh) | (State::Fresh | State::Up, State::Up) => {}
        }
        metrics::directory_server_up(provider, server, matches!(state, State::Up));
        self.condition.send_modify(|condition| {
            condition.state = state;
            if tried {
                condition.attempts += 1;
                condition.dialing = None;
            }
        });
    }

    fn counted(&self, operation: &'static str) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        metrics::directory_in_flight(&self.link.provider, &self.link.label, operation, 1.0);
        InFlight { server: self, operation }
    }
}

/// Counts an operation until it ends, whichever way.
struct InFlight<'a> {
    server: &'a Server,
    operation: &'static str,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.server.in_flight.fetch_sub(1, Ordering::Relaxed);
        metrics::directory_in_flight(&self.server.link.provider, &self.server.link.label, self.operation, -1.0);
    }
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
