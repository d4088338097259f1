//! Signing in with a browser: off to an issuer and back, and what somebody who did may do here.

mod kept;
mod view;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::time::Instant;
use url::Url;

pub(super) use self::kept::{KeptCode, KeptLeftover, decode, encode};
pub use self::view::{LoginView, ReachView, ServiceView, SignInView};

use self::kept::{KeptSignIn, KeptStart};
use super::{Client, Issuer, RETRY_AFTER, look, randomness, record, refused};
use crate::audit::Outcome;
use crate::authn::identity::{Identity, Method};
use crate::authn::oidc::{Authorization, CallbackAnswer, RelyingParty, SignInError, SignedIn};
use crate::authn::verdict::Unavailable;
use crate::store::{Begun, NewPending, Pending, PendingCaps, PendingKind, StoreError};

/// How long somebody may take at the issuer, and how long a sign-in lasts, in seconds.
pub const SIGN_IN_LIFE: i64 = 10 * 60;
/// Longer values of `state` were not made here.
const MAX_STATE: usize = 256;
/// How long the page waits for what somebody may do; without it the rest is shown.
const REVIEW: Duration = Duration::from_secs(3);
/// Browsers on their way: in all, and from one source.
const STARTS: PendingCaps = PendingCaps { all: 10_000, source: 30 };
/// Sign-ins: in all, and of one person.
const SIGN_INS: PendingCaps = PendingCaps { all: 10_000, source: 30 };

/// Whose request it is.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The id of this request in logs, audit and the answer's header.
    pub id: String,
    /// Where it came from.
    pub client: Client,
    /// When it was received.
    pub received: Instant,
}

/// Where people can sign in.
#[derive(Clone, Debug)]
pub struct SignInOffer {
    /// How browsers reach this service.
    pub url: Arc<Url>,
    /// The issuers, in the order of the configuration.
    pub providers: Vec<Arc<str>>,
    /// What people can log in to.
    pub services: Vec<String>,
}

/// A sign-in that begins.
#[derive(Clone, Debug)]
pub struct BegunSignIn {
    /// Where to send the browser.
    pub url: Url,
    /// What the browser has to bring back beside what the issuer sends with it.
    pub browser: SecretString,
}

/// A browser that comes back from an issuer.
#[derive(Clone, Debug)]
pub struct Returned {
    /// Which issuer's address it came to.
    pub provider: String,
    /// `state` (RFC 6749 §4.1.2).
    pub state: SecretString,
    /// What it was given when it was sent off.
    pub browser: Option<SecretString>,
    /// The sign-in that it had before, which is over when a new one begins.
    pub former: Option<SecretString>,
    /// The issuer's answer.
    pub answer: CallbackAnswer,
}

/// An order of somebody who signed in.
#[derive(Clone, Debug)]
pub struct SessionProof {
    /// What the browser's cookie holds.
    pub session: SecretString,
    /// What the page holds that the order was given on.
    pub csrf: SecretString,
}

/// Why a sign-in does not go on. Nothing here quotes an issuer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInRefusal {
    /// There is no issuer, or browsers cannot be told the way back.
    #[error("no sign-in is offered")]
    NotOffered,
    /// No issuer of this name.
    #[error("there is no such issuer")]
    UnknownProvider,
    /// No service of this name.
    #[error("there is no such service")]
    UnknownService,
    /// It was never begun, took too long, is over, or was used before.
    #[error("the sign-in is over")]
    Ended,
    /// Another browser began it, or another page gave the order.
    #[error("another browser or page asks")]
    NotYours,
    /// The issuer, or what it sent, says no.
    #[error("the issuer refused the sign-in")]
    Denied,
    /// This sign-in gave its one code.
    #[error("the sign-in gave its code")]
    CodeGiven,
    /// There are too many from here, or in all.
    #[error("too many sign-ins are under way")]
    TooMany,
    /// The issuer and the configuration do not fit together: waiting does not help.
    #[error("the sign-in is set up wrongly")]
    Misconfigured {
        /// When it makes sense to ask again, once somebody acted.
        retry_after: Duration,
    },
    /// The issuer or the store could not be asked.
    #[error("the sign-in is not possible at the moment")]
    Unavailable {
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
}

impl From<StoreError> for SignInRefusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = %error, "a sign-in could not be kept or looked up");
        Self::Unavailable { retry_after: RETRY_AFTER }
    }
}

/// A sign-in as it was read.
pub(super) struct Session {
    /// As it stands in the store.
    pub(super) row: Pending,
    /// What it says.
    pub(super) kept: KeptSignIn,
}

