//! Rules that fail their tests are not used: not at a reload, not at a start.

use super::ruled::{self, Ruled, rules};

const PUSH: &str = "repository:apps/x:push";
const RULES: &str = "rules: rules.yaml\npolicy_tests: [rules.test.yaml]\nreload: {every: 100ms}";

/// Alice may push here, and there is one case for the other service.
fn tests(repository: &str) -> String {
    format!(
        "rules: rules.yaml\ncases:\n  - {{name: alice pushes, who: {{user: alice, groups: [dev]}}, asks: 'repository:{repository}:push', gets: [push]}}\n  \
         - {{service: other.test, who: {{user: alice, groups: [dev]}}, asks: 'repository:{repository}:push', gets: nothing}}\n"
    )
}

async fn start() -> Ruled {
    let site = ruled::site(RULES).await;
    site.write("rules.yaml", &rules("group: dev", "apps/**"));
    site.write("rules.test.yaml", &tests("apps/x"));
    let lab = Ruled::serve(site).await;
    lab.gets(PUSH, PUSH).await;
    lab
}

#[tokio::test]
async fn a_failing_policy_test_refuses_the_load() {
    let lab = start().await;
    let failing = "a policy test fails: `alice pushes`: missing: push";
    lab.site().write("rules.yaml", &rules("group: dev", "team/**"));
    let status = lab.says(|reload| !reload["error"].is_null()).await;
    let error = status["error"].as_str().unwrap();
    assert!(error.contains("rules.test.yaml:3:") && error.contains(failing), "{status}");
    assert_eq!(lab.ask(&[PUSH]).await, PUSH);
    let refused = lab.reload(&[]).await.refused(&[failing, "refused: generation 1 goes on"]);
    assert_eq!(refused.code, Some(2));
    let checked = lab.site().command(&["check"]).await.refused(&[failing]);
    assert_eq!(checked.code, Some(2));
    // The rules and the test agree again: the test alone changed.
    lab.site().write("rules.test.yaml", &tests("team/x"));
    lab.gets("repository:team/x:push", "repository:team/x:push").await;
    lab.says(|reload| reload["error"].is_null()).await;
    // So do a test that cannot be read, and one of another service's rules.
    lab.site().write("rules.test.yaml", "cases: [");
    lab.says(|reload| reload["error"].as_str().is_some_and(|error| error.contains("rules.test.yaml:1:"))).await;
    lab.site().write("rules.test.yaml", &tests("team/x"));
    lab.says(|reload| reload["error"].is_null()).await;
    lab.site().write("other.yaml", &rules("group: dev", "team/**"));
    lab.says(|reload| reload["error"].as_str().is_some_and(|error| error.contains("too much: push"))).await;
}

#[tokio::test]
async fn a_failing_policy_test_refuses_the_first_start_and_a_later_one_uses_the_last_good_rules() {
    let site = ruled::site(RULES).await;
    site.write("rules.yaml", &rules("group: dev", "apps/**"));
    site.write("rules.test.yaml", &tests("team/x"));
    let first = site.launch();
    assert_eq!(first.ended().await, 2, "{}", first.log());
    assert!(first.log().contains("a policy test fails: `alice pushes`: missing: push"), "{}", first.log());

    let site = start().await.bridge.end();
    site.write("rules.yaml", &rules("group: dev", "team/**"));
    let lab = Ruled::serve(site).await;
    let status = lab.reload_status().await;
    assert_eq!((status["last_good"].as_bool(), lab.ask(&[PUSH]).await.as_str()), (Some(true), PUSH), "{status}");
}
