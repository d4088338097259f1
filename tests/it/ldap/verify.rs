//! Who is let in, as whom, and with which groups.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use narrows::authn::identity::Method;
use narrows::authn::provider::Health;
use narrows::authn::rehearsal::{BindBudget, Outcome};

use super::{directory, directory_at, group_names, identity, soon, verify, word};
use crate::slapd::{Options, SERVICE_DN, SERVICE_PASSWORD, Slapd};

/// What the shield lets through.
const BUDGET: BindBudget = BindBudget { failures: 2, window: Duration::from_mins(30) };

const ALICE: &str = "uid=alice,ou=people,dc=example,dc=org";

#[tokio::test]
async fn a_password_is_right_or_wrong_and_a_name_known_or_not() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let staff = directory(&lab, &[]);

    let alice = identity(&staff, "alice", "secret").await;
    assert_eq!((&*alice.realm, &*alice.provider, alice.username.as_str(), alice.method), ("corp", "staff", "alice", Method::Password));
    assert_eq!(alice.id.len(), 36, "{}", alice.id);
    assert_eq!(alice.marker.as_ref().map(|marker| marker.0.as_str()), Some("20240101000000Z"));
    assert_eq!(lab.binds(ALICE), 1);
    // The directory compares without regard to case; the name is the entry's.
    assert_eq!(identity(&staff, "ALICE", "secret").await.username, "alice");
    assert_eq!(identity(&staff, "nomarker", "secret").await.marker, None);
    assert_eq!(word(&staff, "alice", "Secret").await, "wrong_password");
    assert_eq!(lab.binds(ALICE), 3);

    // Nothing of these reaches a bind.
    for (username, password, expected) in [
        ("alice", "", "wrong_password"),
        ("alice", "a\0b", "wrong_password"),
        ("nobody", "secret", "not mine"),
        ("outsider", "secret", "not mine"),
        ("twin", "secret", "ambiguous"),
        ("", "secret", "not mine"),
        ("*", "secret", "not mine"),
        ("ali*", "secret", "not mine"),
        ("(", "secret", "not mine"),
        ("alice)(uid=*", "secret", "not mine"),
        ("*)(objectClass=*", "secret", "not mine"),
        (" alice", "secret", "not mine"),
        ("alice\\00", "secret", "not mine"),
    ] {
        assert_eq!(word(&staff, username, password).await, expected, "{username:?} {password:?}");
    }
    // More matches than the search asks for are several as well; one entry below two bases is one.
    let loose = "user: {bases: \"ou=people,dc=example,dc=org\", filter: \"(|(uid={username})(objectClass=inetOrgPerson))\"}";
    assert_eq!(word(&directory(&lab, &[("user", loose)]), "alice", "secret").await, "ambiguous");
    assert_eq!(lab.binds(ALICE), 3);
    let twice = "user: {bases: [\"dc=example,dc=org\", \"OU=People,dc=example,dc=org\"]}";
    assert_eq!(word(&directory(&lab, &[("user", twice)]), "alice", "secret").await, "authenticated alice");
    assert_eq!(lab.binds(""), 0);
}

#[tokio::test]
async fn many_at_once_are_told_apart() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let staff = Arc::new(directory(&lab, &[("groups", "groups: {name: description}")]));
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (name, password, expected) = match number % 4 {
            0 => ("alice", "secret", "authenticated alice"),
            1 => ("jsmith", "secret", "authenticated jsmith"),
            2 => ("nomarker", "wrong", "wrong_password"),
            _ => ("nobody", "secret", "not mine"),
        };
        let staff = Arc::clone(&staff);
        asked.spawn(async move {
            let said = word(&staff, name, password).await;
            // The directory locks after three of them.
            assert!(said == expected || (said, expected) == ("locked_out".to_owned(), "wrong_password"), "{name}");
        });
    }
    asked.join_all().await;
    // Connections stay, and their number is bounded; nothing of them outlives the directory.
    assert!((2..=2 + 16).contains(&lab.connections()), "{}", lab.connections());
    drop(staff);
    let runtime = tokio::runtime::Handle::current().metrics();
    for _ in 0..500 {
        if runtime.num_alive_tasks() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(runtime.num_alive_tasks(), 0);
}