impl Issuer {
    /// Where people can sign in; none where browsers could not.
    pub fn sign_in_offer(&self) -> Option<SignInOffer> {
        let url = Arc::clone(self.reached_by_browsers()?);
        let providers = self.authenticator.relying_parties().map(|party| Arc::clone(&party.names().provider)).collect();
        Some(SignInOffer { url, providers, services: self.services.keys().cloned().collect() })
    }

    /// The address of the page, where people can sign in.
    pub(super) fn sign_in_page(&self) -> Option<String> {
        Some(format!("{}/login", self.reached_by_browsers()?.as_str().trim_end_matches('/')))
    }

    /// How browsers reach this service, where there is an issuer to send them to.
    fn reached_by_browsers(&self) -> Option<&Arc<Url>> {
        self.authenticator.relying_parties().next()?;
        self.public_url.as_ref()
    }

    /// Sends a browser to an issuer; `service` is what the person came for.
    pub async fn begin_sign_in(&self, caller: &Caller, provider: &str, service: Option<&str>) -> Result<BegunSignIn, SignInRefusal> {
        let public_url = self.public_url.as_ref().ok_or(SignInRefusal::NotOffered)?;
        let party = self.relying_party(provider).ok_or(SignInRefusal::UnknownProvider)?;
        let redirect = callback_of(public_url, provider)?;
        let Authorization { url, kept } =
            party.authorize(&redirect, caller.received + self.request_deadline).await.map_err(|error| unavailable(&error, caller))?;
        let browser = randomness::secret()?;
        let state = SecretString::from(kept.state.clone());
        let start = KeptStart {
            provider: provider.to_owned(),
            fingerprint: self.authenticator.fingerprint(provider).ok_or(SignInRefusal::UnknownProvider)?,
            kept,
            browser: digest_of(&browser),
            service: service.filter(|service| self.services.contains_key(*service)).map(ToOwned::to_owned),
        };
        self.keep(PendingKind::Authorization, &state, &caller.client.network(), SIGN_IN_LIFE, &encode(&start), STARTS).await?;
        tracing::debug!(request_id = %caller.id, provider, "a sign-in begins at {provider}");
        Ok(BegunSignIn { url, browser })
    }

    /// Takes a browser back: who signed in gets a new session.
    pub async fn finish_sign_in(&self, caller: &Caller, returned: Returned) -> Result<SecretString, SignInRefusal> {
        let (provider, former) = (returned.provider.clone(), returned.former.clone());
        let mut word = Cow::Borrowed("");
        let result = Box::pin(self.taken_back(caller, returned, &mut word)).await;
        let (outcome, identity) = match &result {
            Ok((_, identity)) => (Outcome::Empty, Some(identity)),
            Err(SignInRefusal::Unavailable { .. } | SignInRefusal::Misconfigured { .. }) => (Outcome::Unavailable, None),
            Err(SignInRefusal::TooMany) => (Outcome::Throttled, None),
            Err(_) => (Outcome::Rejected, None),
        };
        let mut event = record::sign_in(self, caller, "sign_in", &word, outcome);
        // What is no issuer of ours is a stranger's text.
        event.provider = self.relying_party(&provider).is_some().then(|| provider.clone());
        event.realm = identity.map(|identity| identity.realm.to_string());
        event.username = identity.map(|identity| identity.username.clone());
        event.proof = identity.map(Into::into);
        self.write(&event).await?;
        let (session, identity) = result?;
        // Not before: an address that somebody made up must not sign anybody out.
        if let Some(former) = &former {
            self.end_session(former).await?;
        }
        tracing::info!(request_id = %caller.id, provider = %identity.provider, username = %identity.username, "somebody signed in at {}", identity.provider);
        Ok(session)
    }

