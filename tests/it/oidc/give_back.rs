//! Who logs out is out at the issuer too: now, or when it can be asked again, and nobody else with them.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::lab::{Door, Lab, Plan, Ready};
use super::{ask, bridge, ends, granted, refresh};
use crate::dex::Dex;
use crate::glewlwyd::Glewlwyd;
use crate::keycloak::{self, Keycloak};
use crate::labs::accounts::Person;
use crate::labs::bridge::Bridge;
use crate::labs::oidc::{self, ALICE, BOB, Issuer, REDIRECT_URI, RelyingParty};
use crate::labs::visitor::{self, Visitor};
use crate::labs::{kept, wait};
use crate::openid_provider::{Endpoint, Fault};

/// A logout waits for no issuer.
const AT_ONCE: Duration = Duration::from_secs(2);
/// The issuer hears of it before the service looks of its own accord.
const SOON: Duration = Duration::from_secs(10);

async fn identity_token(bridge: &Bridge, person: &Person, group: &str) -> String {
    let answer = ask(bridge, person, person.password, group).await;
    let answer: serde_json::Value = oidc::json(answer).await;
    answer["refresh_token"].as_str().unwrap_or_else(|| panic!("no identity token: {answer}\n{}", bridge.log())).to_owned()
}

#[tokio::test]
async fn a_logout_ends_the_refresh_token_that_rotated_meanwhile() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let token = lab.identity_token().await;
    for _ in 0..2 {
        assert_eq!(lab.knock(&Ready::Refresh(token.clone())).await.actions(), 4);
    }
    assert_eq!((lab.op.live_refresh_tokens().await, kept::renewals(lab.bridge.site()).await), (1, 1));
    let began = Instant::now();
    kept::log_out(&lab.bridge, &token).await;
    kept::come_to(&lab.bridge, 0).await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!((lab.op.live_refresh_tokens().await, kept::given_back(&lab.bridge).await), (0, 1));
    let asked = lab.op.requests().await.into_iter().rfind(|seen| seen.endpoint == "revocation").unwrap();
    assert_eq!((asked.authorization.as_deref(), asked.form["token_type_hint"].as_str()), (Some("Basic"), Some("refresh_token")));
    assert!(!lab.bridge.log().contains(asked.form["token"].as_str().unwrap()));
    lab.knock(&Ready::Refresh(token)).await.is_refused(401, "the login is over");
}

#[tokio::test]
async fn what_an_operator_ends_is_ended_by_the_service() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    lab.identity_token().await;
    lab.visit(Door::DevicePoll).await;
    assert_eq!(lab.op.live_refresh_tokens().await, 2);
    lab.bridge.site().command(&["tokens", "revoke", "--user", ALICE.name]).await.ok();
    kept::come_to(&lab.bridge, 0).await;
    assert_eq!(lab.op.live_refresh_tokens().await, 0);
}

#[tokio::test]
async fn a_logout_waits_for_no_issuer_and_is_made_up_for() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    for fault in [Some(Fault::Status(500)), Some(Fault::Throttled(1)), Some(Fault::Reset), None] {
        let token = lab.identity_token().await;
        match fault {
            Some(fault) => lab.op.fail_times(Endpoint::Revocation, fault, 1).await,
            None => lab.op.freeze(),
        }
        let began = Instant::now();
        kept::log_out(&lab.bridge, &token).await;
        assert!(began.elapsed() < AT_ONCE, "{fault:?}");
        let ready = Ready::Refresh(token);
        lab.knock(&ready).await.is_refused(401, "the login is over here");
        if fault.is_none() {
            wait::until(Duration::from_secs(20), async || {
                if lab.bridge.log().contains("no answer in time") { Ok(()) } else { Err(lab.bridge.log()) }
            })
            .await;
            assert_eq!(kept::renewals(lab.bridge.site()).await, 1);
            lab.op.thaw();
        }
        kept::come_to(&lab.bridge, 0).await;
        assert_eq!(lab.op.live_refresh_tokens().await, 0, "{fault:?}");
    }
}

#[tokio::test]
async fn what_was_not_done_is_done_after_the_next_start() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let token = lab.identity_token().await;
    lab.op.fail(Endpoint::Revocation, Fault::Status(503)).await;
    kept::log_out(&lab.bridge, &token).await;
    let lab = lab.crash().await;
    assert_eq!((lab.op.live_refresh_tokens().await, kept::renewals(lab.bridge.site()).await), (1, 1));
    lab.op.heal().await;
    kept::come_to(&lab.bridge, 0).await;
    assert_eq!(lab.op.live_refresh_tokens().await, 0);
}

#[tokio::test]
async fn what_the_issuer_does_not_take_back_is_kept_no_longer() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    for fault in [Fault::Says(400, r#"{"error":"unsupported_token_type"}"#), Fault::Says(404, "<html>")] {
        let token = lab.identity_token().await;
        lab.op.fail(Endpoint::Revocation, fault).await;
        kept::log_out(&lab.bridge, &token).await;
        kept::come_to(&lab.bridge, 0).await;
    }
    assert_eq!(lab.bridge.log().matches("does not take a refresh token back").count(), 1, "{}", lab.bridge.log());
}

