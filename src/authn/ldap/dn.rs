//! Distinguished names (RFC 4514): parsed, so that two spellings of one name are equal and "lies below" means the tree.

use std::str::FromStr;

/// One attribute and value of a relative distinguished name, folded for comparison: type and value in lower case, runs of
/// spaces as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Part {
    kind: String,
    folded: String,
}

/// A distinguished name for comparison, and the first value as it is spelled.
#[derive(Clone, Debug)]
pub(super) struct Dn {
    /// From the entry to the root; each is sorted, as `a=1+b=2` is `b=2+a=1`.
    rdns: Vec<Vec<Part>>,
    /// Type and unescaped value of a first RDN that has one part.
    first: Option<(String, String)>,
}

/// Why a text is no distinguished name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct DnError(&'static str);

impl Dn {
    /// Whether this is the root's empty name.
    pub(super) fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }
    /// Whether both have the same attributes in the same places, whatever their values.
    pub(super) fn has_shape_of(&self, other: &Self) -> bool {
        let kinds =
            |dn: &Self| -> Vec<Vec<String>> { dn.rdns.iter().map(|rdn| rdn.iter().map(|part| part.kind.clone()).collect()).collect() };
        kinds(self) == kinds(other)
    }
    /// Whether this name is `base` or lies below it.
    pub(super) fn is_within(&self, base: &Self) -> bool {
        self.rdns.len() >= base.rdns.len() && self.rdns.iter().rev().zip(base.rdns.iter().rev()).all(|(mine, theirs)| mine == theirs)
    }
    /// The first value, unescaped, where its attribute is this one.
    pub(super) fn first_value(&self, attribute: &str) -> Option<&str> {
        self.first.as_ref().filter(|(kind, _)| kind.eq_ignore_ascii_case(attribute)).map(|(_, value)| value.as_str())
    }
}

/// The first value of a distinguished name, unescaped; `None` where the text is no such name, or begins with several values.
pub(in crate::authn) fn leading_value(text: &str) -> Option<String> {
    let dn: Dn = text.parse().ok()?;
    dn.first.map(|(_, value)| value)
}

/// However they are spelled.
impl PartialEq for Dn {
    fn eq(&self, other: &Self) -> bool {
        self.rdns == other.rdns
    }
}

impl FromStr for Dn {
    type Err = DnError;

    fn from_str(text: &str) -> Result<Self, DnError> {
        if text.trim().is_empty() {
            return Ok(Self { rdns: Vec::new(), first: None });
        }
        let mut rdns = Vec::new();
        let mut first = None;
        for (index, rdn) in split_unescaped(text, &[',', ';']).into_iter().enumerate() {
            let mut parts = Vec::new();
            for part in split_unescaped(rdn, &['+']) {
                let (kind, value) = part.split_once('=').ok_or(DnError("a part has no `=`"))?;
                let kind = kind.trim();
                let named = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
                if !named {
                    return Err(DnError("a part's attribute has no proper name"));
                }
                let value = unescape(value)?;
                let folded = value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
                if index == 0 && parts.is_empty() {
                    first = Some((kind.to_owned(), value));
                } else if index == 0 {
                    first = None;
                }
                parts.push(Part { kind: kind.to_ascii_lowercase(), folded });
            }
            parts.sort();
            rdns.push(parts);
        }
        Ok(Self { rdns, first })
    }
}

/// Splits at separators that no backslash precedes and no quotes enclose.
fn split_unescaped<'a>(text: &'a str, separators: &[char]) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let (mut start, mut escaped, mut quoted) = (0, false, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        } else if !quoted && separators.contains(&c) {
            pieces.push(text.get(start..at).unwrap_or_default());
            start = at + c.len_utf8();
        }
    }
    pieces.push(text.get(start..).unwrap_or_default());
    pieces
}

/// The value behind `=`: spaces around it dropped, `\,` and `\2C` undone. A `#hex` value stays as it is written.
fn unescape(text: &str) -> Result<String, DnError> {
    let text = text.trim_start_matches(' ');
    let text = text.strip_prefix('"').and_then(|inner| inner.trim_end_matches(' ').strip_suffix('"')).unwrap_or(text);
    let mut bytes = Vec::with_capacity(text.len());
    let mut kept = 0;
    let mut rest = text.bytes().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            if byte != b' ' {
                kept = bytes.len();
            }
            continue;
        }
        let next = rest.next().ok_or(DnError("it ends with a backslash"))?;
        match (hex(next), rest.peek().copied().and_then(hex)) {
            (Some(high), Some(low)) => {
                rest.next();
                bytes.push(high << 4 | low);
            }
            _ if next.is_ascii_alphanumeric() => return Err(DnError("a backslash precedes a letter or digit")),
            _ => bytes.push(next),
        }
        kept = bytes.len();
    }
    bytes.truncate(kept);
    if bytes.is_empty() {
        return Err(DnError("a part has no value"));
    }
    String::from_utf8(bytes).map_err(|_| DnError("an escaped value is not UTF-8"))
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dn(text: &str) -> Dn {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn two_spellings_of_one_name_are_equal() {
        assert_eq!(dn("CN=Smith\\, John,OU=People").rdns, dn("cn=smith\\2C  john , ou=people").rdns);
        assert_eq!(dn("a=1+b=2,dc=x").rdns, dn("B=2+A=1;dc=x").rdns);
        assert_ne!(dn("cn=a\\,ou=b").rdns, dn("cn=a,ou=b").rdns);
        assert_eq!(dn("cn=\"a,b\",dc=x").rdns, dn("cn=a\\,b,dc=x").rdns);
        assert_eq!(dn("cn=a\\20").first_value("CN"), Some("a "));
        assert_eq!(dn("cn=Smith\\2C John (x*) \\#1,ou=p").first_value("cn"), Some("Smith, John (x*) #1"));
        assert_eq!(dn("cn=a+uid=b,ou=p").first_value("cn"), None);
    }

    #[test]
    fn below_means_the_tree_and_not_the_text() {
        let base = dn("ou=people,dc=example,dc=org");
        assert!(dn("uid=a,ou=People, dc=example,DC=org").is_within(&base));
        assert!(base.is_within(&base));
        assert!(!dn("uid=a\\,ou=people,dc=example,dc=org").is_within(&base));
        assert!(!dn("uid=a,xou=people,dc=example,dc=org").is_within(&base));
        assert!(!dn("dc=example,dc=org").is_within(&base));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for wrong in ["people", "=x", "ou=", "ou=a,,dc=b", "ou=a\\", "ou=a\\z", "o u=a", "cn=\\ff"] {
            assert!(wrong.parse::<Dn>().is_err(), "{wrong}");
        }
        assert!(dn("").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_panics_and_every_escaped_value_comes_back(value in ".{1,20}", noise in ".{0,40}") {
            let _ = noise.parse::<Dn>();
            let name = format!("cn={},dc=x", ldap3::dn_escape(value.as_str()));
            let parsed = name.parse::<Dn>();
            prop_assert!(parsed.is_ok(), "{}", name);
            let parsed = parsed.unwrap();
            prop_assert_eq!(parsed.first_value("cn"), Some(value.as_str()));
            prop_assert!(parsed.is_within(&dn("dc=x")));
        }
    }
}
