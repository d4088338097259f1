//! Security identifiers of Windows ([MS-DTYP] §2.4.2): the names of groups in `tokenGroups`.

use std::fmt;

use super::super::template::{Filter, FilterValue};

/// More sub-authorities than this no identifier has.
const MAX_SUB_AUTHORITIES: usize = 15;

/// A security identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sid {
    /// Big-endian, as it is written.
    authority: [u8; 6],
    sub_authorities: Vec<u32>,
}

impl Sid {
    /// From its bytes; `None` where they are none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[revision, count], rest) = bytes.split_first_chunk::<2>()?;
        let (authority, rest) = rest.split_first_chunk::<6>()?;
        let (words, []) = rest.as_chunks::<4>() else { return None };
        let fits = revision == 1 && words.len() == usize::from(count) && words.len() <= MAX_SUB_AUTHORITIES;
        fits.then(|| Self { authority: *authority, sub_authorities: words.iter().map(|word| u32::from_le_bytes(*word)).collect() })
    }

    /// The one of the same domain with another relative identifier, which is the last sub-authority.
    pub(super) fn sibling(&self, relative: u32) -> Option<Self> {
        let mut sibling = self.clone();
        *sibling.sub_authorities.last_mut()? = relative;
        Some(sibling)
    }

    /// The filter that finds whom it names.
    pub(super) fn filter(&self) -> Filter {
        let words = self.sub_authorities.iter().flat_map(|word| word.to_le_bytes());
        let count = u8::try_from(self.sub_authorities.len()).unwrap_or(u8::MAX);
        let bytes: Vec<u8> = [1, count].into_iter().chain(self.authority).chain(words).collect();
        Filter::equals("objectSid", &FilterValue::bytes(&bytes))
    }
}

/// `S-1-5-21-…`
impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.authority.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        write!(f, "S-1-{authority}")?;
        self.sub_authorities.iter().try_for_each(|word| write!(f, "-{word}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `S-1-5-21-1-2-513`
    const DOMAIN_USERS: &[u8] = b"\x01\x05\x00\x00\x00\x00\x00\x05\x15\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x01\x02\0\0";

    #[test]
    fn bytes_become_what_windows_writes() {
        let sid = Sid::read(DOMAIN_USERS).unwrap();
        assert_eq!(sid.to_string(), "S-1-5-21-1-2-3-513");
        assert_eq!(sid.sibling(1104).unwrap().to_string(), "S-1-5-21-1-2-3-1104");
        let builtin = Sid::read(b"\x01\x02\0\0\0\0\0\x05\x20\0\0\0\x21\x02\0\0").unwrap();
        assert_eq!(builtin.to_string(), "S-1-5-32-545");
        assert_eq!(builtin.filter().as_str(), "(objectSid=\\01\\02\\00\\00\\00\\00\\00\\05\\20\\00\\00\\00\\21\\02\\00\\00)");
    }

    #[test]
    fn what_is_none_is_refused() {
        let short = DOMAIN_USERS.split_last().unwrap().1;
        for wrong in [&b""[..], b"\x01", b"\x02\x00\0\0\0\0\0\x05", b"\x01\x01\0\0\0\0\0\x05", short, &[DOMAIN_USERS, b"\0\0\0\0"].concat()]
        {
            assert_eq!(Sid::read(wrong), None, "{wrong:02x?}");
        }
        assert_eq!(Sid::read(b"\x01\x00\0\0\0\0\0\x05").unwrap().sibling(513), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_a_filter_holds_them_all(authority: [u8; 6], words in proptest::collection::vec(any::<u32>(), 0..=15), noise in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Sid::read(&noise);
            let mut bytes = vec![1, u8::try_from(words.len()).unwrap()];
            bytes.extend(authority);
            bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            let sid = Sid::read(&bytes).unwrap();
            prop_assert_eq!(sid.filter(), Filter::equals("objectSid", &FilterValue::bytes(&bytes)));
            prop_assert_eq!(sid.to_string().split('-').count(), 3 + words.len());
        }
    }
}