#[tokio::test]
async fn at_glewlwyd() {
    let Some(lab) = Glewlwyd::start().await else { return };
    let bridge = bridge(&lab.oidc()).await;
    let (bob, alice) = (identity_token(&bridge, &BOB, "dev").await, identity_token(&bridge, &ALICE, "dev").await);
    kept::log_out(&bridge, &bob).await;
    kept::come_to(&bridge, 1).await;
    assert_eq!(kept::given_back(&bridge).await, 1);
    assert_eq!(lab.live_refresh_tokens(&BOB).await, 0);
    assert_eq!(lab.live_refresh_tokens(&ALICE).await, 1);
    assert_eq!(granted(&bridge, refresh(&bridge, &alice, "ops").await).await, 2);
}

/// It takes none back.
#[tokio::test]
async fn at_dex() {
    let Some(lab) = Dex::start(REDIRECT_URI).await else { return };
    let bridge = bridge(&lab.oidc()).await;
    let alice = Person { name: "alice", password: "secret", groups: &[] };
    let (first, second) = (identity_token(&bridge, &alice, "developers").await, identity_token(&bridge, &alice, "developers").await);
    kept::log_out(&bridge, &first).await;
    kept::come_to(&bridge, 1).await;
    assert_eq!(granted(&bridge, refresh(&bridge, &second, "developers").await).await, 2);
    kept::log_out(&bridge, &second).await;
    kept::come_to(&bridge, 0).await;
    assert_eq!(kept::given_back(&bridge).await, 0);
}

/// Logins of a session each, and logins of one session.
#[tokio::test]
async fn at_keycloak() {
    let Some(lab) = Keycloak::start().await else { return };
    let (alice, party) = (&keycloak::ALICE, RelyingParty::of(&lab.issuer()).await);
    let bridge = bridge(&lab.oidc()).await;
    let (first, second) = (identity_token(&bridge, alice, "ops").await, identity_token(&bridge, alice, "ops").await);
    assert_eq!(lab.offline_sessions(alice).await, 2);
    kept::log_out(&bridge, &first).await;
    kept::come_to(&bridge, 1).await;
    assert_eq!((lab.offline_sessions(alice).await, kept::given_back(&bridge).await), (1, 1));
    assert_eq!(granted(&bridge, refresh(&bridge, &second, "ops").await).await, 2);
    kept::log_out(&bridge, &second).await;
    kept::come_to(&bridge, 0).await;
    assert_eq!((lab.offline_sessions(alice).await, kept::given_back(&bridge).await), (0, 2));

    // Whoever is signed in with a browser already has one session there, however often they sign in here.
    lab.redirect_to(&bridge.url("/oidc/sso/callback")).await;
    let (browser, account) = (Visitor::new(), format!("{}/account/", lab.issuer()));
    let elsewhere = party.authorization_url(&account, "openid", "n").replace("client_id=registry", "client_id=account-console");
    lab.sign_in_with(&browser, alice, &elsewhere).await;
    let mut logins = Vec::new();
    for _ in 0..2 {
        let code = code(&bridge, &lab, &browser, alice).await;
        logins.push(identity_token(&bridge, &Person { password: code.leak(), ..*alice }, "ops").await);
    }
    assert_eq!((lab.offline_sessions(alice).await, kept::renewals(bridge.site()).await), (1, 2));
    kept::log_out(&bridge, &logins[0]).await;
    kept::come_to(&bridge, 1).await;
    assert_eq!((lab.offline_sessions(alice).await, kept::given_back(&bridge).await), (1, 2));
    assert_eq!(granted(&bridge, refresh(&bridge, &logins[1], "ops").await).await, 2);
    kept::log_out(&bridge, &logins[1]).await;
    kept::come_to(&bridge, 0).await;
    assert_eq!((lab.offline_sessions(alice).await, kept::given_back(&bridge).await), (0, 3));
    // The browser goes on: nobody is asked who they are.
    let back = browser.get(&elsewhere).await;
    assert!(visitor::redirect(&back).is_some_and(|to| to.starts_with(&account)), "{}", back.status());

    // Nobody has to know of what the issuer ended itself.
    let last = identity_token(&bridge, alice, "ops").await;
    lab.end_sessions(alice).await;
    ends(&bridge, &last, "ops").await;
    kept::come_to(&bridge, 0).await;
    assert_eq!(kept::given_back(&bridge).await, 3);
}

/// A login code of the page.
async fn code(bridge: &Bridge, lab: &Keycloak, browser: &Visitor, person: &Person) -> String {
    let page = Visitor::new();
    let sent = page.post(&bridge.url("/login/start"), &[("provider", "sso")]).await;
    let authorization = visitor::redirect(&sent).unwrap_or_else(|| panic!("no redirect but {}", sent.status()));
    let callback = lab.sign_in_with(browser, person, &authorization).await;
    assert_eq!(page.get(&callback).await.status(), StatusCode::SEE_OTHER, "{}", bridge.log());
    let shown = page.get(&bridge.url("/login")).await.text().await.unwrap();
    let csrf = shown.split_once("name=\"csrf\" value=\"").unwrap_or_else(|| panic!("{shown}")).1.split('"').next().unwrap();
    let shown = page.post(&bridge.url("/login/code"), &[("csrf", csrf), ("service", super::SERVICE)]).await.text().await.unwrap();
    let code = shown.split_once("<code>nrl_").unwrap_or_else(|| panic!("{shown}")).1.split('<').next().unwrap();
    format!("nrl_{code}")
}
