//! The edge: requests become values, values become answers. The only place that knows HTTP.
//!
//! - this file: every path on one screen
//! - `server`, `patience`: connections
//! - `visit`, `client`: a request's id, its address, its line in the log
//! - `token`, `oauth`, `revoke`, `device`, `whoami`, `keys`, `health`, `reload`: the handlers
//! - `login`: the pages for people and their browsers
//! - `basic`, `parameters`, `form`: what requests are made of
//! - `error`: the only place where a failure becomes a status

mod answer;
mod app;
mod basic;
mod bridge;
mod client;
mod device;
mod edge;
mod error;
mod form;
mod health;
mod keys;
mod limits;
mod login;
mod oauth;
mod parameters;
mod patience;
mod reload;
mod revoke;
mod server;
#[cfg(test)]
mod tests;

mod token;
mod visit;
mod whoami;

use std::sync::Arc;

use axum::routing::{self, MethodRouter};
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;

use self::edge::Edge;

pub use self::bridge::{Bridge, Readiness, Reload};
pub use self::client::Peer;
pub use self::limits::Limits;
pub use self::reload::RELOAD_MARK;
pub use self::server::serve;

const GET: &str = "GET, HEAD, OPTIONS";
const POST: &str = "POST, OPTIONS";
const BOTH: &str = "GET, HEAD, POST, OPTIONS";

/// Every path of `listen`.
pub fn router<B: Bridge>(bridge: Arc<B>, limits: Limits) -> Router {
    let token = || only(routing::get(token::get::<B>).post(oauth::post::<B>), BOTH);
    let router = Router::new()
        .route("/token", token())
        .route("/auth", token())
        .route("/auth/token", token())
        .route("/v2/token", token())
        .route("/revoke", only(routing::post(revoke::post::<B>), POST))
        .route("/device/start", only(routing::post(device::start::<B>), POST))
        .route("/device/poll", only(routing::post(device::poll::<B>), POST))
        .route("/whoami", only(routing::get(whoami::get::<B>), GET))
        .route("/login", only(routing::get(login::get::<B>), GET))
        .route("/login/start", only(routing::post(login::start::<B>), POST))
        .route("/login/code", only(routing::post(login::code::<B>), POST))
        .route("/login/revoke", only(routing::post(login::revoke::<B>), POST))
        .route("/login/out", only(routing::post(login::out::<B>), POST))
        .route("/oidc/{provider}/callback", only(routing::get(login::callback::<B>), GET))
        .route("/keys/{service}/jwks.json", only(routing::get(keys::jwks::<B>), GET))
        .route("/keys/{service}/bundle.pem", only(routing::get(keys::bundle::<B>), GET))
        .route("/.well-known/jwks.json", only(routing::get(keys::only_jwks::<B>), GET))
        .route("/keys/bundle.pem", only(routing::get(keys::only_bundle::<B>), GET))
        .route("/livez", only(routing::get(health::live), GET))
        .route("/readyz", only(routing::get(health::ready::<B>), GET));
    finish(router, bridge, limits)
}

/// Every path of `admin_listen`.
pub fn admin_router<B: Bridge>(bridge: Arc<B>, limits: Limits) -> Router {
    let router = Router::new()
        .route("/livez", only(routing::get(health::live), GET))
        .route("/readyz", only(routing::get(health::ready_in_detail::<B>), GET))
        .route("/status", only(routing::get(health::report::<B>), GET))
        .route("/metrics", only(routing::get(health::metrics::<B>), GET))
        .route("/reload", only(routing::post(reload::post::<B>), POST));
    finish(router, bridge, limits)
}

/// What all paths share, from the inside out: 404, panics, the visit.
fn finish<B: Bridge>(router: Router<Edge<B>>, bridge: Arc<B>, limits: Limits) -> Router {
    let edge = Edge { bridge, limits: Arc::new(limits) };
    router
        .fallback(async || error::not_found())
        .layer(CatchPanicLayer::custom(error::caught))
        .layer(middleware::from_fn_with_state(edge.clone(), visit::attend::<B>))
        .with_state(edge)
}

/// `OPTIONS`, and 405 for the methods that a path does not have.
fn only<B: Bridge>(methods: MethodRouter<Edge<B>>, allow: &'static str) -> MethodRouter<Edge<B>> {
    methods.options(async move || answer::options(allow)).fallback(async move || error::method_not_allowed(allow))
}
