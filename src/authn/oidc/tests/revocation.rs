//! Refresh tokens that are given back.

use super::super::fake::{DISCOVERY, REVOKE};
use super::recheck::alice;
use super::*;
use crate::authn::provider::Health;
use crate::authn::verdict::{GivenBack, Renewal, Standing};

fn renewal(text: &str) -> Renewal {
    Renewal::from(text.as_bytes().to_vec())
}

/// A scene whose issuer has told about itself.
async fn known(more: &str) -> Scene {
    let scene = scene(more).await;
    scene.party.metadata(soon()).await.unwrap();
    scene
}

async fn given_back(scene: &Scene) -> String {
    match scene.party.give_back(&renewal("rt-1"), soon()).await {
        Ok(outcome) => format!("{outcome:?}"),
        Err(error) => error.reason,
    }
}

#[tokio::test]
async fn a_refresh_token_is_sent_with_the_proof_of_the_client() {
    let scene = known("").await;
    assert_eq!(given_back(&scene).await, "Revoked");
    let asked = scene.issuer.asked(REVOKE).pop().unwrap();
    let form: std::collections::BTreeMap<_, _> = asked.form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(form.into_iter().collect::<Vec<_>>(), [("token", "rt-1"), ("token_type_hint", "refresh_token")]);
    assert_eq!(asked.authorization.as_deref(), Some("Basic bmFycm93czpzM2NyZXQ="));
}

#[tokio::test]
async fn an_answer_is_final_or_may_be_another_one_later() {
    let scene = known("").await;
    for (status, body, expected) in [
        (200, "", "Revoked"),
        // Keycloak says so of one that is over.
        (200, r#"{"error": "invalid_token"}"#, "Revoked"),
        (204, "", "Revoked"),
        (400, r#"{"error": "invalid_token"}"#, "Revoked"),
        (400, r#"{"error": "unsupported_token_type"}"#, "Refused"),
        (400, r#"{"error": "invalid_request"}"#, "Refused"),
        (400, "", "Refused"),
        (403, r#"{"error": "access_denied"}"#, "Refused"),
        (404, "<html>", "Refused"),
        (405, "", "Refused"),
        (400, r#"{"error": "invalid_client"}"#, "revocation endpoint: the client is refused: invalid_client (HTTP 400)"),
        (401, r#"{"error": "unauthorized_client"}"#, "revocation endpoint: the client is refused: unauthorized_client (HTTP 401)"),
        (401, "", "revocation endpoint: the client is refused: HTTP status 401"),
        (403, "<html>", "revocation endpoint: no answer of the issuer: HTTP status 403"),
        (408, "", "revocation endpoint: no answer of the issuer: HTTP status 408"),
        (302, "", "127.0.0.1: it answered with a redirect to `nowhere`, which is never followed; is the issuer's URL the final one?"),
        (500, "", "127.0.0.1: HTTP status 500"),
        (429, "", "127.0.0.1: HTTP status 429: it wants fewer requests"),
    ] {
        scene.issuer.next(REVOKE, Reply::text(status, body));
        assert_eq!(given_back(&scene).await, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn an_issuer_says_when_to_come_again() {
    let scene = known("").await;
    scene.issuer.next(REVOKE, Reply::text(503, "").header("retry-after", "40"));
    let error = scene.party.give_back(&renewal("rt-1"), soon()).await.unwrap_err();
    assert_eq!(error.retry_after, Duration::from_secs(40));
}

#[tokio::test]
async fn who_takes_none_back_is_not_asked() {
    for endpoint in [Value::Null, json!("http://elsewhere.example/revoke"), json!("https://169.254.169.254/revoke"), json!("nonsense")] {
        let scene = scene("").await;
        scene.issuer.metadata("revocation_endpoint", endpoint);
        scene.party.metadata(soon()).await.unwrap();
        assert_eq!(given_back(&scene).await, "NotOffered");
        assert!(scene.issuer.asked(REVOKE).is_empty());
    }
}

#[tokio::test]
async fn nothing_is_asked_before_the_issuer_told_about_itself() {
    let scene = scene("").await;
    assert_eq!(given_back(&scene).await, "discovery: nothing is known of the issuer yet");
    assert!(scene.issuer.asked(DISCOVERY).is_empty() && scene.issuer.asked(REVOKE).is_empty());
}

#[tokio::test]
async fn what_is_given_back_stands_in_nobodys_way() {
    let scene = known("").await;
    scene.issuer.always(REVOKE, Reply::text(500, ""));
    for _ in 0..10 {
        assert!(scene.party.give_back(&renewal("rt-1"), soon()).await.is_err());
    }
    assert_eq!(scene.issuer.asked(REVOKE).len(), 5, "its own breaker opens");
    assert_eq!(scene.party.health(), Health::Up);
    scene.grants("7", json!({"preferred_username": "alice"}), &[]);
    let alice = alice();
    let (standing, _) = scene.party.recheck(&alice, Some(renewal("rt-2")), &circumstances()).await;
    assert!(matches!(standing, Ok(Standing::Good(_))), "{standing:?}");
    // Nor does what is taken back say that the rest is well.
    let scene = self::scene("").await;
    scene.issuer.always(super::super::fake::KEYS, Reply::text(500, ""));
    scene.grants("7", json!({}), &[]);
    assert!(scene.party.recheck(&alice, Some(renewal("rt-2")), &circumstances()).await.0.is_err());
    assert!(matches!(scene.party.health(), Health::Down(_)));
    assert_eq!(scene.party.give_back(&renewal("rt-1"), soon()).await.unwrap(), GivenBack::Revoked);
    assert!(matches!(scene.party.health(), Health::Down(_)));
}

#[tokio::test]
async fn what_ends_with_what_is_the_issuers_way() {
    let of_session = |session: &str, number: u8| {
        let part = |json: Value| data_encoding::BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let payload = json!({"sid": session, "jti": number});
        renewal(&format!("{}.{}.c2lnbmF0dXJl", part(json!({"alg": "HS512"})), part(payload)))
    };
    let (first, second, other) = (of_session("s", 1), of_session("s", 2), of_session("t", 3));
    for (preset, expected) in [
        // The same one, one of its session, one of another session, one that says nothing.
        ("keycloak", [true, true, false, true]),
        ("okta", [true, false, false, false]),
        ("gitlab", [true, false, false, false]),
        ("authentik", [true, false, false, false]),
        ("google", [true; 4]),
        ("entra", [true; 4]),
        ("dex", [true; 4]),
        ("generic", [true; 4]),
    ] {
        let scene = scene(&format!("preset: {preset}")).await;
        let found = [&first, &second, &other, &renewal("opaque")].map(|another| scene.party.end_together(&first, another));
        assert_eq!(found, expected, "{preset}");
        assert!(scene.party.end_together(&renewal("a"), &renewal("a")));
    }
}
