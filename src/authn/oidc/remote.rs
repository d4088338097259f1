//! One issuer as it is reached: its metadata, its keys, its HTTP, and the check of what it signed.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use openidconnect::HttpRequest;
use openidconnect::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

pub(super) use super::http::{Answer, Lane};
pub(super) use super::metadata::Metadata;
use super::settings::{ClientAuthentication, OidcSettings};
pub(super) use super::trouble::Trouble;
use super::upstream::Upstream;
use crate::authn::jwt::{Algorithm, Claims, Expected, Hashed, Signed};
use crate::authn::provider::Health;
use crate::authn::trust::{TrustError, roots_of_file, roots_of_system};
use crate::authn::verdict::Unavailable;
use crate::clock::Clock;
use crate::source::{Diagnostics, Place, SourceFile};

/// An issuer and the client that narrows is there.
#[derive(Debug)]
pub(super) struct Remote {
    provider: Arc<str>,
    upstream: Arc<Upstream>,
    client_id: String,
    secret: Option<SecretString>,
    auth: ClientAuthentication,
    algorithms: Vec<Algorithm>,
    /// The client id first.
    audiences: Vec<String>,
    leeway: std::time::Duration,
    clock: Clock,
    /// What the token endpoint says of this client, where it refuses it.
    refused: Arc<Mutex<Option<String>>>,
}

/// What a token has to fit beside the settings.
#[derive(Clone, Copy, Default)]
pub(super) struct Checks<'a> {
    /// The nonce that the browser was sent with; none where there was no browser.
    pub(super) nonce: Option<&'a str>,
    /// The access token that came with it.
    pub(super) access_token: Option<&'a str>,
    /// The code that it was given for.
    pub(super) code: Option<&'a str>,
}

