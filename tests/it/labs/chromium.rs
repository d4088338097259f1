//! A headless Chromium with a fresh profile, steered by its own driver over the protocol that the W3C made for that.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use super::process::{self, Server};
use super::{ports, wait};
use crate::require;

const BROWSER: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";
/// The name under which the driver hands out an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A running browser with one window. Ends with its value or with the test process, whichever comes first.
#[derive(Debug)]
pub struct Chromium {
    client: Client,
    /// The address of its session at the driver.
    session: String,
    // Fields drop in this order: the driver ends before the browser that it steers.
    _driver: Server,
    _browser: Server,
}

/// A key that is pressed and let go.
#[derive(Clone, Copy, Debug)]
pub enum Key {
    Tab,
    /// Tab with Shift, which goes back.
    BackTab,
    Enter,
    Space,
    Escape,
}

/// What has the focus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Focused {
    /// `button`, in lower case.
    pub tag: String,
    pub id: String,
    pub name: String,
    /// What it shows.
    pub text: String,
}

impl Chromium {
    /// Starts one; `None` where it is not installed.
    pub async fn start() -> Option<Self> {
        let installed = [BROWSER, DRIVER].iter().all(|it| Path::new(it).exists());
        if !require::available("Chromium (packages chromium and chromium-driver)", installed) {
            return None;
        }
        // Started by us and not by its driver, which would leave it behind when it is ended itself.
        let folder = process::folder();
        let profile = folder.join("profile");
        let told_port = profile.join("DevToolsActivePort");
        let profile = format!("--user-data-dir={}", profile.display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-default-apps",
            "--disable-extensions",
            "--lang=en",
            "--window-size=1280,900",
            "--remote-debugging-port=0",
            &profile,
            "about:blank",
        ];
        let browser = Server::start("chromium", folder, Path::new(BROWSER), &arguments);
        let port = wait::until(Duration::from_mins(1), async || {
            assert_eq!(browser.status(), None, "chromium ended: {}", browser.stderr());
            let told = std::fs::read_to_string(&told_port).map_err(|error| error.to_string())?;
            told.lines().next().and_then(|port| port.parse::<u16>().ok()).ok_or(told)
        })
        .await;

        let driver_port = ports::free().port();
        let driver = Server::start("chromedriver", process::folder(), Path::new(DRIVER), &[&format!("--port={driver_port}")]);
        let root = format!("http://127.0.0.1:{driver_port}");
        let client = Client::builder().no_proxy().build().unwrap();
        driver.ready(async || client.get(format!("{root}/status")).send().await.map(drop).map_err(|error| error.to_string())).await;
        let wanted = json!({
            "capabilities": {
                "alwaysMatch": {
                    "goog:chromeOptions": {"debuggerAddress": format!("127.0.0.1:{port}")},
                    "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
                },
            },
        });
        let made = answer(client.post(format!("{root}/session")).json(&wanted)).await;
        let session = format!("{root}/session/{}", text(&made["sessionId"]));
        Some(Self { client, session, _driver: driver, _browser: browser })
    }

    // === Pages ===

    /// Opens an address and waits for its page.
    pub async fn open(&self, url: &str) {
        self.post("url", json!({"url": url})).await;
    }

    /// The address that it shows.
    pub async fn url(&self) -> String {
        text(&self.get("url").await)
    }

    /// Waits until it shows an address that starts so.
    pub async fn arrives(&self, at: &str) -> String {
        wait::until(Duration::from_secs(20), async || {
            let url = self.url().await;
            if url.starts_with(at) { Ok(url) } else { Err(format!("the browser is at {url}, not at {at}")) }
        })
        .await
    }

    /// The title of the page.
    pub async fn title(&self) -> String {
        text(&self.get("title").await)
    }

    /// The page as HTML, as it stands now.
    pub async fn source(&self) -> String {
        text(&self.get("source").await)
    }

    /// What a person reads on the page.
    pub async fn visible_text(&self) -> String {
        // In one step, because another page may be on its way.
        text(&self.run("return document.body?.innerText ?? '';").await).trim().to_owned()
    }

    /// Waits until the page shows this.
    pub async fn shows(&self, words: &str) {
        wait::until(Duration::from_secs(20), async || {
            let shown = self.visible_text().await;
            if shown.contains(words) { Ok(()) } else { Err(format!("`{words}` is not in: {shown}")) }
        })
        .await;
    }

