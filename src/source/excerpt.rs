//! The piece of a line that a finding shows, with a caret under it.

use std::fmt;

use super::located::Place;
use super::visible::{CUT, columns, show};

/// No more columns of a line are shown.
const WIDTH: usize = 140;
/// Stands where a secret does.
const NOT_SHOWN: &str = ": (not shown)";

/// A line as far as it matters to one of its places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    /// What stands before the place.
    pub(super) before: &'a str,
    /// The place and what stands behind it.
    pub(super) behind: &'a str,
    /// Whether the line begins earlier.
    pub(super) begins_earlier: bool,
    /// How it goes on.
    pub(super) rest: Rest,
}

/// How a line goes on behind what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It ends.
    Nothing,
    /// With more of the same.
    More,
    /// With a secret.
    Secret {
        /// Whether the place is inside of it.
        caret: bool,
    },
}

/// A line, or what stands around a place of a long one; fit for a terminal, secrets masked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Excerpt {
    text: String,
    /// Columns before the caret.
    indent: usize,
}

impl Excerpt {
    pub(super) fn of(around: Around<'_>) -> Self {
        let Around { before, behind, begins_earlier, rest } = around;
        // What one side leaves of the width goes to the other.
        let room = WIDTH.saturating_sub(take(behind.chars(), WIDTH / 2).columns);
        let left = take(before.chars().rev(), room);
        let right = take(behind.chars(), WIDTH.saturating_sub(left.columns));

        let mut shown = Self { text: String::new(), indent: 0 };
        if begins_earlier || left.bytes < before.len() {
            shown.text.push(CUT);
            shown.indent += 1;
        }
        for character in before.get(before.len() - left.bytes..).unwrap_or_default().chars() {
            shown.indent += show(&mut shown.text, character);
        }
        for character in behind.get(..right.bytes).unwrap_or_default().chars() {
            show(&mut shown.text, character);
        }
        match rest {
            _ if right.bytes < behind.len() => shown.text.push(CUT),
            Rest::Nothing => {}
            Rest::More => shown.text.push(CUT),
            Rest::Secret { caret } => {
                shown.text.push_str(NOT_SHOWN);
                shown.indent += if caret { 2 } else { 0 };
            }
        }
        shown
    }

    /// Writes the line below its number, and the caret below the place.
    pub(super) fn write(&self, place: Place, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{margin} |\n{number} | {}\n{margin} | {:2$}^", self.text, "", self.indent)
    }
}

/// How much of a text was taken.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    bytes: usize,
    columns: usize,
}

/// As many characters as fit. One without a width counts as well, because there may be any number of them.
fn take(characters: impl Iterator<Item = char>, most: usize) -> Taken {
    let mut taken = Taken::default();
    for character in characters {
        let wider = taken.columns + columns(character).max(1);
        if wider > most {
            break;
        }
        taken = Taken { bytes: taken.bytes + character.len_utf8(), columns: wider };
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

    /// What is shown of the text before, at and behind a `^`: the line, and the caret below it.
    #[track_caller]
    fn check(marked: &str, expected: &str) {
        let (before, behind) = marked.split_once('^').unwrap();
        let line = u32::try_from(before.matches('\n').count() + 1).unwrap();
        let column = u32::try_from(before.rsplit('\n').next().unwrap().chars().count() + 1).unwrap();
        let finding = SourceFile::new("x.yaml", format!("{before}{behind}")).error(Place { line, column }, "wrong");
        let shown = finding.to_string();
        let lines: Vec<&str> = shown.lines().skip(3).map(|line| line.split_once("| ").unwrap().1).collect();
        assert_eq!(lines.join("\n"), expected, "{:?}", marked.chars().take(100).collect::<String>());
    }

    #[test]
    fn the_caret_stands_below_its_place() {
        check("a: ^b\nc: d\n", "a: b\n   ^");
        check("a: b\r\nc: ^d\r\n", "c: d\n   ^");
        check("a:\n\t^b: c\n", "    b: c\n    ^");
        check("日本: ^x\n", "日本: x\n      ^");
        check("🚢 e\u{301}: ^x\n", "🚢 e\u{301}: x\n      ^");
        check("a: b^\n", "a: b\n    ^");
        check("a: b^", "a: b\n    ^");
    }

    #[test]
    fn a_hostile_line_drives_no_terminal() {
        check("a: \u{1b}[2J\u{202e}^x\u{7}\n", "a: \\u{1b}[2J\\u{202e}x\\u{7}\n                    ^");
        check("a\u{200b}: ^\0\n", "a\\u{200b}: \\u{0}\n           ^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let (a, b) = ("a".repeat(1 << 20), "b".repeat(1 << 20));
        check(&format!("{a}^{b}"), &format!("…{}{}…\n{}^", "a".repeat(70), "b".repeat(70), " ".repeat(71)));
        check(&format!("^{b}"), &format!("{}…\n^", "b".repeat(140)));
        check(&format!("{a}^"), &format!("…{}\n{}^", "a".repeat(140), " ".repeat(141)));
        check(&format!("xyz^{b}"), &format!("xyz{}…\n   ^", "b".repeat(137)));
        check(&format!("{a}^xyz"), &format!("…{}xyz\n{}^", "a".repeat(137), " ".repeat(138)));
        let marks = "\u{301}".repeat(1 << 20);
        check(&format!("{marks}^{marks}"), &format!("…{}…\n ^", "\u{301}".repeat(140)));
    }

    #[test]
    fn a_secret_is_not_shown_however_long_its_line_is() {
        check("password: ^hunter2\n", "password: (not shown)\n          ^");
        check("a: {\"Bind_Password\" : ^hunter2}\n", "a: {\"Bind_Password: (not shown)\n                    ^");
        check("a: ^b, token: hunter2\n", "a: b, token: (not shown)\n   ^");
        check("^password: [hunter2]\n", "password: (not shown)\n^");
        check("password: ^{file: secret.txt}\n", "password: {file: secret.txt}\n          ^");
        check("password: ^{ env: SECRET }, key: hunter2\n", "password: { env: SECRET }, key: (not shown)\n          ^");
        check("password: ^{fil: hunter2}\n", "password: (not shown)\n          ^");
        check("password:^\n", "password:\n         ^");
        let value = "x".repeat(4000);
        let shown = format!("…{}password: (not shown)\n{}^", "a".repeat(132), " ".repeat(143));
        check(&format!("{}password: {value}^{value}", "a".repeat(1 << 20)), &shown);
    }
}
