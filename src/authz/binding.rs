//! What captures stand for: values that are data and never wildcards, and every way to find them in a name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::piece::{Piece, captures};
use crate::registry::PathComponent;

/// The values of a rule's captures.
pub(super) type Bindings = BTreeMap<Arc<str>, PathComponent>;

/// A search that takes more steps is given up: the answer is then unknown.
const MAX_STEPS: u32 = 4_000;
/// More ways to split one name are not told apart.
const MAX_SPLITS: usize = 64;
/// No path component has more bytes.
const LONGEST_VALUE: usize = 255;

/// Which characters of two names are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    /// Equal ones only.
    Exact,
    /// `a` and `A`.
    Ascii,
    /// As directories compare the values of a DN (RFC 4518).
    Unicode,
}

impl Fold {
    /// How names of a realm compare.
    pub(super) const fn of_realm(ignore_case: bool) -> Self {
        if ignore_case { Self::Ascii } else { Self::Exact }
    }

    fn same(self, one: char, other: char) -> bool {
        match self {
            Self::Exact => one == other,
            Self::Ascii => one.eq_ignore_ascii_case(&other),
            Self::Unicode => one == other || one.to_lowercase().eq(other.to_lowercase()),
        }
    }

    /// What follows `prefix` in `text`.
    pub(super) fn strip<'t>(self, text: &'t str, prefix: &str) -> Option<&'t str> {
        let mut rest = text.chars();
        for wanted in prefix.chars() {
            if !self.same(rest.next()?, wanted) {
                return None;
            }
        }
        Some(rest.as_str())
    }
}

/// What became of laying a pattern with captures over a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Splits {
    /// Every valid way, each once. Without captures there is one way, which binds nothing.
    All(Vec<Bindings>),
    /// Too many to tell.
    Unknown,
}

/// A name, or the values of a DN, beside the pieces that have to cover each of them whole.
pub(super) type Task<'a> = (&'a [Piece], &'a str);

