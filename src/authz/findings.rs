//! What operators read when a rule file has mistakes: tests/cases/findings.txt holds the whole text, as it is printed.
//! `NARROWS_BLESS=1 cargo test --lib findings` writes it anew, to be read as a difference.

use std::fmt::Write as _;

use super::cases::{example_realms, root};
use super::{Environment, KnownService, Policy, RuleSource};
use crate::clock::Timestamp;
use crate::source::SourceFile;

/// What a case's rules are read against: the realms of the examples, a registry that enforces tags and one that does not.
fn environment() -> Environment {
    let service = |name: &str, enforces_tags| KnownService { name: name.into(), enforces_tags };
    let services = vec![service("registry.corp.example", false), service("gitlab.corp.example", true)];
    Environment { realms: example_realms(), services, now: Some(Timestamp(1_795_000_000)) }
}

/// The files of a case: the second one is behind a line `=== NAME within PATTERN`, or `=== NAME`.
fn sources(text: &str) -> Vec<RuleSource> {
    let mut parts = text.split("=== ");
    let first = parts.next().map(|text| RuleSource { file: SourceFile::new("rules.yaml", text), within: None });
    let others = parts.map(|part| {
        let (head, text) = part.split_once('\n').unwrap();
        let (name, within) = head.split_once(" within ").map_or((head, None), |(name, within)| (name, Some(within.to_owned())));
        RuleSource { file: SourceFile::new(name, text), within }
    });
    first.into_iter().chain(others).collect()
}

#[test]
fn every_finding_says_what_where_and_what_to_do() {
    let path = root().join("tests/cases/findings.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let cases: Vec<&str> = text.split("##### ").skip(1).collect();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let mut blessed = String::new();
    for case in cases {
        let (name, rest) = case.split_once('\n').unwrap();
        let (rules, expected) = rest.split_once("-----\n").unwrap();
        let shown = match Policy::compile_all(&sources(rules), &environment()) {
            Ok((_, warnings)) => warnings.to_string(),
            Err(errors) => errors.to_string(),
        };
        if std::env::var_os("NARROWS_BLESS").is_none() {
            assert_eq!(shown.trim_end(), expected.trim_end(), "{name}\n{rules}");
        }
        let newline = if shown.trim_end().is_empty() { "" } else { "\n" };
        write!(blessed, "##### {name}\n{rules}-----\n{}{newline}", shown.trim_end()).unwrap();
    }
    if std::env::var_os("NARROWS_BLESS").is_some() {
        std::fs::write(path, blessed).unwrap();
    }
}
