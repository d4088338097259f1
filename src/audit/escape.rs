//! Text of strangers made fit for a line and for a terminal.

use std::fmt::Write;

use crate::source::is_hidden;

/// Marks where a text was cut.
const CUT: char = '…';

/// The inside of a JSON string of at most `limit` bytes: quotes, backslashes, and every character that is invisible,
/// moves the cursor, or turns the direction of text (Unicode TR36 §3.1, "Trojan Source") as `\u….`.
pub(super) fn json(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit));
    for character in text.chars() {
        let before = shown.len();
        push(&mut shown, character);
        // Room for the mark stays free until the last character is in.
        if shown.len() > limit.saturating_sub(CUT.len_utf8()) && !fits(text, limit) {
            shown.truncate(before);
            shown.push(CUT);
            break;
        }
    }
    shown
}

/// A text with such characters escaped, for terminals and tables.
pub fn escaped(text: &str) -> String {
    json(text, usize::MAX)
}

fn fits(text: &str, limit: usize) -> bool {
    let mut shown = String::new();
    text.chars().all(|character| {
        push(&mut shown, character);
        shown.len() <= limit
    })
}

fn push(shown: &mut String, character: char) {
    match character {
        '"' => shown.push_str("\\\""),
        '\\' => shown.push_str("\\\\"),
        _ if is_hidden(character) => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
        _ => shown.push(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(escaped(text), expected, "{text:?}");
        let read: String = serde_json::from_str(&format!("\"{}\"", escaped(text))).unwrap();
        assert_eq!(read, text);
    }

    #[test]
    fn what_cannot_be_seen_is_spelled_out() {
        check("alice", "alice");
        check("müller 日本 🚢", "müller 日本 🚢");
        check("a\"b\\c", "a\\\"b\\\\c");
        check("a\nb\r\t\0", "a\\u000ab\\u000d\\u0009\\u0000");
        check("\u{1b}[31m\u{7f}\u{9b}", "\\u001b[31m\\u007f\\u009b");
        check("\u{202e}evil\u{2066}\u{200f}", "\\u202eevil\\u2066\\u200f");
        check("\u{2028}\u{feff}\u{200b}", "\\u2028\\ufeff\\u200b");
        check("\u{e0041}", "\\udb40\\udc41");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(json("12345", 5), "12345");
        assert_eq!(json("123456", 5), "12…");
        assert_eq!(json("\n\n\n", 12), "\\u000a…");
        assert_eq!(json("üüü", 6), "üüü");
        assert_eq!(json("üüüü", 6), "ü…");
    }
}
