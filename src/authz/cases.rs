//! Runs tests/cases/*.test.yaml, and loads every example that operators are shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Asker, Context, Environment, Policy, PolicyTests, Realm, Realms, RuleSource, Stage, TestedFiles, TestedRules};
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

/// The blocks of YAML of a text.
fn blocks(text: &str) -> Vec<&str> {
    text.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect()
}

fn rules_page() -> String {
    std::fs::read_to_string(root().join("docs/rules.md")).unwrap()
}

/// The first line of a file of cases on the page.
const CASES: &str = "# rules.test.yaml\n";

/// Runs cases that the page shows against the rules that it shows above them, and says how many cases there are.
fn run_shown(name: &str, sources: &[RuleSource], cases: &str) -> usize {
    let environment = Environment::from(example_realms());
    let (policy, warnings) = Policy::compile_all(sources, &environment).unwrap_or_else(|findings| panic!("{name}\n{findings}"));
    assert!(warnings.0.is_empty(), "{name}\n{warnings}");
    let tests = PolicyTests::parse(&SourceFile::new(name, cases)).unwrap_or_else(|findings| panic!("{name}\n{findings}"));
    let TestedFiles::Rules(files) = &tests.files else { panic!("{name}: names no rules") };
    let named: Vec<_> =
        files.iter().map(|file| (file.value.file.as_path(), file.value.within.as_ref().map(|within| within.value.as_str()))).collect();
    let shown: Vec<_> = sources.iter().map(|source| (source.file.path(), source.within.as_deref())).collect();
    assert_eq!(named, shown, "{name}");
    let stage = Stage { rules: TestedRules::Alone(&policy), realms: &environment.realms, now: Timestamp(0) };
    let failures = tests.run(&stage).unwrap_or_else(|findings| panic!("{name}\n{findings}"));
    let all: Vec<String> = failures.iter().map(|failure| format!("{}\n{:#?}", failure.diagnostic(), failure.found)).collect();
    assert!(all.is_empty(), "{name}\n{}", all.join("\n"));
    tests.cases().len()
}

/// A rule file under the name by which the cases of the page know it.
fn shown_file(name: &str, within: Option<&str>, text: &str) -> RuleSource {
    RuleSource { file: SourceFile::new(name, text), within: within.map(ToOwned::to_owned) }
}

#[test]
fn every_example_of_the_rules_page_loads() {
    let page = rules_page();
    let rules: Vec<&str> = blocks(&page).into_iter().filter(|block| block.starts_with("version:")).collect();
    for (index, block) in rules.iter().enumerate() {
        loads_without_a_word(&SourceFile::new(format!("docs/rules.md, rule file {}", index + 1), *block));
    }
    assert_eq!(rules.len(), 25);
}

#[test]
fn every_rule_file_of_the_rules_page_passes_the_cases_below_it() {
    let page = rules_page();
    let (mut pairs, mut count) = (0, 0);
    for pair in blocks(&page).windows(2) {
        if let [rules, cases] = pair
            && rules.starts_with("version:")
            && cases.starts_with(CASES)
        {
            let name = format!("docs/rules.md, cases {}", pairs + 1);
            count += run_shown(&name, &[shown_file("rules.yaml", None, rules)], cases);
            pairs += 1;
        }
    }
    assert_eq!((pairs, count), (14, 79));
}

#[test]
fn every_recipe_of_the_cookbook_has_its_cases() {
    let page = rules_page();
    let (_, cookbook) = page.split_once("\n## Cookbook\n").unwrap();
    let recipes: Vec<&str> = cookbook.split("\n### ").skip(1).collect();
    for recipe in &recipes {
        let title = recipe.lines().next().unwrap();
        let blocks = blocks(recipe);
        assert!(!blocks.is_empty(), "`{title}` shows no rules");
        for pair in blocks.chunks(2) {
            let paired = matches!(pair, [rules, cases] if rules.starts_with("version:") && cases.starts_with(CASES));
            assert!(paired, "`{title}` has rules without cases below them");
        }
    }
    assert_eq!(recipes.len(), 12);
}

#[test]
fn the_several_files_of_the_rules_page_pass_their_cases() {
    let page = rules_page();
    let blocks = blocks(&page);
    let first = blocks.iter().position(|block| block.starts_with("# base.yaml\n")).unwrap();
    let [base, team, cases] = blocks[first..first + 3] else { panic!("three blocks") };
    assert!(team.starts_with("# teams/payments.yaml\n") && cases.starts_with(CASES));
    let sources = [shown_file("base.yaml", None, base), shown_file("teams/payments.yaml", Some("payments/**"), team)];
    assert_eq!(run_shown("docs/rules.md, several files", &sources, cases), 2);
}
