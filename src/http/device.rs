//! `POST /device/start` and `POST /device/poll`: a credential helper logs somebody in who has a browser elsewhere (RFC 8628). The
//! helper never sees the issuer's device code; what it holds is worth one login here.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::ORIGIN;
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::time::Instant;

use super::answer;
use super::bridge::Bridge;
use super::edge::Edge;
use super::error::{Failure, Invalid};
use super::form;
use super::token;
use super::visit::Visit;
use crate::issue::{DeviceLogin, DevicePollRequest, DeviceStartRequest, DeviceStarted};

/// Browsers alone send it.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A login that began.
#[derive(Serialize)]
struct Started<'a> {
    flow: &'a str,
    provider: &'a str,
    verification_uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_uri_complete: Option<&'a str>,
    user_code: &'a str,
    expires_in: u64,
    interval: u64,
}

/// What a helper stores.
#[derive(Serialize)]
struct LoggedIn<'a> {
    username: &'a str,
    refresh_token: &'a str,
    service: &'a str,
    expires_in: u64,
}

/// Answers `POST /device/start`.
pub(super) async fn start<B: Bridge>(State(edge): State<Edge<B>>, Extension(visit): Extension<Visit>, request: Request) -> Response {
    match begin(&edge, &visit, request).await {
        Ok(started) => begun(&started),
        Err(failure) => edge.refuse(&visit, &failure, None),
    }
}

/// Answers `POST /device/poll`.
pub(super) async fn poll<B: Bridge>(State(edge): State<Edge<B>>, Extension(visit): Extension<Visit>, request: Request) -> Response {
    match ask(&edge, &visit, request).await {
        Ok(login) => logged_in(&login),
        Err(failure) => edge.refuse(&visit, &failure, None),
    }
}

async fn begin<B: Bridge>(edge: &Edge<B>, visit: &Visit, request: Request) -> Result<DeviceStarted, Failure> {
    // Any page can have its visitors send a form from within their network, and take the places of its people.
    if [ORIGIN, FETCH_SITE].iter().any(|name| request.headers().contains_key(name)) {
        return Err(Invalid::Browser.into());
    }
    let form = form::read(request, &edge.limits).await?;
    let request = DeviceStartRequest {
        service: token::service(&form)?,
        provider: form.once("provider")?.map(ToOwned::to_owned),
        client: visit.client,
        id: visit.id.to_string(),
        received: Instant::now(),
    };
    Ok(edge.bridge.start_device(request).await?)
}

async fn ask<B: Bridge>(edge: &Edge<B>, visit: &Visit, request: Request) -> Result<DeviceLogin, Failure> {
    let form = form::read(request, &edge.limits).await?;
    let flow = form.once("flow")?.map(SecretString::from).ok_or(Invalid::Missing("flow"))?;
    let request = DevicePollRequest { flow, client: visit.client, id: visit.id.to_string(), received: Instant::now() };
    Ok(edge.bridge.poll_device(request).await?)
}

fn begun(started: &DeviceStarted) -> Response {
    let body = Started {
        flow: started.flow.expose_secret(),
        provider: &started.provider,
        verification_uri: started.verification_uri.as_str(),
        verification_uri_complete: started.verification_uri_complete.as_ref().map(url::Url::as_str),
        user_code: &started.user_code,
        expires_in: started.expires_in,
        interval: started.interval,
    };
    answer::json(StatusCode::OK, &body)
}

fn logged_in(login: &DeviceLogin) -> Response {
    let body = LoggedIn {
        username: &login.username,
        refresh_token: login.identity_token.expose_secret(),
        service: &login.service,
        expires_in: login.expires_in,
    };
    answer::json(StatusCode::OK, &body)
}
