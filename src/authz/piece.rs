//! The pieces that every pattern is made of: text, `*` and captures.

use std::sync::Arc;

/// One piece. Text stands for itself, whatever it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Piece {
    /// These characters.
    Text(Box<str>),
    /// `*`: one or more characters, none of them a slash.
    Star,
    /// `{name}`: one or more characters that get a name, or the value that the name has already.
    Capture(Arc<str>),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    #[error("the pattern is empty")]
    Empty,
    #[error("the pattern has over {LONGEST} bytes")]
    TooLong,
    #[error("`{{` is never closed")]
    Unclosed,
    #[error("`}}` closes nothing")]
    Unopened,
    #[error("`{{{0}}}` is not a capture")]
    CaptureName(String),
    #[error("`**` is no pattern for a name")]
    DoubleStarInName,
    #[error("`{{user}}` is the name of who asks and cannot be captured")]
    UserCaptured,
    #[error("two slashes, or one at the start or end, leave an empty segment")]
    EmptySegment,
    #[error("`**` has to be a whole segment")]
    DoubleStarInSegment,
    #[error("two captures in one segment")]
    TwoCaptures,
    #[error("`{0}` can be no part of a repository name")]
    NoName(String),
    #[error("`*` cannot stand in a DN")]
    StarInDn,
    #[error("not a DN: {0}")]
    Dn(&'static str),
}

impl PatternError {
    /// What to do about it.
    pub(super) const fn hint(&self) -> &'static str {
        match self {
            Self::TooLong => "write a shorter one: names in registries and directories are shorter",
            Self::Empty => "remove it, or write what it shall match",
            Self::Unclosed | Self::Unopened | Self::CaptureName(_) => {
                "a capture is written {team}: lower-case letters, digits and `_` between braces"
            }
            Self::DoubleStarInName => "write `*`; names have no segments",
            Self::UserCaptured => "choose another name for the capture",
            Self::EmptySegment => "write the segments with one slash between them, as in payments/**",
            Self::DoubleStarInSegment => "write `*` for a part of a segment, `**` between slashes for any number of segments",
            Self::TwoCaptures => "put them into two segments, as in {team}/{kind}",
            Self::NoName(_) => "repository names have lower-case letters and digits, joined by `.`, `_`, `__` or dashes",
            Self::StarInDn => "write a capture, as in CN=registry-{team},OU=Registry,DC=corp,DC=example; a real star is \\2a",
            Self::Dn(_) => "write the whole DN as the directory does, as in \"CN=payments,OU=teams,DC=corp,DC=example\"",
        }
    }
}

/// Cuts a text into pieces. A character with `true` beside it was escaped and only means itself.
pub(super) fn cut(characters: impl IntoIterator<Item = (char, bool)>) -> Result<Vec<Piece>, PatternError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut characters = characters.into_iter();
    while let Some((character, escaped)) = characters.next() {
        let special = !escaped && matches!(character, '*' | '{' | '}');
        if special && !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text).into()));
        }
        match character {
            '*' if special => pieces.push(Piece::Star),
            '}' if special => return Err(PatternError::Unopened),
            '{' if special => pieces.push(Piece::Capture(capture_name(&mut characters)?)),
            _ => text.push(character),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    if pieces.is_empty() { Err(PatternError::Empty) } else { Ok(pieces) }
}

/// Longer patterns only cost time: a repository's name has at most 255 bytes.
pub(super) const LONGEST: usize = 1024;

/// Cuts a text in which nothing is escaped.
pub(super) fn cut_plain(text: &str) -> Result<Vec<Piece>, PatternError> {
    if text.len() > LONGEST {
        return Err(PatternError::TooLong);
    }
    cut(text.chars().map(|character| (character, false)))
}

/// The pieces as they are written.
pub(super) fn shown(pieces: &[Piece]) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.to_string(),
            Piece::Capture(name) => format!("{{{name}}}"),
            Piece::Star => "*".to_owned(),
        })
        .collect()
}

/// The captures among some pieces, in their order.
pub(super) fn captures(pieces: &[Piece]) -> impl Iterator<Item = &Arc<str>> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Capture(name) => Some(name),
        Piece::Text(_) | Piece::Star => None,
    })
}

/// `{name}` and nothing else.
pub(super) fn whole_capture(text: &str) -> Option<Result<Arc<str>, PatternError>> {
    if !text.contains(['{', '}']) {
        return None;
    }
    Some(cut_plain(text).and_then(|pieces| match pieces.as_slice() {
        [Piece::Capture(name)] => Ok(Arc::clone(name)),
        _ => Err(PatternError::CaptureName(text.trim_matches(['{', '}']).to_owned())),
    }))
}

fn capture_name(characters: &mut impl Iterator<Item = (char, bool)>) -> Result<Arc<str>, PatternError> {
    let mut name = String::new();
    for (character, _) in characters {
        if character == '}' {
            let good = name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            return if good { Ok(name.into()) } else { Err(PatternError::CaptureName(name)) };
        }
        name.push(character);
    }
    Err(PatternError::Unclosed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match cut_plain(text) {
            Ok(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => format!("'{text}'"),
                    Piece::Star => "*".to_owned(),
                    Piece::Capture(name) => format!("<{name}>"),
                })
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{text:?}");
    }

    #[test]
    fn a_text_is_cut_into_text_stars_and_captures() {
        check("registry-{team}", "'registry-' <team>");
        check("REG_{team}_{role}", "'REG_' <team> '_' <role>");
        check("a*b", "'a' * 'b'");
        check("{a}{b}", "<a> <b>");
        check("", "the pattern is empty");
        check("{", "`{` is never closed");
        check("a}", "`}` closes nothing");
        check("{}", "`{}` is not a capture");
        check("{Team}", "`{Team}` is not a capture");
        check("{1a}", "`{1a}` is not a capture");
        check("{a b}", "`{a b}` is not a capture");
        check("{{a}}", "`{{a}` is not a capture");
    }
}
