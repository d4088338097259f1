//! What happens to a server without anybody waiting for it: connections are opened, kept warm and replaced, and a server
//! that is down is tried again. It begins with the first request and ends with its server.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::super::carry::Ending;
use super::super::searcher::Searcher;
use super::super::trouble::Trouble;
use super::{Server, State, locked};

/// A connection that is idle for so long is searched on.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The answer to that takes no longer where the connection lives.
const ANSWERS: Duration = Duration::from_secs(2);
/// The first pause after a failure; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest one while requests come, so that a server that is back is found.
const LONGEST_WHILE_WANTED: Duration = Duration::from_millis(750);
/// The longest one otherwise.
const LONGEST: Duration = Duration::from_mins(1);
/// Without a request for so long nobody wants it.
const WANTED: Duration = Duration::from_mins(1);
/// Requests hurry a try, but not more often than this.
const GAP: Duration = Duration::from_millis(50);
/// A connection that ends sooner was no success.
const LIVES: Duration = Duration::from_secs(1);

/// What the keeper remembers between two rounds.
struct Rounds {
    failures: u32,
    /// No try before.
    next: Instant,
    /// The end of the last try.
    last: Option<Instant>,
    /// Whether it brought a connection that has not ended at once.
    good: bool,
}

/// What ends a pause.
struct Pause {
    until: Instant,
    endings: Vec<Ending>,
}

impl Server {
    /// Starts the keeper where none runs.
    pub(super) fn start(self: &Arc<Self>) {
        let mut tasks = locked(&self.tasks);
        while tasks.try_join_next().is_some() {}
        if tasks.is_empty() {
            tasks.spawn(keep(Arc::downgrade(self), Arc::clone(&self.poke)));
        }
    }

    /// One round; how long to wait for the next.
    async fn tend(&self, rounds: &mut Rounds) -> Pause {
        self.sweep(rounds);
        self.binds.sweep();
        let searchers = locked(&self.searchers).clone();
        let due = searchers.iter().find(|searcher| searcher.is_due());
        let missing = searchers.len() < self.pool.search || due.is_some();
        if missing && Instant::now() >= rounds.next {
            self.try_once(rounds, searchers.is_empty()).await;
            if let Some(due) = due.filter(|_| rounds.good) {
                due.retire();
                locked(&self.searchers).retain(|other| !Arc::ptr_eq(other, due));
            }
            return Pause { until: rounds.next.min(Instant::now() + KEEP_ALIVE), endings: self.endings() };
        }
        let idle = searchers.iter().filter(|searcher| searcher.used().elapsed() >= KEEP_ALIVE);
        join_all(idle.map(|searcher| self.keep_alive(searcher))).await;
        let uses = searchers.iter().map(|searcher| searcher.used() + KEEP_ALIVE);
        let ages = searchers.iter().map(|searcher| searcher.until());
        // An age that is reached is the business of the next try.
        let wakes = uses.chain(ages).filter(|at| *at > Instant::now()).chain([Instant::now() + KEEP_ALIVE]);
        let wakes = wakes.chain(missing.then_some(rounds.next));
        Pause { until: wakes.min().unwrap_or_else(Instant::now), endings: self.endings() }
    }

    /// Opens one connection.
    async fn try_once(&self, rounds: &mut Rounds, alone: bool) {
        self.condition.send_modify(|condition| condition.dialing = Some(Instant::now()));
        let limits = &self.link.limits;
        let deadline = Instant::now() + limits.connect + limits.tls + limits.bind;
        let opened = match self.service.may_bind(&self.link.label, self.takes_service.load(Ordering::Relaxed)) {
            Ok(()) => self.dial(deadline).await,
            Err(trouble) => Err(trouble),
        };
        rounds.last = Some(Instant::now());
        match opened {
            Ok(connection) => {
                let pool = self.pool;
                let searcher = Searcher::new(connection, pool.in_flight, jittered(pool.max_age), pool.max_operations);
                locked(&self.searchers).push(Arc::new(searcher));
                self.succeeded();
                rounds.good = true;
                rounds.next = Instant::now();
                self.tell(State::Up, true);
            }
            Err(trouble) if alone => {
                self.postpone(rounds);
                self.binds.clear();
                self.tell(State::Down(trouble), true);
            }
            Err(trouble) => {
                // There is another connection, which may be all that the server allows.
                self.postpone(rounds);
                tracing::debug!(provider = %self.link.provider, server = %self.link.label, reason = %trouble, "no further connection");
                self.tell(self.state(), true);
            }
        }
    }

    /// Forgets connections that ended. One that ended at once is a failure.
    fn sweep(&self, rounds: &mut Rounds) {
        let mut searchers = locked(&self.searchers);
        let (alive, over): (Vec<_>, Vec<_>) = searchers.drain(..).partition(|searcher| searcher.is_alive());
        let none = alive.is_empty();
        searchers.extend(alive);
        drop(searchers);
        let Some(short) = over.iter().find(|searcher| searcher.connection().opened().elapsed() < LIVES) else {
            if rounds.good && rounds.last.is_some_and(|last| last.elapsed() >= LIVES) {
                rounds.failures = 0;
            }
            return;
        };
        self.postpone(rounds);
        if none {
            let reason = short.connection().ending().reason().unwrap_or_else(|| "the connection was lost".to_owned());
            self.tell(State::Down(Trouble::lost("connect", reason)), true);
        }
    }

    async fn keep_alive(&self, searcher: &Arc<Searcher>) {
        let started = Instant::now();
        let answer = searcher.keep_alive(Instant::now() + self.link.limits.search.min(ANSWERS)).await;
        if answer.spoilt {
            self.retire(searcher, started);
        }
    }

    fn postpone(&self, rounds: &mut Rounds) {
        rounds.good = false;
        rounds.failures = rounds.failures.saturating_add(1);
        let wanted = locked(&self.wanted).is_some_and(|at| at.elapsed() < WANTED);
        rounds.next = Instant::now() + pause(rounds.failures, if wanted { LONGEST_WHILE_WANTED } else { LONGEST });
    }

    fn endings(&self) -> Vec<Ending> {
        locked(&self.searchers).iter().map(|searcher| searcher.connection().ending().clone()).collect()
    }
}

/// The pause after so many failures, jittered.
fn pause(failures: u32, longest: Duration) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16)));
    jittered(doubled.min(longest))
}

/// Three quarters to all of it, so that what began together does not go on together.
fn jittered(whole: Duration) -> Duration {
    whole.mul_f64(1.0 - 0.25 * super::super::chance::part())
}

async fn keep(server: Weak<Server>, poke: Arc<Notify>) {
    let mut rounds = Rounds { failures: 0, next: Instant::now(), last: None, good: false };
    loop {
        let Some(kept) = server.upgrade() else { return };
        let pause = kept.tend(&mut rounds).await;
        drop(kept);
        let ended = async {
            if pause.endings.is_empty() {
                std::future::pending::<()>().await;
            }
            select_all(pause.endings.iter().map(|ending| Box::pin(ending.ended()))).await;
        };
        tokio::select! {
            () = sleep_until(pause.until) => {}
            () = ended => {}
            () = poke.notified() => {
                // Somebody waits.
                let soon = rounds.last.map_or_else(Instant::now, |last| last + GAP);
                rounds.next = rounds.next.min(soon);
            }
        }
    }
}
