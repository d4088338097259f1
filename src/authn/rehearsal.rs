//! A provider asked on trial: each step of a login with what came of it and what to do, for `check --online` and `ldap test`.

use std::time::Duration;

use super::identity::Identity;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was tried: `connect`, `tls`, `service account`, `base …`.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found, or what went wrong. May hold text of a directory.
    pub found: String,
    /// More of it, a line each.
    pub details: Vec<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// How long it took, where somebody was asked.
    pub took: Option<Duration>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Good,
    /// Something is worth knowing, or cannot be told from here.
    Note,
    /// It works, and will not for long, or not safely.
    Warning,
    /// It was answered, and the answer lets nobody in, or the configuration is wrong.
    Wrong,
    /// There was no answer to go by.
    Failed,
}

impl Outcome {
    /// The word of the commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
            Self::Failed => "failed",
        }
    }
}

impl Step {
    /// Without details.
    pub fn new(name: impl Into<String>, outcome: Outcome, found: impl Into<String>) -> Self {
        Self { name: name.into(), outcome, found: found.into(), details: Vec::new(), advice: None, took: None }
    }
    /// As it should be.
    pub fn good(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, Outcome::Good, found)
    }
    /// With more lines.
    #[must_use]
    pub fn details(self, details: Vec<String>) -> Self {
        Self { details, ..self }
    }
    /// With what to do.
    #[must_use]
    pub fn advice(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
    /// With how long it took.
    #[must_use]
    pub fn took(self, took: Duration) -> Self {
        Self { took: Some(took), ..self }
    }
}

/// A login on trial.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// In their order, up to the one behind which nothing has anything to stand on.
    pub steps: Vec<Step>,
    /// What would come of the login.
    pub end: End,
}

/// What would come of a login.
#[derive(Clone, Debug)]
pub enum End {
    /// They get in; without a password as far as that can be told.
    LetIn(Box<Identity>),
    /// Nobody here has the name: the next provider is asked.
    NotMine,
    /// 401, and why, for operators.
    Refused(String),
    /// 503, and why, for operators.
    Unavailable(String),
}

/// How many wrong passwords of one account reach a directory, to be compared with how many it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindBudget {
    /// So many.
    pub failures: u32,
    /// Forgotten after so long.
    pub window: Duration,
}
