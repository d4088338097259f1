//! `reload: {widen: refuse}`: rules that may give somebody more wait for an operator, and nothing else waits with them.

use std::fs;

use serde_json::Value;

use super::ruled::{self, OTHER, Ruled, SERVICE};

const APPS: &str = "repository:apps/x:push";
const PROD: &str = "repository:prod/x:push";
const REFUSE: &str = "rules: rules.yaml\nreload: {every: 100ms, widen: refuse}";

/// Rules that let the group of alice push to each of these.
fn opening(repositories: &[&str]) -> String {
    let rules: Vec<String> = repositories
        .iter()
        .map(|repository| format!("  - {{name: {repository}, to: {{group: dev}}, allow: contributor, repository: \"{repository}/**\"}}\n"))
        .collect();
    format!("version: 1\nrules:\n{}", rules.concat())
}

async fn start(rest: &str) -> Ruled {
    let site = ruled::site(rest).await;
    site.write("rules.yaml", &opening(&["apps"]));
    let lab = Ruled::serve(site).await;
    lab.gets(APPS, APPS).await;
    lab
}

fn digest(reload: &Value) -> String {
    reload["held"]["digest"].as_str().unwrap_or_else(|| panic!("nothing is held: {reload}")).to_owned()
}

async fn held(lab: &Ruled) -> Value {
    lab.says(|reload| !reload["held"].is_null()).await
}

#[tokio::test]
async fn rules_that_widen_wait_until_they_are_accepted() {
    let lab = start(REFUSE).await;
    lab.site().write("rules.yaml", &opening(&["apps", "prod"]));
    let reload = held(&lab).await;
    let digest = digest(&reload);
    assert_eq!(reload["held"]["accept"].as_str().unwrap(), format!("narrows reload --accept-widening={digest}"));
    assert!(reload["error"].is_null(), "{reload}");
    assert_eq!((lab.ask(&[PROD]).await.as_str(), lab.ask(&[APPS]).await.as_str()), ("", APPS));
    assert_eq!(lab.metric("narrows_reload_waits{reason=\"held\"}").await, 1);
    assert_eq!(lab.metric("narrows_generation").await, 1);
    let status = lab.site().command(&["status"]).await.refused(&["new rules are held back since", &digest]);
    assert_eq!(status.code, Some(1));
    assert!(lab.bridge.log().contains(&digest), "{}", lab.bridge.log());

    let plain = lab
        .reload(&[])
        .await
        .refused(&["new rules are held back since", &format!("accept them: narrows reload --accept-widening={digest}")]);
    assert_eq!((plain.code, lab.metric("narrows_generation").await), (Some(1), 1));
    assert_eq!(lab.ask(&[PROD]).await, "");
    lab.reload(&["--accept-widening"]).await.ok().says(&["runs, with new rules: "]);
    assert_eq!(lab.ask(&[PROD]).await, PROD);
    let reload = lab.reload_status().await;
    assert!(reload["held"].is_null() && reload["error"].is_null(), "{reload}");
    assert_eq!(lab.metric("narrows_reload_waits{reason=\"held\"}").await, 0);
}

#[tokio::test]
async fn an_acceptance_is_for_the_rules_that_were_seen() {
    let lab = start(REFUSE).await;
    lab.site().write("rules.yaml", &opening(&["apps", "prod"]));
    let seen = digest(&held(&lab).await);
    lab.site().write("rules.yaml", &opening(&["apps", "prod", "secret"]));
    let accept = format!("--accept-widening={seen}");
    let late =
        lab.reload(&[&accept]).await.refused(&[&format!("the files say something else than the rules {seen}: nothing was accepted")]);
    assert_eq!(late.code, Some(1));
    assert_eq!((lab.ask(&[PROD]).await.as_str(), lab.ask(&["repository:secret/x:push"]).await.as_str()), ("", ""));
    let now = digest(&held(&lab).await);
    assert_ne!(now, seen);
    assert!(late.stdout.contains(&now), "{}", late.stdout);
    // Nobody saw anything: nothing is held, and what the files bring by then is not accepted unseen.
    lab.site().write("rules.yaml", &opening(&["apps"]));
    lab.says(|reload| reload["held"].is_null()).await;
    let quiet = start("rules: rules.yaml\nreload: {every: 1h, widen: refuse}").await;
    quiet.site().write("rules.yaml", &opening(&["apps", "prod"]));
    let unseen = quiet.reload(&["--accept-widening"]).await.refused(&["new rules are held back since"]);
    assert_eq!(unseen.code, Some(1));
    quiet.reload(&["--accept-widening"]).await.ok();
    assert_eq!(quiet.ask(&[PROD]).await, PROD);
}

