//! What a stranger's page, link or issuer can make of somebody's browser: nothing.

use serde_json::json;

use super::stranger::Stranger;
use super::{LOGIN, SERVICE, SIGN_IN, Scene};
use crate::labs::oidc::{ALICE, BOB, Issuer};
use crate::labs::visitor::Visitor;
use crate::openid_provider::{Document, OpenidProvider};

#[tokio::test]
async fn pages_of_strangers_give_no_orders_and_frame_nothing() {
    let (Some(scene), stranger) = (Scene::open().await, Stranger::start().await) else { return };
    let Scene { bridge, browser, .. } = &scene;
    scene.sign_in(&ALICE).await;
    browser.click(&format!("button[value='{SERVICE}']")).await;
    let identity_token = scene.use_code(&ALICE).await;
    assert!(scene.is_signed_in().await);
    // The worst case: the stranger knows all that the page holds.
    let csrf = browser.attribute("[name=csrf]", "value").await.unwrap();
    let id = browser.attribute(".danger", "value").await.unwrap();
    let before = scene.cookies().await;
    for host in ["localhost", "127.0.0.1"] {
        for (path, form) in [
            ("/login/start", [("provider", "corp"), ("service", SERVICE)]),
            ("/login/code", [("csrf", &*csrf), ("service", SERVICE)]),
            ("/login/revoke", [("csrf", &*csrf), ("id", &*id)]),
            ("/login/out", [("csrf", &*csrf), ("service", "")]),
        ] {
            let target = bridge.url(path);
            browser.open(&stranger.page(host, "/post", &target, &form)).await;
            browser.shows("Not from this page").await;
            assert_eq!(browser.url().await, target);
            browser.open(&stranger.page(host, "/fetch", &target, &form)).await;
            browser.shows("sent").await;
        }
        browser.console().await;
        browser.open(&stranger.page(host, "/frame", &scene.login(), &[])).await;
        let framed = browser.in_frame().await;
        assert!(!framed.contains("narrows") && !framed.contains("alice"), "{framed}");
        let said = browser.console().await;
        assert!(said.iter().any(|line| line.contains("frame-ancestors 'none'")), "{said:?}");

        browser.open(&stranger.page(host, "/open", &scene.login(), &[])).await;
        browser.click("button").await;
        browser.comes_true("return held.closed;").await;
    }
    browser.open(&scene.login()).await;
    let shown = browser.visible_text().await;
    assert!(shown.contains("Signed in as alice") && shown.contains("from 127.0.0.1"), "{shown}");
    assert_eq!(scene.cookies().await, before);
    assert_eq!(scene.refresh(&identity_token).await.status(), 200);
    let audit = std::fs::read_to_string(bridge.site().folder().join("audit.jsonl")).unwrap();
    assert_eq!(audit.matches("\"reason\":\"sign_in\"").count(), 1, "{audit}");
}

#[tokio::test]
async fn an_answer_of_an_issuer_counts_once_where_it_was_asked_for() {
    let Some(scene) = Scene::open().await else { return };
    let Scene { op, bridge, browser } = &scene;
    // Whoever wants others to work in their name sends them their own answer, in a browser that never asked …
    let theirs = stranger_asks(&scene).await;
    browser.open(&theirs).await;
    browser.shows("Not from this page").await;
    assert!(!scene.is_signed_in().await && scene.cookies().await.is_empty());
    // … that asked for itself …
    let (theirs, asked) = (stranger_asks(&scene).await, scene.start("corp").await);
    browser.open(&theirs).await;
    browser.shows("Not from this page").await;
    let callback = op.sign_in(&ALICE, &asked).await;
    browser.open(&callback).await;
    browser.shows("Signed in as alice").await;
    // … and that is signed in.
    browser.open(&stranger_asks(&scene).await).await;
    browser.shows("Not from this page").await;
    // The same answer once more, as from the history, changes nothing.
    browser.open(&callback).await;
    browser.shows("Sign in again").await;
    scene.enter().await;
    browser.shows("Signed in as alice").await;

    // A code of another sign-in under the state of this one: it was asked for with another secret (PKCE).
    browser.forget_cookies().await;
    let stolen = crate::labs::oidc::query(&stranger_asks(&scene).await, "code").unwrap();
    let callback = op.sign_in(&ALICE, &scene.start("corp").await).await;
    let own = crate::labs::oidc::query(&callback, "code").unwrap();
    browser.open(&callback.replace(&own, &stolen)).await;
    browser.shows("Not signed in").await;
    assert!(!scene.is_signed_in().await);
    browser.open(&callback).await;
    browser.shows("Sign in again").await;
    assert!(!scene.is_signed_in().await && scene.cookies().await.iter().all(|cookie| cookie["name"] != SIGN_IN));
    let log = bridge.log();
    assert!(!log.contains(&stolen) && !log.contains(&own), "{log}");
}

/// A stranger begins a sign-in in a browser of their own and tells where it returns to.
async fn stranger_asks(scene: &Scene) -> String {
    let stranger = Visitor::new();
    let start = stranger.request("POST", &scene.bridge.url("/login/start")).form(&[("provider", "corp")]);
    let asked = crate::labs::visitor::redirect(&stranger.send(start).await).unwrap();
    scene.op.sign_in(&BOB, &asked).await
}

#[tokio::test]
async fn no_issuer_answers_for_another() {
    let Some(partner) = OpenidProvider::start().await else { return };
    let Some(scene) = Scene::beside(&[("partner", &partner)]).await else { return };
    let Scene { op, bridge, browser } = &scene;
    // The answer of one at the address of the other.
    for (asked_at, name, other) in [(op, "corp", "partner"), (&partner, "partner", "corp")] {
        let callback = asked_at.sign_in(&ALICE, &scene.start(name).await).await;
        let moved = callback.replace(&format!("/oidc/{name}/"), &format!("/oidc/{other}/"));
        assert_ne!(moved, callback);
        browser.open(&moved).await;
        browser.shows("Not from this page").await;
        assert!(!scene.is_signed_in().await);
    }
    // RFC 9207: whoever answers says who they are.
    for issuer in [json!(partner.issuer()), json!("https://elsewhere.example"), json!(format!("{}/", op.issuer())), json!(null)] {
        op.alter(Document::Callback, json!({"iss": issuer})).await;
        let callback = op.sign_in(&ALICE, &scene.start("corp").await).await;
        browser.open(&callback).await;
        browser.shows("Not signed in").await;
        assert!(!scene.is_signed_in().await, "{issuer}");
    }
    // What an issuer says goes into no page and no address.
    let words = json!({"error": "access_denied", "error_description": "<b>Call 555</b>", "code": null});
    op.alter(Document::Callback, words).await;
    browser.open(&op.sign_in(&ALICE, &scene.start("corp").await).await).await;
    browser.shows("Not signed in").await;
    assert!(!browser.visible_text().await.contains("555"));
    op.heal().await;
    browser.open(&op.sign_in(&ALICE, &scene.start("corp").await).await).await;
    browser.shows("Signed in as alice").await;
    assert!(scene.cookies().await.iter().all(|cookie| cookie["name"] != LOGIN));
    let audit = std::fs::read_to_string(bridge.site().folder().join("audit.jsonl")).unwrap();
    assert_eq!(audit.matches("other_issuer").count(), 2, "{audit}");
}
