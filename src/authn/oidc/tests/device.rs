//! A login for a device that has no browser.

use super::super::fake::DEVICE;
use super::super::flow::{DeviceAuthorization, DevicePoll, DeviceStartError};
use super::*;
use crate::authn::verdict::Renewal;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn begun(more: &[(&str, Value)]) -> Value {
    let mut body = json!({
        "device_code": "dc-1", "user_code": "WDJB-MJHT", "verification_uri": "https://sso.corp.example/device", "expires_in": 600,
    });
    for (name, value) in more {
        if value.is_null() { drop(body.as_object_mut().unwrap().remove(*name)) } else { body[name] = value.clone() }
    }
    body
}

async fn start(scene: &Scene, reply: Reply) -> Result<DeviceAuthorization, DeviceStartError> {
    scene.issuer.next(DEVICE, reply);
    scene.party.start_device(soon()).await
}

async fn poll(scene: &Scene) -> String {
    match scene.party.poll_device(&secret("dc-1"), soon()).await {
        Ok(DevicePoll::Pending) => "pending".to_owned(),
        Ok(DevicePoll::SlowDown) => "slow down".to_owned(),
        Ok(DevicePoll::Ended(word)) => word.to_owned(),
        Ok(DevicePoll::SignedIn(signed_in)) => format!("{} in", signed_in.identity.username),
        Err(error) => error.reason,
    }
}

#[tokio::test]
async fn a_device_login_begins() {
    let scene = scene("").await;
    let complete = "https://sso.corp.example/device?user_code=WDJB-MJHT";
    let more = [("verification_uri_complete", json!(complete)), ("interval", json!(2))];
    let device = start(&scene, Reply::json(200, &begun(&more))).await.unwrap();
    assert_eq!((device.user_code.as_str(), device.verification_uri.as_str()), ("WDJB-MJHT", "https://sso.corp.example/device"));
    assert_eq!(device.verification_uri_complete.as_ref().map(url::Url::as_str), Some(complete));
    assert_eq!((device.expires_in, device.interval), (Duration::from_mins(10), Duration::from_secs(2)));
    assert!(!format!("{device:?}").contains("dc-1"));
    let asked = scene.issuer.asked(DEVICE).pop().unwrap();
    assert_eq!((asked.form["scope"].as_str(), asked.authorization.is_some()), ("openid profile", true));
    let keycloak = self::scene("preset: keycloak").await;
    let device = start(&keycloak, Reply::json(200, &begun(&more))).await.unwrap();
    assert_eq!(device.verification_uri_complete, None);
    // Google's own name of the place, and no interval.
    let old = [("verification_uri", Value::Null), ("verification_url", json!("https://www.google.com/device"))];
    let device = start(&scene, Reply::json(200, &begun(&old))).await.unwrap();
    assert_eq!((device.verification_uri.as_str(), device.interval), ("https://www.google.com/device", Duration::from_secs(5)));
    for (given, expected) in [(1, 30), (1_000_000_000, 1800), (0, 30)] {
        let device = start(&scene, Reply::json(200, &begun(&[("expires_in", json!(given)), ("interval", json!(given))]))).await.unwrap();
        assert_eq!(device.expires_in, Duration::from_secs(expected));
        assert!((1..=60).contains(&device.interval.as_secs()));
    }
}

#[tokio::test]
async fn what_cannot_be_shown_to_a_person_is_an_outage() {
    let scene = scene("").await;
    for more in [
        ("verification_uri", json!("http://sso.corp.example/device")),
        ("verification_uri", json!("javascript:alert(1)")),
        ("verification_uri", json!("device")),
        ("verification_uri_complete", json!("http://sso.corp.example/device")),
        ("user_code", json!("")),
        ("user_code", json!("A\u{1b}[2J")),
        ("user_code", json!("Ä")),
        ("user_code", json!("x".repeat(65))),
        ("device_code", json!("")),
        ("device_code", Value::Null),
        ("expires_in", json!(-1)),
    ] {
        let result = start(&scene, Reply::json(200, &begun(std::slice::from_ref(&more)))).await;
        assert!(matches!(result, Err(DeviceStartError::Unavailable(_))), "{more:?} {result:?}");
    }
    // The issuer is of this machine as well.
    let here = [("verification_uri", json!("http://127.0.0.1:9/device"))];
    assert!(start(&scene, Reply::json(200, &begun(&here))).await.is_ok());
}