/// Why a token proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unverified {
    /// It is not acceptable; the word of logs and the audit.
    #[error("the token is refused: {0}")]
    Refused(&'static str),
    /// The keys to check it with cannot be had.
    #[error(transparent)]
    Unavailable(#[from] Trouble),
}

impl Remote {
    /// Reads certificates and the secret; asks nobody.
    pub(super) fn build(provider: Arc<str>, settings: &OidcSettings, file: &SourceFile, clock: &Clock) -> Result<Self, Diagnostics> {
        let wrong = |place: Place, message: String| Diagnostics::from(file.error(place, message));
        let mut findings = Diagnostics::default();
        settings.check(file, &mut findings);
        if findings.has_errors() {
            return Err(findings);
        }
        let secret = match &settings.client.secret {
            Some(secret) => Some(secret.value.load(file.folder()).map_err(|error| wrong(secret.place, error.to_string()))?),
            None => None,
        };
        let (place, roots) = match &settings.tls.ca {
            Some(ca) => (ca.file.place, roots_of_file(&file.folder().join(&ca.file.value))),
            None => (settings.issuer.place, roots_of_system()),
        };
        let roots = roots.map_err(|error: TrustError| wrong(place, error.to_string()))?;
        let trusted: Vec<u8> = roots.roots.iter().flat_map(|root| root.subject_public_key_info.iter().copied()).collect();
        let issuer = &settings.issuer;
        let url = Url::parse(&issuer.value).map_err(|error| wrong(issuer.place, format!("`{}` is no URL: {error}", issuer.value)))?;
        let proxy = settings.proxy.as_ref().map(|proxy| proxy.value.clone());
        let mark = format!("{:?}", (&issuer.value, &proxy, digest(&SHA256, &trusted)));
        let upstream = Upstream::new(mark, &issuer.value, &url, roots, proxy.as_deref()).map_err(|error| wrong(issuer.place, error))?;
        Ok(Self {
            provider,
            upstream: Arc::new(upstream),
            client_id: settings.client.id.value.clone(),
            secret,
            auth: settings.client.authentication(),
            algorithms: settings.token_algorithms(),
            audiences: settings.audiences(),
            leeway: settings.tokens.leeway.value.duration(),
            clock: clock.clone(),
            refused: Arc::default(),
        })
    }

    /// The same, with what a former generation knows of the same issuer.
    pub(super) fn succeeding(self, former: &Self) -> Self {
        if self.upstream.mark() != former.upstream.mark() {
            return self;
        }
        let has_same_secret =
            self.client_secret().map(ExposeSecret::expose_secret) == former.client_secret().map(ExposeSecret::expose_secret);
        let is_same = self.client_id == former.client_id && self.auth == former.auth && has_same_secret;
        let refused = if is_same { Arc::clone(&former.refused) } else { self.refused };
        Self { upstream: Arc::clone(&former.upstream), refused, ..self }
    }

    /// The token endpoint looked at what the client asked for.
    pub(super) fn client_is_taken(&self) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The token endpoint does not take narrows for its client: nobody can sign in there, and it answers all the same.
    pub(super) fn client_is_refused(&self, word: &str) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("it refuses the client: {word}"));
    }

    /// Asks in the background for what is due. To be called every second or so.
    pub(super) fn tend(&self) {
        self.upstream.tend();
    }

    /// What the issuer says about itself. Waits only where nothing is known of it yet.
    pub(super) async fn metadata(&self, deadline: Instant) -> Result<Arc<Metadata>, Trouble> {
        self.upstream.metadata(deadline).await
    }

    /// The same, where nobody is to be asked.
    pub(super) fn known_metadata(&self) -> Option<Arc<Metadata>> {
        self.upstream.known_metadata()
    }

    /// Asks one of its endpoints. 3xx, 5xx and 429 are [`Trouble`], with the status in it.
    pub(super) async fn send(&self, request: HttpRequest, lane: Lane, deadline: Instant) -> Result<Answer, Trouble> {
        self.upstream.send(request, lane, deadline).await
    }

    /// Comes to a page of it as a browser would: its status, and where a redirect leads.
    pub(super) async fn visit(&self, url: &Url, deadline: Instant) -> Result<(StatusCode, Option<Url>), Trouble> {
        self.upstream.visit(url, deadline).await
    }

    /// The issuer, as its tokens write it.
    pub(super) fn issuer(&self) -> &str {
        self.upstream.issuer()
    }

    /// What narrows is called there.
    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What proves it.
    pub(super) fn client_secret(&self) -> Option<&SecretString> {
        self.secret.as_ref()
    }

    /// How it is sent.
    pub(super) fn auth(&self) -> ClientAuthentication {
        self.auth
    }

    /// The claims of an `id_token`, if the issuer made it for narrows and it holds now.
    pub(super) async fn verify(&self, token: &str, checks: Checks<'_>, deadline: Instant) -> Result<Claims, Unverified> {
        let refused = Unverified::Refused;
        let token = Signed::parse(token, &self.algorithms).map_err(refused)?;
        let verified = self.upstream.check(&token, deadline).await?.map_err(|error| refused(error.as_str()))?;
        let expected = Expected {
            issuer: self.issuer(),
            audiences: &self.audiences,
            parties: std::slice::from_ref(&self.client_id),
            leeway: self.leeway,
            nonce: checks.nonce,
            hashed: Hashed { access_token: checks.access_token, code: checks.code },
        };
        verified.claims(&expected, self.clock.now()).map_err(refused)
    }

    /// Whether it answered the last time, and took narrows for its client. A refusal is never an outage: nobody is served from memory
    /// because of a secret.
    pub(super) fn health(&self) -> Health {
        let health = self.upstream.health();
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match refused {
            Some(reason) if !matches!(health, Health::Down(_)) => Health::Impaired(reason),
            Some(_) | None => health,
        }
    }

    /// Trouble under the name of the provider.
    pub(super) fn unavailable(&self, trouble: &Trouble) -> Unavailable {
        trouble.unavailable(&self.provider)
    }
}

impl std::fmt::Debug for Checks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checks").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
