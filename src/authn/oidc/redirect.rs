//! The online check of the way back: whether the issuer lets browsers return to narrows, found by coming as one would.

use openidconnect::http::StatusCode;
use tokio::time::Instant;
use url::Url;

use super::browser::random;
use super::flow::{CallbackError, KeptAuthorization};
use super::relying_party::RelyingParty;
use super::settings::OidcPreset;
use crate::authn::rehearsal::{Outcome, Step};
use crate::authn::verdict::Circumstances;

const STEP: &str = "redirect URI";
const ENTERED: &str =
    "enter this redirect URI at the issuer, to the letter, and see that the client is allowed the authorization code flow";
/// Errors that say nothing of the request.
const PASSING: [&str; 2] = ["server_error", "temporarily_unavailable"];

impl RelyingParty {
    /// Asks for the page that a sign-in begins with. What cannot be told from here is a note: a sign-in shows it.
    pub async fn probe_redirect(&self, redirect: &Url, circumstances: &Circumstances) -> Step {
        let began = Instant::now();
        let unknown = |why: &str| Step::new(STEP, Outcome::Note, format!("{redirect}, which is not tried: {why}"));
        let Ok(metadata) = self.remote.metadata(circumstances.deadline).await else {
            return unknown("nothing is known of the issuer");
        };
        let (Some(state), Some(nonce), Some(verifier)) = (random(), random(), random()) else {
            return unknown("the operating system gives no random numbers");
        };
        let kept = KeptAuthorization { state, nonce, verifier, redirect: redirect.clone() };
        let url = self.authorization_url(&metadata, &kept);
        let mut visited = self.remote.visit(&url, circumstances.deadline).await;
        if let Ok((_, Some(target))) = &visited
            && is_below(target, &url)
        {
            visited = self.remote.visit(target, circumstances.deadline).await;
        }
        match visited {
            Ok((status, target)) => self.returned(redirect, status, target.as_ref()).took(began.elapsed()),
            Err(trouble) => unknown(&trouble.to_string()),
        }
    }

    fn returned(&self, redirect: &Url, status: StatusCode, target: Option<&Url>) -> Step {
        let cannot_tell = |why: &str| Step::new(STEP, Outcome::Note, format!("{redirect}; whether the issuer knows it {why}"));
        if let Some(target) = target.filter(|target| is_at(target, redirect)) {
            let Some((_, error)) = target.query_pairs().find(|(name, _)| name == "error") else {
                return cannot_tell("is not said by its answer");
            };
            let error = CallbackError::new(&error, None);
            let word = error.as_str();
            if PASSING.contains(&word) {
                return cannot_tell(&format!("cannot be told now: {word}"));
            }
            let found = format!("{redirect} is known to the issuer, which sends browsers back to it with an error: {word}");
            return Step::new(STEP, Outcome::Wrong, found)
                .advice(error.hint().unwrap_or("see the client's settings, and the issuer's own log"));
        }
        match status {
            // What a proxy or a firewall may have said, or the issuer of how often it is asked.
            StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS => cannot_tell(&format!("cannot be told: HTTP status {}", status.as_u16())),
            status if status.is_client_error() => {
                let found = format!("{redirect}: the issuer refuses the request with HTTP status {}", status.as_u16());
                Step::new(STEP, Outcome::Wrong, found).advice(ENTERED)
            }
            // Dex offers several connectors before it looks at the request.
            StatusCode::OK if self.settings.kind() == OidcPreset::Dex => cannot_tell("is seen at a sign-in alone"),
            status if status.is_success() || status.is_redirection() => match self.settings.kind() {
                // They show a login or an error in the same way, so that only a person can see which it is.
                OidcPreset::Entra | OidcPreset::Google | OidcPreset::Gitlab => cannot_tell("is seen at a sign-in alone"),
                OidcPreset::Keycloak | OidcPreset::Okta | OidcPreset::Dex | OidcPreset::Authentik | OidcPreset::Generic => {
                    Step::good(STEP, redirect.as_str())
                }
            },
            status => cannot_tell(&format!("cannot be told: HTTP status {}", status.as_u16())),
        }
    }
}

