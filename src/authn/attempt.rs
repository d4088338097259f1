//! A password on its way to a directory, as the shield in front of directories sees it.

use std::time::Duration;

use super::identity::PasswordMarker;

/// The account that a bind is for.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// The stable id where the account was found before the bind, or else the folded name.
    pub id: &'a str,
    /// The password's marker, where one can be read before the bind.
    pub marker: Option<&'a PasswordMarker>,
}

/// Whether a bind proved the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The password is right, whatever becomes of the account.
    Proven,
    /// The directory counts it as a wrong password.
    Wrong,
    /// No answer that says so: an outage. Not counted.
    Unknown,
}

/// The account's share of binds is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// When it makes sense to ask again.
    pub retry_after: Duration,
}

/// One try to prove a password. Every bind asks here first and says here what came of it.
#[derive(Debug, Default)]
pub struct Attempt {}

impl Attempt {
    /// Whether this account may be bound now.
    #[expect(clippy::unused_async, reason = "the shield stands here")]
    pub async fn may_bind(&self, _account: &Account<'_>) -> Result<(), Throttled> {
        Ok(())
    }

    /// What came of the bind.
    #[expect(clippy::unused_async, reason = "the shield stands here")]
    pub async fn bound(&self, _account: &Account<'_>, _outcome: Bound) {}
}
