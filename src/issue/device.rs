//! Device logins of a credential helper: it begins one, shows the person where to go, and asks until the person is done.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;
use url::Url;

use super::device_flow::{Flows, NewFlow, PollError, Polled, StartError};
use super::record::Record;
use super::{Client, GrantType, Issuer, RETRY_AFTER, Refusal, Service, TokenRequest, look, randomness, refused};
use crate::authn::credentials::Credentials;
use crate::authn::oidc::{DeviceStartError, RelyingParty, SignedIn};
use crate::registry::ScopeRequest;
use crate::store::{PendingKind, StoreError};
use crate::token::identity_token::{Birth, Born};

/// When too many are under way, one of them is over after some minutes.
pub(super) const TOO_MANY: Duration = Duration::from_mins(1);

/// A helper wants to log somebody in.
#[derive(Debug)]
pub struct DeviceStartRequest {
    /// The registry that the login is for.
    pub service: Option<String>,
    /// The issuer; needed where several offer a device login.
    pub provider: Option<String>,
    /// Whose request it is.
    pub client: Client,
    /// The id of this request in logs and audit.
    pub id: String,
    /// When the request was received.
    pub received: Instant,
}

/// A device login that began.
#[derive(Debug)]
pub struct DeviceStarted {
    /// 256 random bits that the helper asks with; its own secret.
    pub flow: SecretString,
    /// At which issuer.
    pub provider: String,
    /// Where the person goes.
    pub verification_uri: Url,
    /// The same with the code filled in.
    pub verification_uri_complete: Option<Url>,
    /// What the person types there.
    pub user_code: String,
    /// Seconds that the person has.
    pub expires_in: u64,
    /// Seconds between two questions.
    pub interval: u64,
}

/// A helper asks whether the person is done.
#[derive(Debug)]
pub struct DevicePollRequest {
    /// What [`DeviceStarted`] held.
    pub flow: SecretString,
    /// Whose request it is.
    pub client: Client,
    /// The id of this request in logs and audit.
    pub id: String,
    /// When the request was received.
    pub received: Instant,
}

/// Somebody logged in.
#[derive(Debug)]
pub struct DeviceLogin {
    /// The canonical username.
    pub username: String,
    /// The identity token.
    pub identity_token: SecretString,
    /// The registry that it is for.
    pub service: String,
    /// Seconds that it lives at most.
    pub expires_in: u64,
}

/// Why a device login does not begin or go on. Nothing here quotes an issuer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceRefusal {
    /// As any other request.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No issuer has one.
    #[error("no issuer here offers a device login")]
    NotOffered,
    /// Not one of those that offer it: they are named.
    #[error("no issuer of this name offers a device login: name one of {0}")]
    UnknownProvider(String),
    /// Several offer it: they are named.
    #[error("several issuers offer a device login: name one of {0}")]
    SeveralProviders(String),
    /// The person is not done.
    #[error("the person has not approved the login yet")]
    Pending {
        /// Seconds until the next question.
        interval: u64,
    },
    /// The same, and from now on no more often than this.
    #[error("ask less often")]
    SlowDown {
        /// Seconds until the next question.
        interval: u64,
    },
    /// The person, the issuer or the configuration says no.
    #[error("the login was refused: ask your administrator, or begin again")]
    Denied,
    /// Nobody approved it in time.
    #[error("nobody approved the login in time: begin again")]
    Expired,
    /// Never begun, or over.
    #[error("there is no such device login: begin again")]
    UnknownFlow,
}

