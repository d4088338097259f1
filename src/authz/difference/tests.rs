//! Small changes, and what is told of them.

use super::*;
use crate::authz::cases::example_realms;
use crate::source::SourceFile;

const HEAD: &str = "version: 1\nrealm: corp\ntimezone: UTC\n";

fn policy(text: &str) -> Policy {
    let text = if text.contains("rules:") { format!("{HEAD}{text}") } else { format!("{HEAD}reserved: [prod]\nrules:\n{text}") };
    Policy::compile(&SourceFile::new("rules.yaml", text.clone()), &example_realms()).unwrap_or_else(|findings| panic!("{findings}{text}")).0
}

#[track_caller]
fn check(old: &str, new: &str, expected: &str) {
    let found = Difference::between(&policy(old), &policy(new));
    let told = |changes: &[Change], sign: &str| {
        changes.iter().map(|it| format!("{sign}{} {} {}", it.who, it.action, it.repository)).collect::<Vec<_>>()
    };
    let unclear: Vec<String> = found.unclear.iter().map(|rule| format!("?{}", rule.name)).collect();
    let shown = [told(&found.widened, "+"), told(&found.narrowed, "-"), unclear].concat().join("; ");
    assert_eq!(shown, expected, "{old}\n--- becomes\n{new}");
}

const TEAMS: &str = "  - {to: {group: \"registry-{team}\"}, allow: contributor, repository: \"{team}/**\"}\n";
const WEB: &str = "  - {name: web, to: {group: [web, ops]}, allow: [pull, push], repository: [web/**, tools/*]}\n";

#[test]
fn what_says_the_same_is_no_difference() {
    check(TEAMS, TEAMS, "");
    check(&format!("{TEAMS}{WEB}"), &format!("{WEB}{TEAMS}"), "");
    let cut = "  - {to: {group: web}, allow: [pull, push], repository: [web/**]}\n  - {to: {group: web}, allow: [pull, push], repository: [tools/*]}\n  \
               - {to: {group: ops}, allow: pull, repository: [web/**, tools/*]}\n  - {to: {group: ops}, allow: push, repository: [tools/*, web/**]}\n";
    check(WEB, cut, "");
    check(cut, WEB, "");
}

#[test]
fn an_added_rule_gives_and_a_removed_one_takes() {
    check(WEB, &format!("{WEB}{TEAMS}"), "+group registry-{team} pull {team}/**; +group registry-{team} push {team}/**");
    check(&format!("{WEB}{TEAMS}"), WEB, "-group registry-{team} pull {team}/**; -group registry-{team} push {team}/**");
    let public = "  - {to: anyone, allow: viewer, repository: base/**}\n";
    check(WEB, &format!("{WEB}{public}"), "+anyone pull base/**; +authenticated pull base/**");
    let home = "  - {to: authenticated, allow: viewer, repository: \"users/{user}/**\"}\n";
    check(WEB, &format!("{WEB}{home}"), "+user {user} pull users/{user}/**");
    check(WEB, &format!("{WEB}  - {{to: {{group: a}}, allow: catalog}}\n"), "+group a * catalog");
}

#[test]
fn an_added_deny_takes_from_those_who_have_and_a_removed_one_gives() {
    let deny = "  - {name: shut, to: anyone, deny: [push], repository: web/x/**, except: {group: ops}}\n";
    check(WEB, &format!("{WEB}{deny}"), "-group web push web/x/**");
    check(&format!("{WEB}{deny}"), WEB, "+group web push web/x/**");
}

#[test]
fn conditions_that_fall_away_widen_and_new_ones_narrow() {
    let office = WEB.replace("repository:", "when: {source: [10.0.0.0/8]}, repository:");
    let found = Difference::between(&policy(WEB), &policy(&office));
    assert!(!found.widens() && found.narrowed.len() == 8, "{found:?}");
    assert!(Difference::between(&policy(&office), &policy(WEB)).widens());
    let elsewhere = office.replace("10.0.0.0/8", "11.0.0.0/8");
    check(&office, &elsewhere, "?web");
    let until = WEB.replace("repository:", "when: {until: 2035-01-01}, repository:");
    assert!(!Difference::between(&policy(WEB), &policy(&until)).widens());
    let except = WEB.replace("repository:", "except: {group: guests}, repository:");
    assert!(!Difference::between(&policy(WEB), &policy(&except)).widens());
    assert!(Difference::between(&policy(&except), &policy(WEB)).widens());
}

