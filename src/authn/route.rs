//! Which provider is asked for which typed name: globs over what was typed, before anybody is asked.

use std::borrow::Cow;

/// The `names` of a provider. In a pattern `*` stands for any run of characters, also none; nothing else is special.
#[derive(Clone, Debug)]
pub(super) struct NamePatterns {
    patterns: Vec<String>,
    ignore_case: bool,
}

impl NamePatterns {
    pub(super) fn new<'a>(patterns: impl IntoIterator<Item = &'a str>, ignore_case: bool) -> Self {
        let patterns = patterns.into_iter().map(|pattern| folded(pattern, ignore_case).into_owned()).collect();
        Self { patterns, ignore_case }
    }

    /// Whether the provider is asked for this name.
    pub(super) fn matches(&self, typed: &str) -> bool {
        self.matching(typed).is_some()
    }

    /// The pattern by which the provider is asked for this name.
    pub(super) fn matching(&self, typed: &str) -> Option<&str> {
        let typed = folded(typed, self.ignore_case);
        self.patterns.iter().find(|pattern| matches(pattern, &typed)).map(String::as_str)
    }

    /// Whether some pattern lets every name through.
    pub(super) fn match_everything(&self) -> bool {
        self.patterns.iter().any(|pattern| !pattern.is_empty() && pattern.bytes().all(|byte| byte == b'*'))
    }

    /// Whether some name reaches both providers.
    pub(super) fn overlap(&self, other: &Self) -> bool {
        let ignore_case = self.ignore_case || other.ignore_case;
        self.patterns.iter().any(|left| {
            let left = folded(left, ignore_case);
            other.patterns.iter().any(|right| overlap(&left, &folded(right, ignore_case)))
        })
    }
}

fn folded(text: &str, ignore_case: bool) -> Cow<'_, str> {
    if ignore_case { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) }
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    let Some((middle, tail)) = rest.rsplit_once('*') else { return text.ends_with(rest) };
    let Some(mut text) = text.strip_suffix(tail) else { return false };
    for part in middle.split('*') {
        // The leftmost place leaves most for what follows.
        let Some((_, behind)) = text.split_once(part) else { return false };
        text = behind;
    }
    true
}

/// With a `*` in both, whatever stands between the first and the last one can be written behind each other, so that
/// only the two beginnings and the two ends can contradict.
fn overlap(left: &str, right: &str) -> bool {
    let (Some((left_head, _)), Some((right_head, _))) = (left.split_once('*'), right.split_once('*')) else {
        return if left.contains('*') { matches(left, right) } else { matches(right, left) };
    };
    let (Some((_, left_tail)), Some((_, right_tail))) = (left.rsplit_once('*'), right.rsplit_once('*')) else { return false };
    (left_head.starts_with(right_head) || right_head.starts_with(left_head))
        && (left_tail.ends_with(right_tail) || right_tail.ends_with(left_tail))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The naive reading of a glob, to compare with.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => naive(rest, text),
            (Some((b'*', rest)), Some((_, behind))) => naive(rest, text) || naive(pattern, behind),
            (Some((left, rest)), Some((right, behind))) => left == right && naive(rest, behind),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    #[test]
    fn a_star_is_any_run_and_nothing_else_is_special() {
        let check = |pattern: &str, typed: &str, expected: bool| {
            assert_eq!(NamePatterns::new([pattern], false).matches(typed), expected, "{pattern} {typed}");
        };
        check("*", "", true);
        check("*", "alice", true);
        check("robot-*", "robot-deploy", true);
        check("robot-*", "robot-", true);
        check("robot-*", "robot", false);
        check("robot-*", "Robot-x", false);
        check("*-ci-*", "a-ci-b", true);
        check("a*a", "a", false);
        check("breakglass", "breakglass", true);
        check("break?lass", "breakglass", false);
        check("[a-z]", "a", false);
        check("*@corp.example", "alice@corp.example", true);
        assert!(NamePatterns::new(["Robot-*"], true).matches("rOBOT-x"));
    }

    proptest! {
        #[test]
        fn globs_mean_what_the_naive_reading_means(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(matches(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn two_globs_with_a_common_name_overlap(left in "[ab*]{0,6}", right in "[ab*]{0,6}", text in "[ab]{0,8}") {
            if matches(&left, &text) && matches(&right, &text) {
                prop_assert!(overlap(&left, &right), "{} {} share {}", left, right, text);
            }
        }

        #[test]
        fn two_globs_that_overlap_have_a_common_name(left in "[ab*]{0,4}", right in "[ab*]{0,4}") {
            // A common name needs no more characters than both patterns together.
            let names = (0..=8_u32).flat_map(|length| (0..2_u32.pow(length)).map(move |bits| {
                (0..length).map(|at| if bits >> at & 1 == 0 { 'a' } else { 'b' }).collect::<String>()
            }));
            let common = names.into_iter().any(|name| matches(&left, &name) && matches(&right, &name));
            prop_assert_eq!(overlap(&left, &right), common, "{} {}", left, right);
        }
    }
}