/// Whether the issuer leads on to a part of the same endpoint. Dex does where it has one connector, and looks at the request there.
fn is_below(target: &Url, endpoint: &Url) -> bool {
    let rest = target.path().strip_prefix(endpoint.path().trim_end_matches('/'));
    target.origin() == endpoint.origin() && rest.is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

/// Whether an address is that of the callback, whatever its query.
fn is_at(target: &Url, redirect: &Url) -> bool {
    target.origin() == redirect.origin() && target.path() == redirect.path()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::fake::{AUTHORIZE, DISCOVERY, FakeIssuer, Reply};
    use super::*;
    use crate::authn::provider::{Health, Names};
    use crate::clock::{Clock, Timestamp};

    const BACK: &str = "https://auth.corp.example/oidc/sso/callback";

    async fn probed(issuer: &FakeIssuer, more: &str) -> (RelyingParty, Step) {
        let (settings, file) = issuer.settings(more);
        let names = Names { provider: Arc::from("sso"), realm: Arc::from("corp"), ignore_case: false };
        let party = RelyingParty::build(names, &settings, &file, &Clock::fixed(Timestamp(1_800_000_000))).unwrap();
        let around = Circumstances { source: None, deadline: Instant::now() + Duration::from_secs(8) };
        let step = party.probe_redirect(&BACK.parse().unwrap(), &around).await;
        (party, step)
    }

    fn to(location: &str) -> Reply {
        Reply::text(302, "").header("location", location)
    }

    #[tokio::test]
    async fn the_way_back_is_tried_as_a_browser_would() {
        let back = |query: &str| to(&format!("{BACK}?{query}"));
        for (more, reply, expected) in [
            ("", Reply::text(200, "<html>"), format!("good: {BACK}")),
            ("", to("/login?x=y"), format!("good: {BACK}")),
            ("", to("https://other.example/login?error=x"), format!("good: {BACK}")),
            ("", Reply::text(400, ""), format!("wrong: {BACK}: the issuer refuses the request with HTTP status 400")),
            ("", Reply::text(403, ""), format!("wrong: {BACK}: the issuer refuses the request with HTTP status 403")),
            (
                "",
                back("error=invalid_scope&error_description=%3Cb%3Eevil&state=x"),
                format!("wrong: {BACK} is known to the issuer, which sends browsers back to it with an error: invalid_scope"),
            ),
            (
                "",
                back("error=%1b[2Jevil"),
                format!("wrong: {BACK} is known to the issuer, which sends browsers back to it with an error: unknown_error"),
            ),
            (
                "",
                back("error=temporarily_unavailable"),
                format!("note: {BACK}; whether the issuer knows it cannot be told now: temporarily_unavailable"),
            ),
            ("", back("code=c"), format!("note: {BACK}; whether the issuer knows it is not said by its answer")),
            ("", Reply::text(404, ""), format!("note: {BACK}; whether the issuer knows it cannot be told: HTTP status 404")),
            ("", Reply::text(429, ""), format!("note: {BACK}; whether the issuer knows it cannot be told: HTTP status 429")),
            ("", Reply::text(503, ""), format!("note: {BACK}; whether the issuer knows it cannot be told: HTTP status 503")),
            (
                "preset: google",
                to("/signin/oauth/error?authError=x"),
                format!("note: {BACK}; whether the issuer knows it is seen at a sign-in alone"),
            ),
            ("preset: google", Reply::text(400, ""), format!("wrong: {BACK}: the issuer refuses the request with HTTP status 400")),
        ] {
            let issuer = FakeIssuer::start().await;
            issuer.next(AUTHORIZE, reply);
            let (party, step) = probed(&issuer, more).await;
            assert_eq!(format!("{}: {}", step.outcome.as_str(), step.found), expected);
            assert_eq!(step.outcome == Outcome::Wrong, step.advice.is_some(), "{step:?}");
            // It is no word about the issuer.
            assert_eq!(party.health(), Health::Up);
            let asked = issuer.asked(AUTHORIZE).pop().unwrap();
            let sent: HashMap<String, String> = form_urlencoded::parse(asked.query.as_bytes()).into_owned().collect();
            assert_eq!(
                (sent["redirect_uri"].as_str(), sent["response_type"].as_str(), sent["client_id"].as_str()),
                (BACK, "code", "narrows")
            );
            assert!(sent["scope"].starts_with("openid") && sent["code_challenge_method"] == "S256" && sent.contains_key("nonce"));
            assert!(asked.authorization.is_none());
        }
        assert_eq!(probed(&scoped("invalid_scope").await, "").await.1.advice.unwrap(), super::super::refusal::SCOPE_HINT);
    }

    #[tokio::test]
    async fn a_redirect_within_the_endpoint_is_followed_once() {
        let seen = async |preset: &str, second: Reply| {
            let issuer = FakeIssuer::start().await;
            issuer.next(AUTHORIZE, to("/authorize/local?x=y"));
            issuer.next("/authorize/local", second);
            let (_, step) = probed(&issuer, preset).await;
            assert_eq!((issuer.asked("/authorize/local").len(), issuer.asked("/authorize/local/login").len()), (1, 0));
            step.outcome
        };
        for preset in ["preset: dex", ""] {
            assert_eq!(seen(preset, Reply::text(400, "")).await, Outcome::Wrong);
            assert_eq!(seen(preset, to("/authorize/local/login")).await, Outcome::Good);
            assert_eq!(seen(preset, to(&format!("{BACK}?error=invalid_scope"))).await, Outcome::Wrong);
        }
        // Several connectors to choose from: Dex has not looked at the request yet.
        let issuer = FakeIssuer::start().await;
        issuer.always(AUTHORIZE, Reply::text(200, "<html>"));
        assert_eq!(probed(&issuer, "preset: dex").await.1.outcome, Outcome::Note);
        assert_eq!(probed(&issuer, "preset: keycloak").await.1.outcome, Outcome::Good);
        for foreign in ["https://evil.example/authorize/x", "/authorized/x", "/authorize", "/authorize/"] {
            let issuer = FakeIssuer::start().await;
            issuer.next(AUTHORIZE, to(foreign));
            assert_eq!(probed(&issuer, "").await.1.outcome, Outcome::Good);
            assert_eq!(issuer.asked(AUTHORIZE).len(), 1, "{foreign}");
        }
    }

    async fn scoped(word: &str) -> FakeIssuer {
        let issuer = FakeIssuer::start().await;
        issuer.next(AUTHORIZE, to(&format!("{BACK}?error={word}")));
        issuer
    }

    #[tokio::test]
    async fn an_issuer_that_does_not_answer_is_no_fault_of_the_redirect_uri() {
        let issuer = FakeIssuer::start().await;
        issuer.always(DISCOVERY, Reply::text(503, ""));
        let (_, step) = probed(&issuer, "").await;
        assert_eq!((step.outcome, step.found), (Outcome::Note, format!("{BACK}, which is not tried: nothing is known of the issuer")));
    }
}