#[test]
fn words_of_the_file_change_what_rules_mean() {
    let with = |reserved: &str| format!("reserved: {reserved}\nrules:\n{TEAMS}");
    check(&with("[prod, base]"), &with("[prod]"), "+group registry-base pull base/**; +group registry-base push base/**");
    check(&with("[prod]"), &with("[prod, base]"), "-group registry-base pull base/**; -group registry-base push base/**");
    let alias = |groups: &str| format!("groups: {{web: {groups}}}\nrules:\n{WEB}");
    let found = Difference::between(&policy(&alias("[gg-web]")), &policy(&alias("[gg-web, gg-more]")));
    assert!(found.widens(), "{found:?}");
    let role = |actions: &str| {
        format!(
            "reserved: []\nroles: {{tester: [{actions}]}}\nrules:\n  - {{to: {{group: \"R_{{team}}_{{role}}\"}}, allow: \"{{role}}\", repository: \"{{team}}/**\"}}\n"
        )
    };
    assert!(Difference::between(&policy(&role("pull")), &policy(&role("pull, push"))).widens());
    assert!(!Difference::between(&policy(&role("pull")), &policy(&role("pull"))).widens());
}

// === Changes that widen may never be silent ===

fn compiled(text: &str, realms: &crate::authz::Realms) -> Policy {
    let file = SourceFile::new("rules.yaml", format!("{HEAD}{text}"));
    Policy::compile(&file, realms).unwrap_or_else(|findings| panic!("{findings}{text}")).0
}

/// One way widens, the other way does not.
#[track_caller]
fn widens_one_way(narrow: &str, wide: &str) {
    widens(narrow, wide);
    let found = Difference::between(&policy(wide), &policy(narrow));
    assert!(!found.widens() && !found.narrowed.is_empty(), "{found:?}\n{wide}\n--- becomes\n{narrow}");
}

#[track_caller]
fn widens(narrow: &str, wide: &str) {
    let found = Difference::between(&policy(narrow), &policy(wide));
    assert!(found.widens(), "{found:?}\n{narrow}\n--- becomes\n{wide}");
}

fn ops(to: &str, more: &str) -> String {
    format!("  - {{name: ops, to: {to}, allow: [pull, push], repository: [web/**, tools/*]{more}}}\n")
}

/// Somebody who may do everything, and a deny.
fn denied(to: &str, deny: &str, repository: &str, more: &str) -> String {
    format!(
        "  - {{to: {{group: web}}, allow: owner, repository: [web/**, tools/*]}}\n  - {{name: shut, to: {to}, deny: {deny}, repository: {repository}{more}}}\n"
    )
}

#[test]
fn whom_an_allow_is_for() {
    widens_one_way(&ops("{group: a}", ""), &ops("{group: [a, b]}", ""));
    widens_one_way(&ops("authenticated", ""), &ops("anyone", ""));
    widens_one_way(&ops("{group: a}", ""), &ops("anyone", ""));
    widens(&ops("{group: a}", ""), &ops("authenticated", ""));
    widens(&ops("{group: ab*}", ""), &ops("{group: a*}", ""));
    widens(&ops("{group: ab}", ""), &ops("{group: a*}", ""));
    widens(&ops("{user: ab}", ""), &ops("{user: \"*\"}", ""));
    widens(&ops("{group: a, user: u}", ""), &ops("{group: a}", ""));
    widens(&ops("{all: [{group: a}, {group: b}]}", ""), &ops("{group: a}", ""));
    widens(&ops("{group: a, mfa: {within: 1h}}", ""), &ops("{group: a, mfa: {within: 12h}}", ""));
    widens(&ops("{group: a, mfa: {within: 1h}}", ""), &ops("{group: a}", ""));
    widens(&ops("{provider: github, claims: {ref: [a]}}", ""), &ops("{provider: github, claims: {ref: [a, b]}}", ""));
    widens(&ops("{provider: github, claims: {ref: a}}", ""), &ops("{provider: github, claims: {ref: b}}", ""));
    widens(&ops("{provider: github, claims: {ref: a, env: b}}", ""), &ops("{provider: github, claims: {ref: a}}", ""));
    widens(&ops("{group: \"CN=a,OU=x,DC=corp\"}", ""), &ops("{group: \"CN={any},OU=x,DC=corp\"}", ""));
    widens(&ops("{group: \"CN=a,OU=x,DC=corp\"}", ""), &ops("{group: \"CN=a,OU=y,DC=corp\"}", ""));
    widens(&ops("{realm: robots, user: a}", ""), &ops("{realm: [robots, corp], user: a}", ""));
}

