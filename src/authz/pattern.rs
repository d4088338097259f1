//! Patterns over repository names, a segment at a time, anchored at both ends.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::binding::{Bindings, Fold, Splits, covers, splits};
use super::piece::{LONGEST, PatternError, Piece, captures, cut_plain, shown};
use crate::registry::{PathComponent, RepositoryName};

/// First segments that no value of a capture may take.
pub(super) type Reserved = BTreeSet<String>;

/// What stands for a star in examples; hardly the name of anything.
const EXAMPLE: &str = "xq7";

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
    /// One segment in which values took the place of captures: where it opens a name, that may not be a reserved word.
    Filled(Vec<Piece>),
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
        // Before it is cut into segments, of which each may be short.
        if text.len() > LONGEST {
            return Err(PatternError::TooLong);
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

    /// With values in the place of its captures; `None` where one has no value that may stand there.
    pub(super) fn filled(&self, values: &Values<'_>) -> Option<Self> {
        if !self.binds(values) {
            return None;
        }
        let fill = |segment: &Segment| {
            if segment.captures().next().is_none() {
                return Some(segment.clone());
            }
            let mut filled = Vec::new();
            for piece in segment.pieces() {
                let piece = match piece {
                    Piece::Capture(name) => Piece::Text(values.get(name)?.as_str().into()),
                    Piece::Text(_) | Piece::Star => piece.clone(),
                };
                match (filled.last_mut(), piece) {
                    (Some(Piece::Text(before)), Piece::Text(text)) => *before = format!("{before}{text}").into(),
                    (_, piece) => filled.push(piece),
                }
            }
            Some(Segment::Filled(filled))
        };
        self.0.iter().map(fill).collect::<Option<_>>().map(Self)
    }

    /// With `*` in the place of its captures: covers what some values would let it cover.
    pub(super) fn loosened(&self) -> Self {
        let loosen = |piece: &Piece| match piece {
            Piece::Capture(_) => Piece::Star,
            Piece::Text(_) | Piece::Star => piece.clone(),
        };
        let segments = self.0.iter().map(|segment| match segment {
            Segment::Any => Segment::Any,
            Segment::One(pieces) | Segment::Filled(pieces) => Segment::One(pieces.iter().map(loosen).collect()),
        });
        Self(segments.collect())
    }

    /// Whether a pattern without captures covers the segments of a name.
    pub(super) fn covers(&self, name: &[&str], reserved: &Reserved) -> bool {
        self.lay_over(name, |segment, text, first| match segment {
            Segment::Filled(pieces) => !(first && reserved.contains(text)) && covers(pieces, text, Fold::Exact),
            Segment::One(pieces) => covers(pieces, text, Fold::Exact),
            Segment::Any => true,
        })
    }

    /// Whether some values that are not reserved would let it cover the name.
    pub(super) fn could_match(&self, name: &RepositoryName, reserved: &Reserved) -> bool {
        self.lay_over(&name.segments().collect::<Vec<_>>(), |segment, text, first| {
            let taken = first && segment.captures().next().is_some() && reserved.contains(text);
            !taken && covers(segment.pieces(), text, Fold::Exact)
        })
    }

    /// Whether every capture in it has a value that may stand where it stands.
    pub(super) fn binds(&self, values: &Values<'_>) -> bool {
        self.captures().all(|name| values.get(name).is_some())
            && self
                .opening()
                .is_none_or(|mut names| names.all(|name| values.get(name).is_some_and(|value| !values.reserved.contains(value.as_str()))))
    }

    /// The literal segments with which every name that it covers begins, joined by slashes.
    pub(super) fn literal_start(&self) -> String {
        let literal = self.0.iter().map_while(|segment| match segment.pieces() {
            [Piece::Text(text)] => Some(&**text),
            _ => None,
        });
        literal.collect::<Vec<_>>().join("/")
    }

    /// Whether every name that it covers, whatever its captures stand for, lies inside `fence`, which is literal segments
    /// and perhaps a `**` at their end.
    pub(super) fn lies_inside(&self, fence: &Self) -> bool {
        let (literal, open) = match fence.0.split_last() {
            Some((Segment::Any, literal)) => (literal, true),
            _ => (fence.0.as_slice(), false),
        };
        self.0.starts_with(literal) && (open || self.0.len() == literal.len())
    }

    /// Whether it can be a fence for [`Pattern::lies_inside`].
    pub(super) fn is_fence(&self) -> bool {
        let literal = match self.0.split_last() {
            Some((Segment::Any, literal)) => literal,
            _ => self.0.as_slice(),
        };
        !literal.is_empty()
            && literal.iter().all(|segment| matches!(segment, Segment::One(pieces) if matches!(pieces.as_slice(), [Piece::Text(_)])))
    }

    /// Every way in which values of its captures let it cover a name.
    pub(super) fn captured_in(&self, name: &RepositoryName) -> Vec<Bindings> {
        let names: Vec<&str> = name.segments().collect();
        let mut all = vec![Bindings::new()];
        for segment in self.0.iter().filter(|segment| segment.captures().next().is_some()) {
            let tasks = all.iter().flat_map(|known| names.iter().map(move |name| (known, *name)));
            let found = tasks.flat_map(|(known, name)| match splits(&[(segment.pieces(), name)], Fold::Exact, false, known) {
                Splits::All(splits) => splits,
                Splits::Unknown => Vec::new(),
            });
            let found: BTreeSet<Bindings> = found.collect();
            all = found.into_iter().collect();
        }
        let nothing = Reserved::new();
        all.retain(|captures| {
            let values = Values { user: captures.get(USER), captures, reserved: &nothing };
            self.filled(&values).is_some_and(|filled| filled.covers(&names, &nothing))
        });
        all
    }

    /// Some names that it covers, with these values and short made-up words in the place of stars.
    pub(super) fn examples(&self, values: &Values<'_>) -> Vec<RepositoryName> {
        self.filled(values).map(|filled| filled.filled_examples()).unwrap_or_default()
    }

    /// The same of a pattern without captures.
    pub(super) fn filled_examples(&self) -> Vec<RepositoryName> {
        let depths: &[usize] = if self.0.contains(&Segment::Any) { &[0, 1, 2] } else { &[0] };
        let example = |depth: &usize| {
            let segments = self.0.iter().flat_map(|segment| match segment {
                Segment::Any => vec![EXAMPLE.to_owned(); *depth],
                Segment::One(pieces) | Segment::Filled(pieces) => vec![shown(pieces).replace('*', EXAMPLE)],
            });
            segments.collect::<Vec<_>>().join("/").parse().ok()
        };
        depths.iter().filter_map(example).collect()
    }

    /// Whether some name is covered by both; a capture may stand for anything.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let tokens = |pattern: &'_ Self| -> Vec<Option<Vec<Piece>>> {
            pattern.0.iter().map(|segment| (*segment != Segment::Any).then(|| segment.pieces().to_vec())).collect()
        };
        intersect(&tokens(self), &tokens(other), |one, other| meet(one, other))
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

    fn lay_over(&self, names: &[&str], covers: impl Fn(&Segment, &str, bool) -> bool) -> bool {
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
                (Some(segment), Some(name)) if covers(segment, name, reached == 0) => {
                    at += 1;
                    reached += 1;
                    continue;
                }
                (Some(_) | None, _) => {}
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

/// As it is written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            match segment {
                Segment::Any => f.write_str("**")?,
                Segment::One(pieces) | Segment::Filled(pieces) => f.write_str(&shown(pieces))?,
            }
        }
        Ok(())
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
        captures(self.pieces())
    }

    fn pieces(&self) -> &[Piece] {
        match self {
            Self::Any => &[],
            Self::One(pieces) | Self::Filled(pieces) => pieces,
        }
    }
}

