//! A device login that the person approved, and the issuer gives no tokens for.

use serde_json::json;

use super::super::log::Log;
use super::{FakeIssuer, Reply, SECRET, Scene, TOKEN};

fn denies(issuer: &FakeIssuer) {
    let says = json!({"error": "not_allowed", "error_description": "Offline tokens not allowed for the user or client"});
    issuer.next(TOKEN, Reply::json(400, &says));
}

#[tokio::test]
async fn who_may_not_have_a_login_that_lasts_is_refused_at_both_doors() {
    let log = Log::start();
    let scene = Scene::with("preset: keycloak\n      device_grant: {in_band: true, from: [192.0.2.0/24]}", "").await;
    let flow = scene.start().await;
    denies(&scene.issuer);
    let helper = scene.poll(&flow).await;
    assert_eq!(helper.error(), (400, "access_denied"));
    assert_eq!(scene.audit().pop().unwrap()["reason"], "no_offline_access");
    let second = scene.login("device", SECRET).await.second();
    denies(&scene.issuer);
    let docker = scene.login(&second, SECRET).await;
    assert!(docker.status == 401 && docker.message().contains("may not have a login that lasts"), "{}", docker.json);
    assert_eq!(scene.audit().pop().unwrap()["reason"], "no_offline_access");
    let told = log.lines("the issuer refused a sign-in: no_offline_access");
    for ((level, fields), answer) in told.iter().zip([&helper, &docker]) {
        assert_eq!((level.as_str(), fields["request_id"].as_str()), ("WARN", answer.headers["x-request-id"].to_str().ok()), "{fields}");
        assert!(fields["hint"].as_str().unwrap().contains("realm role `offline_access`"), "{fields}");
    }
    assert_eq!(told.len(), 2, "{}", log.text());
}
