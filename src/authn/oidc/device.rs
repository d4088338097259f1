//! A login for a device that has no browser (RFC 8628).

use std::time::Duration;

use openidconnect::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::address;
use super::browser::{challenge_of, random};
use super::flow::{DeviceAuthorization, DevicePoll, DeviceStartError, NO_OFFLINE_ACCESS, SignInError};
use super::relying_party::RelyingParty;
use super::remote::{Answer, Checks, Lane};
use super::settings::OidcPreset;
use super::token_endpoint::{self, Reply};
use crate::authn::identity::Method;
use crate::authn::verdict::Unavailable;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// RFC 8628 §3.2, where the issuer says nothing.
const INTERVAL: Duration = Duration::from_secs(5);
const INTERVALS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// How long a person has, whatever the issuer says.
const LIVES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(30));
const MAX_USER_CODE: usize = 64;
/// Stands between a verifier and a device code, and in no verifier.
const BETWEEN: char = ' ';

#[derive(Deserialize)]
struct Begun {
    device_code: SecretString,
    user_code: String,
    /// Google's name of it is older than the specification's.
    #[serde(alias = "verification_url")]
    verification_uri: Url,
    #[serde(default)]
    verification_uri_complete: Option<Url>,
    expires_in: u64,
    #[serde(default)]
    interval: Option<u64>,
}

