//! Every way to find groups: all of them, or an outage.

use std::fmt::Write;

use narrows::authn::attempt::Attempt;
use narrows::authn::authenticator::Freshness;
use narrows::authn::verdict::Verdict;

use super::{directory, group_names, identity, soon, standing, word};
use crate::slapd::{Options, Slapd};

/// `alice` is in `g0`, which is in `g1` and so on up to `g4`; in `ring-a`, which is in `ring-b`, which is in `ring-a`; and in
/// `outer`, which lives elsewhere and is in `behind`.
const NESTED: &str = "dn: cn=g0,ou=groups,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: g0
member: uid=alice,ou=people,dc=example,dc=org

dn: cn=g1,ou=groups,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: g1
member: cn=g0,ou=groups,dc=example,dc=org

dn: cn=g2,ou=groups,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: g2
member: cn=g1,ou=groups,dc=example,dc=org

dn: cn=g3,ou=groups,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: g3
member: cn=g2,ou=groups,dc=example,dc=org

dn: cn=g4,ou=groups,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: g4
member: cn=g3,ou=groups,dc=example,dc=org

dn: cn=ring-a,ou=groups,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: ring-a
member: uid=alice,ou=people,dc=example,dc=org

dn: cn=ring-b,ou=groups,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: ring-b
member: cn=ring-a,ou=groups,dc=example,dc=org

dn: cn=ring-a,ou=groups,dc=example,dc=org
changetype: modify
add: member
member: cn=ring-b,ou=groups,dc=example,dc=org

dn: cn=outer,ou=elsewhere,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: outer
member: uid=alice,ou=people,dc=example,dc=org

dn: cn=behind,ou=groups,dc=example,dc=org
changetype: add
objectClass: groupOfNames
cn: behind
member: cn=outer,ou=elsewhere,dc=example,dc=org
";

#[tokio::test]
async fn groups_of_groups_are_followed_whole_or_not_at_all() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    lab.modify(NESTED);
    let below = "bases: \"ou=groups,dc=example,dc=org\"";
    let direct = "a, b (c*) | developers | g0 | ring-a";
    let all = "a, b (c*) | developers | g0 | g1 | g2 | g3 | g4 | ring-a | ring-b";
    for (written, expected) in [
        (String::new(), "a, b (c*) | admins | behind | developers | g0 | g1 | g2 | g3 | g4 | outer | ring-a | ring-b"),
        (below.to_owned(), all),
        (format!("strategy: member, {below}"), all),
        (format!("{below}, nested: {{depth: 4}}"), all),
        (format!("strategy: member, {below}, nested: {{depth: 4}}"), all),
        (format!("{below}, nested: {{depth: 0}}"), direct),
        (format!("strategy: member, {below}, nested: {{depth: 0}}"), direct),
        (format!("{below}, nested: {{count: 9}}"), all),
        // A group that the filter takes for none leads nowhere.
        (format!("{below}, filter: \"(!(cn=g1))\""), "a, b (c*) | developers | g0 | ring-a | ring-b"),
        (format!("strategy: member, {below}, filter: \"(!(cn=g1))\""), "a, b (c*) | developers | g0 | ring-a | ring-b"),
    ] {
        let staff = directory(&lab, &[("groups", &format!("groups: {{{written}}}"))]);
        let alice = identity(&staff, "alice", "secret").await;
        assert_eq!(group_names(&alice), expected, "{written}");
        assert!(alice.groups.iter().all(|group| group.dn.is_some() && group.id.as_ref().is_some_and(|id| id.len() == 36)), "{written}");
        assert_eq!(standing(&staff, &alice).await, format!("good {expected}"), "{written}");
    }
    for (written, limit) in [
        (format!("{below}, nested: {{depth: 3}}"), "groups.nested.depth"),
        (format!("strategy: member, {below}, nested: {{depth: 3}}"), "groups.nested.depth"),
        (format!("{below}, nested: {{count: 8}}"), "groups.nested.count"),
        (format!("strategy: member, {below}, nested: {{count: 8}}"), "groups.nested.count"),
        (format!("strategy: member, {below}, nested: {{depth: 0, count: 3}}"), "groups.nested.count"),
    ] {
        let staff = directory(&lab, &[("groups", &format!("groups: {{{written}}}"))]);
        let said = word(&staff, "alice", "secret").await;
        assert!(said.starts_with("unavailable: groups") && said.contains(limit), "{written}: {said}");
    }
}

