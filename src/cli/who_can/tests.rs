//! Who can, over the example rules and over small ones.

use std::path::Path;

use clap::Parser;

use super::*;

const RULES: &str = r#"version: 1
realm: corp
reserved: [prod]
timezone: Europe/Berlin
rules:
  - name: releasers work on production
    to: [{group: releasers}, {realm: robots, user: breakglass}]
    allow: contributor
    repository: prod/**
  - name: a fresh second factor
    to: authenticated
    deny: [push]
    repository: prod/**
    except: [{mfa: {within: 12h}}, {realm: robots, user: breakglass}]
  - name: the pipeline
    to: {provider: github, claims: {repository_id: "991"}}
    allow: contributor
    repository: prod/app
    when: {source: [10.0.0.0/8], weekly: {days: [mon, fri], from: "08:00", until: "18:00"}}
  - name: teams
    to: {group: "registry-{team}"}
    allow: contributor
    repository: "{team}/**"
  - {to: {group: auditors, mfa: {within: 1h}}, allow: catalog}
"#;

const IDENTITIES: &str = r#"- {user: alice, groups: [releasers], mfa: 1h}
- {user: bob, groups: [releasers]}
- {user: breakglass, realm: robots}
- {provider: github, claims: {repository_id: "991"}}
- {user: carol}
- anonymous
"#;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: WhoCanArgs,
}

fn run(identities: &str, words: &[&str]) -> anyhow::Result<(String, String, ExitCode)> {
    run_with(RULES, identities, words)
}

fn run_with(rules: &str, identities: &str, words: &[&str]) -> anyhow::Result<(String, String, ExitCode)> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).map(|()| path.display().to_string())
    };
    let rules = write("rules.yaml", rules)?;
    let people = write("people.yaml", identities)?;
    let more: &[&str] = if identities.is_empty() { &[] } else { &["--identities", &people] };
    let args = Command::try_parse_from([&["who-can"], words, &["--rules", &rules], more].concat())?.args;
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let code = who_can(&args, &Clock::fixed("2026-11-23T09:00:00Z".parse::<Timestamp>().unwrap()), &mut out, &mut talk)?;
    let text = |bytes| String::from_utf8(bytes).unwrap().replace(&format!("{}/", folder.path().display()), "");
    Ok((text(out), text(talk), code))
}

#[track_caller]
fn check(identities: &str, words: &[&str], code: u8, out: &str, talk: &str) {
    let told = run(identities, words).unwrap();
    assert_eq!((told.0.as_str(), told.1.as_str(), told.2), (out, talk, ExitCode::from(code)), "{words:?}");
}

#[track_caller]
fn refuses(identities: &str, words: &[&str], expected: &str) {
    let error = run(identities, words).unwrap_err();
    assert!(format!("{error:#}").contains(expected), "{words:?}: {error:#}");
}

#[test]
fn each_holder_has_its_rule_and_what_it_needs() {
    let factor = "`a fresh second factor` (rules.yaml:10), which makes way for everybody with a second factor of the last 12h or user breakglass of realm robots";
    check(
        "",
        &["push", "prod/app"],
        0,
        &format!(
            "group releasers  by `releasers work on production` (rules.yaml:6), needs to pass {factor}
provider github  by `the pipeline` (rules.yaml:15), needs repository_id=991; and coming from 10.0.0.0/8, on mon, fri 08:00-18:00 Europe/Berlin
user robots/breakglass  by `releasers work on production` (rules.yaml:6)
"
        ),
        "",
    );
    check("", &["push", "web/app"], 0, "group registry-web  by `teams` (rules.yaml:20)\n", "");
    check(
        "",
        &["catalog"],
        0,
        "group auditors  by `rules.yaml:24` (rules.yaml:24), needs a second factor of the last 1h\n"
            .replace(" (rules.yaml:24)", "")
            .as_str(),
        "",
    );
    check("", &["delete", "prod/app"], 1, "nobody\n", "");
}

#[test]
fn given_identities_are_decided_for_as_requests_are() {
    check(
        IDENTITIES,
        &["push", "prod/app"],
        0,
        "alice, group releasers, second factor 1h ago  by `releasers work on production` (rules.yaml:6)
breakglass, realm robots  by `releasers work on production` (rules.yaml:6)
",
        "a workload, provider github, claim repository_id=991: rule `the pipeline` (rules.yaml:15): the client's address is not known, so it does not apply\n",
    );
    check(IDENTITIES, &["delete", "prod/app"], 1, "nobody\n", "");
}

#[test]
fn a_machine_reads_one_object() {
    let (out, _, code) = run("", &["pull", "web/app", "--json"]).unwrap();
    let mut read: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(read.pointer_mut("/holders/0/rules/0/file").unwrap().take(), "rules.yaml");
    let rule = json!({"name": "teams", "file": null, "line": 20});
    let holders = json!([{"who": "group registry-web", "conditions": [], "rules": [rule]}]);
    assert_eq!((read, code), (json!({"question": "repository:web/app:pull", "holders": holders, "complete": true}), ExitCode::SUCCESS));
}

#[test]
fn a_list_that_is_not_complete_says_so() {
    let rules =
        "version: 1\nrealm: corp\nreserved: []\nrules:\n  - {to: {group: \"g-{team}\"}, allow: pull, repository: \"*{team}/app\"}\n";
    let long = format!("{}/app", "a".repeat(100));
    let (out, talk, code) = run_with(rules, "", &["pull", &long]).unwrap();
    assert!(talk.contains("warning: this is not everybody"), "{talk}");
    assert_eq!((out.as_str(), code), ("", ExitCode::from(UNAVAILABLE)));
    let (out, _, code) = run_with(rules, "", &["pull", &long, "--json"]).unwrap();
    assert!(out.contains("\"complete\": false") && code == ExitCode::from(UNAVAILABLE), "{out}");
}

#[test]
fn bad_questions_are_refused() {
    refuses("", &["fly", "a"], "`fly` is no action: write pull, push, delete or catalog");
    refuses("", &["*", "a"], "`*` is no action");
    refuses("", &["push"], "name a repository, as in `narrows who-can push prod/app`");
    refuses("", &["push", "A"], "`A` is no repository");
    refuses("", &["catalog", "a"], "leave the repository out");
    refuses("{user: a}", &["pull", "a"], "identities are a list, not a mapping");
    refuses("[]", &["pull", "a"], "there is no identity");
    refuses("- {group: a}", &["pull", "a"], "`group` is not a key here");
    refuses("- {groups: [a]}", &["pull", "a"], "a person has a name");
}

#[test]
fn the_examples_are_understood_and_the_shipped_rules_answer() {
    for line in EXAMPLES.lines().filter_map(|line| line.trim().strip_prefix("narrows ")) {
        assert!(Command::try_parse_from(line.split_whitespace()).is_ok(), "{line}");
    }
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules.yaml");
    let line = ["who-can", "pull", "shared/x", "--rules", rules.to_str().unwrap()];
    let args = Command::try_parse_from(line).unwrap().args;
    let mut out = Vec::new();
    assert_eq!(who_can(&args, &Clock::system(), &mut out, &mut io::sink()).unwrap(), ExitCode::SUCCESS);
    assert!(String::from_utf8(out).unwrap().starts_with("authenticated  by "));
}
