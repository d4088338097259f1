//! Whole LDAP messages from a directory, before ldap3 sees them.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::ber::{self, BerError, Elements};

/// A larger message ends the connection. The entry of somebody in ten thousand groups has about one MiB.
pub(super) const MAX_MESSAGE: usize = 2 * 1024 * 1024;
/// The same where no search is open: the answer to a bind is a few hundred bytes.
pub(super) const MAX_ANSWER: usize = 256 * 1024;
/// No LDAP message nests deeper; ldap3's parser is recursive.
const MAX_DEPTH: usize = 16;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// The directory closed the connection between two messages.
    #[error("the directory closed the connection")]
    Closed,
    /// It closed it inside a message.
    #[error("the directory closed the connection inside a message")]
    Half,
    /// The bytes are no LDAP message.
    #[error("the directory does not speak LDAP: {0}")]
    Foreign(#[from] BerError),
    /// The message is too large.
    #[error("the directory sent a message of {length} bytes; at most {most} are read")]
    Large {
        /// What it claims.
        length: usize,
        /// What is allowed.
        most: usize,
    },
    /// The network failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// A message that may be shown to ldap3.
#[derive(Debug)]
pub(super) struct Message {
    /// All of it.
    pub(super) bytes: Vec<u8>,
    /// Which request it belongs to; 0 is nobody's.
    pub(super) id: u32,
    /// What kind of answer it is.
    pub(super) tag: u8,
    /// So many elements ldap3 will make of it.
    pub(super) elements: usize,
}

/// Reads one answer of a directory and not a byte more. Once its head is there, `most` says how large it may be.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin), most: impl FnOnce() -> usize) -> Result<Message, FrameError> {
    let bytes = read_whole(from, most).await?;
    Ok(admit(bytes)?)
}

/// Reads exactly one message, whatever it means.
pub(super) async fn read_whole(from: &mut (impl AsyncRead + Unpin), most: impl FnOnce() -> usize) -> Result<Vec<u8>, FrameError> {
    let mut message = Vec::with_capacity(512);
    let tag = match from.read_u8().await {
        Ok(tag) => tag,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(FrameError::Closed),
        Err(error) => return Err(error.into()),
    };
    if tag != 0x30 {
        return Err(BerError::Malformed.into());
    }
    message.push(tag);
    let length = loop {
        message.push(from.read_u8().await.map_err(half)?);
        if let Some((length, _)) = ber::length(message.get(1..).unwrap_or_default())? {
            break length;
        }
    };
    let most = most();
    if length > most {
        return Err(FrameError::Large { length, most });
    }
    let wanted = u64::try_from(length).unwrap_or(u64::MAX);
    // Grows as bytes come, so that a claimed length alone costs nothing.
    let got = from.take(wanted).read_to_end(&mut message).await?;
    if got < length {
        return Err(FrameError::Half);
    }
    Ok(message)
}

/// The one place where a message is looked at before ldap3 parses it: `SEQUENCE { messageID, answer, controls? }`, whole
/// and not too deep.
fn admit(bytes: Vec<u8>) -> Result<Message, BerError> {
    let elements = ber::well_formed(&bytes, MAX_DEPTH)?;
    let mut parts = Elements::of(Elements::of(&bytes).expect(0x30)?);
    let id = ber::unsigned(parts.expect(0x02)?)?;
    let answer = parts.element()?;
    match answer.tag {
        // Answers to binds, the end of a search, extended answers. ldap3 cuts a longer result code down to four bytes, which
        // may leave a zero.
        0x61 | 0x65 | 0x78 => {
            ber::unsigned(Elements::of(answer.content).expect(0x0a)?)?;
        }
        // Entries, references, intermediate answers.
        0x64 | 0x73 | 0x79 => {}
        _ => return Err(BerError::Malformed),
    }
    if !parts.is_empty() {
        // Controls, or the name that Active Directory puts there when it closes a connection.
        let tag = parts.element()?.tag;
        if !matches!(tag, 0xa0 | 0x8a) || !parts.is_empty() {
            return Err(BerError::Malformed);
        }
    }
    let tag = answer.tag;
    Ok(Message { bytes, id, tag, elements })
}

fn half(error: std::io::Error) -> FrameError {
    if error.kind() == std::io::ErrorKind::UnexpectedEof { FrameError::Half } else { error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(bytes: &[u8], expected: &str) {
        let mut from = bytes;
        let shown = match read(&mut from, || MAX_MESSAGE).await {
            Ok(message) => format!("{} bytes, {} left", message.bytes.len(), from.len()),
            Err(error) => error.to_string(),
        };
        assert!(shown.contains(expected), "{bytes:?}: {shown}");
    }

    #[tokio::test]
    async fn exactly_one_message_is_read() {
        check(b"\x30\x05\x02\x01\x01\x64\x00\xff", "7 bytes, 1 left").await;
        check(b"\x30\x81\x05\x02\x01\x01\x64\x00", "8 bytes, 0 left").await;
        check(b"\x30\x07\x02\x01\x01\x64\x00\xa0\x00", "9 bytes, 0 left").await;
        check(b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00", "14 bytes, 0 left").await;
        check(b"\x30\x10\x02\x01\x01\x61\x0b\x0a\x05\x01\x00\x00\x00\x00\x04\x00\x04\x00", "does not speak LDAP").await;
        check(b"\x30\x05\x02\x01\x01\x65\x00", "does not speak LDAP").await;
        check(b"\x30\x09\x02\x01\x01\x64\x00\xa0\x00\xa0\x00", "does not speak LDAP").await;
        check(b"\x30\x05\x02\x01\x01\x60\x00", "does not speak LDAP").await;
        check(b"\x30\x05\x64\x00\x02\x01\x01", "does not speak LDAP").await;
        check(b"\x30\x03\x02\x01\x01", "does not speak LDAP").await;
        check(&[], "closed the connection").await;
        check(&[0x30, 0x05, 0x02], "inside a message").await;
        check(&[0x30, 0x82], "inside a message").await;
        check(b"HTTP/1.1 400 Bad Request", "does not speak LDAP").await;
        check(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff], "at most 2097152").await;
        check(&[0x30, 0x80, 0x00, 0x00], "does not speak LDAP").await;
        check(&[0x30, 0x03, 0x30, 0x09, 0x01], "does not speak LDAP").await;
    }
}
