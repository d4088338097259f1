//! Refresh tokens that no login lives by any more are given back (RFC 7009).

use std::sync::atomic::Ordering;

use data_encoding::BASE64URL_NOPAD;
use openidconnect::http::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::relying_party::RelyingParty;
use super::remote::{Answer, Lane, Trouble};
use super::settings::Ends;
use super::token_endpoint;
use crate::authn::verdict::{GivenBack, Renewal, Unavailable};

/// The one claim of Keycloak's refresh tokens that is read.
#[derive(Deserialize)]
struct OfSession {
    sid: String,
}

impl RelyingParty {
    /// Ends a refresh token at the issuer. Nobody is asked for metadata here, as that would be at the expense of those who sign in:
    /// it is fetched in the background, and before that the answer is an outage.
    pub(in crate::authn) async fn give_back(&self, renewal: &Renewal, deadline: Instant) -> Result<GivenBack, Unavailable> {
        let unavailable = |trouble: Trouble| self.remote.unavailable(&trouble);
        let metadata = self.remote.known_metadata();
        let metadata = metadata.ok_or_else(|| unavailable(Trouble::new("discovery", "nothing is known of the issuer yet").ours()))?;
        let (Some(endpoint), Ok(token)) = (metadata.revocation(), std::str::from_utf8(&renewal.0)) else {
            return Ok(GivenBack::NotOffered);
        };
        let form = [("token", token), ("token_type_hint", "refresh_token")];
        let request = token_endpoint::request(&self.remote, endpoint, &form).map_err(unavailable)?;
        let answer = self.remote.send(request, Lane::Revocation, deadline).await.map_err(unavailable)?;
        self.given_back(&answer).map_err(unavailable)
    }

    /// What an answer says; trouble where another one may be had later.
    fn given_back(&self, answer: &Answer) -> Result<GivenBack, Trouble> {
        if answer.status.is_success() {
            return Ok(GivenBack::Revoked);
        }
        let status = answer.status.as_u16();
        let refusal = token_endpoint::refusal_in(answer);
        let word = refusal.as_ref().map_or_else(|| format!("HTTP status {status}"), super::refusal::Refusal::word);
        let error = refusal.as_ref().map_or("", |refusal| refusal.error.as_str());
        let ours = answer.status == StatusCode::UNAUTHORIZED || error == "invalid_client";
        // A page of whoever stands in between is no word of the issuer.
        let passing = matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::REQUEST_TIMEOUT) && refusal.is_none();
        if ours || passing {
            let what = if ours { "the client is refused" } else { "no answer of the issuer" };
            return Err(Trouble::new("revocation endpoint", format!("{what}: {word}")).status(status));
        }
        // RFC 7009 §2.2 wants 200 for one that is over already; Google says this instead.
        if error == "invalid_token" {
            return Ok(GivenBack::Revoked);
        }
        if self.told_of_refusal.swap(true, Ordering::Relaxed) {
            tracing::debug!(provider = %self.names.provider, reason = word, "the issuer does not take a refresh token back");
        } else {
            tracing::warn!(
                provider = %self.names.provider, reason = word,
                "the issuer does not take a refresh token back: logins that end here live on there; further ones are not reported"
            );
        }
        Ok(GivenBack::Refused)
    }

    /// Whether one ends with the other.
    pub(in crate::authn) fn end_together(&self, one: &Renewal, other: &Renewal) -> bool {
        one == other
            || match self.settings.kind().ends() {
                Ends::ItAlone => false,
                Ends::ItsSession => match (session(one), session(other)) {
                    (Some(one), Some(other)) => one == other,
                    (None, _) | (_, None) => true,
                },
                Ends::MaybeAll => true,
            }
    }
}

/// The session that a refresh token of Keycloak names. It came from the issuer and from nobody else, so no signature is checked.
fn session(renewal: &Renewal) -> Option<String> {
    let payload = renewal.0.split(|byte| *byte == b'.').nth(1)?;
    let payload = Zeroizing::new(BASE64URL_NOPAD.decode(payload).ok()?);
    serde_json::from_slice::<OfSession>(&payload).ok().map(|payload| payload.sid)
}
