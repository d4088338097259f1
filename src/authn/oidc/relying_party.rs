//! narrows as an issuer's client: every way to sign in there, and the look whether somebody still may.
#![expect(clippy::unused_async, dead_code, reason = "only the shape: what asks an issuer comes with the next commits")]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;
use url::Url;

use super::flow::{Authorization, Callback, DeviceAuthorization, DevicePoll, DeviceStartError, KeptAuthorization, SignInError, SignedIn};
use super::settings::{DeviceGrant, OidcSettings};
use crate::authn::attempt::Attempt;
use crate::authn::identity::Identity;
use crate::authn::provider::{Health, Names};
use crate::authn::rehearsal::{End, Rehearsal};
use crate::authn::verdict::{Circumstances, Renewal, Standing, Unavailable, Verdict};
use crate::clock::Clock;
use crate::source::{Diagnostics, SourceFile};

/// One issuer, ready to be asked.
#[derive(Debug)]
pub struct RelyingParty {
    names: Names,
    settings: OidcSettings,
    secret: Option<SecretString>,
    clock: Clock,
    health: Mutex<Health>,
}

impl RelyingParty {
    /// Reads certificates and secrets; asks nobody.
    pub(in crate::authn) fn build(names: Names, settings: &OidcSettings, file: &SourceFile, clock: &Clock) -> Result<Self, Diagnostics> {
        let secret =
            settings.client.secret.as_ref().map(|secret| {
                secret.value.load(file.folder()).map_err(|error| Diagnostics::from(file.error(secret.place, error.to_string())))
            });
        let (secret, clock) = (secret.transpose()?, clock.clone());
        Ok(Self { names, settings: settings.clone(), secret, clock, health: Mutex::new(Health::Unknown) })
    }

    /// Whether passwords are sent there.
    pub(in crate::authn) fn takes_passwords(&self) -> bool {
        self.settings.password_grant.enabled.value
    }

    /// What it is called here, and whether names compare without regard to case.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Who may log in by a device, and from where.
    pub fn device_grant(&self) -> &DeviceGrant {
        &self.settings.device_grant
    }

    /// The password grant (RFC 6749 §4.3), where it is switched on.
    pub(in crate::authn) async fn verify(
        &self,
        _username: &str,
        _password: &SecretString,
        _circumstances: &Circumstances,
        _attempt: &Attempt,
    ) -> Result<Verdict, Unavailable> {
        Err(self.unavailable("not available yet"))
    }

    /// How somebody stands who signed in earlier, by the refresh token of then. A renewal that comes back takes the place of
    /// the one that was handed in, whatever the answer is.
    pub(in crate::authn) async fn recheck(
        &self,
        _identity: &Identity,
        renewal: Option<Renewal>,
        _circumstances: &Circumstances,
    ) -> (Result<Standing, Unavailable>, Option<Renewal>) {
        (Err(self.unavailable("not available yet")), renewal)
    }

    /// Begins a sign-in by browser (authorization code with PKCE).
    pub async fn authorize(&self, _redirect: &Url, _deadline: Instant) -> Result<Authorization, Unavailable> {
        Err(self.unavailable("not available yet"))
    }

    /// Ends it: the code becomes a person.
    pub async fn exchange(&self, _kept: &KeptAuthorization, _callback: Callback, _deadline: Instant) -> Result<SignedIn, SignInError> {
        Err(self.unavailable("not available yet").into())
    }

    /// Begins a device login (RFC 8628 §3.1).
    pub async fn start_device(&self, _deadline: Instant) -> Result<DeviceAuthorization, DeviceStartError> {
        Err(self.unavailable("not available yet").into())
    }

    /// Asks once whether the person is done (RFC 8628 §3.4).
    pub async fn poll_device(&self, _device_code: &SecretString, _deadline: Instant) -> Result<DevicePoll, Unavailable> {
        Err(self.unavailable("not available yet"))
    }

    /// A typed name as it is counted.
    pub(in crate::authn) fn counted_as(&self, typed: &str) -> String {
        self.names.fold(typed)
    }

    /// A login step by step.
    pub(in crate::authn) async fn rehearse(
        &self,
        _typed: &str,
        _password: Option<&SecretString>,
        _circumstances: &Circumstances,
    ) -> Rehearsal {
        Rehearsal { steps: Vec::new(), end: End::Unavailable("not available yet".to_owned()) }
    }

    /// Whether it answered the last time.
    pub(in crate::authn) fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes when a stable id may mean somebody else.
    pub(in crate::authn) fn fingerprint(&self) -> String {
        format!("oidc {} {} {}", self.names.realm, self.settings.issuer.value, self.settings.client.id.value)
    }

    fn unavailable(&self, reason: &str) -> Unavailable {
        Unavailable { provider: self.names.provider.to_string(), reason: reason.to_owned(), retry_after: Duration::from_secs(5) }
    }
}