#[test]
fn the_last_of_many_names_counts_too() {
    let many = |count: usize| (0..count).map(|number| format!("g{number}")).collect::<Vec<_>>().join(", ");
    widens(&ops(&format!("{{group: [{}]}}", many(64)), ""), &ops(&format!("{{group: [{}, evil]}}", many(64)), ""));
    widens(&ops(&format!("{{group: [{}]}}", many(5000)), ""), &ops(&format!("{{group: [{}, evil]}}", many(5000)), ""));
}

#[test]
fn exceptions_of_an_allow() {
    widens_one_way(&ops("{group: a}", ", except: {group: guests}"), &ops("{group: a}", ""));
    widens_one_way(&ops("{group: a}", ", except: {repository: web/x/**}"), &ops("{group: a}", ""));
    widens(&ops("{group: a}", ", except: [{group: b}, {group: c}]"), &ops("{group: a}", ", except: {group: b}"));
    widens(&ops("{group: a}", ", except: {group: b}"), &ops("{group: a}", ", except: {group: b, user: u}"));
    widens(&ops("{group: a}", ", except: {repository: web/**}"), &ops("{group: a}", ", except: {repository: web/x}"));
}

#[test]
fn when_an_allow_holds() {
    for (narrow, wide) in [
        ("source: [10.0.0.0/16]", "source: [10.0.0.0/8]"),
        ("until: 2030-01-01", "until: 2031-01-01"),
        ("from: 2035-01-01", "from: 2034-01-01"),
        ("services: [a]", "services: [a, b]"),
        ("weekly: {days: [mon], from: \"08:00\", until: \"18:00\"}", "weekly: {days: [mon, tue], from: \"08:00\", until: \"18:00\"}"),
    ] {
        widens(&ops("{group: a}", &format!(", when: {{{narrow}}}")), &ops("{group: a}", &format!(", when: {{{wide}}}")));
        widens(
            &denied("{group: web}", "push", "web/**", &format!(", when: {{{wide}}}")),
            &denied("{group: web}", "push", "web/**", &format!(", when: {{{narrow}}}")),
        );
        widens(&denied("{group: web}", "push", "web/**", ""), &denied("{group: web}", "push", "web/**", &format!(", when: {{{wide}}}")));
    }
}

#[test]
fn a_deny_that_is_narrowed() {
    let plain = denied("{group: [web, ops]}", "[push, delete]", "[web/**, tools/*]", "");
    widens_one_way(&plain, &denied("{group: [web, ops]}", "[push]", "[web/**, tools/*]", ""));
    widens_one_way(&plain, &denied("{group: [web, ops]}", "[push, delete]", "[web/**]", ""));
    widens_one_way(&plain, &denied("{group: ops}", "[push, delete]", "[web/**, tools/*]", ""));
    widens(&plain, &denied("{group: [web, ops], user: u}", "[push, delete]", "[web/**, tools/*]", ""));
    widens(&plain, &denied("{group: [web, ops]}", "[push, delete]", "[web/x/**, tools/*]", ""));
    widens_one_way(&plain, &denied("{group: [web, ops]}", "[push, delete]", "[web/**, tools/*]", ", except: {user: u}"));
    widens(
        &denied("{group: web}", "push", "web/**", ", except: {mfa: {within: 1h}}"),
        &denied("{group: web}", "push", "web/**", ", except: {mfa: {within: 12h}}"),
    );
    widens(
        &denied("anyone", "push", "web/**", ", except: {group: releasers, user: u}"),
        &denied("anyone", "push", "web/**", ", except: {group: releasers}"),
    );
    widens(&denied("anyone", "push", "web/**", ""), &denied("authenticated", "push", "web/**", ", except: {user: u}"));
}

#[test]
fn tags_of_a_deny() {
    let tagged = |tags: &str| denied("{group: web}", "push", "web/**", &format!(", tags: [{tags}]"));
    widens_one_way(&denied("{group: web}", "push", "web/**", ""), &tagged("\"v*\""));
    widens(&tagged("\"v*\", \"x*\""), &tagged("\"v*\""));
    widens(&tagged("\"v*\""), &tagged("\"v1\""));
    widens(&tagged("\"v*\""), "  - {to: {group: web}, allow: owner, repository: [web/**, tools/*]}\n");
    assert!(!Difference::between(&policy(&tagged("\"v*\"")), &policy(&tagged("\"v*\", \"x*\""))).widens());
}

