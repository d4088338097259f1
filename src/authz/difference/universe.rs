//! Whoever gains something in a small universe is told, or a rule is unclear.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::authn::identity::{Group, Identity, IdentityClaims, Kind, Method, Principal, SecondFactor};
use crate::authz::cases::example_realms;
use crate::registry::ResourceScope;
use crate::source::SourceFile;

const NOW: Timestamp = Timestamp(1_900_000_000);
const TO: [&str; 16] = [
    "anyone",
    "authenticated",
    "{group: web}",
    "{group: [web, ops]}",
    "{group: w*}",
    "{group: registry-web}",
    "{group: \"registry-{team}\"}",
    "{group: \"{a}-{b}\"}",
    "{group: web, mfa: {within: 1h}}",
    "{group: web, mfa: {within: 12h}}",
    "{all: [{group: web}, {group: ops}]}",
    "{user: u}",
    "{user: \"*\"}",
    "{realm: robots, user: u}",
    "{provider: github, claims: {ref: main}}",
    "{provider: github, claims: {ref: [main, dev]}}",
];
const EFFECT: [&str; 7] =
    ["allow: pull", "allow: [pull, push]", "allow: owner", "allow: tester", "deny: push", "deny: [pull, push]", "deny: all"];
const WHERE: [&str; 7] = ["\"**\"", "web/**", "web/*", "[web/app, ops]", "\"a/**\"", "web/app", "\"users/{user}/**\""];
const MORE: [&str; 9] = [
    "",
    "",
    ", except: {group: ops}",
    ", except: {mfa: {within: 1h}}",
    ", except: {repository: web/x/**}",
    ", when: {source: [10.0.0.0/8]}",
    ", when: {source: [10.0.0.0/16]}",
    ", when: {until: 2025-01-01}",
    ", when: {services: [one]}",
];
const HEADS: [&str; 6] = [
    "reserved: [prod]",
    "reserved: [prod, web]",
    "reserved: []",
    "reserved: [prod]\ngroups: {web: [gg-web]}",
    "reserved: [prod]\ngroups: {far: [ops, registry-web]}",
    "reserved: [prod]\nroles: {tester: [pull, push]}",
];
const REPOSITORIES: [&str; 8] = ["web", "web/app", "web/x/y", "ops", "a/b", "users/u/x", "prod/app", "other/x"];
const GROUPS: [&str; 6] = ["web", "ops", "gg-web", "registry-web", "a-b-c", "wide"];

fn rule() -> impl Strategy<Value = String> {
    (0..TO.len(), 0..EFFECT.len(), 0..WHERE.len(), 0..MORE.len()).prop_map(|(to, effect, place, more)| {
        // Captures that nothing binds are an error, and each has its own place.
        let place = match TO[to] {
            to if to.contains("{team}") => "\"{team}/**\"",
            to if to.contains("{a}") => "\"{a}/**\"",
            to if to.contains("provider") => WHERE[place % 6],
            _ => WHERE[place],
        };
        format!("  - {{to: {}, {}, repository: {place}{}}}\n", TO[to], EFFECT[effect], MORE[more])
    })
}

fn text(head: usize, rules: &[String]) -> String {
    let tester = if HEADS[head].contains("roles") { "" } else { "\nroles: {tester: [pull]}" };
    format!("version: 1\nrealm: corp\ntimezone: UTC\n{}{tester}\nrules:\n{}", HEADS[head], rules.concat())
}

fn somebody(realm: &str, provider: &str, groups: &[&str], second_factor: SecondFactor, claims: &[(&str, &str)]) -> Principal {
    let claims: IdentityClaims = claims.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect();
    Principal::Identified(Arc::new(Identity {
        realm: realm.into(),
        provider: provider.into(),
        id: "u".to_owned(),
        username: "u".to_owned(),
        groups: groups.iter().copied().map(Group::named).collect(),
        kind: if provider == "github" { Kind::Workload } else { Kind::Person },
        method: Method::Password,
        proven: NOW,
        marker: None,
        claims,
        second_factor,
    }))
}

/// Everybody there is.
fn everybody() -> Vec<Principal> {
    let mut all = vec![Principal::Anonymous, somebody("robots", "robots", &[], SecondFactor::Unknown, &[])];
    let factors =
        [SecondFactor::Unknown, SecondFactor::Absent, SecondFactor::Used(NOW.plus(-1800)), SecondFactor::Used(NOW.plus(-6 * 3600))];
    for factor in factors {
        all.extend(GROUPS.iter().map(|group| somebody("corp", "staff", &[group], factor, &[])));
        all.push(somebody("corp", "staff", &["web", "ops"], factor, &[]));
        all.push(somebody("corp", "staff", &[], factor, &[]));
    }
    all.extend(
        [&[][..], &[("ref", "main")], &[("ref", "dev")]].map(|claims| somebody("github", "github", &[], SecondFactor::Unknown, claims)),
    );
    all
}

/// Somebody who has more by the new policy than by the old one.
fn gain(old: &Policy, new: &Policy) -> Option<String> {
    let scopes: Vec<ResourceScope> = REPOSITORIES.iter().map(|name| format!("repository:{name}:*").parse().unwrap()).collect();
    for principal in everybody() {
        for source in [None, Some("10.0.1.1"), Some("10.9.1.1")] {
            for service in ["one", "two"] {
                let context = Context { service, now: NOW, source: source.map(|text| text.parse().unwrap()) };
                let (had, has) = (old.decide(&principal, &scopes, &context), new.decide(&principal, &scopes, &context));
                for (before, after) in had.grants.iter().zip(&has.grants) {
                    if !before.granted.covers(after.granted) {
                        return Some(format!("{} of {before:?} for {principal:?} {context:?}", after.granted - before.granted));
                    }
                }
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whoever_gains_is_told(
        (heads, mut rules, changed) in ((0..HEADS.len(), 0..HEADS.len(), any::<bool>()), prop::collection::vec(rule(), 1..4), prop::collection::vec(rule(), 0..3)),
    ) {
        let (old_head, new_head, same) = heads;
        let compiled = |text: String| {
            Policy::compile(&SourceFile::new("rules.yaml", text.clone()), &example_realms()).unwrap_or_else(|findings| panic!("{findings}{text}")).0
        };
        let before = text(old_head, &rules);
        // Some rules are taken away, others come.
        rules.truncate(rules.len() - usize::from(changed.len() % 2 == 1));
        rules.extend(changed);
        if rules.is_empty() {
            return Ok(());
        }
        let after = text(if same { old_head } else { new_head }, &rules);
        let (old, new) = (compiled(before.clone()), compiled(after.clone()));
        for (old, new, told) in [(&old, &new, format!("{before}---\n{after}")), (&new, &old, format!("{after}---\n{before}"))] {
            if let Some(gain) = gain(old, new) {
                let found = Difference::between(old, new);
                prop_assert!(found.widens(), "{gain}\n{found:?}\n{told}");
            }
        }
    }
}
