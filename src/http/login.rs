//! The sign-in page: where people who need a browser to log in get a code for `docker login`.
//!
//! It works without scripts. What a browser may send is a plain form of one of these pages; what it holds is two cookies, one
//! for the way to an issuer and back, one for who signed in.

mod chooser;
mod code_page;
mod cookie;
mod failure;
mod own;
mod page;
mod shown;
mod signed_in;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};

use self::cookie::{Kind, Reading};
use self::failure::Trouble;
use self::page::Site;
use super::bridge::Bridge;
use super::edge::Edge;
use super::error::{self, Invalid};
use super::parameters::Parameters;
use super::visit::Visit;
use super::{GET, form};
use crate::authn::oidc::{Callback, CallbackAnswer, CallbackError};
use crate::issue::{Returned, SIGN_IN_LIFE, SessionProof, SignInRefusal};

/// `GET /login`: where to sign in, or what somebody who did may do.
pub(super) async fn get<B: Bridge>(
    State(edge): State<Edge<B>>,
    Extension(visit): Extension<Visit>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(site) = Site::of(&*edge.bridge) else { return failure::not_offered() };
    let (service, provider) = match hints(&uri) {
        Ok((service, provider)) => (site.known(service), provider),
        Err(invalid) => return sorry(&edge, &visit, &site, &Trouble::Invalid(invalid)),
    };
    let Reading::Found(session) = cookie::read(&headers, Kind::SignIn) else {
        return chooser::page(&site, provider.as_deref(), service.as_deref(), None);
    };
    match edge.bridge.signed_in(visit.caller(), session).await {
        Ok(Some(view)) => signed_in::page(&site, &view, service.as_deref()),
        Ok(None) => {
            let over = "Your sign-in is over. Sign in again to go on.";
            cookie::drop(chooser::page(&site, provider.as_deref(), service.as_deref(), Some(over)), Kind::SignIn)
        }
        Err(refusal) => sorry(&edge, &visit, &site, &Trouble::Refused(refusal)),
    }
}

/// `POST /login/start`: off to an issuer.
pub(super) async fn start<B: Bridge>(State(edge): State<Edge<B>>, Extension(visit): Extension<Visit>, request: Request) -> Response {
    let Some(site) = Site::of(&*edge.bridge) else { return failure::not_offered() };
    let form = match posted(&edge, &site, request).await {
        Ok((_, form)) => form,
        Err(trouble) => return sorry(&edge, &visit, &site, &trouble),
    };
    let (provider, service) = match (required(&form, "provider"), form.once("service")) {
        (Ok(provider), Ok(service)) => (provider, service.filter(|service| !service.is_empty()).map(ToOwned::to_owned)),
        (Err(invalid), _) | (_, Err(invalid)) => return sorry(&edge, &visit, &site, &Trouble::Invalid(invalid)),
    };
    match edge.bridge.begin_sign_in(visit.caller(), provider, service).await {
        Ok(begun) => cookie::set(page::see_other(begun.url.as_str()), Kind::Login, &begun.browser, SIGN_IN_LIFE),
        Err(refusal) => sorry(&edge, &visit, &site, &Trouble::Refused(refusal)),
    }
}

/// `GET /oidc/NAME/callback`: back from an issuer. What it answers never holds what the issuer sent.
pub(super) async fn callback<B: Bridge>(
    State(edge): State<Edge<B>>,
    Extension(visit): Extension<Visit>,
    Path(provider): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    // A look at the head would use the answer up.
    if method == Method::HEAD {
        return error::method_not_allowed(GET);
    }
    let Some(site) = Site::of(&*edge.bridge) else { return failure::not_offered() };
    let returned = match returned(provider, &uri, &headers) {
        Ok(returned) => returned,
        Err(invalid) => return sorry(&edge, &visit, &site, &Trouble::Invalid(invalid)),
    };
    match edge.bridge.finish_sign_in(visit.caller(), returned).await {
        Ok(session) => {
            let answer = cookie::set(page::see_other(&site.path("/login")), Kind::SignIn, &session, SIGN_IN_LIFE);
            cookie::drop(answer, Kind::Login)
        }
        // An address that somebody made up disturbs no sign-in that is under way.
        Err(refusal) => sorry(&edge, &visit, &site, &Trouble::Refused(refusal)),
    }
}

/// `POST /login/code`: the one code of a sign-in.
pub(super) async fn code<B: Bridge>(State(edge): State<Edge<B>>, Extension(visit): Extension<Visit>, request: Request) -> Response {
    let Some(site) = Site::of(&*edge.bridge) else { return failure::not_offered() };
    let (proof, service) = match ordered(&edge, &site, request, "service").await {
        Ok(order) => order,
        Err(trouble) => return sorry(&edge, &visit, &site, &trouble),
    };
    match edge.bridge.login_code(visit.caller(), proof.clone(), service.clone()).await {
        Ok(code) => code_page::page(&site, &code, proof.csrf.expose_secret()),
        Err(SignInRefusal::CodeGiven) => code_page::given(&site, proof.csrf.expose_secret(), &service),
        Err(refusal) => sorry(&edge, &visit, &site, &Trouble::Refused(refusal)),
    }
}

