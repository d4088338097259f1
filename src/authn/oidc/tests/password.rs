//! A password at an issuer: right, wrong, not enough, or no answer.

use super::*;
use crate::authn::attempt::Attempt;
use crate::authn::cache::Freshness;
use crate::authn::rehearsal::End;
use crate::authn::verdict::{Renewal, Verdict};

const ON: &str = "password_grant: {enabled: true}";

/// The word of what comes of a password.
async fn word(scene: &Scene, username: &str, password: &str) -> String {
    match scene.party.verify(username, &secret(password), &circumstances(), Freshness::AskNow, &Attempt::default()).await {
        Ok(Verdict::Authenticated(identity, renewal)) => {
            format!("{} {} {}", identity.id, identity.username, if renewal.is_some() { "renewal" } else { "-" })
        }
        Ok(Verdict::Rejected(rejection)) => rejection.as_str().to_owned(),
        Ok(Verdict::NotMine) => "not mine".to_owned(),
        Ok(Verdict::Throttled(_)) => "throttled".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn outage(reason: &str) -> String {
    format!("provider `sso` cannot be asked: {reason}")
}

#[tokio::test]
async fn a_right_password_is_somebody() {
    let scene = scene("password_grant: {enabled: true}\nidentity: {strip_suffix: \"@corp.example\"}\nmfa: {amr: [otp]}").await;
    let claims = json!({"preferred_username": "alice@corp.example", "groups": ["dev", "ops"], "amr": ["pwd"], "department": "it"});
    scene.grants("7", claims, &[("refresh_token", "rt-1")]);
    let verdict = scene.party.verify("Alice", &secret(" p+ä&w "), &circumstances(), Freshness::AskNow, &Attempt::default()).await.unwrap();
    let Verdict::Authenticated(identity, renewal) = verdict else { panic!("{verdict:?}") };
    assert_eq!((identity.id.as_str(), identity.username.as_str()), ("7", "alice"));
    assert_eq!((&*identity.realm, &*identity.provider), ("corp", "sso"));
    assert_eq!(group_names(&identity), ["dev", "ops"]);
    assert_eq!(method_and_time(&identity), (Method::Password, NOW, SecondFactor::Absent));
    assert_eq!(identity.claims["department"], ["it"]);
    assert_eq!(renewal, Some(Renewal::from(b"rt-1".to_vec())));
    let asked = scene.issuer.asked(TOKEN).pop().unwrap();
    // Both exactly as they were typed.
    let sent = ["grant_type", "username", "password", "scope"].map(|name| asked.form[name].as_str());
    assert_eq!(sent, ["password", "Alice", " p+ä&w ", "openid profile"]);
    assert_eq!(asked.authorization.as_deref(), Some("Basic bmFycm93czpzM2NyZXQ="));
    assert!(!asked.form.contains_key("client_id") && !asked.form.contains_key("client_secret"));
}

#[tokio::test]
async fn every_refusal_has_its_meaning() {
    let nothing = "the token endpoint refuses a password without saying why: ";
    let blamed = "the token endpoint refuses the client: ";
    for (preset, status, error, description, expected) in [
        ("generic", 400, "invalid_grant", "no", "wrong_password".to_owned()),
        ("keycloak", 401, "invalid_grant", "Invalid user credentials", "wrong_password".to_owned()),
        ("keycloak", 400, "invalid_grant", "Account is not fully set up", "interaction_required".to_owned()),
        ("keycloak", 400, "invalid_grant", "Account disabled", "locked_out".to_owned()),
        ("keycloak", 400, "not_allowed", "Offline tokens not allowed for the user or client", "no_offline_access".to_owned()),
        ("generic", 400, "not_allowed", "Offline tokens not allowed", outage(&format!("{nothing}not_allowed (HTTP 400)"))),
        ("entra", 400, "invalid_grant", "AADSTS50126: no", "wrong_password".to_owned()),
        ("entra", 400, "invalid_grant", "AADSTS50076: more", "interaction_required".to_owned()),
        ("entra", 400, "invalid_grant", "AADSTS50053: locked", "locked_out".to_owned()),
        ("entra", 400, "invalid_grant", "AADSTS12345: new", outage(&format!("{nothing}invalid_grant AADSTS12345 (HTTP 400)"))),
        ("okta", 400, "invalid_grant", "MFA required", "interaction_required".to_owned()),
        ("dex", 401, "access_denied", "Invalid username or password", "wrong_password".to_owned()),
        ("generic", 403, "mfa_required", "", "interaction_required".to_owned()),
        ("generic", 401, "invalid_client", "bad", outage(&format!("{blamed}invalid_client (HTTP 401): bad"))),
        ("generic", 400, "unauthorized_client", "", outage(&format!("{blamed}unauthorized_client (HTTP 400)"))),
        ("generic", 400, "unsupported_grant_type", "", outage(&format!("{blamed}unsupported_grant_type (HTTP 400)"))),
        ("generic", 400, "invalid_scope", "pw-7", outage(&format!("{blamed}invalid_scope (HTTP 400)"))),
        ("generic", 400, "server_error", "", outage(&format!("{nothing}server_error (HTTP 400)"))),
    ] {
        let scene = scene(&format!("preset: {preset}\n{ON}")).await;
        scene.refuses(status, error, description);
        assert_eq!(word(&scene, "alice", "pw-7").await, expected, "{preset} {error} {description}");
        assert_eq!(scene.forms().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_says_nothing_is_an_outage() {
    let scene = scene(ON).await;
    let host = scene.issuer.address().ip();
    for (reply, expected) in [
        (Reply::text(403, ""), "wrong_password".to_owned()),
        (Reply::text(400, ""), outage("the token endpoint refuses a password without saying why: an empty body (HTTP 400)")),
        (Reply::text(403, "<html>blocked"), outage("token endpoint: HTTP status 403 with a body that is no OAuth error")),
        (Reply::text(200, "<html>hello"), outage("token endpoint: HTTP status 200 with a body that is no JSON of tokens")),
        (Reply::json(404, &json!({"error": "invalid_grant"})), outage("token endpoint: HTTP status 404 with a body that nobody asked for")),
        (Reply::json(500, &json!({"error": "invalid_grant"})), outage(&format!("{host}: HTTP status 500"))),
        (Reply::text(503, ""), outage(&format!("{host}: HTTP status 503"))),
        (
            Reply::text(302, "").header("location", "https://other.example/x?y"),
            outage(&format!(
                "{host}: it answered with a redirect to `other.example`, which is never followed; is the issuer's URL the final one?"
            )),
        ),
    ] {
        scene.issuer.next(TOKEN, reply);
        assert_eq!(word(&scene, "alice", "pw").await, expected);
    }
}

#[tokio::test]
async fn an_issuer_that_wants_fewer_requests_is_left_alone() {
    let scene = scene(ON).await;
    scene.issuer.next(TOKEN, Reply::text(429, "").header("retry-after", "7"));
    let error = scene.party.verify("alice", &secret("pw"), &circumstances(), Freshness::AskNow, &Attempt::default()).await.unwrap_err();
    assert_eq!(error.retry_after, Duration::from_secs(7));
    assert!(word(&scene, "alice", "pw").await.contains("is not asked for a moment"));
    assert_eq!(scene.forms().len(), 1);
}

#[tokio::test]
async fn a_right_password_without_a_good_token_is_an_outage_and_never_wrong() {
    let scene = scene(ON).await;
    scene.issuer.next(TOKEN, Reply::json(200, &json!({"access_token": "at"})));
    let expected = outage("the issuer sent no id_token: is `openid` among `scopes`, and may the client have it?");
    assert_eq!(word(&scene, "alice", "pw").await, expected);
    scene.grants("7", json!({"aud": "other"}), &[]);
    assert_eq!(word(&scene, "alice", "pw").await, outage("the id_token of a password is not accepted: audience"));
    scene.grants("7", json!({"at_hash": "x"}), &[]);
    assert_eq!(word(&scene, "alice", "pw").await, outage("the id_token of a password is not accepted: at_hash"));
    scene.grants("7", json!({"groups": 5}), &[]);
    assert_eq!(word(&scene, "alice", "pw").await, outage("groups: `groups` holds a number, where groups are texts"));
}

#[tokio::test]
async fn somebody_without_what_is_required_is_not_let_in() {
    let scene = scene(&format!("{ON}\nidentity: {{require: {{email_verified: true}}}}")).await;
    scene.grants("7", json!({"email_verified": true}), &[]);
    assert_eq!(word(&scene, "alice", "pw").await, "7 7 -");
    scene.grants("7", json!({"email_verified": false}), &[]);
    assert_eq!(word(&scene, "alice", "pw").await, "disabled");
    // It stands in userinfo, which is asked only then.
    scene.grants("7", json!({}), &[]);
    scene.tells(&json!({"sub": "7", "email_verified": true}));
    assert_eq!(word(&scene, "alice", "pw").await, "7 7 -");
    assert_eq!(scene.issuer.asked(USERINFO).len(), 1);
    scene.grants("7", json!({}), &[]);
    scene.issuer.next(USERINFO, Reply::text(503, ""));
    assert!(word(&scene, "alice", "pw").await.contains("HTTP status 503"), "an outage is no missing claim");
}

#[tokio::test]
async fn what_can_be_nobodys_is_not_sent() {
    let scene = scene(ON).await;
    for (username, password, expected) in [
        ("alice", "", "wrong_password"),
        ("alice", "a\0b", "wrong_password"),
        (" alice", "pw", "not mine"),
        ("al\u{200b}ice", "pw", "not mine"),
        ("", "pw", "not mine"),
    ] {
        assert_eq!(word(&scene, username, password).await, expected, "{username:?} {password:?}");
    }
    assert!(scene.forms().is_empty());
}

#[tokio::test]
async fn a_client_proves_itself_as_the_settings_say() {
    let scene = scene("").await;
    let (settings, file) = scene.issuer.settings(ON);
    for (auth, in_form) in [("post", true), ("none", false)] {
        let mut settings = settings.clone();
        settings.client.auth = Some(crate::source::Located::nowhere(serde_json::from_value(json!(auth)).unwrap()));
        if !in_form {
            settings.client.secret = None;
        }
        let party = RelyingParty::build(names(), &settings, &file, &scene.clock).unwrap_or_else(|findings| panic!("{findings}"));
        scene.refuses(400, "invalid_grant", "");
        let verdict = party.verify("alice", &secret("pw"), &circumstances(), Freshness::AskNow, &Attempt::default()).await;
        assert!(matches!(verdict, Ok(Verdict::Rejected(_))), "{verdict:?}");
        let asked = scene.issuer.asked(TOKEN).pop().unwrap();
        assert_eq!((asked.form["client_id"].as_str(), asked.authorization), ("narrows", None));
        assert_eq!(asked.form.get("client_secret").map(String::as_str), in_form.then_some("s3cret"));
    }
}

#[tokio::test]
async fn a_rehearsal_says_each_step() {
    let scene = scene(ON).await;
    let steps = async |password: Option<&str>| {
        let rehearsal = scene.party.rehearse("alice", password.map(secret).as_ref(), &circumstances()).await;
        let steps: Vec<String> = rehearsal.steps.iter().map(|step| format!("{}: {}", step.name, step.outcome.as_str())).collect();
        let end = match rehearsal.end {
            End::LetIn(identity) => format!("in: {}", identity.username),
            End::NotMine => "not mine".to_owned(),
            End::Refused(word) => format!("refused: {word}"),
            End::Unavailable(reason) => reason,
        };
        (steps.join(", "), end)
    };
    assert_eq!(steps(None).await, ("discovery: good, name: good, password grant: note".to_owned(), "not mine".to_owned()));
    scene.grants("alice", json!({"groups": ["dev"]}), &[]);
    let all = "discovery: good, name: good, password grant: good, identity: good".to_owned();
    assert_eq!(steps(Some("pw")).await, (all, "in: alice".to_owned()));
    scene.refuses(400, "invalid_grant", "");
    let wrong = "discovery: good, name: good, password grant: wrong".to_owned();
    assert_eq!(steps(Some("pw")).await, (wrong, "refused: wrong_password".to_owned()));
    scene.issuer.next(TOKEN, Reply::text(500, ""));
    let (steps, end) = steps(Some("pw")).await;
    assert!(steps.ends_with("password grant: failed") && end.ends_with("HTTP status 500"), "{steps} {end}");
    let off = self::scene("").await;
    let rehearsal = off.party.rehearse("alice", Some(&secret("pw")), &circumstances()).await;
    assert!(matches!(rehearsal.end, End::NotMine) && off.forms().is_empty());
}