#[tokio::test]
async fn a_listed_group_that_is_not_there_is_an_outage() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    for (groups, expected) in [
        ("groups: {}", "unavailable"),
        ("groups: {bases: \"ou=groups,dc=example,dc=org\"}", "unavailable"),
        ("groups: {bases: \"ou=groups,dc=example,dc=org\", filter: \"(objectClass=groupOfNames)\", nested: {depth: 0}}", "unavailable"),
        // What lies elsewhere does not count, so it is not asked for.
        ("groups: {bases: \"ou=elsewhere,dc=example,dc=org\"}", "authenticated haunted"),
    ] {
        let staff = directory(&lab, &[("user", "user: {bases: \"ou=elsewhere,dc=example,dc=org\"}"), ("groups", groups)]);
        let said = word(&staff, "haunted", "secret").await;
        assert!(said.starts_with(expected), "{groups}: {said}");
    }
}

#[tokio::test]
async fn unix_groups_hold_names_and_the_number_of_the_first_one() {
    let Some(lab) = Slapd::start(Options { member_of: false, tls: true }).await else { return };
    lab.modify(
        "dn: uid=unix,ou=people,dc=example,dc=org\nchangetype: add\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\n\
         objectClass: shadowAccount\nuid: unix\ncn: Unix\nsn: Unix\nuidNumber: 1000\ngidNumber: 100\nhomeDirectory: /\nuserPassword: secret\n\n\
         dn: cn=users,ou=groups,dc=example,dc=org\nchangetype: add\nobjectClass: posixGroup\ncn: users\ngidNumber: 100\n\n\
         dn: cn=dev,ou=groups,dc=example,dc=org\nchangetype: add\nobjectClass: posixGroup\ncn: dev\ngidNumber: 101\nmemberUid: unix\n\n\
         dn: cn=ops,ou=groups,dc=example,dc=org\nchangetype: add\nobjectClass: posixGroup\ncn: ops\ngidNumber: 102\nmemberUid: alice\n\n\
         dn: cn=away,ou=elsewhere,dc=example,dc=org\nchangetype: add\nobjectClass: posixGroup\ncn: away\ngidNumber: 100\nmemberUid: unix\n",
    );
    let preset = "groups: {bases: \"ou=groups,dc=example,dc=org\", age: 0s}\npreset: rfc2307";
    let staff = directory(&lab, &[("groups", preset)]);
    let unix = identity(&staff, "unix", "secret").await;
    assert_eq!(group_names(&unix), "dev | users");
    // Without an object class of Unix somebody is nobody there.
    assert_eq!(word(&staff, "alice", "secret").await, "not mine");
    // The user's own entry has the number too, and is no group.
    let wide = directory(&lab, &[("groups", "groups: {strategy: member_uid, bases: \"dc=example,dc=org\"}")]);
    assert_eq!(group_names(&identity(&wide, "unix", "secret").await), "away | dev | users");

    let expire = "dn: uid=unix,ou=people,dc=example,dc=org\nchangetype: modify\nreplace: shadowExpire\nshadowExpire: 19000\n";
    lab.modify(expire);
    assert_eq!(word(&staff, "unix", "secret").await, "expired");
    assert_eq!(word(&staff, "unix", "wrong").await, "wrong_password");
    assert_eq!(standing(&staff, &unix).await, "expired");
    lab.modify(&expire.replace("19000", "-1"));
    assert_eq!(standing(&staff, &unix).await, "good dev | users");
}

#[tokio::test]
async fn groups_name_members_and_are_named_as_the_configuration_says() {
    let Some(lab) = Slapd::start(Options { member_of: false, tls: true }).await else { return };
    lab.modify(
        "dn: cn=unique,ou=groups,dc=example,dc=org\nchangetype: add\nobjectClass: groupOfUniqueNames\ncn: unique\n\
         uniqueMember: uid=alice,ou=people,dc=example,dc=org\n\n\
         dn: cn=above,ou=groups,dc=example,dc=org\nchangetype: add\nobjectClass: groupOfUniqueNames\ncn: above\n\
         uniqueMember: cn=unique,ou=groups,dc=example,dc=org\n",
    );
    let groups = |written: &str| format!("groups: {{strategy: member, bases: \"ou=groups,dc=example,dc=org\", {written}}}");
    let staff = directory(&lab, &[("groups", &groups("member: uniqueMember"))]);
    assert_eq!(group_names(&identity(&staff, "alice", "secret").await), "above | unique");
    let staff = directory(&lab, &[("groups", &groups("member: uniqueMember, name: dn"))]);
    let expected = "cn=above,ou=groups,dc=example,dc=org | cn=unique,ou=groups,dc=example,dc=org";
    assert_eq!(group_names(&identity(&staff, "alice", "secret").await), expected);
    assert!(!staff.can_find_group("unique") && staff.can_find_group("cn=unique,ou=groups,dc=example,dc=org"));
}

