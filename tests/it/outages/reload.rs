//! Rules are replaced while hundreds of requests are answered: none fails, and each sees one generation.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use super::lab::{ALICE, Lab, Plan, RULES, SERVICE};
use crate::labs::wait;

const IN_FLIGHT: usize = 200;
const REPLACEMENTS: usize = 20;
/// What a reload may take on a busy machine.
const TAKEN: Duration = Duration::from_secs(20);

const LEFT: &str = "repository:left/x:push";
const RIGHT: &str = "repository:right/x:push";

/// What was answered under load, by what the token opened.
#[derive(Default)]
struct Seen {
    both: AtomicUsize,
    none: AtomicUsize,
    stop: AtomicBool,
}

fn both() -> String {
    format!(
        "{RULES}  - {{name: left, to: {{group: developers}}, allow: contributor, repository: \"left/**\"}}
  - {{name: right, to: {{group: developers}}, allow: contributor, repository: \"right/**\"}}\n"
    )
}

#[tokio::test]
async fn rules_are_replaced_under_load_without_a_failed_or_a_mixed_answer() {
    let Some(lab) = Lab::start(Plan::default()).await else { return };
    let (lab, seen) = (Arc::new(lab), Arc::new(Seen::default()));
    let mut load = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (lab, seen) = (Arc::clone(&lab), Arc::clone(&seen));
        load.spawn(async move {
            while !seen.stop.load(Ordering::Relaxed) {
                let counter = if opens_both(&lab).await { &seen.both } else { &seen.none };
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for step in 0..REPLACEMENTS {
        replace(&lab, step).await;
        assert!(load.try_join_next().is_none(), "a request failed at step {step}");
    }
    seen.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        ended.expect("no request fails");
    }
    let (both, none) = (seen.both.load(Ordering::Relaxed), seen.none.load(Ordering::Relaxed));
    eprintln!("measured: {REPLACEMENTS} replacements, {} answers: {both} with both repositories, {none} with none", both + none);
    assert!(both > IN_FLIGHT && none > IN_FLIGHT, "the load should see each generation: {both} and {none}");
    let log = lab.bridge.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// Good, truncated, good, misspelt: a bad one leaves the good one before it.
async fn replace(lab: &Lab, step: usize) {
    let site = lab.bridge.site();
    match step % 4 {
        0 => site.write("rules.yaml", &both()),
        2 => site.write("rules.yaml", RULES),
        // In place and in the middle of a text, as a full disk or an editor leaves a file.
        1 => fs::write(site.folder().join("rules.yaml"), both().split_once("right/").unwrap().0).unwrap(),
        _ => fs::write(site.folder().join("rules.yaml"), both().replace("allow: contributor", "alow: contributor")).unwrap(),
    }
    if step.is_multiple_of(5) {
        // Everything is read again, providers as well, and what was verified is forgotten.
        lab.bridge.signal("HUP");
    }
    let (good, expected) = (step.is_multiple_of(2), matches!(step % 4, 0 | 1));
    wait::until(TAKEN, async || {
        let status: Value = serde_json::from_str(&lab.admin("/status").await).unwrap();
        let refused = !status["reload"]["error"].is_null();
        if refused == good {
            return Err(format!("step {step} was not taken: {status}"));
        }
        if opens_both(lab).await == expected { Ok(()) } else { Err(format!("step {step} is not in force: {status}")) }
    })
    .await;
}

/// Whether both repositories are open; fails where one alone is.
async fn opens_both(lab: &Lab) -> bool {
    let answer = lab.get(Some(ALICE), &[("service", SERVICE), ("scope", LEFT), ("scope", RIGHT)]).await.ok();
    match answer.opens().as_slice() {
        [] => false,
        [left, right] if left == "left/x" && right == "right/x" => true,
        other => panic!("an answer of two generations opens {other:?}"),
    }
}
