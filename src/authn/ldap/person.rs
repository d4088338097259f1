//! What of an entry makes somebody: stable id, canonical name, password marker.

use super::super::identity::PasswordMarker;
use super::dn::Dn;
use super::entry::Entry;
use super::template::{Filter, FilterValue};
use super::trouble::Trouble;
use crate::source::is_hidden;

/// Change with every password: OpenLDAP, 389 Directory Server (where `passwordTrackUpdateTime` is on), Active Directory.
pub(super) const MARKERS: [&str; 3] = ["pwdChangedTime", "pwdUpdateTime", "pwdLastSet"];

/// Ids that no two entries of any directory share.
const UNIQUE_EVERYWHERE: [&str; 4] = ["entryUUID", "objectGUID", "nsUniqueId", "ipaUniqueID"];

/// The attribute with the stable id, and how its values are written. The syntax goes by the attribute and never by the
/// look of a value: sixteen random bytes may be a readable text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IdAttribute {
    name: String,
    syntax: IdSyntax,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IdSyntax {
    /// Sixteen bytes, the first three groups least significant byte first; written as a UUID.
    Guid,
    /// Bytes, written in hexadecimal.
    Bytes,
    /// A text.
    Text,
}

impl IdAttribute {
    /// By its name in the configuration.
    pub(super) fn new(name: &str) -> Self {
        let syntax = match name.to_ascii_lowercase().as_str() {
            "objectguid" => IdSyntax::Guid,
            "objectsid" => IdSyntax::Bytes,
            _ => IdSyntax::Text,
        };
        Self { name: name.to_owned(), syntax }
    }

    /// The attribute's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether an id of one directory means nobody in another.
    pub(super) fn is_unique_everywhere(&self) -> bool {
        UNIQUE_EVERYWHERE.iter().any(|known| known.eq_ignore_ascii_case(&self.name))
    }

    /// The id of an entry, if it can be read.
    pub(super) fn read(&self, entry: &Entry) -> Result<Option<String>, Trouble> {
        let Some(value) = entry.single(&self.name)? else { return Ok(None) };
        let wrong = || Trouble::new("entry", format!("the value of `{}` is not of its syntax", self.name));
        let id = match self.syntax {
            IdSyntax::Guid => guid_text(value.try_into().map_err(|_| wrong())?),
            IdSyntax::Bytes => data_encoding::HEXLOWER.encode(value),
            IdSyntax::Text => std::str::from_utf8(value).map_err(|_| wrong())?.to_owned(),
        };
        if id.is_empty() || id.len() > 256 || id.chars().any(char::is_control) { Err(wrong()) } else { Ok(Some(id)) }
    }

    /// The filter that finds the entry of an id; `None` where the text can be nobody's id.
    pub(super) fn filter(&self, id: &str) -> Option<Filter> {
        let value = match self.syntax {
            IdSyntax::Guid => FilterValue::bytes(&guid_bytes(id)?),
            IdSyntax::Bytes => FilterValue::bytes(&data_encoding::HEXLOWER.decode(id.as_bytes()).ok()?),
            IdSyntax::Text => FilterValue::text(id),
        };
        (!id.is_empty()).then(|| Filter::equals(&self.name, &value))
    }
}

/// The one name that rules, audit and tokens use. One that looks like another's is nobody's.
pub(super) fn canonical_name(entry: &Entry, attribute: &str) -> Result<String, Trouble> {
    let name = single_name(entry, attribute)?;
    if name.chars().any(is_hidden) {
        Err(Trouble::new("entry", format!("`{attribute}` holds characters that nobody sees")))
    } else {
        Ok(name)
    }
}

