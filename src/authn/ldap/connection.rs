//! One connection: bind and search, each within its time, and no panic of ldap3 gets out of here.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ldap3::asn1::StructureTag;
use ldap3::controls::RawControl;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, ResultEntry, Scope, SearchEntry, SearchOptions, StdStream};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::answer::{self, PASSWORD_POLICY, Proof};
use super::carry::{CUT, Ending, MAX_ENTRIES, MAX_SEARCH};
use super::endpoint::Endpoint;
use super::entry::Entry;
use super::journey::Journey;
use super::paging::{self, PAGED_RESULTS};
use super::template::Filter;
use super::tls::TlsClient;
use super::trouble::Trouble;
use super::wire;
use crate::metrics;

/// The result code of an answer that the directory cut.
const SIZE_LIMIT: u32 = 4;

/// How a server is reached.
#[derive(Debug)]
pub(super) struct Link {
    /// Whose operations are counted.
    pub(super) provider: Arc<str>,
    /// Where it listens.
    pub(super) endpoint: Endpoint,
    /// The same as a metric's label.
    pub(super) label: Arc<str>,
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
    /// Takes the searches that nobody waits for any longer.
    abandoned: mpsc::UnboundedSender<i32>,
    provider: Arc<str>,
    label: Arc<str>,
    limits: Limits,
    /// OpenLDAP remembers one search in pages for each connection.
    pages: Semaphore,
    opened: Instant,
    /// Whether the last bind left it as it should be.
    clean: bool,
    _tasks: JoinSet<()>,
}

impl Connection {
    /// Opens a connection that is bound as nobody.
    pub(super) async fn open(link: &Link, deadline: Instant) -> Result<Self, Trouble> {
        Self::open_watched(link, deadline, &mut Journey::default()).await
    }

    /// The same, with what was met on the way, however far it went.
    pub(super) async fn open_watched(link: &Link, deadline: Instant, journey: &mut Journey) -> Result<Self, Trouble> {
        let started = Instant::now();
        let opened = Self::try_open(link, deadline, journey).await;
        let outcome = if opened.is_ok() { "success" } else { "unavailable" };
        metrics::directory_operation(&link.provider, &link.label, "connect", outcome, started.elapsed());
        if opened.is_ok() {
            metrics::directory_connections(&link.provider, &link.label, 1.0);
        }
        opened
    }

