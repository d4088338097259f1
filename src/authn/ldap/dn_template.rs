//! DNs with a place for a value. Whatever fills it is escaped by its type and stays one value of one RDN.

use super::dn::{Dn, DnError};

/// A value escaped for a DN (RFC 4514 §2.4). No filter takes one, and no DN takes a filter's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DnValue(String);

impl DnValue {
    /// Any text. Every ASCII character with a meaning, and some without one, is written by its number.
    pub(super) fn text(value: &str) -> Self {
        let mut escaped = String::with_capacity(value.len());
        for character in value.chars() {
            if character.is_ascii_alphanumeric() || !character.is_ascii() || matches!(character, '-' | '_' | '.' | '@') {
                escaped.push(character);
            } else {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    escaped.push('\\');
                    escaped.push_str(&data_encoding::HEXLOWER.encode(&[byte]));
                }
            }
        }
        Self(escaped)
    }
}

/// A DN with one `{username}` in a value.
#[derive(Clone, Debug)]
pub(super) struct DnTemplate {
    before: String,
    after: String,
    /// How its parts look, filled with something plain.
    plain: Dn,
}

/// Why a text is no DN template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DnTemplateError {
    /// There has to be one place.
    #[error("the template does not have {{username}} exactly once")]
    Username,
    /// Quotes are an old form (RFC 2253 §4), in which other rules hold.
    #[error("quotes and other braces do not belong into the template")]
    Quoted,
    /// It is no DN once the place is filled.
    #[error("the template is not a DN: {0}")]
    Dn(DnError),
    /// An attribute's name would be what is typed.
    #[error("{{username}} does not stand in a value")]
    Place,
}

impl DnTemplate {
    /// Reads a template and proves that a value in its place stays a value.
    pub(super) fn parse(text: &str) -> Result<Self, DnTemplateError> {
        let (before, after) = text.split_once("{username}").ok_or(DnTemplateError::Username)?;
        if after.contains("{username}") {
            return Err(DnTemplateError::Username);
        }
        if text.contains('"') || before.contains(['{', '}']) || after.contains(['{', '}']) {
            return Err(DnTemplateError::Quoted);
        }
        let plain = format!("{before}x{after}").parse::<Dn>().map_err(DnTemplateError::Dn)?;
        let template = Self { before: before.to_owned(), after: after.to_owned(), plain };
        let fits = |value: &str| template.fill(&DnValue::text(value)).is_some();
        if ["y", ",ou=z", "+cn=z", "\\", "#", " ", "=", ";"].into_iter().all(fits) { Ok(template) } else { Err(DnTemplateError::Place) }
    }

    /// The DN of one value; `None` where it would have other parts than the template, so that nobody has it.
    pub(super) fn fill(&self, value: &DnValue) -> Option<String> {
        let filled = format!("{}{}{}", self.before, value.0, self.after);
        filled.parse::<Dn>().is_ok_and(|dn| dn.has_shape_of(&self.plain)).then_some(filled)
    }

    /// Whether every DN that it makes lies below a base.
    pub(super) fn is_within(&self, base: &Dn) -> bool {
        let other = self.fill(&DnValue::text("y")).and_then(|dn| dn.parse::<Dn>().ok());
        self.plain.is_within(base) && other.is_some_and(|other| other.is_within(base))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(template: &str, value: &str, expected: &str) {
        let shown = match DnTemplate::parse(template) {
            Ok(template) => template.fill(&DnValue::text(value)).unwrap_or_else(|| "nobody".to_owned()),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(shown, expected, "{template}");
    }

    #[test]
    fn a_value_never_becomes_a_part_of_the_name() {
        check("uid={username},ou=people", "alice", "uid=alice,ou=people");
        check("uid={username},ou=people", "álice", "uid=álice,ou=people");
        check("uid={username},ou=people", "x,ou=admins", "uid=x\\2cou\\3dadmins,ou=people");
        check("uid={username},ou=people", "x+cn=y", "uid=x\\2bcn\\3dy,ou=people");
        check("uid={username},ou=people", "a b\\\"#", "uid=a\\20b\\5c\\22\\23,ou=people");
        check("cn=u-{username}+uid=1,ou=people", "a\0", "cn=u-a\\00+uid=1,ou=people");
        check("uid={username},ou=people", "", "nobody");
    }

    #[test]
    fn a_wrong_template_is_refused() {
        check("uid=alice,ou=people", "x", "Username");
        check("uid={username},cn={username}", "x", "Username");
        check("uid={user}{username}", "x", "Quoted");
        check("uid=\"{username}\",dc=x", "x", "Quoted");
        check("{username}", "x", "Dn(DnError(\"a part has no `=`\"))");
        check("{username}=a,dc=x", "x", "Place");
        check("uid=a\\{username},dc=x", "x", "Dn(DnError(\"a backslash precedes a letter or digit\"))");
    }

    #[test]
    fn a_base_holds_all_or_none() {
        let within = |template: &str, base: &str| DnTemplate::parse(template).unwrap().is_within(&base.parse().unwrap());
        assert!(within("uid={username},ou=people,dc=x", "OU=People, DC=x"));
        assert!(!within("uid={username},ou=people,dc=x", "ou=guests,dc=x"));
        assert!(!within("ou={username},dc=x", "ou=x,dc=x"));
    }

    proptest! {
        #[test]
        fn any_value_comes_back_as_one_value(value in ".{1,40}") {
            let template = DnTemplate::parse("uid={username},ou=people,dc=x").unwrap();
            let dn: Dn = template.fill(&DnValue::text(&value)).unwrap().parse().unwrap();
            prop_assert_eq!(dn.first_value("uid"), Some(value.as_str()));
            prop_assert!(dn.is_within(&"ou=people,dc=x".parse().unwrap()));
        }
    }
}
