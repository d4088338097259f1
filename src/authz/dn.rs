//! Distinguished names: read by RFC 4514, compared as directories do (RFC 4517 caseIgnoreMatch on RFC 4518's forms).

use std::fmt;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use super::binding::{Bindings, Fold, Splits, Task, splits};
use super::piece::{PatternError, Piece, captures, cut, shown};
use crate::authn::identity::Group;

/// A group as a directory gives it that is only known by its DN: its name is the first value. `None` where that is no DN.
pub fn group_of_dn(text: &str) -> Option<Group> {
    Dn::parse(text)?;
    let marked = unescaped(text).ok()?;
    let value = marked.into_iter().skip_while(|marked| *marked != ('=', false)).skip(1);
    let name: String = value.take_while(|marked| !matches!(marked, (',' | '+', false))).map(|(character, _)| character).collect();
    Some(Group { name: name.trim().to_owned(), dn: Some(text.to_owned()), id: None })
}

/// Names that stand for object identifiers in DNs (RFC 4519), so that both spellings are one.
const OIDS: [(&str, &str); 9] = [
    ("2.5.4.3", "cn"),
    ("2.5.4.6", "c"),
    ("2.5.4.7", "l"),
    ("2.5.4.8", "st"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "o"),
    ("2.5.4.11", "ou"),
    ("0.9.2342.19200300.100.1.1", "uid"),
    ("0.9.2342.19200300.100.1.25", "dc"),
];

/// A DN as a directory gave it.
#[derive(Clone, Debug)]
pub(super) struct Dn(Vec<Rdn<Value>>);

/// A DN in a rule; its values may hold captures.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct DnPattern(Vec<Rdn<Vec<Piece>>>);

/// What two DNs have in common when they are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct DnKey(Vec<Rdn<String>>);

/// One or more attributes with their values, sorted.
type Rdn<V> = Vec<(String, V)>;

#[derive(Clone, Debug)]
struct Value {
    /// In normal form, with its own case.
    text: String,
    /// Whether characters were replaced by others that only look alike to a directory; no capture is taken from such.
    compatible: bool,
}

/// A character, and whether it was escaped.
type Marked = (char, bool);

impl Dn {
    /// Reads a DN; `None` where it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let read = |value: Vec<Marked>| {
            let raw: String = value.into_iter().map(|(character, _)| character).collect();
            let compatible = raw.chars().ne(raw.nfkc());
            Ok(Value { text: normal(&raw).trim().to_owned(), compatible })
        };
        parse(text, read).ok().map(|rdns| Self(sorted(rdns, |value| folded(&value.text))))
    }

    /// The form in which equal DNs are equal.
    pub(super) fn key(&self) -> DnKey {
        DnKey(self.0.iter().map(|rdn| rdn.iter().map(|(kind, value)| (kind.clone(), folded(&value.text))).collect()).collect())
    }
}

