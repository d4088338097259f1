//! Somebody with a browser as far as HTTP goes: keeps cookies, sees redirects, runs no scripts.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{RequestBuilder, Response};
use url::Url;

use super::oidc;

/// What goes into the fields of a form.
pub type Fields = Vec<(&'static str, String)>;

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

    /// Goes where an authorization request leads, fills in what is asked for, and tells the address that the browser is sent back to.
    /// For a page that asks for nothing `fill` has nothing.
    pub async fn sign_in(&self, authorization_url: &str, fill: impl AsyncFn(&str) -> Option<Fields>) -> String {
        let redirect_uri = oidc::query(authorization_url, "redirect_uri").expect("an authorization request says where it returns to");
        let asked = self.get(authorization_url).await;
        self.pass(asked, &redirect_uri, fill).await.unwrap_or_else(|page| panic!("the sign-in ends at: {page}"))
    }

    /// Fills in what is asked for, and tells the page that asks for nothing more.
    pub async fn fill_in(&self, asked: Response, fill: impl AsyncFn(&str) -> Option<Fields>) -> String {
        self.pass(asked, "https://nowhere.example.org", fill).await.expect_err("a page and no redirect")
    }

    async fn pass(&self, mut answer: Response, until: &str, fill: impl AsyncFn(&str) -> Option<Fields>) -> Result<String, String> {
        for _ in 0..5 {
            let page = match self.follow(answer, until).await {
                Ok(callback) => return Ok(callback),
                Err(page) => page,
            };
            let url = page.url().clone();
            let text = page.text().await.unwrap();
            let Some(fields) = fill(&text).await else { return Err(text) };
            answer = self.send(self.client.post(action(&text, &url)).form(&fields)).await;
        }
        panic!("asked on and on, the last time at {}", answer.url());
    }
}

/// Where the first form of a page is sent.
fn action(page: &str, url: &Url) -> Url {
    let action = page.split_once("action=\"").and_then(|(_, rest)| rest.split_once('"'));
    let action = action.map(|(action, _)| action.replace("&amp;", "&")).unwrap_or_default();
    url.join(&action).unwrap_or_else(|error| panic!("{action}: {error}"))
}

/// Where an answer sends its reader.
pub fn redirect(response: &Response) -> Option<String> {
    let location = response.headers().get(LOCATION)?.to_str().unwrap();
    let location = Url::options().base_url(Some(response.url())).parse(location).unwrap_or_else(|error| panic!("{location}: {error}"));
    response.status().is_redirection().then(|| location.into())
}
