//! What files of policy tests mean, what is refused in them, and how cases fail.

use super::*;
use crate::authz::cases::example_realms;
use crate::authz::decision::RuleName;
use crate::authz::review::{Holder, Holders};

const RULES: &str = r#"
version: 1
realm: corp
reserved: [prod]
rules:
  - {name: team, to: {group: "registry-{team}"}, allow: contributor, repository: "{team}/**"}
  - {name: by dn, to: {group: "CN=images-{team},OU=Registry,DC=corp"}, allow: owner, repository: "{team}/**"}
  - {name: prod, to: [{group: releasers}, {realm: robots, user: breakglass}], allow: contributor, repository: prod/**}
  - {name: closed, to: anyone, deny: [push], repository: prod/**, except: {group: releasers}}
  - {name: public, to: anyone, allow: viewer, repository: base/**}
  - {name: pipelines, to: {provider: github}, allow: contributor, repository: ci/**}
  - {name: shown, to: {group: auditors}, allow: catalog}
"#;

fn policy(realms: &Realms) -> Policy {
    let (policy, _) = Policy::compile(&SourceFile::new("rules.yaml", RULES), realms).unwrap_or_else(|findings| panic!("{findings}"));
    policy
}

fn parsed(cases: &str) -> PolicyTests {
    let text = format!("rules: rules.yaml\ncases:\n{cases}");
    PolicyTests::parse(&SourceFile::new("rules.test.yaml", text)).unwrap_or_else(|findings| panic!("{findings}"))
}

/// What comes of cases that are run with the rules alone.
fn outcome(cases: &str) -> Vec<String> {
    let (tests, realms) = (parsed(cases), Realms::default());
    let policy = policy(&realms);
    shown(&tests, &Stage { rules: TestedRules::Alone(&policy), realms: &realms, now: Timestamp(0) })
}

/// The same with the realms of a configuration.
fn configured(cases: &str) -> Vec<String> {
    let (tests, realms) = (parsed(cases), example_realms());
    let (policy, other) = (policy(&realms), Policy::compile(&SourceFile::new("none.yaml", "version: 1\nrules: []\n"), &realms).unwrap().0);
    let rules = TestedRules::Services(vec![("registry", &policy), ("closed", &other)]);
    shown(&tests, &Stage { rules, realms: &realms, now: Timestamp(0) })
}

fn shown(tests: &PolicyTests, stage: &Stage<'_>) -> Vec<String> {
    match tests.run(stage) {
        Ok(failures) => failures.iter().map(|failure| format!("{}: {}", failure.case.place.line - 2, failure.difference())).collect(),
        Err(findings) => findings.0.iter().map(Diagnostic::summary).collect(),
    }
}

#[track_caller]
fn holds(case: &str) {
    assert_eq!(outcome(case), [""; 0], "{case}");
}

#[track_caller]
fn fails(case: &str, difference: &str) {
    assert_eq!(outcome(case), [format!("1: {difference}")], "{case}");
}

#[test]
fn a_case_holds_where_exactly_that_is_granted() {
    holds("- {who: anonymous, asks: 'repository:base/app:pull', gets: pull}");
    holds("- {who: anonymous, asks: 'repository:web/app:pull', gets: nothing}");
    holds("- {who: {user: a, groups: [registry-web]}, asks: 'repository:web/app:pull,push,delete', gets: [pull, push]}");
    holds("- {who: {user: a, groups: registry-web}, asks: ['repository:web/app:*'], gets: ['repository:web/app:push,pull']}");
    holds("- {who: {user: a, groups: [auditors]}, asks: 'registry:catalog:*', gets: catalog}");
    holds(
        "- {who: {user: a, groups: [auditors]}, asks: ['registry:catalog:*', 'repository:base/a:*'], gets: [catalog, 'repository:base/a:pull']}",
    );
    holds("- {who: {user: a}, asks: ['registry:catalog:*', 'repository:web/a:*'], gets: nothing}");
    holds("- {who: {user: breakglass, realm: robots}, asks: 'repository:prod/app:*', gets: pull}");
    holds("- {who: {provider: github, claims: {ref: main}}, asks: 'repository:ci/a:push', gets: push}");
}

#[test]
fn a_failed_case_says_what_is_missing_and_what_is_too_much() {
    let web = "- who: {user: a, groups: [registry-web]}\n  asks:";
    fails(&format!("{web} repository:web/app:pull,push,delete\n  gets: [pull, delete]"), "missing: delete; too much: push");
    fails(&format!("{web} repository:web/app:*\n  gets: nothing"), "too much: pull, push");
    fails(&format!("{web} repository:prod/app:*\n  gets: [pull, push]"), "missing: pull, push");
    fails(
        &format!(
            "{web} ['repository:web/app:*', 'repository:api/x:pull', 'registry:catalog:*']\n  gets: [catalog, 'repository:api/x:pull']"
        ),
        "missing: repository:api/x:pull, catalog; too much: repository:web/app:pull,push",
    );
    let two = "- {who: anonymous, asks: 'repository:base/a:pull', gets: pull}\n- {who: anonymous, asks: 'repository:a:pull', gets: pull}\n";
    assert_eq!(outcome(two), ["2: missing: pull"]);
}

#[test]
fn groups_are_names_or_dns_or_all_that_is_known_of_them() {
    let case = |group: &str| format!("- {{who: {{user: a, groups: [{group}]}}, asks: 'repository:web/app:delete', gets: delete}}");
    holds(&case("'cn=images-web, ou=registry, dc=corp'"));
    holds(&case("{dn: 'CN=images-web,OU=Registry,DC=corp'}"));
    holds(&case("{name: other, dn: 'CN=images-web,OU=Registry,DC=corp', id: 5f}"));
    fails(&case("images-web"), "missing: delete");
    // A name that only looks like a DN is none.
    fails(&case("{name: 'CN=images-web,OU=Registry,DC=corp'}"), "missing: delete");
}

#[test]
fn a_configuration_says_whose_people_they_are_and_how_names_compare() {
    let upper = "- {who: {user: a, groups: [REGISTRY-Web]}, asks: 'repository:web/app:pull', gets: pull}";
    assert_eq!(outcome(upper), ["1: missing: pull"]);
    assert_eq!(configured(upper), [""; 0]);
    assert_eq!(configured("- {who: {provider: github}, asks: 'repository:ci/a:push', gets: push}"), [""; 0]);
    let refused = |who: &str, service: &str| configured(&format!("- {{who: {who}, asks: 'repository:a:pull', gets: nothing{service}}}"));
    assert_eq!(
        refused("{user: a, realm: lab}", ""),
        ["rules.test.yaml:3:9: the configuration has no realm `lab`; it has corp, robots, github"]
    );
    assert_eq!(refused("{user: a, provider: x}", ""), ["rules.test.yaml:3:9: the configuration has no provider `x`"]);
    assert_eq!(refused("{groups: [a]}", ""), ["rules.test.yaml:3:9: a person has a name"]);
    let groups = "{provider: github, groups: [a]}";
    assert_eq!(refused(groups, ""), ["rules.test.yaml:3:9: `github` knows workloads, which have no groups"]);
    assert_eq!(
        refused("anonymous", ", service: other"),
        ["rules.test.yaml:3:71: the configuration has no service `other`; it has registry, closed"]
    );
}

#[test]
fn each_service_has_its_rules_and_the_first_is_meant() {
    let case = |service: &str| format!("- {{who: anonymous, asks: 'repository:base/a:pull', gets: pull{service}}}");
    assert_eq!(configured(&case("")), [""; 0]);
    assert_eq!(configured(&case(", service: registry")), [""; 0]);
    assert_eq!(configured(&case(", service: closed")), ["1: missing: pull"]);
    assert_eq!(outcome(&case(", service: whatever")), [""; 0]);
}

#[test]
fn a_failure_is_a_finding_at_its_expectation() {
    let realms = Realms::default();
    let policy = policy(&realms);
    let stage = Stage { rules: TestedRules::Alone(&policy), realms: &realms, now: Timestamp(0) };
    let tests = parsed(
        "- name: everybody reads\n  who: anonymous\n  asks: repository:web/app:pull\n  gets: pull\n\
         - who: {user: a, groups: [registry-web]}\n  asks: repository:web/app:pull\n  at: 2035-01-01T00:00:00+01:00\n  source: 10.0.0.7\n  gets: nothing\n",
    );
    let failures = tests.run(&stage).unwrap();
    let findings = Diagnostics(failures.iter().map(Failure::diagnostic).collect());
    assert_eq!(
        findings.to_string(),
        "error: a policy test fails: `everybody reads`: missing: pull
  --> rules.test.yaml:6:9
  |
6 |   gets: pull
  |         ^
hint: correct the rules or the test; `narrows test rules.test.yaml` says which rule decides

error: a policy test fails: a, group registry-web asks for repository:web/app:pull at 2034-12-31T23:00:00Z from 10.0.0.7: too much: pull
  --> rules.test.yaml:11:9
   |
11 |   gets: nothing
   |         ^
hint: correct the rules or the test; `narrows test rules.test.yaml` says which rule decides
"
    );
}

/// How a `who_can` case comes out where these can.
#[track_caller]
fn check_holders(is: &str, holders: &[&str], expected: &str) {
    check_list(is, holders, true, expected);
}

#[track_caller]
fn check_list(is: &str, holders: &[&str], complete: bool, expected: &str) {
    let tests = parsed(&format!("- {{who_can: push prod/app, is: {is}}}\n"));
    let policy = policy(&Realms::default());
    let rule = RuleName { name: "r".into(), file: "rules.yaml".into(), line: 1 };
    let holder = |who: &&str| Holder { who: who.to_string(), conditions: Vec::new(), rule: rule.clone() };
    let found = Found::Holders(Holders { list: holders.iter().map(holder).collect(), complete });
    let failure = Failure::of(tests.file(), &tests.cases()[0], &policy, found);
    assert_eq!(failure.map_or_else(|| "holds".to_owned(), |failure| failure.difference()), expected, "{is}");
}

#[test]
fn holders_compare_as_sets_of_words() {
    check_holders("nobody", &[], "holds");
    check_holders("nobody", &["anyone"], "too much: anyone");
    check_holders("group releasers", &["group releasers"], "holds");
    check_holders("[user robots/breakglass, group releasers]", &["group releasers", "user robots/breakglass"], "holds");
    check_list("anyone", &["anyone"], false, "who can is not all known: the rules leave too many ways to try");
    check_holders("[group a, provider github]", &["group a", "group b"], "missing: provider github; too much: group b");
}

/// The findings of a whole file, each on one line.
#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let found = match PolicyTests::parse(&SourceFile::new("t", text)) {
        Ok(tests) => panic!("{text}\n{tests:#?}"),
        Err(findings) => findings,
    };
    let lines: Vec<String> = found.0.iter().map(Diagnostic::summary).collect();
    assert_eq!(lines, expected, "{text}");
    assert!(found.0.iter().all(|finding| finding.hint.is_some() && finding.line.is_some()), "{found}");
}

#[test]
fn a_file_names_its_rules_and_has_cases() {
    let case = "cases: [{who: anonymous, asks: 'repository:a:pull', gets: pull}]\n";
    refused("rules: r\n", &["t:1:1: `cases` is missing"]);
    refused("rules: r\ncases: []\n", &["t:2:8: there is no case"]);
    refused("rules: r\ncases: {a: b}\n", &["t:2:8: `cases` is a list, not a mapping"]);
    refused("rules: r\ncases:\n", &["t:2:6: `cases` is a list, not nothing"]);
    refused(case, &["t:1:1: it is not said which rules are tested"]);
    refused(&format!("rules: r\nconfig: c\n{case}"), &["t:2:1: a file with both `rules` and `config`"]);
    refused(&format!("rules: []\n{case}"), &["t:1:8: `rules` is an empty list"]);
    refused(&format!("rules: [{{within: a/**}}]\n{case}"), &["t:1:9: a rule file without `file`"]);
    refused(&format!("rules: [{{file: a, wihtin: b}}]\n{case}"), &["t:1:19: `wihtin` is not a key here"]);
    refused(&format!("config: [a]\n{case}"), &["t:1:9: `config` is a text, not a list"]);
    refused(&format!("rule: r\n{case}"), &["t:1:1: `rule` is not a key here"]);
    refused("- a\n", &["t:1:1: a file of policy tests is a mapping, not a list"]);
    refused("rules: r\nrules: r\n", &["t:2:1: the key `rules` stands here a second time"]);
    let tests = PolicyTests::parse(&SourceFile::new("t", format!("rules: [a.yaml, {{file: b.yaml, within: b/**}}]\n{case}"))).unwrap();
    let TestedFiles::Rules(files) = &tests.files else { panic!("{tests:?}") };
    assert_eq!(files[1].value.file.to_str(), Some("b.yaml"));
    assert_eq!(files[1].value.within.as_ref().unwrap().value, "b/**");
}

#[track_caller]
fn refused_case(case: &str, expected: &[&str]) {
    refused(&format!("rules: r\ncases:\n- {case}\n"), expected);
}

#[test]
fn a_case_is_one_whole_question() {
    refused_case("{who: anonymous}", &["t:3:3: a case without `asks`", "t:3:3: a case without `gets`"]);
    refused_case("{}", &["t:3:3: a case without `who`", "t:3:3: a case without `asks`", "t:3:3: a case without `gets`"]);
    refused_case("{who: anonymous, asks: 'repository:a:pull', get: pull}", &["t:3:47: `get` is not a key here"]);
    refused_case("anonymous", &["t:3:3: a case is a mapping, not a text"]);
    refused_case("{who: anonymous, asks: 'repository:a:pull', gets: pull, ttl: 5m}", &["t:3:59: `ttl` is not a key here"]);
    refused_case("{who_can: push a}", &["t:3:3: a case without `is`"]);
    refused_case("{is: nobody}", &["t:3:3: a case without `who_can`"]);
    refused_case("{who_can: push a, is: nobody, who: anonymous}", &["t:3:33: `who` stands beside `who_can`"]);
    refused_case("{who_can: fly a, is: nobody}", &["t:3:13: `fly` is no action"]);
    refused_case(
        "{who_can: push, is: nobody}",
        &["t:3:13: `` is not a path component: lower-case letters and digits, joined by `.`, `_`, `__` or dashes"],
    );
    refused_case("{who_can: '* a', is: []}", &["t:3:13: `*` is no action", "t:3:24: `is` is an empty list"]);
    refused_case("{who_can: catalog, is: [nobody, anyone]}", &["t:3:27: `nobody` stands beside somebody"]);
}

#[test]
fn somebody_is_described_by_known_keys_only() {
    let with = |who: &str| format!("{{who: {who}, asks: 'repository:a:pull', gets: pull}}");
    let check = |who: &str, expected: &str| refused_case(&with(who), &[expected]);
    check("alice", "t:3:9: `alice` is nobody");
    check("[a, b]", "t:3:9: `who` is one person, not a list");
    check("~", "t:3:9: `who` is one person, not nothing");
    check("{usr: a}", "t:3:10: `usr` is not a key here");
    check("{user: 5}", "t:3:16: `user` is a text, not a number");
    check("{user: ''}", "t:3:16: `user` is a text, not an empty text");
    check("{user: a, groups: ['CN=a,b']}", "t:3:28: `CN=a,b` is no DN");
    check("{user: a, groups: [{dn: garbage}]}", "t:3:33: `garbage` is no DN");
    check("{user: a, groups: [{}]}", "t:3:28: a group without a name");
    check("{user: a, groups: [{nmae: a}]}", "t:3:29: `nmae` is not a key here");
    check("{user: a, groups: [~]}", "t:3:28: a group is a text, not nothing");
    check("{user: a, claims: [a]}", "t:3:27: `claims` is a mapping, not a list");
    check("{user: a, claims: {repository_id: 991}}", "t:3:43: the claim `repository_id` is a text, not a number");
    check("{user: a, mfa: today}", "t:3:24: a second factor was not used `today` ago");
    check("{user: a, mfa: 10}", "t:3:24: `mfa` is a text, not a number");
}

#[test]
fn what_nobody_could_ask_or_get_is_a_mistake() {
    let check = |rest: &str, expected: &str| refused_case(&format!("{{who: anonymous, {rest}}}"), &[expected]);
    check("asks: [], gets: nothing", "t:3:26: the case asks for nothing");
    check("asks: 'repository:a:pull,psh', gets: pull", "t:3:26: `psh` is no action");
    check("asks: 'a:pull', gets: pull", "t:3:26: a scope is `type:name:actions`");
    check("asks: 'registry:catalog:pull', gets: catalog", "t:3:26: the scope asks for no known action");
    check("asks: ['repository:a:pull', 'repository:a:push'], gets: nothing", "t:3:48: `repository:a` is asked for twice");
    check("asks: 'repository:a:pull', gets: []", "t:3:53: `gets` is an empty list");
    check("asks: 'repository:a:pull', gets: [pull, push]", "t:3:60: `push` is not asked for");
    check("asks: 'repository:a:pull', gets: 'repository:b:pull'", "t:3:53: `repository:b:pull` is not asked for");
    check("asks: 'repository:a:pull', gets: catalog", "t:3:53: `catalog` is not asked for");
    check("asks: 'repository:a:*', gets: 'repository:a:*'", "t:3:50: `*` is never granted on a repository");
    check("asks: 'repository:a:*', gets: '*'", "t:3:50: `*` is no action that is granted");
    check("asks: 'repository:a:*', gets: contributor", "t:3:50: `contributor` is no action that is granted");
    check("asks: 'repository:a:*', gets: [nothing, pull]", "t:3:51: `nothing` stands beside something");
    check("asks: ['repository:a:*', 'repository:b:*'], gets: pull", "t:3:70: it is open which scope gets `pull`");
    check("asks: 'repository:a:*', gets: pull, at: 2035-01-01", "t:3:60: `at` cannot be `2035-01-01`");
    check("asks: 'repository:a:*', gets: pull, source: 10.0.0.0/8", "t:3:64: `source` cannot be `10.0.0.0/8`");
}

#[test]
fn a_case_knows_the_moment_the_address_and_the_second_factor() {
    let tests = parsed("- {who: {user: a, mfa: 10m}, asks: 'repository:a:pull', gets: pull, at: '2023-11-14T22:13:20Z', source: '::1'}\n");
    let Question::Request(request) = &tests.cases()[0].question else { panic!("{tests:?}") };
    assert_eq!((request.at, request.source), (Some(Timestamp(1_700_000_000)), Some("::1".parse().unwrap())));
    assert_eq!(request.who.value.to_string(), "a, second factor 10m ago");
}
