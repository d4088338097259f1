//! `narrows ldap test`: every step of a login at OpenLDAP, and where it ends.

use serde_json::Value;

use super::lab::{Lab, Plan, SERVICE};
use crate::labs::bridge;
use crate::labs::process::Ran;

const ALICE_DN: &str = "uid=alice,ou=people,dc=example,dc=org";

/// Tries somebody, with a password where there is one.
async fn tried(configuration: &str, words: &[&str], password: Option<&str>) -> Ran {
    let mut all = vec!["ldap", "test", "--config", configuration];
    all.extend(words);
    all.extend(password.map(|_| "--password-stdin"));
    let ran = bridge::narrows(&all, password.unwrap_or_default().as_bytes()).await;
    if let Some(password) = password.filter(|password| password.contains("nobody-writes-this")) {
        assert!(!ran.text().contains(password), "a password is printed: {}", ran.text());
    }
    ran
}

/// Fails unless the command ended with this code and said all of the words.
#[track_caller]
fn check(ran: Ran, code: i32, words: &[&str]) -> Ran {
    assert_eq!(ran.code, Some(code), "{}", ran.text());
    ran.says(words)
}

#[tokio::test]
async fn somebody_good_is_followed_to_the_rules_and_bound_once() {
    let Some(lab) = Lab::start(Plan { ldap: &["groups: {bases: [\"ou=groups,dc=example,dc=org\"]}"], ..Plan::default() }).await else {
        return;
    };
    let configuration = lab.bridge.site().configuration();
    let said = check(
        tried(&configuration, &["ALICE"], None).await,
        0,
        &[
            "staff (ldap, realm corp): asked, as `names` has `*`",
            "robots (file, realm robots): not asked: none of its `names` fits",
            "name: good: `ALICE`",
            "filter: good: (&(objectClass=inetOrgPerson)(uid=ALICE))",
            "search: good: one entry, uid=alice,ou=people,dc=example,dc=org, ",
            "entry: good: uid: alice",
            "password marker: can be read",
            "bind: note: not tried",
            "groups: good: memberof finds 2: 2 direct, ",
            "developers: direct, cn=developers,ou=groups,dc=example,dc=org, below ou=groups,dc=example,dc=org",
            "left out, not below `groups.bases`: cn=admins,ou=elsewhere,dc=example,dc=org",
            "rules of registry.test: they mention developers",
            "rules of other.test: ",
            "payments/**",
            "`ALICE` would be let in as alice of staff, if the password is right: it was not tried",
        ],
    );
    let steps =
        ["resolve:", "connect:", "tls:", "service account:", "base ", "filter:", "search:", "entry:", "account:", "bind:", "groups:"];
    let places: Vec<usize> =
        steps.iter().map(|step| said.stdout.find(&format!("\n  {step}")).unwrap_or_else(|| panic!("{step}: {}", said.stdout))).collect();
    assert!(places.is_sorted(), "{}", said.stdout);
    assert_eq!(lab.slapd.binds(ALICE_DN), 0);

    check(
        tried(&configuration, &["alice"], Some("secret\n")).await,
        0,
        &["bind: good: the password is right", "would be let in as alice of staff\n"],
    );
    assert_eq!(lab.slapd.binds(ALICE_DN), 1);
    let wrong = tried(&configuration, &["alice"], Some("nobody-writes-this")).await;
    check(wrong, 1, &["bind: WRONG: wrong_password: result code 49", "each try counts there", "refused by staff: wrong_password"]);
    assert_eq!(lab.slapd.binds(ALICE_DN), 2);

    let object = check(tried(&configuration, &["alice", "--json", "--service", SERVICE], None).await, 0, &[]);
    let object: Value = serde_json::from_str(&object.stdout).unwrap();
    assert_eq!(
        (&object["outcome"], &object["password_tried"], &object["identity"]["username"]),
        (&"let_in".into(), &false.into(), &"alice".into())
    );
    assert_eq!(object["identity"]["groups"][1]["name"], "developers");
    assert_eq!(object["services"].as_array().unwrap().len(), 1);
    assert_eq!(object["services"][0]["mentioned"][0], "developers");
    let steps = object["providers"][1]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["step"] == "connect" && step["milliseconds"].is_u64()), "{steps:#?}");
}