/// Every way in which the pieces cover the names. `known` are values that are bound already; the same capture always
/// stands for the same value. Captured letters are lower-cased where `lower_case` says so, and a value that is then no path
/// component does not count.
pub(super) fn splits(tasks: &[Task<'_>], fold: Fold, lower_case: bool, known: &Bindings) -> Splits {
    // Most names are not covered whatever the captures stand for, and without captures there is nothing to search for.
    if !tasks.iter().all(|(pieces, name)| !is_too_long(pieces, name) && covers(pieces, name, fold)) {
        return Splits::All(Vec::new());
    }
    if tasks.iter().all(|(pieces, _)| captures(pieces).next().is_none()) {
        return Splits::All(vec![known.clone()]);
    }
    let mut search = Search { fold, lower_case, bound: known.clone(), found: BTreeSet::new(), steps: 0, gave_up: false };
    search.next_task(tasks);
    if search.gave_up { Splits::Unknown } else { Splits::All(search.found.into_iter().collect()) }
}

/// Whether a name is longer than anything that text and valid values could cover.
fn is_too_long(pieces: &[Piece], name: &str) -> bool {
    let longest = pieces.iter().try_fold(0_usize, |length, piece| match piece {
        // Letters of other case may have another length, though none has more than four bytes.
        Piece::Text(text) => length.checked_add(text.len().checked_mul(4)?),
        Piece::Capture(_) => length.checked_add(LONGEST_VALUE),
        Piece::Star => None,
    });
    longest.is_some_and(|longest| name.len() > longest)
}

/// Whether pieces cover a name; a capture stands for anything that a `*` may stand for.
pub(super) fn covers(pieces: &[Piece], name: &str, fold: Fold) -> bool {
    // The usual way with one point to come back to: the last wildcard.
    let (mut pieces, mut rest) = (pieces, name);
    let mut retry: Option<(&[Piece], &str)> = None;
    loop {
        match pieces.split_first() {
            None if rest.is_empty() => return true,
            Some((Piece::Text(text), after)) => {
                if let Some(remaining) = fold.strip(rest, text) {
                    (pieces, rest) = (after, remaining);
                    continue;
                }
            }
            Some((Piece::Star | Piece::Capture(_), after)) => {
                if let Some(remaining) = without_first(rest) {
                    retry = Some((after, remaining));
                    (pieces, rest) = (after, remaining);
                    continue;
                }
            }
            None => {}
        }
        let Some((after, longer)) = retry.and_then(|(after, remaining)| Some((after, without_first(remaining)?))) else {
            return false;
        };
        retry = Some((after, longer));
        (pieces, rest) = (after, longer);
    }
}

/// The text without its first character, unless that is missing or a slash.
fn without_first(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    match characters.next() {
        None | Some('/') => None,
        Some(_) => Some(characters.as_str()),
    }
}

struct Search {
    fold: Fold,
    lower_case: bool,
    bound: Bindings,
    found: BTreeSet<Bindings>,
    steps: u32,
    gave_up: bool,
}

impl Search {
    fn next_task(&mut self, tasks: &[Task<'_>]) {
        if let Some(((pieces, name), later)) = tasks.split_first() {
            self.walk(pieces, name, later);
        } else {
            self.found.insert(self.bound.clone());
            self.gave_up |= self.found.len() > MAX_SPLITS;
        }
    }

    fn walk(&mut self, pieces: &[Piece], rest: &str, later: &[Task<'_>]) {
        self.steps += 1;
        self.gave_up |= self.steps > MAX_STEPS;
        if self.gave_up {
            return;
        }
        match pieces.split_first() {
            None if rest.is_empty() => self.next_task(later),
            None => {}
            Some((Piece::Text(text), after)) => {
                if let Some(rest) = self.fold.strip(rest, text) {
                    self.walk(after, rest, later);
                }
            }
            Some((Piece::Star, after)) => {
                let mut rest = rest;
                while let Some(shorter) = without_first(rest) {
                    rest = shorter;
                    self.walk(after, rest, later);
                }
            }
            Some((Piece::Capture(name), after)) => self.capture(name, after, rest, later),
        }
    }

    fn capture(&mut self, name: &Arc<str>, after: &[Piece], text: &str, later: &[Task<'_>]) {
        if let Some(value) = self.bound.get(name) {
            if let Some(rest) = Fold::of_realm(self.lower_case).strip(text, value.as_str()) {
                self.walk(after, rest, later);
            }
            return;
        }
        if after.is_empty() {
            return self.take(name, text, "", after, later);
        }
        let mut rest = text;
        // No path component holds anything else or is longer, so no longer value can be valid either.
        while rest.starts_with(|next: char| next.is_ascii_alphanumeric() || matches!(next, '.' | '_' | '-')) && !self.gave_up {
            let Some(shorter) = without_first(rest) else { return };
            rest = shorter;
            let Some(taken) = text.strip_suffix(rest).filter(|taken| taken.len() <= LONGEST_VALUE) else { return };
            let goes_on = match after.first() {
                Some(Piece::Text(next)) => self.fold.strip(rest, next).is_some(),
                Some(Piece::Star | Piece::Capture(_)) | None => true,
            };
            if goes_on {
                self.take(name, taken, rest, after, later);
            }
        }
    }

    /// Goes on with a capture that stands for `taken`, if that is a value.
    fn take(&mut self, name: &Arc<str>, taken: &str, rest: &str, after: &[Piece], later: &[Task<'_>]) {
        self.steps += 1;
        self.gave_up |= self.steps > MAX_STEPS;
        if taken.len() <= LONGEST_VALUE
            && let Some(value) = component(taken, self.lower_case)
        {
            self.bound.insert(Arc::clone(name), value);
            self.walk(after, rest, later);
            self.bound.remove(name);
        }
    }
}

/// A text as a value: lower-cased where names of its realm ignore case, and one valid path component.
pub(super) fn component(text: &str, lower_case: bool) -> Option<PathComponent> {
    if lower_case { text.to_ascii_lowercase().parse().ok() } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::piece::cut_plain;

    fn check(pattern: &str, name: &str, lower_case: bool, expected: &str) {
        let pieces = cut_plain(pattern).unwrap();
        let shown = match splits(&[(&pieces, name)], Fold::of_realm(lower_case), lower_case, &Bindings::new()) {
            Splits::All(all) => all
                .iter()
                .map(|one| one.iter().map(|(name, value)| format!("{name}={}", value.as_str())).collect::<Vec<_>>().join(","))
                .collect::<Vec<_>>()
                .join(" | "),
            Splits::Unknown => "unknown".to_owned(),
        };
        assert_eq!(shown, expected, "{pattern} over {name}");
    }

    #[test]
    fn every_valid_split_is_found_once() {
        check("registry-{team}", "registry-payments", false, "team=payments");
        check("registry-{team}", "registry-", false, "");
        check("registry-{team}", "xregistry-a", false, "");
        check("{a}-{b}", "x-y-z", false, "a=x,b=y-z | a=x-y,b=z");
        check("{a}-{b}", "x--z", false, "");
        check("{a}{b}", "xyz", false, "a=x,b=yz | a=xy,b=z");
        check("{a}-{a}", "x-x", false, "a=x");
        check("{a}-{a}", "x-y", false, "");
        check("*-{a}", "x-y-z", false, "a=y-z | a=z");
    }

    #[test]
    fn letters_are_lowered_only_where_the_realm_ignores_case() {
        check("REG_{team}", "reg_Payments", true, "team=payments");
        check("REG_{team}", "REG_Payments", false, "");
        check("REG_{team}", "reg_payments", false, "");
    }

    #[test]
    fn no_value_is_more_than_one_path_component() {
        for hostile in ["*", "**", "..", ".", "a/b", "a b", "{x}", "a,b", "ä", "-a", "a.", "a\0", "CN=a"] {
            check("r-{team}", &format!("r-{hostile}"), true, "");
        }
    }

    #[test]
    fn a_value_has_at_most_as_many_bytes_as_a_path_component() {
        let (most, more) = ("a".repeat(LONGEST_VALUE), "a".repeat(LONGEST_VALUE + 1));
        assert!(most.parse::<PathComponent>().is_ok() && more.parse::<PathComponent>().is_err());
        check("r-{team}", &format!("r-{most}"), false, &format!("team={most}"));
        check("r-{team}", &format!("r-{more}"), false, "");
        check("{team}-r", &format!("{most}-r"), false, &format!("team={most}"));
        check("{team}-r", &format!("{more}-r"), false, "");
        check("{a}-{b}", &format!("{most}-{most}"), false, &format!("a={most},b={most}"));
        check("*{a}", &more, false, "unknown");
    }

    #[test]
    fn a_name_with_too_many_splits_is_unknown() {
        let name = vec!["a"; 120].join("_");
        check("{a}_{b}_{c}_{d}", &name, false, "unknown");
        check("{a}_{b}", &name, false, "unknown");
    }

    #[test]
    fn stars_take_one_or_more_characters_but_no_slash() {
        let covers = |pattern: &str, name: &str| covers(&cut_plain(pattern).unwrap(), name, Fold::Ascii);
        assert!(covers("a*", "Ab"));
        assert!(!covers("a*", "a"));
        assert!(!covers("a*", "a/b"));
        assert!(covers("*a*b*", "xaxxbx"));
        assert!(!covers("*a*b", "xaxxbx"));
        assert!(covers("*b", "abab"));
        assert!(!covers("*", ""));
        assert!(!covers("a/*", "a/b/c"));
        let long = "a".repeat(5000);
        assert!(!covers("*a*a*a*a*a*b", &long));
    }
}
