//! granted = requested ∩ permitted, through the whole program: random rules, people and scopes, by GET and by POST,
//! against a model that shares no code with the product.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http_body_util::BodyExt as _;
use narrows::app::{App, Reread};
use narrows::clock::Clock;
use narrows::metrics::Exporter;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tower::ServiceExt as _;

const PASSWORD: &str = "a right password";
/// Each with the groups of the users file.
const PEOPLE: [(&str, &[&str]); 3] =
    [("alice", &["registry-payments", "registry-users", "auditors"]), ("bob", &[]), ("c.d", &["registry-a", "registry-*", "registry-b/c"])];
const RESERVED: [&str; 2] = ["users", "x.y"];
const SEGMENTS: [&str; 7] = ["a", "b", "payments", "alice", "users", "x.y", "a-b"];
const ACTIONS: [&str; 3] = ["pull", "push", "delete"];

#[derive(Clone, Debug)]
enum Who {
    Anyone,
    Authenticated,
    User(&'static str),
    Group(&'static str),
}

#[derive(Clone, Debug)]
struct Rule {
    who: Who,
    deny: bool,
    actions: Vec<&'static str>,
    repository: Vec<String>,
    except: Option<Who>,
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        Just(Who::Anyone),
        Just(Who::Authenticated),
        prop::sample::select(vec!["alice", "b*", "c.d", "*", "nobody"]).prop_map(Who::User),
        prop::sample::select(vec!["auditors", "registry-{team}", "registry-*", "none"]).prop_map(Who::Group),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let segment = prop_oneof![
        6 => prop::sample::select(SEGMENTS.to_vec()),
        2 => Just("*"),
        2 => Just("**"),
        1 => Just("a*"),
        1 => Just("{user}"),
        1 => Just("{team}"),
    ];
    let except = prop_oneof![
        3 => Just(None),
        1 => prop::sample::select(vec!["alice", "b*"]).prop_map(|user| Some(Who::User(user))),
        1 => Just(Some(Who::Group("auditors"))),
    ];
    (
        who(),
        any::<bool>(),
        prop::collection::btree_set(prop::sample::select(ACTIONS.to_vec()), 1..4),
        prop::collection::vec(segment, 1..4),
        except,
    )
        .prop_map(|(who, deny, actions, segments, except)| {
            let team = matches!(who, Who::Group(group) if group.contains("{team}"));
            let named = !matches!(who, Who::Anyone);
            let replaced = segments.into_iter().map(|segment| match segment {
                "{team}" if !team => "*".to_owned(),
                "{user}" if !named => "alice".to_owned(),
                other => other.to_owned(),
            });
            let mut repository: Vec<String> = replaced.collect();
            if team && !repository.iter().any(|segment| segment == "{team}") {
                // A capture that nothing uses would be a finding of its own.
                repository[0] = "{team}".to_owned();
            }
            Rule { who, deny, actions: actions.into_iter().collect(), repository, except }
        })
}

fn as_yaml(rules: &[Rule]) -> String {
    let principal = |who: &Who| match who {
        Who::Anyone => "anyone".to_owned(),
        Who::Authenticated => "authenticated".to_owned(),
        Who::User(user) => format!("{{user: \"{user}\"}}"),
        Who::Group(group) => format!("{{group: \"{group}\"}}"),
    };
    // An empty `rules:` is a null, which is refused.
    let list = if rules.is_empty() { " []" } else { "" };
    let mut text = format!("version: 1\nreserved: [users, x.y]\nrules:{list}\n");
    for rule in rules {
        let word = if rule.deny { "deny" } else { "allow" };
        let (who, actions, repository) = (principal(&rule.who), rule.actions.join(", "), rule.repository.join("/"));
        writeln!(text, "  - to: {who}\n    {word}: [{actions}]\n    repository: \"{repository}\"").unwrap();
        if let Some(except) = &rule.except {
            writeln!(text, "    except: {}", principal(except)).unwrap();
        }
    }
    text
}

/// `*` within one segment, byte by byte; the alphabet of these tests is ASCII.
fn glob(pattern: &str, text: &str) -> bool {
    fn bytes(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], [_, tail @ ..]) => bytes(rest, tail) || bytes(pattern, tail),
            ([wanted, rest @ ..], [first, tail @ ..]) => wanted == first && bytes(rest, tail),
            _ => false,
        }
    }
    bytes(pattern.as_bytes(), text.as_bytes())
}