impl Issuer {
    /// Begins a device login.
    pub async fn start_device(&self, request: DeviceStartRequest) -> Result<DeviceStarted, DeviceRefusal> {
        let service = self.named_service(request.service.as_deref())?;
        let party = self.device_issuer(request.provider.as_deref())?;
        let flow = randomness::secret()?;
        let (source, provider) = (request.client.network(), party.names().provider.to_string());
        let fingerprint = self.authenticator.fingerprint(&provider).ok_or(DeviceRefusal::NotOffered)?;
        let new = NewFlow {
            kind: PendingKind::DeviceFlow,
            key: &flow,
            source: &source,
            provider: &provider,
            fingerprint: &fingerprint,
            service: &service.name.value,
            lock: None,
        };
        let deadline = request.received + self.request_deadline;
        let mut complete = None;
        let ask = async {
            let answer = party.start_device(deadline).await?;
            complete.clone_from(&answer.verification_uri_complete);
            Ok(answer)
        };
        let kept = self.flows().begin(new, ask).await.map_err(|error| not_started(&error, &request.id, &provider))?;
        tracing::info!(request_id = %request.id, provider, "a device login begins at {provider}");
        let verification_uri = kept.verification_uri.parse().map_err(|_| Refusal::Unavailable { retry_after: RETRY_AFTER })?;
        Ok(DeviceStarted {
            flow,
            provider,
            verification_uri,
            verification_uri_complete: complete,
            user_code: kept.user_code.clone(),
            expires_in: positive(kept.ends.saturating_sub(self.clock.now().0)),
            interval: positive(kept.interval),
        })
    }

    /// Asks what became of one. What it grants is written to the audit before it leaves.
    pub async fn poll_device(&self, poll: DevicePollRequest) -> Result<DeviceLogin, DeviceRefusal> {
        let (kind, flows) = (PendingKind::DeviceFlow, self.flows());
        let found = flows.find(kind, &poll.flow).await.map_err(|error| unavailable(&error))?;
        let Some((_, flow)) = found else { return Err(DeviceRefusal::UnknownFlow) };
        let request = TokenRequest {
            service: Some(flow.service.clone()),
            scopes: ScopeRequest::default(),
            credentials: Credentials::Anonymous,
            grant: GrantType::Basic,
            offline: true,
            client: poll.client,
            id: poll.id,
            received: poll.received,
        };
        let mut record = Record::of(self, &request);
        record.because("device_login");
        let deadline = poll.received + self.request_deadline;
        let polled = match self.device_issuer(Some(&flow.provider)) {
            Ok(party) if self.is_still(&flow.provider, &flow.fingerprint) => {
                flows.poll(kind, &poll.flow, self.request_deadline, async |code| party.poll_device(&code, deadline).await).await
            }
            // The configuration changed meanwhile.
            Ok(_) | Err(_) => flows.end(kind, &poll.flow).await.map(|_| Polled::Ended("provider_changed")).map_err(Into::into),
        };
        let (result, why) = match polled {
            Ok(Polled::Unknown) => return Err(DeviceRefusal::UnknownFlow),
            Ok(Polled::Pending(interval)) => return Err(DeviceRefusal::Pending { interval: positive(interval) }),
            Ok(Polled::SlowDown(interval)) => return Err(DeviceRefusal::SlowDown { interval: positive(interval) }),
            Ok(Polled::Ended("expired")) => return Err(DeviceRefusal::Expired),
            Ok(Polled::Ended(reason)) => {
                refused::turned_away(&request.id, &flow.provider, reason);
                record.because(reason);
                (Err(Refusal::Rejected), DeviceRefusal::Denied)
            }
            Ok(Polled::SignedIn(signed_in)) => (self.log_in(&request, &signed_in, &mut record).await, DeviceRefusal::Denied),
            Err(PollError::Issuer(error)) => {
                record.unavailable(&error.provider);
                tracing::warn!(request_id = %request.id, error = %error, "a device login could not be asked about");
                return Err(Refusal::Unavailable { retry_after: error.retry_after }.into());
            }
            Err(PollError::Store(error)) => return Err(unavailable(&error).into()),
        };
        self.conclude(record, result, &request).await.map_err(|refusal| if refusal.is_rejection() { why } else { refusal.into() })
    }

