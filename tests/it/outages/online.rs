//! `narrows check --online`: each step at the directory, and the users that rules name and nobody has.

use super::lab::{Lab, Plan, RULES};
use crate::labs::bridge;

#[tokio::test]
async fn an_online_check_tells_each_step_and_an_outage() {
    let Some(mut lab) = Lab::start(Plan::default()).await else { return };
    let rules = format!("{RULES}  - {{to: [{{user: alice}}, {{user: alicia}}], allow: viewer, repository: \"more/**\"}}\n");
    lab.bridge.site().write("rules.yaml", &rules);
    let configuration = lab.bridge.site().configuration();
    let check = async || bridge::narrows(&["check", "--online", "--config", &configuration], b"").await;
    let good = check().await;
    assert_eq!(good.code, Some(0), "{}", good.text());
    let said = good.text();
    for words in ["connect", "with TLS", "service account", "ou=people,dc=example,dc=org", "alicia"] {
        assert!(said.contains(words), "nothing is said of {words}: {said}");
    }
    lab.slapd.kill();
    let down = check().await;
    assert_eq!(down.code, Some(3), "{}", down.text());
    assert!(down.text().contains("refused"), "{}", down.text());
}
