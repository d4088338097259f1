//! The one way to an issuer: no redirects, nothing of the environment, caps on size and time, and a breaker.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use openidconnect::HttpRequest;
use openidconnect::http::header::{ACCEPT, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use openidconnect::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use url::Url;
use zeroize::Zeroizing;

use super::address::{self, Resolver};
use super::breaker::{Breaker, End};
use super::trouble::{Trouble, printable};

/// The words for requests that are refused (RFC 6749 §5.2).
const REQUEST_ERRORS: [&str; 6] =
    ["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"];
/// No document of an issuer is larger.
const MAX_BODY: usize = 1024 * 1024;
/// Most answers that hold tokens are smaller.
const USUAL_BODY: usize = 16 * 1024;
/// One that cannot be reached by then is down.
const CONNECT: Duration = Duration::from_secs(2);
/// The whole of a request.
const TOTAL: Duration = Duration::from_secs(5);
/// Connections that nobody uses.
const IDLE: Duration = Duration::from_mins(1);
/// An issuer that had less time than this did not fail.
const FAIR: Duration = Duration::from_secs(2);
/// Requests at a time; what is beyond that waits.
const IN_FLIGHT: usize = 64;
/// Anybody may begin a device login, so they have less.
const DEVICE_STARTS: usize = 8;
/// Nobody waits for what is ended.
const REVOCATIONS: usize = 1;
/// `Retry-After` where a 429 has none.
const THROTTLED: Duration = Duration::from_secs(10);
/// What is believed of `Retry-After`.
const LONGEST_RETRY: Duration = Duration::from_mins(5);

/// Requests of one lane share a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Metadata, keys, userinfo, and looks at people who signed in earlier.
    Main,
    /// Codes, passwords, and questions about device logins. Anybody can cause them, so what an issuer does about too many of them
    /// must not end the logins of others.
    SignIn,
    /// Beginnings of device logins: issuers limit them apart, and nobody has to prove anything to cause one.
    DeviceStart,
    /// Refresh tokens that are given back: nobody waits for it, and what comes of it says nothing of those who sign in.
    Revocation,
}

/// What an issuer answered. Never an outage: those are [`Trouble`].
#[derive(Clone)]
pub(super) struct Answer {
    /// 2xx or 4xx, and not 429.
    pub(super) status: StatusCode,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// May hold tokens.
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// Whether it says that it is JSON, or says nothing.
    pub(super) fn is_json(&self) -> bool {
        let Some(value) = self.headers.get(CONTENT_TYPE) else { return true };
        let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json")
    }

    /// A document that was asked for: 200, and JSON.
    pub(super) fn document(&self) -> Result<&[u8], Trouble> {
        if self.status != StatusCode::OK {
            return Err(Trouble::new("answer", format!("HTTP status {}", self.status.as_u16())).status(self.status.as_u16()));
        }
        if !self.is_json() {
            let given = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            return Err(Trouble::new("answer", format!("the content type is `{}`, not JSON", printable(given))));
        }
        Ok(&self.body)
    }

    /// The same, read. What is wrong with it is said by its place: a value may be a secret.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Trouble> {
        serde_json::from_slice(self.document()?).map_err(|error| {
            let kind = if error.is_data() { "lacks a value, or has one of another kind" } else { "is no JSON" };
            Trouble::new("answer", format!("the document {kind} (line {}, column {})", error.line(), error.column()))
        })
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// The client of one issuer.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    issuer: Url,
    main: Gate,
    sign_ins: Gate,
    device_starts: Gate,
    revocations: Gate,
}

#[derive(Debug)]
struct Gate {
    breaker: Breaker,
    places: Semaphore,
}

impl Gate {
    fn new(places: usize) -> Self {
        Self { breaker: Breaker::default(), places: Semaphore::new(places) }
    }
}

