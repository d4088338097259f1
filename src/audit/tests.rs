//! What the lines of the audit look like, and that no text breaks one.

use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;
use crate::authn::identity::Method;
use crate::clock::Timestamp;
use crate::source::Located;

#[expect(clippy::unnecessary_wraps, reason = "the fields are optional")]
fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn event() -> AuditEvent {
    AuditEvent {
        time: Timestamp(1_700_000_000),
        request_id: "r1".to_owned(),
        outcome: Outcome::Narrowed,
        client: "192.0.2.7".to_owned(),
        client_trusted: true,
        service: text("registry.example"),
        realm: text("corp"),
        provider: text("staff"),
        subject: text("alice"),
        username: text("alice"),
        proof: Some(Proof { how: Method::Password, at: Timestamp(1_699_999_999) }),
        cached: true,
        stale: None,
        requested: vec!["repository:team/app:pull,push".to_owned()],
        granted: vec!["repository:team/app:pull".to_owned()],
        refused: vec![RefusedAction { scope: "repository:team/app".to_owned(), action: "push".to_owned(), by: "no rule".to_owned() }],
        rules: vec!["readers (rules.yaml:4)".to_owned()],
        notes: vec![],
        generation: 3,
        jti: text("t1"),
        latency_us: 812,
        reason: None,
    }
}

fn unknown() -> AuditEvent {
    AuditEvent {
        outcome: Outcome::Rejected,
        client_trusted: false,
        realm: None,
        provider: None,
        subject: None,
        proof: None,
        cached: false,
        requested: vec![],
        granted: vec![],
        refused: vec![],
        rules: vec![],
        jti: None,
        reason: text("unknown"),
        notes: vec!["one scope was dropped".to_owned()],
        ..event()
    }
}

#[test]
fn a_line_has_the_fields_in_their_order() {
    assert_eq!(
        line::line(&event()),
        "{\"time\":\"2023-11-14T22:13:20Z\",\"request_id\":\"r1\",\"outcome\":\"narrowed\",\"client\":\"192.0.2.7\",\
         \"service\":\"registry.example\",\"realm\":\"corp\",\"provider\":\"staff\",\"subject\":\"alice\",\"username\":\"alice\",\
         \"proof\":{\"how\":\"password\",\"at\":\"2023-11-14T22:13:19Z\"},\"cached\":true,\
         \"requested\":[\"repository:team/app:pull,push\"],\"granted\":[\"repository:team/app:pull\"],\
         \"refused\":[{\"scope\":\"repository:team/app\",\"action\":\"push\",\"by\":\"no rule\"}],\"rules\":[\"readers (rules.yaml:4)\"],\
         \"generation\":3,\"jti\":\"t1\",\"latency_us\":812,\"client_trusted\":true}\n"
    );
    assert_eq!(
        line::line(&unknown()),
        "{\"time\":\"2023-11-14T22:13:20Z\",\"request_id\":\"r1\",\"outcome\":\"rejected\",\"client\":\"192.0.2.7\",\
         \"service\":\"registry.example\",\"realm\":null,\"provider\":null,\"subject\":null,\"username\":\"alice\",\"proof\":null,\
         \"cached\":false,\"requested\":[],\"granted\":[],\"refused\":[],\"rules\":[],\"generation\":3,\"jti\":null,\"latency_us\":812,\
         \"client_trusted\":false,\"reason\":\"unknown\",\"notes\":[\"one scope was dropped\"]}\n"
    );
}