#[tokio::test]
async fn what_narrows_does_not_wait() {
    let lab = start(REFUSE).await;
    lab.site().write("rules.yaml", "version: 1\nrules: []\n");
    lab.gets(APPS, "").await;
    lab.site().write("rules.yaml", &opening(&["apps"]));
    held(&lab).await;
    assert_eq!(lab.ask(&[APPS]).await, "");
    // The same file as the one that runs: nothing waits any more.
    lab.site().write("rules.yaml", "version: 1\nrules: []\n");
    lab.says(|reload| reload["held"].is_null()).await;
}

#[tokio::test]
async fn a_changed_password_does_not_wait_with_the_rules() {
    let lab = start(REFUSE).await;
    lab.site().write("rules.yaml", &opening(&["apps", "prod"]));
    let reload = held(&lab).await;
    ruled::users(lab.site(), "battery staple");
    crate::labs::wait::until(ruled::TAKEN, async || {
        lab.ask_as("battery staple", SERVICE, &[APPS]).await.map(drop).map_err(|status| format!("{status}; {}", lab.bridge.log()))
    })
    .await;
    assert_eq!(lab.ask_as("correct horse", SERVICE, &[APPS]).await, Err(401));
    assert_eq!(lab.ask_as("battery staple", SERVICE, &[PROD]).await.unwrap(), "");
    let after = lab.reload_status().await;
    assert_eq!((digest(&after), &after["held"]["since"]), (digest(&reload), &reload["held"]["since"]));
    // A changed configuration does not either, where the rules mean the same by it.
    ruled::configure(lab.site(), &format!("{REFUSE}\nrequest_deadline: 7s"));
    lab.bridge.signal("HUP");
    crate::labs::wait::until(ruled::TAKEN, async || {
        let generation = lab.metric("narrows_generation").await;
        if generation == 3 { Ok(()) } else { Err(format!("generation {generation}; {}", lab.bridge.log())) }
    })
    .await;
    assert_eq!(lab.says(|reload| !reload["held"].is_null()).await["held"]["configuration"], false);
    assert_eq!(lab.ask_as("battery staple", SERVICE, &[PROD]).await.unwrap(), "");
}

#[tokio::test]
async fn a_configuration_that_gives_the_rules_another_meaning_waits_with_them() {
    let lab = start(REFUSE).await;
    lab.site().write("rules.yaml", &opening(&["apps", "prod"]));
    held(&lab).await;
    lab.site().configure(&format!(
        "services: [{{name: {SERVICE}}}, {{name: {OTHER}, rules: other.yaml}}]\n\
         providers: [{{name: people, ignore_case: true, file: {{path: users.yaml}}}}]\naudit: {{file: audit.jsonl}}\n{REFUSE}\n"
    ));
    ruled::users(lab.site(), "battery staple");
    lab.bridge.signal("HUP");
    lab.says(|reload| reload["held"]["configuration"] == true).await;
    assert_eq!(lab.ask_as("correct horse", SERVICE, &[APPS]).await, Err(401));
    assert_eq!(lab.ask_as("battery staple", SERVICE, &[PROD]).await.unwrap(), "");
    lab.reload(&["--accept-widening"]).await.ok();
    assert_eq!(lab.ask_as("battery staple", SERVICE, &[PROD]).await.unwrap(), PROD);
    assert!(lab.reload_status().await["held"].is_null());
}

#[tokio::test]
async fn a_restart_accepts_and_bad_rules_replace_those_that_wait() {
    let lab = start(REFUSE).await;
    lab.site().write("rules.yaml", &opening(&["apps", "prod"]));
    held(&lab).await;
    lab.site().write("rules.yaml", "nothing");
    let bad = lab.says(|reload| !reload["error"].is_null()).await;
    assert!(bad["held"].is_null(), "{bad}");
    lab.site().write("rules.yaml", &opening(&["apps", "prod"]));
    held(&lab).await;
    let site = lab.bridge.end();
    let lab = Ruled::serve(site).await;
    assert_eq!(lab.ask(&[PROD]).await, PROD);
    assert!(lab.reload_status().await["held"].is_null());
}

#[tokio::test]
async fn without_refuse_the_log_says_what_widens_and_names_nobody() {
    let lab = start("rules: rules.yaml\nreload: {every: 100ms}").await;
    let person = "{name: one person, to: {user: alice}, allow: contributor, repository: \"prod/**\"}";
    lab.site().write("rules.yaml", &format!("{}  - {person}\n", opening(&["apps"])));
    lab.gets(PROD, PROD).await;
    let log = lab.bridge.log();
    let line = log.lines().find(|line| line.contains("rules reloaded: ")).unwrap_or_else(|| panic!("{log}"));
    let event: Value = serde_json::from_str(line).unwrap();
    assert_eq!((event["level"].as_str(), event["generation"].as_u64()), (Some("INFO"), Some(2)), "{line}");
    assert!(event["widened"].as_u64().unwrap() + event["unclear"].as_u64().unwrap() > 0, "{line}");
    assert!(line.contains("a user that the rules name: push prod/**") && !line.contains("alice"), "{line}");
    assert!(!fs::read_to_string(lab.site().folder().join("audit.jsonl")).unwrap().is_empty());
}
