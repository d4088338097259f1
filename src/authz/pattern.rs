//! Patterns over repository names, a segment at a time, anchored at both ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::binding::{Bindings, Fold, covers};
use super::piece::{PatternError, Piece, captures, cut_plain};
use crate::registry::{PathComponent, RepositoryName};

/// First segments that no value of a capture may take.
pub(super) type Reserved = BTreeSet<String>;

/// The name under which a pattern asks for who asks.
pub(super) const USER: &str = "user";

/// A compiled `repository` pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Pattern(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Segment {
    /// `**`: zero or more segments.
    Any,
    /// One segment.
    One(Vec<Piece>),
}

/// What the names between braces stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
    /// `{user}`; `None` where it stands for nobody.
    pub(super) user: Option<&'a PathComponent>,
    /// The captures.
    pub(super) captures: &'a Bindings,
    /// First segments that none of them may take.
    pub(super) reserved: &'a Reserved,
}

impl Values<'_> {
    fn get(&self, name: &str) -> Option<&PathComponent> {
        if name == USER { self.user } else { self.captures.get(name) }
    }
}

impl Pattern {
    /// Reads a pattern as it is written.
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let several = text.contains('/');
        text.split('/')
            .enumerate()
            .map(|(index, segment)| Segment::parse(segment, several && index == 0))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Every capture in it, `{user}` among them.
    pub(super) fn captures(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().flat_map(Segment::captures)
    }

    /// Whether a capture or `{user}` may stand for a name's first segment or a part of it.
    pub(super) fn opens_with_capture(&self) -> bool {
        self.opening().is_some()
    }

    /// Whether it covers the name. A capture without a value, or with a reserved one that opens the pattern, covers nothing.
    pub(super) fn matches(&self, name: &RepositoryName, values: &Values<'_>) -> bool {
        self.binds(values)
            && self.lay_over(name, |pieces, segment, first| {
                let filled = pieces.iter().any(|piece| matches!(piece, Piece::Capture(_)));
                if filled && first && values.reserved.contains(segment) {
                    return false;
                }
                segment_matches(pieces, segment, values)
            })
    }

    /// Whether some values of its captures would let it cover the name.
    pub(super) fn may_match(&self, name: &RepositoryName) -> bool {
        self.lay_over(name, |pieces, segment, _| covers(pieces, segment, Fold::Exact))
    }

    /// Whether some values that are not reserved would let it cover the name.
    pub(super) fn could_match(&self, name: &RepositoryName, reserved: &Reserved) -> bool {
        self.lay_over(name, |pieces, segment, first| {
            let taken = first && captures(pieces).next().is_some() && reserved.contains(segment);
            !taken && covers(pieces, segment, Fold::Exact)
        })
    }

    /// Whether every capture in it has a value that may stand where it stands.
    pub(super) fn binds(&self, values: &Values<'_>) -> bool {
        self.captures().all(|name| values.get(name).is_some())
            && self
                .opening()
                .is_none_or(|mut names| names.all(|name| values.get(name).is_some_and(|value| !values.reserved.contains(value.as_str()))))
    }

    /// The one first segment of every name that it covers; `None` where there may be several.
    pub(super) fn first_segment(&self) -> Option<&str> {
        match self.0.first() {
            Some(Segment::One(pieces)) => match pieces.as_slice() {
                [Piece::Text(text)] => Some(text),
                _ => None,
            },
            Some(Segment::Any) | None => None,
        }
    }

    /// Whether everything is covered: `**`.
    pub(super) fn is_everything(&self) -> bool {
        matches!(self.0.as_slice(), [Segment::Any])
    }

    /// The captures of the first segment that is no `**`, if there are any.
    fn opening(&self) -> Option<impl Iterator<Item = &Arc<str>>> {
        let first = self.0.iter().find(|segment| **segment != Segment::Any)?;
        first.captures().next().map(|_| first.captures())
    }

    fn lay_over(&self, name: &RepositoryName, covers: impl Fn(&[Piece], &str, bool) -> bool) -> bool {
        let names: Vec<&str> = name.segments().collect();
        // Positions in the pattern and in the name, and where to go on when the last `**` takes one segment more.
        let (mut at, mut reached) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match (self.0.get(at), names.get(reached)) {
                (None, None) => return true,
                (Some(Segment::Any), _) => {
                    retry = Some((at, reached));
                    at += 1;
                    continue;
                }
                (Some(Segment::One(pieces)), Some(segment)) if covers(pieces, segment, reached == 0) => {
                    at += 1;
                    reached += 1;
                    continue;
                }
                (Some(Segment::One(_)) | None, _) => {}
            }
            match retry {
                Some((star, taken)) if taken < names.len() => {
                    retry = Some((star, taken + 1));
                    (at, reached) = (star + 1, taken + 1);
                }
                Some(_) | None => return false,
            }
        }
    }
}

impl Segment {
    fn parse(text: &str, may_be_host: bool) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::EmptySegment);
        }
        if text == "**" {
            return Ok(Self::Any);
        }
        let pieces = cut_plain(text)?;
        if pieces.windows(2).any(|pair| pair == [Piece::Star, Piece::Star]) {
            return Err(PatternError::DoubleStarInSegment);
        }
        if captures(&pieces).count() > 1 {
            return Err(PatternError::TwoCaptures);
        }
        for piece in &pieces {
            if let Piece::Text(part) = piece {
                let whole = pieces.len() == 1;
                if !can_stand(part, whole, may_be_host) {
                    return Err(PatternError::NoName(part.to_string()));
                }
            }
        }
        Ok(Self::One(pieces))
    }

    fn captures(&self) -> impl Iterator<Item = &Arc<str>> {
        let pieces = match self {
            Self::Any => &[],
            Self::One(pieces) => pieces.as_slice(),
        };
        captures(pieces)
    }
}

