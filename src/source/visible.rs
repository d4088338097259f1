//! Text of strangers made fit for a terminal: what it shows, and how many columns that takes.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

/// A message or a hint is at most about so many characters long; what quotes a huge value is cut in its middle.
const LONGEST: usize = 600;
/// So much of that is left of its end, which is where a message says what is wrong with what it quotes.
const TAIL: usize = 197;
/// Marks where a text was cut.
pub(super) const CUT: char = '…';

/// Whether a character moves the cursor, changes how others look, or looks like nothing: control characters, Unicode's
/// category Cf ("Trojan Source", Unicode TR36 §3.1), the separators of lines and paragraphs, and the fillers and selectors
/// without a shape.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Shows one character of a line and tells its columns: a tab is four spaces, a hidden character its `\u{…}`.
pub(super) fn show(shown: &mut String, character: char) -> usize {
    match character {
        '\t' => shown.push_str("    "),
        _ if is_hidden(character) => shown.extend(character.escape_unicode()),
        _ => shown.push(character),
    }
    columns(character)
}

/// How many columns a character takes as it is shown.
pub(super) fn columns(character: char) -> usize {
    match character {
        '\t' => 4,
        _ if is_hidden(character) => character.escape_unicode().len(),
        _ => character.width().unwrap_or(0),
    }
}

/// A message fit for one line of a log or a terminal.
pub(super) fn told(text: &str) -> Cow<'_, str> {
    let long = text.len() > LONGEST && text.chars().nth(LONGEST).is_some();
    if !long && !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    let mut show_all = |part: &str| {
        for character in part.chars() {
            show(&mut shown, character);
        }
    };
    match (long, text.char_indices().nth(LONGEST - TAIL), text.char_indices().nth_back(TAIL)) {
        (true, Some((head, _)), Some((tail, _))) => {
            show_all(text.get(..head).unwrap_or_default());
            show_all(&format!(" {CUT} "));
            show_all(text.get(tail..).unwrap_or_default());
        }
        _ => show_all(text),
    }
    Cow::Owned(shown)
}

/// The same for a message that is kept.
pub(super) fn fit(text: String) -> String {
    match told(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(told) => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(told(text), expected, "{text:?}");
        // What was made fit stays as it is.
        assert_eq!(told(&told(text)), expected, "{text:?}");
    }

    #[test]
    fn a_message_moves_no_cursor() {
        check("`müller 日本` is nobody", "`müller 日本` is nobody");
        check("`a\nb\u{1b}[2J\u{202e}` is nobody", "`a\\u{a}b\\u{1b}[2J\\u{202e}` is nobody");
    }

    #[test]
    fn a_message_that_quotes_a_huge_value_keeps_both_ends() {
        let shown = told(&format!("`{}` is nobody", "ä".repeat(1_000_000))).into_owned();
        assert!(shown.starts_with("`ää") && shown.contains("ä … ä") && shown.ends_with("ä` is nobody"), "{shown}");
        assert!(shown.chars().count() < 620, "{}", shown.chars().count());
    }
}