impl Http {
    /// Trusts `roots` alone.
    pub(super) fn new(issuer: Url, roots: rustls::RootCertStore, proxy: Option<&str>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .dns_resolver(Resolver)
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("narrows/", env!("CARGO_PKG_VERSION")));
        let builder = match proxy {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy).map_err(|error| reason(&error.without_url()))?),
            None => builder,
        };
        let client = builder.build().map_err(|error| reason(&error))?;
        Ok(Self {
            client,
            issuer,
            main: Gate::new(IN_FLIGHT),
            sign_ins: Gate::new(IN_FLIGHT),
            device_starts: Gate::new(DEVICE_STARTS),
            revocations: Gate::new(REVOCATIONS),
        })
    }

    /// Asks once. 3xx, 5xx and 429 are no answers.
    pub(super) async fn send(&self, request: HttpRequest, lane: Lane, deadline: Instant) -> Result<Answer, Trouble> {
        let request = reqwest::Request::try_from(request).map_err(|_| Trouble::new("request", "the URL is none").ours().unsent())?;
        let host = request.url().host_str().unwrap_or_default().to_owned();
        address::check(request.url(), &self.issuer)
            .map_err(|why| Trouble::new(&host, format!("the URL is not asked: {why}")).ours().unsent())?;
        let gate = match lane {
            Lane::Main => &self.main,
            Lane::SignIn => &self.sign_ins,
            Lane::DeviceStart => &self.device_starts,
            Lane::Revocation => &self.revocations,
        };
        let timed_out = || Trouble::new(&host, "no answer in time").busy();
        let Ok(Ok(_place)) = timeout_at(deadline, gate.places.acquire()).await else {
            return Err(Trouble::new(&host, "too many requests are under way").ours().unsent());
        };
        let pass = gate.breaker.pass().map_err(|held| {
            let trouble = if held.asked_for {
                Trouble::new(&host, "it wants fewer requests, and is not asked for a moment").status(StatusCode::TOO_MANY_REQUESTS.as_u16())
            } else {
                Trouble::new(&host, "it failed too often, and is not asked for a moment")
            };
            // Nobody asked it, so this says nothing new about it.
            trouble.ours().unsent().retry_after(held.wait.max(Duration::from_secs(1)))
        })?;
        let began = Instant::now();
        let ends = deadline.min(began + TOTAL);
        let outcome = timeout_at(ends, self.exchange(request, &host)).await;
        let (result, end) = match outcome {
            Ok(Ok(answer)) => (Ok(answer), End::Answered),
            Ok(Err(trouble)) if trouble.is_throttling() => {
                let wait = trouble.retry_after;
                (Err(trouble), End::Throttled(wait))
            }
            Ok(Err(trouble)) if !trouble.is_issuers => (Err(trouble), End::Answered),
            Ok(Err(trouble)) => (Err(trouble), End::Failed),
            Err(_) if ends - began < FAIR => return Err(timed_out().ours()),
            Err(_) => (Err(timed_out()), End::Failed),
        };
        pass.ended(end);
        result
    }

    /// Comes to a page as a browser would: its status, and where a redirect leads, which is not followed. For an operator who waits for
    /// it, and so apart from the lanes.
    pub(super) async fn visit(&self, url: &Url, deadline: Instant) -> Result<(StatusCode, Option<Url>), Trouble> {
        let host = url.host_str().unwrap_or_default();
        address::check(url, &self.issuer).map_err(|why| Trouble::new(host, format!("the URL is not asked: {why}")).ours().unsent())?;
        let asked = self.client.get(url.clone()).header(ACCEPT, "text/html").send();
        let response = timeout_at(deadline, asked).await.map_err(|_| Trouble::new(host, "no answer in time").ours())?;
        let response = response.map_err(|error| failed(error, host).ours())?;
        let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection());
        let target = location.and_then(|location| response.url().join(location.to_str().ok()?).ok());
        Ok((response.status(), target))
    }

    async fn exchange(&self, request: reqwest::Request, host: &str) -> Result<Answer, Trouble> {
        let mut response = self.client.execute(request).await.map_err(|error| failed(error, host))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_redirection() {
            return Err(Trouble::new(host, redirected(&headers, response.url())).status(status.as_u16()));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            let wait = retry_after(&headers).unwrap_or(THROTTLED);
            return Err(Trouble::new(host, "HTTP status 429: it wants fewer requests").status(429).retry_after(wait).busy());
        }
        let body = whole(&mut response, host).await;
        if status.is_server_error() || status.is_informational() {
            let wait = retry_after(&headers).unwrap_or(super::trouble::RETRY_AFTER);
            let trouble = Trouble::new(host, format!("HTTP status {}", status.as_u16())).status(status.as_u16()).retry_after(wait);
            return Err(if body.is_ok_and(|body| is_about_request(&body)) { trouble.ours() } else { trouble });
        }
        Ok(Answer { status, headers, body: body? })
    }
}

fn failed(error: reqwest::Error, host: &str) -> Trouble {
    let (is_connect, is_timeout) = (error.is_connect(), error.is_timeout());
    let trouble = Trouble::new(host, reason(&error.without_url()));
    match (is_connect, is_timeout) {
        (true, _) => trouble.unsent(),
        (false, true) => trouble.busy(),
        (false, false) => trouble,
    }
}

/// The body, where it is not too large.
async fn whole(response: &mut reqwest::Response, host: &str) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let too_large = || Trouble::new(host, "the answer is larger than 1 MiB");
    let length = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
    if length > MAX_BODY {
        return Err(too_large());
    }
    // As large as it will be: what grows leaves copies behind.
    let mut body = Zeroizing::new(Vec::with_capacity(length.max(USUAL_BODY)));
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(error, host))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Whether it holds a word of RFC 6749 §5.2. Dex puts one into a 500 where somebody is gone whose refresh token it is shown: what it says
/// of one person must keep nobody else from asking, nor let that person be served from memory.
fn is_about_request(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Failure {
        error: String,
    }
    serde_json::from_slice::<Failure>(body).is_ok_and(|failure| REQUEST_ERRORS.contains(&failure.error.as_str()))
}

/// Where a redirect leads, as far as it may be told: the path may hold a secret.
fn redirected(headers: &HeaderMap, from: &Url) -> String {
    let target = headers.get(LOCATION).and_then(|location| from.join(location.to_str().ok()?).ok());
    let host = target.as_ref().and_then(Url::host_str).unwrap_or("nowhere");
    format!("it answered with a redirect to `{}`, which is never followed; is the issuer's URL the final one?", printable(host))
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3); one with a date is taken for none.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY))
}

/// What lies at the bottom of an error, which is where the cause is.
fn reason(error: &reqwest::Error) -> String {
    let what = match () {
        () if error.is_timeout() => "no answer in time",
        () if error.is_connect() => "cannot connect",
        () if error.is_body() || error.is_decode() => "the answer broke off",
        () => "the request failed",
    };
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| what.to_owned(), |cause| format!("{what}: {}", printable(&cause.to_string())))
}
