//! The same against 389 Directory Server: its own words for locked accounts, and groups of groups in `memberOf`.

use std::time::Duration;

use narrows::authn::attempt::Attempt;
use narrows::authn::authenticator::Freshness;
use narrows::authn::ldap::Directory;
use secrecy::SecretString;

use super::{directory_at, group_names, identity, standing, within, word};
use crate::ds389::Ds389;

const PEOPLE: &str = "preset: 389ds\nuser: {bases: [\"ou=people,dc=example,dc=org\"]}";
const GROUPS: &str = "groups: {bases: [\"ou=groups,dc=example,dc=org\"]}";

fn staff(lab: &Ds389, server: &str) -> Directory {
    directory_at(lab.folder(), server, &[("user", PEOPLE), ("groups", GROUPS)])
}

fn dn(username: &str) -> String {
    format!("uid={username},ou=people,dc=example,dc=org")
}

#[tokio::test]
async fn people_log_in_with_all_their_groups() {
    let Some(lab) = Ds389::start().await else { return };
    for server in [lab.tls_url(), lab.url()] {
        let staff = staff(&lab, &server);
        assert_eq!(word(&staff, "ALICE", "secret").await, "authenticated alice", "{server}");
        assert_eq!(word(&staff, "alice", "wrong").await, "wrong_password", "{server}");
        assert_eq!(word(&staff, "alice", "").await, "wrong_password", "{server}");
        assert_eq!(word(&staff, "nobody", "secret").await, "not mine", "{server}");
    }
    assert_eq!(lab.binds(&dn("alice")), 4, "the empty password was not sent");
    let staff = staff(&lab, &lab.tls_url());
    let alice = identity(&staff, "alice", "secret").await;
    // The plugin writes groups of groups too, and the one elsewhere is no group of ours.
    assert_eq!(group_names(&alice), "a, b (c*) | cycle-a | cycle-b | team-l0 | team-l1 | team-l2 | team-l3");
    let by_member = format!("{}strategy: member}}", GROUPS.trim_end_matches('}').to_owned() + ", ");
    let by_member = directory_at(lab.folder(), &lab.tls_url(), &[("user", PEOPLE), ("groups", &by_member)]);
    assert_eq!(group_names(&identity(&by_member, "alice", "secret").await), group_names(&alice));
}

#[tokio::test]
async fn locks_and_disabled_accounts_say_nothing_about_the_password() {
    let Some(lab) = Ds389::start().await else { return };
    let staff = staff(&lab, &lab.tls_url());
    let owner = identity(&staff, "guessed", "secret").await;
    for password in ["wrong", "secret"] {
        assert_eq!(word(&staff, "disabled", password).await, "locked_out");
    }
    for number in 0..3 {
        assert_eq!(word(&staff, "guessed", &format!("wrong {number}")).await, "wrong_password");
    }
    for password in ["wrong", "secret"] {
        assert_eq!(word(&staff, "guessed", password).await, "locked_out");
    }
    // Whoever can type a name must not end its owner's logins.
    assert_eq!(standing(&staff, &owner).await, "good ");
}

#[tokio::test]
async fn passwords_that_expired_or_were_reset_are_told_to_the_right_password_only() {
    let Some(lab) = Ds389::start().await else { return };
    let staff = staff(&lab, &lab.tls_url());
    lab.modify("dn: cn=config\nchangetype: modify\nreplace: passwordExp\npasswordExp: on\n-\nreplace: passwordMustChange\npasswordMustChange: on\n");
    lab.modify(&format!("dn: {}\nchangetype: modify\nreplace: userPassword\nuserPassword: other\n", dn("resetting")));
    for (name, password, expected) in [("expired", "secret", "expired"), ("resetting", "other", "must_change")] {
        assert_eq!(word(&staff, name, "wrong").await, "wrong_password", "{name}");
        assert_eq!(word(&staff, name, password).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_login_ends_with_its_account_or_password_and_not_with_a_new_name() {
    let Some(lab) = Ds389::start().await else { return };
    let staff = staff(&lab, &lab.tls_url());
    let (alice, leaver, changer) = (
        identity(&staff, "alice", "secret").await,
        identity(&staff, "leaver", "secret").await,
        identity(&staff, "changer", "secret").await,
    );
    assert!(alice.id.split('-').count() == 4 && alice.id.len() == 35, "an nsUniqueId: {}", alice.id);
    for login in [&leaver, &changer] {
        assert_eq!(standing(&staff, login).await, "good ");
    }
    let people = "ou=people,dc=example,dc=org";
    lab.modify(&format!("dn: {}\nchangetype: modrdn\nnewrdn: uid=alicia\ndeleteoldrdn: 1\n", dn("alice")));
    assert_eq!(standing(&staff, &alice).await, "good a, b (c*) | cycle-a | cycle-b | team-l0 | team-l1 | team-l2 | team-l3");
    assert_eq!(identity(&staff, "alicia", "secret").await.id, alice.id);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    lab.modify(&format!("dn: uid=changer,{people}\nchangetype: modify\nreplace: userPassword\nuserPassword: other\n"));
    assert_eq!(standing(&staff, &changer).await, "password_changed");
    lab.modify(&format!("dn: uid=leaver,{people}\nchangetype: modify\nadd: nsAccountLock\nnsAccountLock: true\n"));
    assert_eq!(standing(&staff, &leaver).await, "disabled");
    lab.modify(&format!("dn: uid=leaver,{people}\nchangetype: delete\n"));
    assert_eq!(standing(&staff, &leaver).await, "gone");
}

#[tokio::test]
async fn a_server_that_freezes_or_dies_is_an_outage_and_comes_back() {
    let Some(mut lab) = Ds389::start().await else { return };
    let staff = staff(&lab, &lab.tls_url());
    let password = SecretString::from("secret".to_owned());
    let short = within(Duration::from_secs(2));
    assert_eq!(word(&staff, "alice", "secret").await, "authenticated alice");
    lab.freeze();
    assert!(staff.verify("alice", &password, &short, Freshness::CacheAllowed, &Attempt::default()).await.is_err());
    lab.thaw();
    assert_eq!(word(&staff, "alice", "secret").await, "authenticated alice");
    lab.kill();
    assert!(staff.verify("alice", &password, &within(Duration::from_secs(2)), Freshness::CacheAllowed, &Attempt::default()).await.is_err());
    lab.restart().await;
    assert_eq!(word(&staff, "alice", "secret").await, "authenticated alice");
}
