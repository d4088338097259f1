//! `narrows check --online`: each step at the directory, what it locks, and the users that rules name and nobody has.

use super::lab::{Lab, Plan, RULES};
use crate::labs::bridge;

/// The directory's policy, which locks after 3 wrong passwords as it is seeded: as many as the service lets through.
const LATER: &str = "dn: cn=default,ou=policies,dc=example,dc=org\nchangetype: modify\nreplace: pwdMaxFailure\npwdMaxFailure: 5\n-\n\
                     replace: pwdFailureCountInterval\npwdFailureCountInterval: 1800\n";

#[tokio::test]
async fn an_online_check_tells_each_step_and_an_outage() {
    let Some(mut lab) = Lab::start(Plan::default()).await else { return };
    let rules = format!("{RULES}  - {{to: [{{user: alice}}, {{user: alicia}}], allow: viewer, repository: \"more/**\"}}\n");
    lab.bridge.site().write("rules.yaml", &rules);
    let configuration = lab.bridge.site().configuration();
    let check = async || bridge::narrows(&["check", "--online", "--config", &configuration], b"").await;

    let early = check().await;
    assert_eq!(early.code, Some(2), "{}", early.text());
    early.says(&["lock-out: WRONG", "locks after 3 wrong passwords", "`throttle.failures` to at most 2", "1 error"]);
    lab.slapd.modify(&LATER.replace("1800", "7200"));
    let slow = check().await;
    assert_eq!(slow.code, Some(2), "{}", slow.text());
    slow.says(&["lock-out: WRONG", "`throttle.window` to at least 2h"]);

    lab.slapd.modify(LATER);
    let good = check().await;
    assert_eq!(good.code, Some(0), "{}", good.text());
    good.says(&[
        "staff: resolve: good: 127.0.0.1, ",
        "staff: connect: good: ldaps://127.0.0.1:",
        "with TLS, TLS 1.3, ",
        "certificate names: localhost, 127.0.0.1",
        "certificate issuer: CN=narrows test CA",
        "staff: service account: good: cn=narrows,ou=services,dc=example,dc=org, ",
        "base ou=people,dc=example,dc=org: good: exists, ",
        "groups by memberof: good: ",
        "lock-out: good: cn=default,ou=policies,dc=example,dc=org locks after 5 wrong passwords within 30m; narrows lets through 3 within 30m",
        "alicia",
    ]);
    lab.slapd.kill();
    let down = check().await;
    assert_eq!(down.code, Some(3), "{}", down.text());
    down.says(&["refused", "hint: is the directory up"]);
}

#[tokio::test]
async fn a_base_that_is_not_there_is_said_once() {
    let Some(lab) = Lab::start(Plan::default()).await else { return };
    lab.slapd.modify(LATER);
    let site = lab.bridge.site();
    let written = std::fs::read_to_string(site.configuration()).unwrap();
    site.write("elsewhere.yaml", &written.replace("ou=people", "ou=nowhere"));
    let path = site.folder().join("elsewhere.yaml");
    let said = bridge::narrows(&["check", "--online", "--config", path.to_str().unwrap()], b"").await;
    assert_eq!(said.code, Some(2), "{}", said.text());
    assert_eq!(said.stdout.matches("WRONG").count(), 1, "{}", said.text());
    said.says(&["base ou=nowhere,dc=example,dc=org: WRONG", "hint: correct the DN"]);
}
