//! What becomes of accounts that change: at the login, and when a login is looked at again.

use super::{directory, identity, standing, word};
use crate::slapd::{Options, Slapd};

#[tokio::test]
async fn more_than_wrong_is_said_only_after_the_password_was_proven() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let staff = directory(&lab, &[]);
    for (username, wrong, right) in [
        ("mustchange", "wrong_password", "must_change"),
        ("expired", "wrong_password", "expired"),
        ("grace", "wrong_password", "grace"),
        ("locked", "locked_out", "locked_out"),
        ("alice", "wrong_password", "authenticated alice"),
    ] {
        assert_eq!(word(&staff, username, "wrong").await, wrong, "{username}");
        assert_eq!(word(&staff, username, "secret").await, right, "{username}");
    }
}

#[tokio::test]
async fn an_account_that_others_locked_is_not_told_from_a_wrong_password() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let staff = directory(&lab, &[]);
    let victim = identity(&staff, "victim", "secret").await;
    for _ in 0..3 {
        assert_eq!(word(&staff, "victim", "guess").await, "wrong_password");
    }
    assert_eq!(word(&staff, "victim", "guess").await, "locked_out");
    assert_eq!(word(&staff, "victim", "secret").await, "locked_out", "the same, right or wrong");
    // Whoever can type a name must not end its owner's logins.
    assert_eq!(standing(&staff, &victim).await, "good ");
}

#[tokio::test]
async fn a_login_ends_with_what_it_stood_on() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let staff = directory(&lab, &[("groups", "groups: {bases: \"ou=groups,dc=example,dc=org\"}")]);
    let alice = identity(&staff, "alice", "secret").await;
    assert_eq!(standing(&staff, &alice).await, "good a, b (c*) | developers");

    lab.modify(
        "dn: cn=a\\, b (c*),ou=groups,dc=example,dc=org\nchangetype: delete\n\n\
         dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: modify\nadd: mail\nmail: second@example.org\n",
    );
    assert_eq!(standing(&staff, &alice).await, "good developers");

    // Another name is the same person.
    lab.modify("dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: modrdn\nnewrdn: uid=alicia\ndeleteoldrdn: 1\n");
    assert_eq!(standing(&staff, &alice).await, "good developers");
    lab.modify("dn: uid=alicia,ou=people,dc=example,dc=org\nchangetype: modrdn\nnewrdn: uid=alice\ndeleteoldrdn: 1\n");

    let lock =
        "dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n";
    lab.modify(lock);
    assert_eq!(standing(&staff, &alice).await, "locked");
    lab.modify("dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: modify\ndelete: pwdAccountLockedTime\n");
    assert_eq!(standing(&staff, &alice).await, "good developers");

    // Out of the bases is gone; so is an entry that the filter no longer takes.
    lab.modify("dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: modrdn\nnewrdn: uid=alice\ndeleteoldrdn: 1\nnewsuperior: ou=elsewhere,dc=example,dc=org\n");
    assert_eq!(standing(&staff, &alice).await, "gone");
    lab.modify("dn: uid=alice,ou=elsewhere,dc=example,dc=org\nchangetype: modrdn\nnewrdn: uid=alice\ndeleteoldrdn: 1\nnewsuperior: ou=people,dc=example,dc=org\n");
    let strict =
        directory(&lab, &[("user", "user: {bases: \"ou=people,dc=example,dc=org\", filter: \"(&(uid={username})(mail=alice@*))\"}")]);
    assert_eq!(standing(&strict, &alice).await, "good admins | developers");
    lab.modify("dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: modify\nreplace: mail\nmail: gone@example.org\n");
    assert_eq!(standing(&strict, &alice).await, "gone");

    lab.modify("dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: modify\nreplace: userPassword\nuserPassword: other\n");
    assert_eq!(standing(&staff, &alice).await, "password_changed");
    assert_eq!(word(&staff, "alice", "secret").await, "wrong_password");
    assert_eq!(word(&staff, "alice", "other").await, "authenticated alice");
}

#[tokio::test]
async fn somebody_who_gets_the_name_later_inherits_nothing() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let staff = directory(&lab, &[]);
    let before = identity(&staff, "nomarker", "secret").await;
    lab.modify(
        "dn: uid=nomarker,ou=people,dc=example,dc=org\nchangetype: delete\n\n\
         dn: uid=nomarker,ou=people,dc=example,dc=org\nchangetype: add\nobjectClass: inetOrgPerson\nuid: nomarker\ncn: x\nsn: x\nuserPassword: secret\n",
    );
    assert_eq!(standing(&staff, &before).await, "gone");
    assert_ne!(identity(&staff, "nomarker", "secret").await.id, before.id);
}