#[test]
fn roles_and_their_captures() {
    let role = |roles: &str, allow: &str| {
        format!(
            "reserved: []\nroles: {{{roles}}}\nrules:\n  - {{to: {{group: \"R_{{team}}_{{role}}\"}}, allow: {allow}, repository: \"{{team}}/**\"}}\n"
        )
    };
    let literal =
        |actions: &str| format!("roles: {{tester: [{actions}]}}\nrules:\n  - {{to: {{group: a}}, allow: tester, repository: x}}\n");
    widens_one_way(&literal("pull"), &literal("pull, push"));
    widens(&role("tester: [pull]", "\"{role}\""), &role("tester: [pull, push]", "\"{role}\""));
    widens(&role("tester: [pull]", "\"{role}\""), &role("tester: [pull], boss: [delete]", "\"{role}\""));
    widens(&role("tester: [pull]", "[pull, \"{role}\"]"), &role("tester: [pull]", "[push, \"{role}\"]"));
}

#[test]
fn reserved_words() {
    let with = |reserved: &str, rules: &str| format!("reserved: [{reserved}]\nrules:\n{rules}");
    let both = |old: &str, new: &str, rules: &str| widens(&with(old, rules), &with(new, rules));
    both("a, b", "a", TEAMS);
    let deny = "  - {to: {group: all}, allow: pull, repository: \"**\"}\n  - {to: {group: \"no-{team}\"}, deny: pull, repository: \"{team}/**\"}\n";
    both("a", "a, b", deny);
    let deny_but = "  - {to: {group: all}, allow: pull, repository: \"**\"}\n  - {to: {group: \"no-{team}\"}, deny: pull, repository: \"**\", except: {repository: \"{team}/**\"}}\n";
    both("a, b", "a", deny_but);
    let allow_but = "  - {to: {group: \"g-{team}\"}, allow: pull, repository: \"**\", except: {repository: \"{team}/**\"}}\n";
    both("a", "a, b", allow_but);
    // A word that is reserved leaves one way to split a name where there were two.
    let two = "  - {to: {group: \"{a}-{b}\"}, allow: pull, repository: \"{a}/**\"}\n";
    both("x", "x, prod", two);
}

#[test]
fn aliases() {
    let with = |groups: &str, rules: &str| format!("groups: {{{groups}}}\nreserved: []\nrules:\n{rules}");
    let both = |old: &str, new: &str, rules: &str| widens(&with(old, rules), &with(new, rules));
    both("web: [gg-web]", "web: [gg-web, gg-more]", WEB);
    both("web: [gg-web]", "web: [gg-other]", WEB);
    both("other: [x]", "other: [x], registry-evil: [gg-all]", TEAMS);
    both("other: [x]", "other: [x], abc: [gg-all]", "  - {to: {group: \"a*\"}, allow: pull, repository: x}\n");
    // One that falls away gives the group its name back.
    both("other: [x], far: [registry-evil]", "other: [x]", TEAMS);
    both("other: [x], far: [web]", "other: [x]", WEB);
    both("other: [x], far: [\"CN=web,OU=y,DC=corp\"]", "other: [x]", WEB);
    both("other: [x], far: [{id: 0e1c2f6e-5a7b-4a53-9d9f-0a4d0b0b2f10}]", "other: [x]", WEB);
    both("other: [x], far: [web]", "other: [x]", "  - {to: {group: \"CN={c},OU=y,DC=corp\"}, allow: pull, repository: x}\n");
    // And one that comes takes the name from a group that a deny means, or an exception.
    let deny = denied("{group: \"gg-*\"}", "push", "web/**", "");
    both("other: [x]", "other: [x], far: [gg-evil]", &deny);
    both("other: [x]", "other: [x], far: [guests]", &ops("{group: a}", ", except: {group: guests}"));
    // What has nothing to do with them stays quiet.
    let (old, new) = (with("other: [x]", WEB), with("other: [x], far: [z]", WEB));
    assert!(Difference::between(&policy(&old), &policy(&new)).is_empty());
}