impl RelyingParty {
    /// Begins a device login (RFC 8628 §3.1).
    pub async fn start_device(&self, deadline: Instant) -> Result<DeviceAuthorization, DeviceStartError> {
        if !self.settings.device_grant.enabled {
            return Err(DeviceStartError::NotOffered);
        }
        let metadata = self.metadata(deadline).await?;
        let endpoint = metadata.device_authorization().ok_or(DeviceStartError::NotOffered)?;
        let verifier = self.verifier()?;
        let challenge = verifier.as_deref().map(challenge_of);
        let mut form = vec![("scope", self.scopes.as_str())];
        if let Some(challenge) = &challenge {
            form.extend([("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")]);
        }
        let request = token_endpoint::request(&self.remote, endpoint, &form).map_err(|trouble| self.unasked(&trouble))?;
        match self.remote.send(request, Lane::DeviceStart, deadline).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                let begun = self.begun(&answer)?;
                Ok(match verifier {
                    Some(verifier) => DeviceAuthorization { device_code: with_verifier(&verifier, &begun.device_code), ..begun },
                    None => begun,
                })
            }
            Ok(answer) => Err(self.not_begun(&answer)),
            Err(trouble) if trouble.is_throttling() => Err(DeviceStartError::Throttled { retry_after: trouble.retry_after }),
            Err(trouble) => Err(self.unasked(&trouble).into()),
        }
    }

    /// Asks once whether the person is done (RFC 8628 §3.4).
    pub async fn poll_device(&self, device_code: &SecretString, deadline: Instant) -> Result<DevicePoll, Unavailable> {
        let (verifier, code) = self.apart(device_code);
        let mut form = vec![("grant_type", GRANT), ("device_code", code)];
        form.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        let refusal = match self.ask(&form, Lane::SignIn, deadline).await? {
            Reply::Tokens(tokens) => {
                return match self.signed_in(&tokens, Checks::default(), Method::Device, deadline).await {
                    Ok(signed_in) => Ok(DevicePoll::SignedIn(Box::new(signed_in))),
                    Err(SignInError::Refused(word)) => Ok(DevicePoll::Ended(word)),
                    Err(SignInError::Unavailable(error)) => Err(error),
                };
            }
            Reply::Refused(refusal) => refusal,
        };
        match refusal.error.as_str() {
            "authorization_pending" => Ok(DevicePoll::Pending),
            "slow_down" => Ok(DevicePoll::SlowDown),
            // The second one is Microsoft's.
            "access_denied" | "authorization_declined" => Ok(DevicePoll::Ended("denied")),
            "expired_token" => Ok(DevicePoll::Ended("expired")),
            "invalid_grant" | "bad_verification_code" => Ok(DevicePoll::Ended("code_refused")),
            _ if refusal.denies_offline_access(self.settings.kind()) => Ok(DevicePoll::Ended(NO_OFFLINE_ACCESS)),
            _ if refusal.is_misconfigured() => Err(self.blamed(&refusal, Some(&SecretString::from(code)))),
            _ => Err(self.unavailable(format!("the token endpoint refuses a device code without saying why: {}", refusal.word()))),
        }
    }

    fn begun(&self, answer: &Answer) -> Result<DeviceAuthorization, DeviceStartError> {
        let begun: Begun = answer.json().map_err(|trouble| self.unasked(&trouble.within("device login")))?;
        let odd = |what: &str| DeviceStartError::from(self.unavailable(format!("the device login cannot be shown: {what}")));
        let is_safe = |url: &Url| url.scheme() == "https" || url.scheme() == "http" && self.is_at_home(url);
        if !is_safe(&begun.verification_uri) || !begun.verification_uri_complete.as_ref().is_none_or(is_safe) {
            return Err(odd("`verification_uri` is not https"));
        }
        // People type it, and terminals show it.
        let is_code = !begun.user_code.is_empty()
            && begun.user_code.len() <= MAX_USER_CODE
            && begun.user_code.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if !is_code || begun.device_code.expose_secret().is_empty() {
            return Err(odd("`user_code` or `device_code` is none"));
        }
        // Keycloak's page for it asks for the person's consent without showing the code (RFC 8628 §3.3.1), so nobody could compare.
        let shows_code = self.settings.kind() != OidcPreset::Keycloak;
        Ok(DeviceAuthorization {
            device_code: begun.device_code,
            user_code: begun.user_code,
            verification_uri: begun.verification_uri,
            verification_uri_complete: begun.verification_uri_complete.filter(|_| shows_code),
            expires_in: Duration::from_secs(begun.expires_in).clamp(LIVES.0, LIVES.1),
            interval: begun.interval.map_or(INTERVAL, Duration::from_secs).clamp(INTERVALS.0, INTERVALS.1),
        })
    }

    fn not_begun(&self, answer: &Answer) -> DeviceStartError {
        let refusal = match token_endpoint::reply(answer) {
            Ok(Reply::Refused(refusal)) => refusal,
            Ok(Reply::Tokens(_)) => return self.unavailable("the device login was answered with tokens").into(),
            Err(trouble) => return self.unasked(&trouble.within("device login")).into(),
        };
        if refusal.refuses_client() {
            self.remote.client_is_refused(&refusal.word());
        }
        match refusal.error.as_str() {
            "slow_down" => DeviceStartError::Throttled { retry_after: INTERVAL },
            // With 401 it is how Keycloak calls a wrong secret.
            "unauthorized_client" | "unsupported_grant_type" if answer.status != StatusCode::UNAUTHORIZED => {
                let detail = refusal.word();
                tracing::warn!(provider = %self.names.provider, detail, "the issuer has no device login for this client");
                DeviceStartError::NotOffered
            }
            _ => self.blamed(&refusal, None).into(),
        }
    }

    /// RFC 8628 knows no PKCE; Keycloak demands it of a device login too where its client is told to require it.
    fn verifier(&self) -> Result<Option<String>, Unavailable> {
        if self.settings.kind() != OidcPreset::Keycloak {
            return Ok(None);
        }
        random().map(Some).ok_or_else(|| self.unavailable("the operating system gives no random numbers"))
    }

    /// The verifier, where there is one, and the issuer's device code.
    fn apart<'a>(&self, device_code: &'a SecretString) -> (Option<&'a str>, &'a str) {
        let text = device_code.expose_secret();
        let parts = (self.settings.kind() == OidcPreset::Keycloak).then(|| text.split_once(BETWEEN)).flatten();
        parts.map_or((None, text), |(verifier, code)| (Some(verifier), code))
    }

    /// Whether a URL and the issuer are both of this machine.
    fn is_at_home(&self, url: &Url) -> bool {
        address::is_loopback(url) && Url::parse(self.remote.issuer()).is_ok_and(|issuer| address::is_loopback(&issuer))
    }
}

/// Both are kept as one, for whoever carries the login need not know that there are two.
fn with_verifier(verifier: &str, device_code: &SecretString) -> SecretString {
    SecretString::from(format!("{verifier}{BETWEEN}{}", device_code.expose_secret()))
}
