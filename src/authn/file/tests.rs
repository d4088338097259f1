//! The users file through its front door: what is read, what is refused, and what becomes of a user.

use std::time::Duration;

use super::*;
use crate::clock::Timestamp;

// As weak as a hash may be, so that many fit into a test.
pub(in crate::authn) fn cheap(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

const NOW: &str = "2026-11-24T10:00:00Z";

fn clock() -> Clock {
    Clock::fixed(Timestamp(NOW.parse::<jiff::Timestamp>().unwrap().as_second()))
}

fn names(ignore_case: bool) -> Names {
    Names { provider: Arc::from("robots"), realm: Arc::from("corp"), ignore_case }
}

struct Written {
    _folder: tempfile::TempDir,
    path: UsersPath,
}

fn yaml(text: &str) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.yaml");
    std::fs::write(&path, text).unwrap();
    Written { _folder: folder, path: UsersPath::Yaml(path) }
}

fn htpasswd(text: &str) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("htpasswd");
    std::fs::write(&path, text).unwrap();
    Written { _folder: folder, path: UsersPath::Htpasswd(path) }
}

fn load(written: &Written, patterns: &[&str], ignore_case: bool) -> Result<(Users, Diagnostics), Diagnostics> {
    let patterns = NamePatterns::new(patterns.iter().copied(), ignore_case);
    Users::load(names(ignore_case), &patterns, &written.path, Arc::new(HashPool::new()), &clock())
}

fn users(text: &str) -> Users {
    load(&yaml(text), &["*"], false).unwrap().0
}

fn from(source: Option<&str>) -> Circumstances {
    Circumstances { source: source.map(|it| it.parse().unwrap()), deadline: Instant::now() + Duration::from_mins(1) }
}

async fn verdict(users: &Users, username: &str, password: &str) -> String {
    match users.verify(username, &SecretString::from(password), &from(None), &Attempt::default()).await.unwrap() {
        Verdict::Authenticated(identity, None) => {
            format!("{} {:?}", identity.username, identity.groups.iter().map(|it| it.name.as_str()).collect::<Vec<_>>())
        }
        Verdict::Authenticated(_, Some(_)) => "a renewal".to_owned(),
        Verdict::Rejected(rejection) => rejection.as_str().to_owned(),
        Verdict::NotMine => "not mine".to_owned(),
        Verdict::Throttled(_) => "throttled".to_owned(),
    }
}

async fn identity(users: &Users, username: &str, password: &str) -> Identity {
    match users.verify(username, &SecretString::from(password), &from(None), &Attempt::default()).await.unwrap() {
        Verdict::Authenticated(identity, _) => identity,
        other @ (Verdict::Rejected(_) | Verdict::NotMine | Verdict::Throttled(_)) => panic!("{other:?}"),
    }
}

/// Summaries of what is wrong, without the folder.
fn check(written: &Written, expected: &[&str]) {
    let findings = match load(written, &["*"], false) {
        Ok((_, warnings)) => warnings,
        Err(errors) => errors,
    };
    let folder = format!("{}/", written.path.as_path().parent().unwrap().display());
    let shown: Vec<String> =
        findings.0.iter().filter(|it| !it.message.contains("cheap to guess")).map(|it| it.summary().replace(&folder, "")).collect();
    assert_eq!(shown, expected);
    assert!(findings.0.iter().all(|finding| finding.hint.is_some()), "{findings}");
    assert!(!findings.to_string().contains("hunter2"), "{findings}");
    assert!(!findings.to_string().contains("$2b$04$"), "{findings}");
}

