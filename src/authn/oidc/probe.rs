//! The online check of an issuer: what it says about itself, its keys, its clock, and whether it takes narrows for its client.
//! Nobody's password is needed.

use openidconnect::http::header::{DATE, HeaderMap};
use tokio::time::Instant;

use super::flow::DeviceStartError;
use super::refusal::CLIENT_HINT;
use super::relying_party::RelyingParty;
use super::remote::{Answer, Lane, Metadata, Trouble};
use super::settings::{ClaimsFrom, ClientAuthentication};
use super::token_endpoint::{Reply, ask};
use super::trouble::printable;
use super::upstream::get;
use crate::authn::jwt::{Algorithm, KeySet};
use crate::authn::rehearsal::{Outcome, Step};
use crate::authn::verdict::Circumstances;

/// Clocks that differ by more are soon too far apart.
const SKEW: u64 = 30;
/// No issuer has given such a refresh token to anybody.
const MADE_UP: &str = "narrows-check-made-up";

impl RelyingParty {
    /// Stops where the next step would have nothing to stand on.
    pub async fn probe(&self, circumstances: &Circumstances) -> Vec<Step> {
        let mut steps = Vec::new();
        let deadline = circumstances.deadline;
        let Some(metadata) = self.probe_metadata(deadline, &mut steps).await else { return steps };
        self.probe_keys(&metadata, deadline, &mut steps).await;
        steps.push(self.probe_client(&metadata, deadline).await);
        steps.extend(self.probe_endpoints(&metadata));
        steps.push(self.probe_device(deadline).await);
        if !metadata.names_itself() {
            let found = "the issuer does not name itself when browsers come back (RFC 9207)";
            steps.push(Step::new("iss parameter", Outcome::Note, found));
        }
        steps
    }

    async fn probe_metadata(&self, deadline: Instant, steps: &mut Vec<Step>) -> Option<Metadata> {
        let began = Instant::now();
        let read = async {
            let issuer = self.remote.issuer();
            let url = Metadata::url(issuer).map_err(|_| Trouble::new("issuer", "it is no URL"))?;
            let answer = self.remote.send(get(&url)?, Lane::Main, deadline).await?;
            Ok((Metadata::read(&answer, issuer, &url)?, answer))
        };
        match read.await {
            Ok((metadata, answer)) => {
                steps.push(Step::good("discovery", self.remote.issuer()).took(began.elapsed()));
                steps.extend(self.probe_clock(&answer.headers));
                Some(metadata)
            }
            Err(trouble) => {
                let advice =
                    "compare `issuer` with the `issuer` of its `.well-known/openid-configuration`, and `tls.ca` with its certificate";
                steps.push(failed("discovery", &trouble, began).advice(advice));
                None
            }
        }
    }

    /// Tokens are refused where the clocks differ by more than the leeway.
    fn probe_clock(&self, headers: &HeaderMap) -> Option<Step> {
        let date = headers.get(DATE)?.to_str().ok()?;
        let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_second();
        let apart = self.clock.now().0.abs_diff(theirs);
        Some(if apart <= SKEW {
            Step::good("clock", format!("{apart}s apart"))
        } else {
            let found = format!("{apart}s apart: here it is {}, there {}", self.clock.now().rfc3339(), printable(date));
            Step::new("clock", Outcome::Warning, found).advice("set both clocks by NTP: tokens are refused beyond `tokens.leeway`")
        })
    }

    async fn probe_keys(&self, metadata: &Metadata, deadline: Instant, steps: &mut Vec<Step>) {
        let began = Instant::now();
        let read = async {
            let answer: Answer = self.remote.send(get(metadata.keys())?, Lane::Main, deadline).await?;
            KeySet::parse(answer.document()?).map_err(|why| Trouble::new("keys", why))
        };
        let keys = match read.await {
            Ok(keys) => keys,
            Err(trouble) => return steps.push(failed("keys", &trouble, began)),
        };
        let accepted = self.settings.token_algorithms();
        let names = |algorithms: Vec<&Algorithm>| algorithms.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
        let served: Vec<_> = accepted.iter().filter(|algorithm| keys.serves(**algorithm)).collect();
        let skipped = if keys.skipped() == 0 { String::new() } else { format!(", {} of no use here", keys.skipped()) };
        let found = format!("{} usable{skipped}", keys.len());
        steps.push(if served.is_empty() {
            let found = format!("{found}; none for {}", names(accepted.iter().collect()));
            let offered = printable(&metadata.algorithms().join(", "));
            let advice = format!("write in `tokens.algorithms` what the issuer signs with; it says {offered}");
            Step::new("keys", Outcome::Wrong, found).advice(advice)
        } else {
            Step::good("keys", format!("{found}, for {}", names(served))).took(began.elapsed())
        });
    }