    /// What a person reads in the first frame of the page.
    pub async fn in_frame(&self) -> String {
        self.post("frame", json!({"id": 0})).await;
        let shown = self.visible_text().await;
        self.post("frame", json!({"id": null})).await;
        shown
    }

    // === Elements, by CSS selector ===

    /// Clicks on the first one.
    pub async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.post(&format!("element/{element}/click"), json!({})).await;
    }

    /// Types into the first one.
    pub async fn enter(&self, selector: &str, typed: &str) {
        let element = self.element(selector).await;
        self.post(&format!("element/{element}/value"), json!({"text": typed})).await;
    }

    /// What the first one shows.
    pub async fn text(&self, selector: &str) -> String {
        let element = self.element(selector).await;
        text(&self.get(&format!("element/{element}/text")).await)
    }

    /// An attribute of the first one.
    pub async fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let element = self.element(selector).await;
        self.get(&format!("element/{element}/attribute/{name}")).await.as_str().map(ToOwned::to_owned)
    }

    /// A computed CSS property of the first one.
    pub async fn style(&self, selector: &str, property: &str) -> String {
        let element = self.element(selector).await;
        text(&self.get(&format!("element/{element}/css/{property}")).await)
    }

    /// The role and the name by which a screen reader announces the first one.
    pub async fn announced(&self, selector: &str) -> (String, String) {
        let element = self.element(selector).await;
        let role = text(&self.get(&format!("element/{element}/computedrole")).await);
        (role, text(&self.get(&format!("element/{element}/computedlabel")).await))
    }

    /// How many there are.
    pub async fn count(&self, selector: &str) -> usize {
        let found = self.post("elements", json!({"using": "css selector", "value": selector})).await;
        found.as_array().unwrap().len()
    }

    async fn element(&self, selector: &str) -> String {
        let found = self.post("element", json!({"using": "css selector", "value": selector})).await;
        text(&found[ELEMENT])
    }

    // === The keyboard ===

    /// Presses a key, whatever has the focus.
    pub async fn press(&self, key: Key) {
        let (key, shift) = match key {
            Key::Tab => ('\u{e004}', false),
            Key::BackTab => ('\u{e004}', true),
            Key::Enter => ('\u{e007}', false),
            Key::Space => (' ', false),
            Key::Escape => ('\u{e00c}', false),
        };
        let key = json!(key.to_string());
        let mut actions = vec![json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        if shift {
            actions.insert(0, json!({"type": "keyDown", "value": "\u{e008}"}));
            actions.push(json!({"type": "keyUp", "value": "\u{e008}"}));
        }
        self.act(actions).await;
    }

    /// Types, whatever has the focus.
    pub async fn type_text(&self, typed: &str) {
        let actions = typed.chars().flat_map(|letter| {
            let letter = json!(letter.to_string());
            [json!({"type": "keyDown", "value": letter}), json!({"type": "keyUp", "value": letter})]
        });
        self.act(actions.collect()).await;
    }

    async fn act(&self, actions: Vec<Value>) {
        self.post("actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})).await;
    }

    /// What has the focus.
    pub async fn focused(&self) -> Focused {
        let script = "const it = document.activeElement;
            return {tag: it.tagName.toLowerCase(), id: it.id, name: it.getAttribute('name') ?? '', text: it.innerText ?? ''};";
        let found = self.run(script).await;
        let of = |name: &str| text(&found[name]).trim().to_owned();
        Focused { tag: of("tag"), id: of("id"), name: of("name"), text: of("text") }
    }

    // === What it looks like ===

    /// Likes it dark, as the system's setting says it.
    pub async fn prefer_dark(&self) {
        self.prefer(&[("prefers-color-scheme", "dark")]).await;
    }

    /// Sets what style sheets ask for by `@media`; takes back what was set before.
    pub async fn prefer(&self, features: &[(&str, &str)]) {
        let features: Vec<Value> = features.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        self.command("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// Takes the size of a small phone.
    pub async fn shrink_to_phone(&self) {
        self.resize(320, 568, true).await;
    }

    /// Takes any other size, in the pixels of style sheets.
    pub async fn resize(&self, width: u32, height: u32, mobile: bool) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 2, "mobile": mobile});
        self.command("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Whether the page is wider than its window, so that one must scroll sideways.
    pub async fn scrolls_sideways(&self) -> bool {
        self.run("return document.documentElement.scrollWidth > document.documentElement.clientWidth;").await == json!(true)
    }

    /// Lets no page run scripts of its own.
    pub async fn disable_scripts(&self) {
        self.command("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    }

    /// Takes another size of letters where a style sheet asks for none, as people set it in their browser; 16 is usual.
    pub async fn enlarge_letters(&self, standard: u32) {
        self.command("Page.setFontSizes", json!({"fontSizes": {"standard": standard, "fixed": standard}})).await;
    }

    /// A picture of the window, as PNG.
    pub async fn screenshot(&self) -> Vec<u8> {
        let picture = text(&self.get("screenshot").await);
        data_encoding::BASE64.decode(picture.as_bytes()).unwrap()
    }

    /// A picture of the whole page, as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let picture = self.command("Page.captureScreenshot", json!({"captureBeyondViewport": true})).await;
        data_encoding::BASE64.decode(text(&picture["data"]).as_bytes()).unwrap()
    }

    // === What goes on ===

    /// Runs JavaScript in the page; `return` tells.
    pub async fn run(&self, script: &str) -> Value {
        self.post("execute/sync", json!({"script": script, "args": []})).await
    }

    /// Waits until JavaScript in the page answers `true`.
    pub async fn comes_true(&self, script: &str) {
        wait::until(Duration::from_secs(20), async || {
            let answer = self.run(script).await;
            if answer == json!(true) { Ok(()) } else { Err(format!("`{script}` is {answer}")) }
        })
        .await;
    }

    /// A command of the protocol of the developer tools.
    pub async fn command(&self, name: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", json!({"cmd": name, "params": parameters})).await
    }

    /// The cookies that the page's address gets, with their attributes.
    pub async fn cookies(&self) -> Vec<Value> {
        self.get("cookie").await.as_array().unwrap().clone()
    }

    /// Forgets the cookies of the page's address.
    pub async fn forget_cookies(&self) {
        answer(self.client.delete(format!("{}/cookie", self.session))).await;
    }

    /// What the console says since the last call: errors, warnings, and what a content security policy stopped.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.log("browser").await;
        entries.iter().map(|entry| format!("{}: {}", text(&entry["level"]), text(&entry["message"]))).collect()
    }

    /// Fails if the console said anything since the last call.
    pub async fn console_is_quiet(&self) {
        let said = self.console().await;
        assert!(said.is_empty(), "the console says:\n{}", said.join("\n"));
    }

    /// Every address that was requested since the last call, also those that were blocked or failed.
    pub async fn requested(&self) -> Vec<String> {
        let entries = self.log("performance").await;
        let events = entries.iter().map(|entry| serde_json::from_str::<Value>(&text(&entry["message"])).unwrap());
        let sent = events.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        sent.map(|event| text(&event["message"]["params"]["request"]["url"])).collect()
    }

    async fn log(&self, name: &str) -> Vec<Value> {
        self.post("se/log", json!({"type": name})).await.as_array().unwrap().clone()
    }

    async fn get(&self, path: &str) -> Value {
        answer(self.client.get(format!("{}/{path}", self.session))).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        answer(self.client.post(format!("{}/{path}", self.session)).json(&body)).await
    }
}

/// The `value` of the driver's answer.
async fn answer(request: reqwest::RequestBuilder) -> Value {
    let response = request.timeout(Duration::from_mins(1)).send().await.unwrap();
    let (status, url) = (response.status(), response.url().clone());
    let body: Value = response.json().await.unwrap();
    let mut told = String::new();
    write!(told, "{url}: {status}: {}", body["value"]["message"]).unwrap();
    assert!(status.is_success(), "{told}");
    body["value"].clone()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text but {value}")).to_owned()
}

/// The lab does as the tests on it take for granted.
mod answers {
    use axum::Router;
    use axum::response::Html;
    use axum::routing::get;
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::{Chromium, Key};

    const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en"><head><title>A page</title><meta name="viewport" content="width=device-width">
<style>
body { background: rgb(255, 255, 255); }
@media (prefers-color-scheme: dark) { body { background: rgb(0, 0, 0); } }
</style></head>
<body>
<p id="said"></p>
<form action="/next"><label>Name <input id="name" name="name"></label> <button id="send">Send</button></form>
<a id="last" href="/next">On</a>
<img src="/picture.png" alt="">
<div id="wide" style="height: 1em"></div>
<script>document.getElementById("said").textContent = "a script ran"; document.cookie = "taste=good; SameSite=Strict";</script>
</body></html>"#;

    /// The page, and where it leads; ends with the test.
    async fn site() -> String {
        let next = get(async || Html("<!DOCTYPE html><html lang=en><title>Next</title><p>The next page"));
        let router = Router::new().route("/", get(async || Html(PAGE))).route("/next", next);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await });
        url
    }

    #[tokio::test]
    async fn a_page_is_read_and_used() {
        let (Some(browser), url) = (Chromium::start().await, site().await) else { return };
        browser.open(&url).await;
        assert_eq!(browser.title().await, "A page");
        browser.shows("a script ran").await;
        assert_eq!((browser.count("input").await, browser.text("#last").await), (1, "On".to_owned()));
        assert_eq!(browser.attribute("#last", "href").await.as_deref(), Some("/next"));
        assert_eq!(browser.attribute("#last", "title").await, None);
        assert_eq!(browser.announced("#name").await, ("textbox".to_owned(), "Name".to_owned()));
        assert!(browser.source().await.contains("a script ran"));
        let requested = browser.requested().await;
        assert!(requested.contains(&url) && requested.contains(&format!("{url}picture.png")), "{requested:?}");
        let said = browser.console().await;
        assert!(said.iter().any(|line| line.starts_with("SEVERE") && line.contains("picture.png")), "{said:?}");
        browser.console_is_quiet().await;
        let cookies = browser.cookies().await;
        assert_eq!((&cookies[0]["name"], &cookies[0]["sameSite"]), (&json!("taste"), &json!("Strict")));
        browser.forget_cookies().await;
        assert!(browser.cookies().await.is_empty());

        browser.enter("#name", "by hand").await;
        browser.click("#send").await;
        assert_eq!(browser.arrives(&format!("{url}next")).await, format!("{url}next?name=by+hand"));
        assert_eq!(browser.visible_text().await, "The next page");
    }

    #[tokio::test]
    async fn the_keyboard_is_enough() {
        let (Some(browser), url) = (Chromium::start().await, site().await) else { return };
        browser.open(&url).await;
        browser.press(Key::Tab).await;
        assert_eq!(browser.focused().await.name, "name");
        browser.type_text("J\u{fc}rgen").await;
        browser.press(Key::Tab).await;
        browser.press(Key::Tab).await;
        assert_eq!((browser.focused().await.tag, browser.focused().await.text), ("a".to_owned(), "On".to_owned()));
        browser.press(Key::BackTab).await;
        assert_eq!(browser.focused().await.id, "send");
        browser.press(Key::Escape).await;
        browser.press(Key::Space).await;
        assert_eq!(browser.arrives(&format!("{url}next")).await, format!("{url}next?name=J%C3%BCrgen"));
        browser.open(&url).await;
        browser.press(Key::Tab).await;
        browser.press(Key::Enter).await;
        browser.arrives(&format!("{url}next")).await;
    }

    #[tokio::test]
    async fn it_likes_the_dark_and_is_a_phone() {
        let (Some(browser), url) = (Chromium::start().await, site().await) else { return };
        browser.open(&url).await;
        assert_eq!(browser.style("body", "background-color").await, "rgba(255, 255, 255, 1)");
        browser.prefer_dark().await;
        assert_eq!(browser.style("body", "background-color").await, "rgba(0, 0, 0, 1)");
        let bright = browser.screenshot().await;
        assert!(bright.starts_with(b"\x89PNG"));

        browser.shrink_to_phone().await;
        assert_eq!(browser.run("return window.innerWidth;").await, json!(320));
        assert!(!browser.scrolls_sideways().await);
        browser.run("document.getElementById('wide').style.width = '700px';").await;
        assert!(browser.scrolls_sideways().await);

        browser.disable_scripts().await;
        browser.open(&url).await;
        assert_eq!(browser.text("#said").await, "");
    }
}
