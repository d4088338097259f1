//! Random bytes, which the operating system may have none of.

use aws_lc_rs::rand;
use data_encoding::BASE64URL_NOPAD;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{DeviceRefusal, RETRY_AFTER, Refusal, SignInRefusal};

/// The operating system gave no random bytes. Nothing is made without.
#[derive(Debug)]
pub(super) struct NoRandomness;

/// Fills `bytes`.
pub(super) fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    rand::fill(bytes).map_err(|_| {
        tracing::error!("the operating system gives no randomness");
        NoRandomness
    })
}

/// 256 bits as text.
pub(super) fn secret() -> Result<SecretString, NoRandomness> {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(bytes.as_mut_slice())?;
    Ok(SecretString::from(BASE64URL_NOPAD.encode(bytes.as_slice())))
}

impl From<NoRandomness> for Refusal {
    fn from(_: NoRandomness) -> Self {
        Self::Unavailable { retry_after: RETRY_AFTER }
    }
}

impl From<NoRandomness> for DeviceRefusal {
    fn from(error: NoRandomness) -> Self {
        Self::Refused(error.into())
    }
}

impl From<NoRandomness> for SignInRefusal {
    fn from(_: NoRandomness) -> Self {
        Self::Unavailable { retry_after: RETRY_AFTER }
    }
}
