//! Results in pages (RFC 2696), for directories that send only a part of many entries at once.

use ldap3::controls::{PagedResults, RawControl};

use super::ber::{BerError, Elements};

/// The control, in requests and answers.
pub(super) const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";

/// Entries of one page: fewer than the limits that directories come with (OpenLDAP 500, Active Directory 1000).
const SIZE: i32 = 400;

/// Asks for the page that a cookie stands for; an empty one is the first page.
pub(super) fn request(cookie: Vec<u8>) -> RawControl {
    PagedResults { size: SIZE, cookie }.into()
}

/// The cookie of the next page; `None` behind the last one, and where the directory knows no pages.
///
/// `SEQUENCE { size INTEGER, cookie OCTET STRING }`
pub(super) fn next(control: Option<&[u8]>) -> Result<Option<Vec<u8>>, BerError> {
    let Some(value) = control else { return Ok(None) };
    let mut parts = Elements::of(Elements::of(value).expect(0x30)?);
    parts.expect(0x02)?;
    let cookie = parts.expect(0x04)?;
    Ok((!cookie.is_empty()).then(|| cookie.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_comes_back_until_it_is_empty() {
        let sent = request(b"abc".to_vec());
        assert_eq!((sent.ctype.as_str(), sent.crit), (PAGED_RESULTS, false));
        assert_eq!(next(sent.val.as_deref()), Ok(Some(b"abc".to_vec())));
        assert_eq!(next(request(Vec::new()).val.as_deref()), Ok(None));
        assert_eq!(next(None), Ok(None));
        for unreadable in [&b""[..], b"\x30", b"\x30\x00", b"\x30\x03\x02\x01\x00", b"\x30\x05\x04\x00\x02\x01\x00"] {
            assert!(next(Some(unreadable)).is_err(), "{unreadable:02x?}");
        }
    }
}
