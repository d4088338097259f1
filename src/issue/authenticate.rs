//! Who asks: each kind of credentials by its own way, none of which falls through to another.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::timeout_at;

use super::lease::Turn;
use super::look::{self, Looked, busy};
use super::record::Record;
use super::{GrantType, Issuer, RETRY_AFTER, Refusal, Service, TokenRequest};
use crate::authn::authenticator::{Denied, Freshness, Stale};
use crate::authn::credentials::Credentials;
use crate::authn::identity::{Identity, Method, Principal};
use crate::authn::provider::Provider;
use crate::authn::verdict::{Circumstances, Rejection, Renewal, Standing, Unavailable};
use crate::token::identity_token::{Born, PresentError, Presented};

/// An answer with a new renewal is awaited for so long beyond the deadline of the request.
const LATE: Duration = Duration::from_secs(10);
/// Beyond that nobody is waited for who had the turn of a look and ended.
const SLACK: Duration = Duration::from_secs(2);

/// Who asks, and how that was proven.
pub(super) struct Proof {
    /// The asker.
    pub(super) principal: Principal,
    /// Whether the provider proved it for this very request, not a cache for an earlier one.
    pub(super) fresh: bool,
    /// By which kind of login.
    pub(super) born: Born,
    /// What the provider wants back at a later re-check.
    pub(super) renewal: Option<Renewal>,
    /// The identity token that was presented.
    pub(super) presented: Option<SecretString>,
    /// Set where the provider could not be asked: good for pulls alone.
    pub(super) stale: Option<Stale>,
}

impl Proof {
    /// Of somebody who proved nothing that a token could be made of.
    pub(super) fn of(principal: Principal) -> Self {
        Self { principal, fresh: false, born: Born::Password, renewal: None, presented: None, stale: None }
    }
}

impl Issuer {
    pub(super) async fn authenticate(&self, request: &TokenRequest, service: Service<'_>, record: &mut Record) -> Result<Proof, Refusal> {
        match &request.credentials {
            Credentials::Anonymous => Ok(Proof::of(Principal::Anonymous)),
            Credentials::Password { username, password } => self.by_password(request, service, username, password, record).await,
            Credentials::IdentityToken(token) => self.by_identity_token(request, service, token, record).await,
            Credentials::LoginCode { username, code } => self.by_login_code(request, service, (username, code), record).await,
            Credentials::WorkloadToken(_) => {
                record.rejected("workload_token");
                Err(Refusal::Rejected)
            }
            Credentials::Unusable(reason) => {
                record.rejected(reason);
                Err(if request.grant == GrantType::RefreshToken { Refusal::LoginEnded } else { Refusal::Rejected })
            }
        }
    }

    async fn by_password(
        &self,
        request: &TokenRequest,
        service: Service<'_>,
        username: &str,
        password: &SecretString,
        record: &mut Record,
    ) -> Result<Proof, Refusal> {
        let freshness = if request.offline { Freshness::AskNow } else { Freshness::CacheAllowed };
        record.typed(&self.audit, username);
        if let Some(answer) = self.in_band(request, service, (username, password), record).await {
            return answer;
        }
        match self.authenticator.verify(username, password, &self.circumstances(request), freshness).await {
            Ok(verified) => {
                look::pass_on(&self.authenticator, &self.identity_tokens, &verified.identity, verified.renewal.as_ref(), self.clock.now())
                    .await;
                record.identified(service.policy, &verified.identity, verified.cached);
                if let Some(stale) = verified.stale {
                    record.stale(stale.asked);
                    // docker stores the password where a login brings no identity token, and none is made from memory.
                    if request.offline && request.scopes.scopes.is_empty() {
                        return Err(Refusal::Unavailable { retry_after: RETRY_AFTER });
                    }
                }
                let fresh = !verified.cached;
                let (principal, renewal) = (Principal::Identified(verified.identity), verified.renewal);
                Ok(Proof { fresh, renewal, stale: verified.stale, ..Proof::of(principal) })
            }
            Err(Denied::Rejected { provider, reason, advice, cached }) => {
                record.refused_by(provider.as_deref(), username, reason, cached);
                Err(advice.map_or(Refusal::Rejected, |advice| Refusal::RejectedWithAdvice(advice.into())))
            }
            Err(Denied::InteractionRequired { provider, cached }) => {
                record.refused_by(Some(&provider), username, Rejection::InteractionRequired.as_str(), cached);
                Err(Refusal::RejectedWithAdvice(self.where_to_sign_in().into()))
            }
            Err(Denied::Throttled { step, retry_after }) => {
                record.rejected(step.as_str());
                Err(Refusal::Throttled { retry_after })
            }
            Err(Denied::Unavailable(error)) => Err(unavailable(&error, record)),
        }
    }

