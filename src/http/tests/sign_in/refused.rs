//! What the log and the audit say where an issuer lets nobody in, and the page does not.

use super::super::log::Log;
use super::*;
use crate::http::Bridge;

/// A callback with an error, as a query; `iss` is the issuer's own where nothing else is said.
fn error(issuer: &FakeIssuer, state: &str, word: &str, iss: Option<&str>) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("error", word)
        .append_pair("error_description", "<b>evil</b>")
        .append_pair("state", state)
        .append_pair("iss", iss.unwrap_or(&issuer.issuer()))
        .finish();
    format!("/oidc/sso/callback?{query}")
}

#[tokio::test]
async fn an_error_that_a_browser_brings_is_in_log_and_audit() {
    let log = Log::start();
    let scene = Scene::new().await;
    let overlong = "x".repeat(65);
    for (word, level, told, hint) in [
        ("access_denied", "INFO", "access_denied", None),
        ("invalid_scope", "ERROR", "invalid_scope", Some("scopes")),
        ("unauthorized_client", "ERROR", "unauthorized_client", Some("authorization code flow")),
        ("unsupported_response_type", "ERROR", "unsupported_response_type", Some("authorization code flow")),
        ("invalid_request", "ERROR", "invalid_request", Some("log")),
        ("server_error", "WARN", "server_error", None),
        ("interaction_required", "WARN", "interaction_required", None),
        ("evil \u{1b}[2J\nERROR", "WARN", "unknown_error", None),
        ("<b>evil</b>", "WARN", "unknown_error", None),
        ("", "WARN", "unknown_error", None),
        (&overlong, "WARN", "unknown_error", None),
    ] {
        let mut browser = Browser::default();
        let asked = scene.start(&mut browser, "sso").await;
        let page = scene.get(&mut browser, &error(&scene.issuer, &asked["state"], word, None)).await;
        assert!(page.status == 403 && page.body.contains("Not signed in"), "{word}: {}", page.body);
        assert!(page.body.contains(page.header("x-request-id")), "{}", page.body);
        assert!(!page.body.contains("evil") && !page.body.contains(told), "{word}: {}", page.body);
        let (logged, fields) = log.lines("the issuer refused a sign-in").pop().unwrap();
        assert_eq!((logged.as_str(), fields["error"].as_str(), fields["provider"].as_str()), (level, Some(told), Some("sso")), "{fields}");
        assert_eq!(fields["request_id"].as_str(), Some(page.header("x-request-id")));
        match hint {
            Some(hint) => assert!(fields["hint"].as_str().is_some_and(|text| text.contains(hint)), "{fields}"),
            None => assert!(fields["hint"].is_null(), "{fields}"),
        }
        let event = scene.audit().pop().unwrap();
        assert_eq!(event["reason"], json!(format!("sign_in: issuer: {told}")));
        assert_eq!((&event["outcome"], &event["provider"]), (&json!("rejected"), &json!("sso")));
    }
    assert!(!log.text().contains("evil"), "{}", log.text());
}

#[tokio::test]
async fn an_error_that_is_not_this_issuers_is_not_blamed_on_it() {
    let log = Log::start();
    let scene = Scene::new().await;
    let mut browser = Browser::default();
    let asked = scene.start(&mut browser, "sso").await;
    let foreign = scene.partners.issuer();
    let page = scene.get(&mut browser, &error(&scene.issuer, &asked["state"], "invalid_scope", Some(&foreign))).await;
    assert_eq!(page.status, 403);
    assert_eq!(scene.audit().pop().unwrap()["reason"], "sign_in: issuer_mismatch");
    // Nobody began this one.
    let page = scene.get(&mut browser, &error(&scene.issuer, "made-up", "invalid_scope", None)).await;
    assert_eq!(page.status, 400);
    assert_eq!(scene.audit().pop().unwrap()["reason"], "sign_in: unknown_state");
    assert_eq!(log.lines("the issuer refused a sign-in").len(), 0, "{}", log.text());
    assert_eq!(log.lines("an answer to a browser is not this issuer's").len(), 1);
}

#[tokio::test]
async fn a_wrong_client_secret_is_no_outage_that_passes() {
    let log = Log::start();
    let scene = Scene::new().await;
    let mut browser = Browser::default();
    let asked = scene.start(&mut browser, "sso").await;
    let says = json!({"error": "unauthorized_client", "error_description": "Invalid client or Invalid client credentials"});
    scene.issuer.next(TOKEN, Reply::json(401, &says));
    let page = scene.get(&mut browser, &Scene::callback(&scene.issuer, "sso", &asked["state"])).await;
    assert_eq!((page.status, page.header("retry-after")), (503, "5"));
    assert!(page.body.contains("a fault in how it is set up") && page.body.contains(page.header("x-request-id")), "{}", page.body);
    assert!(!page.body.contains("unauthorized_client") && !page.body.contains("credentials"), "{}", page.body);
    assert_eq!(scene.audit().pop().unwrap()["outcome"], "unavailable");
    let (level, fields) = log.lines("the issuer and the configuration do not fit together").pop().unwrap();
    assert!(level == "ERROR" && fields["hint"].as_str().unwrap().contains("the secret is wrong"), "{fields}");
    let state = |scene: &Scene| scene.app.readiness().details["providers"][0].clone();
    assert_eq!(
        (&state(&scene)["state"], &state(&scene)["reason"]),
        (&json!("impaired"), &json!("it refuses the client: unauthorized_client (HTTP 401)"))
    );
    assert!(scene.app.readiness().ready);
    scene.sign_in(&json!({}), None).await;
    assert_eq!(state(&scene)["state"], "up");
}