    async fn try_open(link: &Link, deadline: Instant, journey: &mut Journey) -> Result<Self, Trouble> {
        let mut tasks = JoinSet::new();
        let connect = until(link.limits.connect, deadline);
        let (stream, ending) =
            wire::open(&link.endpoint, link.tls.as_ref(), connect, || until(link.limits.tls, deadline), &mut tasks, journey).await?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(stream));
        let (driver, ldap) =
            LdapConnAsync::with_settings(settings, "ldapi:///").await.map_err(|error| Trouble::new("connect", error.to_string()))?;
        tasks.spawn(async move {
            // How it ends is seen by whoever waits for an answer; the reason is in `ending`.
            let _ = driver.drive().await;
        });
        let (abandoned, given_up) = mpsc::unbounded_channel();
        tasks.spawn(abandon(ldap.clone(), given_up));
        Ok(Self {
            ldap,
            ending,
            abandoned,
            provider: Arc::clone(&link.provider),
            label: Arc::clone(&link.label),
            limits: link.limits,
            pages: Semaphore::new(1),
            opened: Instant::now(),
            clean: true,
            _tasks: tasks,
        })
    }

    /// How it ends, or ended.
    pub(super) fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Since when it is open.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Whether somebody else may be bound on it: it lives, and its last bind was answered as one should be.
    pub(super) fn is_clean(&self) -> bool {
        self.clean && self.ending.reason().is_none()
    }

    /// Binds with a DN and a password. Neither may be empty: that would be an anonymous bind, which always succeeds.
    pub(super) async fn bind(&mut self, dn: &str, password: &SecretString, deadline: Instant) -> Result<Proof, Trouble> {
        let started = Instant::now();
        // Also where the caller goes away in the middle of it.
        self.clean = false;
        let proof = match self.try_bind(dn, password, deadline).await {
            Ok(answer) => {
                let proof = judged(&answer);
                self.clean = proof.is_ok() && matches!(answer.rc, 0 | 49);
                proof
            }
            Err(trouble) => Err(trouble),
        };
        self.count("bind", outcome_of(&proof), started);
        proof
    }

    async fn try_bind(&mut self, dn: &str, password: &SecretString, deadline: Instant) -> Result<LdapResult, Trouble> {
        let secret = password.expose_secret();
        if dn.is_empty() || secret.is_empty() || secret.contains('\0') {
            return Err(Trouble::new("bind", "refused to send an empty name or password"));
        }
        let policy = RawControl { ctype: PASSWORD_POLICY.to_owned(), crit: false, val: None };
        let bind = self.ldap.with_controls(policy).simple_bind(dn, secret);
        guarded("bind", until(self.limits.bind, deadline), &self.ending, bind).await
    }

    /// Binds as whom the client certificate says (SASL EXTERNAL).
    pub(super) async fn bind_external(&mut self, deadline: Instant) -> Result<Proof, Trouble> {
        let started = Instant::now();
        let bind = self.ldap.sasl_external_bind();
        let answer = guarded("bind", until(self.limits.bind, deadline), &self.ending, bind).await;
        let proof = answer.and_then(|answer| judged(&answer));
        self.count("bind", outcome_of(&proof), started);
        proof
    }

    /// All entries, or trouble: never a part of them. Searches may run at the same time; a bind may not.
    pub(super) async fn search(&self, search: &Search<'_>, deadline: Instant) -> Result<Vec<Entry>, Trouble> {
        let started = Instant::now();
        let found = self.try_search(search, deadline).await;
        self.count("search", if found.is_ok() { "success" } else { "unavailable" }, started);
        found
    }

    /// At once, as few searches find many; where the directory's size limit cuts the answer, once more in pages.
    async fn try_search(&self, search: &Search<'_>, deadline: Instant) -> Result<Vec<Entry>, Trouble> {
        let first = self.answer(search, None, deadline).await?;
        if first.result.rc == SIZE_LIMIT && search.at_most.is_none() {
            return self.in_pages(search, deadline).await;
        }
        let found = first.entries.as_ref().map_or(0, Vec::len);
        let enough = search.at_most.is_some_and(|wanted| first.result.rc == SIZE_LIMIT && found >= usize::from(wanted));
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
            let page = page.whole(search, false)?;
            bytes += page.iter().map(Entry::size).sum::<usize>();
            entries.extend(page);
            if entries.len() > MAX_ENTRIES || bytes > MAX_SEARCH {
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
        let until = until(limit, deadline);
        let work = async {
            let mut entries = Vec::new();
            let mut stream = ldap.streaming_search(search.base, search.scope, search.filter.as_str(), search.attributes.to_vec()).await?;
            let mut running = Running { id: stream.ldap_handle().last_id(), abandoned: Some(&self.abandoned) };
            loop {
                let Ok(item) = timeout_at(until, stream.next()).await else {
                    // Unless it is told so, ldap3 keeps the search's number for as long as the connection lives.
                    stream.finish().await;
                    return Ok(None);
                };
                let Some(item) = item? else { break };
                // Referrals and intermediate messages are no entries; referrals are never followed.
                if !item.is_ref() && !item.is_intermediate() {
                    entries.push(read_entry(item));
                }
            }
            let result = stream.finish().await;
            if !is_cut(&result) {
                running.abandoned = None;
            }
            Ok(Some(Answer { entries: entries.into_iter().collect(), result }))
        };
        guarded("search", until, &self.ending, work).await?.ok_or_else(|| Trouble::timeout("search"))
    }

    fn count(&self, operation: &'static str, outcome: &'static str, started: Instant) {
        metrics::directory_operation(&self.provider, &self.label, operation, outcome, started.elapsed());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        metrics::directory_connections(&self.provider, &self.label, -1.0);
    }
}

/// A search whose end is not seen yet. Dropped before, it tells the directory to stop: ldap3 does not.
struct Running<'a> {
    id: i32,
    abandoned: Option<&'a mpsc::UnboundedSender<i32>>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(abandoned) = self.abandoned {
            // Where nobody takes it any longer, the connection is gone and the search with it.
            let _ = abandoned.send(self.id);
        }
    }
}

/// Tells the directory which searches nobody waits for.
async fn abandon(mut ldap: Ldap, mut given_up: mpsc::UnboundedReceiver<i32>) {
    while let Some(id) = given_up.recv().await {
        if ldap.abandon(id).await.is_err() {
            return;
        }
    }
}

fn judged(answer: &LdapResult) -> Result<Proof, Trouble> {
    let control = answer.ctrls.iter().find(|control| control.1.ctype == PASSWORD_POLICY);
    // A control without a value is as unreadable as one that does not parse.
    let policy = control.map(|control| control.1.val.as_deref().unwrap_or_default());
    answer::judge(answer.rc, &answer.text, policy)
}

fn outcome_of(proof: &Result<Proof, Trouble>) -> &'static str {
    match proof {
        Ok(Proof::Proven { .. }) => "success",
        Ok(Proof::Refused { .. }) => "rejected",
        Err(_) => "unavailable",
    }
}

/// `SEQUENCE { name, SEQUENCE OF SEQUENCE { type, SET OF value } }`; `None` where it is something else. ldap3's own reader
/// panics there.
fn read_entry(item: ResultEntry) -> Option<Entry> {
    let mut parts = item.0.expect_constructed()?.into_iter();
    let dn = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
    let mut values: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
    for attribute in parts.next()?.expect_constructed()? {
        let mut parts = attribute.expect_constructed()?.into_iter();
        let name = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
        let found = parts.next()?.expect_constructed()?.into_iter().map(StructureTag::expect_primitive);
        values.entry(name).or_default().extend(found.collect::<Option<Vec<_>>>()?);
    }
    Some(Entry::from(SearchEntry { dn, attrs: HashMap::new(), bin_attrs: values }))
}