    /// What everybody is told alike whose credentials do not hold. Some issuers answer a right password without its second factor as
    /// a wrong one, so the sign-in page is named where there is one.
    pub(super) fn rejected(&self) -> Refusal {
        let Some(page) = self.sign_in_page() else { return Refusal::Rejected };
        let text = if self.authenticator.takes_passwords() {
            format!("{}; where a password is not enough, open {page}", Refusal::Rejected)
        } else {
            format!("no passwords are taken here: open {page}, then run the docker login that it shows")
        };
        Refusal::RejectedWithAdvice(text.into())
    }

    /// What somebody is told whose password does not do.
    fn where_to_sign_in(&self) -> String {
        match self.sign_in_page() {
            Some(page) => format!("a password is not enough for this account: open {page}, then run the docker login that it shows"),
            None => "a password is not enough for this account: ask your administrator how to log in with a browser".to_owned(),
        }
    }

    pub(super) async fn by_identity_token(
        &self,
        request: &TokenRequest,
        service: Service<'_>,
        token: &SecretString,
        record: &mut Record,
    ) -> Result<Proof, Refusal> {
        let mut presented = self.present(token, service, record).await?;
        let mut turn = None;
        if presented.needs_recheck {
            let deadline = self.circumstances(request).deadline;
            let name = self.turn_of(&presented);
            turn = self.rechecks.take(&name, deadline).await.map(Turn::here);
            // Whoever had the turn before may have looked already, here or in another process.
            presented = self.present(token, service, record).await?;
            if presented.needs_recheck && presented.renewal.is_some() {
                turn = match turn {
                    Some(turn) => turn.everywhere(&self.store, &self.clock, &name, self.request_deadline + LATE + SLACK, deadline).await,
                    None => None,
                };
                presented = self.present(token, service, record).await?;
            }
        }
        let (identity, stale) = self.standing(request, &presented, turn, record).await?;
        let identity = Identity { method: Method::IdentityToken, ..identity };
        record.identified(service.policy, &identity, !presented.needs_recheck);
        match stale {
            // Nothing is stored that nobody confirmed.
            Some(stale) => record.stale(stale.asked),
            None => self.identity_tokens.used(&presented, request.client.source()).await,
        }
        if let Err(rejection) = self.authenticator.admits(&identity, request.client.source()) {
            record.rejected(rejection.as_str());
            return Err(Refusal::LoginEnded);
        }
        let principal = Principal::Identified(Arc::new(identity));
        Ok(Proof { presented: Some(token.clone()), stale, ..Proof::of(principal) })
    }

    /// Whose turn a look is: one of the login, or of the person where all of their logins live by one renewal.
    fn turn_of(&self, presented: &Presented) -> String {
        let Identity { provider, id, .. } = &presented.identity;
        if self.shares_renewals(provider) { format!("{provider}\n{id}") } else { presented.id.clone() }
    }

    fn shares_renewals(&self, provider: &str) -> bool {
        self.authenticator.provider(provider).is_some_and(Provider::shares_renewals)
    }

    async fn present(&self, token: &SecretString, service: Service<'_>, record: &mut Record) -> Result<Presented, Refusal> {
        match self.identity_tokens.present(token, service.name()).await {
            Ok(presented) => {
                record.identified(service.policy, &presented.identity, !presented.needs_recheck);
                Ok(presented)
            }
            Err(error) => Err(not_presented(&error, record)),
        }
    }

