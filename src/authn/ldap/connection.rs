//! One connection: bind and search, each within its time, and no panic of ldap3 gets out of here.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ldap3::controls::RawControl;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchEntry, SearchOptions, StdStream};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::answer::{self, PASSWORD_POLICY, Proof};
use super::endpoint::Endpoint;
use super::entry::Entry;
use super::paging::{self, PAGED_RESULTS};
use super::template::Filter;
use super::tls::TlsClient;
use super::trouble::Trouble;
use super::wire::{self, Ending};
use crate::metrics;

/// More entries than this are not kept; their number alone says that the configuration is wrong.
const MAX_ENTRIES: usize = 10_000;
/// Nor more bytes of entries than this.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// The result code of an answer that the directory cut.
const SIZE_LIMIT: u32 = 4;

/// How a directory is reached.
#[derive(Debug)]
pub(super) struct Link {
    /// Whose operations are counted.
    pub(super) provider: Arc<str>,
    /// Where it listens.
    pub(super) endpoint: Endpoint,
    /// How it proves itself; `None` without TLS.
    pub(super) tls: Option<TlsClient>,
    /// How long one step may take.
    pub(super) limits: Limits,
}

/// How long one step may take; the request's deadline ends every step earlier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Name resolution and TCP.
    pub(super) connect: Duration,
    /// StartTLS and the handshake.
    pub(super) tls: Duration,
    /// One bind.
    pub(super) bind: Duration,
    /// One search.
    pub(super) search: Duration,
}

/// What to search for.
#[derive(Clone, Debug)]
pub(super) struct Search<'a> {
    /// Where.
    pub(super) base: &'a str,
    /// How deep.
    pub(super) scope: Scope,
    /// What.
    pub(super) filter: &'a Filter,
    /// Which attributes to bring along.
    pub(super) attributes: &'a [&'a str],
    /// With a number: no more than so many are wanted, and the directory's "there are more" is no error.
    pub(super) at_most: Option<u8>,
}

/// One connection. Its tasks end when it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    ldap: Ldap,
    ending: Ending,
    provider: Arc<str>,
    limits: Limits,
    /// OpenLDAP remembers one search in pages for each connection.
    pages: Semaphore,
    _tasks: JoinSet<()>,
}

impl Connection {
    /// Opens a connection that is bound as nobody.
    pub(super) async fn open(link: &Link, deadline: Instant) -> Result<Self, Trouble> {
        let started = Instant::now();
        let opened = Self::try_open(link, deadline).await;
        let outcome = if opened.is_ok() { "success" } else { "unavailable" };
        metrics::directory_operation(&link.provider, "connect", outcome, started.elapsed());
        opened
    }

