//! Starts with bad rule files, and reloads that somebody asks for.

use std::fs;

use super::ruled::{self, OTHER, Ruled, SERVICE, TAKEN, rules};
use crate::labs::wait;

const PUSH: &str = "repository:apps/x:push";
const RULES: &str = "rules: rules.yaml\nreload: {every: 100ms}";

/// A site on which both services let alice push to `apps`, and which was served once.
async fn served_once() -> Ruled {
    let site = ruled::site(RULES).await;
    site.write("rules.yaml", &rules("group: dev", "apps/**"));
    site.write("other.yaml", &rules("group: dev", "apps/**"));
    let lab = Ruled::serve(site).await;
    lab.gets(PUSH, PUSH).await;
    lab
}

#[tokio::test]
async fn a_start_with_bad_files_uses_the_last_good_ones_of_every_service() {
    let mut site = served_once().await.bridge.end();
    let rules_path = site.folder().join("rules.yaml");
    let good = fs::read_to_string(&rules_path).unwrap();
    for (what, error) in [("missing", "No such file"), ("half written", "rules.yaml:1:"), ("empty", "is a mapping, not nothing")] {
        match what {
            "missing" => fs::remove_file(&rules_path).unwrap(),
            "empty" => site.write("rules.yaml", ""),
            _ => site.write("rules.yaml", good.split_at(good.len() / 2).0),
        }
        // The other service's file is good, but another one: all of them wait for the bad one.
        site.write("other.yaml", &rules("group: nobody", "apps/**"));
        let lab = Ruled::serve(site).await;
        let status = lab.reload_status().await;
        assert_eq!(status["last_good"], true, "{what}: {status}");
        assert!(status["error"].as_str().unwrap().contains(error), "{what}: {status}");
        assert_eq!(lab.ask(&[PUSH]).await, PUSH, "{what}");
        assert_eq!(lab.ask_as("correct horse", OTHER, &[PUSH]).await.unwrap(), PUSH, "{what}");
        assert_eq!(lab.metric("narrows_reload_waits{reason=\"refused\"}").await, 1);
        lab.site().command(&["status"]).await.refused(&["with the rules of the last good load", "reload refused"]);
        site = lab.bridge.end();
    }
    let lab = Ruled::serve(site).await;
    lab.site().write("rules.yaml", &rules("group: dev", "team/**"));
    lab.gets(PUSH, "").await;
    let status = lab.says(|reload| reload["error"].is_null()).await;
    assert_eq!(status["last_good"], false, "{status}");
    assert_eq!(lab.ask_as("correct horse", OTHER, &[PUSH]).await.unwrap(), "");
}

#[tokio::test]
async fn each_service_is_decided_by_its_own_rules_and_a_bad_file_of_one_stops_both() {
    let lab = served_once().await;
    let (here, there) = ("repository:here/x:push", "repository:there/x:push");
    let granted = async |service: &str| lab.ask_as("correct horse", service, &[here, there]).await.unwrap();
    lab.site().write("rules.yaml", &rules("group: dev", "here/**"));
    lab.site().write("other.yaml", &rules("group: dev", "there/**"));
    lab.gets(here, here).await;
    assert_eq!((granted(SERVICE).await.as_str(), granted(OTHER).await.as_str()), (here, there));
    lab.site().write("rules.yaml", &rules("group: dev", "{here,there}/**"));
    lab.site().write("other.yaml", "nothing");
    let status = lab.says(|reload| reload["error"].as_str().is_some_and(|error| error.contains("more)"))).await;
    assert!(status["error"].as_str().unwrap().contains("rules.yaml:1:"), "{status}");
    assert_eq!((granted(SERVICE).await.as_str(), granted(OTHER).await.as_str()), (here, there));
    let scope = ["explain", "--user", "alice", "--group", "dev", "--scope", there];
    lab.site().write("rules.yaml", &rules("group: dev", "here/**"));
    lab.site().write("other.yaml", &rules("group: dev", "there/**"));
    lab.site().command(&[&scope[..], &["--service", OTHER]].concat()).await.ok();
    lab.site().command(&scope).await.refused(&["no rule allows it"]);
}

#[tokio::test]
async fn a_first_start_with_a_bad_file_is_refused() {
    let site = ruled::site(RULES).await;
    site.write("rules.yaml", "version: 1\nrules: [{to: nobody}]\n");
    let bridge = site.launch();
    assert_eq!(bridge.ended().await, 2, "{}", bridge.log());
    assert!(bridge.log().contains("rules.yaml:2:"), "{}", bridge.log());
}

