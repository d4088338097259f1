//! Every way to sign in, at an issuer that a test scripts.

mod browser;
mod device;
mod groups;
mod health;
mod password;
mod recheck;
mod revocation;
mod shield;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::fake::{FakeIssuer, Reply, TOKEN, USERINFO};
use super::relying_party::RelyingParty;
use crate::authn::identity::{Identity, Method, SecondFactor};
use crate::authn::provider::Names;
use crate::authn::verdict::Circumstances;
use crate::clock::{Clock, Timestamp};

const NOW: Timestamp = Timestamp(1_800_000_000);

struct Scene {
    issuer: FakeIssuer,
    party: RelyingParty,
    clock: Clock,
}

/// An issuer and its client, with these lines in the settings.
async fn scene(more: &str) -> Scene {
    // Microsoft's have the tenant in it.
    let issuer = FakeIssuer::start_below(if more.contains("preset: entra") { "/tenant" } else { "" }).await;
    let clock = Clock::fixed(NOW);
    let party = party(&issuer, more, &clock);
    Scene { issuer, party, clock }
}

fn party(issuer: &FakeIssuer, more: &str, clock: &Clock) -> RelyingParty {
    let (settings, file) = issuer.settings(more);
    RelyingParty::build(names(), &settings, &file, clock).unwrap_or_else(|findings| panic!("{findings}"))
}

fn names() -> Names {
    Names { provider: Arc::from("sso"), realm: Arc::from("corp"), ignore_case: true }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(8)
}

fn circumstances() -> Circumstances {
    Circumstances { source: None, deadline: soon() }
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

impl Scene {
    /// The token endpoint's next answer holds an `id_token` with these claims beside the usual ones, and more.
    fn grants(&self, subject: &str, claims: Value, more: &[(&str, &str)]) {
        let mut body =
            json!({"access_token": "at", "token_type": "Bearer", "id_token": self.issuer.token(subject, self.clock.now(), claims)});
        for (name, value) in more {
            body[name] = json!(value);
        }
        self.issuer.next(TOKEN, Reply::json(200, &body));
    }

    /// The token endpoint's next answer is an error.
    fn refuses(&self, status: u16, error: &str, description: &str) {
        self.issuer.next(TOKEN, Reply::json(status, &json!({"error": error, "error_description": description})));
    }

    fn tells(&self, userinfo: &Value) {
        self.issuer.next(USERINFO, Reply::json(200, userinfo));
    }

    /// The forms that the token endpoint was sent.
    fn forms(&self) -> Vec<std::collections::HashMap<String, String>> {
        self.issuer.asked(TOKEN).into_iter().map(|asked| asked.form).collect()
    }
}

fn group_names(identity: &Identity) -> Vec<&str> {
    identity.groups.iter().map(|group| group.name.as_str()).collect()
}

#[tokio::test]
async fn an_issuer_is_one_with_its_client_and_realm() {
    let scene = scene("").await;
    let fingerprint = scene.party.fingerprint();
    assert_eq!(fingerprint, party(&scene.issuer, "identity: {username: sub}", &scene.clock).fingerprint());
    let (settings, file) = scene.issuer.settings("");
    let of = |names: Names, id: &str| {
        let mut settings = settings.clone();
        id.clone_into(&mut settings.client.id.value);
        RelyingParty::build(names, &settings, &file, &scene.clock).unwrap().fingerprint()
    };
    assert_eq!(of(names(), "narrows"), fingerprint);
    assert_ne!(of(names(), "other"), fingerprint);
    assert_ne!(of(Names { realm: Arc::from("other"), ..names() }, "narrows"), fingerprint);
}

#[tokio::test]
async fn what_is_known_of_an_issuer_outlives_a_reload() {
    let scene = scene("").await;
    scene.party.authorize(&"https://auth.corp.example/x".parse().unwrap(), soon()).await.unwrap();
    let next = party(&scene.issuer, "identity: {username: sub}", &scene.clock).succeeding(&scene.party);
    next.authorize(&"https://auth.corp.example/x".parse().unwrap(), soon()).await.unwrap();
    assert_eq!(scene.issuer.asked(super::fake::DISCOVERY).len(), 1);
}

#[test]
fn nothing_secret_is_shown() {
    let tokens: super::token_endpoint::Tokens =
        serde_json::from_value(json!({"id_token": "s3cret", "access_token": "s3cret", "refresh_token": "s3cret"})).unwrap();
    assert!(!format!("{tokens:?}").contains("s3cret"));
}

fn method_and_time(identity: &Identity) -> (Method, Timestamp, SecondFactor) {
    (identity.method, identity.proven, identity.second_factor)
}
