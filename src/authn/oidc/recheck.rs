//! Whether somebody who signed in earlier still may (OpenID Connect Core §12, RFC 6749 §6).

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::Instant;

use super::claims::{Claims, Documents, instant};
use super::flow::SignInError;
use super::groups::Reading;
use super::refusal::OfRenewal;
use super::relying_party::{Known, RelyingParty};
use super::remote::{Checks, Lane};
use super::settings::OidcPreset;
use super::token_endpoint::{Reply, Tokens};
use crate::authn::identity::Identity;
use crate::authn::verdict::{Circumstances, Renewal, SESSION_ENDED, Standing, Unavailable};
use crate::clock::Timestamp;

/// Microsoft dates its tokens so many seconds back.
const MICROSOFT_BACKDATES: i64 = 300;

impl RelyingParty {
    /// How somebody stands who signed in earlier, by the refresh token of then. A renewal that comes back takes the place of
    /// the one that was handed in, whatever the answer is: an issuer that gave a new one takes the old one for stolen.
    pub(in crate::authn) async fn recheck(
        &self,
        identity: &Identity,
        renewal: Option<Renewal>,
        circumstances: &Circumstances,
    ) -> (Result<Standing, Unavailable>, Option<Renewal>) {
        let Some(renewal) = renewal else {
            return (Err(self.unavailable("there is no refresh token of the sign-in to ask with")), None);
        };
        let Some(token) = std::str::from_utf8(&renewal.0).ok().map(|text| SecretString::from(text.to_owned())) else {
            return (Err(self.unavailable("the refresh token that was kept is none")), Some(renewal));
        };
        let asked = self.clock.now();
        let form = [("grant_type", "refresh_token"), ("refresh_token", token.expose_secret())];
        let refusal = match self.ask(&form, Lane::Main, circumstances.deadline).await {
            Ok(Reply::Tokens(tokens)) => {
                let next = tokens.renewal().unwrap_or(renewal);
                return (self.standing(identity, &tokens, asked, circumstances.deadline).await, Some(next));
            }
            Ok(Reply::Refused(refusal)) => refusal,
            Err(error) => return (Err(error), Some(renewal)),
        };
        let standing = match refusal.of_renewal(self.settings.kind()) {
            OfRenewal::Ended => {
                tracing::info!(provider = %self.names.provider, detail = refusal.word(), "the issuer has ended a session");
                Ok(Standing::Ended(SESSION_ENDED))
            }
            OfRenewal::Misconfigured => Err(self.blamed(&refusal, Some(&token))),
            OfRenewal::Unknown => {
                Err(self.unavailable(format!("the token endpoint refuses a refresh token without saying why: {}", refusal.word())))
            }
        };
        (standing, Some(renewal))
    }

    async fn standing(&self, identity: &Identity, tokens: &Tokens, asked: Timestamp, deadline: Instant) -> Result<Standing, Unavailable> {
        let known = Known { method: identity.method, proven: identity.proven, second_factor: identity.second_factor };
        let made = if tokens.id_token.is_some() {
            match self.verified(tokens, Checks::default(), deadline).await {
                Ok(claims) => {
                    self.is_fresh(&claims, identity, asked)?;
                    self.identity(&claims, tokens.access_token.as_ref(), known, deadline).await
                }
                Err(SignInError::Refused(word)) => {
                    return Err(self.misconfigured(format!("the id_token of a re-check is not accepted: {word}")));
                }
                Err(SignInError::Unavailable(error)) => return Err(error),
            }
        } else {
            self.by_userinfo(identity, tokens, known, deadline).await
        };
        match made {
            Ok(identity) => Ok(Standing::Good(identity)),
            Err(SignInError::Refused(word)) => Ok(Standing::Ended(word)),
            Err(SignInError::Unavailable(error)) => Err(error),
        }
    }

    /// An `id_token` may be left out here (Core §12.2); then userinfo alone has to hold everything that the sign-in did.
    async fn by_userinfo(&self, identity: &Identity, tokens: &Tokens, known: Known, deadline: Instant) -> Result<Identity, SignInError> {
        let Some(userinfo) = self.userinfo_of(&identity.id, tokens.access_token.as_ref(), deadline).await? else {
            return Err(self.misconfigured("a re-check brought no id_token, and there is no userinfo endpoint to ask").into());
        };
        let groups = match self.groups.read_all_in(&userinfo).map_err(|error| self.unreadable(&error))? {
            Some(Reading::Whole { groups, .. }) => groups,
            Some(Reading::CutOff(cut)) => {
                return Err(self
                    .unavailable(format!("a re-check brought no id_token, and userinfo not every group ({})", cut.sign))
                    .into());
            }
            None => {
                let places = self.groups.places();
                let reason = format!("a re-check brought no id_token, and userinfo does not hold the groups at {places}");
                return Err(self.misconfigured(reason).into());
            }
        };
        self.made(Documents { id_token: &userinfo, userinfo: None }, groups, known)
    }

    /// Whether the token is of now and of the same person: a kept one proves nothing of today.
    fn is_fresh(&self, claims: &Claims, identity: &Identity, asked: Timestamp) -> Result<(), Unavailable> {
        if claims.get("sub").and_then(Value::as_str) != Some(identity.id.as_str()) {
            return Err(self.misconfigured("a refresh token brought somebody else's id_token"));
        }
        let leeway = i64::try_from(self.settings.tokens.leeway.value.as_seconds()).unwrap_or(i64::MAX);
        let backdated = if self.settings.kind() == OidcPreset::Entra { MICROSOFT_BACKDATES } else { 0 };
        let earliest = asked.plus(-leeway).plus(-backdated);
        if instant(claims, "iat").is_none_or(|issued| issued < earliest) {
            return Err(self.unavailable("a refresh token brought an id_token of an earlier time"));
        }
        Ok(())
    }
}