#[tokio::test]
async fn a_dn_full_of_special_characters_is_only_a_name() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    for groups in ["", "groups: {strategy: member, bases: \"ou=groups,dc=example,dc=org\"}"] {
        let staff = directory(&lab, &[("groups", groups)]);
        let smith = identity(&staff, "jsmith", "secret").await;
        assert_eq!((smith.username.as_str(), group_names(&smith).as_str()), ("jsmith", "developers"), "{groups}");
        assert_eq!(word(&staff, "jsmith", "wrong").await, "wrong_password");
    }
}

#[tokio::test]
async fn groups_are_the_entrys_own_or_those_that_name_it() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    for (groups, expected) in [
        ("groups: {}", "a, b (c*) | admins | developers"),
        ("groups: {bases: \"OU=Groups, dc=example,dc=org\"}", "a, b (c*) | developers"),
        ("groups: {name: description}", "Elsewhere | Entwicklung | Punctuation"),
        ("groups: {filter: \"(description=Ent*)\"}", "developers"),
        (
            "groups: {strategy: member, bases: [\"ou=groups,dc=example,dc=org\", \"ou=elsewhere,dc=example,dc=org\"]}",
            "a, b (c*) | admins | developers",
        ),
        ("groups: {strategy: member, bases: \"dc=example,dc=org\", filter: \"(cn=dev*)\", name: description}", "Entwicklung"),
        ("groups: {strategy: none}", ""),
    ] {
        let staff = directory(&lab, &[("groups", groups)]);
        let alice = identity(&staff, "alice", "secret").await;
        assert_eq!(group_names(&alice), expected, "{groups}");
    }
    let staff = directory(&lab, &[("groups", "groups: {strategy: member, bases: \"ou=groups,dc=example,dc=org\"}")]);
    let alice = identity(&staff, "alice", "secret").await;
    assert!(
        alice.groups.iter().all(|group| group.dn.is_some() && group.id.as_ref().is_some_and(|id| id.len() == 36)),
        "{:?}",
        alice.groups
    );
}

#[tokio::test]
async fn groups_that_cannot_be_read_are_an_outage() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    for groups in [
        "groups: {name: seeAlso}",
        "groups: {strategy: member, bases: \"ou=nowhere,dc=example,dc=org\"}",
        "groups: {strategy: member, bases: \"dc=example,dc=org\", name: seeAlso}",
    ] {
        let staff = directory(&lab, &[("groups", groups)]);
        let refused = verify(&staff, "alice", "secret").await.unwrap_err();
        assert!(!refused.reason.is_empty(), "{groups}");
        assert_eq!(word(&staff, "alice", "wrong").await, "wrong_password", "{groups}");
    }
}

#[tokio::test]
async fn an_operator_sees_every_step_and_finds_people_and_groups() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let staff = directory(&lab, &[("groups", "groups: {bases: \"ou=groups,dc=example,dc=org\"}")]);
    let steps = staff.probe(BUDGET, &soon()).await;
    let (lock_out, others) = steps.split_last().unwrap();
    assert!(others.iter().all(|step| step.outcome == Outcome::Good), "{steps:#?}");
    // The lab's policy locks after 3 and forgets only after a success.
    assert!(
        lock_out.outcome == Outcome::Warning && lock_out.found.contains("locks after 3 wrong passwords until a success"),
        "{lock_out:?}"
    );
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "resolve",
            "connect",
            "tls",
            "service account",
            "base ou=people,dc=example,dc=org",
            "base ou=guests,dc=example,dc=org",
            "base ou=groups,dc=example,dc=org",
            "users",
            "id entryUUID",
            "username uid",
            "attribute memberOf",
            "groups by memberof",
            "lock-out",
        ]
    );
    let alice = staff.find_user("alice", &soon()).await.unwrap().unwrap();
    assert_eq!(group_names(&alice), "a, b (c*) | developers");
    assert!(staff.find_user("nobody", &soon()).await.unwrap().is_none());
    for (group, expected) in [
        ("developers", true),
        ("a, b (c*)", true),
        ("admins", false),
        ("dev*", false),
        ("cn=developers,ou=groups,dc=example,dc=org", true),
        ("cn=nobody,ou=groups,dc=example,dc=org", false),
    ] {
        assert_eq!(staff.find_group(group, &soon()).await.unwrap(), expected, "{group}");
    }
    assert_eq!(lab.binds(ALICE), 0);

    // Each fault is named where it is.
    let wrong = "service_account: {dn: \"cn=narrows,ou=services,dc=example,dc=org\", password: wrong}";
    let steps = directory(&lab, &[("service_account", wrong)]).probe(BUDGET, &soon()).await;
    assert!(steps.len() == 4 && steps[3].outcome == Outcome::Wrong && steps[3].advice.is_some(), "{steps:#?}");
    let steps = directory(&lab, &[("user", "user: {bases: \"ou=nowhere,dc=example,dc=org\"}")]).probe(BUDGET, &soon()).await;
    // A base that is not there is said once.
    let wrong = steps.iter().filter(|step| step.outcome == Outcome::Wrong && step.name.starts_with("base "));
    let failed: Vec<&str> = wrong.map(|step| step.found.as_str()).collect();
    assert!(failed.len() == 1 && failed[0].contains("result code 32"), "{steps:#?}");
}