/// The name of a person or a group. Of several values it is the one in the entry's DN.
pub(super) fn single_name(entry: &Entry, attribute: &str) -> Result<String, Trouble> {
    let values = entry.texts(attribute)?;
    let name = match values.as_slice() {
        [] => return Err(Trouble::new("entry", format!("the entry has no `{attribute}`: may the service account read it?"))),
        [one] => (*one).to_owned(),
        several => {
            let dn: Dn = entry.dn.parse().map_err(|error| Trouble::new("entry", format!("the entry's DN: {error}")))?;
            let first = dn.first_value(attribute).filter(|first| several.contains(first));
            first.ok_or_else(|| Trouble::new("entry", format!("`{attribute}` has several values, and none is the entry's DN")))?.to_owned()
        }
    };
    if name.trim() != name || name.is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
        return Err(Trouble::new("entry", format!("the value of `{attribute}` can be nobody's name")));
    }
    Ok(name)
}

/// The password's marker, where the directory lets the service account read one.
pub(super) fn marker(entry: &Entry) -> Result<Option<PasswordMarker>, Trouble> {
    for attribute in MARKERS {
        if let Some(value) = entry.text(attribute)? {
            return Ok(Some(PasswordMarker(value.to_owned())));
        }
    }
    Ok(None)
}

/// `objectGUID` as Windows writes it.
fn guid_text(bytes: [u8; 16]) -> String {
    let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = bytes;
    let hex = data_encoding::HEXLOWER.encode(&[[a3, a2, a1, a0, b1, b0, c1, c0], rest].concat());
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default()).join("-")
}

fn guid_bytes(text: &str) -> Option<[u8; 16]> {
    let bytes: [u8; 16] = data_encoding::HEXLOWER.decode(text.replace('-', "").as_bytes()).ok()?.try_into().ok()?;
    let [a3, a2, a1, a0, b1, b0, c1, c0, d0, d1, d2, d3, d4, d5, d6, d7] = bytes;
    Some([a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_guid_is_written_as_windows_writes_it() {
        let bytes = [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        assert_eq!(guid_text(bytes), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(guid_bytes("00112233-4455-6677-8899-aabbccddeeff"), Some(bytes));
        assert_eq!(guid_bytes("alice"), None);
    }

    #[test]
    fn an_id_is_read_by_its_attribute_and_not_by_its_look() {
        let entry = Entry::of("uid=a", &[("objectGUID", "sixteen letters!"), ("entryUUID", "00112233-4455-6677-8899-aabbccddeeff")]);
        let guid = IdAttribute::new("objectguid");
        let id = guid.read(&entry).unwrap().unwrap();
        assert_eq!(id, "74786973-6565-206e-6c65-747465727321");
        assert_eq!(guid.filter(&id).unwrap().as_str(), "(objectguid=\\73\\69\\78\\74\\65\\65\\6e\\20\\6c\\65\\74\\74\\65\\72\\73\\21)");
        assert_eq!(guid.filter("*"), None);
        let uuid = IdAttribute::new("entryUUID");
        assert_eq!(uuid.read(&entry).unwrap().as_deref(), Some("00112233-4455-6677-8899-aabbccddeeff"));
        assert_eq!(uuid.filter("*").unwrap().as_str(), "(entryUUID=\\2a)");
        assert!(guid.read(&Entry::of("uid=a", &[("objectGUID", "short")])).is_err());
        assert_eq!(uuid.read(&Entry::of("uid=a", &[])), Ok(None));
    }

    #[test]
    fn of_several_names_the_one_in_the_dn_counts() {
        let entry = Entry::of("uid=alice,dc=x", &[("uid", "al"), ("UID", "alice")]);
        assert_eq!(canonical_name(&entry, "uid").as_deref(), Ok("alice"));
        let entry = Entry::of("cn=alice,dc=x", &[("uid", "al"), ("UID", "alice")]);
        assert!(canonical_name(&entry, "uid").is_err());
        assert!(canonical_name(&entry, "mail").is_err());
        assert!(canonical_name(&Entry::of("cn=a", &[("uid", "a\nb")]), "uid").is_err());
        let hidden = Entry::of("cn=a", &[("uid", "ali\u{200b}ce")]);
        assert!(canonical_name(&hidden, "uid").is_err() && single_name(&hidden, "uid").is_ok());
    }
}
