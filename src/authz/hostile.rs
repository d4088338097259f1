//! Rule files made to cost time or memory, or to break something. Times are for debug builds on busy machines.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::select;

use super::Policy;
use super::cases::{context, example_realms, root};
use crate::authn::identity::Principal;
use crate::registry::ScopeRequest;
use crate::source::{SourceFile, is_hidden};

const MIB: usize = 1024 * 1024;

/// So many bytes of the same.
fn filled(piece: &str, bytes: usize) -> String {
    piece.repeat(bytes / piece.len())
}

/// What is printed about a rule file, and how long it took to find that out.
fn compile(text: impl Into<String>) -> (String, Duration) {
    let file = SourceFile::new("rules.yaml", text.into());
    let start = Instant::now();
    let shown = match Policy::compile(&file, &example_realms()) {
        Ok((policy, warnings)) => {
            let scopes = ScopeRequest::parse(["repository:a/b:pull,push"]).unwrap().scopes;
            policy.decide(&Principal::Anonymous, &scopes, &context());
            warnings.to_string()
        }
        Err(errors) => errors.to_string(),
    };
    (shown, start.elapsed())
}

#[track_caller]
fn check_within(most: Duration, what: &str, text: impl Into<String>, expected: &str) {
    let (shown, took) = compile(text);
    eprintln!("{:>7.1} ms  {what}", took.as_secs_f64() * 1e3);
    let start: String = shown.chars().take(1000).collect();
    assert!(start.contains(expected), "{what}: expected {expected}\n{start}");
    assert!(shown.len() < 2000 && start.contains("hint: "), "{what}: {} bytes\n{start}", shown.len());
    assert!(took < most, "{what}: {took:?}");
}

#[test]
fn what_is_never_allowed_is_refused_where_it_first_stands() {
    #[track_caller]
    fn check(what: &str, text: impl Into<String>, place: &str, message: &str) {
        check_within(Duration::from_millis(200), what, text, &format!("error: {message}\n  --> rules.yaml:{place}\n"));
    }
    let deep = "this is nested deeper than 64 levels";
    check("brackets", filled("[", 15 * MIB), "1:65", deep);
    check("braces", filled("{a: ", 15 * MIB), "1:257", deep);
    check("mappings as keys", filled("{", 15 * MIB), "1:65", deep);
    check("lists as keys", filled("? [", 15 * MIB), "1:195", deep);
    check("dashes", filled("- ", 15 * MIB), "1:129", deep);
    check("question marks", filled("? ", 15 * MIB), "1:129", deep);
    let stairs: String = (0..5000).map(|depth| " ".repeat(depth) + "a:\n").collect();
    check("indentation", stairs, "65:65", deep);
    check("64 mappings", format!("{}{}", "{a: ".repeat(64), "}".repeat(64)), "1:1", "`version` is missing");
    check("64 levels", format!("{}{}", "[".repeat(64), "]".repeat(64)), "1:1", "a rule file is a mapping, not a list");
    check("65 levels", format!("{}{}", "[".repeat(65), "]".repeat(65)), "1:65", deep);

    let anchors = "anchors (`&name`) are refused";
    let line = |name: char| format!("{name}: &{name} [{}]\n", vec![format!("*{}", char::from(name as u8 - 1)); 9].join(","));
    let bomb = ('b'..='z').map(line).collect::<Vec<_>>().concat();
    check("an alias bomb", format!("a: &a [x, x]\n{bomb}"), "1:7", anchors);
    check("anchors", filled("- &a b\n", 15 * MIB), "1:6", anchors);
    check("aliases", filled("- *a\n", 15 * MIB), "1:3", "aliases (`*name`) are refused");
    check("merge keys", filled("<<: {a: 1}\n", 15 * MIB), "1:1", "merge keys (`<<`) are refused");
    check("doubled keys", filled("key: value\n", 10 * MIB), "2:1", "the key `key` stands here a second time");
    check("doubled keys in braces", format!("{{{}", filled("a: b,", 10 * MIB)), "1:7", "the key `a` stands here a second time");
    check("documents", filled("--- a\n", 15 * MIB), "2:1", "a second document begins here, and a file has one");
}