#[tokio::test]
async fn a_service_without_rules_so_far_has_no_last_good_ones() {
    let site = served_once().await.bridge.end();
    site.configure(
        "services: [{name: registry.test}, {name: third.test}]\nsigning: {create: true}\nrules: rules.yaml\n\
         providers: [{name: people, file: {path: users.yaml}}]\naudit: {file: audit.jsonl}\n",
    );
    site.write("rules.yaml", "nothing");
    let bridge = site.launch();
    assert_eq!(bridge.ended().await, 2, "{}", bridge.log());
    assert!(bridge.log().contains("no rules of service `third.test` were ever loaded"), "{}", bridge.log());
}

#[tokio::test]
async fn a_reload_that_is_asked_for_says_what_came_of_it() {
    let site = ruled::site("rules: rules.yaml\nreload: {every: 1h}").await;
    site.write("rules.yaml", &rules("group: dev", "apps/**"));
    let lab = Ruled::serve(site).await;
    let same = lab.reload(&[]).await.ok();
    assert_eq!(same.stdout, "nothing changed: generation 1 goes on\n");

    lab.site().write("rules.yaml", &rules("group: dev", "team/**"));
    lab.reload(&[]).await.ok().says(&["generation 2 runs, with new rules: "]);
    assert_eq!(lab.ask(&[PUSH]).await, "");

    lab.site().write("rules.yaml", "version: 1\nrules: [{to: nobody}]\n");
    let refused = lab.reload(&[]).await.refused(&["refused: generation 2 goes on", "error: ", "rules.yaml:2:"]);
    assert_eq!(refused.code, Some(2));
    assert_eq!(lab.ask(&["repository:team/x:push"]).await, "repository:team/x:push");
    let again = lab.reload(&["--json"]).await;
    let report: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((again.code, report["outcome"].as_str(), report["generation"].as_u64()), (Some(2), Some("refused"), Some(2)));

    // A changed password alone: the rules are the same.
    lab.site().write("rules.yaml", &rules("group: dev", "team/**"));
    ruled::users(lab.site(), "battery staple");
    lab.reload(&[]).await.ok().says(&["generation 3 runs, with the same rules"]);
    assert_eq!(lab.ask_as("correct horse", SERVICE, &[PUSH]).await, Err(401));
    assert!(lab.ask_as("battery staple", SERVICE, &[PUSH]).await.is_ok());
    for (outcome, count) in [("loaded", 2), ("refused", 2), ("unchanged", 1), ("held", 0)] {
        assert_eq!(lab.metric(&format!("narrows_reloads_total{{outcome=\"{outcome}\"}}")).await, count, "{outcome}");
    }

    let site = lab.bridge.end();
    let nobody = site.command(&["reload"]).await.refused(&["nothing answers at"]);
    assert_eq!(nobody.code, Some(3));
}

#[tokio::test]
async fn a_configuration_that_needs_a_restart_says_so_and_keeps_the_rules_of_its_services() {
    let lab = served_once().await;
    lab.site().configure(
        "services: [{name: registry.test}, {name: third.test}]\nrules: rules.yaml\nproviders: [{name: people, file: {path: users.yaml}}]\n\
         audit: {file: audit.jsonl}\nreload: {every: 100ms}\n",
    );
    lab.reload(&[]).await.ok().says(&["`services` changed and needs a restart"]);
    assert_eq!(lab.ask_as("correct horse", OTHER, &[PUSH]).await.unwrap(), PUSH);
    assert_eq!(lab.ask_as("correct horse", "third.test", &[PUSH]).await, Err(400));
}

#[tokio::test]
async fn a_refused_hang_up_is_over_when_the_files_are_as_they_were() {
    let lab = served_once().await;
    let good = fs::read_to_string(lab.site().folder().join("rules.yaml")).unwrap();
    lab.site().write("rules.yaml", "nothing");
    lab.bridge.signal("HUP");
    lab.says(|reload| !reload["error"].is_null()).await;
    lab.site().write("rules.yaml", &good);
    lab.says(|reload| reload["error"].is_null()).await;
    // What was refused with bad rules is not forgotten when they alone are mended.
    lab.site().write("rules.yaml", "nothing");
    ruled::users(lab.site(), "battery staple");
    lab.reload(&[]).await.refused(&["refused: "]);
    assert!(lab.ask_as("correct horse", SERVICE, &[PUSH]).await.is_ok());
    lab.site().write("rules.yaml", &good);
    lab.says(|reload| reload["error"].is_null()).await;
    assert_eq!(lab.ask_as("correct horse", SERVICE, &[PUSH]).await, Err(401));
    wait::until(TAKEN, async || {
        let waits = lab.metric("narrows_reload_waits{reason=\"refused\"}").await;
        if waits == 0 { Ok(()) } else { Err(format!("{waits}")) }
    })
    .await;
}