    async fn try_open(link: &Link, deadline: Instant) -> Result<Self, Trouble> {
        let mut tasks = JoinSet::new();
        let connect = until(link.limits.connect, deadline);
        let (stream, ending) =
            wire::open(&link.endpoint, link.tls.as_ref(), connect, || until(link.limits.tls, deadline), &mut tasks).await?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(stream));
        let (driver, ldap) =
            LdapConnAsync::with_settings(settings, "ldapi:///").await.map_err(|error| Trouble::new("connect", error.to_string()))?;
        tasks.spawn(async move {
            // How it ends is seen by whoever waits for an answer; the reason is in `ending`.
            let _ = driver.drive().await;
        });
        Ok(Self { ldap, ending, provider: Arc::clone(&link.provider), limits: link.limits, pages: Semaphore::new(1), _tasks: tasks })
    }

    /// Binds with a DN and a password. Neither may be empty: that would be an anonymous bind, which always succeeds.
    pub(super) async fn bind(&mut self, dn: &str, password: &SecretString, deadline: Instant) -> Result<Proof, Trouble> {
        let started = Instant::now();
        let proof = self.try_bind(dn, password, deadline).await;
        let outcome = match &proof {
            Ok(Proof::Proven) => "success",
            Ok(Proof::Refused { .. }) => "rejected",
            Err(_) => "unavailable",
        };
        metrics::directory_operation(&self.provider, "bind", outcome, started.elapsed());
        proof
    }

    async fn try_bind(&mut self, dn: &str, password: &SecretString, deadline: Instant) -> Result<Proof, Trouble> {
        let secret = password.expose_secret();
        if dn.is_empty() || secret.is_empty() || secret.contains('\0') {
            return Err(Trouble::new("bind", "refused to send an empty name or password"));
        }
        let policy = RawControl { ctype: PASSWORD_POLICY.to_owned(), crit: false, val: None };
        let bind = self.ldap.with_controls(policy).simple_bind(dn, secret);
        let answer: LdapResult = guarded("bind", until(self.limits.bind, deadline), &self.ending, bind).await?;
        let control = answer.ctrls.iter().find(|control| control.1.ctype == PASSWORD_POLICY);
        // A control without a value is as unreadable as one that does not parse.
        let policy = control.map(|control| control.1.val.as_deref().unwrap_or_default());
        answer::judge(answer.rc, &answer.text, policy)
    }

    /// All entries, or trouble: never a part of them. Searches may run at the same time; a bind may not.
    pub(super) async fn search(&self, search: &Search<'_>, deadline: Instant) -> Result<Vec<Entry>, Trouble> {
        let started = Instant::now();
        let found = self.try_search(search, deadline).await;
        let outcome = if found.is_ok() { "success" } else { "unavailable" };
        metrics::directory_operation(&self.provider, "search", outcome, started.elapsed());
        found
    }

    /// At once, as few searches find many; where the directory's size limit cuts the answer, once more in pages.
    async fn try_search(&self, search: &Search<'_>, deadline: Instant) -> Result<Vec<Entry>, Trouble> {
        let first = self.answer(search, None, deadline).await?;
        if first.result.rc == SIZE_LIMIT && search.at_most.is_none() {
            return self.in_pages(search, deadline).await;
        }
        let enough = search.at_most.is_some_and(|wanted| first.result.rc == SIZE_LIMIT && first.entries.len() >= usize::from(wanted));
        first.whole(search, enough)
    }

    async fn in_pages(&self, search: &Search<'_>, deadline: Instant) -> Result<Vec<Entry>, Trouble> {
        let turn = timeout_at(until(self.limits.search, deadline), self.pages.acquire()).await;
        let _turn = turn.map_err(|_| Trouble::timeout("search"))?.map_err(|error| Trouble::new("search", error.to_string()))?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        let mut cookie = Vec::new();
        loop {
            let page = self.answer(search, Some(cookie), deadline).await?;
            let control = page.result.ctrls.iter().find(|control| control.1.ctype == PAGED_RESULTS);
            let next = paging::next(control.map(|control| control.1.val.as_deref().unwrap_or_default()))
                .map_err(|error| Trouble::new("search", format!("the paged results control cannot be read: {error}")))?;
            bytes += page.bytes;
            entries.extend(page.whole(search, false)?);
            if entries.len() > MAX_ENTRIES || bytes > MAX_BYTES {
                return Err(too_many(search));
            }
            match next {
                Some(next) => cookie = next,
                None => return Ok(entries),
            }
        }
    }

    /// What the directory says to one request: all of it, or the page that a cookie stands for.
    async fn answer(&self, search: &Search<'_>, page: Option<Vec<u8>>, deadline: Instant) -> Result<Answer, Trouble> {
        let limit = self.limits.search;
        let seconds = i32::try_from(limit.as_secs()).unwrap_or(i32::MAX).max(1);
        let options = SearchOptions::new().timelimit(seconds).sizelimit(search.at_most.map_or(0, i32::from));
        let mut ldap = self.ldap.clone();
        ldap.with_search_options(options);
        if let Some(cookie) = page {
            ldap.with_controls(paging::request(cookie));
        }
        // A stream, as `search()` keeps an entry in its tables for every search of a connection.
        let work = async {
            let (mut entries, mut bytes) = (Vec::new(), 0);
            let mut stream = ldap.streaming_search(search.base, search.scope, search.filter.as_str(), search.attributes.to_vec()).await?;
            while let Some(item) = stream.next().await? {
                // Referrals and intermediate messages are no entries; referrals are never followed.
                if !item.is_ref() && !item.is_intermediate() && entries.len() <= MAX_ENTRIES && bytes <= MAX_BYTES {
                    let entry = Entry::from(SearchEntry::construct(item));
                    bytes += entry.size();
                    entries.push(entry);
                }
            }
            Ok(Answer { entries, bytes, result: stream.finish().await })
        };
        guarded("search", until(limit, deadline), &self.ending, work).await
    }
}

/// The answer to one request of a search.
struct Answer {
    entries: Vec<Entry>,
    bytes: usize,
    result: LdapResult,
}

impl Answer {
    /// The entries, unless they are a part only or too many.
    fn whole(self, search: &Search<'_>, enough: bool) -> Result<Vec<Entry>, Trouble> {
        if self.result.rc != 0 && !enough {
            return Err(Trouble::code("search", self.result.rc, &format!("base `{}`: {}", search.base, self.result.text)));
        }
        if self.entries.len() > MAX_ENTRIES || self.bytes > MAX_BYTES { Err(too_many(search)) } else { Ok(self.entries) }
    }
}

fn too_many(search: &Search<'_>) -> Trouble {
    Trouble::new("search", format!("more than {MAX_ENTRIES} entries or {MAX_BYTES} bytes below `{}`", search.base))
}

/// The end of a step: its own limit or the request's deadline, whichever comes first.
pub(super) fn until(limit: Duration, deadline: Instant) -> Instant {
    deadline.min(Instant::now() + limit)
}

/// Runs one operation of ldap3: in time, with its panics (malformed answers) and lost connections as trouble.
async fn guarded<T>(
    operation: &'static str,
    until: Instant,
    ending: &Ending,
    work: impl Future<Output = Result<T, LdapError>>,
) -> Result<T, Trouble> {
    match timeout_at(until, AssertUnwindSafe(work).catch_unwind()).await {
        Err(_) => Err(Trouble::timeout(operation)),
        Ok(Err(_)) => Err(Trouble::new(operation, "the directory's answer cannot be read")),
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(error))) => Err(Trouble::new(operation, ending.reason().unwrap_or_else(|| error.to_string()))),
    }
}
