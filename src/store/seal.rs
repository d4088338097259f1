//! Seals: an HMAC-SHA256 over a list of fields, each with its kind and length, so that no two lists seal alike.

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use super::StateKey;

/// One sealed value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
    Number(i64),
    Nothing,
}

impl<'a> Field<'a> {
    pub(crate) fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }
    pub(crate) fn bytes(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Self::Nothing, Self::Bytes)
    }
    pub(crate) fn number(number: Option<i64>) -> Self {
        number.map_or(Self::Nothing, Self::Number)
    }
}

/// The key of one kind of seal.
#[derive(Debug)]
pub(super) struct Seal(hmac::Key);

impl Seal {
    pub(super) fn new(key: &StateKey, purpose: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key.derive(&format!("seal of {purpose}"))))
    }

    /// The seal of these fields in this order.
    pub(super) fn of(&self, fields: &[Field<'_>]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        write(fields, |bytes| context.update(bytes));
        context.sign().as_ref().to_vec()
    }

    /// Whether `seal` is the seal of these fields; takes as long for every answer.
    pub(super) fn holds(&self, fields: &[Field<'_>], seal: &[u8]) -> bool {
        self.of(fields).ct_eq(seal).into()
    }
}

/// The fields one behind the other, so that no two lists read alike.
pub(super) fn framed(fields: &[Field<'_>]) -> Vec<u8> {
    let mut framed = Vec::new();
    write(fields, |bytes| framed.extend_from_slice(bytes));
    framed
}

fn write(fields: &[Field<'_>], mut update: impl FnMut(&[u8])) {
    for field in fields {
        let number;
        let (kind, bytes) = match field {
            Field::Text(text) => (b't', text.as_bytes()),
            Field::Bytes(bytes) => (b'b', *bytes),
            Field::Number(value) => {
                number = value.to_be_bytes();
                (b'n', number.as_slice())
            }
            Field::Nothing => (b'0', &[][..]),
        };
        update(&[kind]);
        update(&(bytes.len() as u64).to_be_bytes());
        update(bytes);
    }
}
