//! A key and certificate that the operator brings: exported as themselves, checked before they are used.

use std::path::Path;

use super::certificate::Certificate;
use super::error::KeysError;
use super::files;
use super::private_key::PrivateKey;
use super::settings::{BroughtKey, ServiceSettings};
use crate::clock::Timestamp;

/// Keys whose private half stands in a public place, by the SHA-256 of their public half. (Harbor's first default key is
/// not here because it has 1024 bits, and so is refused anyway.)
const PUBLISHED: [(&str, &str); 1] =
    [("4deb68a5c3107fae0cb7114111c28e74d40b294b178220cfae7ae9f5c5a93431", "the example key of docker_auth")];

/// The certificate alone, which is all that a registry needs to see.
pub(super) fn certificate(brought: &BroughtKey, folder: &Path) -> Result<Certificate, KeysError> {
    let path = folder.join(&brought.certificate.value);
    Certificate::from_pem(&files::read_public(&path)?).map_err(|source| KeysError::Certificate { path, source })
}

/// Both, if they can be used for this service now.
pub(super) fn pair(
    service: &ServiceSettings,
    brought: &BroughtKey,
    folder: &Path,
    now: Timestamp,
) -> Result<(PrivateKey, Certificate), KeysError> {
    let path = folder.join(&brought.key.value);
    let key = PrivateKey::from_pem(&files::read_private(&path)?).map_err(|source| KeysError::Key { path: path.clone(), source })?;
    let fingerprint = key.public().fingerprint();
    if let Some((_, source_of_key)) = PUBLISHED.iter().find(|(published, _)| *published == fingerprint) {
        return Err(KeysError::PublishedKey { path, source_of_key });
    }
    let certificate = certificate(brought, folder)?;
    if key.public() != &certificate.public {
        return Err(KeysError::Mismatch { path });
    }
    let (found, wanted) = (key.public().algorithm(), service.algorithm.value);
    if found != wanted {
        return Err(KeysError::BroughtAlgorithm { path, found: found.as_str(), wanted: wanted.as_str() });
    }
    let when = if certificate.has_ended(now) {
        Some(format!("ended at {}", certificate.not_after.rfc3339()))
    } else {
        (now < certificate.not_before).then(|| format!("begins at {}", certificate.not_before.rfc3339()))
    };
    match when {
        Some(when) => Err(KeysError::NotValidNow { path: folder.join(&brought.certificate.value), when }),
        None => Ok((key, certificate)),
    }
}
