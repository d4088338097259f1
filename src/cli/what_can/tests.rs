//! What somebody can do, with conditions and with what is taken away again.

use clap::Parser;

use super::*;
use crate::clock::Timestamp;

const RULES: &str = r#"version: 1
realm: corp
reserved: [prod, users]
rules:
  - {name: public, to: anyone, allow: viewer, repository: base/**}
  - {name: home, to: authenticated, allow: owner, repository: "users/{user}/**"}
  - {name: team, to: {group: "registry-{team}"}, allow: owner, repository: "{team}/**"}
  - {name: careful, to: {group: "registry-{team}"}, deny: [delete], repository: "{team}/live/**"}
  - {name: releasers, to: {group: releasers}, allow: contributor, repository: prod/**, when: {until: 2035-01-01T00:00:00Z}}
  - {name: factor, to: authenticated, deny: [push], repository: prod/**, except: {mfa: {within: 12h}}}
  - {name: vault, to: {group: releasers, mfa: {within: 1h}}, allow: pull, repository: vault}
  - {name: pipeline, to: {provider: github, claims: {ref: main, repository_id: "991"}}, allow: contributor, repository: prod/app}
  - {name: shut, to: anyone, deny: all, repository: prod/closed/**}
  - {name: auditors, to: {group: auditors}, allow: catalog}
"#;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: WhatCanArgs,
}

fn run(words: &[&str]) -> anyhow::Result<(String, ExitCode)> {
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, RULES)?;
    let args = Command::try_parse_from([&["what-can"], words, &["--rules", rules.to_str().unwrap()]].concat())?.args;
    let mut out = Vec::new();
    let code = what_can(&args, &Clock::fixed(Timestamp(1_700_000_000)), &mut out, &mut io::sink())?;
    Ok((String::from_utf8(out)?.replace(&format!("{}/", folder.path().display()), ""), code))
}

#[track_caller]
fn check(words: &[&str], code: u8, expected: &str) {
    assert_eq!(run(words).unwrap(), (expected.to_owned(), ExitCode::from(code)), "{words:?}");
}

#[test]
fn a_pattern_has_its_actions_its_rule_and_what_is_taken_from_it() {
    check(
        &["alice", "--group", "registry-web"],
        0,
        "base/**  pull  by `public` (rules.yaml:5)
users/alice/**  pull,push,delete  by `home` (rules.yaml:6)
web/**  pull,push,delete  by `team` (rules.yaml:7)
  less delete in web/live/**  by `careful` (rules.yaml:8)
",
    );
}

#[test]
fn what_is_not_known_is_a_condition() {
    let until = "until 2035-01-01T00:00:00Z";
    let way = "to pass `factor` (rules.yaml:10), which makes way for everybody with a second factor of the last 12h";
    check(
        &["a", "--group", "releasers"],
        0,
        &format!(
            "base/**  pull  by `public` (rules.yaml:5)
users/a/**  pull,push,delete  by `home` (rules.yaml:6)
prod/**  pull,push  by `releasers` (rules.yaml:9), needs {until}; and for push in prod/** {way}
  less pull,push in prod/closed/**  by `shut` (rules.yaml:13)
vault  pull  by `vault` (rules.yaml:11), needs a second factor of the last 1h
"
        ),
    );
    check(
        &["a", "--group", "releasers", "--mfa", "2h"],
        0,
        &format!(
            "base/**  pull  by `public` (rules.yaml:5)
users/a/**  pull,push,delete  by `home` (rules.yaml:6)
prod/**  pull,push  by `releasers` (rules.yaml:9), needs {until}
  less pull,push in prod/closed/**  by `shut` (rules.yaml:13)
"
        ),
    );
    check(
        &["a", "--group", "releasers", "--mfa", "none"],
        0,
        &format!(
            "base/**  pull  by `public` (rules.yaml:5)
users/a/**  pull,push,delete  by `home` (rules.yaml:6)
prod/**  pull  by `releasers` (rules.yaml:9), needs {until}
  less pull in prod/closed/**  by `shut` (rules.yaml:13)
"
        ),
    );
    check(
        &["--provider", "github", "--claim", "repository_id=991"],
        0,
        "base/**  pull  by `public` (rules.yaml:5)
prod/app  pull,push  by `pipeline` (rules.yaml:12), needs ref=main
",
    );
}

#[test]
fn requests_without_credentials_and_the_catalogue_are_listed() {
    check(&["--anonymous"], 0, "base/**  pull  by `public` (rules.yaml:5)\n");
    let (out, _) = run(&["a", "--group", "auditors"]).unwrap();
    assert!(out.ends_with("catalog  by `auditors` (rules.yaml:14)\n"), "{out}");
}

#[test]
fn a_machine_reads_one_object() {
    let (out, _) = run(&["alice", "--group", "registry-web", "--json"]).unwrap();
    let read: Value = serde_json::from_str(&out).unwrap();
    let web = read.pointer("/can/2").unwrap();
    assert_eq!((&web["repository"], &web["actions"]), (&json!("web/**"), &json!(["pull", "push", "delete"])));
    assert_eq!((&web["less"][0]["repository"], &web["less"][0]["rule"]["line"]), (&json!("web/live/**"), &json!(8)));
}

#[test]
fn bad_usage_is_refused_and_the_examples_are_understood() {
    for (words, expected) in [
        (&[][..], "say who: USER"),
        (&["a", "--anonymous"], "cannot be used with"),
        (&["a", "--claim", "x"], "write the claim's name and its value"),
        (&["a", "--mfa", "soon"], "is not a length of time"),
    ] {
        let error = run(words).unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{words:?}: {error:#}");
    }
    for line in EXAMPLES.lines().filter_map(|line| line.trim().strip_prefix("narrows ")) {
        assert!(Command::try_parse_from(line.split_whitespace()).is_ok(), "{line}");
    }
}