/// What a segment of a pattern stands for once names were put in: a name is never a pattern.
enum Piece {
    Literal(String),
    Glob(String),
    Any,
}

fn path(pattern: &[Piece], segments: &[&str]) -> bool {
    match (pattern, segments) {
        ([], []) => true,
        ([Piece::Any, rest @ ..], _) => path(rest, segments) || (!segments.is_empty() && path(pattern, &segments[1..])),
        ([Piece::Literal(wanted), rest @ ..], [first, tail @ ..]) => wanted == first && path(rest, tail),
        ([Piece::Glob(wanted), rest @ ..], [first, tail @ ..]) => glob(wanted, first) && path(rest, tail),
        _ => false,
    }
}

fn component(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-') && !text.contains("..")
}

fn is(who: &Who, person: Option<&(&str, &[&str])>) -> bool {
    match (who, person) {
        (Who::Anyone, _) | (Who::Authenticated, Some(_)) => true,
        (Who::User(wanted), Some((name, _))) => glob(wanted, name),
        (Who::Group(wanted), Some((_, groups))) => {
            groups.iter().any(|group| !group.contains('/') && glob(&wanted.replace("{team}", "*"), group))
        }
        (_, None) => false,
    }
}

/// Every way to fill in the names of a rule for a person.
fn fillings(rule: &Rule, person: Option<&(&str, &[&str])>) -> Vec<(Option<String>, Option<String>)> {
    let user = person.map(|(name, _)| (*name).to_owned());
    match (&rule.who, person) {
        (Who::Group("registry-{team}"), Some((_, groups))) => {
            groups.iter().filter_map(|group| group.strip_prefix("registry-")).map(|team| (user.clone(), Some(team.to_owned()))).collect()
        }
        _ => vec![(user, None)],
    }
}

fn reaches(rule: &Rule, person: Option<&(&str, &[&str])>, repository: &str) -> bool {
    if !is(&rule.who, person) || rule.except.as_ref().is_some_and(|except| is(except, person)) {
        return false;
    }
    let segments: Vec<_> = repository.split('/').collect();
    fillings(rule, person).into_iter().any(|(user, team)| {
        let mut pieces = Vec::new();
        for (index, segment) in rule.repository.iter().enumerate() {
            let value = match segment.as_str() {
                "{user}" => user.clone(),
                "{team}" => team.clone(),
                "**" => {
                    pieces.push(Piece::Any);
                    continue;
                }
                other => {
                    pieces.push(Piece::Glob(other.to_owned()));
                    continue;
                }
            };
            // `**` may stand for nothing, so what comes after it alone may be the first segment.
            let opens = rule.repository[..index].iter().all(|before| before == "**");
            match value {
                Some(value) if component(&value) && !(opens && RESERVED.contains(&value.as_str())) => {
                    pieces.push(Piece::Literal(value));
                }
                _ => return false,
            }
        }
        path(&pieces, &segments)
    })
}

fn permitted(rules: &[Rule], person: Option<&(&str, &[&str])>, repository: &str) -> BTreeSet<&'static str> {
    let sum = |deny: bool| -> BTreeSet<_> {
        rules.iter().filter(|rule| rule.deny == deny && reaches(rule, person, repository)).flat_map(|rule| rule.actions.clone()).collect()
    };
    sum(false).difference(&sum(true)).copied().collect()
}

type Access = BTreeMap<String, BTreeSet<String>>;

