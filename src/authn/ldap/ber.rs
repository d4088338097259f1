//! The little of BER (X.690) that is read outside of ldap3: the frame of a message, the StartTLS answer, the password
//! policy control. Definite lengths and one-byte tags only, as LDAP uses (RFC 4511 §5.1).

/// Reads one element after another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a>(&'a [u8]);

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// Class, constructed bit and number.
    pub(super) tag: u8,
    /// What it holds.
    pub(super) content: &'a [u8],
}

/// The bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BerError {
    /// They end too early, or a length or tag is of a form that LDAP does not use.
    #[error("malformed BER")]
    Malformed,
    /// Elements stand in elements deeper than any LDAP message.
    #[error("nested too deeply")]
    Depth,
}

impl<'a> Elements<'a> {
    /// The elements of these bytes.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
    /// Whether all are read.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The next one; a missing one is malformed.
    pub(super) fn element(&mut self) -> Result<Element<'a>, BerError> {
        let (&tag, rest) = self.0.split_first().ok_or(BerError::Malformed)?;
        if tag & 0x1f == 0x1f {
            return Err(BerError::Malformed);
        }
        let (length, rest) = length(rest)?.ok_or(BerError::Malformed)?;
        let (content, rest) = rest.split_at_checked(length).ok_or(BerError::Malformed)?;
        self.0 = rest;
        Ok(Element { tag, content })
    }
    /// The next one, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<&'a [u8], BerError> {
        let element = self.element()?;
        if element.tag == tag { Ok(element.content) } else { Err(BerError::Malformed) }
    }
}

/// A length and what follows it; `None` where more bytes are needed to know.
pub(super) fn length(bytes: &[u8]) -> Result<Option<(usize, &[u8])>, BerError> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    if first < 0x80 {
        return Ok(Some((usize::from(first), rest)));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return Err(BerError::Malformed);
    }
    let Some((digits, rest)) = rest.split_at_checked(count) else { return Ok(None) };
    let length = digits.iter().fold(0_usize, |sum, digit| sum << 8 | usize::from(*digit));
    Ok(Some((length, rest)))
}

/// A small unsigned integer or enumeration.
pub(super) fn unsigned(content: &[u8]) -> Result<u32, BerError> {
    match content {
        [first, ..] if *first < 0x80 && content.len() <= 4 => Ok(content.iter().fold(0, |sum, digit| sum << 8 | u32::from(*digit))),
        _ => Err(BerError::Malformed),
    }
}

/// Whether every constructed element holds whole elements, and none lies deeper than `depth`; how many there are. Walks
/// without recursion.
pub(super) fn well_formed(bytes: &[u8], depth: usize) -> Result<usize, BerError> {
    let mut open = vec![Elements::of(bytes)];
    let mut count = 0;
    while let Some(level) = open.last_mut() {
        if level.is_empty() {
            open.pop();
            continue;
        }
        let element = level.element()?;
        count += 1;
        if element.tag & 0x20 != 0 {
            if open.len() >= depth {
                return Err(BerError::Depth);
            }
            open.push(Elements::of(element.content));
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_are_read_whole_or_not_at_all() {
        let mut elements = Elements::of(&[0x02, 0x01, 0x05, 0x04, 0x81, 0x01, 0x41]);
        assert_eq!(elements.expect(0x02).and_then(unsigned), Ok(5));
        assert_eq!(elements.expect(0x04), Ok(&b"A"[..]));
        assert!(elements.is_empty());
        for wrong in [&[0x04_u8, 0x02, 0x41][..], &[0x04, 0x80], &[0x04, 0x85, 0, 0, 0, 0, 0], &[0x1f, 0x01, 0x00], &[0x04], &[]] {
            assert_eq!(Elements::of(wrong).element(), Err(BerError::Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let mut message = vec![0x02, 0x01, 0x00];
        for _ in 0..20_000 {
            let mut outer = vec![0x30, 0x83];
            outer.extend(u32::try_from(message.len()).unwrap().to_be_bytes().iter().skip(1));
            outer.extend(&message);
            if outer.len() > 200_000 {
                break;
            }
            message = outer;
        }
        assert_eq!(well_formed(&message, 16), Err(BerError::Depth));
        assert_eq!(well_formed(&[0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x00], 16), Ok(3));
        assert_eq!(well_formed(&[0x30, 0x03, 0x30, 0x03, 0x02], 16), Err(BerError::Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = well_formed(&bytes, 16);
            let _ = unsigned(&bytes);
        }
    }
}
