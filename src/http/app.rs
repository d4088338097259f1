//! The service behind the edge: [`App`].

use std::sync::Arc;

use ipnet::IpNet;
use secrecy::SecretString;

use super::bridge::{Bridge, Readiness, Reload};
use crate::app::{App, ReloadOutcome};
use crate::issue::{
    BegunSignIn, Caller, Client, DeviceLogin, DevicePollRequest, DeviceRefusal, DeviceStartRequest, DeviceStarted, Issued, LoginCode,
    Refusal, Returned, SessionProof, SignInOffer, SignInRefusal, SignInView, TokenRequest, Who, WhoRequest,
};

impl Bridge for App {
    async fn issue(&self, request: TokenRequest) -> Result<Issued, Refusal> {
        Self::issue(self, request).await
    }
    async fn revoke(&self, caller: Caller, token: SecretString) -> Result<(), Refusal> {
        Self::revoke(self, caller, token).await
    }
    async fn start_device(&self, request: DeviceStartRequest) -> Result<DeviceStarted, DeviceRefusal> {
        Self::start_device(self, request).await
    }
    async fn poll_device(&self, request: DevicePollRequest) -> Result<DeviceLogin, DeviceRefusal> {
        Self::poll_device(self, request).await
    }
    async fn who(&self, request: WhoRequest) -> Result<Who, Refusal> {
        Self::who(self, request).await
    }
    fn services(&self) -> Vec<String> {
        Self::services(self)
    }
    fn jwks(&self, service: &str) -> Option<serde_json::Value> {
        self.keys().jwks(service)
    }
    fn bundle(&self, service: &str) -> Option<String> {
        self.keys().bundle(service)
    }
    fn readiness(&self) -> Readiness {
        let status = self.status();
        // A status is plain strings and numbers; there is nothing in it that JSON has no word for.
        Readiness { ready: status.ready, details: serde_json::to_value(&status).unwrap_or_default() }
    }
    async fn reload(&self, accept: Option<String>) -> Option<Reload> {
        let report = Self::reload(self, accept).await?;
        let loaded = match report.outcome {
            ReloadOutcome::Loaded | ReloadOutcome::Unchanged => true,
            ReloadOutcome::Held | ReloadOutcome::Refused => false,
        };
        Some(Reload { loaded, report: serde_json::to_value(&report).unwrap_or_default() })
    }
    fn metrics(&self) -> String {
        Self::metrics(self)
    }
    fn trusted_proxies(&self) -> Arc<[IpNet]> {
        Self::trusted_proxies(self)
    }
    fn sign_in_offer(&self) -> Option<SignInOffer> {
        Self::sign_in_offer(self)
    }
    async fn begin_sign_in(&self, caller: Caller, provider: String, service: Option<String>) -> Result<BegunSignIn, SignInRefusal> {
        Self::begin_sign_in(self, caller, provider, service).await
    }
    async fn finish_sign_in(&self, caller: Caller, returned: Returned) -> Result<SecretString, SignInRefusal> {
        Self::finish_sign_in(self, caller, returned).await
    }
    async fn signed_in(&self, caller: Caller, session: SecretString) -> Result<Option<SignInView>, SignInRefusal> {
        Self::signed_in(self, caller, session).await
    }
    async fn login_code(&self, caller: Caller, proof: SessionProof, service: String) -> Result<LoginCode, SignInRefusal> {
        Self::login_code(self, caller, proof, service).await
    }
    async fn revoke_login(&self, caller: Caller, proof: SessionProof, id: String) -> Result<(), SignInRefusal> {
        Self::revoke_login(self, caller, proof, id).await
    }
    async fn sign_out(&self, proof: SessionProof) -> Result<(), SignInRefusal> {
        Self::sign_out(self, proof).await
    }
    fn invalid(&self, id: &str, client: &Client, reason: &'static str) {
        Self::invalid(self, id, client, reason);
    }
}