    /// Somebody signed in at the issuer, and this request alone may have the identity token.
    async fn log_in(&self, request: &TokenRequest, signed_in: &SignedIn, record: &mut Record) -> Result<DeviceLogin, Refusal> {
        let service = self.service(request.service.as_deref(), record)?;
        self.let_in(request, service, signed_in, record).await?;
        let identity = &signed_in.identity;
        let birth = Birth { how: Born::Device, source: request.client.source() };
        let minted = self.mint(identity, service.name(), signed_in.renewal.clone(), birth).await?;
        let identity_token = minted.ok_or(Refusal::Rejected)?;
        let presented = self.identity_tokens.present(&identity_token, service.name()).await;
        let ends = presented.map(|presented| presented.ends).map_err(|error| {
            tracing::error!(error = %error, "an identity token that was just made cannot be read");
            Refusal::Unavailable { retry_after: RETRY_AFTER }
        })?;
        let expires_in = positive(ends.since(self.clock.now()));
        Ok(DeviceLogin { username: identity.username.clone(), identity_token, service: service.name().to_owned(), expires_in })
    }

    /// Somebody signed in at an issuer a moment ago; here they may be unwelcome all the same.
    pub(super) async fn let_in(
        &self,
        request: &TokenRequest,
        service: Service<'_>,
        SignedIn { identity, renewal }: &SignedIn,
        record: &mut Record,
    ) -> Result<(), Refusal> {
        look::pass_on(&self.authenticator, &self.identity_tokens, identity, renewal.as_ref(), self.clock.now()).await;
        record.identified(service.policy, identity, false);
        if let Err(rejection) = self.authenticator.admits(identity, request.client.source()) {
            record.because(rejection.as_str());
            self.leave(identity, self.authenticator.fingerprint(&identity.provider), renewal.clone()).await;
            return Err(Refusal::Rejected);
        }
        Ok(())
    }

    pub(super) fn flows(&self) -> Flows<'_> {
        Flows { store: &self.store, clock: &self.clock }
    }

    /// The issuer of a device login: the one that is named, or the only one.
    pub(super) fn device_issuer(&self, name: Option<&str>) -> Result<&RelyingParty, DeviceRefusal> {
        let mut offered = self.authenticator.relying_parties().filter(|party| party.device_grant().enabled);
        let names = || {
            let offered = self.authenticator.relying_parties().filter(|party| party.device_grant().enabled);
            offered.map(|party| &*party.names().provider).collect::<Vec<_>>().join(", ")
        };
        match name.filter(|name| !name.is_empty()) {
            Some(name) => match offered.find(|party| *party.names().provider == *name) {
                Some(party) => Ok(party),
                None if names().is_empty() => Err(DeviceRefusal::NotOffered),
                None => Err(DeviceRefusal::UnknownProvider(names())),
            },
            None => match (offered.next(), offered.next()) {
                (Some(party), None) => Ok(party),
                (None, _) => Err(DeviceRefusal::NotOffered),
                (Some(_), Some(_)) => Err(DeviceRefusal::SeveralProviders(names())),
            },
        }
    }
}

/// What a client is told where no flow began.
pub(super) fn not_started(error: &StartError, id: &str, provider: &str) -> DeviceRefusal {
    match error {
        StartError::TooMany => Refusal::TooManyLogins { retry_after: TOO_MANY }.into(),
        StartError::Issuer(DeviceStartError::NotOffered) => {
            tracing::error!(request_id = id, provider, "{provider} offers no device login: set device_grant: {{enabled: false}}");
            DeviceRefusal::NotOffered
        }
        StartError::Issuer(DeviceStartError::Throttled { retry_after }) => {
            tracing::warn!(request_id = id, provider, "{provider} wants fewer device logins");
            Refusal::TooManyLogins { retry_after: *retry_after }.into()
        }
        StartError::Issuer(DeviceStartError::Unavailable(error)) => {
            tracing::warn!(request_id = id, provider, error = %error, "a device login could not begin");
            Refusal::Unavailable { retry_after: error.retry_after }.into()
        }
        StartError::Store(error) => unavailable(error).into(),
    }
}

pub(super) fn unavailable(error: &StoreError) -> Refusal {
    tracing::error!(error = %error, "device logins cannot be read or written");
    Refusal::Unavailable { retry_after: RETRY_AFTER }
}

fn positive(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0)
}
