//! `narrows ldap test` and `check --online` at a domain controller.

use std::time::Duration;

use narrows::authn::ldap::{Directory, LdapSettings};
use narrows::authn::provider::Names;
use narrows::authn::rehearsal::{BindBudget, Outcome};
use narrows::authn::verdict::Circumstances;
use narrows::clock::Clock;
use narrows::source::SourceFile;
use tokio::time::Instant;

use crate::labs::bridge::{self, Site};
use crate::samba::{BASE, PASSWORD, SERVICE_DN, Samba};

const RULES: &str =
    "version: 1\nrealm: corp\nrules:\n  - {to: {group: registry-payments}, allow: contributor, repository: \"payments/**\"}\n";

/// The `ldap` section, indented for a configuration.
fn settings(lab: &Samba, indent: &str) -> String {
    let folder = lab.folder().display();
    [
        "preset: active_directory".to_owned(),
        format!("servers: [\"{}\"]", lab.tls_url()),
        format!("tls: {{ca: {{file: \"{folder}/ca.pem\"}}}}"),
        format!("service_account: {{dn: \"{SERVICE_DN}\", password: {{file: \"{folder}/service-password\"}}}}"),
        format!("user: {{bases: [\"OU=Staff,{BASE}\"], strip: [\"CORP\\\\\"]}}"),
        format!("groups: {{bases: [\"OU=Groups,{BASE}\"]}}"),
        "timeouts: {connect: 20s, tls: 20s, bind: 20s, search: 20s}".to_owned(),
    ]
    .map(|line| format!("{indent}{line}\n"))
    .concat()
}

#[tokio::test]
async fn a_login_at_a_domain_is_told_step_by_step() {
    let Some(lab) = Samba::shared().await else { return };
    let site = Site::new();
    site.write("rules.yaml", RULES);
    site.configure(&format!(
        "services: [{{name: registry.test, registry: distribution-2}}]\nrules: rules.yaml\nrequest_deadline: 12s\n\
         providers:\n  - name: staff\n    realm: corp\n    ldap:\n{}",
        settings(lab, "      ")
    ));
    let configuration = site.configuration();
    let tried = async |user: &str, password: &str| {
        let words = ["ldap", "test", user, "--config", &configuration, "--password-stdin"];
        bridge::narrows(&words, password.as_bytes()).await
    };
    tried("CORP\\alice", PASSWORD).await.ok().says(&[
        "name: good: `alice`; `user.strip` cuts off the rest",
        "(sAMAccountName=alice)",
        "certificate names: dc1.ad.example.org, ",
        "entry: good: sAMAccountName: alice",
        "objectGUID (id): ",
        "userAccountControl: 512",
        "bind: good: the password is right",
        "groups: good: token_groups finds 10: 10 direct or over groups",
        "left out, not below `groups.bases` or not taken by `groups.filter`: ",
        "rules of registry.test: they mention registry-payments",
        "payments/**  pull,push",
    ]);
    for (user, words) in [
        ("disabled", "the account is disabled (533)"),
        ("mustchange", "the password has to be changed first (773)"),
        ("expired", "the account has expired (701)"),
    ] {
        tried(user, PASSWORD).await.refused(&["bind: WRONG", words]);
    }
    let wrong = tried("bob", "nobody-writes-this").await.refused(&["wrong password (52e)", "refused by staff: wrong_password"]);
    assert!(wrong.code == Some(1) && !wrong.text().contains("nobody-writes-this"), "{}", wrong.text());
    // Bound first, and found afterwards.
    let written = std::fs::read_to_string(&configuration).unwrap();
    site.write("upn.yaml", &written.replace(", strip: [", ", bind: upn, upn_suffix: ad.example.org, strip: ["));
    let by_principal = site.folder().join("upn.yaml");
    let tried = async |user: &str, password: &str| {
        let words = ["ldap", "test", user, "--config", by_principal.to_str().unwrap(), "--password-stdin"];
        bridge::narrows(&words, password.as_bytes()).await
    };
    let said = tried("alice", PASSWORD).await.ok().says(&["bind: good", "(userPrincipalName=alice@ad.example.org)", "entry: good"]);
    assert!(said.stdout.find("  bind:") < said.stdout.find("  filter:"), "{}", said.stdout);
    tried("nobody", "x").await.refused(&["bind: WRONG", "search: WRONG: nobody", "refused by staff: wrong_password"]);
    tried("alice@other.example", "x").await.refused(&["name: WRONG", "no provider that is asked knows the name"]);

    let online = bridge::narrows(&["check", "--online", "--config", &configuration], b"").await.ok();
    online.says(&["groups by token_groups: good: ", &format!("lock-out: good: {BASE} locks after 5 wrong passwords within 30m")]);
}

#[tokio::test]
async fn a_budget_that_a_domain_locks_before_its_end_is_wrong() {
    let Some(lab) = Samba::shared().await else { return };
    let file = SourceFile::new(lab.folder().join("narrows.yaml"), settings(lab, ""));
    let written: LdapSettings = file.parse().unwrap_or_else(|finding| panic!("{finding}"));
    let names = Names { provider: "staff".into(), realm: "corp".into(), ignore_case: true };
    let staff = Directory::build(names, &written, &file, &Clock::system()).unwrap_or_else(|findings| panic!("{findings}"));
    for (failures, minutes, expected, advice) in [
        (4, 30, Outcome::Good, ""),
        (5, 30, Outcome::Wrong, "set `throttle.failures` to at most 4"),
        (3, 10, Outcome::Wrong, "set `throttle.window` to at least 30m"),
    ] {
        let budget = BindBudget { failures, window: Duration::from_mins(minutes) };
        let circumstances = Circumstances { source: None, deadline: Instant::now() + Duration::from_secs(30) };
        let steps = staff.probe(budget, &circumstances).await;
        let last = steps.last().unwrap();
        assert!(last.name == "lock-out" && last.outcome == expected, "{steps:#?}");
        assert!(last.advice.clone().unwrap_or_default().starts_with(advice), "{last:?}");
    }
}