#[tokio::test]
async fn whoever_is_refused_is_told_why_and_what_to_do() {
    let Some(lab) = Lab::start(Plan::default()).await else { return };
    lab.slapd.modify(
        "dn: cn=second,ou=people,dc=example,dc=org\nchangetype: add\nobjectClass: inetOrgPerson\ncn: second\nsn: second\nuid: twin\n",
    );
    let configuration = lab.bridge.site().configuration();
    let try_one = async |user: &str, password: Option<&str>| tried(&configuration, &[user], password).await;
    check(
        try_one("nobody-at-all", None).await,
        1,
        &["search: WRONG: nobody", "hint: is the name spelled", "no provider that is asked knows the name"],
    );
    check(try_one("al*", None).await, 1, &["(uid=al\\2a)", "search: WRONG: nobody"]);
    check(try_one(" alice", None).await, 1, &["name: WRONG: ` alice` can be nobody's name here"]);
    let both = [
        "search: WRONG: more than one entry",
        "uid=twin,ou=people",
        "cn=second,ou=people",
        "narrow `user.bases`",
        "refused by staff: ambiguous",
    ];
    check(try_one("twin", None).await, 1, &both);
    check(try_one("locked", None).await, 1, &["account: WRONG: locked", "pwdAccountLockedTime: 000001010000Z", "refused by staff: locked"]);
    check(
        try_one("mustchange", Some("secret")).await,
        1,
        &["bind: WRONG: must_change: result code 0, password policy error 2", "refused by staff: must_change"],
    );
    check(try_one("grace", Some("secret")).await, 1, &["the password has expired and 4 logins are left", "accounts: {grace: allow}"]);
    // Wrong passwords lock for a while; the marker of this one cannot be read.
    for _ in 0..3 {
        try_one("victim", Some("wrong")).await;
    }
    check(
        try_one("victim", Some("secret")).await,
        1,
        &["password marker: cannot be read", "account: warning: locked by wrong passwords", "the account is locked"],
    );

    // A file comes first for the names that it is asked for.
    check(
        try_one("robot-deploy", None).await,
        0,
        &["robots (file, realm robots): asked, as `names` has `robot-*`", "would be let in as robot-deploy of robots"],
    );
    check(try_one("robot-deploy", Some("wrong")).await, 1, &["password: WRONG: wrong_password"]);
    check(try_one("robot-disabled", None).await, 1, &["account: WRONG: disabled"]);
    check(try_one("robot-nobody", None).await, 1, &["has nobody of this name", "search: WRONG: nobody"]);
    let alone = tried(&configuration, &["robot-deploy", "--provider", "staff"], None).await;
    check(alone, 1, &["robots (file, realm robots): not asked: --provider names another", "search: WRONG: nobody"]);
}

#[tokio::test]
async fn bad_usage_is_told_apart() {
    let Some(lab) = Lab::start(Plan::default()).await else { return };
    let configuration = lab.bridge.site().configuration();
    check(tried(&configuration, &["alice", "--provider", "stuff"], None).await, 2, &["no provider `stuff`; it has staff, robots"]);
    check(tried(&configuration, &["alice", "--service", "x"], None).await, 2, &["no service `x`; it has registry.test, other.test"]);
    check(tried(&configuration, &["alice"], Some("")).await, 2, &["the password is empty"]);
    check(tried(&configuration, &["alice"], Some("nrw_x")).await, 2, &["it looks like a token"]);
    check(tried(&configuration, &[], None).await, 2, &["USER"]);
    check(tried("/nowhere.yaml", &["alice"], None).await, 2, &["/nowhere.yaml"]);
    assert_eq!(lab.slapd.binds(ALICE_DN), 0);
}

#[tokio::test]
async fn a_directory_that_cannot_be_asked_is_an_outage_with_advice() {
    let Some(mut lab) = Lab::start(Plan::default()).await else { return };
    let configuration = lab.bridge.site().configuration();
    let again = async || tried(&configuration, &["alice"], None).await;

    let written = std::fs::read_to_string(&configuration).unwrap();
    lab.bridge.site().write("elsewhere.yaml", &written.replace("ou=people", "ou=nowhere"));
    let elsewhere = lab.bridge.site().folder().join("elsewhere.yaml");
    let nowhere = tried(elsewhere.to_str().unwrap(), &["alice"], None).await;
    check(nowhere, 3, &["base ou=nowhere,dc=example,dc=org: WRONG: result code 32", "hint: correct the DN", "would get a 503"]);

    lab.trust("other-ca.pem");
    check(again().await, 3, &["connect: good", "tls: FAILED", "is not trusted here", "`tls.ca`"]);
    lab.trust("ca.pem");
    lab.replan(|plan| plan.server_name = "dc1.corp.example");
    check(
        again().await,
        3,
        &["tls: FAILED: the server's certificate is not valid for name `dc1.corp.example`: it bears localhost, 127.0.0.1"],
    );
    lab.replan(|plan| plan.server_name = "127.0.0.1");

    lab.bridge.site().write("ldap-password", "nobody-writes-this");
    let refused = check(
        again().await,
        3,
        &["tls: good", "service account: WRONG", "hint: correct the DN of `service_account` or its password's file"],
    );
    assert!(!refused.text().contains("nobody-writes-this") && !refused.stdout.contains("base "), "{}", refused.text());
    lab.bridge.site().write("ldap-password", crate::slapd::SERVICE_PASSWORD);
    check(again().await, 0, &[]);

    lab.slapd.kill();
    check(
        again().await,
        3,
        &["resolve: good: 127.0.0.1", "connect: FAILED", "Connection refused", "hint: is the directory up", "would get a 503"],
    );
    lab.bridge.site().write("lost.yaml", &written.replace("ldaps://127.0.0.1", "ldaps://no-such-host.invalid"));
    let lost = lab.bridge.site().folder().join("lost.yaml");
    check(tried(lost.to_str().unwrap(), &["alice"], None).await, 3, &["resolve: FAILED", "hint: correct the host"]);
}
