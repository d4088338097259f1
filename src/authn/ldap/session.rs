//! A directory for the time of one request: searches under the service account, and binds as somebody else.

use secrecy::SecretString;
use tokio::time::Instant;

use super::answer::Proof;
use super::connection::{Connection, Link, Search};
use super::entry::Entry;
use super::trouble::Trouble;

/// Whom a request asks, until its deadline.
#[derive(Debug)]
pub(super) struct Session<'a> {
    link: &'a Link,
    service: Connection,
    deadline: Instant,
}

impl<'a> Session<'a> {
    /// Over a connection that is bound as the service account.
    pub(super) fn new(link: &'a Link, service: Connection, deadline: Instant) -> Self {
        Self { link, service, deadline }
    }

    /// All entries, or trouble: never a part of them. Searches may run at the same time.
    pub(super) async fn search(&self, search: &Search<'_>) -> Result<Vec<Entry>, Trouble> {
        self.service.search(search, self.deadline).await
    }

    /// Binds on a connection of its own, as a bind changes who the searches of a connection run as.
    pub(super) async fn bind(&self, dn: &str, password: &SecretString) -> Result<Proof, Trouble> {
        Connection::open(self.link, self.deadline).await?.bind(dn, password, self.deadline).await
    }
}
