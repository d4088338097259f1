//! `narrows explain --lookup`: the groups of a directory without a password, and a directory that is down.

use super::lab::{Lab, Plan};
use crate::labs::bridge;

#[tokio::test]
async fn a_look_up_takes_the_groups_from_the_directory_and_tells_an_outage() {
    let Some(mut lab) = Lab::start(Plan::default()).await else { return };
    let configuration = lab.bridge.site().configuration();
    let explain = async |user: &str| {
        let words = ["explain", "--config", &configuration, "--user", user, "--lookup", "staff", "--scope", "repository:payments/x:push"];
        bridge::narrows(&words, b"").await
    };
    let known = explain("ALICE").await;
    assert_eq!(known.code, Some(0), "{}", known.text());
    assert!(known.text().contains("by `developers push`") && known.text().contains("staff found alice: "), "{}", known.text());
    let unknown = explain("nobody-at-all").await;
    assert_eq!(unknown.code, Some(2), "{}", unknown.text());
    lab.slapd.kill();
    let down = explain("alice").await;
    assert_eq!(down.code, Some(3), "{}", down.text());
}