impl DnPattern {
    /// Reads a DN with captures.
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let read = |value: Vec<Marked>| {
            let mut pieces = cut(value)?;
            if pieces.contains(&Piece::Star) {
                return Err(PatternError::StarInDn);
            }
            let last = pieces.len().saturating_sub(1);
            for (index, piece) in pieces.iter_mut().enumerate() {
                if let Piece::Text(text) = piece {
                    let plain = normal(text);
                    let plain = if index == 0 { plain.trim_start() } else { &plain };
                    *text = if index == last { plain.trim_end() } else { plain }.into();
                }
            }
            Ok(pieces)
        };
        parse(text, read).map(|rdns| Self(sorted(rdns, |pieces| folded(&shown(pieces)))))
    }

    /// Its captures.
    pub(super) fn captures(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().flatten().flat_map(|(_, pieces)| captures(pieces))
    }

    /// The form in which equal DNs are equal; `None` where it holds captures.
    pub(super) fn key(&self) -> Option<DnKey> {
        let text = |pieces: &[Piece]| match pieces {
            [Piece::Text(text)] => Some(folded(text)),
            _ => None,
        };
        let rdn = |rdn: &Rdn<Vec<Piece>>| rdn.iter().map(|(kind, pieces)| Some((kind.clone(), text(pieces)?))).collect::<Option<_>>();
        self.0.iter().map(rdn).collect::<Option<_>>().map(DnKey)
    }

    /// How many relative names it has.
    pub(super) fn length(&self) -> usize {
        self.0.len()
    }

    /// The DN in a plain spelling; `None` where it holds captures.
    pub(super) fn written(&self) -> Option<String> {
        self.key().map(|_| self.to_string())
    }

    /// The DN with these values in the place of its captures.
    pub(super) fn with(&self, value: &dyn Fn(&Arc<str>) -> String) -> String {
        let text = |pieces: &Vec<Piece>| -> String {
            let piece = |piece: &Piece| match piece {
                Piece::Text(text) => text.to_string(),
                Piece::Capture(name) => value(name),
                Piece::Star => String::new(),
            };
            pieces.iter().map(piece).collect()
        };
        let rdn = |rdn: &Rdn<Vec<Piece>>| {
            rdn.iter().map(|(kind, pieces)| format!("{kind}={}", escaped(&text(pieces)))).collect::<Vec<_>>().join("+")
        };
        self.0.iter().map(rdn).collect::<Vec<_>>().join(",")
    }

    /// Every way in which it covers a DN.
    pub(super) fn splits(&self, dn: &Dn, lower_case: bool, known: &Bindings) -> Splits {
        let nothing = Splits::All(Vec::new());
        if self.0.len() != dn.0.len() || self.0.iter().zip(&dn.0).any(|(one, other)| one.len() != other.len()) {
            return nothing;
        }
        let mut tasks: Vec<Task<'_>> = Vec::new();
        for ((kind, pieces), (other_kind, value)) in self.0.iter().flatten().zip(dn.0.iter().flatten()) {
            if kind != other_kind || (value.compatible && captures(pieces).next().is_some()) {
                return nothing;
            }
            tasks.push((pieces, &value.text));
        }
        splits(&tasks, Fold::Unicode, lower_case, known)
    }
}

/// In a plain spelling, with its captures.
impl fmt::Display for DnPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rdns = self.0.iter().map(|rdn| {
            let pairs = rdn.iter().map(|(kind, pieces)| format!("{kind}={}", escaped(&shown(pieces))));
            pairs.collect::<Vec<_>>().join("+")
        });
        f.write_str(&rdns.collect::<Vec<_>>().join(","))
    }
}

/// In a plain spelling.
impl fmt::Display for DnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rdns =
            self.0.iter().map(|rdn| rdn.iter().map(|(kind, value)| format!("{kind}={}", escaped(value))).collect::<Vec<_>>().join("+"));
        f.write_str(&rdns.collect::<Vec<_>>().join(","))
    }
}

fn sorted<V>(mut rdns: Vec<Rdn<V>>, key: impl Fn(&V) -> String) -> Vec<Rdn<V>> {
    for rdn in &mut rdns {
        rdn.sort_by_cached_key(|(kind, value)| (kind.clone(), key(value)));
    }
    rdns
}

/// NFKC with every run of white space as one space (RFC 4518 §2.3, §2.6.1). Case stays. Characters that RFC 4518 would drop
/// are kept: two names that differ in an invisible character stay two.
fn normal(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut space = false;
    for character in text.nfkc() {
        let is_space = character.is_whitespace();
        if !(is_space && space) {
            plain.push(if is_space { ' ' } else { character });
        }
        space = is_space;
    }
    plain
}

fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// A value as it may stand in a DN.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for (index, character) in value.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '=' | '>' | '\\' => text.extend(['\\', character]),
            '#' if index == 0 => text.push_str("\\#"),
            '\0' => text.push_str("\\00"),
            _ => text.push(character),
        }
    }
    text
}

