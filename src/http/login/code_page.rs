//! A login code, and what to do with it.

use axum::response::Response;
use maud::html;
use secrecy::ExposeSecret;

use super::page::{Forms, Page, Site};
use super::{OK, failure, shown};
use crate::issue::LoginCode;

/// The code, shown once.
pub(super) fn page(site: &Site, given: &LoginCode, csrf: &str) -> Response {
    let code = given.code.expose_secret();
    let words = shown::word(&given.username).zip(shown::word(&given.address));
    let main = html! {
        section.card aria-labelledby="title" {
            h1 #title { "Your login code" }
            p {
                "For " strong.host { (shown::text(&given.service)) } ", as " strong { (shown::text(&given.username)) }
                ". It works once, within 5 minutes, and is not shown again."
            }
            ol.steps {
                li {
                    h2 #run { "Run this in a terminal" }
                    @if let Some((username, address)) = &words {
                        pre tabindex="0" aria-labelledby="run" { code { "docker login --username " (username) " " (address) } }
                    } @else {
                        p {
                            code { "docker login" } " with the registry " code { (shown::text(&given.address)) }
                            " and the user name " code { (shown::text(&given.username)) }
                            ". It holds characters that shells read in different ways, so write the command yourself."
                        }
                    }
                }
                li {
                    h2 #paste { "Paste this as the password" }
                    pre.code tabindex="0" aria-labelledby="paste" { code { (code) } }
                }
            }
            @if let Some((username, address)) = &words {
                h2 #line { "Or both in one line" }
                pre tabindex="0" aria-labelledby="line" {
                    code { "echo " (code) " | docker login --username " (username) " --password-stdin " (address) }
                }
            }
            p.small { "One click on a line marks all of it." }
        }
        section.card aria-labelledby="others" {
            h2 #others { "Not for podman, skopeo, buildah or crane" }
            p { "They keep what is typed and send it again with every pull, and this code works once. For them there is a credential helper:" }
            @if let Some((_, address)) = &words {
                pre tabindex="0" aria-labelledby="others" {
                    code {
                        "docker-credential-narrows setup " (address) " --narrows " (site.url.as_str().trim_end_matches('/')) "\n"
                        "docker-credential-narrows login " (address)
                    }
                }
            } @else {
                pre tabindex="0" aria-labelledby="others" { code { "docker-credential-narrows --help" } }
            }
        }
        section.row {
            (failure::again(site, csrf, "", "Sign out"))
            a.button.quiet href=(site.path("/login")) { "Back to your sign-in" }
        }
    };
    Page { status: OK, title: "Your login code", main, forms: Forms::Here }.on(site)
}

/// There is no second one.
pub(super) fn given(site: &Site, csrf: &str, service: &str) -> Response {
    failure::code_given(site, csrf, service)
}
