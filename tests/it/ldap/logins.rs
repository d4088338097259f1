//! What may be typed, and what it is bound as.

use super::{directory, group_names, identity, standing, verify, word};
use crate::slapd::{Options, Slapd};

const ALICE: &str = "uid=alice,ou=people,dc=example,dc=org";

#[tokio::test]
async fn a_template_binds_one_name_and_reads_its_entry() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let bind = "bind: template, template: \"uid={username},ou=people,dc=example,dc=org\"";
    let user = format!("user: {{{bind}, bases: \"ou=people,dc=example,dc=org\"}}");
    let staff = directory(&lab, &[("user", &user), ("groups", "groups: {bases: \"ou=groups,dc=example,dc=org\"}")]);
    let alice = identity(&staff, "ALICE", "secret").await;
    assert_eq!((alice.username.as_str(), group_names(&alice).as_str()), ("alice", "a, b (c*) | developers"));
    assert_eq!(identity(&directory(&lab, &[]), "alice", "secret").await.id, alice.id);
    assert_eq!(standing(&staff, &alice).await, "good a, b (c*) | developers");
    for (username, password, expected) in [
        ("alice", "wrong", "wrong_password"),
        // It cannot tell these from a wrong password.
        ("nobody", "secret", "wrong_password"),
        ("outsider", "secret", "wrong_password"),
        ("jsmith", "secret", "wrong_password"),
        ("alice,ou=people,dc=example,dc=org", "secret", "wrong_password"),
        ("x+uid=alice", "secret", "wrong_password"),
        ("*", "secret", "wrong_password"),
        ("alice\\", "secret", "wrong_password"),
        ("mustchange", "secret", "must_change"),
        ("alice", "", "wrong_password"),
        (" alice", "secret", "not mine"),
    ] {
        assert_eq!(word(&staff, username, password).await, expected, "{username:?} {password:?}");
    }
    // Whom the filter does not take is nobody, whatever the password.
    let user = format!("user: {{{bind}, bases: \"ou=people,dc=example,dc=org\", filter: \"(&(uid={{username}})(mail=*))\"}}");
    let strict = directory(&lab, &[("user", &user)]);
    assert_eq!(word(&strict, "alice", "secret").await, "authenticated alice");
    assert_eq!(word(&strict, "twin", "secret").await, "not mine");
    assert_eq!(lab.binds(""), 0);
}

#[tokio::test]
async fn a_principal_of_another_suffix_is_not_asked_for() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let user = "user: {bind: upn, upn_suffix: example.org, bases: \"ou=people,dc=example,dc=org\"}";
    let staff = directory(&lab, &[("user", user)]);
    for typed in ["alice@other.org", "alice@example.org@example.org", "EXAMPLE\\alice", ALICE, "@example.org"] {
        assert_eq!(word(&staff, typed, "secret").await, "not mine", "{typed}");
    }
    assert_eq!(lab.binds(crate::slapd::SERVICE_DN), 0);
    // OpenLDAP binds by DNs alone.
    assert!(verify(&staff, "alice", "secret").await.is_err());
    assert_eq!(lab.binds(ALICE), 0);
}

#[tokio::test]
async fn one_person_has_several_names_to_type() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let user = "user: {bases: \"ou=people,dc=example,dc=org\", filter: \"(|(uid={username})(mail={username}))\", \
                strip: [\"CORP\\\\\", \"@corp.example\"]}";
    let staff = directory(&lab, &[("user", user)]);
    for typed in
        ["alice", "alice@example.org", "ALICE@Example.org", "CORP\\alice", "corp\\Alice", "alice@CORP.example", "CORP\\alice@corp.example"]
    {
        assert_eq!(identity(&staff, typed, "secret").await.username, "alice", "{typed}");
    }
    assert_eq!((staff.stripped("corp\\alice"), staff.stripped("alice@other.example")), ("alice", "alice@other.example"));
    for typed in ["OTHER\\alice", "alice@other.example", "CORP\\", "CORP\\ alice", "@corp.example"] {
        assert_eq!(word(&staff, typed, "secret").await, "not mine", "{typed}");
    }
}

#[tokio::test]
async fn a_reservation_is_let_in_where_the_configuration_says_so() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    for (accounts, must_change, grace) in [
        ("accounts: {}", "must_change", "grace"),
        ("accounts: {must_change: allow}", "authenticated mustchange", "grace"),
        ("accounts: {grace: allow}", "must_change", "authenticated grace"),
    ] {
        let staff = directory(&lab, &[("accounts", accounts)]);
        assert_eq!(word(&staff, "mustchange", "secret").await, must_change, "{accounts}");
        assert_eq!(word(&staff, "grace", "secret").await, grace, "{accounts}");
        assert_eq!(word(&staff, "mustchange", "wrong").await, "wrong_password", "{accounts}");
        assert_eq!(word(&staff, "expired", "secret").await, "expired", "{accounts}");
    }
    // The five logins that were left are used up.
    let staff = directory(&lab, &[("accounts", "accounts: {grace: allow}")]);
    assert_eq!(word(&staff, "grace", "secret").await, "authenticated grace");
    assert_eq!(word(&staff, "grace", "secret").await, "authenticated grace");
    assert_eq!(word(&staff, "grace", "secret").await, "expired");
}