/// One event a case, as docs/audit.md shows them.
fn documented() -> [AuditEvent; 8] {
    let anonymous = AuditEvent { cached: false, ..unknown() };
    let granted = AuditEvent {
        outcome: Outcome::Granted,
        requested: vec!["repository:team/app:pull".to_owned()],
        refused: vec![],
        cached: false,
        proof: Some(Proof { how: Method::IdentityToken, at: Timestamp(1_699_900_000) }),
        ..event()
    };
    let refused =
        RefusedAction { scope: "repository:prod/app".to_owned(), action: "push".to_owned(), by: "freeze (rules.yaml:12)".to_owned() };
    let empty = AuditEvent {
        outcome: Outcome::Empty,
        requested: vec!["repository:prod/app:push".to_owned()],
        granted: vec![],
        refused: vec![refused],
        rules: vec![],
        ..event()
    };
    let by_stale = RefusedAction { by: "stale".to_owned(), ..event().refused.remove(0) };
    let stale = AuditEvent { refused: vec![by_stale], stale: Some(Timestamp(1_699_999_400)), ..event() };
    let rejected = AuditEvent { username: text("hmac:5f0c9a4be1d27c3388ab41f2"), client_trusted: true, notes: vec![], ..anonymous.clone() };
    let unavailable = AuditEvent { outcome: Outcome::Unavailable, reason: text("connect"), provider: text("staff"), ..rejected.clone() };
    let throttled = AuditEvent { outcome: Outcome::Throttled, reason: text("comparisons"), ..rejected.clone() };
    let invalid = AuditEvent {
        outcome: Outcome::Invalid,
        service: text("other.example"),
        username: None,
        reason: text("unknown_service"),
        ..rejected.clone()
    };
    [granted, event(), empty, stale, rejected, unavailable, throttled, invalid]
}

#[test]
fn the_examples_of_the_documentation_are_real_lines() {
    let page = include_str!("../../docs/audit.md");
    let shown: Vec<&str> = page.lines().filter(|line| line.starts_with("{\"time\"")).collect();
    let real: Vec<String> = documented().iter().map(|event| line::line(event).trim_end().to_owned()).collect();
    assert_eq!(shown, real);
}

#[test]
fn a_long_event_is_cut_at_its_lists_and_says_by_how_much() {
    let scopes: Vec<String> = (0..100).map(|number| format!("repository:{}/{number}:pull,push", "team".repeat(50))).collect();
    let refusal = |scope: &String| RefusedAction { scope: scope.clone(), action: "push".to_owned(), by: "no rule".to_owned() };
    let event = AuditEvent { refused: scopes.iter().map(refusal).collect(), requested: scopes.clone(), granted: scopes, ..event() };
    let line = line::line(&event);
    assert!(line.len() <= line::LIMIT && line.len() > 7000, "{}", line.len());
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    for list in ["requested", "granted"] {
        let items = json[list].as_array().unwrap();
        assert_eq!(items.last().unwrap(), &format!("+{} more", 101 - items.len()), "{list}");
        assert!(items.len() > 5, "{list}");
    }
    let refused = json["refused"].as_array().unwrap();
    assert_eq!(refused.last().unwrap()["scope"], format!("+{} more", 101 - refused.len()));
    assert_eq!(json["rules"].as_array().unwrap().len(), 1, "a short list stays whole");
}

#[test]
fn nothing_in_a_line_moves_a_cursor_or_turns_text() {
    let hostile = "\u{202e}\u{1b}[2J\n{\"outcome\":\"granted\"}\u{2028}\r\u{7f}\u{200f}";
    let event = AuditEvent { username: text(hostile), requested: vec![hostile.to_owned()], reason: text(hostile), ..event() };
    let line = line::line(&event);
    assert!(line.trim_end().chars().all(|character| character == ' ' || character.is_ascii_graphic()), "{line}");
    assert_eq!(line.lines().count(), 1);
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["username"], hostile);
    assert_eq!(json["outcome"], "narrowed");
}

