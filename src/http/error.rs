//! Failures become answers here, and nowhere else: status, headers, and a body that docker and OAuth clients both read.

use std::any::Any;
use std::time::Duration;

use axum::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::answer;
use super::bridge::Reload;
use crate::issue::{DeviceRefusal, Refusal};
use crate::registry::TooManyScopes;

/// Docker shows a message to a person in one line of a terminal.
const MAX_MESSAGE: usize = 400;

/// Why a request was refused before it could be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    #[error("the parameter `{0}` is given more than once")]
    Doubled(&'static str),
    #[error("the parameter `{0}` is missing")]
    Missing(&'static str),
    #[error("the parameter `{0}` is not percent-encoded UTF-8")]
    NotText(&'static str),
    #[error("the credentials of the Authorization header and of the form differ: send one of them")]
    Conflicting,
    #[error("only grant_type=password and grant_type=refresh_token are supported")]
    UnsupportedGrant,
    #[error(transparent)]
    TooManyScopes(#[from] TooManyScopes),
    #[error("send the form as application/x-www-form-urlencoded")]
    NotForm,
    #[error("the form did not arrive whole")]
    Broken,
    #[error("the form took too long to arrive")]
    Slow,
    #[error("the form is too large")]
    BodyTooLarge,
    #[error("the URI is too long: ask for fewer scopes at once")]
    UriTooLong,
    #[error("the headers are too large")]
    HeadersTooLarge,
    #[error("the request names more than one host")]
    DoubledHost,
    #[error("this is for programs: with a browser open /login")]
    Browser,
    #[error("the body is in another transfer coding than chunked")]
    TransferCoding,
}

impl Invalid {
    /// The word of the audit.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Doubled(_) => "doubled_parameter",
            Self::Missing(_) => "missing_parameter",
            Self::NotText(_) => "parameter_not_text",
            Self::Conflicting => "conflicting_credentials",
            Self::UnsupportedGrant => "unsupported_grant_type",
            Self::TooManyScopes(_) => "too_many_scopes",
            Self::NotForm => "not_a_form",
            Self::Broken => "broken_body",
            Self::Slow => "slow_body",
            Self::BodyTooLarge => "body_too_large",
            Self::UriTooLong => "uri_too_long",
            Self::HeadersTooLarge => "headers_too_large",
            Self::DoubledHost => "doubled_host",
            Self::Browser => "from_a_browser",
            Self::TransferCoding => "transfer_coding",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Doubled(_)
            | Self::Missing(_)
            | Self::NotText(_)
            | Self::Conflicting
            | Self::UnsupportedGrant
            | Self::TooManyScopes(_)
            | Self::DoubledHost
            | Self::TransferCoding
            | Self::Broken => StatusCode::BAD_REQUEST,
            Self::Browser => StatusCode::FORBIDDEN,
            Self::NotForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }

    fn response(self) -> Response {
        let body = match self {
            Self::UnsupportedGrant => Body::new("UNSUPPORTED", "unsupported_grant_type", &self),
            Self::Doubled(_)
            | Self::Missing(_)
            | Self::NotText(_)
            | Self::Conflicting
            | Self::TooManyScopes(_)
            | Self::NotForm
            | Self::Broken
            | Self::Slow
            | Self::BodyTooLarge
            | Self::UriTooLong
            | Self::HeadersTooLarge
            | Self::DoubledHost
            | Self::Browser
            | Self::TransferCoding => Body::new("BAD_REQUEST", "invalid_request", &self),
        };
        body.response(self.status(), HeaderMap::new())
    }
}

/// Everything that is not a success.
#[derive(Debug)]
pub(super) enum Failure {
    /// Refused by the edge.
    Invalid(Invalid),
    /// Refused by the service.
    Refused(Refusal),
    /// A device login does not begin or go on.
    Device(DeviceRefusal),
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
impl From<DeviceRefusal> for Failure {
    fn from(refusal: DeviceRefusal) -> Self {
        match refusal {
            DeviceRefusal::Refused(refusal) => Self::Refused(refusal),
            DeviceRefusal::NotOffered
            | DeviceRefusal::UnknownProvider(_)
            | DeviceRefusal::SeveralProviders(_)
            | DeviceRefusal::Pending { .. }
            | DeviceRefusal::SlowDown { .. }
            | DeviceRefusal::Denied
            | DeviceRefusal::Expired
            | DeviceRefusal::UnknownFlow => Self::Device(refusal),
        }
    }
}

impl Failure {
    /// The answer. `realm` is the name of a configured service, never what the client sent.
    pub(super) fn response(&self, realm: &str) -> Response {
        match self {
            Self::Invalid(invalid) => invalid.response(),
            Self::Refused(refusal) => refused(refusal, realm),
            Self::Device(refusal) => not_by_device(refusal, realm),
        }
    }
}

fn refused(refusal: &Refusal, realm: &str) -> Response {
    match refusal {
        // RFC 6749 §5.2 wants 400 for `invalid_grant`; registry clients go on to their next way of asking after a 401 only.
        Refusal::Rejected | Refusal::RejectedWithAdvice(_) | Refusal::LoginEnded | Refusal::AuthenticationRequired => {
            Body::new("UNAUTHORIZED", "invalid_grant", refusal).response(StatusCode::UNAUTHORIZED, challenge(realm))
        }
        Refusal::UnknownService | Refusal::MissingService => {
            Body::new("BAD_REQUEST", "invalid_request", refusal).response(StatusCode::BAD_REQUEST, HeaderMap::new())
        }
        Refusal::Throttled { retry_after } | Refusal::TooManyLogins { retry_after } => {
            Body::new("TOOMANYREQUESTS", "temporarily_unavailable", refusal).response(StatusCode::TOO_MANY_REQUESTS, later(*retry_after))
        }
        Refusal::Unavailable { retry_after } => {
            Body::new("UNAVAILABLE", "temporarily_unavailable", refusal).response(StatusCode::SERVICE_UNAVAILABLE, later(*retry_after))
        }
    }
}

/// The errors of RFC 8628 §3.5.
fn not_by_device(refusal: &DeviceRefusal, realm: &str) -> Response {
    let (error, interval) = match refusal {
        DeviceRefusal::Refused(refusal) => return refused(refusal, realm),
        DeviceRefusal::NotOffered => {
            return Body::new("NOT_FOUND", "invalid_request", refusal).response(StatusCode::NOT_FOUND, HeaderMap::new());
        }
        DeviceRefusal::UnknownProvider(_) | DeviceRefusal::SeveralProviders(_) => ("invalid_request", None),
        DeviceRefusal::Pending { interval } => ("authorization_pending", Some(*interval)),
        DeviceRefusal::SlowDown { interval } => ("slow_down", Some(*interval)),
        DeviceRefusal::Denied => ("access_denied", None),
        DeviceRefusal::Expired => ("expired_token", None),
        DeviceRefusal::UnknownFlow => ("invalid_grant", None),
    };
    Body { interval, ..Body::new("BAD_REQUEST", error, refusal) }.response(StatusCode::BAD_REQUEST, HeaderMap::new())
}

/// 404: no such path, no such key.
pub(super) fn not_found() -> Response {
    Body::new("NOT_FOUND", "invalid_request", "there is nothing at this path").response(StatusCode::NOT_FOUND, HeaderMap::new())
}

/// 405 with what is allowed.
pub(super) fn method_not_allowed(allow: &'static str) -> Response {
    let headers = HeaderMap::from_iter([(ALLOW, HeaderValue::from_static(allow))]);
    Body::new("UNSUPPORTED", "invalid_request", "this method is not allowed here").response(StatusCode::METHOD_NOT_ALLOWED, headers)
}

/// 403: an order that may come from a page in somebody's browser.
pub(super) fn not_meant() -> Response {
    let message = "send the header X-Narrows: reload, and no Origin";
    Body::new("DENIED", "invalid_request", message).response(StatusCode::FORBIDDEN, HeaderMap::new())
}

/// What came of a reload; 503 where nobody carries it out.
pub(super) fn reloaded(reload: Option<Reload>) -> Response {
    let Some(Reload { loaded, report }) = reload else {
        let message = "nobody reloads now: the service ends, or others wait already";
        return Body::new("UNAVAILABLE", "temporarily_unavailable", message).response(StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new());
    };
    answer::json(if loaded { StatusCode::OK } else { StatusCode::CONFLICT }, &report)
}

/// 500: a panic was caught. No code is known that reaches this.
pub(super) fn caught(_panic: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request ended in a panic; please report this with the lines above");
    Body::new("UNKNOWN", "server_error", "internal error").response(StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new())
}

/// `Basic`, not `Bearer` with ourselves as its realm: clients would ask us for a token to ask us for a token.
fn challenge(realm: &str) -> HeaderMap {
    let quoted: String = realm.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect();
    let value = HeaderValue::try_from(format!("Basic realm=\"{quoted}\",charset=\"UTF-8\""));
    value.map(|value| HeaderMap::from_iter([(WWW_AUTHENTICATE, value)])).unwrap_or_default()
}

/// Whole seconds, rounded up: `0` would mean at once.
fn later(wait: Duration) -> HeaderMap {
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
    HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from(seconds))])
}