/// Whether a text can be a segment of some repository name, or a part of one.
fn can_stand(text: &str, whole: bool, may_be_host: bool) -> bool {
    if whole {
        return text.parse::<PathComponent>().is_ok() || (may_be_host && format!("{text}/a").parse::<RepositoryName>().is_ok());
    }
    text.bytes().all(|byte| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'.' | b'_' | b'-')
            || (may_be_host && (byte.is_ascii_uppercase() || byte == b':'))
    })
}

/// One segment, with captured values as plain text. At most one capture stands in it.
fn segment_matches(pieces: &[Piece], segment: &str, values: &Values<'_>) -> bool {
    let filled = |piece: &Piece| match piece {
        Piece::Capture(name) => values.get(name).map(|value| Piece::Text(value.as_str().into())),
        Piece::Text(_) | Piece::Star => Some(piece.clone()),
    };
    if captures(pieces).next().is_none() {
        return covers(pieces, segment, Fold::Exact);
    }
    pieces.iter().map(filled).collect::<Option<Vec<_>>>().is_some_and(|pieces| covers(&pieces, segment, Fold::Exact))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str, value: &str, reserved: &[&str]) -> bool {
        let pattern = Pattern::parse(pattern).unwrap();
        let value: PathComponent = value.parse().unwrap();
        let captures = Bindings::from([(Arc::from("team"), value.clone())]);
        let reserved = reserved.iter().map(ToString::to_string).collect();
        pattern.matches(&name.parse().unwrap(), &Values { user: Some(&value), captures: &captures, reserved: &reserved })
    }

    fn check(pattern: &str, name: &str, expected: bool) {
        assert_eq!(matches(pattern, name, "t", &["base"]), expected, "{pattern} over {name}");
    }

    #[test]
    fn stars_stay_in_their_segment_and_double_stars_take_any_number() {
        check("payments/**", "payments", true);
        check("payments/**", "payments/a/b", true);
        check("payments/**", "payments-x/a", false);
        check("payments/*/**", "payments", false);
        check("payments/*/**", "payments/a", true);
        check("payments/*/**", "payments/a/b", true);
        check("payments/*", "payments/a/b", false);
        check("payments", "payments/a", false);
        check("**", "a/b/c", true);
        check("**/app", "app", true);
        check("**/app", "a/b/app", true);
        check("**/app", "a/app/b", false);
        check("a/**/b/**/c", "a/b/c", true);
        check("a/**/b/**/c", "a/x/b/b/y/c", true);
        check("a/**/b/**/c", "a/x/c", false);
        check("a-*", "a", false);
        check("a*", "a", false);
        check("app-*-x", "app-1-x", true);
        check("app-*-x", "app-x", false);
        check("reg.corp:5000/a", "reg.corp:5000/a", true);
        check("*/a", "reg.corp:5000/a", true);
        check("a.b", "a-b", false);
    }

    #[test]
    fn captures_are_text_and_never_reserved_where_they_open() {
        check("{team}/**", "t/a", true);
        check("{team}/**", "x/a", false);
        check("x-{team}/**", "x-t/a", true);
        check("users/{user}/**", "users/t", true);
        check("{other}/**", "t/a", false);
        check("{team}*/**", "tx/a", true);
        assert!(!matches("{team}/**", "base/a", "base", &["base"]));
        assert!(!matches("**/{team}", "base", "base", &["base"]));
        assert!(!matches("**/{team}", "x/base", "base", &["base"]), "the value may open the pattern");
        assert!(!matches("{team}-images/**", "base-images/a", "base", &["base-images"]));
        assert!(!matches("b*{team}/**", "base/a", "se", &["base"]));
        assert!(matches("x/{team}/**", "x/base/a", "base", &["base"]));
        assert!(matches("**/{team}", "base/t", "t", &["base"]), "`**` is no capture");
    }

    #[test]
    fn what_can_match_nothing_is_no_pattern() {
        for (text, expected) in [
            ("", "the pattern is empty"),
            ("a//b", "two slashes, or one at the start or end, leave an empty segment"),
            ("/a", "two slashes, or one at the start or end, leave an empty segment"),
            ("a/", "two slashes, or one at the start or end, leave an empty segment"),
            ("a**", "`**` has to be a whole segment"),
            ("a/***", "`**` has to be a whole segment"),
            ("{a}{b}", "two captures in one segment"),
            ("{a}-{user}", "two captures in one segment"),
            ("Payments", "`Payments` can be no part of a repository name"),
            ("a/B/c", "`B` can be no part of a repository name"),
            ("a/..", "`..` can be no part of a repository name"),
            ("a/b:c", "`b:c` can be no part of a repository name"),
            ("a/{x", "`{` is never closed"),
            ("a b", "`a b` can be no part of a repository name"),
            ("ä*", "`ä` can be no part of a repository name"),
        ] {
            assert_eq!(Pattern::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
        assert!(Pattern::parse("Reg.Corp:5000/**").is_ok());
    }
}
