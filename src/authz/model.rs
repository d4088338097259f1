//! Holds `decide` against a second reading of docs/rules.md: naive, slow, and sharing no matching code with the first.

mod dense;
mod laws;
mod reading;

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use reading::permitted;

use super::cases::{context, example_realms};
use super::{Decision, Policy};
use crate::authn::identity::{Group, Identity, IdentityClaims, Kind, Method, Principal, SecondFactor};
use crate::clock::Timestamp;
use crate::registry::{Action, ActionSet, Resource, ResourceScope};
use crate::source::SourceFile;

const RESERVED: [&str; 3] = ["base", "users", "ab"];
/// DNs, and which of them are the same.
const DNS: [(&str, u8); 6] = [
    ("CN=web,OU=Teams,DC=corp", 1),
    ("cn=WEB, ou=teams , dc=corp", 1),
    ("CN=web,DC=corp", 2),
    ("CN=web\\,OU\\=Teams,DC=corp", 3),
    ("CN=a  b,DC=corp", 4),
    ("cn=A b,dc=corp", 4),
];
/// `ops` is an alias of these.
const ALIASED: [&str; 2] = ["gg-ops", "CN=a b,DC=corp"];

type Words = &'static [&'static str];

#[derive(Clone, Debug)]
struct Line {
    allow: bool,
    words: Vec<&'static str>,
    to: To,
    repository: Vec<&'static str>,
    except: Vec<Except>,
}

