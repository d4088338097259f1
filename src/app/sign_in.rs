//! Sign-ins: each step is answered by the generation that runs when it comes, and finished also when its browser leaves.

use secrecy::SecretString;

use super::{App, owned};
use crate::issue::{BegunSignIn, Caller, LoginCode, RETRY_AFTER, Refusal, Returned, SessionProof, SignInOffer, SignInRefusal, SignInView};

impl App {
    /// Where people can sign in; none where browsers could not.
    pub fn sign_in_offer(&self) -> Option<SignInOffer> {
        self.issuer.load().sign_in_offer()
    }

    /// Sends a browser to an issuer.
    pub async fn begin_sign_in(&self, caller: Caller, provider: String, service: Option<String>) -> Result<BegunSignIn, SignInRefusal> {
        let issuer = self.issuer.load_full();
        whole(async move { issuer.begin_sign_in(&caller, &provider, service.as_deref()).await }).await
    }

    /// Takes it back: who signed in gets a new session.
    pub async fn finish_sign_in(&self, caller: Caller, returned: Returned) -> Result<SecretString, SignInRefusal> {
        let issuer = self.issuer.load_full();
        whole(async move { issuer.finish_sign_in(&caller, returned).await }).await
    }

    /// What somebody who signed in is shown; none where the sign-in is over.
    pub async fn signed_in(&self, caller: Caller, session: SecretString) -> Result<Option<SignInView>, SignInRefusal> {
        let issuer = self.issuer.load_full();
        whole(async move { issuer.signed_in(&caller, &session).await }).await
    }

    /// The one login code of a sign-in.
    pub async fn login_code(&self, caller: Caller, proof: SessionProof, service: String) -> Result<LoginCode, SignInRefusal> {
        let issuer = self.issuer.load_full();
        whole(async move { issuer.login_code(&caller, &proof, &service).await }).await
    }

    /// Ends one of the person's own saved logins.
    pub async fn revoke_login(&self, caller: Caller, proof: SessionProof, id: String) -> Result<(), SignInRefusal> {
        let issuer = self.issuer.load_full();
        whole(async move { issuer.revoke_login(&caller, &proof, &id).await }).await
    }

    /// Ends a sign-in.
    pub async fn sign_out(&self, proof: SessionProof) -> Result<(), SignInRefusal> {
        let issuer = self.issuer.load_full();
        whole(async move { issuer.sign_out(&proof).await }).await
    }
}

async fn whole<T: Send + 'static>(work: impl Future<Output = Result<T, SignInRefusal>> + Send + 'static) -> Result<T, SignInRefusal> {
    let answered: Result<_, Refusal> = owned(async move { Ok(work.await) }).await;
    answered.unwrap_or(Err(SignInRefusal::Unavailable { retry_after: RETRY_AFTER }))
}
