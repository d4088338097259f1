//! What docs/rules.md says, in the most literal way.

use std::collections::{BTreeMap, BTreeSet};

use super::{Asker, DNS, Line, Map, RESERVED, To};
use crate::registry::{Action, ActionSet};

type Assignment = BTreeMap<String, String>;

#[derive(Clone, Copy, PartialEq)]
enum Truth {
    Yes,
    No,
    Maybe,
}

fn is_component(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let runs: Vec<&str> = text.split(plain).filter(|run| !run.is_empty()).collect();
    text.starts_with(plain)
        && text.ends_with(plain)
        && runs.iter().all(|run| [".", "_", "__"].contains(run) || run.chars().all(|c| c == '-'))
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Char(char),
    Star,
    Capture(String),
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut rest = pattern;
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let after = rest.strip_prefix(first).unwrap();
        if first == '{' {
            let (name, after) = after.split_once('}').unwrap();
            tokens.push(Token::Capture(name.to_owned()));
            rest = after;
        } else {
            tokens.push(if first == '*' { Token::Star } else { Token::Char(first) });
            rest = after;
        }
    }
    tokens
}

fn fill(tokens: &[Token], values: &Assignment) -> Option<Vec<Token>> {
    let mut filled = Vec::new();
    for token in tokens {
        match token {
            Token::Capture(name) => filled.extend(values.get(name)?.chars().map(Token::Char)),
            Token::Char(_) | Token::Star => filled.push(token.clone()),
        }
    }
    Some(filled)
}

fn covers(tokens: &[Token], text: &[char], fold: bool) -> bool {
    match (tokens.first(), text.first()) {
        (None, None) => true,
        (Some(Token::Char(wanted)), Some(found)) => {
            let same = if fold { wanted.eq_ignore_ascii_case(found) } else { wanted == found };
            same && covers(&tokens[1..], &text[1..], fold)
        }
        (Some(Token::Star), Some(found)) => *found != '/' && (covers(&tokens[1..], &text[1..], fold) || covers(tokens, &text[1..], fold)),
        _ => false,
    }
}

/// Every value that a capture could take from a name.
fn substrings(name: &str, fold: bool) -> BTreeSet<String> {
    let characters: Vec<char> = name.chars().collect();
    let mut found = BTreeSet::new();
    for from in 0..characters.len() {
        for to in from + 1..=characters.len() {
            let text: String = characters[from..to].iter().collect();
            let text = if fold { text.to_ascii_lowercase() } else { text };
            if is_component(&text) {
                found.insert(text);
            }
        }
    }
    found
}

fn assignments(pattern: &str, name: &str, fold: bool, known: &Assignment) -> Vec<Assignment> {
    // Saves the long way for what cannot match.
    let start = pattern.split(['{', '*']).next().unwrap().to_ascii_lowercase();
    if !name.to_ascii_lowercase().starts_with(&start) {
        return Vec::new();
    }
    let pattern = tokens(pattern);
    let mut all = vec![known.clone()];
    for token in &pattern {
        let Token::Capture(capture) = token else { continue };
        if all[0].contains_key(capture) {
            continue;
        }
        let values = substrings(name, fold);
        all = all
            .iter()
            .flat_map(|one| {
                values.iter().map(move |value| {
                    let mut more = one.clone();
                    more.insert(capture.clone(), value.clone());
                    more
                })
            })
            .collect();
        if all.is_empty() {
            return all;
        }
    }
    let text: Vec<char> = name.chars().collect();
    all.retain(|one| covers(&fill(&pattern, one).unwrap(), &text, fold));
    all
}

impl Asker {
    fn fold(&self) -> bool {
        self.realm == "corp"
    }

