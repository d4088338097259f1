//! Laws that hold whatever the rules are.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use super::dense::{askers, line, lines, scopes};
use super::{Asker, compile, compiled, context, document, granted, principal};
use crate::authn::identity::{Group, Identity, Principal};
use crate::registry::{Action, ActionSet, Resource, ResourceScope, ScopeRequest};

fn answers(policy: &super::Policy, scopes: &[ResourceScope]) -> Vec<Vec<ActionSet>> {
    askers().iter().map(|asker| granted(&policy.decide(&principal(asker.as_ref()), scopes, &context()))).collect()
}

/// Another spelling of every name, one to one: `a` and `c` change places, in both cases.
fn respelled(text: &str) -> String {
    let mut braces = false;
    text.chars()
        .map(|character| {
            braces = (braces || character == '{') && character != '}';
            match character {
                _ if braces => character,
                'a' => 'c',
                'c' => 'a',
                'A' => 'C',
                'C' => 'A',
                other => other,
            }
        })
        .collect()
}

fn each(value: &mut Value, change: impl Fn(&str) -> String + Copy) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
    }
}

/// The names and patterns of a rule file, spelled otherwise; its own words stay.
fn respell(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(respell),
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match key.as_str() {
                    "user" | "group" | "repository" | "reserved" => each(value, respelled),
                    _ => respell(value),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The same person with every name changed.
fn renamed(asker: Option<&Asker>, change: impl Fn(&str) -> String) -> Principal {
    match principal(asker) {
        Principal::Anonymous => Principal::Anonymous,
        Principal::Identified(identity) => {
            let groups = identity.groups.iter().map(|group| Group::named(change(&group.name))).collect();
            Principal::Identified(Arc::new(Identity { username: change(&identity.username), groups, ..(*identity).clone() }))
        }
    }
}

fn actions() -> impl Strategy<Value = ActionSet> {
    proptest::collection::vec(proptest::sample::select(&Action::ALL[..]), 0..4).prop_map(|actions| actions.into_iter().collect())
}

fn asking(scopes: &[ResourceScope], actions: ActionSet) -> Vec<ResourceScope> {
    scopes.iter().map(|scope| ResourceScope { resource: scope.resource.clone(), actions }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_time: 5_000, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn one_allow_more_never_takes_and_one_deny_more_never_gives(lines in lines(), more in line(), at in 0_usize..5) {
        let before = answers(&compile(&lines), &scopes());
        let allow = more.allow;
        let mut lines = lines;
        lines.insert(at.min(lines.len()), more);
        for (before, after) in before.into_iter().flatten().zip(answers(&compile(&lines), &scopes()).into_iter().flatten()) {
            let (less, more) = if allow { (before, after) } else { (after, before) };
            prop_assert!(more.covers(less));
        }
    }

    #[test]
    fn asking_for_two_things_at_once_gives_what_asking_twice_gives(lines in lines(), one in actions(), other in actions()) {
        let (policy, scopes) = (compile(&lines), scopes());
        let once = answers(&policy, &asking(&scopes, one | other));
        let first = answers(&policy, &asking(&scopes, one));
        let second = answers(&policy, &asking(&scopes, other));
        for ((both, one), other) in once.iter().flatten().zip(first.iter().flatten()).zip(second.iter().flatten()) {
            prop_assert_eq!(*both, *one | *other);
        }
        // A scope gets the same whether it is asked for alone or among others.
        let half: Vec<_> = scopes.iter().step_by(2).cloned().collect();
        let all = answers(&policy, &scopes);
        for (alone, among) in answers(&policy, &half).iter().zip(&all) {
            prop_assert_eq!(alone, &among.iter().step_by(2).copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_order_of_rules_scopes_and_actions_is_irrelevant(
        (lines, shuffled) in lines().prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle())),
        words in Just(vec!["pull", "push", "delete"]).prop_shuffle(),
        items in Just(scopes()).prop_shuffle(),
    ) {
        let (policy, turned) = (compile(&lines), compile(&shuffled));
        // Every repository stands in two items that come apart.
        let texts = words.iter().flat_map(|word| items.iter().map(move |scope| match &scope.resource {
            Resource::Repository(name) => format!("repository:{name}:{word}"),
            Resource::Catalog => "registry:catalog:*".to_owned(),
        }));
        let request = texts.collect::<Vec<_>>().join(" ");
        let request = ScopeRequest::parse([request.as_str()]).unwrap().scopes;
        for asker in askers() {
            let asker = principal(asker.as_ref());
            let mut here = policy.decide(&asker, &scopes(), &context()).access();
            let mut there = turned.decide(&asker, &request, &context()).access();
            here.sort();
            there.sort();
            prop_assert_eq!(here, there);
        }
    }

    #[test]
    fn spelling_every_name_otherwise_changes_no_answer(lines in lines()) {
        let mut document = document(&lines);
        let before = compiled(&document);
        respell(&mut document);
        let after = compiled(&document);
        let otherwise: Vec<ResourceScope> = scopes().into_iter().map(|scope| match scope.resource {
            Resource::Repository(name) => {
                ResourceScope { resource: Resource::Repository(respelled(name.as_str()).parse().unwrap()), actions: scope.actions }
            }
            Resource::Catalog => scope,
        }).collect();
        for asker in askers() {
            let here = before.decide(&principal(asker.as_ref()), &scopes(), &context());
            let there = after.decide(&renamed(asker.as_ref(), respelled), &otherwise, &context());
            prop_assert_eq!(granted(&here), granted(&there), "{:?}", asker);
        }
    }

    #[test]
    fn no_name_of_a_user_or_group_is_a_pattern(lines in lines()) {
        let (policy, scopes) = (compile(&lines), scopes());
        let harmless = |text: &str| text.replace('*', "~").replace('{', "(").replace('}', ")");
        for asker in askers() {
            let here = policy.decide(&principal(asker.as_ref()), &scopes, &context());
            let there = policy.decide(&renamed(asker.as_ref(), harmless), &scopes, &context());
            prop_assert_eq!(granted(&here), granted(&there), "{:?}", asker);
        }
    }
}