#[tokio::test]
async fn a_directory_without_the_overlay_is_told_apart() {
    let Some(lab) = Slapd::start(Options { member_of: false, tls: true }).await else { return };
    let steps = directory(&lab, &[]).probe(BUDGET, &soon()).await;
    let wrong: Vec<_> = steps.iter().filter(|step| step.outcome == Outcome::Wrong).collect();
    assert!(wrong.len() == 1 && wrong[0].advice.as_ref().is_some_and(|advice| advice.contains("overlay")), "{steps:#?}");
    let staff = directory(&lab, &[("groups", "groups: {strategy: member, bases: \"ou=groups,dc=example,dc=org\"}")]);
    assert_eq!(group_names(&identity(&staff, "alice", "secret").await), "a, b (c*) | developers");
}

#[tokio::test]
async fn a_refused_service_account_is_an_outage_and_is_left_alone() {
    let Some(lab) = Slapd::start(Options::default()).await else { return };
    let wrong = "service_account: {dn: \"cn=narrows,ou=services,dc=example,dc=org\", password: wrong}";
    let staff = directory(&lab, &[("service_account", wrong)]);
    for _ in 0..3 {
        let said = word(&staff, "alice", "secret").await;
        assert!(said.starts_with("unavailable: service account"), "{said}");
    }
    assert_eq!(lab.binds(SERVICE_DN), 1);
    assert!(matches!(staff.health(), Health::Down(why) if why.contains("service account") && why.contains("left alone")));
}

#[test]
fn the_fingerprint_changes_with_what_an_id_means() {
    let folder = tempfile::tempdir().unwrap();
    let fingerprint = |server: &str, user: &str| {
        let user = format!("user: {{{user}}}");
        directory_at(folder.path(), server, &[("allow_plaintext", "allow_plaintext: true"), ("tls", ""), ("user", &user)]).fingerprint()
    };
    let first = fingerprint("ldap://a", "bases: dc=x");
    assert_eq!(first, fingerprint("ldap://b", "bases: dc=x, id: entryuuid, filter: \"(cn={username})\""));
    assert_ne!(first, fingerprint("ldap://a", "bases: dc=y"));
    assert_ne!(first, fingerprint("ldap://a", "bases: dc=x, id: employeeNumber"));
    // Two directories may give one number to two people.
    assert_ne!(fingerprint("ldap://a", "bases: dc=x, id: employeeNumber"), fingerprint("ldap://b", "bases: dc=x, id: employeeNumber"));
}

/// What was logged, gathered.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_says_why_and_never_a_password() {
    let Some(mut lab) = Slapd::start(Options::default()).await else { return };
    let staff = directory(&lab, &[]);
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(move || writer.clone());
    let guard = tracing::subscriber::set_default(subscriber.finish());
    // With one subscriber alone, a line that a thread without one meets first is switched off for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
    for (username, password) in [("alice", "secret"), ("alice", "hunter2"), ("twin", "hunter2"), ("nobody", "hunter2")] {
        word(&staff, username, password).await;
    }
    lab.kill();
    word(&staff, "alice", "hunter2").await;
    drop(guard);

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("refused a password") && text.contains("more than one entry") && text.contains("cannot be asked"), "{text}");
    assert_eq!(text.matches("the directory cannot be asked").count(), 1, "{text}");
    assert!(!text.contains("hunter2") && !text.contains(SERVICE_PASSWORD), "{text}");
    let names = text.lines().filter(|line| line.contains("uid=") && !line.contains("DEBUG") && !line.contains("TRACE"));
    assert_eq!(names.count(), 0, "{text}");
}