    fn groups(&self) -> Vec<(&str, Option<u8>)> {
        let mut seen = Vec::new();
        for (name, dn) in &self.groups {
            let class = dn.map(|index| DNS[index].1);
            let aliased = name.eq_ignore_ascii_case("gg-ops") || class == Some(4);
            if self.realm == "corp" && aliased {
                seen.push(("ops", None));
            } else if self.realm != "corp" || !name.eq_ignore_ascii_case("ops") {
                seen.push((*name, class));
            }
        }
        seen
    }
}

fn ways(map: &Map, asker: &Asker, known: &Assignment) -> Vec<Vec<Assignment>> {
    if asker.workload || map.realm.unwrap_or("corp") != asker.realm {
        return Vec::new();
    }
    let mut users = Vec::new();
    for pattern in &map.user {
        users.push(assignments(pattern, asker.user, asker.fold(), known));
    }
    let mut groups = Vec::new();
    for pattern in &map.group {
        for (name, class) in asker.groups() {
            if pattern.contains('=') {
                let wanted = DNS.iter().find(|(text, _)| text == pattern).unwrap().1;
                groups.push(if class == Some(wanted) { vec![known.clone()] } else { Vec::new() });
            } else {
                groups.push(assignments(pattern, name, asker.fold(), known));
            }
        }
    }
    let nothing = vec![vec![known.clone()]];
    let users = if map.user.is_empty() { nothing.clone() } else { users };
    let groups = if map.group.is_empty() { nothing } else { groups };
    let mut both = Vec::new();
    for user in users.iter().filter(|user| !user.is_empty()) {
        for group in groups.iter().filter(|group| !group.is_empty()) {
            both.push(
                user.iter().flat_map(|one| group.iter().map(|other| one.clone().into_iter().chain(other.clone()).collect())).collect(),
            );
        }
    }
    both
}

/// `None` where the pattern binds nothing; else whether it covers the name.
fn repository(pattern: &str, name: &str, values: &Assignment) -> Option<bool> {
    let segments: Vec<Vec<Token>> = pattern.split('/').map(tokens).collect();
    let any = vec![Token::Star, Token::Star];
    for (index, segment) in segments.iter().enumerate() {
        let opens = segments[..index].iter().all(|before| *before == any);
        for token in segment {
            if let Token::Capture(capture) = token {
                let value = values.get(capture)?;
                if opens && RESERVED.contains(&value.as_str()) {
                    return None;
                }
            }
        }
    }
    let names: Vec<&str> = name.split('/').collect();
    Some(laid(&segments, &names, true, values))
}

fn laid(segments: &[Vec<Token>], names: &[&str], first: bool, values: &Assignment) -> bool {
    let any = vec![Token::Star, Token::Star];
    match (segments.first(), names.first()) {
        (None, None) => true,
        (Some(segment), _) if *segment == any => {
            laid(&segments[1..], names, first, values) || (!names.is_empty() && laid(segments, &names[1..], false, values))
        }
        (Some(segment), Some(name)) => {
            let captured = segment.iter().any(|token| matches!(token, Token::Capture(_)));
            let text: Vec<char> = name.chars().collect();
            !(captured && first && RESERVED.contains(name))
                && covers(&fill(segment, values).unwrap(), &text, false)
                && laid(&segments[1..], &names[1..], false, values)
        }
        _ => false,
    }
}

fn role(word: &str) -> Option<ActionSet> {
    let actions: &[Action] = match word {
        "pull" | "viewer" => &[Action::Pull],
        "push" => &[Action::Push],
        "delete" => &[Action::Delete],
        "contributor" => &[Action::Pull, Action::Push],
        "catalog" => &[Action::All],
        "owner" | "all" => &[Action::Pull, Action::Push, Action::Delete],
        _ => return None,
    };
    Some(actions.iter().copied().collect())
}

fn actions(line: &Line, values: &Assignment) -> Option<ActionSet> {
    let mut all = ActionSet::EMPTY;
    for word in &line.words {
        let word = match word.strip_prefix('{') {
            Some(capture) => match values.get(capture.trim_end_matches('}'))?.as_str() {
                role @ ("viewer" | "contributor" | "owner") => role,
                _ => return None,
            },
            None => word,
        };
        all |= role(word)?;
    }
    Some(all)
}

