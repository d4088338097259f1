//! `application/x-www-form-urlencoded` text as named parameters: strict for what is used, blind for the rest.

use super::error::Invalid;

/// What stands in for a value that is not text where one bad value must cost only itself.
const NOT_TEXT: &str = "\u{FFFD}";

/// The parameters of a query or a form, decoded. Not `Debug`: a form holds passwords.
pub(super) struct Parameters(Vec<(Vec<u8>, Option<String>)>);

impl Parameters {
    /// Splits at `&` and `=` and decodes. A value that is not percent-encoded UTF-8 is kept as such, so that it
    /// matters only where the parameter is one that is read.
    pub(super) fn parse(text: &[u8]) -> Self {
        let pairs = text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            Some((decode(name)?, decode(value).and_then(|bytes| String::from_utf8(bytes).ok())))
        });
        Self(pairs.collect())
    }

    /// The value of a parameter that may stand once; `None` where it is missing.
    pub(super) fn once(&self, name: &'static str) -> Result<Option<&str>, Invalid> {
        let mut values = self.values(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Invalid::Doubled(name));
        }
        value.map(Some).ok_or(Invalid::NotText(name))
    }

    /// Every value of a parameter that may be repeated.
    pub(super) fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.values(name).map(|value| value.unwrap_or(NOT_TEXT))
    }

    /// Whether one of the parameter's values is this one.
    pub(super) fn has(&self, name: &'static str, wanted: &str) -> bool {
        self.values(name).any(|value| value == Some(wanted))
    }

    fn values(&self, name: &'static str) -> impl Iterator<Item = Option<&str>> {
        self.0.iter().filter(move |(known, _)| known == name.as_bytes()).map(|(_, value)| value.as_deref())
    }
}

/// Undoes `+` and `%XX`; `None` where a `%` is not followed by two hexadecimal digits. Browsers let such a `%` stand for
/// itself, but in a password that would be a guess.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => (digit(*rest.next()?)? << 4) | digit(*rest.next()?)?,
            plain => *plain,
        });
    }
    Some(decoded)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], expected: Result<Option<&str>, Invalid>) {
        assert_eq!(Parameters::parse(text).once("a"), expected, "{}", text.escape_ascii());
    }

    #[test]
    fn a_parameter_is_decoded_once_and_strictly() {
        check(b"", Ok(None));
        check(b"&&=&b=1", Ok(None));
        check(b"a", Ok(Some("")));
        check(b"a=", Ok(Some("")));
        check(b"a=x=y", Ok(Some("x=y")));
        check(b"a=x+y%2B%26%3d%25", Ok(Some("x y+&=%")));
        check(b"%61=1", Ok(Some("1")));
        check("a=\u{e4}&b=2".as_bytes(), Ok(Some("\u{e4}")));
        check(b"a=%C3%A4", Ok(Some("\u{e4}")));
        check(b"a=%00", Ok(Some("\0")));
        check(b"a=%2541", Ok(Some("%41")));
        check(b"A=1", Ok(None));
        check(b"a;b=1", Ok(None));
        check(b"a=1&a=1", Err(Invalid::Doubled("a")));
        check(b"a=1&%61=2", Err(Invalid::Doubled("a")));
        check(b"a=1&a=%ff", Err(Invalid::Doubled("a")));
        for bad in [&b"a=%ff"[..], b"a=%", b"a=%4", b"a=%zz", b"a=100%", b"a=\xff", b"a=%ed%a0%80", b"a=%+1"] {
            check(bad, Err(Invalid::NotText("a")));
        }
    }

    #[test]
    fn a_value_that_is_not_text_costs_only_itself() {
        let parameters = Parameters::parse(b"scope=x&scope=%ff&junk=%ff&%ff=1&%zz=2");
        assert_eq!(parameters.all("scope").collect::<Vec<_>>(), ["x", NOT_TEXT]);
    }
}
