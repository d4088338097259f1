//! Somebody signed in: what they may do, a code for each registry, and where they are logged in already.

use axum::response::Response;
use maud::{Markup, html};
use secrecy::ExposeSecret;

use super::page::{Forms, Page, Site};
use super::{OK, failure, shown};
use crate::issue::{LoginView, ReachView, ServiceView, SignInView};
use crate::token::identity_token::Born;

/// More groups are folded away.
const FEW_GROUPS: usize = 12;

/// Everything on one page. `service` is the one that the person came for just now.
pub(super) fn page(site: &Site, view: &SignInView, service: Option<&str>) -> Response {
    let csrf = view.csrf.expose_secret();
    let wanted = service.or(view.service.as_deref()).filter(|wanted| view.services.iter().any(|service| service.name == *wanted));
    let mut services: Vec<&ServiceView> = view.services.iter().collect();
    services.sort_by_key(|service| wanted != Some(service.name.as_str()));
    let open = services.len() == 1;
    let main = html! {
        section.person aria-labelledby="title" {
            div {
                h1 #title { "Signed in as " (shown::text(&view.username)) }
                p.muted { "Realm " (shown::text(&view.realm)) ", by " (shown::text(&view.provider)) ". This sign-in ends " (ends_in(view.seconds_left)) "." }
            }
            (failure::again(site, csrf, "", "Sign out"))
        }
        section aria-labelledby="registries" {
            h2 #registries { @if open { "Registry" } @else { "Registries" } }
            @if view.code_given {
                div.notice {
                    p { "This sign-in has given its code. For another one sign in again; mostly that takes a moment." }
                    (failure::again(site, csrf, wanted.unwrap_or_default(), "Sign in again"))
                }
            }
            @for (number, service) in services.iter().enumerate() {
                (registry(site, service, number, csrf, view.code_given, open || wanted == Some(service.name.as_str())))
            }
        }
        section aria-labelledby="groups" {
            h2 #groups { "Your groups" }
            (groups(view))
        }
        section aria-labelledby="logins" {
            h2 #logins { "Saved logins" }
            (saved(site, view, csrf))
        }
    };
    Page { status: OK, title: "Signed in", main, forms: Forms::Here }.on(site)
}

fn registry(site: &Site, service: &ServiceView, number: usize, csrf: &str, code_given: bool, open: bool) -> Markup {
    let (heading, action) = (format!("registry-{number}"), format!("code-{number}"));
    html! {
        article.card aria-labelledby=(heading) {
            div.row {
                div {
                    h3.host id=(heading) { (shown::text(&service.name)) }
                    @if service.address != service.name { p.muted { "at " span.host { (shown::text(&service.address)) } } }
                }
                @if !code_given {
                    form method="post" action=(site.path("/login/code")) {
                        input type="hidden" name="csrf" value=(csrf);
                        button #(action) type="submit" name="service" value=(service.name) aria-labelledby={ (action) " " (heading) } { "Get a login code" }
                    }
                }
            }
            @match &service.reach {
                None => p.muted { "What you may do there could not be worked out now. Load the page again." },
                Some(reach) if reach.is_empty() => p.muted { "The rules allow you nothing there. A login works, and what is public stays public." },
                Some(reach) => details open[open] {
                    summary { "What you may do" span.count { (reach.len() + service.more) } }
                    (reaches(reach, service.more, &heading))
                },
            }
        }
    }
}