/// Both shapes in one object. Docker prints `errors[0].message`; without `errors` it prints a complaint about the body.
#[derive(Serialize)]
struct Body {
    errors: [Item; 1],
    error: &'static str,
    error_description: String,
    /// Seconds until a device login may be asked about again.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<u64>,
}

#[derive(Serialize)]
struct Item {
    code: &'static str,
    message: String,
    detail: Option<()>,
}

impl Body {
    fn new(code: &'static str, error: &'static str, message: &(impl ToString + ?Sized)) -> Self {
        let message: String = message.to_string().chars().filter(|c| matches!(c, ' '..='~')).take(MAX_MESSAGE).collect();
        Self { errors: [Item { code, message: message.clone(), detail: None }], error, error_description: message, interval: None }
    }

    fn response(&self, status: StatusCode, headers: HeaderMap) -> Response {
        let mut response = answer::json(status, self);
        response.headers_mut().extend(headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(response: &Response, name: axum::http::HeaderName) -> &str {
        response.headers().get(name).unwrap().to_str().unwrap()
    }

    #[test]
    fn retry_after_is_rounded_up_and_never_zero() {
        for (wait, expected) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (30_000, "30")] {
            let refusal = Refusal::Throttled { retry_after: Duration::from_millis(wait) };
            let response = refused(&refusal, "r");
            assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(header(&response, RETRY_AFTER), expected);
        }
    }

    #[test]
    fn a_realm_cannot_leave_its_quotes() {
        let response = refused(&Refusal::Rejected, "a\"b\\c\r\nX: y\u{e4}");
        assert_eq!(header(&response, WWW_AUTHENTICATE), "Basic realm=\"abcX: y\",charset=\"UTF-8\"");
    }

    #[test]
    fn a_message_is_short_and_ascii() {
        let body = Body::new("X", "x", &format!("a\u{1b}[31m\u{202e}\n{}", "y".repeat(500)));
        assert_eq!(body.error_description.len(), MAX_MESSAGE);
        assert!(body.error_description.starts_with("a[31my"), "{}", body.error_description);
        assert_eq!(body.errors[0].message, body.error_description);
    }
}
