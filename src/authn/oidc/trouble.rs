//! Why an issuer could not be asked. An outage is never an answer.

use std::time::Duration;

use crate::authn::verdict::Unavailable;

/// When it makes sense to ask again, where the issuer does not say.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A step that did not come to an end, for operators. Holds nothing that was sent or received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {reason}")]
pub(super) struct Trouble {
    /// `discovery`, `keys`, or the host that was asked.
    pub(super) step: String,
    /// What went wrong.
    pub(super) reason: String,
    /// The HTTP status, where there was one.
    pub(super) status: Option<u16>,
    /// When it makes sense to ask again.
    pub(super) retry_after: Duration,
    /// Whether it says something about the issuer, and not about who asked.
    pub(super) is_issuers: bool,
    /// Whether the issuer is there, and slow or wants to be left alone: anybody can make it so.
    pub(super) is_busy: bool,
    /// Whether the issuer may have read what was asked, and acted on it.
    pub(super) may_have_arrived: bool,
}

impl Trouble {
    /// Something went wrong in a step.
    pub(super) fn new(step: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            step: step.into(),
            reason: reason.into(),
            status: None,
            retry_after: RETRY_AFTER,
            is_issuers: true,
            is_busy: false,
            may_have_arrived: true,
        }
    }
    /// The same, which the issuer has no part in.
    pub(super) fn ours(self) -> Self {
        Self { is_issuers: false, ..self }
    }
    /// The same, of an issuer that is there.
    pub(super) fn busy(self) -> Self {
        Self { is_busy: true, ..self }
    }
    /// The same, and nothing has reached the issuer.
    pub(super) fn unsent(self) -> Self {
        Self { may_have_arrived: false, ..self }
    }
    /// The same, and the HTTP status of the answer.
    pub(super) fn status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }
    /// The same, and when to come again.
    pub(super) fn retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after, ..self }
    }
    /// The same as what kept another step from its end.
    pub(super) fn within(self, step: &str) -> Self {
        Self { reason: self.to_string(), step: step.to_owned(), ..self }
    }
    /// Whether the issuer wants fewer requests.
    pub(super) const fn is_throttling(&self) -> bool {
        matches!(self.status, Some(429))
    }
    /// The same under the name of a provider.
    pub(super) fn unavailable(&self, provider: &str) -> Unavailable {
        Unavailable { provider: provider.to_owned(), reason: self.to_string(), retry_after: self.retry_after, is_misconfigured: false }
    }
}

/// Somebody else's text, short and without control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect::<String>().trim().to_owned()
}
