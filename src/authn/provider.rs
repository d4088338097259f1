//! The providers that can be asked: one closed set.

use std::sync::Arc;

/// What a provider is called and how its names compare.
#[derive(Clone, Debug)]
pub struct Names {
    /// The provider's name.
    pub provider: Arc<str>,
    /// Its realm.
    pub realm: Arc<str>,
    /// Whether names and groups compare without regard to ASCII case.
    pub ignore_case: bool,
}

/// Whether a provider answered the last time that it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nobody asked yet.
    Unknown,
    /// It answered (a wrong password is an answer).
    Up,
    /// It did not; why, for operators.
    Down(String),
}

/// One step of an online check, as `check --online` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeStep {
    /// What was tried: `connect`, `tls`, `service account`, `base …`.
    pub step: String,
    /// What came of it; `Err` with the reason and what to do.
    pub outcome: Result<String, String>,
}
