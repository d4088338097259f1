//! What one line tells.

use crate::authn::identity::{Identity, Method};
use crate::clock::Timestamp;

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Everything that was asked for.
    Granted,
    /// A part of it.
    Narrowed,
    /// Nothing of it, for somebody who is known; or nothing was asked for.
    Empty,
    /// Bad credentials.
    Rejected,
    /// A directory, the store, the keys or the audit could not be used.
    Unavailable,
    /// Too many attempts.
    Throttled,
    /// A request that cannot be understood.
    Invalid,
}

impl Outcome {
    /// The word of the line, and the label of the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Narrowed => "narrowed",
            Self::Empty => "empty",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::Invalid => "invalid",
        }
    }
}

/// How and when somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// By what.
    pub how: Method,
    /// When; for an identity token, the login that it stems from.
    pub at: Timestamp,
}

impl From<&Identity> for Proof {
    fn from(identity: &Identity) -> Self {
        Self { how: identity.method, at: identity.proven }
    }
}

impl Proof {
    /// The word of the line.
    pub const fn word(self) -> &'static str {
        match self.how {
            Method::Password => "password",
            Method::IdentityToken => "identity_token",
            Method::Workload => "workload",
            Method::SignIn => "sign_in",
            Method::Device => "device",
        }
    }
}

/// One action that was asked for and not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedAction {
    /// Of which resource: `repository:team/app`.
    pub scope: String,
    /// `pull`, `push`, `delete`, `*`.
    pub action: String,
    /// The deny rule with file and line, `no rule`, `stale`, or the fact that is not known.
    pub by: String,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// When it was made.
    pub time: Timestamp,
    /// The id in the answer's header.
    pub request_id: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The client's address.
    pub client: String,
    /// Whether the address may be believed.
    pub client_trusted: bool,
    /// The registry.
    pub service: Option<String>,
    /// Whose people.
    pub realm: Option<String>,
    /// Who vouched, or rejected.
    pub provider: Option<String>,
    /// The `sub` of the token.
    pub subject: Option<String>,
    /// The canonical name; for a name that no provider knows, what [`super::Audit::conceal`] made of it.
    pub username: Option<String>,
    /// How and when it was proven.
    pub proof: Option<Proof>,
    /// Whether the answer came from a cache instead of the provider.
    pub cached: bool,
    /// When the provider was asked last, where it cannot be asked now and that is gone by.
    pub stale: Option<Timestamp>,
    /// What was asked for, as scopes.
    pub requested: Vec<String>,
    /// What was granted, as scopes.
    pub granted: Vec<String>,
    /// What was not, and why.
    pub refused: Vec<RefusedAction>,
    /// The rules that granted, with file and line.
    pub rules: Vec<String>,
    /// What is worth knowing besides: captures that did not bind, scopes that were dropped.
    pub notes: Vec<String>,
    /// The generation of the rules.
    pub generation: u64,
    /// The id of the token.
    pub jti: Option<String>,
    /// How long it took.
    pub latency_us: u64,
    /// Why, where the outcome alone does not tell.
    pub reason: Option<String>,
}