#[derive(Clone, Debug)]
enum To {
    Word(&'static str),
    Maps(Vec<Map>),
}

#[derive(Clone, Debug, Default)]
struct Map {
    user: Vec<&'static str>,
    group: Vec<&'static str>,
    realm: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct Except {
    map: Option<Map>,
    repository: Vec<&'static str>,
}

#[derive(Clone, Debug)]
struct Asker {
    realm: &'static str,
    user: &'static str,
    workload: bool,
    groups: Vec<(&'static str, Option<usize>)>,
}

impl Map {
    fn json(&self) -> serde_json::Map<String, Value> {
        let mut map = serde_json::Map::new();
        if !self.user.is_empty() {
            map.insert("user".to_owned(), json!(self.user));
        }
        if !self.group.is_empty() {
            map.insert("group".to_owned(), json!(self.group));
        }
        if let Some(realm) = self.realm {
            map.insert("realm".to_owned(), json!(realm));
        }
        map
    }
}

impl Line {
    fn json(&self) -> Value {
        let to = match &self.to {
            To::Word(word) => json!(word),
            To::Maps(maps) => maps.iter().map(|map| Value::Object(map.json())).collect(),
        };
        let mut line = json!({"to": to});
        if !self.repository.is_empty() {
            line["repository"] = json!(self.repository);
        }
        line[if self.allow { "allow" } else { "deny" }] = json!(self.words);
        if !self.except.is_empty() {
            let except = self.except.iter().map(|except| {
                let mut map = except.map.as_ref().map(Map::json).unwrap_or_default();
                if !except.repository.is_empty() {
                    map.insert("repository".to_owned(), json!(except.repository));
                }
                Value::Object(map)
            });
            line["except"] = except.collect();
        }
        line
    }
}

fn document(lines: &[Line]) -> Value {
    let rules: Vec<Value> = lines.iter().map(Line::json).collect();
    json!({"version": 1, "realm": "corp", "reserved": RESERVED, "groups": {"ops": ALIASED}, "rules": rules})
}

fn compile(lines: &[Line]) -> Policy {
    compiled(&document(lines))
}

fn compiled(document: &Value) -> Policy {
    // JSON is YAML.
    match Policy::compile(&SourceFile::new("model.yaml", document.to_string()), &example_realms()) {
        Ok((policy, _)) => policy,
        Err(findings) => panic!("{findings}"),
    }
}

fn principal(asker: Option<&Asker>) -> Principal {
    let Some(asker) = asker else { return Principal::Anonymous };
    let groups = asker.groups.iter().map(|(name, dn)| Group { dn: dn.map(|index| DNS[index].0.to_owned()), ..Group::named(*name) });
    Principal::Identified(Arc::new(Identity {
        realm: asker.realm.into(),
        provider: if asker.realm == "corp" { "staff".into() } else { asker.realm.into() },
        id: "1".to_owned(),
        username: asker.user.to_owned(),
        groups: groups.collect(),
        kind: if asker.workload { Kind::Workload } else { Kind::Person },
        method: Method::Password,
        proven: Timestamp(0),
        marker: None,
        claims: IdentityClaims::new(),
        second_factor: SecondFactor::Unknown,
    }))
}

const USERS: Words =
    &["alice", "Alice", "bob", "*", "**", "..", "a/b", "base", "users", "svc-web", "svc-Base", "ops", "CN=web,DC=corp", "{user}", ""];
const GROUPS: Words = &[
    "dev",
    "DEV",
    "registry-web",
    "Registry-Web",
    "registry-base",
    "registry-*",
    "registry-**",
    "registry-..",
    "registry-a/b",
    "registry-",
    "REG_web_owner",
    "reg_data_sci_viewer",
    "REG_a_owner_owner",
    "REG_web_king",
    "t-a-b",
    "t-a-b-c",
    "t-base-a-b",
    "t--a",
    "ops",
    "OPS",
    "gg-ops",
    "GG-OPS",
    "x,y=z",
    "{team}",
    "lead-web",
];
const NAMES: Words = &[
    "web",
    "web/app",
    "web/app/deep",
    "base",
    "base/web",
    "users/alice",
    "users/alice/x",
    "users/bob",
    "a/b",
    "a/b-c",
    "a-b/c",
    "data_sci/x",
    "data/x",
    "a/x",
    "a_owner/x",
    "x/web",
    "web-x/a",
    "x/y/web",
    "base-a/b",
    "alice/x",
    "svc-web/a",
];

/// Patterns of groups and users that bind the same captures, with words and repositories that may use them.
struct Shape {
    groups: Words,
    users: Words,
    words: Words,
    repositories: Words,
    /// For exceptions: they may bind `{team}` themselves, or use what the rule has bound.
    except_groups: Words,
    except_repositories: Words,
}

const SHAPES: [Shape; 5] = [
    Shape {
        groups: &["dev", "ops", "gg-ops", "re*", "t-*", "CN=web,OU=Teams,DC=corp", "CN=web,DC=corp"],
        users: &["alice", "Bob", "a*", "svc-*"],
        words: &["pull", "push", "delete", "viewer", "owner"],
        repositories: &["web/**", "**", "*/app", "web/*/**", "users/{user}/**", "{user}/**", "**/web", "a/b*", "base"],
        except_groups: &["dev", "registry-{team}"],
        except_repositories: &["web/app", "{user}/x", "users/{user}"],
    },
    Shape {
        groups: &["registry-{team}", "lead-{team}", "{team}", "*-{team}"],
        users: &["svc-{team}"],
        words: &["pull", "push", "contributor"],
        repositories: &["{team}/**", "x/{team}", "{team}-x/*", "**/{team}", "*/*/{team}", "b*{team}"],
        except_groups: &["lead-{team}", "dev"],
        except_repositories: &["{team}/app", "web/**"],
    },
    Shape {
        groups: &["REG_{team}_{role}"],
        users: &[],
        words: &["{role}"],
        repositories: &["{team}/**"],
        except_groups: &["dev", "registry-{team}"],
        except_repositories: &["{team}/x", "a/**"],
    },
    Shape {
        groups: &["t-{a}-{b}", "{a}-{b}"],
        users: &[],
        words: &["owner", "pull"],
        repositories: &["{a}/{b}", "{a}/**", "x/{b}/**"],
        except_groups: &["registry-{b}", "t-{c}-{b}"],
        except_repositories: &["{a}/b-c", "a/{b}"],
    },
    Shape {
        groups: &[],
        users: &[],
        words: &["pull", "push", "delete"],
        repositories: &["web/**", "**", "users/{user}/**", "a/*"],
        except_groups: &["dev", "t-{a}-{b}"],
        except_repositories: &["web/app", "{user}/**"],
    },
];

fn some(words: Words) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(words, 1..=words.len().min(2)).prop_shuffle()
}

fn realm() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![3 => Just(None), 1 => Just(Some("corp")), 1 => Just(Some("robots"))]
}

fn line() -> impl Strategy<Value = Line> {
    (0..SHAPES.len()).prop_flat_map(|index| {
        let shape = &SHAPES[index];
        let by_group = move || (some(shape.groups), realm()).prop_map(|(group, realm)| Map { group, realm, user: Vec::new() });
        let to = if shape.groups.is_empty() {
            prop_oneof![Just(To::Word("anyone")), Just(To::Word("authenticated"))].boxed()
        } else if shape.users.is_empty() {
            proptest::collection::vec(by_group(), 1..3).prop_map(To::Maps).boxed()
        } else {
            let by_user = (some(shape.users), realm()).prop_map(|(user, realm)| Map { user, realm, group: Vec::new() });
            proptest::collection::vec(prop_oneof![3 => by_group(), 1 => by_user], 1..3).prop_map(To::Maps).boxed()
        };
        let who = (some(shape.except_groups), realm()).prop_map(|(group, realm)| {
            // Alternatives of one map have to bind the same captures.
            Map { group: group.into_iter().take(1).collect(), realm, user: Vec::new() }
        });
        let except = (proptest::option::of(who), proptest::option::of(some(shape.except_repositories))).prop_filter_map(
            "empty",
            |(map, repository)| {
                let repository = repository.unwrap_or_default();
                (map.is_some() || !repository.is_empty()).then_some(Except { map, repository })
            },
        );
        (any::<bool>(), some(shape.words), to, some(shape.repositories), proptest::collection::vec(except, 0..2))
            .prop_map(|(allow, words, to, repository, except)| Line { allow, words, to, repository, except })
    })
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    proptest::collection::vec(line(), 0..7)
}

fn asker() -> impl Strategy<Value = Option<Asker>> {
    let group = (proptest::sample::select(GROUPS), proptest::option::of(0..DNS.len()));
    let asker = (
        prop_oneof![3 => Just("corp"), 1 => Just("robots")],
        proptest::sample::select(USERS),
        proptest::bool::weighted(0.1),
        proptest::collection::vec(group, 0..4),
    );
    proptest::option::weighted(0.95, asker.prop_map(|(realm, user, workload, groups)| Asker { realm, user, workload, groups }))
}

fn scopes() -> Vec<ResourceScope> {
    let asked = [
        ActionSet::REPOSITORY,
        ActionSet::from(Action::All),
        ActionSet::from(Action::Pull),
        [Action::Push, Action::Delete].into_iter().collect(),
    ];
    let named = NAMES.iter().enumerate();
    named
        .map(|(index, name)| ResourceScope { resource: Resource::Repository(name.parse().unwrap()), actions: asked[index % asked.len()] })
        .collect()
}

fn granted(decision: &Decision) -> Vec<ActionSet> {
    decision.grants.iter().map(|grant| grant.granted).collect()
}

fn decided(lines: &[Line], asker: Option<&Asker>) -> Vec<ActionSet> {
    granted(&compile(lines).decide(&principal(asker), &scopes(), &context()))
}

fn turned(mut lines: Vec<Line>) -> Vec<Line> {
    lines.reverse();
    for line in &mut lines {
        line.words.reverse();
        line.repository.reverse();
        line.except.reverse();
        if let To::Maps(maps) = &mut line.to {
            maps.reverse();
            for map in maps {
                map.group.reverse();
                map.user.reverse();
            }
        }
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_time: 5_000, ..ProptestConfig::with_cases(80) })]

    #[test]
    fn granted_is_what_was_asked_for_and_is_permitted(lines in lines(), asker in asker()) {
        let decision = compile(&lines).decide(&principal(asker.as_ref()), &scopes(), &context());
        for grant in &decision.grants {
            let Resource::Repository(name) = &grant.requested.resource else { continue };
            let asked = if grant.requested.actions.contains(Action::All) { ActionSet::REPOSITORY } else { grant.requested.actions };
            let expected = asked & permitted(&lines, asker.as_ref(), Some(name.as_str()));
            prop_assert_eq!(grant.granted, expected, "{}\n{:#?}", name, grant);
            prop_assert!(asked.covers(grant.granted));
            let refused: ActionSet = grant.refused.iter().map(|(action, _)| *action).collect();
            prop_assert_eq!(refused, asked - grant.granted);
            let explained: ActionSet = grant.granted_by.iter().filter(|(_, rules)| !rules.is_empty()).map(|(action, _)| *action).collect();
            prop_assert_eq!(explained, grant.granted);
        }
    }

    #[test]
    fn no_order_matters(lines in lines(), asker in asker()) {
        let asker = asker.as_ref();
        prop_assert_eq!(decided(&lines, asker), decided(&turned(lines.clone()), asker));
    }

    #[test]
    fn an_allow_never_takes_and_a_deny_never_gives(lines in lines(), more in line(), asker in asker()) {
        let asker = asker.as_ref();
        let before = decided(&lines, asker);
        let allow = more.allow;
        let after = decided(&lines.into_iter().chain([more]).collect::<Vec<_>>(), asker);
        for (before, after) in before.into_iter().zip(after) {
            let (less, more) = if allow { (before, after) } else { (after, before) };
            prop_assert!(more.covers(less));
        }
    }
}
