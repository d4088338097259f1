//! From the page to a login and out again, by the keyboard alone and without scripts.

use reqwest::StatusCode;
use serde_json::json;

use super::{LOGIN, SERVICE, SIGN_IN, Scene};
use crate::labs::chromium::{Chromium, Key};
use crate::labs::oidc::{ALICE, BOB, Issuer};

/// Goes on with Tab until something that says this has the focus; whatever has it on the way is to be seen.
async fn tab_to(browser: &Chromium, words: &str) {
    for _ in 0..30 {
        browser.press(Key::Tab).await;
        let ring = browser
            .run("const style = getComputedStyle(document.activeElement); return [style.outlineStyle, parseFloat(style.outlineWidth)];")
            .await;
        let focused = browser.focused().await;
        assert!(focused.tag == "body" || ring[0] == json!("solid") && ring[1].as_f64() >= Some(2.0), "{focused:?} has no ring: {ring}");
        if focused.text.starts_with(words) {
            return;
        }
    }
    panic!("the keyboard does not reach `{words}`: {}", browser.visible_text().await);
}

async fn press(browser: &Chromium, words: &str) {
    tab_to(browser, words).await;
    browser.press(Key::Enter).await;
}

#[tokio::test]
async fn the_keyboard_leads_from_the_page_to_a_login_and_out_again() {
    let Some(scene) = Scene::open().await else { return };
    let Scene { op, bridge, browser } = &scene;
    scene.enter().await;
    assert!(scene.cookies().await.is_empty(), "nobody asked for anything yet");
    press(browser, "Sign in with corp").await;
    browser.arrives(&op.issuer()).await;
    check_cookie(&scene, LOGIN).await;
    for typed in [ALICE.name, ALICE.password] {
        browser.press(Key::Tab).await;
        browser.type_text(typed).await;
    }
    browser.press(Key::Enter).await;
    browser.arrives(&scene.login()).await;
    browser.shows("Signed in as alice").await;
    check_cookie(&scene, SIGN_IN).await;
    assert_eq!(browser.url().await, scene.login(), "nothing of the callback stays in sight");
    let secret = scene.cookies().await.remove(0)["value"].as_str().unwrap().to_owned();

    // The other service comes first.
    tab_to(browser, "Get a login code").await;
    press(browser, "Get a login code").await;
    browser.shows("Your login code").await;
    let shown = browser.visible_text().await;
    assert!(shown.contains(SERVICE) && shown.contains("docker login --username alice"), "{shown}");
    let identity_token = scene.use_code(&ALICE).await;

    press(browser, "Back to your sign-in").await;
    browser.shows("from 127.0.0.1").await;
    press(browser, "Revoke").await;
    browser.shows("None. After a docker login").await;
    assert_eq!(scene.refresh(&identity_token).await.status(), StatusCode::UNAUTHORIZED);

    press(browser, "Sign out").await;
    browser.shows("Sign in with corp").await;
    assert!(scene.cookies().await.is_empty());
    let kept = crate::labs::oidc::plain_client().get(scene.login()).header("cookie", format!("{SIGN_IN}={secret}")).send().await.unwrap();
    assert!(!kept.text().await.unwrap().contains("alice"), "a cookie that somebody kept is worth nothing after that");

    browser.console_is_quiet().await;
    let own = [bridge.url("/"), format!("{}/", op.issuer())];
    for url in browser.requested().await {
        assert!(own.iter().any(|own| url.starts_with(own)), "{url}");
    }
    let log = bridge.log();
    for secret in [secret.as_str(), &identity_token, ALICE.password] {
        assert!(!log.contains(secret), "{log}");
    }
}

/// Of ours there is this cookie alone, as it should be.
async fn check_cookie(scene: &Scene, name: &str) {
    let cookies = scene.cookies().await;
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    for (member, value) in [
        ("name", json!(name)),
        ("path", json!("/")),
        ("domain", json!("127.0.0.1")),
        ("secure", json!(true)),
        ("httpOnly", json!(true)),
        ("sameSite", json!("Lax")),
    ] {
        assert_eq!(cookies[0][member], value, "{}", cookies[0]);
    }
    let left = cookies[0]["expiry"].as_i64().unwrap() - jiff::Timestamp::now().as_second();
    assert!((500..=601).contains(&left), "{left}");
    assert_eq!(scene.browser.run("return document.cookie;").await, json!(""), "no script reads it");
}

#[tokio::test]
async fn scripts_are_not_missed() {
    let Some(scene) = Scene::open().await else { return };
    let Scene { browser, .. } = &scene;
    browser.disable_scripts().await;
    scene.sign_in(&BOB).await;
    browser.click("summary").await;
    assert!(browser.visible_text().await.contains("dev/**"));
    browser.click(&format!("button[value='{SERVICE}']")).await;
    browser.shows("Your login code").await;
    let identity_token = scene.use_code(&BOB).await;

    // A page that is loaded again sends its form again: there is no second code, and a way on.
    browser.command("Page.reload", json!({})).await;
    browser.shows("One code for one sign-in").await;
    let said = browser.console().await;
    assert!(said.len() == 1 && said[0].contains("409"), "{said:?}");
    browser.click("button").await;
    browser.shows("Sign in with corp").await;
    assert!(browser.visible_text().await.contains(SERVICE), "what the person came for is kept");

    scene.sign_in_again().await;
    browser.click(".danger").await;
    browser.shows("None. After a docker login").await;
    assert_eq!(scene.refresh(&identity_token).await.status(), StatusCode::UNAUTHORIZED);
    browser.console_is_quiet().await;
}
