//! A sign-in by browser.

use std::collections::HashMap;

use super::super::flow::{Callback, KeptAuthorization, SignInError, SignedIn};
use super::*;
use crate::authn::verdict::Renewal;

fn redirect() -> url::Url {
    "https://auth.corp.example/oidc/sso/callback".parse().unwrap()
}

async fn begun(scene: &Scene) -> (HashMap<String, String>, KeptAuthorization) {
    let authorization = scene.party.authorize(&redirect(), soon()).await.unwrap();
    assert!(authorization.url.as_str().starts_with(&format!("{}/authorize?", scene.issuer.issuer())));
    (authorization.url.query_pairs().into_owned().collect(), authorization.kept)
}

fn callback(issuer: Option<String>) -> Callback {
    Callback { code: secret("c0de"), issuer }
}

async fn ended(scene: &Scene, kept: &KeptAuthorization) -> Result<SignedIn, SignInError> {
    scene.party.exchange(kept, callback(Some(scene.issuer.issuer())), soon()).await
}

fn word(result: Result<SignedIn, SignInError>) -> String {
    match result {
        Ok(signed_in) => signed_in.identity.username,
        Err(SignInError::Refused(word)) => word.to_owned(),
        Err(SignInError::Unavailable(error)) => error.reason,
    }
}

#[tokio::test]
async fn a_browser_is_sent_with_pkce_state_and_nonce() {
    let scene = scene("").await;
    let (query, kept) = begun(&scene).await;
    let sent = ["response_type", "client_id", "redirect_uri", "scope", "code_challenge_method"].map(|name| query[name].as_str());
    assert_eq!(sent, ["code", "narrows", redirect().as_str(), "openid profile", "S256"]);
    assert_eq!((&query["state"], &query["nonce"]), (&kept.state, &kept.nonce));
    let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, kept.verifier.as_bytes());
    assert_eq!(query["code_challenge"], data_encoding::BASE64URL_NOPAD.encode(challenge.as_ref()));
    assert!(kept.verifier.len() >= 43 && !query.values().any(|value| *value == kept.verifier));
    let (_, other) = begun(&scene).await;
    let all = [&kept.state, &kept.nonce, &kept.verifier, &other.state, &other.nonce, &other.verifier];
    assert_eq!(std::collections::BTreeSet::from(all).len(), 6, "each is random");
    assert!(!query.contains_key("access_type"));
    let google = self::scene("preset: google").await;
    let (query, _) = begun(&google).await;
    assert_eq!((query["access_type"].as_str(), query["prompt"].as_str()), ("offline", "consent"));
}

#[tokio::test]
async fn a_code_becomes_a_person() {
    let scene = scene("mfa: {amr: [otp]}").await;
    let (_, kept) = begun(&scene).await;
    let claims = json!({"nonce": kept.nonce, "groups": ["dev"], "amr": ["otp"], "auth_time": NOW.0 - 60});
    scene.grants("alice", claims, &[("refresh_token", "rt-1")]);
    let SignedIn { identity, renewal } = ended(&scene, &kept).await.unwrap();
    assert_eq!((identity.username.as_str(), group_names(&identity)), ("alice", vec!["dev"]));
    assert_eq!(method_and_time(&identity), (Method::SignIn, NOW, SecondFactor::Used(NOW.plus(-60))));
    assert_eq!(renewal, Some(Renewal::from(b"rt-1".to_vec())));
    let form = scene.forms().pop().unwrap();
    let sent = ["grant_type", "code", "redirect_uri", "code_verifier"].map(|name| form[name].as_str());
    assert_eq!(sent, ["authorization_code", "c0de", redirect().as_str(), kept.verifier.as_str()]);
}

#[tokio::test]
async fn what_belongs_to_another_sign_in_is_refused() {
    let scene = scene("").await;
    let (_, kept) = begun(&scene).await;
    for (claims, expected) in [
        (json!({}), "nonce"),
        (json!({"nonce": "other"}), "nonce"),
        (json!({"nonce": kept.nonce, "at_hash": "AAAA"}), "at_hash"),
        (json!({"nonce": kept.nonce, "c_hash": "AAAA"}), "c_hash"),
        (json!({"nonce": kept.nonce, "iss": "https://other.example"}), "issuer"),
        (json!({"nonce": kept.nonce, "aud": "other"}), "audience"),
        (json!({"nonce": kept.nonce, "exp": NOW.0 - 61}), "expired"),
        (json!({"nonce": kept.nonce, "preferred_username": "a\u{202e}b"}), "username"),
    ] {
        scene.grants("alice", claims.clone(), &[]);
        assert_eq!(word(ended(&scene, &kept).await), expected, "{claims}");
    }
}

#[tokio::test]
async fn another_issuers_code_is_never_sent() {
    let scene = scene("").await;
    let (_, kept) = begun(&scene).await;
    let asked = async |issuer: Option<&str>| word(scene.party.exchange(&kept, callback(issuer.map(str::to_owned)), soon()).await);
    assert_eq!(asked(Some("https://other.example")).await, "issuer_mismatch");
    assert_eq!(asked(Some(&format!("{}/", scene.issuer.issuer()))).await, "issuer_mismatch");
    // It says that it always names itself.
    assert_eq!(asked(None).await, "issuer_missing");
    assert!(scene.forms().is_empty());
    let silent = self::scene("").await;
    silent.issuer.metadata("authorization_response_iss_parameter_supported", Value::Null);
    let (_, kept) = begun(&silent).await;
    silent.grants("alice", json!({"nonce": kept.nonce}), &[]);
    assert_eq!(word(silent.party.exchange(&kept, callback(None), soon()).await), "alice");
}

#[tokio::test]
async fn a_refused_code_is_no_outage_and_an_outage_is_no_refusal() {
    let scene = scene("identity: {require: {hd: corp.example}}").await;
    let (_, kept) = begun(&scene).await;
    scene.refuses(400, "invalid_grant", "used");
    assert_eq!(word(ended(&scene, &kept).await), "code_refused");
    scene.refuses(400, "not_allowed", "Offline tokens not allowed for the user or client");
    assert_eq!(word(ended(&scene, &kept).await), "the token endpoint refuses a code without saying why: not_allowed (HTTP 400)");
    let keycloak = self::scene("preset: keycloak").await;
    let (_, at_keycloak) = begun(&keycloak).await;
    keycloak.refuses(400, "not_allowed", "Offline tokens not allowed for the user or client");
    assert_eq!(word(ended(&keycloak, &at_keycloak).await), "no_offline_access");
    scene.refuses(401, "invalid_client", "the secret s3cret is wrong");
    assert_eq!(word(ended(&scene, &kept).await), "the token endpoint refuses the client: invalid_client (HTTP 401)");
    scene.refuses(400, "temporarily_unavailable", "");
    assert!(word(ended(&scene, &kept).await).contains("temporarily_unavailable"));
    scene.issuer.next(TOKEN, Reply::text(502, ""));
    assert!(word(ended(&scene, &kept).await).ends_with("HTTP status 502"));
    scene.issuer.next(TOKEN, Reply::json(200, &json!({"access_token": "at"})));
    assert!(word(ended(&scene, &kept).await).contains("openid"));
    scene.grants("alice", json!({"nonce": kept.nonce, "hd": "other.example"}), &[]);
    assert_eq!(word(ended(&scene, &kept).await), "claim_required");
}