/// The answer to one request of a search.
struct Answer {
    /// `None` where one of them cannot be read.
    entries: Option<Vec<Entry>>,
    result: LdapResult,
}

impl Answer {
    /// The entries, unless they are a part only or too many.
    fn whole(self, search: &Search<'_>, enough: bool) -> Result<Vec<Entry>, Trouble> {
        if is_cut(&self.result) {
            return Err(too_many(search));
        }
        if self.result.rc != 0 && !enough {
            let said = if self.result.text.is_empty() { String::new() } else { format!(": {}", self.result.text) };
            return Err(Trouble::code("search", self.result.rc, &format!("base `{}`{said}", search.base)));
        }
        self.entries.ok_or_else(|| Trouble::new("search", "the directory's answer cannot be read"))
    }
}

/// Whether the guard on the way ended this search.
fn is_cut(result: &LdapResult) -> bool {
    result.rc == 11 && result.text == CUT
}

fn too_many(search: &Search<'_>) -> Trouble {
    Trouble::new("search", format!("more than {MAX_ENTRIES} entries or {MAX_SEARCH} bytes below `{}`", search.base))
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
        Ok(Ok(Err(LdapError::FilterParsing))) => Err(Trouble::new(operation, "the filter cannot be read")),
        Ok(Ok(Err(error))) => Err(Trouble::lost(operation, ending.reason().unwrap_or_else(|| error.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::fake::{Fake, SERVICE};
    use super::*;

    async fn connected(fake: &Fake) -> Connection {
        let mut connection = Connection::open(&fake.link(), soon()).await.unwrap();
        let password = SecretString::from("secret".to_owned());
        assert_eq!(connection.bind(SERVICE, &password, soon()).await, Ok(Proof::Proven { expires_in: None }));
        connection
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    async fn search(connection: &Connection, deadline: Instant) -> Result<Vec<Entry>, Trouble> {
        let filter = Filter::any();
        let search = Search { base: "dc=x", scope: Scope::Subtree, filter: &filter, attributes: &["uid"], at_most: None };
        connection.search(&search, deadline).await
    }

    #[tokio::test]
    async fn searches_leave_nothing_behind() {
        let fake = Fake::start().await;
        fake.seen.entries.store(2, Ordering::SeqCst);
        let connection = connected(&fake).await;
        for _ in 0..1000 {
            assert_eq!(search(&connection, soon()).await.map(|found| found.len()), Ok(2));
        }
        tokio::task::yield_now().await;
        let tables = format!("{:?}", connection.ldap);
        assert!(tables.len() < 1200, "{} bytes: {tables}", tables.len());
        assert_eq!(fake.count(|seen| &seen.abandoned), 0);
    }

    #[tokio::test]
    async fn a_search_that_nobody_waits_for_is_abandoned() {
        let fake = Fake::start().await;
        let connection = connected(&fake).await;
        fake.seen.silent.store(true, Ordering::SeqCst);
        let late = search(&connection, Instant::now() + Duration::from_millis(50)).await;
        assert!(late.unwrap_err().is_late());
        // The caller goes away.
        let _ = tokio::time::timeout(Duration::from_millis(50), search(&connection, soon())).await;
        for _ in 0..100 {
            if fake.count(|seen| &seen.abandoned) == 2 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(fake.count(|seen| &seen.abandoned), 2);
    }

    #[tokio::test]
    async fn abandoned_searches_leave_nothing_behind() {
        let fake = Fake::start().await;
        let connection = connected(&fake).await;
        fake.seen.silent.store(true, Ordering::SeqCst);
        for _ in 0..300 {
            let _ = search(&connection, Instant::now() + Duration::from_millis(2)).await;
        }
        fake.seen.silent.store(false, Ordering::SeqCst);
        assert_eq!(search(&connection, soon()).await.map(|found| found.len()), Ok(0));
        let tables = format!("{:?}", connection.ldap);
        assert!(tables.len() < 1200, "{} bytes: {tables}", tables.len());
    }

    #[tokio::test]
    async fn a_search_that_grows_too_large_is_trouble_and_the_connection_goes_on() {
        let fake = Fake::start().await;
        fake.seen.entries.store(20_000, Ordering::SeqCst);
        let connection = connected(&fake).await;
        let large = search(&connection, soon()).await.unwrap_err();
        assert!(large.reason.contains("more than 10000 entries"), "{large}");
        assert!(!large.is_of_the_server());
        fake.seen.entries.store(1, Ordering::SeqCst);
        assert_eq!(search(&connection, soon()).await.map(|found| found.len()), Ok(1));
    }
}
