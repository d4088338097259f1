//! The lab answers as the tests on it take for granted, and each knob shows.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Document, Endpoint, Fault, OpenidProvider, Overage, RefreshTokens};
use crate::labs::accounts::Person;
use crate::labs::oidc::{self, ALICE, BOB, CLIENT_ID, CLIENT_SECRET, Issuer, MFA, REDIRECT_URI, RelyingParty, SCOPE, claims, groups};
use crate::labs::wait;

async fn lab() -> Option<(OpenidProvider, RelyingParty)> {
    let lab = OpenidProvider::start().await?;
    let party = RelyingParty::of(&lab.issuer()).await;
    Some((lab, party))
}

async fn tokens(party: &RelyingParty, person: &Person) -> Value {
    oidc::json(party.password(person, person.password, SCOPE).await).await
}

async fn id_token(party: &RelyingParty, person: &Person) -> Value {
    claims(&tokens(party, person).await["id_token"])
}

fn header(token: &Value) -> Value {
    let header = token.as_str().unwrap().split('.').next().unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(header.as_bytes()).unwrap()).unwrap()
}

async fn key_ids(party: &RelyingParty) -> Vec<Value> {
    let set = oidc::json(reqwest::get(party.endpoint("jwks_uri")).await.unwrap()).await;
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
}

async fn error(response: Response) -> String {
    assert!(response.status().is_client_error(), "{}", response.status());
    response.json::<Value>().await.unwrap()["error"].as_str().unwrap().to_owned()
}

fn text<'json>(object: &'json Value, name: &str) -> &'json str {
    object[name].as_str().unwrap_or_else(|| panic!("no {name} in {object}"))
}