/// `POST /login/revoke`: ends one of the person's own saved logins.
pub(super) async fn revoke<B: Bridge>(State(edge): State<Edge<B>>, Extension(visit): Extension<Visit>, request: Request) -> Response {
    let Some(site) = Site::of(&*edge.bridge) else { return failure::not_offered() };
    let (proof, id) = match ordered(&edge, &site, request, "id").await {
        Ok(order) => order,
        Err(trouble) => return sorry(&edge, &visit, &site, &trouble),
    };
    match edge.bridge.revoke_login(visit.caller(), proof, id).await {
        Ok(()) => page::see_other(&site.path("/login")),
        Err(refusal) => sorry(&edge, &visit, &site, &Trouble::Refused(refusal)),
    }
}

/// `POST /login/out`: signs out; with a service, to sign in again for it.
pub(super) async fn out<B: Bridge>(State(edge): State<Edge<B>>, Extension(visit): Extension<Visit>, request: Request) -> Response {
    let Some(site) = Site::of(&*edge.bridge) else { return failure::not_offered() };
    let (proof, service) = match ordered(&edge, &site, request, "service").await {
        Ok(order) => order,
        Err(trouble) => return sorry(&edge, &visit, &site, &trouble),
    };
    match edge.bridge.sign_out(proof).await {
        Ok(()) => cookie::drop(page::see_other(&site.login_for(&service)), Kind::SignIn),
        Err(refusal) => sorry(&edge, &visit, &site, &Trouble::Refused(refusal)),
    }
}

/// The page of what went wrong; what never reached the service is noted there.
fn sorry<B: Bridge>(edge: &Edge<B>, visit: &Visit, site: &Site, trouble: &Trouble) -> Response {
    match trouble {
        Trouble::Invalid(invalid) => edge.bridge.invalid(&visit.id, &visit.client, invalid.reason()),
        Trouble::Foreign => edge.bridge.invalid(&visit.id, &visit.client, "foreign_form"),
        Trouble::Refused(_) => {}
    }
    failure::page(site, trouble, &visit.id)
}

/// What the query of `/login` says: what the person came for, and where they want to sign in. There is nowhere to be sent on to.
fn hints(uri: &Uri) -> Result<(Option<String>, Option<String>), Invalid> {
    let query = Parameters::parse(uri.query().unwrap_or_default().as_bytes());
    Ok((query.once("service")?.map(ToOwned::to_owned), query.once("provider")?.map(ToOwned::to_owned)))
}

fn returned(provider: String, uri: &Uri, headers: &HeaderMap) -> Result<Returned, Invalid> {
    let query = Parameters::parse(uri.query().unwrap_or_default().as_bytes());
    let state = SecretString::from(required(&query, "state")?);
    let (code, issuer) = (query.once("code")?, query.once("iss")?.map(ToOwned::to_owned));
    let answer = match query.once("error")? {
        Some(error) => CallbackAnswer::Error(CallbackError::new(error, issuer)),
        None => CallbackAnswer::Code(Callback { code: SecretString::from(code.ok_or(Invalid::Missing("code"))?), issuer }),
    };
    let (browser, former) = (cookie::read(headers, Kind::Login).found(), cookie::read(headers, Kind::SignIn).found());
    Ok(Returned { provider, state, browser, former, answer })
}

/// A form that one of our own pages sent.
async fn posted<B: Bridge>(edge: &Edge<B>, site: &Site, request: Request) -> Result<(HeaderMap, Parameters), Trouble> {
    let headers = request.headers().clone();
    if !own::is_own(&headers, &site.url) {
        return Err(Trouble::Foreign);
    }
    let form = form::read(request, &edge.limits).await.map_err(Trouble::Invalid)?;
    Ok((headers, form))
}

/// An order of somebody who signed in, with what it is about.
async fn ordered<B: Bridge>(edge: &Edge<B>, site: &Site, request: Request, about: &'static str) -> Result<(SessionProof, String), Trouble> {
    let (headers, form) = posted(edge, site, request).await?;
    let Reading::Found(session) = cookie::read(&headers, Kind::SignIn) else { return Err(Trouble::Refused(SignInRefusal::Ended)) };
    let csrf = form.once("csrf").map_err(Trouble::Invalid)?.ok_or(Trouble::Refused(SignInRefusal::NotYours))?;
    let proof = SessionProof { session, csrf: SecretString::from(csrf) };
    Ok((proof, required(&form, about).map_err(Trouble::Invalid)?))
}

fn required(parameters: &Parameters, name: &'static str) -> Result<String, Invalid> {
    parameters.once(name)?.map(ToOwned::to_owned).ok_or(Invalid::Missing(name))
}

const OK: StatusCode = StatusCode::OK;