    /// A refresh token that is made up is refused by an issuer that takes narrows for its client, and nothing is looked at by one
    /// that does not.
    async fn probe_client(&self, metadata: &Metadata, deadline: Instant) -> Step {
        const STEP: &str = "client";
        let began = Instant::now();
        if self.remote.auth() == ClientAuthentication::None {
            return Step::new(
                STEP,
                Outcome::Note,
                format!("`{}` is a public client: it proves nothing", printable(self.remote.client_id())),
            );
        }
        let form = [("grant_type", "refresh_token"), ("refresh_token", MADE_UP)];
        let refusal = match ask(&self.remote, metadata.token(), &form, Lane::SignIn, deadline).await {
            Ok(Reply::Refused(refusal)) => refusal,
            Ok(Reply::Tokens(_)) => {
                return Step::new(STEP, Outcome::Wrong, "the issuer gave tokens for a refresh token that is made up");
            }
            Err(trouble) => return failed(STEP, &trouble, began),
        };
        let step = match (refusal.error.as_str(), refusal.status) {
            ("invalid_grant", _) => Step::good(STEP, "the issuer takes the client id and its secret"),
            // Keycloak says `unauthorized_client` of a wrong secret too.
            ("invalid_client", _) | ("unauthorized_client" | "", 401) => {
                let found = format!("the issuer refuses the client: {}", refusal.word());
                Step::new(STEP, Outcome::Wrong, found).advice(CLIENT_HINT)
            }
            ("unauthorized_client" | "unsupported_grant_type", _) => {
                let found = "the client may not use refresh tokens: nobody is looked up again, and logins end after 12 hours";
                Step::new(STEP, Outcome::Warning, found).advice("allow the grant `refresh_token` for this client at the issuer")
            }
            _ => Step::new(STEP, Outcome::Note, format!("the answer tells nothing about the client: {}", refusal.word())),
        };
        step.took(began.elapsed())
    }

    fn probe_endpoints(&self, metadata: &Metadata) -> Vec<Step> {
        let mut steps = Vec::new();
        let method = match self.remote.auth() {
            ClientAuthentication::Basic => "client_secret_basic",
            ClientAuthentication::Post => "client_secret_post",
            ClientAuthentication::None => "none",
        };
        let offered = metadata.client_authentication();
        if !offered.is_empty() && !offered.iter().any(|known| known == method) && method != "none" {
            let found = format!("the issuer does not list `{method}`, but {}", printable(&offered.join(", ")));
            steps.push(Step::new("client authentication", Outcome::Warning, found).advice("see `client.auth`"));
        }
        let asks_userinfo = self.settings.group_sources().iter().any(|source| source.from == ClaimsFrom::Userinfo);
        if asks_userinfo && metadata.userinfo().is_none() {
            let step = Step::new("userinfo", Outcome::Wrong, "`groups.sources` names userinfo, and the issuer has no such endpoint");
            steps.push(step.advice("read groups from the id_token"));
        }
        steps
    }

    /// Begins one that nobody goes on with: metadata offers it to every client, and not every client may.
    async fn probe_device(&self, deadline: Instant) -> Step {
        const STEP: &str = "device login";
        if !self.settings.device_grant.enabled {
            return Step::new(STEP, Outcome::Note, "switched off here");
        }
        let began = Instant::now();
        let step = match self.start_device(deadline).await {
            Ok(device) => Step::good(STEP, format!("people go to {}", printable(device.verification_uri.as_str()))),
            Err(DeviceStartError::NotOffered) => {
                let step = Step::new(STEP, Outcome::Note, "the issuer offers none to this client");
                step.advice("allow the device grant for this client at the issuer, or write device_grant: {enabled: false}")
            }
            Err(DeviceStartError::Throttled { .. }) => Step::new(STEP, Outcome::Note, "the issuer wants fewer of them"),
            Err(DeviceStartError::Unavailable(error)) => {
                let step = Step::new(STEP, Outcome::Warning, format!("none begins: {}", error.reason));
                step.advice("see the client's settings at the issuer, or write device_grant: {enabled: false}")
            }
        };
        step.took(began.elapsed())
    }
}