#[tokio::test]
async fn an_issuer_may_have_none_or_want_fewer() {
    let scene = scene("").await;
    let refused = |error: &str| Reply::json(400, &json!({ "error": error }));
    for error in ["unauthorized_client", "unsupported_grant_type"] {
        assert!(matches!(start(&scene, refused(error)).await, Err(DeviceStartError::NotOffered)), "{error}");
    }
    assert!(matches!(start(&scene, refused("invalid_client")).await, Err(DeviceStartError::Unavailable(_))));
    let wrong_secret = Reply::json(401, &json!({"error": "unauthorized_client"}));
    assert!(matches!(start(&scene, wrong_secret).await, Err(DeviceStartError::Unavailable(_))));
    assert!(matches!(start(&scene, Reply::text(500, "")).await, Err(DeviceStartError::Unavailable(_))));
    let fewer = Reply::text(429, "").header("retry-after", "9");
    let result = start(&scene, fewer).await;
    assert!(matches!(result, Err(DeviceStartError::Throttled { retry_after }) if retry_after == Duration::from_secs(9)), "{result:?}");
    // That says nothing of anything else that it is asked.
    scene.refuses(400, "authorization_pending", "");
    assert_eq!(poll(&scene).await, "pending");
    let off = self::scene("device_grant: {enabled: false}").await;
    assert!(matches!(off.party.start_device(soon()).await, Err(DeviceStartError::NotOffered)));
    let none = self::scene("").await;
    none.issuer.metadata("device_authorization_endpoint", Value::Null);
    assert!(matches!(none.party.start_device(soon()).await, Err(DeviceStartError::NotOffered)));
}

#[tokio::test]
async fn every_poll_has_its_meaning() {
    let scene = scene("identity: {require: {hd: corp.example}}").await;
    for (status, error, expected) in [
        (400, "authorization_pending", "pending"),
        (428, "authorization_pending", "pending"),
        (400, "slow_down", "slow down"),
        (403, "access_denied", "denied"),
        (400, "authorization_declined", "denied"),
        (400, "expired_token", "expired"),
        (400, "invalid_grant", "code_refused"),
        (401, "invalid_client", "the token endpoint refuses the client: invalid_client (HTTP 401)"),
        (400, "server_error", "the token endpoint refuses a device code without saying why: server_error (HTTP 400)"),
    ] {
        scene.refuses(status, error, "");
        assert_eq!(poll(&scene).await, expected, "{error}");
    }
    let keycloak = self::scene("preset: keycloak").await;
    keycloak.refuses(400, "not_allowed", "Offline tokens not allowed for the user or client");
    assert_eq!(poll(&keycloak).await, "no_offline_access");
    scene.issuer.next(TOKEN, Reply::text(503, ""));
    assert!(poll(&scene).await.ends_with("HTTP status 503"));
    scene.grants("alice", json!({"hd": "corp.example"}), &[]);
    assert_eq!(poll(&scene).await, "alice in");
    scene.grants("alice", json!({"hd": "other.example"}), &[]);
    assert_eq!(poll(&scene).await, "claim_required");
    scene.grants("alice", json!({"hd": "corp.example", "aud": "other"}), &[]);
    assert_eq!(poll(&scene).await, "audience");
    let form = scene.forms().pop().unwrap();
    assert_eq!((form["grant_type"].as_str(), form["device_code"].as_str()), (GRANT, "dc-1"));
}

#[tokio::test]
async fn who_is_done_is_signed_in_as_of_now() {
    let scene = scene("mfa: {amr: [hwk]}").await;
    scene.grants("alice", json!({"groups": ["dev"], "amr": ["hwk"]}), &[("refresh_token", "rt-1")]);
    let Ok(DevicePoll::SignedIn(signed_in)) = scene.party.poll_device(&secret("dc-1"), soon()).await else { panic!("not signed in") };
    assert_eq!(method_and_time(&signed_in.identity), (Method::Device, NOW, SecondFactor::Used(NOW)));
    assert_eq!((group_names(&signed_in.identity), signed_in.renewal), (vec!["dev"], Some(Renewal::from(b"rt-1".to_vec()))));
}

/// Keycloak demands it where its client requires it of browsers.
#[tokio::test]
async fn keycloak_gets_pkce_and_others_do_not() {
    let scene = scene("preset: keycloak").await;
    let device = start(&scene, Reply::json(200, &begun(&[]))).await.unwrap();
    let asked = scene.issuer.asked(DEVICE).pop().unwrap();
    assert_eq!(asked.form["code_challenge_method"], "S256");
    scene.refuses(400, "authorization_pending", "");
    assert!(matches!(scene.party.poll_device(&device.device_code, soon()).await, Ok(DevicePoll::Pending)));
    let form = scene.forms().pop().unwrap();
    assert_eq!(form["device_code"], "dc-1");
    let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, form["code_verifier"].as_bytes());
    assert_eq!(asked.form["code_challenge"], data_encoding::BASE64URL_NOPAD.encode(challenge.as_ref()));
    // One that began before the preset was written.
    scene.refuses(400, "authorization_pending", "");
    assert_eq!(poll(&scene).await, "pending");
    assert!(!scene.forms().pop().unwrap().contains_key("code_verifier"));
    let other = self::scene("").await;
    start(&other, Reply::json(200, &begun(&[]))).await.unwrap();
    assert!(!other.issuer.asked(DEVICE).pop().unwrap().form.contains_key("code_challenge"));
}
