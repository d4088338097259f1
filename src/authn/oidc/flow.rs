//! What passes between a sign-in at an issuer and those who carry it: where to send a browser, what comes back.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::refusal::{SCOPE_HINT, is_word};
use crate::authn::identity::Identity;
use crate::authn::verdict::{Renewal, Unavailable};

/// A sign-in that begins (`OpenID Connect` Core §3.1.2.1).
#[derive(Clone, Debug)]
pub struct Authorization {
    /// Where to send the browser.
    pub url: Url,
    /// What has to be kept until it comes back.
    pub kept: KeptAuthorization,
}

/// What a sign-in is recognised by when the browser comes back. Secret.
#[derive(Clone, Deserialize, Serialize)]
pub struct KeptAuthorization {
    /// `state` (RFC 6749 §4.1.1).
    pub state: String,
    /// `nonce` (`OpenID Connect` Core §3.1.2.1).
    pub nonce: String,
    /// The PKCE verifier (RFC 7636).
    pub verifier: String,
    /// The redirect URI that the browser was sent with.
    pub redirect: Url,
}

/// What the browser brings back (RFC 6749 §4.1.2, RFC 9207).
#[derive(Clone, Debug)]
pub struct Callback {
    /// The authorization code.
    pub code: SecretString,
    /// `iss`: who answered.
    pub issuer: Option<String>,
}

/// How an issuer answers a browser.
#[derive(Clone, Debug)]
pub enum CallbackAnswer {
    /// Somebody signed in.
    Code(Callback),
    /// Nobody did (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6).
    Error(CallbackError),
}

/// Why an issuer sent a browser back without a code, as far as the browser can be believed: whoever sits in front of it can write
/// this themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackError {
    word: Option<String>,
    issuer: Option<String>,
}

impl CallbackError {
    /// `error` and `iss` of the answer. What is no word of a standard is not kept.
    pub fn new(error: &str, issuer: Option<String>) -> Self {
        Self { word: (!error.is_empty() && is_word(error)).then(|| error.to_owned()), issuer }
    }

    /// The word of the standard, for logs and audit.
    pub fn as_str(&self) -> &str {
        self.word.as_deref().unwrap_or("unknown_error")
    }

    /// Who says so, where that is said (RFC 9207 §2).
    pub(super) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Whether the person, or a rule about the person, says no.
    pub fn is_denial(&self) -> bool {
        self.as_str() == "access_denied"
    }

    /// What to set where a setting is to blame.
    pub fn hint(&self) -> Option<&'static str> {
        match self.as_str() {
            "invalid_scope" => Some(SCOPE_HINT),
            "unauthorized_client" | "unsupported_response_type" => Some("allow the client the authorization code flow at the issuer"),
            "invalid_request" => {
                Some("see the issuer's own log: it wants something of the request that the client's settings there demand")
            }
            _ => None,
        }
    }
}

/// Somebody signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub identity: Identity,
    /// What the issuer wants back at a re-check; without it there is none.
    pub renewal: Option<Renewal>,
}

/// Why nobody signed in.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignInError {
    /// The issuer, or what it sent, says no; the word of logs and audit.
    #[error("the sign-in was refused: {0}")]
    Refused(&'static str),
    /// It could not be asked, or not whole.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The word for somebody whom Keycloak gives no refresh token that outlives the browser's session.
pub const NO_OFFLINE_ACCESS: &str = "no_offline_access";
/// What that person is told, however they log in.
pub const OFFLINE_ADVICE: &str = "this account may not have a login that lasts: ask your administrator for offline access";

/// What to do about a refusal, where that is not for the person.
pub fn hint(reason: &str) -> Option<&'static str> {
    (reason == NO_OFFLINE_ACCESS).then_some(
        "give the person the realm role `offline_access`, or write scopes: [openid, profile]: saved logins then end with the session",
    )
}

/// A device login that begins (RFC 8628 §3.2).
#[derive(Clone, Debug)]
pub struct DeviceAuthorization {
    /// What narrows asks with, and nobody else ever sees.
    pub device_code: SecretString,
    /// What the person types at the issuer.
    pub user_code: String,
    /// Where.
    pub verification_uri: Url,
    /// The same with the code filled in.
    pub verification_uri_complete: Option<Url>,
    /// How long the person has.
    pub expires_in: Duration,
    /// How long to wait between two polls.
    pub interval: Duration,
}

/// Why no device login began.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeviceStartError {
    /// Switched off here, or the issuer has none for this client.
    #[error("this issuer offers no device login")]
    NotOffered,
    /// The issuer wants fewer of them. Says nothing about anything else that it is asked.
    #[error("the issuer wants fewer device logins")]
    Throttled {
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
    /// It could not be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What a poll comes to (RFC 8628 §3.5).
#[derive(Clone, Debug)]
pub enum DevicePoll {
    /// The person is not done.
    Pending,
    /// The same, and polls have to be 5 s further apart from now on.
    SlowDown,
    /// It is over: `denied`, `expired`, or what was wrong with the answer.
    Ended(&'static str),
    /// The person signed in.
    SignedIn(Box<SignedIn>),
}

impl std::fmt::Debug for KeptAuthorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptAuthorization").field("redirect", &self.redirect).finish_non_exhaustive()
    }
}