fn failed(name: &str, trouble: &Trouble, began: Instant) -> Step {
    Step::new(name, Outcome::Failed, trouble.to_string()).took(began.elapsed())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;

    use super::super::fake::{DEVICE, FakeIssuer, KEYS, Reply as Scripted, TOKEN};
    use super::*;
    use crate::authn::provider::Names;
    use crate::clock::{Clock, Timestamp};

    /// `outcome name: found` of every step.
    async fn probed(issuer: &FakeIssuer, more: &str, now: Timestamp) -> Vec<String> {
        let (settings, file) = issuer.settings(more);
        let names = Names { provider: Arc::from("sso"), realm: Arc::from("corp"), ignore_case: false };
        let party = RelyingParty::build(names, &settings, &file, &Clock::fixed(now)).unwrap();
        let around = Circumstances { source: None, deadline: Instant::now() + Duration::from_secs(8) };
        let steps = party.probe(&around).await;
        steps.iter().map(|step| format!("{} {}: {}", step.outcome.as_str(), step.name, step.found)).collect()
    }

    #[tokio::test]
    async fn an_issuer_is_looked_at_step_by_step() {
        let issuer = FakeIssuer::start().await;
        issuer.always(TOKEN, Scripted::json(400, &json!({"error": "invalid_grant"})));
        let device =
            json!({"device_code": "dc", "user_code": "AB", "verification_uri": "https://sso.corp.example/device", "expires_in": 60});
        issuer.always(DEVICE, Scripted::json(200, &device));
        let now = Clock::system().now();
        let good = format!("good discovery: {}", issuer.issuer());
        let client = "good client: the issuer takes the client id and its secret";
        let steps = probed(&issuer, "", now).await;
        assert!(steps[1].starts_with("good clock: "), "{steps:?}");
        let rest: Vec<&str> = steps.iter().map(String::as_str).filter(|step| !step.contains(" clock: ")).collect();
        assert_eq!(
            rest,
            [good.as_str(), "good keys: 1 usable, for ES256", client, "good device login: people go to https://sso.corp.example/device"]
        );
        assert_eq!(issuer.asked(TOKEN)[0].form["grant_type"], "refresh_token");
        assert!(issuer.asked(TOKEN)[0].authorization.is_some());
        let steps = probed(&issuer, "", now.plus(90)).await;
        assert!(steps[1].starts_with("warning clock: "), "{steps:?}");
    }

    #[tokio::test]
    async fn what_is_wrong_at_an_issuer_is_said() {
        let issuer = FakeIssuer::start().await;
        let now = Clock::system().now();
        issuer.metadata("authorization_response_iss_parameter_supported", json!(null));
        issuer.metadata("device_authorization_endpoint", json!(null));
        issuer.metadata("userinfo_endpoint", json!(null));
        issuer.metadata("token_endpoint_auth_methods_supported", json!(["private_key_jwt"]));
        issuer.always(TOKEN, Scripted::json(401, &json!({"error": "invalid_client"})));
        let steps = probed(&issuer, "groups: {sources: [{from: userinfo, claim: groups}]}", now).await;
        for expected in [
            "wrong client: the issuer refuses the client: invalid_client (HTTP 401)",
            "warning client authentication: the issuer does not list `client_secret_basic`, but private_key_jwt",
            "wrong userinfo: `groups.sources` names userinfo, and the issuer has no such endpoint",
            "note device login: the issuer offers none to this client",
            "note iss parameter: the issuer does not name itself when browsers come back (RFC 9207)",
        ] {
            assert!(steps.iter().any(|step| step == expected), "{expected}\n{steps:#?}");
        }
        let refused = probed(&FakeIssuer::start().await, "", now).await;
        assert!(refused.iter().any(|step| step.starts_with("warning device login: none begins: ")), "{refused:#?}");
        issuer.always(KEYS, Scripted::json(200, &json!({"keys": [{"kty": "oct", "k": "AAAA"}]})));
        let steps = probed(&issuer, "", now).await;
        assert!(steps.iter().any(|step| step == "wrong keys: 0 usable, 1 of no use here; none for ES256, RS256"), "{steps:#?}");
        issuer.metadata("issuer", json!("https://evil.example"));
        let steps = probed(&issuer, "", now).await;
        assert!(steps.len() == 1 && steps[0].starts_with("failed discovery: metadata: it says that the issuer is"), "{steps:?}");
    }
}
