//! What operators read when a rule file has mistakes: tests/cases/findings.txt holds the whole text, as it is printed.

use super::Policy;
use super::cases::{example_realms, root};
use crate::source::SourceFile;

#[test]
fn every_finding_says_what_where_and_what_to_do() {
    let text = std::fs::read_to_string(root().join("tests/cases/findings.txt")).unwrap();
    let cases: Vec<&str> = text.split("##### ").skip(1).collect();
    assert!(cases.len() >= 25, "{} cases", cases.len());
    for case in cases {
        let (name, rest) = case.split_once('\n').unwrap();
        let (rules, expected) = rest.split_once("-----\n").unwrap();
        let shown = match Policy::compile(&SourceFile::new("rules.yaml", rules), &example_realms()) {
            Ok((_, warnings)) => warnings.to_string(),
            Err(errors) => errors.to_string(),
        };
        assert_eq!(shown.trim_end(), expected.trim_end(), "{name}\n{rules}");
    }
}
