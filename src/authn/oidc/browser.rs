//! A sign-in by browser: authorization code with PKCE (OpenID Connect Core §3.1, RFC 7636, RFC 9207).

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use data_encoding::BASE64URL_NOPAD;
use openidconnect::{PkceCodeChallenge, PkceCodeVerifier};
use secrecy::ExposeSecret;
use tokio::time::Instant;
use url::Url;

use super::flow::{Authorization, Callback, CallbackError, KeptAuthorization, NO_OFFLINE_ACCESS, SignInError, SignedIn};
use super::relying_party::RelyingParty;
use super::remote::{Checks, Lane, Metadata};
use super::settings::OidcPreset;
use super::token_endpoint::Reply;
use crate::authn::identity::Method;
use crate::authn::verdict::Unavailable;

impl RelyingParty {
    /// Begins a sign-in by browser. What is kept has to be bound to the browser, and is good once.
    pub async fn authorize(&self, redirect: &Url, deadline: Instant) -> Result<Authorization, Unavailable> {
        let metadata = self.metadata(deadline).await?;
        let random = || random().ok_or_else(|| self.unavailable("the operating system gives no random numbers"));
        let kept = KeptAuthorization { state: random()?, nonce: random()?, verifier: random()?, redirect: redirect.clone() };
        Ok(Authorization { url: self.authorization_url(&metadata, &kept), kept })
    }

    /// Ends it: the code becomes a person. That `state` is the one that was kept has been seen before.
    pub async fn exchange(&self, kept: &KeptAuthorization, callback: Callback, deadline: Instant) -> Result<SignedIn, SignInError> {
        let metadata = self.metadata(deadline).await?;
        self.is_its_answer(&metadata, &callback)?;
        let code = callback.code.expose_secret();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", kept.redirect.as_str()),
            ("code_verifier", kept.verifier.as_str()),
        ];
        match self.ask(&form, Lane::SignIn, deadline).await? {
            Reply::Tokens(tokens) => {
                let checks = Checks { nonce: Some(&kept.nonce), code: Some(code), access_token: None };
                self.signed_in(&tokens, checks, Method::SignIn, deadline).await
            }
            Reply::Refused(refusal) if refusal.is_misconfigured() => Err(self.blamed(&refusal, Some(&callback.code)).into()),
            Reply::Refused(refusal) if refusal.denies_offline_access(self.settings.kind()) => Err(SignInError::Refused(NO_OFFLINE_ACCESS)),
            Reply::Refused(refusal) if refusal.error == "invalid_grant" => {
                tracing::info!(provider = %self.names.provider, detail = refusal.word(), "the issuer refused a code");
                Err(SignInError::Refused("code_refused"))
            }
            Reply::Refused(refusal) => {
                Err(self.unavailable(format!("the token endpoint refuses a code without saying why: {}", refusal.word())).into())
            }
        }
    }

    /// Whether an error that a browser brings may be this issuer's (RFC 9207 §2.4). Where it does not say whose it is, it may be.
    pub fn may_have_said(&self, error: &CallbackError) -> bool {
        error.issuer().is_none_or(|issuer| issuer == self.remote.issuer())
    }

    pub(super) fn authorization_url(&self, metadata: &Metadata, kept: &KeptAuthorization) -> Url {
        let mut url = metadata.authorization().clone();
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", self.remote.client_id())
            .append_pair("redirect_uri", kept.redirect.as_str())
            .append_pair("scope", &self.scopes)
            .append_pair("state", &kept.state)
            .append_pair("nonce", &kept.nonce)
            .append_pair("code_challenge", &challenge_of(&kept.verifier))
            .append_pair("code_challenge_method", "S256");
        if self.settings.kind() == OidcPreset::Google {
            // Google knows no scope for it, and gives a refresh token only with a consent.
            query.append_pair("access_type", "offline").append_pair("prompt", "consent");
        }
        drop(query);
        url
    }

    /// Another issuer's code must never be sent here (RFC 9207 §2.4).
    fn is_its_answer(&self, metadata: &Metadata, callback: &Callback) -> Result<(), SignInError> {
        let word = match &callback.issuer {
            Some(issuer) if issuer != self.remote.issuer() => "issuer_mismatch",
            None if metadata.names_itself() => "issuer_missing",
            Some(_) | None => return Ok(()),
        };
        tracing::warn!(provider = %self.names.provider, reason = word, "an answer to a browser is not this issuer's");
        Err(SignInError::Refused(word))
    }
}

/// What `S256` makes of a verifier of [`random`] (RFC 7636 §4.2).
pub(super) fn challenge_of(verifier: &str) -> String {
    PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.to_owned())).as_str().to_owned()
}

/// 256 bits of the operating system's, in letters that a verifier may have (RFC 7636 §4.1).
pub(super) fn random() -> Option<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(BASE64URL_NOPAD.encode(&bytes))
}
