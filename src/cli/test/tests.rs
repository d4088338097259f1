//! What is printed for tests that pass, fail, or cannot be run, and the tests that narrows ships.

use std::fs;
use std::path::Path;

use clap::Parser;

use super::*;
use crate::authz::{Environment, Policy, PolicyTests, RuleSource, Stage, TestedRules};
use crate::clock::Timestamp;
use crate::config;
use crate::source::SourceFile;

const RULES: &str = r#"version: 1
realm: corp
reserved: [prod]
groups:
  platform: [gg-platform]
rules:
  - name: a team owns its namespace
    to: {group: "registry-{team}"}
    allow: contributor
    repository: "{team}/**"
  - name: the platform team
    to: {group: platform}
    allow: owner
    repository: tools/**
"#;

const CONFIG: &str = r"
services: [{name: registry.example}, {name: other.example}]
rules: rules.yaml
providers:
  - {name: robots, names: [breakglass], file: {path: users.yaml}}
  - {name: staff, names: [a], realm: corp, ignore_case: true, file: {path: users.yaml}}
";

const GOOD: &str = "rules: rules.yaml
cases:
  - {who: {user: alice, groups: [registry-web]}, asks: 'repository:web/app:*', gets: [pull, push]}
  - {who: anonymous, asks: 'repository:web/app:pull', gets: nothing}
";

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: TestArgs,
}

struct Told {
    out: String,
    talk: String,
    code: ExitCode,
}

/// A folder with rules, a configuration, and these files.
struct Scene(tempfile::TempDir);

impl Scene {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("rules.yaml", RULES), ("narrows.yaml", CONFIG), ("good.yaml", GOOD)].iter().chain(files) {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn run(&self, words: &[&str]) -> Told {
        let folder = self.0.path().display();
        let place = |word: &&str| if word.starts_with("--") { (*word).to_owned() } else { format!("{folder}/{word}") };
        let args = Line::try_parse_from(["test".to_owned()].into_iter().chain(words.iter().map(place))).unwrap().args;
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        let code = test(&args, &Clock::fixed(Timestamp(0)), &mut out, &mut talk).unwrap();
        // The folder has another name each time.
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&format!("{folder}/"), "");
        Told { out: text(out), talk: text(talk), code }
    }

    #[track_caller]
    fn check(&self, words: &[&str], code: u8, out: &str, talk: &str) {
        let told = self.run(words);
        assert_eq!((told.out.as_str(), told.talk.as_str()), (out, talk), "{words:?}");
        assert_eq!(told.code, ExitCode::from(code), "{words:?}");
    }
}

#[test]
fn cases_that_pass_are_only_counted() {
    let scene = Scene::new(&[]);
    scene.check(&["good.yaml"], 0, "2 cases passed\n", "");
    scene.check(&["good.yaml", "good.yaml"], 0, "4 cases passed\n", "");
}

#[test]
fn a_case_that_fails_is_shown_with_its_difference_and_the_reason() {
    let bad = "rules: rules.yaml
cases:
  - name: a team may delete
    who: {user: alice, groups: [registry-web]}
    asks: repository:web/app:pull,push,delete
    gets: [pull, delete]
  - {who: {user: bob, groups: [platform]}, asks: 'repository:tools/x:pull', gets: pull}
  - {who: anonymous, asks: 'repository:web/app:pull', gets: nothing}
";
    Scene::new(&[("bad.yaml", bad)]).check(
        &["bad.yaml", "good.yaml"],
        1,
        "FAILED bad.yaml:3:5 `a team may delete`
  alice, group registry-web asks for repository:web/app:pull,push,delete
  missing: delete
  too much: push
    repository:web/app:pull,push,delete
      granted  pull    by `a team owns its namespace` (rules.yaml:7)
      granted  push    by `a team owns its namespace` (rules.yaml:7)
      refused  delete  no rule allows it
               no rule allows delete there to anybody
    token: repository:web/app:pull,push

FAILED bad.yaml:7:5
  bob, group platform asks for repository:tools/x:pull
  missing: pull
    repository:tools/x:pull
      refused  pull    no rule allows it
               rules that allow pull there:
                 `a team owns its namespace` (rules.yaml:7) for group registry-{team}
                 `the platform team` (rules.yaml:11) for group platform
    token: nothing
    note: the group `platform` matches nothing: the rules use that name as an alias; give a group that it stands for

3 cases passed, 2 failed
",
        "",
    );
}

#[test]
fn a_file_that_cannot_be_run_does_not_hide_the_others() {
    let bad = "rules: rules.yaml\ncases: [{who: anonymous, asks: 'repository:a:pull', gets: push}]\n";
    let lost = "rules: gone.yaml\ncases: [{who: anonymous, asks: 'repository:a:pull', gets: pull}]\n";
    let broken = "rules: broken-rules.yaml\ncases: [{who: anonymous, asks: 'repository:a:pull', gets: pull}]\n";
    let scene = Scene::new(&[("bad.yaml", bad), ("lost.yaml", lost), ("broken.yaml", broken), ("broken-rules.yaml", "rules: []\n")]);
    let told = scene.run(&["bad.yaml", "lost.yaml", "broken.yaml", "none.yaml", "good.yaml"]);
    assert_eq!((told.out.as_str(), told.code), ("2 cases passed, 4 files could not be run\n", ExitCode::from(2)));
    let errors: Vec<&str> = told.talk.lines().filter(|line| line.starts_with("error") || line.starts_with("  -->")).collect();
    assert_eq!(
        errors,
        [
            "error: `push` is not asked for",
            "  --> bad.yaml:2:59",
            "error: the rule file `gone.yaml`: cannot read the file: No such file or directory (os error 2)",
            "  --> lost.yaml:1:8",
            "error: `version` is missing",
            "  --> broken-rules.yaml:1:1",
            "error: cannot read the file: No such file or directory (os error 2)",
            "  --> none.yaml",
        ]
    );
}

#[test]
fn a_configuration_brings_realms_services_and_rules() {
    let tests = "config: narrows.yaml
cases:
  - {who: {user: alice, groups: [REGISTRY-Web]}, asks: 'repository:web/app:push', gets: push}
  - {who: {user: alice, groups: [registry-web], realm: robots}, asks: 'repository:web/app:push', gets: nothing}
  - {service: other.example, who: {user: alice, groups: [registry-web]}, asks: 'repository:web/app:push', gets: push}
";
    let unknown = "config: narrows.yaml\ncases: [{service: third, who: {user: a, realm: lab}, asks: 'repository:a:pull', gets: pull}]\n";
    let scene = Scene::new(&[("tests.yaml", tests), ("unknown.yaml", unknown)]);
    scene.check(&["tests.yaml"], 0, "3 cases passed\n", "");
    scene.check(
        &["unknown.yaml"],
        2,
        "0 cases passed, 1 file could not be run\n",
        "error: the configuration has no service `third`; it has registry.example, other.example
  --> unknown.yaml:2:19
  |
2 | cases: [{service: third, who: {user: a, realm: lab}, asks: 'repository:a:pull', gets: pull}]
  |                   ^
hint: name one of them, or none: the first is meant then

",
    );
}

#[test]
fn warnings_of_the_rules_are_said_once() {
    let rules = "version: 1\nrules: [{to: {group: a}, allow: push, repository: a}]\n";
    let tests = "rules: warned.yaml\ncases: [{who: anonymous, asks: 'repository:a:pull', gets: nothing}]\n";
    let told = Scene::new(&[("warned.yaml", rules), ("tests.yaml", tests)]).run(&["tests.yaml", "tests.yaml"]);
    assert_eq!((told.out.as_str(), told.code), ("2 cases passed\n", ExitCode::SUCCESS));
    assert_eq!(told.talk.matches("warning: ").count(), 1, "{}", told.talk);
}

#[test]
fn programs_read_one_object() {
    let bad = "rules: rules.yaml
cases:
  - {name: read, who: {user: alice, groups: [registry-web]}, asks: 'repository:web/app:pull', gets: nothing}
";
    let told = Scene::new(&[("bad.yaml", bad)]).run(&["--json", "bad.yaml", "good.yaml", "none.yaml"]);
    assert_eq!((told.talk.as_str(), told.code), ("", ExitCode::from(2)));
    let read: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let expected = serde_json::json!({
        "passed": 2,
        "failed": 1,
        "bad_files": 1,
        "failures": [{
            "file": "bad.yaml", "line": 3, "column": 5, "name": "read",
            "question": "alice, group registry-web asks for repository:web/app:pull",
            "expected": [], "missing": [], "excess": ["pull"],
            "explanation": {
                "granted": ["repository:web/app:pull"],
                "scopes": [{
                    "scope": "repository:web/app:pull",
                    "actions": [
                        {"action": "pull", "granted": true, "by": [{"name": "a team owns its namespace", "file": "rules.yaml", "line": 7}]},
                    ],
                    "notes": [],
                }],
                "dropped": [],
            },
        }],
        "findings": [{
            "severity": "error", "file": "none.yaml", "line": null, "column": null, "hint": null,
            "message": "cannot read the file: No such file or directory (os error 2)",
        }],
    });
    assert_eq!(read, expected);
}

#[test]
fn a_name_in_a_case_cannot_move_the_cursor() {
    let bad = "rules: rules.yaml\ncases: [{name: \"\\e[2J\", who: {user: \"\\e[2J\"}, asks: 'repository:a:pull', gets: pull}]\n";
    let told = Scene::new(&[("bad.yaml", bad)]).run(&["bad.yaml"]);
    assert!(told.out.starts_with("FAILED bad.yaml:2:9 `\\u001b[2J`\n  \\u001b[2J asks for"), "{}", told.out);
}

#[test]
fn a_file_has_to_be_named() {
    assert!(Line::try_parse_from(["test"]).is_err());
}

#[test]
fn the_file_in_the_help_can_be_run() {
    let indented = EXAMPLES.lines().skip(1).take_while(|line| !line.is_empty());
    let text: String = indented.flat_map(|line| [line.strip_prefix("  ").unwrap(), "\n"]).collect();
    PolicyTests::parse(&SourceFile::new("help.yaml", text)).unwrap_or_else(|findings| panic!("{findings}"));
}

/// The file above the command on the page fails beside the example rules as the page shows.
#[test]
fn the_rules_page_prints_what_is_printed() {
    let page = include_str!("../../../docs/rules.md");
    let (above, below) = page.split_once("```\n$ narrows test rules.test.yaml\n").unwrap();
    let file = above.rsplit("```yaml\n").next().and_then(|block| block.split("```").next()).unwrap();
    let scene = Scene::new(&[("rules.test.yaml", file), ("rules.yaml", include_str!("../../../config/rules.yaml"))]);
    let told = scene.run(&["rules.test.yaml"]);
    assert!(below.starts_with(&format!("{}```", told.out)), "{}", told.out);
}

/// Whoever copies a rule file of the page and the cases below it into a folder sees them pass, without a configuration.
#[test]
fn what_is_copied_from_the_rules_page_passes() {
    let page = include_str!("../../../docs/rules.md");
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    let mut count = 0;
    for pair in blocks.windows(2) {
        let [rules, cases] = pair else { continue };
        if rules.starts_with("version:") && cases.contains("\ncases:\n") {
            let told = Scene::new(&[("rules.test.yaml", cases), ("rules.yaml", rules)]).run(&["rules.test.yaml"]);
            assert!(told.out.ends_with(" cases passed\n"), "{}{}", told.out, told.talk);
            count += 1;
        }
    }
    assert!(count > 10, "{count} files of cases");
}

/// Without any one of its rules the example rules would not pass their tests. The deny alone changes nothing yet: it holds
/// production closed against rules to come.
#[test]
fn the_shipped_tests_need_every_rule_that_is_shipped() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let tests = PolicyTests::parse(&SourceFile::load(&folder.join("rules.test.yaml")).unwrap()).unwrap();
    let (config, _) = config::load(&folder.join("narrows.yaml")).unwrap();
    let environment = config.environment(Timestamp(0));
    let whole = fs::read_to_string(folder.join("rules.yaml")).unwrap();
    assert_eq!(failures(&tests, &whole, &environment), 0);
    let blocks: Vec<&str> = whole.split("\n  - name: ").collect();
    assert!(blocks.len() > 10, "{} rules", blocks.len() - 1);
    let without = |missing: usize| {
        let others: Vec<&str> = blocks.iter().enumerate().filter(|(index, _)| *index != missing).map(|(_, block)| *block).collect();
        others.join("\n  - name: ")
    };
    let unneeded = (1..blocks.len()).filter(|rule| failures(&tests, &without(*rule), &environment) == 0);
    let names: Vec<&str> = unneeded.filter_map(|rule| blocks[rule].lines().next()).collect();
    assert_eq!(names, ["production is pushed by releasers only"]);
}

fn failures(tests: &PolicyTests, rules: &str, environment: &Environment) -> usize {
    let source = RuleSource { file: SourceFile::new("rules.yaml", rules), within: None };
    let (policy, _) = Policy::compile_all(&[source], environment).unwrap_or_else(|findings| panic!("{findings}"));
    let stage = Stage { rules: TestedRules::Services(vec![("registry", &policy)]), realms: &environment.realms, now: Timestamp(0) };
    tests.run(&stage).unwrap_or_else(|findings| panic!("{findings}")).len()
}