    async fn taken_back(
        &self,
        caller: &Caller,
        returned: Returned,
        word: &mut Cow<'static, str>,
    ) -> Result<(SecretString, Identity), SignInRefusal> {
        let start = self.start_of(&returned, word).await?;
        let party = self.relying_party(&start.provider).ok_or(SignInRefusal::Ended)?;
        if !self.is_still(&start.provider, &start.fingerprint) {
            *word = "provider_changed".into();
            return Err(SignInRefusal::Ended);
        }
        let callback = match returned.answer {
            CallbackAnswer::Code(callback) => callback,
            CallbackAnswer::Error(error) if party.may_have_said(&error) => {
                refused::sent_back(&caller.id, &start.provider, &error);
                *word = format!("issuer: {}", error.as_str()).into();
                return Err(SignInRefusal::Denied);
            }
            CallbackAnswer::Error(_) => {
                refused::not_its_answer(&caller.id, &start.provider);
                *word = "issuer_mismatch".into();
                return Err(SignInRefusal::Denied);
            }
        };
        let signed_in = party.exchange(&start.kept, callback, caller.received + self.request_deadline).await;
        let SignedIn { identity, renewal } = signed_in.map_err(|error| match error {
            SignInError::Refused(reason) => {
                refused::turned_away(&caller.id, &start.provider, reason);
                *word = reason.into();
                SignInRefusal::Denied
            }
            SignInError::Unavailable(error) => unavailable(&error, caller),
        })?;
        look::pass_on(&self.authenticator, &self.identity_tokens, &identity, renewal.as_ref(), self.clock.now()).await;
        let identity = Identity { method: Method::SignIn, ..identity };
        if let Err(rejection) = self.authenticator.admits(&identity, caller.client.source()) {
            *word = rejection.as_str().into();
            self.leave(&identity, Some(start.fingerprint), renewal).await;
            return Err(SignInRefusal::Denied);
        }
        let fingerprint = self.authenticator.fingerprint(&identity.provider).ok_or(SignInRefusal::Ended)?;
        // Whatever the browser held before means nothing from here on.
        let (session, csrf) = (randomness::secret()?, randomness::secret()?);
        let person = person_of(&identity);
        let kept = KeptSignIn {
            identity: identity.clone(),
            fingerprint,
            renewal: renewal.clone().map(Into::into),
            code_given: false,
            csrf: csrf.expose_secret().to_owned(),
            service: start.service,
        };
        if let Err(refusal) = self.keep(PendingKind::SignIn, &session, &person, SIGN_IN_LIFE, &encode(&kept), SIGN_INS).await {
            self.leave(&identity, Some(kept.fingerprint), renewal).await;
            return Err(refusal);
        }
        Ok((session, identity))
    }

    /// The start that a browser comes back from. It is over from here on, whatever comes of it.
    async fn start_of(&self, returned: &Returned, word: &mut Cow<'static, str>) -> Result<KeptStart, SignInRefusal> {
        *word = "unknown_state".into();
        if returned.state.expose_secret().len() > MAX_STATE {
            return Err(SignInRefusal::Ended);
        }
        let (kind, state) = (PendingKind::Authorization, &returned.state);
        let row = self.store.pending(kind, state, self.clock.now()).await?.ok_or(SignInRefusal::Ended)?;
        if !self.store.take_pending(kind, state, &row).await? {
            return Err(SignInRefusal::Ended);
        }
        let start: KeptStart = decode(&row.value).ok_or(SignInRefusal::Ended)?;
        // Somebody else's answer, pushed into this browser (RFC 9700 §4.7).
        let same = returned.browser.as_ref().is_some_and(|browser| equal(&digest_of(browser), &start.browser));
        if !same {
            *word = "other_browser".into();
            return Err(SignInRefusal::NotYours);
        }
        // Each issuer has an address of its own, so that none answers for another (RFC 9700 §4.4).
        if returned.provider != start.provider {
            *word = "other_issuer".into();
            return Err(SignInRefusal::NotYours);
        }
        *word = "".into();
        Ok(start)
    }

    /// What somebody who signed in is shown; none where the sign-in is over.
    pub async fn signed_in(&self, caller: &Caller, session: &SecretString) -> Result<Option<SignInView>, SignInRefusal> {
        match self.session(session).await? {
            Some(Session { row, kept }) => Ok(Some(self.view(row.expires, kept, caller.received + REVIEW).await?)),
            None => Ok(None),
        }
    }

    /// Ends one of the person's own identity tokens; one that is over already, or somebody else's, is left alone.
    pub async fn revoke_login(&self, caller: &Caller, proof: &SessionProof, id: &str) -> Result<(), SignInRefusal> {
        let Session { kept: KeptSignIn { identity, fingerprint, .. }, .. } = self.ordered(proof).await?;
        // Nothing of an id that is none of theirs is repeated.
        if let Some(row) = self.identity_tokens.revoke_own(id, &identity.provider, &fingerprint, &identity.id).await? {
            self.write_revoked(caller, &row).await;
            tracing::info!(request_id = %caller.id, provider = %identity.provider, username = %identity.username, token.id = %id, "identity token {id} was revoked on the sign-in page");
        }
        Ok(())
    }

