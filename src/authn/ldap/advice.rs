//! What to do about a step that failed.

use tokio::time::Instant;

use super::trouble::Trouble;
use crate::authn::rehearsal::{Outcome, Step};

/// The step that failed, with what to do.
pub(super) fn failed(name: impl Into<String>, trouble: &Trouble, since: Instant) -> Step {
    // A DN that is not there, and who was refused, are the configuration's fault; asking again helps nobody.
    let refused = trouble.operation == "service account" && trouble.reason.contains("refuses it");
    let outcome = if refused || matches!(trouble.code, Some(32 | 49)) { Outcome::Wrong } else { Outcome::Failed };
    let step = Step::new(name, outcome, &trouble.reason).took(since.elapsed());
    match advice(trouble) {
        Some(advice) => step.advice(advice),
        None => step,
    }
}

/// Where the reason does not say it itself.
fn advice(trouble: &Trouble) -> Option<&'static str> {
    if trouble.reason.contains("tokenGroups") {
        return Some(
            "make the service account a member of `Windows Authorization Access Group` or `Pre-Windows 2000 Compatible Access`, or give it \
             read on `tokenGroups`; `strategy: memberof` does without",
        );
    }
    match (trouble.operation, trouble.code) {
        (_, Some(3 | 11)) => Some("index the attributes of the filter, narrow the bases, or raise the directory's time limit"),
        (_, Some(4)) => Some("raise the directory's size limit for the service account (OpenLDAP: `limits … size.prtotal=unlimited`)"),
        (_, Some(8 | 13)) => Some("write ldaps://, or ldap:// without `allow_plaintext`"),
        (_, Some(32)) => Some("correct the DN, or let the service account read and search there"),
        (_, Some(50)) => Some("let the service account read and search there"),
        ("connect", _) if trouble.is_late() => {
            Some("is the directory up, and does no firewall drop packets? `timeouts.connect` is the limit")
        }
        ("connect", _) => Some("is the directory up, and do the host and port of `servers` lead to it?"),
        ("resolve", _) => Some("correct the host in `servers`, or make DNS answer"),
        ("discovery", _) => Some("correct `discovery.domain`, or name the directory in `servers`"),
        ("tls", _) if trouble.is_late() => Some("does this port speak TLS? ldaps:// is 636, StartTLS 389; `timeouts.tls` is the limit"),
        ("service account", _) => {
            Some("correct the DN of `service_account` or its password's file; the account may also be disabled, locked or expired")
        }
        ("bind", _) if trouble.is_late() => Some("`timeouts.bind` is the limit"),
        ("search" | "groups", _) if trouble.is_late() => {
            Some("index the attributes of the filter, narrow the bases, or raise `timeouts.search`")
        }
        _ => None,
    }
}
