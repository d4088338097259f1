//! The servers of a directory: which of them a request asks.

mod discovery;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::select_ok;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

pub(super) use discovery::Discovery;

use super::chance;
use super::connection::{Limits, Link};
use super::endpoint::Endpoint;
use super::server::{PoolLimits, Server, State};
use super::service::ServiceLogin;
use super::session::Session;
use super::tls::{TlsError, Trust};
use super::trouble::Trouble;
use crate::authn::provider::Health;
use crate::metrics;

/// A server that takes longer for its first connection is passed over where there is another.
const PATIENCE: Duration = Duration::from_millis(250);

/// And cannot be asked, as far as operators are told.
const SLOW: Duration = Duration::from_millis(500);

/// What every server of a provider has in common.
#[derive(Debug)]
pub(super) struct Common {
    /// The provider's name.
    pub(super) provider: Arc<str>,
    /// Whom TLS trusts; `None` where no server speaks it.
    pub(super) trust: Option<Trust>,
    /// How long a step may take.
    pub(super) limits: Limits,
    /// How many connections there may be.
    pub(super) pool: PoolLimits,
    /// Who searches.
    pub(super) service: Arc<ServiceLogin>,
}

/// A server and its place among the others.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// The server.
    pub(super) server: Arc<Server>,
    /// Lower is asked first.
    pub(super) priority: u32,
    /// Its share among those of the same priority.
    pub(super) weight: u32,
}

/// The servers as they are known now.
#[derive(Clone, Debug, Default)]
struct Listing {
    servers: Arc<[Placed]>,
    /// Tries to find them, and why there is none.
    attempts: u64,
    trouble: Option<Trouble>,
}

/// The servers of one directory.
#[derive(Debug)]
pub(super) struct Servers {
    common: Common,
    listing: watch::Sender<Listing>,
    discovery: Option<Discovery>,
    tasks: Mutex<JoinSet<()>>,
}

impl Servers {
    /// Those of the configuration.
    pub(super) fn listed(common: Common, endpoints: Vec<(Endpoint, u32)>) -> Result<Arc<Self>, TlsError> {
        let mut servers = Vec::new();
        for (endpoint, priority) in endpoints {
            servers.push(Placed { server: Arc::new(common.server(endpoint)?), priority, weight: 1 });
        }
        let listing = watch::Sender::new(Listing { servers: servers.into(), ..Listing::default() });
        Ok(Arc::new(Self { common, listing, discovery: None, tasks: Mutex::default() }))
    }

    /// Those that DNS names, from the first request on.
    pub(super) fn discovered(common: Common, discovery: Discovery) -> Arc<Self> {
        Arc::new(Self { common, listing: watch::Sender::default(), discovery: Some(discovery), tasks: Mutex::default() })
    }

