//! When a token ends by itself.

use super::settings::IdentityTokenSettings;
use super::snapshot::{self, Origin};
use crate::clock::Timestamp;
use crate::source::Period;
use crate::store::TokenRow;

/// Where the directory shows no password marker, a new password cannot be noticed. Where the issuer gave a renewal, it can: the
/// issuer ends the session, and the next look with it.
const WITHOUT_MARKER: Period = Period::days(7);
/// What somebody approved for a device that they may not have in front of them.
const BY_DEVICE: Period = Period::days(7);
/// Where nobody can be asked again, somebody who left cannot be noticed.
const WITHOUT_RECHECK: Period = Period::hours(12);
/// A pipeline is over after this.
const WORKLOAD: Period = Period::hours(1);

/// Why the token of this row may not be used now; none while it lives.
pub(super) fn ended(row: &TokenRow, settings: &IdentityTokenSettings, now: Timestamp) -> Option<&'static str> {
    if row.ended.is_some() {
        return Some(reason_word(row));
    }
    if now >= absolute_end(row, settings) {
        return Some("absolute");
    }
    (now.since(Timestamp(row.used)) >= seconds(settings.idle.value)).then_some("idle")
}

/// When the token ends whatever happens. Counted from the login, so that it never outlives what was proven there.
pub(super) fn absolute_end(row: &TokenRow, settings: &IdentityTokenSettings) -> Timestamp {
    let mut life = settings.absolute.value;
    if row.marker.is_none() && row.renewal.is_none() {
        life = life.min(WITHOUT_MARKER);
    }
    if Origin::of(row).is_of_a_device() {
        life = life.min(BY_DEVICE);
    }
    if row.recheck == snapshot::IMPOSSIBLE {
        life = life.min(WITHOUT_RECHECK);
    }
    if row.kind != snapshot::PERSON {
        life = life.min(WORKLOAD);
    }
    Timestamp(row.proven.min(row.created)).plus(seconds(life))
}

/// No token of a person that has a renewal ends by its age before it is this old, in seconds.
pub(super) fn shortest_with_renewal(settings: &IdentityTokenSettings) -> i64 {
    seconds(settings.absolute.value.min(BY_DEVICE))
}

/// Whether the last look is too old to go by. One that lies in the future tells that the clock was wrong.
pub(super) fn needs_recheck(row: &TokenRow, settings: &IdentityTokenSettings, now: Timestamp) -> bool {
    row.recheck != snapshot::IMPOSSIBLE && is_old(Timestamp(row.looked), settings, now)
}

/// The same of a look alone.
pub(super) fn is_old(looked: Timestamp, settings: &IdentityTokenSettings, now: Timestamp) -> bool {
    let age = now.since(looked);
    age < 0 || age >= seconds(settings.recheck.value)
}

pub(super) fn seconds(period: Period) -> i64 {
    i64::try_from(period.as_seconds()).unwrap_or(i64::MAX)
}

/// Reasons that are stored, as words that last as long as the program.
const REASONS: [&str; 22] = [
    "idle",
    "absolute",
    "revoked",
    "replaced",
    "password_changed",
    "provider_changed",
    "gone",
    "disabled",
    "locked",
    "expired",
    "must_change",
    "ambiguous",
    "source",
    "wrong_password",
    "filtered",
    "other_identity",
    "cannot_recheck",
    "rejected",
    "session_ended",
    "claim_required",
    "no_subject",
    "username",
];

/// Why a row was ended.
pub(super) fn reason_word(row: &TokenRow) -> &'static str {
    REASONS.into_iter().find(|word| row.reason.as_deref() == Some(word)).unwrap_or("ended")
}
