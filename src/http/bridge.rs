//! What the edge asks of the service behind it.

use std::sync::Arc;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::issue::{
    BegunSignIn, Caller, Client, DeviceLogin, DevicePollRequest, DeviceRefusal, DeviceStartRequest, DeviceStarted, Issued, LoginCode,
    Refusal, Returned, SessionProof, SignInOffer, SignInRefusal, SignInView, TokenRequest, Who, WhoRequest,
};

/// The service behind the edge. Takes values, never requests of HTTP, and answers with values.
pub trait Bridge: Send + Sync + 'static {
    /// Answers one token request.
    fn issue(&self, request: TokenRequest) -> impl Future<Output = Result<Issued, Refusal>> + Send;
    /// Ends an identity token. An unknown one is no error (RFC 7009 §2.2).
    fn revoke(&self, caller: Caller, token: SecretString) -> impl Future<Output = Result<(), Refusal>> + Send;
    /// Begins a device login of a credential helper.
    fn start_device(&self, request: DeviceStartRequest) -> impl Future<Output = Result<DeviceStarted, DeviceRefusal>> + Send;
    /// Asks what became of one.
    fn poll_device(&self, request: DevicePollRequest) -> impl Future<Output = Result<DeviceLogin, DeviceRefusal>> + Send;
    /// Tells somebody who they are here.
    fn who(&self, request: WhoRequest) -> impl Future<Output = Result<Who, Refusal>> + Send;
    /// The registries that tokens are issued for.
    fn services(&self) -> Vec<String>;
    /// What a registry that reads JWKS trusts; `None` for an unknown service or one without such keys.
    fn jwks(&self, service: &str) -> Option<serde_json::Value>;
    /// What a registry puts into `rootcertbundle`, as PEM.
    fn bundle(&self, service: &str) -> Option<String>;
    /// Whether anybody could be served now.
    fn readiness(&self) -> Readiness;
    /// Reads every file again, and waits for what comes of it; rules of the digest `accept` may widen. `None` where nobody
    /// carries it out.
    fn reload(&self, accept: Option<String>) -> impl Future<Output = Option<Reload>> + Send;
    /// Prometheus text.
    fn metrics(&self) -> String;
    /// Who may say in `X-Forwarded-For` where a request came from.
    fn trusted_proxies(&self) -> Arc<[IpNet]>;
    /// Where people can sign in with a browser; none where they cannot.
    fn sign_in_offer(&self) -> Option<SignInOffer>;
    /// Sends a browser to an issuer; `service` is what the person came for.
    fn begin_sign_in(
        &self,
        caller: Caller,
        provider: String,
        service: Option<String>,
    ) -> impl Future<Output = Result<BegunSignIn, SignInRefusal>> + Send;
    /// Takes it back; what comes out is the session of somebody who signed in.
    fn finish_sign_in(&self, caller: Caller, returned: Returned) -> impl Future<Output = Result<SecretString, SignInRefusal>> + Send;
    /// What somebody who signed in is shown; none where the sign-in is over.
    fn signed_in(&self, caller: Caller, session: SecretString) -> impl Future<Output = Result<Option<SignInView>, SignInRefusal>> + Send;
    /// The one login code of a sign-in.
    fn login_code(
        &self,
        caller: Caller,
        proof: SessionProof,
        service: String,
    ) -> impl Future<Output = Result<LoginCode, SignInRefusal>> + Send;
    /// Ends one of the person's own saved logins; one that is over already, or somebody else's, is left alone.
    fn revoke_login(&self, caller: Caller, proof: SessionProof, id: String) -> impl Future<Output = Result<(), SignInRefusal>> + Send;
    /// Ends a sign-in.
    fn sign_out(&self, proof: SessionProof) -> impl Future<Output = Result<(), SignInRefusal>> + Send;
    /// Notes a request that was refused before it could be asked, for audit and metrics.
    fn invalid(&self, id: &str, client: &Client, reason: &'static str);
}

/// Whether anybody could be served now, and the state of every part.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// False only where nobody could be served.
    pub ready: bool,
    /// Providers, rules, keys: for operators alone.
    pub details: serde_json::Value,
}

/// What came of a reload.
#[derive(Clone, Debug)]
pub struct Reload {
    /// Whether what the files say runs now.
    pub loaded: bool,
    /// Outcome, differences, findings: for operators alone.
    pub report: serde_json::Value,
}
