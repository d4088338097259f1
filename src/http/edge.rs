//! What every handler shares: the service behind it, the limits, and the one way to refuse.

use std::sync::Arc;

use axum::response::Response;

use super::bridge::Bridge;
use super::error::Failure;
use super::limits::Limits;
use super::visit::Visit;

/// The realm of a challenge where no service is known.
const NO_SERVICE: &str = "narrows";

/// The state of the router.
#[derive(Debug)]
pub(super) struct Edge<B> {
    /// The service.
    pub(super) bridge: Arc<B>,
    /// The caps.
    pub(super) limits: Arc<Limits>,
}

impl<B> Clone for Edge<B> {
    fn clone(&self) -> Self {
        Self { bridge: Arc::clone(&self.bridge), limits: Arc::clone(&self.limits) }
    }
}

impl<B: Bridge> Edge<B> {
    /// The answer to a request that failed; what never reached the service is noted there.
    pub(super) fn refuse(&self, visit: &Visit, failure: &Failure, service: Option<&str>) -> Response {
        match failure {
            Failure::Invalid(invalid) => self.bridge.invalid(&visit.id, &visit.client, invalid.reason()),
            Failure::Refused(_) | Failure::Device(_) => {}
        }
        failure.response(&self.realm(service))
    }

    /// The name of the one service; `None` where there are several.
    pub(super) fn only_service(&self) -> Option<String> {
        let mut services = self.bridge.services();
        let last = services.pop()?;
        services.is_empty().then_some(last)
    }

    /// A configured service's name, also where the client asked for another one: a header never repeats a stranger.
    fn realm(&self, asked: Option<&str>) -> String {
        let services = self.bridge.services();
        let asked = asked.filter(|asked| services.iter().any(|known| known == asked)).map(ToOwned::to_owned);
        asked.or_else(|| self.only_service()).unwrap_or_else(|| NO_SERVICE.to_owned())
    }
}
