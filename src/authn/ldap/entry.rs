//! One entry: its values as bytes, whatever ldap3 took them for, under names without regard to case.

use ldap3::SearchEntry;

use super::trouble::Trouble;

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where it stands.
    pub(super) dn: String,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

/// Some of an attribute's values, as Active Directory sends long lists (`memberOf;range=0-1499`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// The place of the first one.
    pub(super) from: u32,
    /// The place of the last one; `None`: nothing follows.
    pub(super) to: Option<u32>,
    /// They.
    pub(super) values: Vec<&'a [u8]>,
}

impl From<SearchEntry> for Entry {
    fn from(found: SearchEntry) -> Self {
        let texts = found.attrs.into_iter().map(|(name, values)| (name, values.into_iter().map(String::into_bytes).collect()));
        Self { dn: found.dn, attributes: texts.chain(found.bin_attrs).collect() }
    }
}

impl Entry {
    /// Roughly how much memory it takes.
    pub(super) fn size(&self) -> usize {
        let values = self.attributes.iter().map(|(name, values)| name.len() + values.iter().map(Vec::len).sum::<usize>());
        self.dn.len() + values.sum::<usize>()
    }

    /// Every value of an attribute. A part of them (Active Directory's `memberOf;range=0-1499`) is trouble.
    pub(super) fn values(&self, attribute: &str) -> Result<Vec<&[u8]>, Trouble> {
        let mut values = Vec::new();
        for (name, found) in &self.attributes {
            let (kind, options) = name.split_once(';').unwrap_or((name, ""));
            if !kind.eq_ignore_ascii_case(attribute) {
                continue;
            }
            if options.to_ascii_lowercase().contains("range=") {
                return Err(Trouble::new("entry", format!("only a part of `{attribute}` was sent ({name})")));
            }
            values.extend(found.iter().map(Vec::as_slice));
        }
        Ok(values)
    }

    /// The part of an attribute's values that was sent; `None` where it is no part.
    pub(super) fn part(&self, attribute: &str) -> Result<Option<Part<'_>>, Trouble> {
        let mut part = None;
        for (name, found) in &self.attributes {
            let (kind, option) = name.split_once(';').unwrap_or((name, ""));
            let ranged = option.to_ascii_lowercase().contains("range=");
            if !kind.eq_ignore_ascii_case(attribute) || !ranged {
                continue;
            }
            let (from, to) = range(option).ok_or_else(|| Trouble::new("entry", format!("`{name}` is no range of values")))?;
            let values = found.iter().map(Vec::as_slice).collect();
            if part.replace(Part { from, to, values }).is_some() {
                return Err(Trouble::new("entry", format!("two ranges of `{attribute}` were sent at once")));
            }
        }
        Ok(part)
    }

    /// Every value as text.
    pub(super) fn texts(&self, attribute: &str) -> Result<Vec<&str>, Trouble> {
        let text = |value| std::str::from_utf8(value).map_err(|_| Trouble::new("entry", format!("a value of `{attribute}` is not text")));
        self.values(attribute)?.into_iter().map(text).collect()
    }

    /// The only value, if there is one; several are trouble.
    pub(super) fn single(&self, attribute: &str) -> Result<Option<&[u8]>, Trouble> {
        match self.values(attribute)?.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            more => Err(Trouble::new("entry", format!("`{attribute}` has {} values where one is wanted", more.len()))),
        }
    }

    /// The only value as text.
    pub(super) fn text(&self, attribute: &str) -> Result<Option<&str>, Trouble> {
        let text = |value| std::str::from_utf8(value).map_err(|_| Trouble::new("entry", format!("the value of `{attribute}` is not text")));
        self.single(attribute)?.map(text).transpose()
    }

    /// An entry of texts.
    #[cfg(test)]
    pub(super) fn of(dn: &str, attributes: &[(&str, &str)]) -> Self {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), vec![value.as_bytes().to_vec()])).collect();
        Self { dn: dn.to_owned(), attributes }
    }
}

/// `range=0-1499` or `range=1500-*`.
fn range(option: &str) -> Option<(u32, Option<u32>)> {
    let (word, range) = option.split_once('=')?;
    let (from, to) = range.split_once('-')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
    let from = number(from)?;
    let to = if to == "*" { None } else { Some(number(to).filter(|to| *to >= from)?) };
    word.eq_ignore_ascii_case("range").then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_and_parts_are_trouble() {
        let entry =
            Entry::of("uid=a", &[("UID", "a"), ("memberOf;range=0-1499", "cn=x"), ("cn;lang-de", "b"), ("mail", "1"), ("Mail", "2")]);
        assert_eq!(entry.text("uid"), Ok(Some("a")));
        assert_eq!(entry.text("cn"), Ok(Some("b")));
        assert_eq!(entry.text("sn"), Ok(None));
        assert!(entry.texts("memberof").is_err());
        assert!(entry.text("mail").is_err());
    }

    #[test]
    fn a_range_says_where_it_stands() {
        let check = |name: &str, expected: &str| {
            let entry = Entry::of("cn=a", &[("memberOf", ""), (name, "cn=x")]);
            let shown = match entry.part("MEMBEROF") {
                Ok(None) => "whole".to_owned(),
                Ok(Some(part)) => format!("{} {:?} {}", part.from, part.to, part.values.len()),
                Err(_) => "trouble".to_owned(),
            };
            assert_eq!(shown, expected, "{name}");
        };
        check("memberOf;range=0-1499", "0 Some(1499) 1");
        check("memberof;Range=1500-*", "1500 None 1");
        check("member;range=0-1499", "whole");
        check("memberOf;lang-de", "whole");
        for wrong in
            ["range=", "range=a-b", "range=5-4", "range=-", "range=+1-2", "range=0-99999999999", "x;range=0-1", "range=0-1;range=2-3"]
        {
            check(&format!("memberOf;{wrong}"), "trouble");
        }
        let twice = Entry::of("cn=a", &[("memberOf;range=0-1", "cn=x"), ("memberOf;range=2-*", "cn=y")]);
        assert!(twice.part("memberOf").is_err());
    }

    #[test]
    fn bytes_are_found_whether_or_not_they_are_text() {
        let found = SearchEntry {
            dn: String::new(),
            attrs: [("objectGUID".to_owned(), vec!["sixteen letters!".to_owned()])].into(),
            bin_attrs: [("objectSid".to_owned(), vec![vec![1, 0xff]])].into(),
        };
        let entry = Entry::from(found);
        assert_eq!(entry.single("objectguid"), Ok(Some(&b"sixteen letters!"[..])));
        assert_eq!(entry.single("objectsid"), Ok(Some(&[1, 0xff][..])));
        assert!(entry.text("objectsid").is_err());
    }
}
