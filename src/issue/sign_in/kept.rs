//! What is kept while a sign-in is under way. The store encrypts it.

use secrecy::zeroize::{Zeroize, Zeroizing};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::authn::identity::Identity;
use crate::authn::oidc::KeptAuthorization;
use crate::authn::verdict::Renewal;

/// A browser on its way to an issuer.
#[derive(Deserialize, Serialize)]
pub(super) struct KeptStart {
    /// Which issuer.
    pub(super) provider: String,
    /// What it was then: what one issuer answers is never shown to another.
    pub(super) fingerprint: String,
    /// What the issuer's answer is recognised by.
    pub(super) kept: KeptAuthorization,
    /// The digest of what the browser holds.
    pub(super) browser: String,
    /// What the person came for.
    pub(super) service: Option<String>,
}

/// Somebody who signed in.
#[derive(Clone, Deserialize, Serialize)]
pub(in crate::issue) struct KeptSignIn {
    /// Who.
    pub(in crate::issue) identity: Identity,
    /// What the issuer was then; under another one the sign-in is over.
    pub(in crate::issue) fingerprint: String,
    /// What the issuer wants back at a re-check; the login code takes it along.
    pub(in crate::issue) renewal: Option<KeptRenewal>,
    /// Whether the one code was given.
    pub(in crate::issue) code_given: bool,
    /// What its pages hold.
    pub(in crate::issue) csrf: String,
    /// What the person came for.
    pub(in crate::issue) service: Option<String>,
}

/// A login code that nobody used yet.
#[derive(Deserialize, Serialize)]
pub(in crate::issue) struct KeptCode {
    /// Whose it is.
    pub(in crate::issue) identity: Identity,
    /// What the issuer was at the sign-in.
    pub(in crate::issue) fingerprint: String,
    /// What the issuer wants back at a re-check.
    pub(in crate::issue) renewal: Option<KeptRenewal>,
    /// The one service that it is for.
    pub(in crate::issue) service: String,
}

/// What is left of a sign-in or a code that is over: the part that both have.
#[derive(Deserialize, Serialize)]
pub(in crate::issue) struct KeptLeftover {
    /// Whose it was.
    pub(in crate::issue) identity: Identity,
    /// What the issuer was at the sign-in.
    pub(in crate::issue) fingerprint: String,
    /// What the issuer gave.
    pub(in crate::issue) renewal: Option<KeptRenewal>,
}

/// A renewal as text.
#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub(in crate::issue) struct KeptRenewal(String);

impl Drop for KeptRenewal {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl From<Renewal> for KeptRenewal {
    fn from(renewal: Renewal) -> Self {
        Self(data_encoding::BASE64.encode(&renewal.0))
    }
}

impl From<KeptRenewal> for Option<Renewal> {
    fn from(kept: KeptRenewal) -> Self {
        data_encoding::BASE64.decode(kept.0.as_bytes()).ok().map(Renewal::from)
    }
}

/// The bytes of a row.
pub(in crate::issue) fn encode(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    // Strings, numbers and lists go into JSON whatever they hold.
    Zeroizing::new(serde_json::to_vec(value).unwrap_or_default())
}

/// The value of a row; none where another version wrote what this one cannot read.
pub(in crate::issue) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}
