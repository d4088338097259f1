//! What is asked of a token endpoint, and what its answer is (RFC 6749 §3.2, §5).

use openidconnect::HttpRequest;
use openidconnect::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use openidconnect::http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use super::refusal::{Refusal, microsoft_codes};
use super::remote::{Answer, Lane, Remote, Trouble};
use super::settings::ClientAuthentication;
use crate::authn::verdict::Renewal;

/// Larger than any form that is sent, so that what holds a password is not copied about.
const FORM: usize = 16 * 1024;
/// A longer refresh token is not kept.
const MAX_RENEWAL: usize = 32 * 1024;

/// What the endpoint says.
#[derive(Debug)]
pub(super) enum Reply {
    /// 200.
    Tokens(Tokens),
    /// An error of RFC 6749 §5.2, or one without a body.
    Refused(Refusal),
}

/// The tokens of an answer; each may be missing.
#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "RFC 6749 §5.1 and OpenID Connect Core §3.1.3.3 call them so")]
pub(super) struct Tokens {
    /// Says who it is. Not verified yet.
    #[serde(default)]
    pub(super) id_token: Option<SecretString>,
    /// For the userinfo endpoint.
    #[serde(default)]
    pub(super) access_token: Option<SecretString>,
    /// For a later look.
    #[serde(default)]
    pub(super) refresh_token: Option<SecretString>,
}

#[derive(Deserialize)]
struct Failure {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
    #[serde(default)]
    error_codes: Option<Vec<Value>>,
}

/// Asks a token endpoint, as the client that narrows is.
pub(super) async fn ask(remote: &Remote, url: &Url, form: &[(&str, &str)], lane: Lane, deadline: Instant) -> Result<Reply, Trouble> {
    let answer = remote.send(request(remote, url, form)?, lane, deadline).await?;
    let reply = reply(&answer)?;
    match &reply {
        Reply::Refused(refusal) if refusal.refuses_client() => remote.client_is_refused(&refusal.word()),
        // Whoever says nothing of what was asked may not have come so far.
        Reply::Refused(refusal) if refusal.error.is_empty() || refusal.is_misconfigured() => {}
        Reply::Tokens(_) | Reply::Refused(_) => remote.client_is_taken(),
    }
    Ok(reply)
}

