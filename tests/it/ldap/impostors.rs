//! Entries that look like somebody else's, and servers that know less than the others.

use std::fs;

use narrows::authn::provider::Health;

use super::{directory, directory_at, group_names, identity, standing, word};
use crate::slapd::{Options, SERVICE_DN, Slapd};

#[tokio::test]
async fn a_name_that_two_entries_bear_is_nobodys_whatever_was_typed() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    lab.modify(
        "dn: uid=twin,ou=people,dc=example,dc=org\nchangetype: modify\nadd: mail\nmail: first@example.org\n\n\
         dn: uid=twin,ou=guests,dc=example,dc=org\nchangetype: modify\nadd: mail\nmail: second@example.org\n\n\
         dn: uid=victim,ou=people,dc=example,dc=org\nchangetype: modify\nadd: mail\nmail: victim@example.org\n",
    );
    let bases = "bases: [\"ou=people,dc=example,dc=org\", \"ou=guests,dc=example,dc=org\"]";
    for filter in ["(mail={username})", "(|(uid={username})(mail={username}))"] {
        let staff = directory(&lab, &[("user", &format!("user: {{{bases}, filter: \"{filter}\"}}"))]);
        for (typed, expected) in
            [("first@example.org", "ambiguous"), ("second@example.org", "ambiguous"), ("victim@example.org", "authenticated victim")]
        {
            assert_eq!(word(&staff, typed, "secret").await, expected, "{filter} {typed}");
        }
    }
    // Who takes somebody's name after a login does not get to be them.
    let staff = directory(&lab, &[("user", &format!("user: {{{bases}, filter: \"(uid={{username}})\", username: mail}}"))]);
    let victim = identity(&staff, "victim", "secret").await;
    let alice = identity(&staff, "alice", "secret").await;
    assert_eq!(alice.username, "alice@example.org");
    lab.modify("dn: uid=victim,ou=people,dc=example,dc=org\nchangetype: modify\nreplace: mail\nmail: ALICE@example.org\n");
    let said = standing(&staff, &victim).await;
    assert!(said.starts_with("unavailable: entry") && said.contains("`mail`"), "{said}");
    assert_eq!(word(&staff, "victim", "secret").await, "ambiguous");
}

#[tokio::test]
async fn a_group_whose_kind_cannot_be_read_is_an_outage() {
    let Some(mut lab) = Slapd::start(Options::default()).await else { return };
    let below = "bases: \"ou=groups,dc=example,dc=org\", age: 0s";
    for filter in ["", ", filter: \"(objectClass=groupOfNames)\""] {
        let staff = directory(&lab, &[("groups", &format!("groups: {{{below}{filter}}}"))]);
        assert_eq!(group_names(&identity(&staff, "alice", "secret").await), "a, b (c*) | developers");
    }
    let path = lab.folder().join("slapd.conf");
    let written = fs::read_to_string(&path).unwrap();
    let hidden =
        "access to dn.exact=\"cn=developers,ou=groups,dc=example,dc=org\" attrs=objectClass by * none\naccess to attrs=userPassword";
    fs::write(&path, written.replacen("access to attrs=userPassword", hidden, 1)).unwrap();
    lab.kill();
    lab.restart().await;
    let staff = directory(&lab, &[("groups", &format!("groups: {{{below}}}"))]);
    assert_eq!(group_names(&identity(&staff, "alice", "secret").await), "a, b (c*) | developers");
    let staff = directory(&lab, &[("groups", &format!("groups: {{{below}, filter: \"(objectClass=groupOfNames)\"}}"))]);
    let said = word(&staff, "alice", "secret").await;
    assert!(said.starts_with("unavailable: groups") && said.contains("cn=developers"), "{said}");
}

#[tokio::test]
async fn a_server_that_refuses_the_service_account_does_not_take_the_others_along() {
    let (Some(first), Some(second)) = (Slapd::start(Options::default()).await, Slapd::start(Options::default()).await) else { return };
    // The new password has not come there yet.
    second.modify(&format!("dn: {SERVICE_DN}\nchangetype: modify\nreplace: userPassword\nuserPassword: another\n"));
    let authorities = [&first, &second].map(|lab| fs::read_to_string(lab.folder().join("ca.pem")).unwrap()).concat();
    fs::write(first.folder().join("both.pem"), authorities).unwrap();
    let servers = format!("servers: [\"{}\", \"{}\"]", first.tls_url(), second.tls_url());
    for _ in 0..4 {
        // Whichever is asked first.
        let before = second.binds(SERVICE_DN);
        let staff = directory_at(first.folder(), "", &[("servers", &servers), ("tls", "tls: {ca: {file: both.pem}}")]);
        for _ in 0..60 {
            assert_eq!(word(&staff, "alice", "secret").await, "authenticated alice");
        }
        assert_eq!(second.binds(SERVICE_DN), before + 1, "it is left alone there");
        assert!(matches!(staff.health(), Health::Impaired(why) if why.contains(&second.tls_url())), "{:?}", staff.health());
    }
}