#[tokio::test]
async fn what_is_written_is_what_counts() {
    let (first, second) = (cheap("first"), cheap("second"));
    let users = users(&format!(
        r#"users:
  - name: robot-deploy
    password: ["{first}", {{hash: "{second}", until: 2026-11-23}}]
    groups: [deployers, readers, deployers]
    source: [10.20.0.0/16]
    owner: platform@corp.example
  - {{name: once, password: "{second}"}}
  - {{name: until, password: {{hash: "{second}", until: "2026-11-24"}}}}
  - {{name: gone, password: "{first}", disabled: true}}
  - {{name: over, password: "{first}", expires: "2026-11-24T10:00:00Z"}}
"#
    ));
    for (username, password, expected) in [
        ("robot-deploy", "first", r#"robot-deploy ["deployers", "readers"]"#),
        ("robot-deploy", "second", "wrong_password"),
        ("robot-deploy", "third", "wrong_password"),
        ("Robot-deploy", "first", "not mine"),
        ("once", "second", "once []"),
        ("until", "second", "until []"),
        ("gone", "first", "disabled"),
        ("gone", "wrong", "wrong_password"),
        ("over", "first", "expired"),
        ("nobody", "first", "not mine"),
    ] {
        assert_eq!(verdict(&users, username, password).await, expected, "{username} {password}");
    }
    let remembered = identity(&users, "until", "second").await;
    assert_eq!(users.admits(&remembered, None), Ok(()));
    users.clock.advance(14 * 3600);
    assert_eq!(verdict(&users, "until", "second").await, "wrong_password", "the day is over");
    assert_eq!(users.admits(&remembered, None), Err(Rejection::Expired), "also for who was verified before");
}

#[tokio::test]
async fn an_unknown_name_costs_a_comparison_like_a_known_one() {
    let users = users(&format!("users: [{{name: a, password: \"{}\"}}]", cheap("x")));
    assert_eq!(verdict(&users, "nobody", "x").await, "not mine", "the password of somebody else proves nothing");
    assert_eq!(users.comparisons(), 1);
    assert_eq!(verdict(&users, "a", "y").await, "wrong_password");
    assert_eq!(users.comparisons(), 2);
}

#[tokio::test]
async fn a_full_queue_is_an_outage_for_known_and_unknown_names() {
    let written = yaml(&format!("users: [{{name: a, password: \"{}\"}}]", cheap("x")));
    let (patterns, nobody) = (NamePatterns::new(["*"], false), Arc::new(HashPool::sized(0, 0)));
    let users = Users::load(names(false), &patterns, &written.path, nobody, &clock()).unwrap().0;
    for username in ["a", "b"] {
        let error = users.verify(username, &SecretString::from("x"), &from(None), &Attempt::default()).await.unwrap_err();
        assert_eq!(error.to_string(), "provider `robots` cannot be asked: too many password comparisons are waiting");
        assert_eq!(error.retry_after, Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_recheck_sees_every_end() {
    let (old, new) = (cheap("old"), cheap("new"));
    let entry = |more: &str| users(&format!("users:\n  - {{name: a, {more}}}\n"));
    let before = entry(&format!("password: \"{old}\", groups: [one]"));
    let known = identity(&before, "a", "old").await;
    let standing = |users: Users| match users.recheck(&known) {
        Standing::Good(identity) => {
            assert_eq!((identity.method, identity.proven, &identity.marker), (known.method, known.proven, &known.marker));
            format!("good {:?}", identity.groups.iter().map(|it| it.name.as_str()).collect::<Vec<_>>())
        }
        Standing::Ended(reason) => reason.to_owned(),
    };
    assert_eq!(standing(before), r#"good ["one"]"#);
    assert_eq!(standing(entry(&format!("password: \"{old}\", groups: [two]"))), r#"good ["two"]"#);
    assert_eq!(standing(entry(&format!("password: [\"{new}\", \"{old}\"]"))), "good []");
    assert_eq!(standing(entry(&format!("password: \"{new}\""))), "password_changed");
    assert_eq!(standing(entry(&format!("password: [\"{new}\", {{hash: \"{old}\", until: 2026-11-23}}]"))), "password_changed");
    assert_eq!(standing(entry(&format!("password: \"{old}\", disabled: true"))), "disabled");
    assert_eq!(standing(entry(&format!("password: \"{old}\", expires: 2026-11-23"))), "expired");
    let bound = entry(&format!("password: \"{old}\", source: [10.0.0.0/8]"));
    assert_eq!(bound.admits(&known, Some("11.0.0.1".parse().unwrap())), Err(Rejection::Source));
    assert_eq!(standing(bound), "good []", "a request from elsewhere ends nobody's login");
    assert_eq!(standing(users(&format!("users: [{{name: b, password: \"{old}\"}}]"))), "gone");
    assert_eq!(standing(users("users: []")), "gone");
}

#[tokio::test]
async fn case_makes_no_difference_where_the_provider_says_so() {
    let text = format!("users:\n  - {{name: Robot, password: \"{}\", groups: [Deployers]}}\n", cheap("x"));
    let users = load(&yaml(&text), &["robot"], true).unwrap().0;
    assert!(users.has_user("ROBOT") && users.has_group("deployers") && !users.has_group("robot"));
    assert_eq!(verdict(&users, "rOBOT", "x").await, r#"Robot ["Deployers"]"#);
}

#[tokio::test]
async fn an_htpasswd_file_has_users_without_groups() {
    let hash = cheap("x");
    let text = format!("# robots\n\nalice:{hash}\r\nbob:{}\n", hash.replacen("$2b$", "$2y$", 1));
    let users = load(&htpasswd(&text), &["*"], false).unwrap().0;
    assert_eq!(verdict(&users, "alice", "x").await, "alice []");
    assert_eq!(verdict(&users, "bob", "x").await, "bob []");
    assert_eq!(verdict(&users, "bob", "y").await, "wrong_password");
}

#[test]
fn what_is_wrong_in_a_users_file_is_said_with_its_place_and_without_hashes() {
    let hash = cheap("hunter2");
    let one = |entry: &str| yaml(&format!("users:\n  - {{{}}}\n", entry.replace("HASH", &format!("\"{hash}\""))));
    check(&one("name: a, password: HASH, groups: [x]"), &[]);
    check(&one("name: a, password: hunter2"), &["users.yaml:2:25: user `a`: this is not a password hash"]);
    check(&one("name: a, password: \"$6$x$hunter2\""), &["users.yaml:2:25: user `a`: SHA-512 crypt hashes are not accepted"]);
    check(&one("name: a, password: 123456"), &["users.yaml:2:25: expected a password hash, or {hash: …, until: …}"]);
    check(&one("name: a, password: []"), &["users.yaml:2:25: user `a` has 0 password hashes"]);
    check(&one("name: a, password: [HASH, HASH, HASH]"), &["users.yaml:2:25: user `a` has 3 password hashes"]);
    check(&one("name: a, password: {hash: HASH, until: soon}"), &["users.yaml:2:25: `soon` is no date"]);
    check(&one("name: a, password: HASH, expires: 1.1.2030"), &["users.yaml:2:98: `1.1.2030` is no date"]);
    check(&one("name: a, password: HASH, source: [10.20.0.7]"), &["users.yaml:2:98: `10.20.0.7` is no network"]);
    check(&one("name: a, password: HASH, source: [10.20.0.7/16]"), &["users.yaml:2:98: `10.20.0.7/16` has bits behind its prefix"]);
    check(&one("name: a, password: HASH, source: []"), &["users.yaml:2:97: an empty `source` admits nobody"]);
    check(&one("name: a, password: HASH, groups: [\" x\"]"), &["users.yaml:2:98: ` x` is no group"]);
    check(&one("name: \"a b \", password: HASH"), &["users.yaml:2:12: `a b ` is no user name"]);
    check(&one("name: \"a:b\", password: HASH"), &["users.yaml:2:12: nobody can log in as `a:b`"]);
    check(&one("name: \"<token>\", password: HASH"), &["users.yaml:2:12: nobody can log in as `<token>`"]);
    let twice = format!("users:\n  - {{name: a, password: \"{hash}\"}}\n  - {{name: a, password: \"{hash}\"}}\n");
    check(&yaml(&twice), &["users.yaml:3:12: user `a` stands in line 2 already"]);
    let missing = yaml("users: []");
    std::fs::remove_file(missing.path.as_path()).unwrap();
    assert!(load(&missing, &["*"], false).unwrap_err().to_string().contains("cannot read the file"));
}

#[test]
fn a_parser_that_stumbles_over_a_password_does_not_show_it() {
    for text in [
        "users:\n  - name: a\n    password: [[hunter2]]\n",
        "users:\n  - name: a\n    password:\n      - hunter2\n      - {hash: hunter2, hash: hunter2}\n",
        "users:\n  - name: a\n    password:\n      - {hash: [hunter2]}\n",
        "users:\n  - name: a\n    password: {hash: {hash: hunter2, until: x}}\n",
        "users:\n  - name: a\n    passwort:\n      - hunter2\n",
        "users:\n  - name: a\n    groups: hunter2\n    password: x\n",
        "users:\n  - hunter2\n",
        "users: hunter2\n",
        "- hunter2\n",
        "users:\n  - name: a\n    disabled: hunter2\n    password: x\n",
    ] {
        let findings = load(&yaml(text), &["*"], false).unwrap_err().to_string();
        assert!(!findings.contains("hunter2"), "{findings}");
        assert!(findings.contains("users.yaml:"), "{findings}");
    }
}

#[test]
fn what_is_wrong_in_an_htpasswd_file_is_said_with_its_line() {
    let hash = cheap("hunter2");
    check(&htpasswd("alice\n"), &["htpasswd:1:1: this line is not `name:hash`"]);
    check(&htpasswd("\nalice:hunter2\n"), &["htpasswd:2:1: user `alice`: this is not a password hash"]);
    check(&htpasswd("alice:$apr1$x$hunter2\n"), &["htpasswd:1:1: user `alice`: Apache MD5 hashes are not accepted"]);
    check(&htpasswd("alice:{SHA}hunter2\n"), &["htpasswd:1:1: user `alice`: SHA-1 hashes are not accepted"]);
    check(&htpasswd("alice:$argon2id$v=19$hunter2\n"), &["htpasswd:1:1: user `alice`: an htpasswd file holds bcrypt hashes only"]);
    check(&htpasswd(&format!("alice:{hash}\nalice:{hash}\n")), &["htpasswd:2:1: user `alice` stands in line 1 already"]);
}

#[test]
fn a_user_outside_of_the_names_is_an_error_and_case_does_not_double_one() {
    let hash = cheap("x");
    let text = format!("users:\n  - {{name: robot-a, password: \"{hash}\"}}\n  - {{name: alice, password: \"{hash}\"}}\n");
    let finding = load(&yaml(&text), &["robot-*"], false).unwrap_err().first().unwrap().clone();
    assert_eq!(finding.message, "user `alice` is outside the `names` of provider `robots`");
    let text = format!("users:\n  - {{name: robot, password: \"{hash}\"}}\n  - {{name: Robot, password: \"{hash}\"}}\n");
    assert!(load(&yaml(&text), &["*"], false).is_ok());
    let finding = load(&yaml(&text), &["*"], true).unwrap_err().first().unwrap().clone();
    assert_eq!(finding.message, "user `Robot` stands in line 2 already");
}

#[test]
fn a_weak_hash_is_warned_about() {
    let (_, warnings) = load(&yaml(&format!("users: [{{name: a, password: \"{}\"}}]", cheap("x"))), &["*"], false).unwrap();
    assert_eq!(warnings.first().unwrap().message, "the password hash of `a` is cheap to guess from a stolen copy");
}

#[test]
fn nothing_that_is_shown_holds_a_hash() {
    let users = users(&format!("users: [{{name: a, password: \"{}\"}}]", cheap("x")));
    assert!(!format!("{users:?}{:?}", users.by_name).contains("$2"), "{users:?}");
}
