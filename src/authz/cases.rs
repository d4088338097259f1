//! Runs tests/cases/*.test.yaml, and loads every example that operators are shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Asker, Context, Policy, PolicyTests, Realm, Realms, Stage, TestedFiles, TestedRules};
use crate::authn::identity::{Group, Principal};
use crate::clock::Timestamp;
use crate::source::SourceFile;

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Two realms as in the examples.
pub(super) fn example_realms() -> Realms {
    Realms(vec![
        Realm { name: "corp".into(), ignore_case: true, providers: vec!["staff".into(), "sso".into()], ..Realm::default() },
        Realm { name: "robots".into(), ignore_case: false, providers: vec!["robots".into()], ..Realm::default() },
        Realm {
            name: "github".into(),
            ignore_case: false,
            providers: vec!["github".into()],
            workloads: vec!["github".into()],
            ..Realm::default()
        },
    ])
}

pub(super) fn context() -> Context<'static> {
    Context { service: "registry.corp.example", now: Timestamp(0), source: None }
}

/// Runs a file of policy tests with the realms of the examples, and says how many cases it has.
fn run(path: &Path) -> usize {
    let shown = path.display();
    let tests = PolicyTests::parse(&SourceFile::load(path).unwrap()).unwrap_or_else(|findings| panic!("{findings}"));
    let TestedFiles::Rules(files) = &tests.files else { panic!("{shown}: names no rules") };
    let rules = SourceFile::load(&path.parent().unwrap().join(&files[0].value.file)).unwrap();
    let realms = example_realms();
    let (policy, _) = Policy::compile(&rules, &realms).unwrap_or_else(|findings| panic!("{shown}\n{findings}"));
    let stage = Stage { rules: TestedRules::Alone(&policy), realms: &realms, now: Timestamp(0) };
    let failures = tests.run(&stage).unwrap_or_else(|findings| panic!("{findings}"));
    let all: Vec<String> = failures.iter().map(|failure| format!("{}\n{:#?}", failure.diagnostic(), failure.found)).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
    tests.cases().len()
}

#[test]
fn every_case_gets_exactly_what_it_says() {
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("tests/cases")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().ends_with(".test.yaml") {
            count += run(&path);
        }
    }
    assert!(count >= 40, "{count} cases");
}

/// A DN that cannot be read might be the one that a deny means; an allow gets nothing from it. Only a broken directory has
/// such groups, so policy tests cannot describe them.
#[test]
fn a_dn_that_cannot_be_read_helps_nobody() {
    let rules = SourceFile::load(&root().join("tests/cases/captures.yaml")).unwrap();
    let realms = example_realms();
    let (policy, _) = Policy::compile(&rules, &realms).unwrap();
    let unreadable = Group { name: "x".to_owned(), dn: Some("garbage".to_owned()), id: None };
    let asker = Asker { user: Some("u".to_owned()), groups: vec![Group::named("everything"), unreadable], ..Asker::default() };
    let principal = Principal::Identified(Arc::new(asker.identity(policy.realm(), &realms, Timestamp(0)).unwrap()));
    let granted = |scope: &str| {
        let decision = policy.decide(&principal, &[scope.parse().unwrap()], &context());
        decision.grants[0].granted.to_string()
    };
    assert_eq!(granted("repository:closed/a:*"), "");
    assert_eq!(granted("repository:any/shut:*"), "pull,delete");
    assert_eq!(granted("repository:web/a:pull"), "pull");
}

fn loads_without_a_word(file: &SourceFile) {
    match Policy::compile(file, &example_realms()) {
        Ok((_, warnings)) => assert!(warnings.0.is_empty(), "{warnings}"),
        Err(errors) => panic!("{errors}\n{}", file.text()),
    }
}

#[test]
fn the_example_rules_load_without_error_or_warning() {
    loads_without_a_word(&SourceFile::load(&root().join("config/rules.yaml")).unwrap());
}

#[test]
fn every_example_of_the_rules_page_loads() {
    let page = SourceFile::load(&root().join("docs/rules.md")).unwrap();
    let mut count = 0;
    for (index, block) in page.text().split("```yaml\n").skip(1).enumerate() {
        let block = block.split("```").next().unwrap();
        if block.starts_with("version:") {
            loads_without_a_word(&SourceFile::new(format!("docs/rules.md, example {}", index + 1), block));
            count += 1;
        }
    }
    assert!(count >= 5, "{count} examples");
}
