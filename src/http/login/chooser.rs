//! Where to sign in.

use axum::response::Response;
use maud::html;

use super::page::{Forms, Page, Site};
use super::{OK, shown};

/// One button an issuer. Nothing happens before one is pressed: a link alone signs nobody in.
pub(super) fn page(site: &Site, provider: Option<&str>, service: Option<&str>, notice: Option<&str>) -> Response {
    let asked = site.providers.iter().filter(|known| provider.is_some_and(|asked| asked == &***known));
    let mut providers: Vec<_> = asked.collect();
    if providers.is_empty() {
        providers = site.providers.iter().collect();
    }
    let service = service.unwrap_or_default();
    let main = html! {
        @if let Some(notice) = notice { p.notice role="status" { (notice) } }
        section.card.narrow aria-labelledby="title" {
            h1 #title { "Sign in" }
            p {
                "Get a one-time code for " code { "docker login" }
                @if !service.is_empty() { " to " strong.host { (shown::text(service)) } }
                ", and see what you may do and where you are logged in."
            }
            form.buttons method="post" action=(site.path("/login/start")) {
                @if !service.is_empty() { input type="hidden" name="service" value=(service); }
                @for provider in &providers {
                    button type="submit" name="provider" value=(provider) { "Sign in with " (shown::text(provider)) }
                }
            }
            p.small { "You are sent to your organisation's own sign-in and back. Your password stays there." }
        }
    };
    Page { status: OK, title: "Sign in", main, forms: Forms::Issuer }.on(site)
}