/// Whether some text is covered by both.
fn meet(some: &[Piece], others: &[Piece]) -> bool {
    // A star is one character, whichever, and any number of more.
    let tokens = |pieces: &[Piece]| -> Vec<Option<Option<char>>> {
        let token = |piece: &Piece| match piece {
            Piece::Text(text) => text.chars().map(|character| Some(Some(character))).collect(),
            Piece::Star | Piece::Capture(_) => vec![Some(None), None],
        };
        pieces.iter().flat_map(token).collect()
    };
    intersect(&tokens(some), &tokens(others), |one, other| one.is_none() || other.is_none() || one == other)
}

/// Whether two sequences have a common one, where `None` stands for any number of anything.
fn intersect<T>(some: &[Option<T>], others: &[Option<T>], equal: impl Fn(&T, &T) -> bool) -> bool {
    // From the ends: whether what is left of one meets what is left of the other.
    let mut after: Vec<bool> = Vec::new();
    for one in (0..=some.len()).rev() {
        let mut row = vec![false; others.len() + 1];
        for other in (0..=others.len()).rev() {
            let below = |index: usize| after.get(index).copied().unwrap_or(false);
            let right = row.get(other + 1).copied().unwrap_or(false);
            let meets = match (some.get(one), others.get(other)) {
                (None, None) => true,
                (Some(None), Some(_)) | (Some(_), Some(None)) => right || below(other),
                (Some(None), None) => below(other),
                (None, Some(None)) => right,
                (Some(Some(left)), Some(Some(wanted))) => equal(left, wanted) && below(other + 1),
                (None, Some(Some(_))) | (Some(Some(_)), None) => false,
            };
            if let Some(cell) = row.get_mut(other) {
                *cell = meets;
            }
        }
        after = row;
    }
    after.first().copied().unwrap_or(false)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str, value: &str, reserved: &[&str]) -> bool {
        let pattern = Pattern::parse(pattern).unwrap();
        let value: PathComponent = value.parse().unwrap();
        let captures = Bindings::from([(Arc::from("team"), value.clone())]);
        let reserved = reserved.iter().map(ToString::to_string).collect();
        let name: RepositoryName = name.parse().unwrap();
        let filled = pattern.filled(&Values { user: Some(&value), captures: &captures, reserved: &reserved });
        filled.is_some_and(|filled| filled.covers(&name.segments().collect::<Vec<_>>(), &reserved))
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
    fn patterns_that_share_a_name_overlap() {
        let check = |one: &str, other: &str, expected| {
            let (first, second) = (Pattern::parse(one).unwrap(), Pattern::parse(other).unwrap());
            assert_eq!((first.overlaps(&second), second.overlaps(&first)), (expected, expected), "{one} and {other}");
        };
        check("a/**", "a", true);
        check("a/**", "b/**", false);
        check("**", "a/b", true);
        check("*/x", "a/*", true);
        check("*/x", "a/*/y", false);
        check("a*b/**", "ab/x", false);
        check("a*b/**", "acb", true);
        check("a*/x", "*b/x", true);
        check("a*c", "ab*", true);
        check("{team}/**", "prod/**", true);
        check("**/x", "**/y", false);
        check("a/**/x", "a/x", true);
        check("a/**/b/**", "**/c/*/b", true);
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
