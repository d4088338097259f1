//! Patterns, laid over names in every way there is.

use std::collections::{BTreeMap, BTreeSet};

/// What captures stand for.
pub type Values = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    Char(char),
    /// One or more characters, none of them a slash.
    Star,
    Capture(String),
}

/// How two names compare.
#[derive(Clone, Copy, PartialEq)]
pub enum Case {
    Exact,
    Ignored,
}

pub fn tokens(pattern: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        found.push(match character {
            '{' => Token::Capture(rest.by_ref().take_while(|other| *other != '}').collect()),
            '*' => Token::Star,
            _ => Token::Char(character),
        });
    }
    found
}

/// `[a-z0-9]+` joined by `.`, `_`, `__` or dashes.
pub fn is_component(text: &str) -> bool {
    let plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let mut joints = text.split(plain).filter(|joint| !joint.is_empty());
    text.starts_with(plain)
        && text.ends_with(plain)
        && joints.all(|joint| [".", "_", "__"].contains(&joint) || joint.chars().all(|character| character == '-'))
}

fn same(one: char, other: char, case: Case) -> bool {
    one == other || (case == Case::Ignored && one.eq_ignore_ascii_case(&other))
}

/// Every way to lay a pattern over a text: each capture takes one or more characters that, changed by `value`, are a path
/// component, and the same ones wherever it stands.
pub fn splits(pattern: &[Token], text: &[char], case: Case, value: &dyn Fn(String) -> String, known: &Values) -> BTreeSet<Values> {
    let Some(first) = pattern.first() else { return if text.is_empty() { [known.clone()].into() } else { BTreeSet::new() } };
    let after = |taken: usize, known: &Values| splits(&pattern[1..], &text[taken..], case, value, known);
    match first {
        Token::Char(wanted) => text.first().filter(|found| same(*wanted, **found, case)).map(|_| after(1, known)).unwrap_or_default(),
        Token::Star => {
            let most = text.iter().take_while(|character| **character != '/').count();
            (1..=most).flat_map(|taken| after(taken, known)).collect()
        }
        Token::Capture(name) => match known.get(name) {
            Some(bound) => {
                let taken = bound.chars().count();
                let again = taken <= text.len() && value(text[..taken].iter().collect()) == *bound;
                if again { after(taken, known) } else { BTreeSet::new() }
            }
            None => (1..=text.len())
                .flat_map(|taken| {
                    let found = value(text[..taken].iter().collect());
                    if !is_component(&found) {
                        return BTreeSet::new();
                    }
                    let mut more = known.clone();
                    more.insert(name.clone(), found);
                    after(taken, &more)
                })
                .collect(),
        },
    }
}

/// Whether a text without captures is covered, as it is.
fn covers(pattern: &[Token], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    !splits(pattern, &text, Case::Exact, &|value| value, &Values::new()).is_empty()
}

/// A pattern over whole repository names.
pub struct Path(Vec<Vec<Token>>);

/// `**`
const ANY: [Token; 2] = [Token::Star, Token::Star];

impl Path {
    pub fn read(pattern: &str) -> Self {
        Self(pattern.split('/').map(tokens).collect())
    }

    /// With every capture replaced; `None` where one of them has no value, or a reserved one that opens the pattern.
    pub fn filled(&self, values: &Values, reserved: &[&str]) -> Option<Filled> {
        let opening = self.0.iter().position(|segment| *segment != ANY);
        let fill = |(index, segment): (usize, &Vec<Token>)| {
            let mut filled = Vec::new();
            for token in segment {
                match token {
                    Token::Capture(name) => {
                        let value = values.get(name)?;
                        if Some(index) == opening && reserved.contains(&value.as_str()) {
                            return None;
                        }
                        filled.extend(value.chars().map(Token::Char));
                    }
                    Token::Char(_) | Token::Star => filled.push(token.clone()),
                }
            }
            Some(Segment { any: *segment == ANY, captured: segment.iter().any(|token| matches!(token, Token::Capture(_))), tokens: filled })
        };
        self.0.iter().enumerate().map(fill).collect::<Option<_>>().map(|segments| Filled { segments, reserved: owned(reserved) })
    }

    /// With `*` for every capture, where it is not known what they stand for.
    pub fn loosened(&self) -> Filled {
        let loose = |token: &Token| if matches!(token, Token::Capture(_)) { Token::Star } else { token.clone() };
        let segment = |segment: &Vec<Token>| Segment { any: *segment == ANY, captured: false, tokens: segment.iter().map(loose).collect() };
        Filled { segments: self.0.iter().map(segment).collect(), reserved: Vec::new() }
    }
}

fn owned(reserved: &[&str]) -> Vec<String> {
    reserved.iter().map(|word| (*word).to_owned()).collect()
}

struct Segment {
    /// `**`: zero or more segments.
    any: bool,
    /// Whether a captured value stands in it.
    captured: bool,
    tokens: Vec<Token>,
}

/// A pattern without captures.
pub struct Filled {
    segments: Vec<Segment>,
    reserved: Vec<String>,
}

impl Filled {
    pub fn covers(&self, name: &str) -> bool {
        let names: Vec<&str> = name.split('/').collect();
        self.lay(&self.segments, &names, true)
    }

    fn lay(&self, segments: &[Segment], names: &[&str], opens: bool) -> bool {
        match (segments, names) {
            ([], []) => true,
            ([first, rest @ ..], _) if first.any => {
                self.lay(rest, names, opens) || (!names.is_empty() && self.lay(segments, &names[1..], false))
            }
            ([first, rest @ ..], [name, others @ ..]) => {
                let taken = opens && first.captured && self.reserved.iter().any(|word| word == name);
                !taken && covers(&first.tokens, name) && self.lay(rest, others, false)
            }
            ([], _) | (_, []) => false,
        }
    }
}