fn strings() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("(?s).{0,700}", 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_event_is_one_line_of_json_within_the_limit(
        words in proptest::collection::vec(proptest::option::of("(?s).{0,2000}"), 8..9),
        lists in proptest::collection::vec(strings(), 4..5),
        numbers in any::<(u64, u64, i64, bool)>(),
    ) {
        let mut words = words.into_iter();
        let mut lists = lists.into_iter();
        let mut word = || words.next().flatten();
        let mut list = || lists.next().unwrap_or_default();
        let refused = list().into_iter().map(|text| RefusedAction { scope: text.clone(), action: text.clone(), by: text }).collect();
        let event = AuditEvent {
            time: Timestamp(numbers.2),
            request_id: word().unwrap_or_default(),
            service: word(), realm: word(), provider: word(), subject: word(), username: word(), jti: word(), reason: word(),
            client: "\u{1}".repeat(9000),
            requested: list(), granted: list(), rules: vec!["\u{202e}".repeat(300); 30], notes: list(),
            refused,
            generation: numbers.0, latency_us: numbers.1, cached: numbers.3,
            ..event()
        };
        let line = line::line(&event);
        prop_assert!(line.len() <= line::LIMIT, "{}", line.len());
        prop_assert!(line.ends_with('\n') && !line.trim_end_matches('\n').contains(char::is_control));
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert!(json.as_object().is_some_and(|object| object.len() >= 19));
    }
}

struct Scene {
    folder: tempfile::TempDir,
    key: StateKey,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = StateKey::open_or_create(&folder.path().join("state.key")).unwrap();
        Self { folder, key }
    }
    fn open(&self) -> Result<Audit, AuditError> {
        Audit::open(&AuditSettings::File(Located::nowhere("audit.jsonl".into())), self.folder.path(), &self.key)
    }
    fn lines(&self, name: &str) -> usize {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap().lines().count()
    }
}

#[test]
fn lines_are_appended_and_survive_a_rotation() {
    let scene = Scene::new();
    let audit = scene.open().unwrap();
    audit.write(&event()).unwrap();
    drop(audit);
    let audit = scene.open().unwrap();
    audit.write(&event()).unwrap();
    assert_eq!(scene.lines("audit.jsonl"), 2);
    std::fs::rename(scene.folder.path().join("audit.jsonl"), scene.folder.path().join("audit.1")).unwrap();
    audit.write(&event()).unwrap();
    audit.reopen().unwrap();
    audit.write(&event()).unwrap();
    assert_eq!((scene.lines("audit.1"), scene.lines("audit.jsonl")), (3, 1));
}

#[test]
fn many_threads_write_whole_lines() {
    let scene = Scene::new();
    let (one, two) = (scene.open().unwrap(), scene.open().unwrap());
    std::thread::scope(|scope| {
        for audit in [&one, &two, &one, &two] {
            scope.spawn(|| (0..200).for_each(|_| audit.write(&event()).unwrap()));
        }
    });
    let content = std::fs::read_to_string(scene.folder.path().join("audit.jsonl")).unwrap();
    assert_eq!(content.lines().count(), 800);
    assert!(content.lines().all(|found| format!("{found}\n") == line::line(&event())));
}

#[test]
fn the_file_is_kept_from_others() {
    let scene = Scene::new();
    let path = scene.folder.path().join("audit.jsonl");
    scene.open().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for (mode, good) in [(0o640, true), (0o644, false), (0o660, false), (0o602, false)] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(scene.open().is_ok(), good, "{mode:o}");
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(scene.open(), Err(AuditError::NotAFile(_))));
}

#[test]
fn a_rotation_that_fails_keeps_the_old_file() {
    let scene = Scene::new();
    let audit = scene.open().unwrap();
    std::fs::rename(scene.folder.path().join("audit.jsonl"), scene.folder.path().join("audit.1")).unwrap();
    std::fs::create_dir(scene.folder.path().join("audit.jsonl")).unwrap();
    assert!(audit.reopen().is_err());
    audit.write(&event()).unwrap();
    assert_eq!(scene.lines("audit.1"), 1);
}

#[test]
fn unknown_names_are_told_apart_and_not_told() {
    let scene = Scene::new();
    let audit = scene.open().unwrap();
    let concealed = audit.conceal("hunter2");
    assert_eq!(concealed, scene.open().unwrap().conceal("hunter2"));
    assert_ne!(concealed, audit.conceal("hunter3"));
    assert_eq!(concealed.len(), 29);
    assert!(concealed.starts_with("hmac:") && !concealed.contains("hunter"));
    assert_ne!(concealed, Scene::new().open().unwrap().conceal("hunter2"));
}