    /// Ends a sign-in.
    pub async fn sign_out(&self, proof: &SessionProof) -> Result<(), SignInRefusal> {
        self.ordered(proof).await?;
        self.end_session(&proof.session).await
    }

    /// The sign-in of an order that one of its own pages gave.
    pub(super) async fn ordered(&self, proof: &SessionProof) -> Result<Session, SignInRefusal> {
        let session = self.session(&proof.session).await?.ok_or(SignInRefusal::Ended)?;
        if equal(proof.csrf.expose_secret(), &session.kept.csrf) { Ok(session) } else { Err(SignInRefusal::NotYours) }
    }

    /// A sign-in that is not over. One whose issuer is gone, or is another one now, is.
    async fn session(&self, session: &SecretString) -> Result<Option<Session>, SignInRefusal> {
        let Some(row) = self.store.pending(PendingKind::SignIn, session, self.clock.now()).await? else { return Ok(None) };
        let Some(kept) = decode::<KeptSignIn>(&row.value) else { return Ok(None) };
        if self.is_still(&kept.identity.provider, &kept.fingerprint) {
            return Ok(Some(Session { row, kept }));
        }
        self.end_session(session).await?;
        Ok(None)
    }

    /// Whether a provider is what it was then.
    pub(super) fn is_still(&self, provider: &str, fingerprint: &str) -> bool {
        self.authenticator.fingerprint(provider).is_some_and(|current| current == fingerprint)
    }

    async fn end_session(&self, session: &SecretString) -> Result<(), SignInRefusal> {
        let Some(row) = self.store.pending(PendingKind::SignIn, session, self.clock.now()).await? else { return Ok(()) };
        if self.store.take_pending(PendingKind::SignIn, session, &row).await?
            && let Some(KeptSignIn { identity, fingerprint, renewal, .. }) = decode(&row.value)
        {
            self.leave(&identity, Some(fingerprint), renewal.and_then(Into::into)).await;
        }
        Ok(())
    }

    pub(super) fn relying_party(&self, provider: &str) -> Option<&RelyingParty> {
        self.authenticator.relying_parties().find(|party| *party.names().provider == *provider)
    }

    /// Keeps what is under way, for so many seconds.
    pub(super) async fn keep(
        &self,
        kind: PendingKind,
        key: &SecretString,
        source: &str,
        life: i64,
        value: &[u8],
        caps: PendingCaps,
    ) -> Result<(), SignInRefusal> {
        let now = self.clock.now();
        let new = NewPending { kind, key, source, expires: now.plus(life), value };
        match self.store.begin_pending(&new, now, caps).await? {
            Begun::Kept => Ok(()),
            full @ (Begun::SourceFull | Begun::Full) => {
                tracing::warn!(full = ?full, "there are too many sign-ins under way");
                Err(SignInRefusal::TooMany)
            }
        }
    }

    /// Nothing is handed out that cannot be written down.
    pub(super) async fn write(&self, event: &crate::audit::AuditEvent) -> Result<(), SignInRefusal> {
        self.audit.record(event).await.map_err(|error| {
            tracing::error!(error = %error, request_id = %event.request_id, "the audit event could not be written");
            SignInRefusal::Unavailable { retry_after: RETRY_AFTER }
        })
    }
}

/// The address that an issuer sends browsers back to; each has its own.
pub fn callback_of(public_url: &Url, provider: &str) -> Result<Url, SignInRefusal> {
    let mut url = public_url.clone();
    // A URL of http or https always has a path.
    url.path_segments_mut().map_err(|()| SignInRefusal::NotOffered)?.pop_if_empty().extend(["oidc", provider, "callback"]);
    Ok(url)
}

/// Whom what a person holds counts against. A provider's name has no `/`.
pub(super) fn person_of(identity: &Identity) -> String {
    source_of(&identity.provider, &identity.id)
}

/// The same of a provider and a stable id.
pub(super) fn source_of(provider: &str, id: &str) -> String {
    format!("person {provider}/{id}")
}

fn digest_of(secret: &SecretString) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, secret.expose_secret().as_bytes()).as_ref())
}

fn equal(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

fn unavailable(error: &Unavailable, caller: &Caller) -> SignInRefusal {
    tracing::warn!(request_id = %caller.id, provider = %error.provider, error = %error, "a sign-in was not possible: {error}");
    let retry_after = error.retry_after;
    if error.is_misconfigured { SignInRefusal::Misconfigured { retry_after } } else { SignInRefusal::Unavailable { retry_after } }
}
