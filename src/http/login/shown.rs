//! Text of others as a page and a shell may hold it. maud escapes what HTML would read; this is about what people see.

use crate::clock::Timestamp;
use crate::source::is_hidden;

/// Longer texts are cut.
const LONGEST: usize = 200;

/// A text with what moves, turns or hides others spelled out, and cut where it is long.
pub(super) fn text(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == LONGEST {
            shown.push('…');
            break;
        }
        if is_hidden(character) { shown.extend(character.escape_unicode()) } else { shown.push(character) }
    }
    shown
}

/// A moment as people read it, in UTC: a page without scripts does not know where its reader is.
pub(super) fn moment(at: Timestamp) -> String {
    let text = at.rfc3339();
    text.get(..16).map_or_else(|| text.clone(), |shown| shown.replace('T', " "))
}

/// A word as a shell takes it back, in POSIX shells and in PowerShell; none where a person could not see what it holds, or
/// the shells read it in different ways.
pub(super) fn word(text: &str) -> Option<String> {
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | ':' | '@' | '/' | '+');
    let first = text.chars().next()?;
    if text.len() > LONGEST
        || first == '-'
        || text.chars().any(|character| is_hidden(character) || matches!(character, '\'' | '‘' | '’' | '‚' | '‛'))
    {
        return None;
    }
    // `@x` alone is PowerShell's splatting.
    if text.chars().all(plain) && first != '@' { Some(text.to_owned()) } else { Some(format!("'{text}'")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_spelled_out_and_what_is_long_is_cut() {
        assert_eq!(text("Müller <b>"), "Müller <b>");
        assert_eq!(text("a\u{202e}b\n\u{200b}"), "a\\u{202e}b\\u{a}\\u{200b}");
        assert_eq!(text(&"ä".repeat(300)).chars().count(), 201);
        assert_eq!(moment(Timestamp(1_700_000_000)), "2023-11-14 22:13");
    }

    #[test]
    fn a_word_means_itself_in_a_shell_or_is_not_shown() {
        for (text, expected) in [
            ("alice", Some("alice")),
            ("alice@corp.example", Some("alice@corp.example")),
            ("reg.example:5000", Some("reg.example:5000")),
            ("a b", Some("'a b'")),
            ("$(id)", Some("'$(id)'")),
            ("a;reboot", Some("'a;reboot'")),
            ("`id`", Some("'`id`'")),
            ("CORP\\alice", Some("'CORP\\alice'")),
            ("a\"b", Some("'a\"b'")),
            ("müller", Some("'müller'")),
            ("@alice", Some("'@alice'")),
            ("o'neill", None),
            ("o’neill", None),
            ("-x", None),
            ("", None),
            ("a\nb", None),
            ("a\u{202e}b", None),
        ] {
            assert_eq!(word(text).as_deref(), expected, "{text:?}");
        }
    }
}
