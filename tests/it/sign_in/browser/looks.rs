//! Every page as people see and hear it: in light and dark, on a phone, enlarged, and read out.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{SERVICE, Scene};
use crate::labs::chromium::Chromium;
use crate::labs::oidc::ALICE;

const LOOKS: &str = include_str!("looks.js");
/// What has to have a name.
const NAMED: [&str; 10] =
    ["button", "link", "textbox", "DisclosureTriangle", "table", "region", "article", "heading", "columnheader", "rowheader"];

#[tokio::test]
async fn every_page_is_read_by_everybody() {
    let Some(scene) = Scene::open().await else { return };
    let Scene { op, bridge, browser } = &scene;
    browser.open(&bridge.url(&format!("/login?service={SERVICE}"))).await;
    look(browser, "chooser").await;
    browser.open(&bridge.url("/oidc/corp/callback?state=x&code=x")).await;
    browser.shows("Sign in again").await;
    look(browser, "error").await;
    let long = (0..60).map(|number| format!("{number} {}", "a-very-long-name-of-a-group".repeat(number % 8)));
    let groups: Vec<String> = ["dev".to_owned(), "ops".to_owned()].into_iter().chain(long).collect();
    let name = "alexandria.konstantinopoulou-vandenberghe@subsidiary.corp.example";
    op.set_claims(&ALICE, json!({"preferred_username": name, "groups": groups})).await;
    scene.sign_in(&ALICE).await;
    browser.click("summary").await;
    browser.click("[aria-labelledby=groups] summary").await;
    look(browser, "signed-in").await;
    browser.click(&format!("button[value='{SERVICE}']")).await;
    browser.shows("Your login code").await;
    look(browser, "code").await;
    let code = browser.text("pre.code").await;
    assert_eq!(scene.log_in(name, &code).await.status(), 200);
    browser.command("Page.reload", json!({})).await;
    browser.shows("One code for one sign-in").await;
    look(browser, "code-given").await;
    assert!(scene.is_signed_in().await);
    look(browser, "saved-login").await;
}

/// Looks at the page that is open from all sides.
async fn look(browser: &Chromium, page: &str) {
    hear(browser, page).await;
    for theme in ["light", "dark"] {
        browser.prefer(&[("prefers-color-scheme", theme)]).await;
        for (width, height, mobile) in [(1280, 900, false), (390, 844, true), (320, 568, true)] {
            browser.resize(width, height, mobile).await;
            check(browser, &format!("{page}, {theme}, {width}"), mobile).await;
            if width > 320 {
                keep(&format!("{page}-{theme}-{width}"), &browser.picture().await);
            }
        }
    }
    browser.prefer(&[("prefers-color-scheme", "light"), ("prefers-contrast", "more"), ("prefers-reduced-motion", "reduce")]).await;
    check(browser, &format!("{page}, more contrast"), true).await;
    browser.prefer(&[]).await;
    // The browser's own zoom leaves half of the window's pixels, larger letters leave them all.
    for width in [640, 660, 840] {
        browser.resize(width, 450, false).await;
        check(browser, &format!("{page}, {width}"), false).await;
    }
    browser.resize(1280, 900, false).await;
    for size in [20, 32] {
        browser.enlarge_letters(size).await;
        assert_eq!(browser.style("html", "font-size").await, format!("{size}px"));
        check(browser, &format!("{page}, letters of {size}"), true).await;
    }
    browser.enlarge_letters(16).await;
    browser.command("Emulation.clearDeviceMetricsOverride", json!({})).await;
}

async fn check(browser: &Chromium, what: &str, phone: bool) {
    let found = browser.run(&LOOKS.replace("arguments_phone", &phone.to_string())).await;
    assert_eq!(found, json!([]), "{what}: {found:#}");
}

/// What a screen reader is told: everything has a name, and no two buttons have the same one.
async fn hear(browser: &Chromium, page: &str) {
    let tree = browser.command("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] == json!(false));
    let heard: Vec<(&str, &str)> = nodes.map(|node| (value(&node["role"]), value(&node["name"]).trim())).collect();
    for (role, name) in &heard {
        assert!(!NAMED.contains(role) || !name.is_empty(), "{page}: a {role} without a name among {heard:?}");
    }
    for landmark in ["banner", "main"] {
        assert_eq!(heard.iter().filter(|(role, _)| *role == landmark).count(), 1, "{page}: {landmark}: {heard:?}");
    }
    let mut buttons: Vec<&str> = heard.iter().filter(|(role, _)| *role == "button").map(|(_, name)| *name).collect();
    let all = buttons.len();
    buttons.sort_unstable();
    buttons.dedup();
    assert_eq!(buttons.len(), all, "{page}: two buttons have one name: {heard:?}");
}

fn value(of: &Value) -> &str {
    of["value"].as_str().unwrap_or_default()
}

/// For those who want to see it.
fn keep(name: &str, picture: &[u8]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sign-in-page");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.png")), picture).unwrap();
}