    /// The owner of an identity token as of a look that is recent enough; a look that says no ends the token. One that cannot
    /// be made may be gone by without.
    async fn standing(
        &self,
        request: &TokenRequest,
        presented: &Presented,
        turn: Option<Turn>,
        record: &mut Record,
    ) -> Result<(Identity, Option<Stale>), Refusal> {
        let current = self.authenticator.fingerprint(&presented.identity.provider);
        // The turn is held until what was seen is stored.
        let (looked, turn) = if current.as_deref() != Some(presented.fingerprint.as_str()) {
            (Looked::of(Ok(Standing::Ended("provider_changed"))), turn)
        } else if presented.needs_recheck {
            self.look(presented, self.circumstances(request), turn).await
        } else {
            return Ok((presented.identity.clone(), None));
        };
        let standing = self.stood(presented, looked, record).await;
        if let Some(turn) = turn {
            turn.release().await;
        }
        standing
    }

    /// What a look comes to, stored.
    async fn stood(&self, presented: &Presented, looked: Looked, record: &mut Record) -> Result<(Identity, Option<Stale>), Refusal> {
        match looked.standing {
            // How the login was proven stays what it was then.
            Ok(Standing::Good(identity)) => match self.identity_tokens.confirm(presented, &identity, looked.renewal).await {
                Ok(()) => Ok((Identity { second_factor: presented.identity.second_factor, ..identity }, None)),
                Err(error) => Err(not_presented(&error, record)),
            },
            // What the issuer said was about a renewal that another process used up meanwhile.
            Ok(Standing::Ended(_)) if looked.overtaken => self.gone_by(presented, &busy(presented), record),
            Ok(Standing::Ended(reason)) => {
                record.rejected(reason);
                if let Err(error) = self.identity_tokens.end(presented, reason).await {
                    // It is refused now and looked at again the next time.
                    tracing::error!(error = %error, reason, "the end of an identity token could not be stored");
                }
                Err(Refusal::LoginEnded)
            }
            Err(error) => self.gone_by(presented, &error, record),
        }
    }

    /// Asks the provider. An issuer that was shown a renewal may know only the next one from then on, and end everything when the
    /// old one comes again: so one alone shows it, and the answer is awaited and stored even when it is too late for the request.
    async fn look(&self, presented: &Presented, circumstances: Circumstances, turn: Option<Turn>) -> (Looked, Option<Turn>) {
        let Some(renewal) = presented.renewal.clone() else {
            let (standing, _) = self.authenticator.recheck(&presented.identity, &presented.fingerprint, None, &circumstances).await;
            return (Looked::of(standing), turn);
        };
        let Some(turn) = turn else { return (Looked::of(Err(busy(presented))), None) };
        let patient = Circumstances { deadline: circumstances.deadline + LATE, ..circumstances };
        let (authenticator, tokens, asked) = (Arc::clone(&self.authenticator), Arc::clone(&self.identity_tokens), presented.clone());
        let shared = self.shares_renewals(&asked.identity.provider);
        let looking = tokio::spawn(async move {
            let looked = if shared {
                look::by_any(&authenticator, &tokens, &asked, &patient).await
            } else {
                look::by_own(&authenticator, &tokens, &asked, renewal, &patient).await
            };
            (looked, turn)
        });
        match timeout_at(circumstances.deadline, looking).await {
            Ok(Ok((looked, turn))) => (looked, Some(turn)),
            Ok(Err(error)) => {
                tracing::error!(error = %error, "a look at a login ended without an answer");
                (Looked::of(Err(busy(presented))), None)
            }
            Err(_) => (Looked::of(Err(busy(presented))), None),
        }
    }

    /// The provider cannot be asked now; what was seen last may do.
    fn gone_by(&self, presented: &Presented, error: &Unavailable, record: &mut Record) -> Result<(Identity, Option<Stale>), Refusal> {
        match self.authenticator.last_seen(&presented.identity, presented.looked, error) {
            Some((identity, stale)) => Ok((identity, Some(stale))),
            None => Err(unavailable(error, record)),
        }
    }
}

/// A token that does not hold is a refusal; one that cannot be looked up is an outage.
fn not_presented(error: &PresentError, record: &mut Record) -> Refusal {
    match error {
        PresentError::Ended(reason) => {
            record.rejected(reason);
            Refusal::LoginEnded
        }
        PresentError::Unavailable(cause) => {
            tracing::error!(error = %cause, "the identity tokens cannot be read or written");
            Refusal::Unavailable { retry_after: RETRY_AFTER }
        }
    }
}

fn unavailable(error: &Unavailable, record: &mut Record) -> Refusal {
    record.unavailable(&error.provider);
    Refusal::Unavailable { retry_after: error.retry_after }
}
