//! What issuers say about people is shown as text, whatever it is.

use serde_json::json;

use super::{SERVICE, Scene};
use crate::labs::oidc::{ALICE, Issuer};

/// Marks every page in which something of an issuer or a person runs.
const RAN: &str = "document.documentElement.dataset.ran = 'yes'";

#[tokio::test]
async fn names_that_are_markup_are_names() {
    let Some(scene) = Scene::open().await else { return };
    let Scene { op, browser, .. } = &scene;
    for name in [
        format!("<script>{RAN}</script>"),
        format!("\"><img src=x onerror=\"{RAN}\">"),
        format!("' autofocus onfocus='{RAN}"),
        format!("</title></style><svg onload=\"{RAN}\">"),
        "a &lt;b&gt; &amp; {{7*7}} ${7*7}".to_owned(),
        "\u{645}\u{62d}\u{645}\u{62f} J\u{fc}rgen \u{65e5}\u{672c}".to_owned(),
    ] {
        op.set_claims(&ALICE, json!({"preferred_username": name, "name": name, "groups": ["dev", name]})).await;
        browser.forget_cookies().await;
        scene.sign_in(&ALICE).await;
        check(&scene, "h1", &format!("Signed in as {name}")).await;
        let groups = browser.run("return [...document.querySelectorAll('.groups li')].map(group => group.textContent);").await;
        assert!(groups.as_array().is_some_and(|groups| groups.contains(&json!(name))), "{name}: {groups}");
        browser.click(&format!("button[value='{SERVICE}']")).await;
        browser.shows("Your login code").await;
        check(&scene, "p strong:last-of-type", &name).await;
    }
    browser.console_is_quiet().await;
    // What turns or hides text, or moves it, is no name at all.
    for name in ["a\u{202e}ecila", "alice\u{200b}", "ali\u{ad}ce", "\u{2066}alice", "alice\n", " alice"] {
        op.set_claims(&ALICE, json!({"preferred_username": name})).await;
        browser.forget_cookies().await;
        let callback = op.sign_in(&ALICE, &scene.start("corp").await).await;
        browser.open(&callback).await;
        check(&scene, "h1", "Not signed in").await;
        assert!(!browser.source().await.contains(name));
    }
}

/// The element's text is this to the letter, and nothing ran or was loaded.
async fn check(scene: &Scene, selector: &str, expected: &str) {
    let Scene { browser, bridge, op } = scene;
    let shown = browser.run(&format!("return document.querySelector('{selector}').textContent;")).await;
    assert_eq!(shown, json!(expected));
    let ran = browser.run("return document.documentElement.dataset.ran ?? '';").await;
    assert_eq!(ran, json!(""), "something ran");
    let active =
        "return document.querySelectorAll('script, img, iframe, object, link, base, [onerror], [onload], [onfocus], [autofocus]').length;";
    assert_eq!(browser.run(active).await, json!(0), "{}", browser.source().await);
    let own = [bridge.url("/"), format!("{}/", op.issuer())];
    for url in browser.requested().await {
        assert!(own.iter().any(|own| url.starts_with(own)), "{url}");
    }
}
