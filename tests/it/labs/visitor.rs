//! Somebody with a browser as far as HTTP goes: keeps cookies, sees redirects, runs no scripts.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{RequestBuilder, Response};
use url::Url;

use super::oidc;

/// One browser profile for one site; cookies go back wherever it goes, whatever their path and site.
pub struct Visitor {
    client: reqwest::Client,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Visitor {
    pub fn new() -> Self {
        Self { client: oidc::plain_client(), cookies: Mutex::default() }
    }

    /// Opens an address.
    pub async fn get(&self, url: &str) -> Response {
        self.send(self.client.get(url)).await
    }

    /// Sends a form.
    pub async fn post(&self, url: &str, form: &[(&str, &str)]) -> Response {
        self.send(self.client.post(url).form(form)).await
    }

    /// A request of any kind, for `send`.
    pub fn request(&self, method: &str, url: &str) -> RequestBuilder {
        self.client.request(method.parse().unwrap(), url)
    }

    /// Sends it with the cookies and keeps the new ones.
    pub async fn send(&self, request: RequestBuilder) -> Response {
        let cookies: Vec<String> = self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = if cookies.is_empty() { request } else { request.header(COOKIE, cookies.join("; ")) };
        let response = request.send().await.unwrap();
        for header in response.headers().get_all(SET_COOKIE) {
            let pair = header.to_str().unwrap().split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("a cookie without a value: {pair}"));
            let mut cookies = self.cookies.lock().unwrap();
            if value.is_empty() {
                cookies.remove(name)
            } else {
                cookies.insert(name.to_owned(), value.to_owned())
            };
        }
        response
    }

    /// Follows redirects until one leads to an address that starts so, and tells that one; or until a page comes, and tells the page.
    pub async fn follow(&self, mut response: Response, until: &str) -> Result<String, Response> {
        for _ in 0..20 {
            let Some(next) = redirect(&response) else { return Err(response) };
            if next.starts_with(until) {
                return Ok(next);
            }
            response = self.get(&next).await;
        }
        panic!("more than 20 redirects, the last one from {}", response.url());
    }
}

/// Where an answer sends its reader.
pub fn redirect(response: &Response) -> Option<String> {
    let location = response.headers().get(LOCATION)?.to_str().unwrap();
    let location = Url::options().base_url(Some(response.url())).parse(location).unwrap_or_else(|error| panic!("{location}: {error}"));
    response.status().is_redirection().then(|| location.into())
}
