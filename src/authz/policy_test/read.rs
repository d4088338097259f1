//! From the tree to the cases: which keys stand where.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;

use super::case::{Case, Question, Request, TestedFiles, WhoCan};
use super::{request, who};
use crate::authz::node::{Keys, Kind, Node, NodeReader};
use crate::authz::settings::RulesFile;
use crate::registry::{Action, Resource};
use crate::source::{Diagnostics, Located, Place, SourceFile};

/// Keys of a case.
const CASE_KEYS: [&str; 9] = ["name", "service", "who", "asks", "gets", "at", "source", "who_can", "is"];

/// Reads a file.
pub(super) fn read(file: &SourceFile) -> Result<(TestedFiles, Vec<Case>), Diagnostics> {
    let mut reader = NodeReader::new(file);
    let node: Node = file.parse()?;
    let found = document(&mut reader, node);
    reader.findings.0.sort_by_key(|finding| finding.place);
    match found {
        Some(found) if !reader.findings.has_errors() => Ok(found),
        _ => Err(reader.findings),
    }
}

fn document(reader: &mut NodeReader<'_>, node: Node) -> Option<(TestedFiles, Vec<Case>)> {
    let place = node.place;
    let (mut files, mut cases) = (Vec::new(), None);
    let mut seen = Keys::new(&["rules", "config", "cases"]);
    for (key, value) in reader.map(node, "a file of policy tests")? {
        match key.value.as_str() {
            "rules" => files.push((key, Some(TestedFiles::Rules(rules(reader, value))))),
            "config" => {
                let path = reader.text(value, "`config`");
                files.push((key, path.map(|path| TestedFiles::Config(path.map(PathBuf::from)))));
            }
            "cases" => cases = Some(list_of_cases(reader, value)),
            _ => reader.unknown(&key, &mut seen),
        }
    }
    if cases.is_none() && !seen.meant("cases") {
        reader.error(place, "`cases` is missing", "write `cases:` and a line `- who: …` for each case");
    }
    let mut files = files.into_iter();
    let first = files.next();
    if let Some((second, _)) = files.next() {
        reader.error(second.place, "a file with both `rules` and `config`", "keep one: a configuration brings its rules");
    }
    if first.is_none() && !seen.meant("rules") && !seen.meant("config") {
        reader.error(place, "it is not said which rules are tested", "write `rules: rules.yaml`, or `config: narrows.yaml`");
    }
    Some((first?.1?, cases?))
}

fn rules(reader: &mut NodeReader<'_>, node: Node) -> Vec<Located<RulesFile>> {
    if node.value == Kind::List(Vec::new()) {
        reader.error(node.place, "`rules` is an empty list", "name the rule file, as in `rules: rules.yaml`");
    }
    NodeReader::items(node).into_iter().filter_map(|item| rules_file(reader, item)).collect()
}

fn rules_file(reader: &mut NodeReader<'_>, node: Node) -> Option<Located<RulesFile>> {
    let place = node.place;
    if !matches!(node.value, Kind::Map(_)) {
        let path = reader.text(node, "a rule file")?;
        return Some(path.map(|path| RulesFile { file: path.into(), within: None }));
    }
    let (mut file, mut within) = (None, None);
    let mut seen = Keys::new(&["file", "within"]);
    for (key, value) in reader.map(node, "a rule file")? {
        match key.value.as_str() {
            "file" => file = reader.text(value, "`file`"),
            "within" => within = reader.text(value, "`within`"),
            _ => reader.unknown(&key, &mut seen),
        }
    }
    if file.is_none() && !seen.meant("file") {
        reader.error(place, "a rule file without `file`", "write {file: teams/payments.yaml, within: payments/**}");
    }
    Some(Located { value: RulesFile { file: file?.value.into(), within }, place })
}

fn list_of_cases(reader: &mut NodeReader<'_>, node: Node) -> Vec<Case> {
    let hint = "start each case with a dash, as in `- {who: anonymous, asks: \"repository:base/app:pull\", gets: pull}`";
    match node.value {
        // A file that tests nothing would pass for ever.
        Kind::List(items) if items.is_empty() => {
            reader.error(node.place, "there is no case", hint);
            Vec::new()
        }
        Kind::List(items) => items.into_iter().filter_map(|item| case(reader, item)).collect(),
        other @ (Kind::Text(_) | Kind::Number(_) | Kind::Bool(_) | Kind::Null | Kind::Map(_)) => {
            reader.error(node.place, format!("`cases` is a list, not {}", other.article()), hint);
            Vec::new()
        }
    }
}

/// The values of a case by key, with the places of the keys.
type Values = BTreeMap<String, (Place, Node)>;

