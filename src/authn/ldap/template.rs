//! Filters with a place for a value. Whatever fills it is escaped by its type, so it can never become part of the filter.

use std::fmt;

/// Alternatives of one filter.
const MAX_TERMS: usize = 100;
/// Bytes of them, unless one alone is longer.
const MAX_FILTER: usize = 32 * 1024;

/// A value escaped for a filter (RFC 4515 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilterValue(String);

impl FilterValue {
    /// Any text.
    pub(super) fn text(value: &str) -> Self {
        Self(ldap3::ldap_escape(value).into_owned())
    }
    /// Whatever there is: `*`. Not a value that somebody typed.
    pub(super) fn any() -> Self {
        Self("*".to_owned())
    }
    /// Any bytes, each as `\xx`.
    pub(super) fn bytes(value: &[u8]) -> Self {
        let mut escaped = String::with_capacity(value.len() * 3);
        for byte in value {
            escaped.push('\\');
            escaped.push_str(&data_encoding::HEXLOWER.encode(&[*byte]));
        }
        Self(escaped)
    }
}

/// A whole filter, made of parts that are escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter(String);

impl Filter {
    /// Every entry.
    pub(super) fn any() -> Self {
        Self("(objectClass=*)".to_owned())
    }
    /// A filter that the configuration wrote and `check` parsed.
    pub(super) fn written(text: &str) -> Self {
        if text.starts_with('(') { Self(text.to_owned()) } else { Self(format!("({text})")) }
    }
    /// `(attribute=value)`.
    pub(super) fn equals(attribute: &str, value: &FilterValue) -> Self {
        Self(format!("({attribute}={})", value.0))
    }
    /// Both.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self(format!("(&{}{})", self.0, other.0))
    }
    /// `(attribute:rule:=value)` (RFC 4515 §3, extensible).
    pub(super) fn matches(attribute: &str, rule: &str, value: &FilterValue) -> Self {
        Self(format!("({attribute}:{rule}:={})", value.0))
    }
    /// Any one of several, in as many filters as their number and length need: a directory refuses huge ones.
    pub(super) fn any_of(terms: &[Self]) -> Vec<Self> {
        let mut filters = Vec::new();
        let (mut together, mut count) = (String::new(), 0);
        for term in terms {
            if count > 0 && (count == MAX_TERMS || together.len() + term.0.len() > MAX_FILTER) {
                filters.push(Self(format!("(|{together})")));
                (together, count) = (String::new(), 0);
            }
            together.push_str(&term.0);
            count += 1;
        }
        if count > 0 {
            filters.push(Self(format!("(|{together})")));
        }
        filters
    }
    /// As it is sent.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A filter with `{username}` in it, at least once.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct FilterTemplate {
    /// The texts between the places.
    parts: Vec<String>,
}

/// Why a text is no filter template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    /// `{username}` is missing.
    #[error("the filter has no {{username}}")]
    NoUsername,
    /// Another word stands in braces.
    #[error("the filter's `{{{0}}}` is not a variable; there is {{username}}")]
    Unknown(String),
    /// A brace stands alone.
    #[error("a brace stands alone in the filter")]
    Brace,
    /// It is no filter once the places are filled.
    #[error("this is not a filter, or {{username}} does not stand where a whole value stands")]
    Filter,
}

impl FilterTemplate {
    /// Reads a template and proves that it is a filter.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (word, after) = after.split_once('}').ok_or(TemplateError::Brace)?;
            if word != "username" {
                return Err(TemplateError::Unknown(word.to_owned()));
            }
            parts.push(before.to_owned());
            rest = after;
        }
        parts.push(rest.to_owned());
        if parts.iter().any(|part| part.contains('}')) {
            return Err(TemplateError::Brace);
        }
        if parts.len() < 2 {
            return Err(TemplateError::NoUsername);
        }
        let template = Self { parts };
        // The place must be a value's: elsewhere an escaped text, or `*`, would not parse.
        let parses = |value: &FilterValue| ldap3::parse_filter(template.fill(value).as_str()).is_ok();
        let values = [FilterValue::text("x"), FilterValue::text("(*)\\"), FilterValue::any()];
        if values.iter().all(parses) { Ok(template) } else { Err(TemplateError::Filter) }
    }

    /// The filter for whatever name there is: the part of it that does not depend on the name.
    pub(super) fn any_name(&self) -> Filter {
        self.fill(&FilterValue::any())
    }

    /// The filter for one value.
    pub(super) fn fill(&self, value: &FilterValue) -> Filter {
        Filter::written(&self.parts.join(&value.0))
    }
}

impl fmt::Debug for FilterTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts.join("{username}"))
    }
}

/// Whether a text is an attribute's name (RFC 4512 §2.5, without options and OIDs).
pub(super) fn is_attribute(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(template: &str, value: &str, expected: &str) {
        let shown = match FilterTemplate::parse(template) {
            Ok(template) => template.fill(&FilterValue::text(value)).as_str().to_owned(),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(shown, expected, "{template}");
    }

    #[test]
    fn a_value_never_becomes_part_of_the_filter() {
        check("(uid={username})", "alice", "(uid=alice)");
        check("uid={username}", "alice", "(uid=alice)");
        check("(|(uid={username})(mail={username}))", "a*", "(|(uid=a\\2a)(mail=a\\2a))");
        check("(uid={username})", "*)(objectClass=*", "(uid=\\2a\\29\\28objectClass=\\2a)");
        check("(uid={username})", "a\\b\0", "(uid=a\\5cb\\00)");
    }

    #[test]
    fn a_wrong_template_is_refused() {
        check("(uid=alice)", "x", "NoUsername");
        check("(uid={user})", "x", "Unknown(\"user\")");
        check("(uid={username)", "x", "Brace");
        check("(uid=username})", "x", "Brace");
        check("(uid={username}", "x", "Filter");
        check("({username}=x)", "x", "Filter");
        check("{username}", "x", "Filter");
    }

    #[test]
    fn bytes_are_escaped_one_by_one() {
        assert_eq!(Filter::equals("objectGUID", &FilterValue::bytes(&[0, 0x2a, 0xff])).as_str(), "(objectGUID=\\00\\2a\\ff)");
    }

    #[test]
    fn alternatives_are_split_by_number_and_length() {
        let term = |length: usize| Filter::equals("member", &FilterValue::text(&"x".repeat(length)));
        let check = |lengths: &[usize], expected: &[usize]| {
            let terms: Vec<Filter> = lengths.iter().map(|length| term(*length)).collect();
            let filters = Filter::any_of(&terms);
            assert!(filters.iter().all(|filter| ldap3::parse_filter(filter.as_str()).is_ok()));
            let counts: Vec<usize> = filters.iter().map(|filter| filter.as_str().matches("(member=").count()).collect();
            assert_eq!(counts, expected, "{lengths:?}");
        };
        check(&[], &[]);
        check(&[5], &[1]);
        check(&[5; 100], &[100]);
        check(&[5; 201], &[100, 100, 1]);
        check(&[20_000, 20_000, 5, 5], &[1, 3]);
        check(&[40_000, 5, 40_000], &[1, 1, 1]);
    }

    proptest! {
        #[test]
        fn any_name_leaves_one_parsable_filter(value in ".{0,40}") {
            let filter = FilterTemplate::parse("(&(a=b)(uid={username}))").unwrap().fill(&FilterValue::text(&value));
            prop_assert!(ldap3::parse_filter(filter.as_str()).is_ok(), "{}", filter.as_str());
            prop_assert_eq!(filter.as_str().matches('(').count(), 3);
        }
    }
}
