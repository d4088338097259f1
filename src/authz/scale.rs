//! Many rules, many groups, and names made to cost time. Times are for debug builds on busy machines.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Policy;
use super::cases::{context, example_realms};
use crate::authn::identity::{Group, Identity, IdentityClaims, Kind, Method, Principal, SecondFactor};
use crate::clock::Timestamp;
use crate::registry::{ActionSet, ScopeRequest};
use crate::source::SourceFile;

fn compile(count: usize, rule: impl Fn(usize) -> String) -> Policy {
    let mut text = "version: 1\nrealm: corp\nreserved: [base]\nrules:\n".to_owned();
    for index in 0..count {
        writeln!(text, "  - {}", rule(index)).unwrap();
    }
    match Policy::compile(&SourceFile::new("rules.yaml", text), &example_realms()) {
        Ok((policy, _)) => policy,
        Err(errors) => panic!("{errors}"),
    }
}

fn somebody(groups: impl Iterator<Item = Group>) -> Principal {
    Principal::Identified(Arc::new(Identity {
        realm: "corp".into(),
        provider: "staff".into(),
        id: "1".to_owned(),
        username: "alice".to_owned(),
        groups: groups.collect(),
        kind: Kind::Person,
        method: Method::Password,
        proven: Timestamp(0),
        marker: None,
        claims: IdentityClaims::new(),
        second_factor: SecondFactor::Unknown,
    }))
}

/// What is granted on `ns-0/a/b` and so on, within three seconds.
fn granted(what: &str, policy: &Policy, who: &Principal, scopes: usize) -> Vec<ActionSet> {
    let text: Vec<String> = (0..scopes).map(|index| format!("repository:ns-{index}/a/b:*")).collect();
    let scopes = ScopeRequest::parse([text.join(" ").as_str()]).unwrap().scopes;
    let start = Instant::now();
    let decision = policy.decide(who, &scopes, &context());
    let took = start.elapsed();
    eprintln!("{:>7.1} ms  {what}", took.as_secs_f64() * 1e3);
    assert!(took < Duration::from_secs(3), "{what}: {took:?}");
    decision.grants.into_iter().map(|grant| grant.granted).collect()
}

fn count(granted: &[ActionSet]) -> usize {
    granted.iter().filter(|actions| !actions.is_empty()).count()
}

#[test]
fn many_rules_and_many_groups_cost_what_few_cost() {
    let many = somebody((0..5000).map(|index| Group::named(format!("g-{index}"))));
    let own = compile(3000, |index| format!("{{to: {{group: g-{index}}}, allow: contributor, repository: ns-{index}/**}}"));
    assert_eq!(count(&granted("a namespace each", &own, &many, 100)), 100);
    assert_eq!(count(&granted("a namespace each, nobody", &own, &Principal::Anonymous, 100)), 0);
    let everywhere = compile(3000, |index| format!("{{to: {{group: G-{index}}}, allow: viewer, repository: \"**\"}}"));
    assert_eq!(count(&granted("everywhere", &everywhere, &many, 1)), 1);
    let list: Vec<String> = (2000..5000).map(|index| format!("g-{index}")).collect();
    let listed = compile(1, |_| format!("{{to: {{group: [{}]}}, allow: viewer, repository: \"**\"}}", list.join(", ")));
    assert_eq!(count(&granted("one rule of many groups", &listed, &many, 1)), 1);
    let with_dn = |index| Group { dn: Some(format!("CN=g-{index},OU=Teams,DC=corp")), ..Group::named(format!("g-{index}")) };
    let dns = compile(500, |index| format!("{{to: {{group: \"cn=G-{index},ou=Teams,dc=corp\"}}, allow: viewer, repository: \"**\"}}"));
    assert_eq!(count(&granted("many DNs", &dns, &somebody((0..500).map(with_dn)), 1)), 1);
}

#[test]
fn names_made_to_cost_time_do_not() {
    let long = |text: &str| text.repeat(10 * 1024 / text.len());
    let group = |text: String| somebody(std::iter::once(Group::named(text)));
    let teams = compile(1, |_| "{to: {group: \"g-{team}\"}, allow: viewer, repository: \"**/{team}/**\"}".to_owned());
    let many = somebody((0..5000).map(|index| Group::named(format!("g-{index}-{}", "a-".repeat(20)))));
    assert_eq!(count(&granted("a capture over 5000 groups", &teams, &many, 1)), 0);
    let longs = somebody((0..100).map(|index| Group::named(format!("g-{index}{}", long("a")))));
    assert_eq!(count(&granted("a capture over 1 MiB", &teams, &longs, 1)), 0);
    let three = |kind: &str| {
        let kind = kind.to_owned();
        compile(2, move |index| match index {
            0 => "{to: anyone, allow: owner, repository: \"**\"}".to_owned(),
            _ => format!("{{to: {{group: \"{{a}}-{{b}}-{{c}}\"}}, {kind}, repository: \"**/{{a}}/**/{{b}}/**\"}}"),
        })
    };
    for text in [long("a-"), long("a"), "a-".repeat(200), format!("{}..", "a-".repeat(200)), long("*"), long("/"), long("\u{e4}-")] {
        granted("three captures that allow", &three("allow: owner"), &group(text.clone()), 1);
        granted("three captures that deny", &three("deny: all"), &group(text), 1);
    }
    let globs = compile(1, |_| "{to: {group: \"*a*a*a*b\"}, allow: viewer, repository: \"**\"}".to_owned());
    assert_eq!(count(&granted("a glob that fails", &globs, &group(long("a")), 1)), 0);
    assert_eq!(count(&granted("a glob that holds", &globs, &group(long("a") + "b"), 1)), 1);
}
