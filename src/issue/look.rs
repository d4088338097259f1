//! A look at a saved login by the renewal that the provider gave, which may be used once.

use std::time::Duration;

use tokio::time::sleep;

use super::RETRY_AFTER;
use crate::authn::authenticator::Authenticator;
use crate::authn::identity::Identity;
use crate::authn::verdict::{Circumstances, Renewal, SESSION_ENDED, Standing, Unavailable};
use crate::clock::Timestamp;
use crate::token::identity_token::{IdentityTokens, PresentError, Presented};

/// A look at a login takes about so long.
const BUSY: Duration = Duration::from_secs(1);
/// A sign-in of this moment has stored what it got after so long.
const SETTLED: Duration = Duration::from_secs(1);
/// More renewals of one person are not tried in one look.
const AT_MOST: usize = 20;

/// What a look at a login came to.
pub(super) struct Looked {
    pub(super) standing: Result<Standing, Unavailable>,
    pub(super) renewal: Option<Renewal>,
    /// Whether another process stored another renewal since.
    pub(super) overtaken: bool,
}

impl Looked {
    /// One that used up no renewal, or stored the next one already.
    pub(super) fn of(standing: Result<Standing, Unavailable>) -> Self {
        Self { standing, renewal: None, overtaken: false }
    }
}

/// Looks by the renewal of one login. Whatever the answer is, what the provider wants back next time is stored before anybody acts
/// on it.
pub(super) async fn by_own(
    authenticator: &Authenticator,
    tokens: &IdentityTokens,
    presented: &Presented,
    renewal: Renewal,
    circumstances: &Circumstances,
) -> Looked {
    let (standing, renewal) = authenticator.recheck(&presented.identity, &presented.fingerprint, Some(renewal), circumstances).await;
    let overtaken = match tokens.was_renewed(presented).await {
        Ok(overtaken) => overtaken,
        Err(error) => return unstored(presented, &error),
    };
    if let Some(renewal) = &renewal
        && let Err(PresentError::Unavailable(error)) = tokens.keep_renewal(presented, renewal).await
    {
        return unstored(presented, &error);
    }
    Looked { standing, renewal, overtaken }
}

/// The same at a provider that keeps one renewal for each person: the one that is alive may stand in another login of theirs, and
/// what comes of it belongs to all of them.
pub(super) async fn by_any(
    authenticator: &Authenticator,
    tokens: &IdentityTokens,
    presented: &Presented,
    circumstances: &Circumstances,
) -> Looked {
    let mut over: Vec<Renewal> = Vec::new();
    let mut settled = false;
    loop {
        let renewals = match tokens.renewals_of(presented).await {
            Ok(renewals) => renewals,
            Err(error) => return unstored(presented, &error),
        };
        let Some(renewal) = renewals.into_iter().find(|renewal| !over.contains(renewal)).filter(|_| over.len() < AT_MOST) else {
            if settled {
                return Looked::of(Ok(Standing::Ended(SESSION_ENDED)));
            }
            // A sign-in ends the former renewals before narrows can have stored the new one.
            sleep(SETTLED).await;
            settled = true;
            continue;
        };
        let asking = authenticator.recheck(&presented.identity, &presented.fingerprint, Some(renewal.clone()), circumstances);
        let (standing, next) = asking.await;
        over.push(renewal);
        if matches!(standing, Ok(Standing::Ended(SESSION_ENDED))) {
            continue;
        }
        if let Some(next) = next
            && let Err(error) = tokens.replace_renewals(presented, &over, &next).await
        {
            return unstored(presented, &error);
        }
        return Looked::of(standing);
    }
}

/// Where the provider keeps one renewal for each person, a sign-in has ended those that their other logins hold: they get the new
/// one at once, whatever becomes of the sign-in.
pub(super) async fn pass_on(
    authenticator: &Authenticator,
    tokens: &IdentityTokens,
    identity: &Identity,
    renewal: Option<&Renewal>,
    at: Timestamp,
) {
    let Some((provider, renewal)) = authenticator.provider(&identity.provider).zip(renewal) else { return };
    if provider.shares_renewals()
        && let Err(error) = tokens.share(identity, &provider.fingerprint(), renewal, at).await
    {
        tracing::error!(provider = %identity.provider, error = %error, "a sign-in ended the refresh token of other saved logins, and they could not be given the new one");
    }
}

/// Another request, or another process, looks at the same login.
pub(super) fn busy(presented: &Presented) -> Unavailable {
    let reason = "another request is looking at this login".to_owned();
    Unavailable { provider: presented.identity.provider.to_string(), reason, retry_after: BUSY, is_misconfigured: false }
}

fn unstored(presented: &Presented, error: &dyn std::fmt::Display) -> Looked {
    tracing::error!(error = %error, token.id = %presented.id, "what the issuer wants back for identity token {} could not be stored", presented.id);
    Looked::of(Err(Unavailable {
        provider: presented.identity.provider.to_string(),
        reason: "what the issuer wants back could not be stored".to_owned(),
        retry_after: RETRY_AFTER,
        is_misconfigured: false,
    }))
}
