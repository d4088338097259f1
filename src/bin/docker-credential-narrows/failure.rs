//! What ends a command other than well, and the exit code of it.

/// Exit code of a denial.
pub(crate) const DENIED: u8 = 1;
/// Exit code of bad usage or configuration.
pub(crate) const BAD: u8 = 2;
/// Exit code where something that was needed could not be asked.
pub(crate) const UNAVAILABLE: u8 = 3;

/// Why a command did not do what it was asked for; the text ends in what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Somebody or something said no.
    #[error("{0}")]
    Denied(String),
    /// Usage, configuration or a file is wrong.
    #[error("{0}")]
    Bad(String),
    /// It may go well the next time.
    #[error("{0}")]
    Unavailable(String),
}

impl Failure {
    /// The exit code for commands that people type.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Denied(_) => DENIED,
            Self::Bad(_) => BAD,
            Self::Unavailable(_) => UNAVAILABLE,
        }
    }
}