fn expected(rules: &[Rule], person: Option<&(&str, &[&str])>, scopes: &[(String, Vec<&'static str>)]) -> Access {
    let mut access = Access::new();
    for (repository, actions) in scopes {
        let may = permitted(rules, person, repository);
        for action in may.into_iter().filter(|action| actions.contains(action) || actions.contains(&"*")) {
            access.entry(repository.clone()).or_default().insert(action.to_owned());
        }
    }
    access
}

struct Bridge {
    app: Arc<App>,
    folder: tempfile::TempDir,
}

impl Bridge {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hash = bcrypt::hash(PASSWORD, 4).unwrap();
        let mut users = "users:\n".to_owned();
        for (name, groups) in PEOPLE {
            let groups: Vec<_> = groups.iter().map(|group| format!("\"{group}\"")).collect();
            writeln!(users, "  - {{name: {name}, password: \"{hash}\", groups: [{}]}}", groups.join(", ")).unwrap();
        }
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("users.yaml", &users);
        write("rules.yaml", "version: 1\nrules: []\n");
        write(
            "narrows.yaml",
            "services: [{name: reg}]\nsigning: {create: true}\nrules: rules.yaml\nproviders: [{name: people, file: {path: users.yaml}}]\naudit: {file: audit.jsonl}\n",
        );
        let (config, _) = narrows::config::load(&folder.path().join("narrows.yaml")).unwrap_or_else(|findings| panic!("{findings}"));
        let app = App::start(config, Clock::system(), Exporter::install().unwrap()).await.unwrap();
        Self { app: Arc::new(app), folder }
    }

    async fn load(&self, rules: &str) {
        std::fs::write(self.folder.path().join("rules.yaml"), rules).unwrap();
        let candidate = self.app.prepare(Reread::default()).unwrap_or_else(|findings| panic!("{rules}\n{findings}"));
        self.app.adopt(candidate).await;
    }

    /// The `access` of the token, or nothing for a 401.
    async fn ask(&self, request: Request<Body>) -> Option<Access> {
        let response = narrows::http::router(Arc::clone(&self.app), narrows::http::Limits::default()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        if status == 401 {
            return None;
        }
        assert_eq!(status, 200, "{body:?}");
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let payload = BASE64URL_NOPAD.decode(answer["token"].as_str().unwrap().split('.').nth(1).unwrap().as_bytes()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        let mut access = Access::new();
        for entry in claims["access"].as_array().unwrap() {
            assert_eq!(entry["type"], "repository");
            let actions: BTreeSet<_> =
                entry["actions"].as_array().unwrap().iter().map(|action| action.as_str().unwrap().to_owned()).collect();
            assert!(access.insert(entry["name"].as_str().unwrap().to_owned(), actions).is_none(), "a name stands twice");
        }
        Some(access)
    }
}

fn get(person: Option<&(&str, &[&str])>, scopes: &[String]) -> Request<Body> {
    let query: Vec<_> = scopes.iter().map(|scope| format!("scope={}", scope.replace('*', "%2A"))).collect();
    let request = Request::get(format!("/token?service=reg&{}", query.join("&")));
    let request = match person {
        Some((name, _)) => request.header("authorization", format!("Basic {}", BASE64.encode(format!("{name}:{PASSWORD}").as_bytes()))),
        None => request,
    };
    with_peer(request.body(Body::empty()).unwrap())
}

fn post(name: &str, scopes: &[String]) -> Request<Body> {
    let password = PASSWORD.replace(' ', "+");
    let body = format!("grant_type=password&client_id=test&service=reg&username={name}&password={password}&scope={}", scopes.join("+"));
    let request = Request::post("/token").header("content-type", "application/x-www-form-urlencoded");
    with_peer(request.body(Body::from(body)).unwrap())
}

fn with_peer(mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(narrows::http::Peer(([127, 0, 0, 1], 40_000).into()));
    request
}

#[test]
fn what_is_granted_is_what_is_asked_for_and_permitted_by_get_and_by_post() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let bridge = runtime.block_on(Bridge::start());
    let name = prop::collection::vec(prop::sample::select(SEGMENTS.to_vec()), 1..4).prop_map(|segments| segments.join("/"));
    let scope = (name, prop::collection::vec(prop::sample::select(vec!["pull", "push", "delete", "*"]), 1..4));
    let case = (prop::collection::vec(rule(), 0..6), prop::collection::vec(scope, 0..5), 0_usize..4);
    let mut runner = TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&case, |(rules, scopes, person)| {
        let person = PEOPLE.get(person);
        let text = as_yaml(&rules);
        let want = expected(&rules, person, &scopes);
        let items: Vec<_> = scopes.iter().map(|(name, actions)| format!("repository:{name}:{}", actions.join(","))).collect();
        let reversed: Vec<_> = scopes
            .iter()
            .rev()
            .map(|(name, actions)| format!("repository:{name}:{}", actions.iter().rev().copied().collect::<Vec<_>>().join(",")))
            .collect();
        runtime.block_on(async {
            bridge.load(&text).await;
            let by_get = bridge.ask(get(person, &items)).await;
            let turned = bridge.ask(get(person, &reversed)).await;
            // Somebody who is known always gets a token; nobody in particular gets one for something.
            let want = (person.is_some() || !want.is_empty()).then_some(want);
            prop_assert_eq!(&by_get, &want, "{}", text);
            prop_assert_eq!(&turned, &want, "reversed: {}", text);
            if let Some((name, _)) = person {
                let by_post = bridge.ask(post(name, &items)).await;
                prop_assert_eq!(&by_post, &want, "POST: {}", text);
            }
            Ok(())
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
