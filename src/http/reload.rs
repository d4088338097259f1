//! `POST /reload` on `admin_listen`: reads the files again and says what came of it.

use axum::extract::State;
use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::bridge::Bridge;
use super::edge::Edge;
use super::error::{self, Failure};
use super::parameters::Parameters;

/// The header that a page of another site cannot send without being asked first, and its value.
pub const RELOAD_MARK: (&str, &str) = ("x-narrows", "reload");

/// Answers `POST`. `accept_widening` is the digest of the rules that may be used although they widen.
pub(super) async fn post<B: Bridge>(State(edge): State<Edge<B>>, uri: Uri, headers: HeaderMap) -> Response {
    if !is_meant(&headers) {
        return error::not_meant();
    }
    let query = Parameters::parse(uri.query().unwrap_or_default().as_bytes());
    match query.once("accept_widening") {
        Ok(digest) => error::reloaded(edge.bridge.reload(digest.map(ToOwned::to_owned)).await),
        Err(invalid) => Failure::from(invalid).response(""),
    }
}

/// A browser sends `Origin` with every POST, also from a page whose name was made to lead here.
fn is_meant(headers: &HeaderMap) -> bool {
    let (name, value) = RELOAD_MARK;
    let mut marks = headers.get_all(name).iter();
    marks.next().is_some_and(|mark| mark == value) && marks.next().is_none() && !headers.contains_key(ORIGIN)
}
