//! Why an issuer let nobody in, as the log has it: the page and docker say only whom to ask, and the id of the request finds the line.

use crate::authn::oidc::{self, CallbackError};

/// A browser came back without a code. Whoever begins a sign-in can write such an answer themselves.
pub(super) fn sent_back(request_id: &str, provider: &str, error: &CallbackError) {
    let word = error.as_str();
    if error.is_denial() {
        tracing::info!(request_id, provider, error = word, "the issuer refused a sign-in: {word}");
    } else if let Some(hint) = error.hint() {
        tracing::error!(request_id, provider, error = word, hint, "the issuer refused a sign-in: {word}");
    } else {
        tracing::warn!(request_id, provider, error = word, "the issuer refused a sign-in: {word}");
    }
}

/// A browser came back to an issuer's address with an error that says it is another issuer's.
pub(super) fn not_its_answer(request_id: &str, provider: &str) {
    tracing::warn!(request_id, provider, reason = "issuer_mismatch", "an answer to a browser is not this issuer's");
}

/// Somebody signed in, and the issuer gives them no tokens for a reason that somebody else has to mend.
pub(super) fn turned_away(request_id: &str, provider: &str, reason: &str) {
    if let Some(hint) = oidc::hint(reason) {
        tracing::warn!(request_id, provider, error = reason, hint, "the issuer refused a sign-in: {reason}");
    }
}
