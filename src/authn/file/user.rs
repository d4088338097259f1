//! One user of a file: what is compared, and what is judged after the password was proven.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::password::PasswordHash;
use super::scratch::Scratch;
use crate::authn::identity::{Group, PasswordMarker};
use crate::authn::verdict::Rejection;
use crate::clock::Timestamp;

/// A person or a robot of a users file.
#[derive(Debug)]
pub(super) struct User {
    /// As written; the stable id too.
    pub(super) name: String,
    /// What a password is compared with: one, or two while it is being changed.
    pub(super) hashes: Arc<[LiveHash]>,
    pub(super) groups: Vec<Group>,
    pub(super) disabled: bool,
    /// The first moment at which the user is no longer admitted.
    pub(super) expires: Option<Timestamp>,
    /// Where the user may come from; `None` is anywhere.
    pub(super) sources: Option<Vec<IpNet>>,
}

/// A hash and how long it counts.
#[derive(Debug)]
pub(super) struct LiveHash {
    pub(super) hash: PasswordHash,
    /// The first moment at which it no longer counts.
    pub(super) until: Option<Timestamp>,
}

impl LiveHash {
    fn is_live(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl User {
    /// What the account itself says, whoever asks from wherever.
    pub(super) fn judge(&self, now: Timestamp) -> Result<(), Rejection> {
        if self.disabled {
            return Err(Rejection::Disabled);
        }
        if self.expires.is_some_and(|expires| now >= expires) {
            return Err(Rejection::Expired);
        }
        Ok(())
    }

    /// Whether the user may come from this address; an address that is not known is not one of the allowed ones.
    pub(super) fn admits(&self, source: Option<IpAddr>) -> Result<(), Rejection> {
        let Some(allowed) = &self.sources else { return Ok(()) };
        // A dual-stack socket shows 10.0.0.1 as ::ffff:10.0.0.1.
        let source = source.map(|address| address.to_canonical());
        if source.is_some_and(|source| allowed.iter().any(|net| net.contains(&source))) { Ok(()) } else { Err(Rejection::Source) }
    }

    /// Whether the password that was proven with this hash still counts.
    pub(super) fn keeps(&self, marker: &PasswordMarker, now: Timestamp) -> bool {
        self.hashes.iter().any(|live| live.is_live(now) && live.hash.marker() == marker)
    }
}

/// Compares a password with every hash of a user, those that no longer count too, so that a wrong one always costs the
/// same. The marker is that of the first live hash that fits.
pub(super) fn compare(hashes: &[LiveHash], password: &[u8], now: Timestamp, scratch: &mut Scratch) -> Option<PasswordMarker> {
    hashes.iter().find(|live| live.hash.matches(password, scratch) && live.is_live(now)).map(|live| live.hash.marker().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_in_either_spelling_and_an_unknown_one_does_not() {
        let user = User {
            name: "robot".to_owned(),
            hashes: Arc::new([]),
            groups: Vec::new(),
            disabled: false,
            expires: None,
            sources: Some(vec!["10.20.0.0/16".parse().unwrap()]),
        };
        let check = |source: Option<&str>, expected| {
            assert_eq!(user.admits(source.map(|it| it.parse().unwrap())), expected, "{source:?}");
        };
        check(Some("10.20.3.4"), Ok(()));
        check(Some("::ffff:10.20.3.4"), Ok(()));
        check(Some("10.21.3.4"), Err(Rejection::Source));
        check(Some("::1"), Err(Rejection::Source));
        check(None, Err(Rejection::Source));
    }
}