/// Cuts a DN into its relative names (RFC 4514 §3); the empty DN and empty values are refused.
fn parse<V>(text: &str, read: impl Fn(Vec<Marked>) -> Result<V, PatternError>) -> Result<Vec<Rdn<V>>, PatternError> {
    let mut rdns = vec![Vec::new()];
    let mut characters = unescaped(text)?.into_iter().peekable();
    loop {
        let mut kind = String::new();
        let found = characters.by_ref().find(|marked| {
            let equals = *marked == ('=', false);
            if !equals {
                kind.push(marked.0);
            }
            equals
        });
        if found.is_none() {
            return Err(PatternError::Dn("a part has no `=`"));
        }
        let mut value = Vec::new();
        while let Some(marked) = characters.next_if(|marked| !matches!(marked, (',' | '+', false))) {
            if !marked.1 && matches!(marked.0, '"' | ';' | '<' | '>' | '\0') {
                return Err(PatternError::Dn("one of \" ; < > has to be escaped by a backslash"));
            }
            value.push(marked);
        }
        let blank = |marked: &Marked| marked.0 == ' ';
        if value.iter().find(|marked| !blank(marked)).is_some_and(|marked| *marked == ('#', false)) {
            return Err(PatternError::Dn("a value in hexadecimal form"));
        }
        if value.iter().all(blank) {
            return Err(PatternError::Dn("a part has no value"));
        }
        let attribute = (attribute(&kind)?, read(value)?);
        if let Some(rdn) = rdns.last_mut() {
            rdn.push(attribute);
        }
        match characters.next() {
            None => return Ok(rdns),
            Some((',', _)) => rdns.push(Vec::new()),
            Some(_) => {}
        }
    }
}

/// The attribute type in lower case, by its short name where one is known.
fn attribute(text: &str) -> Result<String, PatternError> {
    let kind = text.trim_matches(' ').to_ascii_lowercase();
    let numeric = kind.starts_with(|first: char| first.is_ascii_digit()) && kind.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let word =
        kind.starts_with(|first: char| first.is_ascii_lowercase()) && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !numeric && !word {
        return Err(PatternError::Dn("the name before `=` is no attribute"));
    }
    Ok(OIDS.iter().find(|(oid, _)| *oid == kind).map_or(kind, |(_, short)| (*short).to_owned()))
}

/// Resolves `\,` and `\C3\A4`.
fn unescaped(text: &str) -> Result<Vec<Marked>, PatternError> {
    let wrong = || PatternError::Dn("a backslash escapes neither a special character nor two hexadecimal digits of UTF-8");
    let mut marked = Vec::with_capacity(text.len());
    let mut bytes: Vec<u8> = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let escaped = if character == '\\' { Some(characters.next().ok_or_else(wrong)?) } else { None };
        if let Some(high) = escaped.and_then(|digit| digit.to_digit(16)) {
            let low = characters.next().and_then(|digit| digit.to_digit(16)).ok_or_else(wrong)?;
            bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
            continue;
        }
        flush(&mut bytes, &mut marked).ok_or_else(wrong)?;
        match escaped {
            None => marked.push((character, false)),
            Some(special @ (' ' | '"' | '#' | '+' | ',' | ';' | '<' | '=' | '>' | '\\')) => marked.push((special, true)),
            Some(_) => return Err(wrong()),
        }
    }
    flush(&mut bytes, &mut marked).ok_or_else(wrong)?;
    Ok(marked)
}