#[test]
fn what_is_only_large_costs_time_in_proportion() {
    #[track_caller]
    fn check(what: &str, text: impl Into<String>, expected: &str) {
        check_within(Duration::from_secs(5), what, text, expected);
    }
    let not_a_mapping = |what: &str| format!("a rule file is a mapping, not {what}");
    check("a scalar", filled("a", 15 * MIB), &not_a_mapping("a text"));
    check("a quoted scalar", format!("\"{}\"", filled("\\n", 15 * MIB)), &not_a_mapping("a text"));
    check("a scalar of many lines", filled("a\n ", 15 * MIB), &not_a_mapping("a text"));
    check("a comment", format!("#{}", filled("a", 15 * MIB)), &not_a_mapping("nothing"));
    check("comments", filled("#a\n", 15 * MIB), &not_a_mapping("nothing"));
    check("empty lines", filled("\n", 15 * MIB), &not_a_mapping("nothing"));
    check("a key", format!("version: 1\n? {}\n: 1\n", filled("k", 15 * MIB)), "is not a key here");
    check("a number", format!("version: {}\nrules: []\n", filled("1", 15 * MIB)), "error: ");
    check("a realm", format!("version: 1\nrealm: {}\nrules: []\n", filled("r", 15 * MIB)), "error: ");
}

#[test]
fn a_file_of_too_many_values_is_refused() {
    let many = "the file holds more than 1000000 values";
    check_within(Duration::from_secs(20), "values", format!("[{}]", filled("a: b,", 15 * MIB)), many);
}

#[test]
fn bytes_that_are_no_yaml_are_refused() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let (shown, _) = compile(text);
        assert!(shown.contains(expected), "{text:?}\n{shown}");
    }
    check("\0", "unexpected character");
    check("version: 1\nrules: [\"\0\"]\n", "rules.yaml:2:");
    check("version: 1\r\nrules: []\r\nrule: []\r\n", "rules.yaml:3:1");
    check("version: 1\rrules: []\rrule: []\r", "rules.yaml:3:1");
    check("\u{feff}version: 1\nrules: []\nrule: []\n", "rules.yaml:3:1");
    check("\u{feff}rule: []\nversion: 1\nrules: []\n", "rules.yaml:1:1\n  |\n1 | rule: []\n  | ^\n");
    check("version: 1\n\trules: []\n", "found a tab");
    check("", "a rule file is a mapping, not nothing");
}

/// Words and marks of rule files and of YAML.
const PIECES: [&str; 48] = [
    "version: 1\n",
    "realm: corp\n",
    "reserved: []\n",
    "rules:\n",
    "roles:\n",
    "groups:\n",
    "  - to: anyone\n",
    "    allow: viewer\n",
    "    repository: a/**\n",
    "    deny: all\n",
    "    except: ",
    "{group: ",
    "{user: ",
    "\"{team}/**\"",
    "{team}",
    "cn=a,dc=b",
    "a: b",
    "- ",
    "? ",
    ": ",
    ", ",
    "[",
    "]",
    "{",
    "}",
    "\n",
    "\n  ",
    "\t",
    " ",
    "#",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x ",
    "%YAML 1.2\n",
    "---\n",
    "...\n",
    "~",
    "0x1F",
    "1e999",
    ".nan",
    "\u{1b}[2J",
    "\u{202e}",
];

/// Something to put into a text.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&PIECES[..]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => (select(&PIECES[..]), 1..200_usize).prop_map(|(piece, count)| piece.repeat(count)),
    ]
}

/// Whatever stands in the file: an answer, and nothing in it that drives a terminal.
fn survives(text: &str) -> Result<(), TestCaseError> {
    let (shown, took) = compile(text);
    prop_assert!(took < Duration::from_secs(5), "{took:?}");
    prop_assert!(!shown.chars().any(|character| character != '\n' && is_hidden(character)), "{shown:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_time: 5_000, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_soup_of_yaml_breaks_it(pieces in proptest::collection::vec(piece(), 0..40)) {
        survives(&pieces.concat())?;
    }

    #[test]
    fn no_change_of_a_good_file_breaks_it(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), 0..30_usize, proptest::option::of(piece())), 1..6),
    ) {
        let mut text = std::fs::read_to_string(root().join("config/rules.yaml")).unwrap();
        for (at, length, piece) in changes {
            let at = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.floor_char_boundary((at + length).min(text.len())).max(at);
            text.replace_range(at..end, &piece.unwrap_or_default());
        }
        survives(&text)?;
    }
}
