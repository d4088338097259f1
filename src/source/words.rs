//! What the YAML reader found, in the words of those who write the files.

use serde_yaml::Error;
use serde_yaml::budget::BudgetBreach;

use super::yaml::{MAX_DEPTH, MAX_NODES};

/// Nobody means a known word by a longer text, and comparing them is quadratic.
const LONGEST_WORD: usize = 64;
/// So many known words are compared.
const MOST_WORDS: usize = 200;

/// A message and, where there is some, advice.
pub(super) struct Words {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// Whether YAML's own traps cannot be the cause.
    pub(super) understood: bool,
}

/// Says what is wrong without the reader's own terms.
#[expect(clippy::wildcard_enum_match_arm, reason = "the crate's own text is good enough for what seldom happens")]
pub(super) fn describe(error: &Error) -> Words {
    match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => {
            let hint = match nearest(field, expected.iter().copied()) {
                Some(key) => format!("did you mean `{key}`?"),
                None if expected.is_empty() => "no key may stand here".to_owned(),
                None => format!("the keys here are {}", expected.join(", ")),
            };
            understood(format!("unknown key `{field}`"), Some(hint))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            let hint = nearest(variant, expected.iter().copied()).map(|word| format!("did you mean `{word}`?"));
            understood(format!("`{variant}` is none of {}", expected.join(", ")), hint)
        }
        Error::SerdeMissingField { field, .. } => understood(format!("the key `{field}` is missing"), None),
        Error::DuplicateMappingKey { key, .. } => {
            let named = key.as_ref().map_or_else(|| "a key".to_owned(), |key| format!("the key `{key}`"));
            understood(format!("{named} stands here a second time"), Some("keep one of them".to_owned()))
        }
        Error::Unexpected { expected: "sequence start", .. } => {
            understood("a list is expected here".to_owned(), Some("write [a, b], or one line `- a` for each".to_owned()))
        }
        Error::Unexpected { expected: "mapping start", .. } => {
            understood("keys with values are expected here".to_owned(), Some("write `key: value`".to_owned()))
        }
        Error::Unexpected { expected: "string scalar", .. } => yaml("a text is expected here".to_owned()),
        Error::NullIntoString { .. } => understood("the value is missing here".to_owned(), Some("write one, or remove the key".to_owned())),
        Error::InvalidScalar { ty: "boolean", .. } | Error::InvalidBooleanStrict { .. } => {
            understood("true or false is expected here".to_owned(), None)
        }
        Error::InvalidScalar { ty: "u8" | "u16" | "u32" | "u64", .. } => understood("a whole number is expected here".to_owned(), None),
        Error::NonFiniteFloat { value, .. } => {
            understood(format!("`{value}` is not a finite number"), Some("quote it if it is a text".to_owned()))
        }
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => nested_too_deeply(),
        // The reader looks ahead of itself inside brackets, with a limit of its own.
        Error::ExternalMessage { msg, .. } if msg == "recursion limit exceeded" => nested_too_deeply(),
        Error::Budget { breach: BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. }, .. } => understood(
            format!("the file holds more than {MAX_NODES} values"),
            Some("check that this is the right file; a rule has about 20 values".to_owned()),
        ),
        Error::Budget { breach: BudgetBreach::Documents { .. }, .. } | Error::MultipleDocuments { .. } => understood(
            "a second document begins here, and a file has one".to_owned(),
            Some("remove the line `---`, or what stands above it".to_owned()),
        ),
        Error::Budget { breach: BudgetBreach::Anchors { .. }, .. } => yaml("anchors (`&name`) are refused".to_owned()),
        Error::UnknownAnchor { .. } => yaml("aliases (`*name`) are refused".to_owned()),
        Error::MergeKeyNotAllowed { .. } => {
            Words { message: "merge keys (`<<`) are refused".to_owned(), hint: Some("write the keys out".to_owned()), understood: true }
        }
        other => {
            let plain = other.render_with_formatter(&serde_yaml::UserMessageFormatter);
            // The place is shown by our own renderer.
            let message = plain.rsplit_once(" at line ").map_or(plain.as_str(), |(message, _)| message).to_owned();
            // A custom message is advice of our own already.
            if matches!(other, Error::Message { .. }) { understood(message, None) } else { yaml(message) }
        }
    }
}

fn nested_too_deeply() -> Words {
    understood(format!("this is nested deeper than {MAX_DEPTH} levels"), Some("check the brackets and the indentation above it".to_owned()))
}

fn understood(message: String, hint: Option<String>) -> Words {
    Words { message, hint, understood: true }
}

fn yaml(message: String) -> Words {
    Words { message, hint: None, understood: false }
}

/// The known word that a typing error most likely meant: at most a third of it differs.
///
/// Looks at no more than the first 200 words, so that many mistakes in a file of many names cost no more than the file.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = written.chars().take(LONGEST_WORD + 1).count();
    let near = |word: &'a str| {
        let most = word.chars().count().max(3) / 3;
        let possible = letters <= LONGEST_WORD && letters.abs_diff(word.chars().count()) <= most;
        let distance = if possible { distance(written, word) } else { return None };
        (distance <= most).then_some((distance, word))
    };
    known.into_iter().take(MOST_WORDS).filter_map(near).min().map(|(_, word)| word)
}

/// How many letters must be put in, left out, replaced or swapped with their neighbour (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let mut previous = None;
    for (row, letter) in one.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, wanted) in other.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 4);
            let mut best =
                (at(&last, column) + usize::from(letter != *wanted)).min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            let swapped = column.checked_sub(1).filter(|&left| previous == Some(*wanted) && other.get(left) == Some(&letter));
            if let Some(left) = swapped {
                best = best.min(at(&before, left) + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut last, current);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or(usize::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expected: &str) {
        let known = ["listen", "admin_listen", "tls", "rules", "providers", "reload"];
        assert_eq!(nearest(written, known).unwrap_or("nothing"), expected, "{written}");
    }

    #[test]
    fn a_typing_error_finds_the_word_that_was_meant() {
        check("lisen", "listen");
        check("listne", "listen");
        check("adminlisten", "admin_listen");
        check("provider", "providers");
        check("tsl", "tls");
        check("rule", "rules");
        check("colour", "nothing");
        check("x", "nothing");
        check(&"l".repeat(100_000), "nothing");
    }
}
