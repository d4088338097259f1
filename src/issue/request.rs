//! What comes into the path and what leaves it.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use secrecy::SecretString;
use serde::Serialize;
use tokio::time::Instant;

use crate::authn::credentials::Credentials;
use crate::clock::Timestamp;
use crate::registry::ScopeRequest;

/// What the one who uses a network of IPv6 may choose freely.
const IPV6_HOST_BITS: u32 = 128 - 56;

/// One request for a token, as the edge understood it.
#[derive(Debug)]
pub struct TokenRequest {
    /// The registry that the token is for; `None` where the client did not say.
    pub service: Option<String>,
    /// What is asked for.
    pub scopes: ScopeRequest,
    /// What the client proved itself with.
    pub credentials: Credentials,
    /// How the credentials came; a refresh grant gets its identity token back.
    pub grant: GrantType,
    /// Whether an identity token is wanted (`offline_token=true`, `access_type=offline`).
    pub offline: bool,
    /// Whose request it is.
    pub client: Client,
    /// The id of this request in logs, audit and the answer's header.
    pub id: String,
    /// When the request was received; deadline and rejection floor count from here.
    pub received: Instant,
}

/// How the credentials of a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// `GET` with Basic credentials or none.
    Basic,
    /// `POST` with `grant_type=password`.
    Password,
    /// `POST` with `grant_type=refresh_token`.
    RefreshToken,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The peer's address, or the one that a trusted proxy named.
    pub address: IpAddr,
    /// Whether the address may be believed: a direct peer, or named by a trusted proxy.
    pub trusted: bool,
}

impl Client {
    /// The address where it can be believed.
    pub fn source(&self) -> Option<IpAddr> {
        self.trusted.then_some(self.address)
    }

    /// Whom the beginning of a login counts against: the address, or its network of 56 bits where it is one of IPv6. That much
    /// every home is given, and 256 of those make no more than a company's network.
    pub fn network(&self) -> String {
        match self.address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << IPV6_HOST_BITS)).to_string(),
        }
    }
}

/// A signed answer.
#[derive(Debug)]
pub struct Issued {
    /// The registry token.
    pub token: SecretString,
    /// Seconds that it lives from `issued_at`.
    pub expires_in: u32,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// What was granted, as scopes joined by spaces.
    pub scope: String,
    /// The identity token, where one was asked for or presented.
    pub refresh_token: Option<SecretString>,
}

/// A question who somebody is, and what they would be granted (`/whoami`).
#[derive(Debug)]
pub struct WhoRequest {
    /// The registry that the scopes are meant for.
    pub service: Option<String>,
    /// What would be asked for; may be empty.
    pub scopes: ScopeRequest,
    /// What the client proved itself with.
    pub credentials: Credentials,
    /// Whose request it is.
    pub client: Client,
    /// The id of this request in logs and audit.
    pub id: String,
    /// When the request was received.
    pub received: Instant,
}

/// The answer to a [`WhoRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Who {
    /// The canonical username.
    pub username: String,
    /// The realm that vouches.
    pub realm: String,
    /// Those groups that a rule mentions, as rules call them.
    pub groups: Vec<String>,
    /// What the scopes of the question would be granted.
    pub granted: Vec<String>,
    /// When the provider was asked last (RFC 3339), where it cannot be asked now: then there is nothing but pulls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<String>,
}

/// Why no token was signed. The edge turns each into a status; nothing here names a user or quotes a directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Wrong, unknown, disabled, or not to be told apart: one answer for all of them.
    #[error("invalid username or password")]
    Rejected,
    /// The same, and the text, ASCII, says what to do next: to everybody alike, or to who presented what is right as far as it goes
    /// and does not do here.
    #[error("{0}")]
    RejectedWithAdvice(Cow<'static, str>),
    /// The identity token is unknown, ended or for another service.
    #[error("the saved login has ended: run docker login again, or docker-credential-narrows login where that is set up")]
    LoginEnded,
    /// Nothing was presented, and nothing that was asked for is public.
    #[error("authentication required: run docker login")]
    AuthenticationRequired,
    /// The service is not one of ours.
    #[error("unknown service")]
    UnknownService,
    /// No service was named and there are several.
    #[error("the service parameter is missing")]
    MissingService,
    /// A directory, the store or the keys could not be asked.
    #[error("the directory or issuer cannot be asked at the moment: try again shortly")]
    Unavailable {
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
    /// Too many wrong passwords from here or for this name: nothing is compared for a while, right or wrong.
    #[error("too many wrong passwords for this name: stop what sends an old one, wait, then run docker login again")]
    Throttled {
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
    /// Too many device logins are under way, from here, in all, or for the issuer.
    #[error("too many device logins are under way: wait a minute, then try again")]
    TooManyLogins {
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
}

impl Refusal {
    /// Whether credentials were presented and refused: such an answer waits for the rejection floor, so that its time does
    /// not tell whether anybody was asked.
    pub fn is_rejection(&self) -> bool {
        match self {
            Self::Rejected | Self::RejectedWithAdvice(_) | Self::LoginEnded | Self::Throttled { .. } | Self::TooManyLogins { .. } => true,
            Self::AuthenticationRequired | Self::UnknownService | Self::MissingService | Self::Unavailable { .. } => false,
        }
    }
}