fn case(reader: &mut NodeReader<'_>, node: Node) -> Option<Case> {
    let place = node.place;
    let (mut values, mut seen) = (Values::new(), Keys::new(&CASE_KEYS));
    for (key, value) in reader.map(node, "a case")? {
        if CASE_KEYS.contains(&key.value.as_str()) {
            values.insert(key.value, (key.place, value));
        } else {
            reader.unknown(&key, &mut seen);
        }
    }
    let name = values.remove("name").and_then(|(_, value)| reader.text(value, "`name`")).map(|name| name.value);
    let service = values.remove("service").and_then(|(_, value)| reader.text(value, "`service`"));
    let asks_who_can = ["who_can", "is"].iter().any(|key| values.contains_key(*key) || seen.meant(key));
    let needed: &[&str] = if asks_who_can { &["who_can", "is"] } else { &["who", "asks", "gets"] };
    for key in needed.iter().filter(|key| !values.contains_key(**key) && !seen.meant(key)) {
        let hint = "a case has `who`, `asks` and `gets`, or `who_can` and `is`";
        reader.error(place, format!("a case without `{key}`"), hint);
    }
    let question = if asks_who_can { Question::WhoCan(who_can(reader, values)?) } else { Question::Request(a_request(reader, values)?) };
    Some(Case { place, name, service, question })
}

/// A case with `who`, `asks` and `gets`.
fn a_request(reader: &mut NodeReader<'_>, mut values: Values) -> Option<Request> {
    let mut value = |key| values.remove(key).map(|(_, value)| value);
    let who = value("who").and_then(|node| who::read(reader, node));
    let asks = value("asks").map(|node| request::asks(reader, node)).unwrap_or_default();
    let gets = value("gets").and_then(|node| request::gets(reader, node, &asks));
    let at = value("at").and_then(|node| parsed(reader, node, "`at`", "write date, time and zone, as in 2035-01-31T18:00:00Z"));
    let source = value("source").and_then(|node| parsed(reader, node, "`source`", "write an address, as in 10.20.0.7"));
    Some(Request { who: who?, asks, gets: gets?, at, source })
}

/// A case with `who_can` and `is`.
fn who_can(reader: &mut NodeReader<'_>, mut values: Values) -> Option<WhoCan> {
    let (question, is) = (values.remove("who_can"), values.remove("is"));
    for (key, (other, _)) in &values {
        reader.error(*other, format!("`{key}` stands beside `who_can`"), "remove it; `who_can` goes with `is`, `name` and `service`");
    }
    let question = question.and_then(|(_, node)| action_and_resource(reader, node));
    let is = is.map(|(_, node)| holders(reader, node));
    let (action, resource) = question?;
    Some(WhoCan { action, resource, is: is? })
}

/// Holders in words, or `nobody`.
fn holders(reader: &mut NodeReader<'_>, node: Node) -> Located<BTreeSet<String>> {
    let place = node.place;
    if node.value == Kind::List(Vec::new()) {
        reader.error(place, "`is` is an empty list", "write `is: nobody`");
    }
    let holders = reader.texts(node, "`is`");
    if let Some(nobody) = holders.iter().find(|holder| holder.value == "nobody").filter(|_| holders.len() > 1) {
        reader.error(nobody.place, "`nobody` stands beside somebody", "keep one of them");
    }
    let value = holders.into_iter().map(|holder| holder.value).filter(|holder| holder != "nobody").collect();
    Located { value, place }
}

/// A text that stands for something else.
fn parsed<T: FromStr>(reader: &mut NodeReader<'_>, node: Node, what: &str, hint: &str) -> Option<T> {
    let text = reader.text(node, what)?;
    let parsed = text.value.parse().ok();
    if parsed.is_none() {
        reader.error(text.place, format!("{what} cannot be `{}`", text.value), hint);
    }
    parsed
}

/// `push prod/app`, or `catalog`.
fn action_and_resource(reader: &mut NodeReader<'_>, node: Node) -> Option<(Action, Resource)> {
    let hint = "write an action and a repository, as in `who_can: push prod/app`, or `who_can: catalog`";
    let text = reader.text(node, "`who_can`")?;
    if text.value == "catalog" {
        return Some((Action::All, Resource::Catalog));
    }
    let (word, name) = text.value.split_once(' ').unwrap_or((&text.value, ""));
    let action = Action::from_word(word).filter(|action| *action != Action::All);
    if action.is_none() {
        reader.error(text.place, format!("`{word}` is no action"), hint);
    }
    match name.parse() {
        Ok(name) => action.map(|action| (action, Resource::Repository(name))),
        Err(error) => {
            reader.error(text.place, error.to_string(), hint);
            None
        }
    }
}
