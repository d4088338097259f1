//! What goes wrong on the way, as pages: fixed words, and what to do next. Nothing of a request or an issuer is repeated.

use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use maud::{Markup, html};

use super::page::{Forms, Page, Site};
use crate::http::error::Invalid;
use crate::issue::SignInRefusal;

/// How long somebody waits whose address has too many sign-ins under way.
const SOON: Duration = Duration::from_mins(1);

/// Why there is no other page.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The request cannot be understood.
    Invalid(Invalid),
    /// The form stands on a page of somebody else.
    Foreign,
    /// The service says no.
    Refused(SignInRefusal),
}

/// A status, a heading, and what to do.
struct Words(StatusCode, &'static str, &'static str);

/// 404: there is no sign-in here.
pub(super) fn not_offered() -> Response {
    let Words(status, title, text) = words(&Trouble::Refused(SignInRefusal::NotOffered));
    Page { status, title, main: html! { (message(title, text)) }, forms: Forms::Nowhere }.alone()
}

/// The page of what went wrong, with the way back. Where somebody else has to look into it, the id of the request finds it in the log.
pub(super) fn page(site: &Site, trouble: &Trouble, id: &str) -> Response {
    let Words(status, title, text) = words(trouble);
    let id = matches!(trouble, Trouble::Refused(SignInRefusal::Denied | SignInRefusal::Misconfigured { .. })).then_some(id);
    let main = html! {
        section.card.narrow aria-labelledby="title" {
            h1 #title { (title) }
            p { (text) }
            @if let Some(id) = id { p.muted { "Request id: " code.host { (id) } } }
        }
        section.row { a.button href=(site.path("/login")) { "Go to the sign-in page" } }
    };
    let mut response = Page { status, title, main, forms: Forms::Nowhere }.on(site);
    if let Some(wait) = wait(trouble) {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// 409: a sign-in gives one code.
pub(super) fn code_given(site: &Site, csrf: &str, service: &str) -> Response {
    let Words(status, title, text) = words(&Trouble::Refused(SignInRefusal::CodeGiven));
    let main = html! {
        (message(title, text))
        section.row { (again(site, csrf, service, "Sign in again")) }
    };
    Page { status, title, main, forms: Forms::Here }.on(site)
}

/// The button that ends a sign-in; with a service, to begin another one for it.
pub(super) fn again(site: &Site, csrf: &str, service: &str, label: &str) -> Markup {
    html! {
        form method="post" action=(site.path("/login/out")) {
            input type="hidden" name="csrf" value=(csrf);
            input type="hidden" name="service" value=(service);
            button.quiet type="submit" { (label) }
        }
    }
}

fn message(title: &str, text: &str) -> Markup {
    html! {
        section.card.narrow aria-labelledby="title" {
            h1 #title { (title) }
            p { (text) }
        }
    }
}

const fn wait(trouble: &Trouble) -> Option<Duration> {
    match trouble {
        Trouble::Refused(SignInRefusal::Unavailable { retry_after } | SignInRefusal::Misconfigured { retry_after }) => Some(*retry_after),
        Trouble::Refused(SignInRefusal::TooMany) => Some(SOON),
        Trouble::Refused(
            SignInRefusal::NotOffered
            | SignInRefusal::UnknownProvider
            | SignInRefusal::UnknownService
            | SignInRefusal::Ended
            | SignInRefusal::NotYours
            | SignInRefusal::Denied
            | SignInRefusal::CodeGiven,
        )
        | Trouble::Invalid(_)
        | Trouble::Foreign => None,
    }
}

fn words(trouble: &Trouble) -> Words {
    match trouble {
        Trouble::Invalid(invalid) => {
            Words(invalid.status(), "That did not work", "The request cannot be understood. Go back to the sign-in page and try again.")
        }
        Trouble::Refused(SignInRefusal::NotOffered) => Words(
            StatusCode::NOT_FOUND,
            "No sign-in here",
            "This service offers no sign-in with a browser. Log in with docker login and your password, or ask your administrator.",
        ),
        Trouble::Refused(SignInRefusal::UnknownProvider | SignInRefusal::UnknownService) => Words(
            StatusCode::BAD_REQUEST,
            "That is not here",
            "There is nothing of this name. Go back to the sign-in page and choose again.",
        ),
        Trouble::Refused(SignInRefusal::Ended) => Words(
            StatusCode::BAD_REQUEST,
            "Sign in again",
            "The sign-in is over: it took longer than 10 minutes, or its answer was used before. Sign in again to go on.",
        ),
        Trouble::Foreign | Trouble::Refused(SignInRefusal::NotYours) => Words(
            StatusCode::FORBIDDEN,
            "Not from this page",
            "The request came from another page or another browser than the one that began. Nothing was done. Go to the sign-in page and try again there.",
        ),
        Trouble::Refused(SignInRefusal::Denied) => Words(
            StatusCode::FORBIDDEN,
            "Not signed in",
            "The sign-in was refused or cancelled. Try again; if it is refused again, ask your administrator, who finds the reason in the log by the request id.",
        ),
        Trouble::Refused(SignInRefusal::CodeGiven) => Words(
            StatusCode::CONFLICT,
            "One code for one sign-in",
            "This sign-in has given its code. For another one sign in again; mostly that takes a moment.",
        ),
        Trouble::Refused(SignInRefusal::TooMany) => Words(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many sign-ins",
            "Too many sign-ins are under way. Finish one of them, or wait a few minutes and try again.",
        ),
        Trouble::Refused(SignInRefusal::Misconfigured { .. }) => Words(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not possible",
            "The sign-in is not possible because of a fault in how it is set up. Waiting does not help: tell your administrator the request id.",
        ),
        Trouble::Refused(SignInRefusal::Unavailable { .. }) => Words(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not possible at the moment",
            "The sign-in cannot be reached at the moment. Wait a minute and try again.",
        ),
    }
}
