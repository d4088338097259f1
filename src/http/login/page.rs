//! What all pages share: the frame, the style sheet, the headers.

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, X_FRAME_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use url::Url;

use super::shown;
use crate::http::answer;
use crate::http::bridge::Bridge;

const STYLE: &str = include_str!("style.css");
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

/// Where the pages stand, and where people can sign in.
pub(super) struct Site {
    /// How browsers reach this service.
    pub(super) url: Arc<Url>,
    /// The issuers.
    pub(super) providers: Vec<Arc<str>>,
    /// What people can log in to.
    services: Vec<String>,
}

impl Site {
    /// None where no sign-in is offered.
    pub(super) fn of(bridge: &impl Bridge) -> Option<Self> {
        let offer = bridge.sign_in_offer()?;
        Some(Self { url: offer.url, providers: offer.providers, services: offer.services })
    }

    /// A service of ours: what a link says otherwise is its author's text, which is nothing to show to people who trust this page.
    pub(super) fn known(&self, service: Option<String>) -> Option<String> {
        service.filter(|service| self.services.contains(service))
    }

    /// A path of ours as browsers write it; a proxy may have put something in front.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.url.path().trim_end_matches('/'))
    }

    /// `/login` for somebody who came for this service.
    pub(super) fn login_for(&self, service: &str) -> String {
        if service.is_empty() {
            return self.path("/login");
        }
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("service", service).finish();
        format!("{}?{query}", self.path("/login"))
    }
}

/// Where the forms of a page may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forms {
    /// Nowhere: it has none.
    Nowhere,
    /// To ourselves.
    Here,
    /// On to an issuer. Browsers ask this of every redirect that follows a form, and an issuer may send people on to another
    /// one, so that no list of hosts would do.
    Issuer,
}

/// A page.
pub(super) struct Page<'a> {
    /// Its status.
    pub(super) status: StatusCode,
    /// What tabs and screen readers call it.
    pub(super) title: &'a str,
    /// What stands in it.
    pub(super) main: Markup,
    /// Where its forms may lead.
    pub(super) forms: Forms,
}

impl Page<'_> {
    /// The page of a site.
    pub(super) fn on(self, site: &Site) -> Response {
        let host = site.url.host_str().unwrap_or_default();
        // What is developed on loopback may have an issuer there.
        let plain = site.url.scheme() == "http";
        self.answer(host, plain)
    }

    /// A page without a site around it.
    pub(super) fn alone(self) -> Response {
        self.answer("", false)
    }

    fn answer(self, host: &str, plain: bool) -> Response {
        let Self { status, title, main, forms } = self;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="robots" content="noindex";
                    title { (title) " · narrows" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header.top {
                        (mark())
                        span.name { "narrows" }
                        @if !host.is_empty() { span.host { (shown::text(host)) } }
                    }
                    main { (main) }
                }
            }
        };
        let mut response = answer::typed(status, "text/html; charset=utf-8", page.into_string());
        protect(response.headers_mut(), forms, plain);
        response
    }
}

/// 303 (RFC 9110 §15.4.4): whatever was asked, the browser goes on with GET.
pub(super) fn see_other(target: &str) -> Response {
    let mut response = answer::empty(StatusCode::SEE_OTHER);
    let headers = response.headers_mut();
    // URLs are ASCII.
    if let Ok(target) = HeaderValue::try_from(target) {
        headers.insert(LOCATION, target);
    }
    protect(headers, Forms::Nowhere, false);
    headers.remove(CONTENT_TYPE);
    response
}

fn protect(headers: &mut HeaderMap, forms: Forms, plain: bool) {
    let forms = match (forms, plain) {
        (Forms::Nowhere, _) => "'none'",
        (Forms::Here, _) => "'self'",
        (Forms::Issuer, false) => "'self' https:",
        (Forms::Issuer, true) => "'self' https: http:",
    };
    let style = BASE64.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()).as_ref());
    let policy = format!("default-src 'none'; style-src 'sha256-{style}'; form-action {forms}; frame-ancestors 'none'; base-uri 'none'");
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (OPENER, "same-origin"),
        (RESOURCE, "same-origin"),
        (
            PERMISSIONS,
            "accelerometer=(), browsing-topics=(), camera=(), clipboard-read=(), geolocation=(), gyroscope=(), microphone=(), payment=(), usb=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Two shores and the water between them.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false" {
            path d="M2 4h9c3 4 3 8 1 12s-2 8 1 12H2z" {}
            path d="M30 4h-9c-3 4-3 8-1 12s2 8-1 12h11z" {}
        }
    }
}
