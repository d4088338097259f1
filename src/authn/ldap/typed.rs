//! What people type: which texts can be anybody's name, and what of them is the name.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::source::is_hidden;

/// Whether a typed text can be anybody's name. Directories ignore spaces around, characters that nobody sees and the width
/// of letters, so such spellings would be other names of the same account to every counter and cache in front of them.
pub(in crate::authn) fn may_be_a_name(typed: &str) -> bool {
    let unseen = |c: char| is_hidden(c) || (c.is_whitespace() && c != ' ') || is_no_character(c);
    let plain = !typed.chars().any(unseen) && unicode_normalization::is_nfkc(typed);
    !typed.is_empty() && typed.len() <= 256 && typed.trim() == typed && !typed.contains("  ") && plain
}

/// What stands for something that is no character, and what no standard gives a meaning (RFC 4518 §2.4).
fn is_no_character(c: char) -> bool {
    let in_plane = u32::from(c) & 0xffff;
    in_plane >= 0xfffe || matches!(c, '\u{fdd0}'..='\u{fdef}' | '\u{fffc}'..='\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..)
}

/// One form of all spellings that a directory may take for the same name, so that none has a counter of its own: Active
/// Directory knows neither case nor accents, in any script.
pub(in crate::authn) fn counted(name: &str) -> String {
    let bare: String = name.nfkd().filter(|c| !is_combining_mark(*c)).collect();
    bare.to_uppercase().to_lowercase()
}

/// What is cut off a typed name: prefixes that end with a backslash, suffixes that start with `@`.
#[derive(Clone, Debug, Default)]
pub(super) struct Strip(Vec<String>);

impl Strip {
    /// From settings that were checked.
    pub(super) fn new(cuts: impl IntoIterator<Item = String>) -> Self {
        Self(cuts.into_iter().collect())
    }

    /// The name without them, however often they stand there: what is left has none, so every spelling comes to one name.
    pub(super) fn name<'a>(&self, typed: &'a str) -> &'a str {
        let mut name = typed;
        while let Some(shorter) = self.0.iter().find_map(|cut| without(name, cut)) {
            name = shorter;
        }
        name
    }
}

fn without<'a>(name: &'a str, cut: &str) -> Option<&'a str> {
    let length = name.len().checked_sub(cut.len())?;
    let (found, rest) = if cut.starts_with('@') {
        let (rest, found) = name.split_at_checked(length)?;
        (found, rest)
    } else {
        name.split_at_checked(cut.len())?
    };
    (!cut.is_empty() && found.eq_ignore_ascii_case(cut)).then_some(rest)
}

/// The part in front of the `@` of what is bound as `user@suffix`; `None` where it would be somebody of another suffix, or a
/// name of another form, of which Active Directory tries several.
pub(super) fn principal<'a>(typed: &'a str, suffix: &str) -> Option<&'a str> {
    let name = match typed.split_once('@') {
        None => typed,
        Some((name, other)) if other.eq_ignore_ascii_case(suffix) => name,
        Some(_) => return None,
    };
    let forbidden = |c: char| matches!(c, '"' | '/' | '\\' | '[' | ']' | ':' | ';' | '|' | '=' | ',' | '+' | '*' | '?' | '<' | '>' | '@');
    (!name.is_empty() && !name.contains(forbidden) && name.trim() == name).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_that_directories_ignore_are_nobody() {
        for name in ["alice", "Alice B", "álice", "a*b(c)", "CORP\\alice", "alice@corp.example"] {
            assert!(may_be_a_name(name), "{name:?}");
        }
        for name in ["", " alice", "alice ", "a  b", "al\0ice", "\u{a0}alice", "ａｌｉｃｅ", "a\u{301}lice"] {
            assert!(!may_be_a_name(name), "{name:?}");
        }
        // Zero width, soft hyphen, bidi marks and isolates, joiners, fillers, selectors, annotations, tags, spaces, no characters.
        for unseen in [
            '\u{200b}',
            '\u{ad}',
            '\u{202e}',
            '\u{61c}',
            '\u{2066}',
            '\u{34f}',
            '\u{115f}',
            '\u{1160}',
            '\u{3164}',
            '\u{ffa0}',
            '\u{fe0f}',
            '\u{e0100}',
            '\u{fff9}',
            '\u{e0061}',
            '\u{2028}',
            '\u{2003}',
            '\u{180e}',
            '\u{feff}',
            '\u{fffd}',
            '\u{e000}',
            '\u{1fffe}',
        ] {
            assert!(!may_be_a_name(&format!("al{unseen}ice")), "{unseen:?}");
        }
        assert!(!may_be_a_name(&"x".repeat(257)));
    }

    #[test]
    fn spellings_that_a_directory_takes_for_one_name_are_counted_as_one() {
        for (one, other) in [("alice", "Alice"), ("alice", "álicé"), ("MÜLLER", "müller"), ("straße", "STRASSE"), ("ΣΑΣ", "σας")]
        {
            assert_eq!(counted(one), counted(other), "{one} {other}");
        }
        assert_ne!(counted("alice"), counted("alicia"));
        assert_eq!(counted("a.b-c_d@e f"), "a.b-c_d@e f");
    }

    #[test]
    fn what_is_cut_off_is_cut_off_whole() {
        let strip = Strip::new(["CORP\\".to_owned(), "@corp.example".to_owned()]);
        for (typed, expected) in [
            ("alice", "alice"),
            ("CORP\\alice", "alice"),
            ("corp\\alice", "alice"),
            ("alice@CORP.example", "alice"),
            ("corp\\alice@corp.example", "alice"),
            ("alice@corp.example@corp.example", "alice"),
            ("OTHER\\alice", "OTHER\\alice"),
            ("alice@other.example", "alice@other.example"),
            ("xCORP\\alice", "xCORP\\alice"),
            ("alice@corp.example.org", "alice@corp.example.org"),
            ("CORP\\", ""),
            ("ö", "ö"),
        ] {
            assert_eq!(strip.name(typed), expected, "{typed}");
        }
        assert_eq!(Strip::default().name("CORP\\alice"), "CORP\\alice");
    }

    #[test]
    fn a_principal_has_one_suffix() {
        let check = |typed: &str, expected: Option<&str>| assert_eq!(principal(typed, "corp.example"), expected, "{typed}");
        check("alice", Some("alice"));
        check("alice.b", Some("alice.b"));
        check("alice@Corp.Example", Some("alice"));
        for nobody in [
            "alice@other.example",
            "alice@corp.example@corp.example",
            "a@b@corp.example",
            "@corp.example",
            "",
            "CORP\\alice",
            "cn=alice,dc=x",
            "corp.example/alice",
            "alice @corp.example",
        ] {
            check(nobody, None);
        }
    }

    proptest! {
        #[test]
        fn cutting_twice_is_cutting_once(typed in "(CORP\\\\|@corp.example|[a-z@\\\\]){0,6}") {
            let strip = Strip::new(["CORP\\".to_owned(), "@corp.example".to_owned()]);
            let name = strip.name(&typed);
            prop_assert_eq!(strip.name(name), name);
        }
    }
}
