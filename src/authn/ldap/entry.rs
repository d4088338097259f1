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

impl From<SearchEntry> for Entry {
    fn from(found: SearchEntry) -> Self {
        let texts = found.attrs.into_iter().map(|(name, values)| (name, values.into_iter().map(String::into_bytes).collect()));
        Self { dn: found.dn, attributes: texts.chain(found.bin_attrs).collect() }
    }
}

impl Entry {
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