fn reaches(reach: &[ReachView], more: usize, heading: &str) -> Markup {
    html! {
        table role="table" aria-labelledby=(heading) {
            caption.hidden { "What you may do there" }
            thead role="rowgroup" { tr role="row" {
                th scope="col" role="columnheader" { "Repositories" }
                th scope="col" role="columnheader" { "Actions" }
                th scope="col" role="columnheader" { "Conditions" }
            } }
            tbody role="rowgroup" {
                @for line in reach {
                    tr role="row" {
                        th scope="row" role="rowheader" { code { (shown::text(&line.repository)) } }
                        td role="cell" data-label="Actions" { (shown::text(&line.actions)) }
                        td role="cell" data-label="Conditions" {
                            @if line.conditions.is_empty() && line.less.is_empty() { span.muted { "none" } }
                            @for condition in &line.conditions { div { (shown::text(condition)) } }
                            @for less in &line.less { div { "not " (shown::text(less)) } }
                        }
                    }
                }
            }
        }
        @if more > 0 { p.muted { "And " (more) " more." } }
    }
}

/// With which groups somebody came: that the issuer sends none, or others, is what mostly is wrong where rights are missing.
fn groups(view: &SignInView) -> Markup {
    if view.groups.is_empty() {
        return html! { p.card.muted { "The issuer told of no groups." } };
    }
    let all = view.groups.len() + view.more_groups;
    let list = html! {
        ul.groups role="list" aria-labelledby="groups" {
            @for group in &view.groups { li { (shown::text(group)) } }
        }
        @if view.more_groups > 0 { p.muted { "And " (view.more_groups) " more." } }
    };
    html! {
        div.card {
            @if all <= FEW_GROUPS { (list) } @else {
                details { summary { "Show your groups" span.count { (all) } } (list) }
            }
        }
    }
}

fn saved(site: &Site, view: &SignInView, csrf: &str) -> Markup {
    if view.logins.is_empty() {
        return html! { p.card.muted { "None. After a docker login with a code it stands here, and can be revoked." } };
    }
    html! {
        div.card {
            table role="table" {
                caption { "Docker keeps one of these instead of a password. Times are in UTC." }
                thead role="rowgroup" { tr role="row" {
                    th scope="col" role="columnheader" { "Registry" }
                    th scope="col" role="columnheader" { "Made" }
                    th scope="col" role="columnheader" { "Last used" }
                    th scope="col" role="columnheader" { "Ends" }
                    th scope="col" role="columnheader" { span.hidden { "Revoke" } }
                } }
                tbody role="rowgroup" {
                    @for (number, login) in view.logins.iter().enumerate() { (saved_login(site, login, number, csrf)) }
                }
            }
            @if view.more_logins > 0 { p.muted { "And " (view.more_logins) " older ones." } }
        }
    }
}

fn saved_login(site: &Site, login: &LoginView, number: usize, csrf: &str) -> Markup {
    let (row, action) = (format!("login-{number}"), format!("revoke-{number}"));
    html! {
        tr role="row" {
            th scope="row" role="rowheader" id=(row) {
                span.host { (shown::text(&login.service)) }
                @if let Some(how) = login.how { div.muted { "by " (way(how)) } }
                @if let Some(from) = &login.from { div.muted { "from " (shown::text(from)) } }
            }
            td.time role="cell" data-label="Made" { (shown::moment(login.made)) }
            td.time role="cell" data-label="Last used" { (shown::moment(login.used)) }
            td.time role="cell" data-label="Ends" { (login.ends.map_or_else(|| "unknown".to_owned(), shown::moment)) }
            td.action role="cell" {
                form method="post" action=(site.path("/login/revoke")) {
                    input type="hidden" name="csrf" value=(csrf);
                    button.danger #(action) type="submit" name="id" value=(login.id) aria-labelledby={ (action) " " (row) } { "Revoke" }
                }
            }
        }
    }
}

/// How a login was made: one that somebody else talked its owner into is known by it.
const fn way(how: Born) -> &'static str {
    match how {
        Born::Password => "password",
        Born::SignIn => "login code",
        Born::Device => "device login",
        Born::InBand => "device login in docker",
    }
}

fn ends_in(seconds: i64) -> String {
    match (seconds + 59) / 60 {
        ..=1 => "in a minute".to_owned(),
        minutes => format!("in {minutes} minutes"),
    }
}
