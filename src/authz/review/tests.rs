//! Who is listed, and when the list says that it is not all.

use super::*;
use crate::authz::cases::example_realms;
use crate::source::SourceFile;

fn policy(rules: &str) -> Policy {
    let text = format!("version: 1\nrealm: corp\nreserved: [prod]\nrules:\n{rules}");
    Policy::compile(&SourceFile::new("rules.yaml", text.clone()), &example_realms()).unwrap_or_else(|findings| panic!("{findings}{text}")).0
}

fn push(rules: &str, name: &str) -> Holders {
    policy(rules).who_can(Action::Push, &Resource::Repository(name.parse().unwrap()), "", Timestamp(0))
}

#[track_caller]
fn check(rules: &str, name: &str, expected: &str) {
    let Holders { list, complete } = push(rules, name);
    let needing = |conditions: &[String]| if conditions.is_empty() { String::new() } else { format!(" ({})", conditions.join("; ")) };
    let told: Vec<String> = list.iter().map(|holder| format!("{}{}", holder.who, needing(&holder.conditions))).collect();
    assert_eq!((told.join(", ").as_str(), complete), (expected, true), "{rules}");
}

#[test]
fn every_value_of_a_list_is_tried() {
    let deny = "  - {to: {realm: corp}, deny: push, repository: \"**\"}\n";
    check(&format!("{deny}  - {{to: {{realm: [corp, robots], user: a}}, allow: push, repository: x}}\n"), "x", "user robots/a");
    let claims = "{provider: github, claims: {ref: [dev, main], owner: me}}";
    let pipeline = format!("  - {{to: {claims}, allow: push, repository: x}}\n");
    check(&pipeline, "x", "provider github (owner=me; ref=dev or main)");
    let shut = "  - {to: {provider: github, claims: {ref: dev}}, deny: push, repository: x}\n";
    check(&format!("{pipeline}{shut}"), "x", "provider github (owner=me; ref=main)");
    check(
        &format!("{deny}  - {{to: {{provider: [staff, robots], user: a}}, allow: push, repository: x}}\n"),
        "x",
        "user a and provider robots",
    );
    // Through the provider that the deny does not mean.
    let staff = "  - {to: {provider: staff}, deny: push, repository: x}\n";
    check(&format!("{staff}  - {{to: {{group: a}}, allow: push, repository: x}}\n"), "x", "group a and provider sso");
    let many = (0..200).map(|number| format!("g{number:03}")).collect::<Vec<_>>();
    let groups = format!("  - {{to: {{group: [{}]}}, allow: push, repository: x}}\n", many.join(", "));
    let Holders { list, complete } = push(&groups, "x");
    assert_eq!((list.len(), complete), (200, true));
}

#[test]
fn everybody_who_is_logged_in_is_of_some_realm() {
    let all = "  - {to: authenticated, allow: push, repository: x}\n";
    check(all, "x", "authenticated");
    check(&format!("{all}  - {{to: {{realm: corp}}, deny: push, repository: x}}\n"), "x", "realm robots");
    check(
        &format!("{all}  - {{to: authenticated, deny: push, repository: x, except: {{mfa: {{within: 1h}}}}}}\n"),
        "x",
        "authenticated (to pass `rules.yaml:6`, which makes way for everybody with a second factor of the last 1h)",
    );
}

#[test]
fn captures_of_exceptions_stand_for_what_the_resource_says() {
    let all = "  - {to: {group: staff}, allow: push, repository: \"**\"}\n";
    let deny = "  - {to: anyone, deny: push, repository: \"**\", except: {group: \"lead-{team}\", repository: \"{team}/**\"}}\n";
    let Holders { list, complete } = push(&format!("{all}{deny}"), "web/app");
    assert_eq!((list.first().map(|holder| holder.who.as_str()), list.len(), complete), (Some("group lead-web and group staff"), 1, true));
    let anyone = "  - {to: anyone, allow: push, repository: \"**\"}\n";
    let list = push(&format!("{anyone}{deny}"), "web/app").list;
    assert_eq!(list.iter().map(|holder| holder.who.as_str()).collect::<Vec<_>>(), ["group lead-web"]);
}

