//! A directory for the time of one request: searches under the service account, and binds as somebody else.

use std::sync::Arc;

use arc_swap::ArcSwap;
use secrecy::SecretString;
use tokio::time::Instant;

use super::answer::Proof;
use super::bind_pool::Unbound;
use super::connection::Search;
use super::entry::Entry;
use super::server::Server;
use super::servers::Servers;
use super::template::Filter;
use super::trouble::Trouble;

/// Whom a request asks, until its deadline. It stays at one server while that one works: another may not know yet what this
/// one said.
#[derive(Debug)]
pub(super) struct Session<'a> {
    servers: &'a Servers,
    server: ArcSwap<Server>,
    deadline: Instant,
}

impl<'a> Session<'a> {
    /// At a server that has a connection.
    pub(super) fn new(servers: &'a Servers, server: Arc<Server>, deadline: Instant) -> Self {
        Self { servers, server: ArcSwap::new(server), deadline }
    }

    /// All entries, or trouble: never a part of them. Searches may run at the same time. What a server or a connection spoilt
    /// is asked once more.
    pub(super) async fn search(&self, search: &Search<'_>) -> Result<Vec<Entry>, Trouble> {
        let server = self.server.load_full();
        let now = Instant::now();
        // The first try leaves time for the second.
        let half = now + self.deadline.saturating_duration_since(now) / 2;
        match server.search(search, half).await {
            Err(trouble) if trouble.is_of_the_server() => {
                let other = self.moved(&server).await.map_err(|later| if later.is_late() { trouble } else { later })?;
                other.search(search, self.deadline).await
            }
            outcome => outcome,
        }
    }

    /// Binds on a connection of its own, as a bind changes who the searches of a connection run as. Never twice, unless
    /// nothing of it left: every wrong password counts at the directory.
    pub(super) async fn bind(&self, dn: &str, password: &SecretString) -> Result<Proof, Unbound> {
        let server = self.server.load_full();
        match server.bind(dn, password, self.deadline).await {
            Err(Unbound::Unsent(trouble)) => {
                let Ok(other) = self.moved(&server).await else { return Err(Unbound::Unsent(trouble)) };
                other.bind(dn, password, self.deadline).await
            }
            outcome => outcome,
        }
    }

    /// Nothing, once the server has answered something.
    pub(super) async fn answers(&self, base: &str) -> Result<(), Trouble> {
        let search = Search { base, scope: ldap3::Scope::Base, filter: &Filter::any(), attributes: &["1.1"], at_most: None };
        self.search(&search).await.map(drop)
    }

    /// To another server, or to a fresh connection where there is no other.
    async fn moved(&self, from: &Arc<Server>) -> Result<Arc<Server>, Trouble> {
        let current = self.server.load_full();
        // Of several searches at a time one moves, and the others follow.
        if !Arc::ptr_eq(&current, from) {
            return Ok(current);
        }
        let other = self.servers.pick(Some(from), self.deadline).await?;
        self.server.store(Arc::clone(&other));
        Ok(other)
    }
}