#[tokio::test]
async fn passwords_give_groups_or_a_reason() {
    let Some((lab, party)) = lab().await else { return };
    let signed_in = tokens(&party, &ALICE).await;
    assert_eq!(groups(&claims(&signed_in["id_token"])), ALICE.groups);
    let userinfo = oidc::json(party.userinfo(text(&signed_in, "access_token")).await).await;
    assert_eq!(userinfo["sub"], "id-of-alice");
    assert_eq!(groups(&userinfo), ALICE.groups);
    assert_eq!(error(party.password(&ALICE, "wrong", SCOPE).await).await, "invalid_grant");
    let refused = party.password(&MFA, MFA.password, SCOPE).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(refused.text().await.unwrap().contains("AADSTS50076"));
    lab.refuse_password(&MFA, StatusCode::FORBIDDEN, "mfa_required", "Multifactor authentication required").await;
    let refused = party.password(&MFA, MFA.password, SCOPE).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(error(refused).await, "mfa_required");

    // The secret in the form, as `client_secret_post` wants it.
    let form = [
        ("grant_type", "password"),
        ("username", BOB.name),
        ("password", BOB.password),
        ("scope", SCOPE),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
    ];
    let answer = reqwest::Client::new().post(party.endpoint("token_endpoint")).form(&form).send().await.unwrap();
    assert_eq!(groups(&claims(&oidc::json(answer).await["id_token"])), BOB.groups);
    let seen = lab.requests().await;
    let ways: Vec<Option<&str>> = seen.iter().filter(|it| it.endpoint == "token").map(|it| it.authorization.as_deref()).collect();
    assert_eq!(ways, [Some("Basic"), Some("Basic"), Some("Basic"), Some("Basic"), None]);
    assert_eq!(seen.last().unwrap().form["username"], BOB.name);
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_its_family() {
    let Some((lab, party)) = lab().await else { return };
    let signed_in = tokens(&party, &ALICE).await;
    let first = text(&signed_in, "refresh_token");
    lab.set_groups(&ALICE, &["guests"]).await;
    let refreshed = oidc::json(party.refresh(first).await).await;
    assert_eq!(groups(&claims(&refreshed["id_token"])), ["guests"]);
    let second = text(&refreshed, "refresh_token");
    assert_ne!(first, second);
    assert_eq!(error(party.refresh(first).await).await, "invalid_grant");
    assert_eq!(error(party.refresh(second).await).await, "invalid_grant", "the whole family is gone");
    let counters = lab.counters().await;
    assert_eq!((counters.token, counters.passwords, counters.refreshes, counters.refresh_reuses), (4, 1, 3, 1));

    lab.rotate_refresh_tokens(false).await;
    let signed_in = tokens(&party, &ALICE).await;
    let kept = text(&signed_in, "refresh_token");
    for _ in 0..2 {
        oidc::json(party.refresh(kept).await).await;
    }
    lab.remove(&ALICE).await;
    assert_eq!(error(party.refresh(kept).await).await, "invalid_grant");
    assert_eq!(error(party.password(&ALICE, ALICE.password, SCOPE).await).await, "invalid_grant");
    lab.restore(&ALICE).await;
    oidc::json(party.refresh(kept).await).await;
    lab.end_sessions(&ALICE).await;
    assert_eq!(error(party.refresh(kept).await).await, "invalid_grant");

    lab.give_refresh_tokens(RefreshTokens::OfflineAccess).await;
    assert_eq!(tokens(&party, &ALICE).await["refresh_token"], Value::Null);
    let offline = party.password(&ALICE, ALICE.password, "openid groups offline_access").await;
    text(&oidc::json(offline).await, "refresh_token");
    lab.give_refresh_tokens(RefreshTokens::Never).await;
    assert_eq!(tokens(&party, &ALICE).await["refresh_token"], Value::Null);
    lab.give_refresh_tokens(RefreshTokens::Always).await;
    text(&tokens(&party, &ALICE).await, "refresh_token");
}

#[tokio::test]
async fn keys_and_algorithms_change() {
    let Some((lab, party)) = lab().await else { return };
    let before = header(&tokens(&party, &ALICE).await["id_token"]);
    assert_eq!(before["alg"], "RS256");
    lab.rotate_keys().await;
    let after = header(&tokens(&party, &ALICE).await["id_token"]);
    assert_ne!(before["kid"], after["kid"]);
    let published = key_ids(&party).await;
    assert!(published.contains(&before["kid"]) && published.contains(&after["kid"]), "{published:?}");
    lab.withdraw_old_keys().await;
    assert!(!key_ids(&party).await.contains(&before["kid"]));

    for algorithm in ["ES256", "HS256", "none"] {
        lab.sign_with(algorithm).await;
        assert_eq!(header(&tokens(&party, &ALICE).await["id_token"])["alg"], algorithm);
    }
    lab.sign_with("RS256").await;
    lab.sign_with_unknown_keys().await;
    let unknown = header(&tokens(&party, &ALICE).await["id_token"]);
    assert!(!key_ids(&party).await.contains(&unknown["kid"]));

    let shown = key_ids(&party).await;
    lab.rotate_keys_every(Duration::from_millis(50)).await;
    wait::until(Duration::from_secs(10), async || {
        let now = key_ids(&party).await;
        if now.iter().any(|kid| shown.contains(kid)) { Err("the old keys are still there".to_owned()) } else { Ok(()) }
    })
    .await;
    lab.rotate_keys_every(Duration::ZERO).await;
}

#[tokio::test]
async fn documents_are_altered() {
    let Some((lab, party)) = lab().await else { return };
    let discovery = format!("{}/.well-known/openid-configuration", lab.issuer());
    let wrong = json!({"issuer": "https://elsewhere.example.org", "id_token_signing_alg_values_supported": ["HS256"]});
    lab.alter(Document::Discovery, wrong).await;
    let altered = oidc::json(reqwest::get(&discovery).await.unwrap()).await;
    assert_eq!(altered["issuer"], "https://elsewhere.example.org");
    assert_eq!(altered["id_token_signing_alg_values_supported"], json!(["HS256"]));
    lab.alter(Document::Jwks, json!({"keys": []})).await;
    assert!(key_ids(&party).await.is_empty());

    lab.alter(Document::IdToken, json!({"nonce": "another", "aud": [CLIENT_ID, "somebody-else"]})).await;
    let altered = id_token(&party, &ALICE).await;
    assert_eq!(altered["nonce"], "another");
    assert_eq!(altered["aud"], json!([CLIENT_ID, "somebody-else"]));
    lab.alter(Document::Userinfo, json!({"sub": "id-of-bob"})).await;
    let signed_in = tokens(&party, &ALICE).await;
    assert_eq!(oidc::json(party.userinfo(text(&signed_in, "access_token")).await).await["sub"], "id-of-bob");
    lab.alter(Document::Token, json!({"id_token": null})).await;
    assert_eq!(tokens(&party, &ALICE).await["id_token"], Value::Null);
    lab.alter(Document::Device, json!({"verification_uri_complete": null, "interval": 5})).await;
    let started = party.start_device(SCOPE).await;
    assert_eq!((&started["verification_uri_complete"], &started["interval"]), (&Value::Null, &json!(5)));

    lab.heal().await;
    assert_eq!(oidc::json(reqwest::get(discovery).await.unwrap()).await["issuer"], lab.issuer());
    assert_eq!(groups(&id_token(&party, &ALICE).await), ALICE.groups);
}

#[tokio::test]
async fn groups_come_in_every_shape() {
    let Some((lab, party)) = lab().await else { return };
    for shape in [json!("dev"), json!([{"name": "dev"}]), json!([1, 2])] {
        lab.set_claims(&ALICE, json!({"groups": shape})).await;
        assert_eq!(id_token(&party, &ALICE).await["groups"], shape);
        assert_eq!(groups(&id_token(&party, &BOB).await), BOB.groups, "nobody else's change");
    }
    lab.exceed(&ALICE, Overage::ClaimSources).await;
    let exceeded = id_token(&party, &ALICE).await;
    assert_eq!((&exceeded["groups"], &exceeded["_claim_names"]["groups"]), (&Value::Null, &json!("src1")));
    lab.exceed(&ALICE, Overage::HasGroups).await;
    let exceeded = id_token(&party, &ALICE).await;
    assert_eq!((&exceeded["groups"], &exceeded["hasgroups"]), (&Value::Null, &json!(true)));
    lab.exceed(&ALICE, Overage::FirstHundred).await;
    assert_eq!(groups(&id_token(&party, &ALICE).await).len(), 100);

    lab.set_claims(&ALICE, json!({})).await;
    let many: Vec<String> = (0..5000).map(|number| format!("group-{number}")).collect();
    lab.set_groups(&ALICE, &many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(groups(&id_token(&party, &ALICE).await).len(), 5000);
}

#[tokio::test]
async fn a_device_is_approved_or_denied() {
    let Some((lab, party)) = lab().await else { return };
    lab.pace_devices(Duration::from_mins(10), 0).await;
    let started = party.start_device(SCOPE).await;
    assert_eq!(error(party.poll_device(&started).await).await, "authorization_pending");
    lab.set_proof(&BOB, &["pwd", "otp"], Some("urn:example:two"), Duration::from_mins(5)).await;
    lab.approve_device(&BOB, text(&started, "user_code")).await;
    let claims = claims(&oidc::json(party.poll_device(&started).await).await["id_token"]);
    assert_eq!(groups(&claims), BOB.groups);
    assert_eq!((&claims["amr"], &claims["acr"]), (&json!(["pwd", "otp"]), &json!("urn:example:two")));
    let age = claims["iat"].as_u64().unwrap() - claims["auth_time"].as_u64().unwrap();
    assert!((300..310).contains(&age), "{claims}");

    let started = party.start_device(SCOPE).await;
    lab.deny_device(text(&started, "user_code")).await;
    assert_eq!(error(party.poll_device(&started).await).await, "access_denied");

    lab.pace_devices(Duration::from_secs(1), 60).await;
    let started = party.start_device(SCOPE).await;
    assert_eq!((&started["interval"], &started["expires_in"]), (&json!(60), &json!(1)));
    assert_eq!(error(party.poll_device(&started).await).await, "authorization_pending");
    assert_eq!(error(party.poll_device(&started).await).await, "slow_down");
    lab.pace_devices(Duration::from_secs(1), 0).await;
    wait::until(Duration::from_secs(10), async || match error(party.poll_device(&started).await).await {
        expired if expired == "expired_token" => Ok(()),
        other => Err(other),
    })
    .await;
    assert_eq!(lab.counters().await.device_starts, 3);
}

#[tokio::test]
async fn a_browser_signs_in() {
    let Some((lab, party)) = lab().await else { return };
    lab.set_proof(&ALICE, &["pwd", "hwk"], Some("phr"), Duration::ZERO).await;
    let url = party.authorization_url(REDIRECT_URI, SCOPE, "a-nonce");
    let callback = lab.sign_in(&ALICE, &url).await;
    assert_eq!(oidc::query(&callback, "iss"), Some(lab.issuer()));
    assert_eq!(oidc::query(&callback, "state").as_deref(), Some("a-state"));
    let signed_in = oidc::json(party.exchange(&callback, REDIRECT_URI).await).await;
    let claims = claims(&signed_in["id_token"]);
    assert_eq!((groups(&claims), text(&claims, "nonce"), text(&claims, "acr")), (ALICE.groups.to_vec(), "a-nonce", "phr"));
    assert_eq!(claims["amr"], json!(["pwd", "hwk"]));
    assert_eq!(error(party.exchange(&callback, REDIRECT_URI).await).await, "invalid_grant", "a code works once");

    let cancelled = lab.cancel_sign_in(&url).await;
    assert_eq!(oidc::query(&cancelled, "error").as_deref(), Some("access_denied"));
    lab.alter(Document::Callback, json!({"iss": "https://elsewhere.example.org", "state": null})).await;
    let altered = lab.sign_in(&ALICE, &url).await;
    assert_eq!(oidc::query(&altered, "iss").as_deref(), Some("https://elsewhere.example.org"));
    assert_eq!(oidc::query(&altered, "state"), None);

    let elsewhere = "http://127.0.0.1:5003/oidc/corp/callback";
    lab.redirect_to(elsewhere).await;
    assert!(lab.sign_in(&BOB, &party.authorization_url(elsewhere, SCOPE, "n")).await.starts_with(elsewhere));
    let counters = lab.counters().await;
    assert_eq!((counters.codes, counters.userinfo, counters.jwks), (2, 0, 0));
    assert!(counters.authorizations >= 4);
}

#[tokio::test]
async fn faults_show_and_heal() {
    let Some((lab, party)) = lab().await else { return };
    let client = oidc::plain_client();
    let url = party.endpoint("jwks_uri");
    let get = || client.get(url).timeout(Duration::from_secs(5)).send();
    for status in [500, 503] {
        lab.fail_everywhere(Fault::Status(status)).await;
        assert_eq!(get().await.unwrap().status(), status);
        assert_eq!(party.password(&ALICE, ALICE.password, SCOPE).await.status(), status);
        assert_eq!(party.device_authorization(SCOPE).await.status(), status);
        assert_eq!(party.userinfo("any").await.status(), status);
        let discovery = format!("{}/.well-known/openid-configuration", lab.issuer());
        assert_eq!(client.get(discovery).send().await.unwrap().status(), status);
    }
    lab.fail(Endpoint::Jwks, Fault::Throttled(7)).await;
    let throttled = get().await.unwrap();
    assert_eq!((throttled.status(), &throttled.headers()[RETRY_AFTER]), (StatusCode::TOO_MANY_REQUESTS, &"7".parse().unwrap()));
    lab.fail(Endpoint::Jwks, Fault::Html).await;
    assert!(get().await.unwrap().text().await.unwrap().starts_with("<html>"));
    lab.fail(Endpoint::Jwks, Fault::Empty).await;
    assert_eq!(get().await.unwrap().text().await.unwrap(), "");
    lab.fail(Endpoint::Jwks, Fault::Redirect).await;
    assert_eq!(get().await.unwrap().headers()[LOCATION], "/elsewhere");
    lab.fail(Endpoint::Jwks, Fault::Huge).await;
    assert!(get().await.unwrap().bytes().await.unwrap().len() > 10 * 1024 * 1024);
    lab.fail(Endpoint::Jwks, Fault::Truncated).await;
    assert!(get().await.unwrap().bytes().await.is_err());
    lab.fail(Endpoint::Jwks, Fault::Reset).await;
    assert!(get().await.is_err());
    for fault in [Fault::Hang, Fault::Slow(Duration::from_mins(1))] {
        lab.fail(Endpoint::Jwks, fault).await;
        assert!(client.get(url).timeout(Duration::from_millis(200)).send().await.is_err_and(|error| error.is_timeout()));
    }
    lab.fail_times(Endpoint::Jwks, Fault::Status(500), 2).await;
    for status in [500, 500, 200] {
        assert_eq!(get().await.unwrap().status(), status);
    }
    lab.heal().await;
    tokens(&party, &ALICE).await;
}

#[tokio::test]
async fn it_stops_freezes_and_comes_back() {
    let Some((mut lab, party)) = lab().await else { return };
    lab.freeze();
    let asked = reqwest::Client::new().get(party.endpoint("jwks_uri")).timeout(Duration::from_millis(200)).send().await;
    assert!(asked.is_err_and(|error| error.is_timeout()));
    lab.thaw();
    tokens(&party, &ALICE).await;
    lab.stop();
    assert!(reqwest::get(party.endpoint("jwks_uri")).await.is_err_and(|error| error.is_connect()));
    lab.restart().await;
    tokens(&party, &ALICE).await;
}