    /// For one request.
    pub(super) async fn session(self: &Arc<Self>, deadline: Instant) -> Result<Session<'_>, Trouble> {
        self.known(deadline).await?;
        let server = self.pick(None, deadline).await?;
        Ok(Session::new(self, server, deadline))
    }

    /// Every server, for a look at each.
    pub(super) async fn all(self: &Arc<Self>, deadline: Instant) -> Result<Vec<Arc<Server>>, Trouble> {
        self.known(deadline).await?;
        Ok(self.listing().servers.iter().map(|placed| Arc::clone(&placed.server)).collect())
    }

    /// The server to ask: of those that answer the first in order; where none does, whichever is back first. `not` comes last.
    pub(super) async fn pick(&self, not: Option<&Arc<Server>>, deadline: Instant) -> Result<Arc<Server>, Trouble> {
        let mut order = self.order();
        order.sort_by_key(|server| not.is_some_and(|not| Arc::ptr_eq(not, server)));
        let (usable, mut others): (Vec<_>, Vec<_>) = order.into_iter().partition(|server| !matches!(server.state(), State::Down(_)));
        let alone = usable.len() + others.len() < 2;
        for server in &others {
            server.want();
        }
        let (mut last, mut passed) = (None, not.is_some());
        for server in usable {
            let patient = if alone { deadline } else { deadline.min(Instant::now() + PATIENCE) };
            match server.ready(patient).await {
                Ok(()) => {
                    if passed && !not.is_some_and(|not| Arc::ptr_eq(not, &server)) {
                        metrics::directory_failover(&self.common.provider);
                    }
                    return Ok(server);
                }
                // It may get there yet.
                Err(trouble) if trouble.is_late() && !alone => others.push(server),
                Err(trouble) => last = Some(trouble),
            }
            passed = true;
        }
        if others.is_empty() {
            return Err(last.unwrap_or_else(|| Trouble::new("connect", "no server is known")));
        }
        let ready = others.into_iter().map(|server| {
            Box::pin(async move {
                server.ready(deadline).await?;
                Ok(server)
            })
        });
        select_ok(ready).await.map(|(server, _)| server)
    }

    /// Whether the directory can be asked, as far as is known.
    pub(super) fn health(&self) -> Health {
        let listing = self.listing();
        let all = listing.servers.len();
        let mut down = Vec::new();
        let mut fresh = 0;
        for Placed { server, .. } in listing.servers.iter() {
            match server.trouble(SLOW) {
                Some(trouble) => down.push(format!("{}: {trouble}", server.link().label)),
                None if matches!(server.state(), State::Fresh) => fresh += 1,
                None => {}
            }
        }
        if all == 0 {
            return listing.trouble.map_or(Health::Unknown, |trouble| Health::Down(trouble.to_string()));
        }
        match (down.len(), fresh) {
            (some, _) if some == all => Health::Down(down.join("; ")),
            (some, fresh) if some + fresh == all => Health::Unknown,
            (0, _) => Health::Up,
            (_, _) => Health::Impaired(down.join("; ")),
        }
    }

    /// What tells these servers from another directory's.
    pub(super) fn origin(&self) -> String {
        if let Some(discovery) = &self.discovery {
            return discovery.name();
        }
        let mut names: Vec<_> = self.listing().servers.iter().map(|placed| placed.server.link().endpoint.to_string()).collect();
        names.sort_unstable();
        names.join(" ")
    }

    fn listing(&self) -> Listing {
        self.listing.borrow().clone()
    }

    /// Waits for the first answer of DNS.
    async fn known(self: &Arc<Self>, deadline: Instant) -> Result<(), Trouble> {
        if self.discovery.is_none() {
            return Ok(());
        }
        let mut listing = self.listing.subscribe();
        let seen = listing.borrow_and_update().attempts;
        self.start();
        let known = listing.wait_for(|now| !now.servers.is_empty() || now.attempts > seen);
        let waited = timeout_at(deadline, known).await.map(|_| ());
        let listing = self.listing();
        match (listing.servers.is_empty(), listing.trouble, waited) {
            (false, _, _) => Ok(()),
            (true, Some(trouble), _) => Err(trouble),
            (true, None, Err(_)) => Err(Trouble::timeout("discovery")),
            (true, None, Ok(())) => Err(Trouble::new("discovery", "DNS names no server")),
        }
    }

    /// Starts the look-ups where none run.
    fn start(self: &Arc<Self>) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        if tasks.is_empty() {
            tasks.spawn(discovery::keep(Arc::downgrade(self)));
        }
    }

    /// By priority; within one by weight and load; those that may be about to fail behind the others.
    fn order(&self) -> Vec<Arc<Server>> {
        let mut left: Vec<Placed> = self.listing().servers.to_vec();
        let mut order = Vec::with_capacity(left.len());
        while let Some(first) = left.iter().map(|placed| placed.priority).min() {
            let (mut tier, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|placed| placed.priority == first);
            left = rest;
            while !tier.is_empty() {
                let (one, other) = (draw(&tier), draw(&tier));
                let chosen = [one, other].into_iter().min_by_key(|at| tier.get(*at).map_or(usize::MAX, |placed| placed.server.load()));
                order.push(tier.swap_remove(chosen.unwrap_or(0).min(tier.len() - 1)).server);
            }
        }
        order.sort_by_key(|server| server.comes_last(PATIENCE));
        order
    }

    /// Takes over what DNS says: servers that were known go on with their connections.
    fn adopt(&self, found: Vec<(Endpoint, u32, u32)>) -> Result<(), TlsError> {
        let known = self.listing().servers;
        let mut servers = Vec::new();
        for (endpoint, priority, weight) in found {
            let same = known.iter().find(|placed| placed.server.link().endpoint == endpoint);
            let server = same.map_or_else(|| self.common.server(endpoint).map(Arc::new), |placed| Ok(Arc::clone(&placed.server)))?;
            servers.push(Placed { server, priority, weight });
        }
        self.listing.send_modify(|listing| {
            listing.servers = servers.into();
            listing.attempts += 1;
            listing.trouble = None;
        });
        Ok(())
    }

    /// Keeps what was known.
    fn not_found(&self, trouble: Trouble) {
        self.listing.send_modify(|listing| {
            listing.attempts += 1;
            listing.trouble = Some(trouble);
        });
    }
}

impl Common {
    fn server(&self, endpoint: Endpoint) -> Result<Server, TlsError> {
        let tls = match endpoint.security {
            super::endpoint::Security::None => None,
            super::endpoint::Security::Tls | super::endpoint::Security::StartTls => {
                self.trust.as_ref().map(|trust| trust.client(&endpoint.host)).transpose()?
            }
        };
        let label = Arc::from(endpoint.to_string());
        let link = Link { provider: Arc::clone(&self.provider), endpoint, label, tls, limits: self.limits };
        Ok(Server::new(link, self.pool, Arc::clone(&self.service)))
    }
}

/// One of a tier, by weight (RFC 2782: those without weight are drawn seldom, not never).
fn draw(tier: &[Placed]) -> usize {
    let weight = |placed: &Placed| f64::from(placed.weight) + 0.01;
    let mut left = chance::part() * tier.iter().map(weight).sum::<f64>();
    for (at, placed) in tier.iter().enumerate() {
        left -= weight(placed);
        if left < 0.0 {
            return at;
        }
    }
    tier.len().saturating_sub(1)
}