#[tokio::test]
async fn more_groups_than_fit_one_answer_come_in_pages_and_a_part_is_an_outage() {
    let Some(lab) = Slapd::start(Options { member_of: false, tls: true }).await else { return };
    let add = |from: usize, to: usize| {
        let mut ldif = String::new();
        for number in from..to {
            write!(
                ldif,
                "dn: cn=p{number:03},ou=groups,dc=example,dc=org\nchangetype: add\nobjectClass: groupOfNames\ncn: p{number:03}\n\
                 member: uid=alice,ou=people,dc=example,dc=org\n\n"
            )
            .unwrap();
        }
        lab.modify(&ldif);
    };
    add(0, 550);
    // The directory gives 500 entries at once and 600 in pages.
    let groups = "groups: {strategy: member, bases: \"ou=groups,dc=example,dc=org\", age: 0s}";
    let staff = std::sync::Arc::new(directory(&lab, &[("groups", groups)]));
    assert_eq!(identity(&staff, "alice", "secret").await.groups.len(), 552);
    // Nobody's pages are taken for somebody else's.
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let staff = std::sync::Arc::clone(&staff);
        asked.spawn(async move { assert_eq!(identity(&staff, "alice", "secret").await.groups.len(), 552) });
    }
    asked.join_all().await;

    add(550, 650);
    let said = word(&staff, "alice", "secret").await;
    assert!(said.starts_with("unavailable: search") && said.contains("size limit"), "{said}");
}

#[tokio::test]
async fn groups_are_used_for_their_age_and_read_anew_for_what_lasts() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let below = "bases: \"ou=groups,dc=example,dc=org\"";
    let (kept, fresh) = (format!("groups: {{{below}}}"), format!("groups: {{{below}, age: 0s}}"));
    let (kept, fresh) = (directory(&lab, &[("groups", &kept)]), directory(&lab, &[("groups", &fresh)]));
    let alice = identity(&kept, "alice", "secret").await;
    identity(&fresh, "alice", "secret").await;
    lab.modify("dn: cn=a\\, b (c*),ou=groups,dc=example,dc=org\nchangetype: delete\n");
    assert_eq!(group_names(&identity(&kept, "alice", "secret").await), "a, b (c*) | developers");
    assert_eq!(group_names(&identity(&fresh, "alice", "secret").await), "developers");
    // What lasts is made of groups that are read now, and so is the next login.
    let now = kept.verify("alice", &"secret".to_owned().into(), &soon(), Freshness::AskNow, &Attempt::default()).await;
    assert!(matches!(&now, Ok(Verdict::Authenticated(now, _)) if group_names(now) == "developers"), "{now:?}");
    assert_eq!(group_names(&identity(&kept, "alice", "secret").await), "developers");
    lab.modify("dn: cn=developers,ou=groups,dc=example,dc=org\nchangetype: modify\ndelete: member\nmember: uid=alice,ou=people,dc=example,dc=org\n");
    assert_eq!(group_names(&identity(&kept, "alice", "secret").await), "developers");
    // What a re-check read is what the next login has.
    assert_eq!(standing(&kept, &alice).await, "good ");
    assert_eq!(group_names(&identity(&kept, "alice", "secret").await), "");
    // Somebody else with the old name has groups of their own.
    lab.modify(
        "dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: delete\n\n\
         dn: uid=alice,ou=people,dc=example,dc=org\nchangetype: add\nobjectClass: inetOrgPerson\nuid: alice\ncn: x\nsn: x\nuserPassword: secret\n",
    );
    assert_eq!(group_names(&identity(&kept, "alice", "secret").await), "");
}