#[tokio::test]
async fn who_may_not_have_a_login_that_lasts_is_refused_and_the_log_says_what_to_do() {
    let log = Log::start();
    let scene = Scene::new().await;
    scene.reload(&configuration(&scene.issuer, None).replace("oidc: {issuer", "oidc: {preset: keycloak, issuer")).await;
    let mut browser = Browser::default();
    let asked = scene.start(&mut browser, "sso").await;
    let says = json!({"error": "not_allowed", "error_description": "Offline tokens not allowed for the user or client"});
    scene.issuer.next(TOKEN, Reply::json(400, &says));
    let page = scene.get(&mut browser, &Scene::callback(&scene.issuer, "sso", &asked["state"])).await;
    assert!(page.status == 403 && page.body.contains("Not signed in"), "{}", page.body);
    let event = scene.audit().pop().unwrap();
    assert_eq!((&event["outcome"], &event["reason"]), (&json!("rejected"), &json!("sign_in: no_offline_access")));
    let (level, fields) = log.lines("the issuer refused a sign-in").pop().unwrap();
    assert_eq!((level.as_str(), fields["request_id"].as_str()), ("WARN", Some(page.header("x-request-id"))));
    assert!(fields["hint"].as_str().unwrap().contains("realm role `offline_access`"), "{fields}");
}

/// Alice signs in with the token of these claims alone.
async fn sign_in_with(scene: &Scene, claims: Value) -> Answer {
    let mut browser = Browser::default();
    let asked = scene.start(&mut browser, "sso").await;
    let mut all = json!({"nonce": asked["nonce"]});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let token = scene.issuer.token("alice", scene.clock.now(), all);
    scene.issuer.next(TOKEN, Reply::json(200, &json!({"access_token": "at", "token_type": "Bearer", "id_token": token})));
    scene.get(&mut browser, &Scene::callback(&scene.issuer, "sso", &asked["state"])).await
}

#[tokio::test]
async fn the_first_who_comes_without_groups_is_named_with_where_to_set_them() {
    for (preset, hint) in [
        ("keycloak", "at Keycloak: Client scopes → narrows-dedicated → mapper \"Group Membership\", with Add to ID token on"),
        ("dex", "at Dex: the connector has to read groups (`groupSearch` for LDAP), and `scopes` needs `groups`"),
        ("generic", "see which claims the issuer sends to this client, `scopes` and `groups.sources`"),
    ] {
        let log = Log::start();
        let scene = Scene::new().await;
        scene.reload(&configuration(&scene.issuer, None).replace("oidc: {issuer", &format!("oidc: {{preset: {preset}, issuer"))).await;
        for name in ["alice", "bob"] {
            assert_eq!(sign_in_with(&scene, json!({"preferred_username": name})).await.status, 303);
        }
        let told = log.lines("a sign-in holds no groups at `groups`");
        assert_eq!(told.len(), 1, "{}", log.text());
        let (level, fields) = &told[0];
        assert_eq!((level.as_str(), &fields["username"], &fields["hint"]), ("WARN", &json!("alice"), &json!(hint)), "{fields}");
    }
}

#[tokio::test]
async fn a_person_with_a_name_of_a_users_file_is_named_with_what_to_do() {
    let log = Log::start();
    let scene = Scene::new().await;
    std::fs::write(scene.folder.path().join("users.yaml"), "users: []\n").unwrap();
    let people = "  - {name: people, realm: sso, ignore_case: true, names: [al*], file: {path: users.yaml}}\n";
    scene.reload(&(configuration(&scene.issuer, None) + people)).await;
    assert_eq!(sign_in_with(&scene, json!({"groups": ["dev"]})).await.status, 403);
    assert_eq!(scene.audit().pop().unwrap()["reason"], "sign_in: ambiguous");
    let (level, fields) = log.lines("an entry bears a name that is a users file's").pop().unwrap();
    assert_eq!((level.as_str(), &fields["username"], &fields["file"]), ("ERROR", &json!("alice"), &json!("people")));
    assert!(fields["hint"].as_str().unwrap().contains("take the name out of `names` of provider `people`"), "{fields}");
}
