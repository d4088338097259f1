//! A form in a request's body, within its caps.

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::error::Invalid;
use super::limits::Limits;
use super::parameters::Parameters;

const FORM: &str = "application/x-www-form-urlencoded";

/// Reads a form whole. A length that was announced and is too large is refused before a byte is read.
pub(super) async fn read(request: Request, limits: &Limits) -> Result<Parameters, Invalid> {
    if !is_form(request.headers()) {
        return Err(Invalid::NotForm);
    }
    let body = collect(request.into_body(), limits.body);
    let body = tokio::time::timeout(limits.body_time, body).await.map_err(|_| Invalid::Slow)??;
    Ok(Parameters::parse(&body))
}

async fn collect(body: Body, cap: usize) -> Result<Bytes, Invalid> {
    let announced = body.size_hint().lower();
    if announced > cap as u64 {
        return Err(Invalid::BodyTooLarge);
    }
    match Limited::new(body, cap).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Invalid::BodyTooLarge),
        Err(_) => Err(Invalid::Broken),
    }
}

/// One `Content-Type` of that name; its parameters (`charset=utf-8`) do not matter, what is no UTF-8 is refused anyway.
fn is_form(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let essence = |value: &axum::http::HeaderValue| {
        value.to_str().is_ok_and(|text| text.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(FORM)))
    };
    values.next().is_some_and(essence) && values.next().is_none()
}
