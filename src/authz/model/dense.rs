//! A universe so small that random rules, people and repositories meet all the time: one compiled policy answers hundreds
//! of questions, and a fault in any part of the decision changes some answer.

use proptest::prelude::*;

use super::reading::permitted;
use super::{Asker, Except, Line, Map, To, Words, compile, context, principal};
use crate::registry::{ActionSet, Resource, ResourceScope};

const SEGMENTS: Words = &["a", "b", "ab"];
const DEEP: Words = &["a/b/a", "b/b/b", "ab/a/b", "abb/a"];
/// In each realm; also names that look like patterns, and names of the other case.
const PEOPLE: [(&str, Words); 7] = [
    ("a", &[]),
    ("B", &["g-a"]),
    ("b", &["G-B", "a"]),
    ("ab", &["g-ab", "b"]),
    ("*", &["g-*", "**"]),
    ("x", &["g-a-b", "{x}"]),
    ("a/b", &["g-a/b", "A", "a-b"]),
];

const USERS: Words = &["a", "B", "*", "a*"];
const GROUPS: Words = &["a", "G-a", "g-*", "*", "b"];
const USERS_X: Words = &["{x}", "{x}b"];
const GROUPS_X: Words = &["g-{x}", "{x}", "*-{x}"];
const GROUPS_XY: Words = &["{x}-{y}"];
const PATTERNS: Words = &["**", "a", "a/**", "*/b", "**/b", "a/*/**", "ab/**", "a*/**", "{user}/**", "a/{user}", "a{user}/**"];
const PATTERNS_X: Words = &["{x}", "{x}/**", "a/{x}", "**/{x}", "a{x}/**", "{x}*/**", "*/**", "b/{user}"];
const PATTERNS_XY: Words = &["{x}/{y}", "{y}/**", "{x}/**", "b/{y}"];

/// Every repository, as many askers, and the catalogue.
pub(super) fn scopes() -> Vec<ResourceScope> {
    let pairs = SEGMENTS.iter().flat_map(|one| SEGMENTS.iter().map(move |other| format!("{one}/{other}")));
    let names = SEGMENTS.iter().chain(DEEP).map(ToString::to_string).chain(pairs);
    let repositories =
        names.map(|name| ResourceScope { resource: Resource::Repository(name.parse().unwrap()), actions: ActionSet::REPOSITORY });
    repositories.chain([ResourceScope { resource: Resource::Catalog, actions: ActionSet::CATALOG }]).collect()
}

pub(super) fn askers() -> Vec<Option<Asker>> {
    let asker = |realm, (user, groups): &(&'static str, Words), workload| {
        Some(Asker { realm, user, workload, groups: groups.iter().map(|group| (*group, None)).collect() })
    };
    let mut all = vec![None, asker("corp", &PEOPLE[2], true), asker("robots", &PEOPLE[2], true)];
    all.extend(PEOPLE.iter().flat_map(|somebody| ["corp", "robots"].map(|realm| asker(realm, somebody, false))));
    all
}

fn one(words: Words) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::select(words).prop_map(|word| vec![word])
}

fn few(words: Words) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(words, 1..=2.min(words.len()))
}

fn realm() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![3 => Just(None), 1 => Just(Some("corp")), 2 => Just(Some("robots"))]
}

fn map(users: Words, groups: Words) -> impl Strategy<Value = Map> {
    // A user beside a group, where only the group may capture.
    let both = (one(USERS), few(groups), realm()).prop_map(|(user, group, realm)| Map { user, group, realm });
    let group = (few(groups), realm()).prop_map(|(group, realm)| Map { user: Vec::new(), group, realm });
    if users.is_empty() {
        return prop_oneof![1 => both, 3 => group].boxed();
    }
    let user = (few(users), realm()).prop_map(|(user, realm)| Map { user, group: Vec::new(), realm });
    prop_oneof![1 => both, 2 => group, 2 => user].boxed()
}

fn maps(users: Words, groups: Words) -> impl Strategy<Value = To> {
    proptest::collection::vec(map(users, groups), 1..3).prop_map(To::Maps)
}

/// `free` are patterns that need no capture of the rule's own, `bound` those that may use them.
fn except(bound: Words) -> impl Strategy<Value = Except> {
    let who = || {
        prop_oneof![
            2 => (one(GROUPS), realm()).prop_map(|(group, realm)| Map { user: Vec::new(), group, realm }),
            1 => (one(USERS), realm()).prop_map(|(user, realm)| Map { user, group: Vec::new(), realm }),
        ]
    };
    let captures = (one(GROUPS_X), realm()).prop_map(|(group, realm)| Map { user: Vec::new(), group, realm });
    prop_oneof![
        3 => who().prop_map(|map| Except { map: Some(map), repository: Vec::new() }),
        2 => few(bound).prop_map(|repository| Except { map: None, repository }),
        1 => (who(), few(bound)).prop_map(|(map, repository)| Except { map: Some(map), repository }),
        1 => (captures, few(PATTERNS_X)).prop_map(|(map, repository)| Except { map: Some(map), repository }),
    ]
}

fn about(to: impl Strategy<Value = To>, patterns: Words) -> impl Strategy<Value = Line> {
    let words: Words = &["pull", "push", "delete"];
    let except = prop_oneof![1 => Just(Vec::new()), 1 => except(patterns).prop_map(|except| vec![except])];
    (proptest::bool::weighted(0.65), few(words), to, few(patterns), except).prop_map(|(allow, words, to, repository, except)| Line {
        allow,
        words,
        to,
        repository,
        except,
    })
}

pub(super) fn line() -> impl Strategy<Value = Line> {
    let word = || prop_oneof![Just(To::Word("anyone")), Just(To::Word("authenticated"))];
    let who = prop_oneof![1 => word(), 2 => maps(USERS, GROUPS)];
    let catalogue =
        (any::<bool>(), who).prop_map(|(allow, to)| Line { allow, words: vec!["catalog"], to, repository: Vec::new(), except: Vec::new() });
    prop_oneof![
        3 => about(word(), PATTERNS),
        5 => about(maps(USERS, GROUPS), PATTERNS),
        5 => about(maps(USERS_X, GROUPS_X), PATTERNS_X),
        1 => about(maps(&[], GROUPS_XY), PATTERNS_XY),
        1 => catalogue,
    ]
}

/// Few enough that one rule seldom hides what another does.
pub(super) fn lines() -> impl Strategy<Value = Vec<Line>> {
    proptest::collection::vec(line(), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_time: 5_000, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn everybody_gets_everywhere_what_the_rules_say(lines in lines()) {
        let (policy, scopes) = (compile(&lines), scopes());
        for asker in askers() {
            let decision = policy.decide(&principal(asker.as_ref()), &scopes, &context());
            for (scope, grant) in scopes.iter().zip(&decision.grants) {
                let name = match &scope.resource {
                    Resource::Repository(name) => Some(name.as_str()),
                    Resource::Catalog => None,
                };
                let expected = scope.actions & permitted(&lines, asker.as_ref(), name);
                prop_assert_eq!(grant.granted, expected, "{:?} of {:?}\n{:#?}", name, asker, grant);
            }
        }
    }
}
