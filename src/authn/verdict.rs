//! What a provider answers. An outage is never an answer: it is an error of its own, and stays one.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;
use zeroize::Zeroizing;

use super::attempt::Throttled;
use super::identity::Identity;

/// The circumstances of one look-up.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// The client's address, where it is known and can be trusted.
    pub source: Option<IpAddr>,
    /// The whole token request's deadline; no step may wait past it.
    pub deadline: Instant,
}

impl Circumstances {
    /// How long is left.
    pub fn patience(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Bytes that a provider wants back at the next re-check (an issuer's refresh token): opaque to everybody else, and sealed
/// wherever they are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Renewal(pub Zeroizing<Vec<u8>>);

impl From<Vec<u8>> for Renewal {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl std::fmt::Debug for Renewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Renewal")
    }
}

/// The answer to a name and a password.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The password is right and the account may be used.
    Authenticated(Identity, Option<Renewal>),
    /// Stops here: 401.
    Rejected(Rejection),
    /// No such user; the next provider is asked.
    NotMine,
    /// The account's share of binds is used up, so nobody was asked about the password.
    Throttled(Throttled),
}

/// Why a known user is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// Wrong, or not to be told apart from wrong.
    WrongPassword,
    /// The account is disabled.
    Disabled,
    /// The account is locked.
    Locked,
    /// The account's or the password's time is over.
    Expired,
    /// The password has to be changed first.
    MustChange,
    /// The password has expired, and the login used up one of the last.
    Grace,
    /// Not at this hour or from that computer. Whether the password was right is not said, and soon it may be let in.
    Restricted,
    /// The directory says that the account is locked and compared nothing: to the client as wrong as any, but nothing is
    /// known about the password.
    LockedOut,
    /// More than one entry matches the name.
    Ambiguous,
    /// The client's address is not one that this user may come from.
    Source,
    /// The password is right, and the issuer wants more than a password: a second factor, a consent, a new password.
    InteractionRequired,
    /// The password is right, and the issuer gives this account no login that lasts.
    NoOfflineAccess,
}

/// A rejection with whether the password was proven right first: only then may the person be told more than "wrong".
impl Rejection {
    /// Whether it says no more than that this name and password do not go together: a guess that was wrong.
    pub(super) const fn is_about_the_password(self) -> bool {
        match self {
            Self::WrongPassword | Self::LockedOut | Self::Restricted | Self::Ambiguous => true,
            Self::Disabled
            | Self::Locked
            | Self::Expired
            | Self::MustChange
            | Self::Grace
            | Self::Source
            | Self::InteractionRequired
            | Self::NoOfflineAccess => false,
        }
    }

    /// The word of logs, metrics and the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong_password",
            Self::Disabled => "disabled",
            Self::Locked => "locked",
            Self::Expired => "expired",
            Self::MustChange => "must_change",
            Self::Grace => "grace",
            Self::Restricted => "restricted",
            Self::LockedOut => "locked_out",
            Self::Ambiguous => "ambiguous",
            Self::Source => "source",
            Self::InteractionRequired => "interaction_required",
            Self::NoOfflineAccess => "no_offline_access",
        }
    }
}

/// What became of a renewal that no login lives by any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenBack {
    /// Nobody gets anything for it any more.
    Revoked,
    /// The issuer does not take it back; asking again changes nothing.
    Refused,
    /// Nothing there takes one back.
    NotOffered,
}

/// The word of an issuer that does not know a renewal any more.
pub const SESSION_ENDED: &str = "session_ended";

/// How somebody who was verified earlier stands now, found without the password.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Still there and usable: name and groups as of now.
    Good(Identity),
    /// Gone, disabled, expired, or given a new password: the word of logs and audit.
    Ended(&'static str),
}

/// The provider could not be asked, or not whole. Becomes 503, never 401, and never fewer rights.
#[derive(Clone, Debug, thiserror::Error)]
#[error("provider `{provider}` cannot be asked: {reason}")]
pub struct Unavailable {
    /// Which provider.
    pub provider: String,
    /// For operators, never for clients.
    pub reason: String,
    /// When it makes sense to ask again.
    pub retry_after: Duration,
    /// Whether a setting is to blame, here or there: it lasts until somebody acts.
    pub is_misconfigured: bool,
}
