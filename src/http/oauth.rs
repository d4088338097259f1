//! `POST /token`: the same request as an OAuth form (distribution's `auth/oauth.md`, RFC 6749 §4.3 and §6).

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::basic::Presented;
use super::bridge::Bridge;
use super::edge::Edge;
use super::error::Invalid;
use super::form;
use super::limits::Limits;
use super::parameters::Parameters;
use super::token;
use super::visit::Visit;
use crate::authn::credentials::Credentials;
use crate::issue::{GrantType, TokenRequest};

/// Answers `POST`.
pub(super) async fn post<B: Bridge>(State(edge): State<Edge<B>>, Extension(visit): Extension<Visit>, request: Request) -> Response {
    let request = read(&visit, request, &edge.limits).await;
    token::respond(&edge, &visit, request).await
}

async fn read(visit: &Visit, request: Request, limits: &Limits) -> Result<TokenRequest, Invalid> {
    let presented = Presented::read(request.headers());
    let form = form::read(request, limits).await?;
    let (grant, credentials) = proof(&form, presented)?;
    Ok(TokenRequest {
        service: token::service(&form)?,
        scopes: token::scopes(&form)?,
        credentials,
        grant,
        offline: form.has("access_type", "offline") || form.has("offline_token", "true"),
        client: visit.client,
        id: visit.id.to_string(),
        // From the form's last byte: whoever sends it late could otherwise wait out the rejection floor and measure what follows.
        received: Instant::now(),
    })
}

/// What the form proves. Every field that could prove something may stand once, used or not.
fn proof(form: &Parameters, presented: Presented) -> Result<(GrantType, Credentials), Invalid> {
    let (username, password) = (form.once("username")?, form.once("password")?);
    let refresh_token = form.once("refresh_token")?;
    match form.once("grant_type")?.ok_or(Invalid::Missing("grant_type"))? {
        "password" => Ok((GrantType::Password, typed(username, password, presented)?)),
        "refresh_token" => Ok((GrantType::RefreshToken, saved(refresh_token.ok_or(Invalid::Missing("refresh_token"))?, presented)?)),
        _ => Err(Invalid::UnsupportedGrant),
    }
}

/// A name and a password: of the form, or of the header where the form has none, or the same in both.
fn typed(username: Option<&str>, password: Option<&str>, presented: Presented) -> Result<Credentials, Invalid> {
    match (username, password, presented) {
        (_, _, malformed @ Presented::Malformed(_)) => Ok(malformed.credentials()),
        (None, None, Presented::Nothing) => Err(Invalid::Missing("username")),
        (None, None, pair @ Presented::Pair { .. }) => Ok(pair.credentials()),
        (username, password, presented) => {
            let (username, password) = (username.unwrap_or_default(), password.unwrap_or_default());
            agree(presented, Some(username), password)?;
            Ok(Credentials::classify(username, SecretString::from(password)))
        }
    }
}

/// An identity token. This grant takes nothing else: what only looks like a password or another issuer's token is refused
/// as an identity token that has ended.
fn saved(token: &str, presented: Presented) -> Result<Credentials, Invalid> {
    if let Presented::Malformed(reason) = presented {
        return Ok(Credentials::Unusable(reason));
    }
    agree(presented, None, token)?;
    Ok(match Credentials::classify("", SecretString::from(token)) {
        identity_token @ Credentials::IdentityToken(_) => identity_token,
        Credentials::Anonymous
        | Credentials::Password { .. }
        | Credentials::LoginCode { .. }
        | Credentials::WorkloadToken(_)
        | Credentials::Unusable(_) => Credentials::Unusable("no identity token"),
    })
}

/// Two different proofs in one request are refused: a proxy and the service could each believe another one.
fn agree(presented: Presented, name: Option<&str>, secret: &str) -> Result<(), Invalid> {
    match presented {
        Presented::Pair { username, secret: other } if other.expose_secret() != secret || name.is_some_and(|name| name != username) => {
            Err(Invalid::Conflicting)
        }
        Presented::Pair { .. } | Presented::Nothing | Presented::Malformed(_) => Ok(()),
    }
}
