//! What is known of an issuer, kept fresh: metadata and keys, and whether it answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openidconnect::HttpRequest;
use openidconnect::http::StatusCode;
use openidconnect::http::header::{ACCEPT, CACHE_CONTROL, HeaderMap, HeaderValue};
use tokio::time::{Instant, sleep_until};
use url::Url;

use super::http::{Answer, Http, Lane};
use super::kept::{Fetched, Flight, Good, Kept, fetch, wait};
use super::metadata::Metadata;
use super::trouble::{Trouble, printable};
use crate::authn::jwt::{KeyError, KeySet, Signed, Verified};
use crate::authn::provider::Health;

/// How long metadata is good.
const METADATA_LIFE: Duration = Duration::from_hours(1);
/// How long keys are good where the issuer says nothing.
const KEYS_LIFE: Duration = Duration::from_mins(15);
/// How much it may say.
const KEYS_LIVES: (Duration, Duration) = (Duration::from_mins(5), Duration::from_hours(24));
/// A set without a key is no set to go by: an issuer may have just begun.
const EMPTY_LIFE: Duration = Duration::from_secs(5);
/// Keys that could not be asked for again are used for so long.
const KEYS_LAST: Duration = Duration::from_hours(24);
/// How long one fetch may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// No document is asked for more often, whoever names which keys.
const FLOOR: Duration = Duration::from_secs(1);
/// A key that the issuer does not have is not looked for again so soon. Not for longer: whoever guesses the name of the next key
/// could keep it unknown.
const MISSING: Duration = Duration::from_secs(5);
/// Keys of a name that does not fit are not taken for replaced more often than this.
const REPLACED: Duration = Duration::from_secs(30);
/// So many names are remembered as missing.
const MAX_MISSING: usize = 1000;

/// One issuer. Generations of the configuration that mean the same one share it.
#[derive(Debug)]
pub(super) struct Upstream {
    mark: String,
    issuer: String,
    url: Url,
    http: Http,
    metadata: Kept<Metadata>,
    keys: Kept<KeySet>,
    /// When a key of this name was looked for in vain.
    missing: Mutex<HashMap<String, Instant>>,
    health: Mutex<Health>,
}

impl Upstream {
    /// Nothing is known yet. Two with one `mark` are the same issuer, reached in the same way.
    pub(super) fn new(mark: String, issuer: &str, url: &Url, roots: rustls::RootCertStore, proxy: Option<&str>) -> Result<Self, String> {
        Ok(Self {
            mark,
            issuer: issuer.to_owned(),
            url: url.clone(),
            http: Http::new(url.clone(), roots, proxy)?,
            metadata: Kept::new(),
            keys: Kept::new(),
            missing: Mutex::default(),
            health: Mutex::new(Health::Unknown),
        })
    }

    /// What makes it another one.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// `iss`.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether it answered the last time.
    pub(super) fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn feels(&self, health: Health) {
        let is_down = |health: &Health| matches!(health, Health::Down(_));
        let mut former = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let fell = is_down(&health) && !is_down(&former);
        *former = health;
        drop(former);
        if fell {
            // Looked at in the background until it answers: while it counts as down, nobody may be sent here to ask.
            self.metadata.make_due();
        }
    }

    /// Asks an endpoint.
    pub(super) async fn send(&self, request: HttpRequest, lane: Lane, deadline: Instant) -> Result<Answer, Trouble> {
        let result = self.http.send(request, lane, deadline).await;
        if lane == Lane::Revocation {
            return result;
        }
        match &result {
            Ok(_) => self.feels(Health::Up),
            Err(trouble) if !trouble.is_issuers || lane == Lane::DeviceStart => {}
            // Nobody is served from memory for that: whoever was disabled could bring it about.
            Err(trouble) if trouble.is_busy => self.feels(Health::Impaired(trouble.to_string())),
            Err(trouble) => self.feels(Health::Down(trouble.to_string())),
        }
        result
    }

    /// Comes to a page as a browser would. What comes of it says nothing about the issuer.
    pub(super) async fn visit(&self, url: &Url, deadline: Instant) -> Result<(StatusCode, Option<Url>), Trouble> {
        self.http.visit(url, deadline).await
    }

    /// Starts what is due.
    pub(super) fn tend(self: &Arc<Self>) {
        if self.metadata.is_due() {
            drop(self.fetch_metadata());
        }
        if self.metadata.good().is_some() && self.keys.is_due() {
            drop(self.fetch_keys());
        }
    }