/// A form for an endpoint that wants to know its client (RFC 6749 §2.3.1).
pub(super) fn request(remote: &Remote, url: &Url, form: &[(&str, &str)]) -> Result<HttpRequest, Trouble> {
    let mut body = form_urlencoded::Serializer::new(String::with_capacity(FORM));
    body.extend_pairs(form);
    let secret = remote.client_secret().map(ExposeSecret::expose_secret);
    let mut request = HttpRequest::new(Vec::new());
    match (remote.auth(), secret) {
        (ClientAuthentication::Basic, Some(secret)) => {
            let mut value = HeaderValue::from_str(&basic(remote.client_id(), secret)).map_err(|_| unsendable("the client secret"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        (ClientAuthentication::Post, Some(secret)) => {
            body.append_pair("client_id", remote.client_id()).append_pair("client_secret", secret);
        }
        (ClientAuthentication::None, _) | (ClientAuthentication::Basic | ClientAuthentication::Post, None) => {
            body.append_pair("client_id", remote.client_id());
        }
    }
    *request.body_mut() = body.finish().into_bytes();
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.as_str().parse().map_err(|_| unsendable("the URL"))?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(request)
}

fn unsendable(what: &str) -> Trouble {
    Trouble::new("request", format!("{what} cannot be sent")).ours().unsent()
}

/// Id and secret are encoded as in a form first, so that neither holds a colon.
fn basic(id: &str, secret: &str) -> Zeroizing<String> {
    let encoded = |text: &str| -> Zeroizing<String> { Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect()) };
    let pair = Zeroizing::new(format!("{}:{}", *encoded(id), *encoded(secret)));
    let pair = Zeroizing::new(data_encoding::BASE64.encode(pair.as_bytes()));
    Zeroizing::new(format!("Basic {}", *pair))
}

/// What an answer says. One that is neither tokens nor a refusal in the form of the specification says nothing: a firewall's page
/// is no wrong password.
pub(super) fn reply(answer: &Answer) -> Result<Reply, Trouble> {
    let status = answer.status.as_u16();
    let odd = |what: &str| Trouble::new("token endpoint", format!("HTTP status {status} with {what}")).status(status);
    let refused = |failure: Failure| Reply::Refused(refusal(failure, status));
    match answer.status {
        StatusCode::OK => {
            // Some issuers say 200 in front of an error.
            if let Ok(failure) = serde_json::from_slice(&answer.body) {
                return Ok(refused(failure));
            }
            let tokens: Tokens = serde_json::from_slice(&answer.body).map_err(|_| odd("a body that is no JSON of tokens"))?;
            // Some other JSON is no word for a password. A refresh token alone is no login either, but the next one has to be asked
            // with it.
            if tokens.id_token.is_none() && tokens.access_token.is_none() && tokens.refresh_token.is_none() {
                return Err(odd("a body that holds no tokens"));
            }
            Ok(Reply::Tokens(tokens))
        }
        // 428 is how Google says that a device login is pending.
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PRECONDITION_REQUIRED => {
            if answer.body.is_empty() {
                let failure = Failure { error: String::new(), error_description: None, error_codes: None };
                return Ok(refused(failure));
            }
            serde_json::from_slice(&answer.body).map(refused).map_err(|_| odd("a body that is no OAuth error"))
        }
        _ => Err(odd("a body that nobody asked for")),
    }
}

/// The error in an answer, where there is one.
pub(super) fn refusal_in(answer: &Answer) -> Option<Refusal> {
    serde_json::from_slice(&answer.body).ok().map(|failure| refusal(failure, answer.status.as_u16()))
}

fn refusal(failure: Failure, status: u16) -> Refusal {
    let description = failure.error_description.unwrap_or_default();
    let mut codes = microsoft_codes(&description);
    let numbers = failure.error_codes.unwrap_or_default().into_iter().take(8);
    codes.extend(numbers.filter_map(|code| u32::try_from(code.as_u64()?).ok()));
    codes.sort_unstable();
    codes.dedup();
    Refusal { error: failure.error, description, codes, status }
}

impl Tokens {
    /// The refresh token, as it is kept.
    pub(super) fn renewal(&self) -> Option<Renewal> {
        let token = self.refresh_token.as_ref()?.expose_secret().as_bytes();
        (!token.is_empty() && token.len() <= MAX_RENEWAL).then(|| Renewal::from(token.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use openidconnect::http::HeaderMap;
    use proptest::prelude::*;

    use super::*;

    fn shown(status: u16, body: &[u8]) -> String {
        let answer =
            Answer { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body: Zeroizing::new(body.to_vec()) };
        match reply(&answer) {
            Ok(Reply::Tokens(tokens)) => format!(
                "tokens {}{}{}",
                u8::from(tokens.id_token.is_some()),
                u8::from(tokens.access_token.is_some()),
                u8::from(tokens.refresh_token.is_some())
            ),
            Ok(Reply::Refused(refusal)) => refusal.word(),
            Err(trouble) => trouble.to_string(),
        }
    }

    #[test]
    fn an_answer_is_tokens_or_a_refusal_or_nothing() {
        for (status, body, expected) in [
            (200, r#"{"id_token": "i", "access_token": "a", "refresh_token": "r"}"#, "tokens 111"),
            (200, r#"{"access_token": "a", "token_type": "Bearer"}"#, "tokens 010"),
            (200, r#"{"refresh_token": "r"}"#, "tokens 001"),
            (200, r#"{"error": "invalid_grant"}"#, "invalid_grant (HTTP 200)"),
            (200, "<html>", "token endpoint: HTTP status 200 with a body that is no JSON of tokens"),
            (200, r#"{"status": "ok"}"#, "token endpoint: HTTP status 200 with a body that holds no tokens"),
            (200, "", "token endpoint: HTTP status 200 with a body that is no JSON of tokens"),
            (400, r#"{"error": "invalid_grant", "error_description": "AADSTS50126: no"}"#, "invalid_grant AADSTS50126 (HTTP 400)"),
            (400, r#"{"error": "x", "error_codes": [50076, "a", -1, 50076]}"#, "x AADSTS50076 (HTTP 400)"),
            (403, "", "an empty body (HTTP 403)"),
            (428, r#"{"error": "authorization_pending"}"#, "authorization_pending (HTTP 428)"),
            (403, "<html>blocked</html>", "token endpoint: HTTP status 403 with a body that is no OAuth error"),
            (400, r#"{"message": "no"}"#, "token endpoint: HTTP status 400 with a body that is no OAuth error"),
            (404, r#"{"error": "invalid_grant"}"#, "token endpoint: HTTP status 404 with a body that nobody asked for"),
        ] {
            assert_eq!(shown(status, body.as_bytes()), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_clients_proof_holds_one_colon() {
        // RFC 6749 §2.3.1 and appendix B.
        let header = basic("a:b", "p+w d:ü");
        let pair = data_encoding::BASE64.decode(header.strip_prefix("Basic ").unwrap().as_bytes()).unwrap();
        assert_eq!(String::from_utf8(pair).unwrap(), "a%3Ab:p%2Bw+d%3A%C3%BC");
    }

    proptest! {
        #[test]
        fn no_answer_panics(status in 200_u16..500, body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = shown(status, &body);
        }
    }
}