#[test]
fn as_many_denies_as_there_are_are_passed() {
    let mut rules = "  - {to: {group: a}, allow: push, repository: x}\n".to_owned();
    rules.extend((0..6).map(|number| format!("  - {{to: anyone, deny: push, repository: x, except: {{group: g{number}}}}}\n")));
    let Holders { list, complete } = push(&rules, "x");
    assert!(
        complete
            && list.len() == 1
            && list[0].who == "group a and group g0 and group g1 and group g2 and group g3 and group g4 and group g5",
        "{list:?}"
    );
}

#[test]
fn too_many_ways_to_try_are_said() {
    let mut rules = "  - {to: {group: a}, allow: push, repository: x}\n".to_owned();
    rules.extend((0..12).map(|number| {
        let groups: Vec<String> = (0..8).map(|other| format!("g{number}-{other}")).collect();
        format!("  - {{to: anyone, deny: push, repository: x, except: {{group: [{}]}}}}\n", groups.join(", "))
    }));
    assert!(!push(&rules, "x").complete);
    let each = |start: &str, end: &str| (0..18).map(|number| format!("{start}{{r{number}}}{end}")).collect::<Vec<_>>();
    let (group, words) = (each("", "").join("_"), each("\"", "\"").join(", "));
    assert!(!push(&format!("  - {{to: {{group: \"{group}\"}}, allow: [{words}], repository: x}}\n"), "x").complete);
    // A pattern that gives up over a long name.
    let team = "  - {to: {group: \"g-{team}\"}, allow: push, repository: \"*{team}/app\"}\n";
    assert!(!push(team, &format!("{}/app", "a".repeat(100))).complete);
    assert!(push(team, "web/app").complete);
}

/// What somebody without credentials can do, with what is taken on a part of it.
fn public(rules: &str) -> Vec<String> {
    let reaches = policy(rules).what_can(&Principal::Anonymous, "", Timestamp(0)).into_iter();
    let less = |less: &[(String, ActionSet, RuleName)]| {
        less.iter().map(|(place, actions, _)| format!(" less {actions} in {place}")).collect::<Vec<_>>().concat()
    };
    reaches.map(|reach| format!("{} {}{}", reach.repository, reach.actions, less(&reach.less))).collect()
}

#[test]
fn a_deny_of_a_part_hides_nothing_of_the_rest() {
    let with = |denied: &str| {
        public(&format!(
            "  - {{to: anyone, allow: [pull, push], repository: a/**}}\n  - {{to: anyone, deny: push, repository: [{denied}]}}\n"
        ))
    };
    assert_eq!(with("a/*/*"), ["a/** pull,push less push in a/*/*"]);
    assert_eq!(with("a/*/**"), ["a/** pull,push less push in a/*/**"]);
    assert_eq!(with("a"), ["a/** pull,push less push in a"]);
    assert_eq!(with("a, a/*, a/*/*"), ["a/** pull,push less push in a less push in a/* less push in a/*/*"]);
    assert_eq!(with("a/**"), ["a/** pull"]);
    assert_eq!(with("\"**\""), ["a/** pull"]);
}

#[test]
fn an_allow_of_which_no_example_can_be_made_is_listed() {
    let long = format!("{}/**", vec!["a".repeat(60); 4].join("/"));
    let told = public(&format!(
        "  - {{to: anyone, allow: pull, repository: \"{}*\"}}\n  - {{to: anyone, allow: pull, repository: \"{long}\"}}\n",
        "b".repeat(254)
    ));
    assert_eq!(told, [format!("{}* pull", "b".repeat(254)), format!("{long} pull")]);
}
