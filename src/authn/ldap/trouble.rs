//! Why the directory could not be asked. An outage is never an answer.

use std::time::Duration;

use super::super::verdict::Unavailable;

/// When it makes sense to ask again.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A step that did not come to an end, for operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {reason}")]
pub(super) struct Trouble {
    /// `connect`, `tls`, `service account`, `bind`, `search`, `entry`, `groups`.
    pub(super) operation: &'static str,
    /// What went wrong; never holds a password.
    pub(super) reason: String,
    /// The directory's result code, where it gave one.
    pub(super) code: Option<u32>,
    cause: Cause,
}

/// What ended the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Somebody said so.
    Said,
    /// The connection is gone.
    Lost,
    /// Nothing came in time.
    Late,
}

impl Trouble {
    /// Something went wrong in a step.
    pub(super) fn new(operation: &'static str, reason: impl Into<String>) -> Self {
        Self { operation, reason: reason.into(), code: None, cause: Cause::Said }
    }
    /// The connection ended before the step did.
    pub(super) fn lost(operation: &'static str, reason: impl Into<String>) -> Self {
        Self { cause: Cause::Lost, ..Self::new(operation, reason) }
    }
    /// The step took too long.
    pub(super) fn timeout(operation: &'static str) -> Self {
        Self { cause: Cause::Late, ..Self::new(operation, "no answer in time") }
    }
    /// The directory answered with a code that is no verdict.
    pub(super) fn code(operation: &'static str, code: u32, text: &str) -> Self {
        let hint = match code {
            1 => " (operations error: is the account bound?)",
            3 | 11 => " (the directory's time or administrative limit)",
            4 => " (the directory's size limit: raise it for the service account)",
            8 | 13 => " (the directory demands TLS)",
            10 => " (a referral; narrows does not follow them)",
            32 => " (no such entry, or the service account may not see it)",
            49 => " (wrong name or password)",
            50 => " (the account has no right to this)",
            51 | 52 => " (the directory is busy or unavailable)",
            53 => " (the directory is unwilling)",
            _ => "",
        };
        let text = printable(text);
        let separator = if text.is_empty() { "" } else { ": " };
        Self { operation, reason: format!("result code {code}{hint}{separator}{text}"), code: Some(code), cause: Cause::Said }
    }
    /// The same as another step's.
    pub(super) fn of(self, operation: &'static str) -> Self {
        Self { operation, ..self }
    }
    /// Whether the server, or the way to it, is at fault, so that another one may do better.
    pub(super) fn is_of_the_server(&self) -> bool {
        matches!(self.operation, "connect" | "tls") || self.cause == Cause::Lost || matches!(self.code, Some(51 | 52))
    }
    /// Whether nothing came in time.
    pub(super) fn is_late(&self) -> bool {
        self.cause == Cause::Late
    }
    /// The same under the name of a provider.
    pub(super) fn unavailable(&self, provider: &str) -> Unavailable {
        Unavailable { provider: provider.to_owned(), reason: self.to_string(), retry_after: RETRY_AFTER, is_misconfigured: false }
    }
}

/// A directory's text, short and without control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars().take(200).filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}
