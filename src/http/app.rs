//! The service behind the edge: [`App`].

use std::sync::Arc;

use ipnet::IpNet;
use secrecy::SecretString;

use super::bridge::{Bridge, Readiness, Reload};
use crate::app::{App, ReloadOutcome};
use crate::issue::{
    Client, DeviceLogin, DevicePollRequest, DeviceRefusal, DeviceStartRequest, DeviceStarted, Issued, Refusal, TokenRequest, Who,
    WhoRequest,
};

impl Bridge for App {
    async fn issue(&self, request: TokenRequest) -> Result<Issued, Refusal> {
        Self::issue(self, request).await
    }
    async fn revoke(&self, token: SecretString) -> Result<(), Refusal> {
        Self::revoke(self, token).await
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
    fn invalid(&self, id: &str, client: &Client, reason: &'static str) {
        Self::invalid(self, id, client, reason);
    }
}