#[test]
fn realms_and_how_their_names_compare() {
    let realms = |ignore_case: bool| {
        let mut realms = example_realms();
        realms.0[0].ignore_case = ignore_case;
        realms
    };
    let home = "  - {to: authenticated, allow: viewer, repository: \"users/{user}/**\"}\n";
    for rules in [WEB, TEAMS, home] {
        let text = format!("reserved: [prod]\nrules:\n{rules}");
        let found = Difference::between(&compiled(&text, &realms(false)), &compiled(&text, &realms(true)));
        assert!(found.widens(), "{found:?} {rules}");
    }
    let mut moved = example_realms();
    let sso = moved.0[0].providers.pop().unwrap();
    moved.0[1].providers.push(sso);
    for rules in [WEB, home] {
        let text = format!("reserved: [prod]\nrules:\n{rules}");
        let found = Difference::between(&compiled(&text, &moved), &compiled(&text, &example_realms()));
        assert!(found.widens(), "{found:?} {rules}");
    }
    let public = "reserved: []\nrules:\n  - {to: anyone, allow: pull, repository: x}\n";
    assert!(Difference::between(&compiled(public, &moved), &compiled(public, &example_realms())).is_empty());
    let in_realm = |realm: &str| ops(&format!("{{realm: {realm}, group: a}}"), "");
    widens(&in_realm("robots"), &in_realm("corp"));
}

#[test]
fn lives_do_not_count() {
    let with = |ttl: &str| ops("{group: a}", &format!(", ttl: {{push: {ttl}}}"));
    assert!(Difference::between(&policy(&with("5m")), &policy(&with("10m"))).is_empty());
}

#[test]
fn products_of_a_rule_take_neither_all_time_nor_all_memory() {
    // The same word again says nothing more.
    let again = vec!["\"{r}\""; 18].join(", ");
    let rule = format!("  - {{to: {{group: \"x_{{r}}\"}}, allow: [{again}], repository: x}}\n");
    widens_one_way(&rule, &format!("{rule}  - {{to: {{group: web}}, allow: pull, repository: x}}\n"));
    widens(WEB, &format!("{WEB}{rule}"));
    // Many words are not tried out, and unclear.
    let each = |start: &str, end: &str| (0..18).map(|number| format!("{start}{{r{number}}}{end}")).collect::<Vec<_>>();
    let (group, roles) = (each("", "").join("_"), each("\"", "\"").join(", "));
    let many = format!("  - {{name: many, to: {{group: \"{group}\"}}, allow: [{roles}], repository: x}}\n");
    let found = Difference::between(&policy(WEB), &policy(&format!("{WEB}{many}")));
    assert_eq!(found.unclear.len(), 1, "{found:?}");
    // Long lists by long lists.
    let list = |word: &str| (0..3_000).map(|number| format!("{word}{number}")).collect::<Vec<_>>().join(", ");
    let wide = format!("  - {{to: {{user: [{}], group: [{}]}}, allow: pull, repository: [{}]}}\n", list("u"), list("g"), list("r"));
    assert!(Difference::between(&policy(WEB), &policy(&format!("{WEB}{wide}"))).widens());
}

/// For anyone `{user}` means people of the rules' own realm alone.
#[test]
fn a_personal_place_of_another_realm_is_no_part_of_that_of_anyone() {
    let home = "  - {to: anyone, allow: owner, repository: \"users/{user}/**\"}\n";
    let robots = "  - {name: robots, to: {realm: robots}, allow: owner, repository: \"users/{user}/**\"}\n";
    widens(home, &format!("{home}{robots}"));
    let all = "  - {to: {realm: robots}, allow: owner, repository: \"**\"}\n";
    let deny = |to: &str| format!("{all}  - {{name: shut, to: {to}, deny: [push], repository: \"users/{{user}}/**\"}}\n");
    widens(&deny("{realm: robots}"), &deny("anyone"));
    let own = "  - {to: authenticated, allow: owner, repository: \"users/{user}/**\"}\n";
    assert!(!Difference::between(&policy(home), &policy(&format!("{home}{own}"))).widens());
}

/// A name that can be split in two ways gives nothing at `**`, and something where only one of them is valid.
#[test]
fn everywhere_is_not_wider_for_a_name_that_may_be_ambiguous() {
    let at = |place: &str| format!("  - {{to: {{group: \"{{a}}-{{b}}\"}}, allow: [push], repository: \"{place}\"}}\n");
    let with = |rules: &str| format!("reserved: [x]\nrules:\n{rules}");
    let everywhere = at("**");
    widens(&with(&everywhere), &with(&format!("{everywhere}{}", at("{a}/**"))));
}
