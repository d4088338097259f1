//! What somebody's authenticator shows (RFC 6238: SHA-1, 30 s, six digits).

use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY};
use tokio::sync::Mutex;

use super::wait;

/// What it would have read from a QR code.
pub const SECRET: &str = "twenty bytes for it.";

/// How long it shows a code, in seconds.
const STEP: u32 = 30;

/// One that shows each code once: issuers take none a second time.
pub struct Authenticator {
    /// The step of time whose code it showed last.
    shown: Mutex<u64>,
}

impl Authenticator {
    pub fn new() -> Self {
        Self { shown: Mutex::new(0) }
    }

    /// The code of now, or the next one where that was shown.
    pub async fn code(&self) -> String {
        let mut shown = self.shown.lock().await;
        while step() <= *shown {
            wait::next_step(STEP).await;
        }
        *shown = step();
        code(SECRET.as_bytes(), *shown)
    }
}

fn step() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap() / u64::from(STEP)
}

fn code(secret: &[u8], step: u64) -> String {
    let digest = hmac::sign(&hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret), &step.to_be_bytes());
    let digest = digest.as_ref();
    let at = usize::from(digest[19] & 15);
    let number = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

#[test]
fn a_code_is_that_of_the_standard() {
    // RFC 6238 appendix B, its last six digits.
    assert_eq!(code(b"12345678901234567890", 59 / 30), "287082");
    assert_eq!(code(b"12345678901234567890", 1_111_111_109 / 30), "081804");
}