fn flush(bytes: &mut Vec<u8>, marked: &mut Vec<Marked>) -> Option<()> {
    let text = String::from_utf8(std::mem::take(bytes)).ok()?;
    marked.extend(text.chars().map(|character| (character, true)));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, dn: &str, expected: &str) {
        let pattern = DnPattern::parse(pattern).unwrap();
        let dn = Dn::parse(dn).unwrap();
        let shown = match pattern.splits(&dn, true, &Bindings::new()) {
            Splits::All(all) if all.is_empty() => "no".to_owned(),
            Splits::All(all) => all
                .iter()
                .map(|one| one.iter().map(|(name, value)| format!("{name}={}", value.as_str())).collect::<Vec<_>>().join(","))
                .collect::<Vec<_>>()
                .join(" | "),
            Splits::Unknown => "unknown".to_owned(),
        };
        assert_eq!(shown, expected, "{pattern:?} over {dn:?}");
        if let Some(key) = pattern.key() {
            assert_eq!(key == dn.key(), expected.is_empty(), "{pattern:?} over {dn:?}");
        }
    }

    #[test]
    fn equal_names_are_equal_in_every_spelling() {
        check("CN=Payments,OU=Teams,DC=corp", "cn=payments, ou=teams ,dc=CORP", "");
        check("CN=a b,DC=corp", "CN=a   b,DC=corp", "");
        check("CN=a\\, b,DC=corp", "CN=a\\2c b,DC=corp", "");
        check("CN=a\\+b,DC=corp", "CN=a\\2Bb,DC=corp", "");
        check("CN=\\ a\\ ,DC=corp", "CN=a,DC=corp", "");
        check("CN=\u{e4},DC=corp", "CN=\\C3\\84,DC=corp", "");
        check("CN=\u{e4},DC=corp", "CN=a\u{308},DC=corp", "");
        check("2.5.4.3=a,DC=corp", "CN=a,0.9.2342.19200300.100.1.25=corp", "");
        check("CN=a+OU=b,DC=corp", "OU=B+CN=A,DC=corp", "");
        check("CN=\\2a,DC=corp", "CN=*,DC=corp", "");
        check("CN=\\7bx\\7d,DC=corp", "CN={x},DC=corp", "");
        check("CN=a=b,DC=corp", "CN=a\\=b,DC=corp", "");
    }

    #[test]
    fn different_names_are_different() {
        check("CN=a,DC=corp", "CN=a,OU=x,DC=corp", "no");
        check("CN=a,OU=x,DC=corp", "CN=a,DC=corp", "no");
        check("CN=a,DC=corp", "OU=a,DC=corp", "no");
        check("CN=a,DC=corp", "CN=a\\,DC\\=corp,DC=corp", "no");
        check("CN=a,DC=corp", "CN=a+OU=b,DC=corp", "no");
        check("CN=admins,DC=corp", "CN=adm\u{200b}ins,DC=corp", "no");
        check("CN=ab,DC=corp", "CN=a b,DC=corp", "no");
    }

    #[test]
    fn captures_take_a_part_of_one_value() {
        check("CN=registry-{team},OU=Registry,DC=corp", "cn=Registry-Payments,ou=registry,dc=corp", "team=payments");
        check("CN=registry-{team},OU=Registry,DC=corp", "CN=registry-a\\,OU\\=Registry,OU=Registry,DC=corp", "no");
        check("CN=registry-{team},OU=Registry,DC=corp", "CN=registry-a,OU=x,OU=Registry,DC=corp", "no");
        check("CN={role},OU={team},DC=corp", "CN=owner,OU=web,DC=corp", "role=owner,team=web");
        check("CN={team},OU={team},DC=corp", "CN=web,OU=web,DC=corp", "team=web");
        check("CN={team},OU={team},DC=corp", "CN=web,OU=api,DC=corp", "no");
        check("CN=x-{team},DC=corp", "CN=x-\u{ff42}ase,DC=corp", "no");
        check("CN=x-{team},DC=corp", "CN=x-\u{212a}ube,DC=corp", "no");
        check("CN={a}-{b},DC=corp", "CN=x-y-z,DC=corp", "a=x,b=y-z | a=x-y,b=z");
    }

    #[test]
    fn what_is_no_dn_is_refused() {
        for text in [
            "",
            "a",
            "=a",
            "CN=",
            "CN=a,",
            ",CN=a",
            "CN=a,,DC=b",
            "CN=a;DC=b",
            "CN=\"a\"",
            "CN=a\\",
            "CN=a\\zz",
            "CN=\\ff,DC=b",
            "C N=a",
            "CN=#0401",
            "CN=a,b",
            "CN= ",
        ] {
            assert!(Dn::parse(text).is_none(), "{text}");
            assert!(DnPattern::parse(text).is_err(), "{text}");
        }
        assert_eq!(DnPattern::parse("CN=a*,DC=b"), Err(PatternError::StarInDn));
        assert!(DnPattern::parse("CN={x,DC=b").is_err());
    }
}
