//! The password grant (RFC 6749 §4.3): a password on its way to the issuer, behind the shield that stands before directories.

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::flow::{NO_OFFLINE_ACCESS, SignInError, SignedIn, hint};
use super::person::Person;
use super::refusal::{OfPassword, Refusal};
use super::relying_party::RelyingParty;
use super::remote::{Checks, Lane, Metadata, Trouble};
use super::token_endpoint::{self, Reply, Tokens};
use super::upstream;
use crate::authn::attempt::{Account, Attempt, Bound, Throttled};
use crate::authn::cache::Freshness;
use crate::authn::identity::Method;
use crate::authn::ldap::may_be_a_name;
use crate::authn::verdict::{Circumstances, Rejection, Unavailable, Verdict};

impl RelyingParty {
    /// Whether this name and password are right, and whose they are. An issuer cannot tell an unknown name from a wrong password.
    pub(in crate::authn) async fn verify(
        &self,
        username: &str,
        password: &SecretString,
        circumstances: &Circumstances,
        freshness: Freshness,
        attempt: &Attempt,
    ) -> Result<Verdict, Unavailable> {
        let secret = password.expose_secret();
        if secret.is_empty() || secret.contains('\0') {
            return Ok(Verdict::Rejected(Rejection::WrongPassword));
        }
        // Issuers ignore spaces and what nobody sees, so such spellings would be other names of one account.
        if !may_be_a_name(self.person.stripped(username)) {
            return Ok(Verdict::NotMine);
        }
        let deadline = circumstances.deadline;
        let metadata = self.metadata(deadline).await?;
        let id = self.counted_as(username);
        let account = Account { id: &id, marker: None };
        if attempt.is_unanswered(&account) {
            self.answers(deadline).await?;
        }
        match attempt.may_bind(&account).await {
            Ok(()) => {}
            Err(Throttled::LockedOut) => return Ok(Verdict::Rejected(Rejection::LockedOut)),
            Err(throttled @ (Throttled::UsedUp { .. } | Throttled::Unsure { .. })) => return Ok(Verdict::Throttled(throttled)),
        }
        let reply = self.ask_with_password(&metadata, (username, password), freshness, deadline).await;
        attempt.bound(&account, self.bound(&reply)).await;
        match reply {
            Ok(Reply::Tokens(tokens)) => self.let_in(&tokens, deadline).await,
            Ok(Reply::Refused(refusal)) => self.refused(&refusal, (username, password)),
            Err(trouble) => Err(self.unasked(&trouble)),
        }
    }

    /// Sends a name and a password. A refresh token is asked for only where somebody keeps it: at some issuers each one is a session
    /// that lasts, at others it ends the one before.
    pub(super) async fn ask_with_password(
        &self,
        metadata: &Metadata,
        (username, password): (&str, &SecretString),
        freshness: Freshness,
        deadline: Instant,
    ) -> Result<Reply, Trouble> {
        let scopes: Vec<&str> =
            self.scopes.split(' ').filter(|scope| freshness == Freshness::AskNow || *scope != "offline_access").collect();
        let scopes = scopes.join(" ");
        let form = [("grant_type", "password"), ("username", username), ("password", password.expose_secret()), ("scope", &scopes)];
        token_endpoint::ask(&self.remote, metadata.token(), &form, Lane::SignIn, deadline).await
    }

    /// What the answer says of the account's count at the issuer.
    fn bound(&self, reply: &Result<Reply, Trouble>) -> Bound {
        match reply {
            Ok(Reply::Tokens(_)) => Bound::Proven,
            Ok(Reply::Refused(refusal)) => match refusal.of_password(self.settings.kind()) {
                OfPassword::Wrong => Bound::Wrong,
                OfPassword::Barred => Bound::LockedOut,
                OfPassword::MoreWanted | OfPassword::NoOfflineAccess => Bound::Proven,
                OfPassword::Misconfigured => Bound::Unknown,
                OfPassword::Unknown => Bound::Unanswered,
            },
            // Who is too busy to serve has compared nothing.
            Err(trouble) if !trouble.may_have_arrived || matches!(trouble.status, Some(429 | 503)) => Bound::Unknown,
            Err(_) => Bound::Unanswered,
        }
    }

    /// The password is right. Whatever is missing now is no word against it.
    async fn let_in(&self, tokens: &Tokens, deadline: Instant) -> Result<Verdict, Unavailable> {
        match self.signed_in(tokens, Checks::default(), Method::Password, deadline).await {
            Ok(SignedIn { identity, renewal }) => Ok(Verdict::Authenticated(identity, renewal)),
            Err(SignInError::Unavailable(error)) => Err(error),
            Err(SignInError::Refused(word)) if Person::says(word) => Ok(Verdict::Rejected(Rejection::Disabled)),
            Err(SignInError::Refused(word)) => Err(self.misconfigured(format!("the id_token of a password is not accepted: {word}"))),
        }
    }

    fn refused(&self, refusal: &Refusal, (username, password): (&str, &SecretString)) -> Result<Verdict, Unavailable> {
        let (provider, word) = (&*self.names.provider, refusal.word());
        let rejection = match refusal.of_password(self.settings.kind()) {
            OfPassword::Wrong => Rejection::WrongPassword,
            OfPassword::Barred => Rejection::LockedOut,
            OfPassword::MoreWanted => Rejection::InteractionRequired,
            OfPassword::NoOfflineAccess => {
                let hint = hint(NO_OFFLINE_ACCESS);
                tracing::warn!(provider, username, error = NO_OFFLINE_ACCESS, hint, "the issuer refused a sign-in: {NO_OFFLINE_ACCESS}");
                return Ok(Verdict::Rejected(Rejection::NoOfflineAccess));
            }
            OfPassword::Misconfigured => return Err(self.blamed(refusal, Some(password))),
            OfPassword::Unknown => {
                return Err(self.unavailable(format!("the token endpoint refuses a password without saying why: {word}")));
            }
        };
        tracing::info!(provider, rejection = rejection.as_str(), detail = word, "the issuer refused a password");
        Ok(Verdict::Rejected(rejection))
    }

    /// Whether the issuer answers at all: passwords that it did not read yet may still count, and no more are added to them.
    async fn answers(&self, deadline: Instant) -> Result<(), Unavailable> {
        let asked = async {
            let url = Metadata::url(self.remote.issuer()).map_err(|_| Trouble::new("issuer", "it is no URL").unsent())?;
            self.remote.send(upstream::get(&url)?, Lane::SignIn, deadline).await
        };
        asked.await.map(drop).map_err(|trouble| self.unasked(&trouble))
    }
}