    /// The last good metadata; where there is none yet, the answer to come.
    pub(super) async fn metadata(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Metadata>, Trouble> {
        if let Some(good) = self.metadata.good() {
            if self.metadata.is_due() {
                drop(self.fetch_metadata());
            }
            return Ok(good.value);
        }
        match self.metadata.failed_within(FLOOR) {
            Some(trouble) => Err(trouble),
            None => wait(self.fetch_metadata(), deadline).await.map(|good| good.value),
        }
    }

    /// The same, where nobody is to be asked.
    pub(super) fn known_metadata(&self) -> Option<Arc<Metadata>> {
        self.metadata.good().map(|good| good.value)
    }

    fn fetch_metadata(self: &Arc<Self>) -> Flight<Metadata> {
        fetch(
            self,
            |upstream| &upstream.metadata,
            |upstream| async move {
                let result = upstream.read_metadata().await.map_err(|trouble| trouble.within("discovery"));
                upstream.judge(&result, upstream.metadata.good().is_some());
                result
            },
        )
    }

    async fn read_metadata(&self) -> Fetched<Metadata> {
        let url = Metadata::url(&self.issuer).map_err(|_| Trouble::new("issuer", "it is no URL"))?;
        let answer = self.http.send(get(&url)?, Lane::Main, Instant::now() + PATIENCE).await?;
        let fresh = Metadata::read(&answer, &self.issuer, &self.url)?;
        if self.metadata.good().is_some_and(|former| former.value.keys() != fresh.keys()) {
            self.keys.make_due();
        }
        Ok((fresh, METADATA_LIFE))
    }

    /// Public keys that are not too old.
    async fn keys(self: &Arc<Self>, deadline: Instant) -> Result<Good<KeySet>, Trouble> {
        if let Some(good) = self.keys.good().filter(|good| good.asked.elapsed() < KEYS_LAST) {
            if self.keys.is_due() {
                drop(self.fetch_keys());
            }
            return Ok(good);
        }
        match self.keys.failed_within(FLOOR) {
            Some(trouble) => Err(trouble),
            None => wait(self.fetch_keys(), deadline).await,
        }
    }

    fn fetch_keys(self: &Arc<Self>) -> Flight<KeySet> {
        fetch(
            self,
            |upstream| &upstream.keys,
            |upstream| async move {
                let result = upstream.read_keys().await.map_err(|trouble| trouble.within("keys"));
                upstream.judge(&result, upstream.keys.good().is_some());
                result
            },
        )
    }

    async fn read_keys(self: &Arc<Self>) -> Fetched<KeySet> {
        let deadline = Instant::now() + PATIENCE;
        let metadata = self.metadata(deadline).await?;
        let answer = self.http.send(get(metadata.keys())?, Lane::Main, deadline).await?;
        let keys = KeySet::parse(answer.document()?).map_err(|why| Trouble::new("answer", why))?;
        if keys.is_empty() {
            tracing::warn!(issuer = %self.issuer, "the issuer publishes no key that can be used; nobody can sign in there");
            return Ok((keys, EMPTY_LIFE));
        }
        Ok((keys, life(&answer.headers)))
    }

    /// What a fetch says of the issuer's health, and of a document that goes on being used.
    fn judge<T>(&self, result: &Fetched<T>, has_former: bool) {
        match result {
            Ok(_) => self.feels(Health::Up),
            Err(trouble) if has_former => {
                tracing::warn!(issuer = %self.issuer, reason = %trouble, "the issuer's documents could not be read again; the last good ones are used");
            }
            Err(trouble) => self.feels(Health::Down(trouble.to_string())),
        }
    }

    /// Whether the issuer's keys made a token. Looks for newer keys where these do not fit, as the issuer may have changed them
    /// since.
    pub(super) async fn check<'t>(
        self: &Arc<Self>,
        token: &Signed<'t>,
        deadline: Instant,
    ) -> Result<Result<Verified<'t>, KeyError>, Trouble> {
        let arrived = Instant::now();
        let mut keys = self.keys(deadline).await?;
        loop {
            if keys.value.is_empty() {
                return Err(Trouble::new("keys", "the issuer publishes no key that can be used"));
            }
            let error = match keys.value.check(token) {
                Ok(verified) => return Ok(Ok(verified)),
                Err(error) => error,
            };
            // Whatever made it was published before it came.
            if keys.asked >= arrived {
                if error == KeyError::Unknown {
                    self.missed(token);
                }
                return Ok(Err(error));
            }
            let patient = match error {
                KeyError::Unknown => !self.is_missing(token),
                KeyError::Signature => keys.asked.elapsed() >= REPLACED,
            };
            if !patient {
                return Ok(Err(error));
            }
            keys = self.newer(&keys, deadline).await?;
        }
    }

    async fn newer(self: &Arc<Self>, than: &Good<KeySet>, deadline: Instant) -> Result<Good<KeySet>, Trouble> {
        let begins = than.asked + FLOOR;
        if begins > Instant::now() {
            if begins >= deadline {
                return Err(Trouble::new("keys", "no time is left to look for a newer key").ours());
            }
            sleep_until(begins).await;
        }
        // Somebody else may have looked meanwhile.
        if let Some(good) = self.keys.good().filter(|good| good.asked > than.asked) {
            return Ok(good);
        }
        match self.keys.failed_within(FLOOR) {
            Some(trouble) => Err(trouble),
            None => wait(self.fetch_keys(), deadline).await,
        }
    }

    fn is_missing(&self, token: &Signed<'_>) -> bool {
        self.names().get(token.key_id().unwrap_or_default()).is_some_and(|since| since.elapsed() < MISSING)
    }

    fn missed(&self, token: &Signed<'_>) {
        let name = token.key_id().unwrap_or_default();
        tracing::debug!(issuer = %self.issuer, key = %printable(name), "a token names a key that the issuer does not publish");
        let mut names = self.names();
        if names.len() >= MAX_MISSING {
            names.retain(|_, since| since.elapsed() < MISSING);
        }
        if names.len() < MAX_MISSING {
            names.insert(name.to_owned(), Instant::now());
        }
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request for a JSON document.
pub(super) fn get(url: &Url) -> Result<HttpRequest, Trouble> {
    let mut request = HttpRequest::new(Vec::new());
    *request.uri_mut() = url.as_str().parse().map_err(|_| Trouble::new("request", "the URL cannot be sent"))?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(request)
}

/// `max-age` (RFC 9111 §5.2.2.1) within bounds.
fn life(headers: &HeaderMap) -> Duration {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut said = KEYS_LIFE;
    for directive in directives.map(|directive| directive.trim().to_ascii_lowercase()) {
        if let Some(seconds) = directive.strip_prefix("max-age=").and_then(|seconds| seconds.trim_matches('"').parse().ok()) {
            said = Duration::from_secs(seconds);
        } else if directive == "no-store" || directive == "no-cache" {
            said = Duration::ZERO;
        }
    }
    said.clamp(KEYS_LIVES.0, KEYS_LIVES.1)
}