fn with_user(values: &Assignment, asker: Option<&Asker>, realm_named: bool) -> Assignment {
    let mut values = values.clone();
    if let Some(asker) = asker {
        let name = if asker.fold() { asker.user.to_ascii_lowercase() } else { asker.user.to_owned() };
        if !asker.workload && (asker.realm == "corp" || realm_named) && is_component(&name) {
            values.insert("user".to_owned(), name);
        }
    }
    values
}

fn excepted(line: &Line, values: &Assignment, asker: Option<&Asker>, realm_named: bool, name: Option<&str>) -> Truth {
    let mut truth = Truth::No;
    for except in &line.except {
        let named = realm_named || except.map.as_ref().is_some_and(|map| map.realm.is_some());
        let all = match (&except.map, asker) {
            (None, _) => vec![vec![values.clone()]],
            (Some(_), None) => Vec::new(),
            (Some(map), Some(asker)) => ways(map, asker, values),
        };
        for splits in all {
            let patterns: Vec<Option<&str>> =
                if except.repository.is_empty() { vec![None] } else { except.repository.iter().copied().map(Some).collect() };
            for pattern in patterns {
                let valid: Vec<bool> = splits
                    .iter()
                    .filter_map(|one| pattern.map_or(Some(true), |pattern| repository(pattern, name?, &with_user(one, asker, named))))
                    .collect();
                match (valid.contains(&true), valid.len()) {
                    (false, _) => {}
                    (true, 1) => return Truth::Yes,
                    (true, _) => truth = Truth::Maybe,
                }
            }
        }
    }
    truth
}

/// Without a name: on the catalogue.
fn said(line: &Line, asker: Option<&Asker>, name: Option<&str>) -> ActionSet {
    let empty = vec![vec![Assignment::new()]];
    let all: Vec<(bool, Vec<Assignment>)> = match (&line.to, asker) {
        (To::Word("authenticated"), Some(asker)) if asker.workload => Vec::new(),
        (To::Word("authenticated") | To::Maps(_), None) => Vec::new(),
        (To::Word(_), _) => empty.into_iter().map(|splits| (false, splits)).collect(),
        (To::Maps(maps), Some(asker)) => maps
            .iter()
            .flat_map(|map| ways(map, asker, &Assignment::new()).into_iter().map(|splits| (map.realm.is_some(), splits)))
            .collect(),
    };
    let mut total = ActionSet::EMPTY;
    for (named, splits) in all {
        let patterns: Vec<Option<&str>> = match name {
            Some(_) => line.repository.iter().copied().map(Some).collect(),
            None if line.words == ["catalog"] => vec![None],
            None => Vec::new(),
        };
        for pattern in patterns {
            let mut valid = Vec::new();
            for one in &splits {
                let covered = match (pattern, name) {
                    (Some(pattern), Some(name)) => repository(pattern, name, &with_user(one, asker, named)),
                    _ => Some(true),
                };
                if let (Some(covered), Some(actions)) = (covered, actions(line, one)) {
                    valid.push((one, covered, actions));
                }
            }
            let ambiguous = valid.len() > 1;
            for (one, covered, actions) in valid {
                let truth = excepted(line, one, asker, named, name);
                let applies = if line.allow { truth == Truth::No && !ambiguous } else { truth != Truth::Yes };
                if covered && applies {
                    total |= actions;
                }
            }
        }
    }
    total
}

/// What is permitted on a repository, or without a name on the catalogue.
pub(super) fn permitted(lines: &[Line], asker: Option<&Asker>, name: Option<&str>) -> ActionSet {
    let union =
        |allow: bool| lines.iter().filter(|line| line.allow == allow).fold(ActionSet::EMPTY, |all, line| all | said(line, asker, name));
    union(true) - union(false)
}
