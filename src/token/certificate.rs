//! Certificates: made for authorities, leaves and fixed keys; read from what lies on the disk.

use std::time::Duration;

use data_encoding::BASE64;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::private_key::{PrivateKey, PrivateKeyError};
use super::public_key::{PublicKey, PublicKeyError};
use crate::clock::Timestamp;
use crate::source::Period;

/// A registry whose clock is behind ours would refuse a certificate of this minute.
const BACKDATED: i64 = 10 * 60;
/// Ten years: registries are told about it by hand.
const ANCHOR_LIFE: Period = Period::days(3652);
/// A common name has at most 64 characters (RFC 5280, ub-common-name); this leaves room for what stands beside the service.
const LONGEST_NAME: usize = 40;

/// One X.509 certificate, and what we want to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) der: Vec<u8>,
    pub(super) public: PublicKey,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No PEM block of a certificate, or no X.509 in it.
    #[error("is not a certificate in PEM (`BEGIN CERTIFICATE`)")]
    Malformed,
    /// Its key is none of ours.
    #[error(transparent)]
    Public(#[from] PublicKeyError),
    /// The key that signs it.
    #[error(transparent)]
    Key(#[from] PrivateKeyError),
    /// The library refused.
    #[error("the certificate could not be made")]
    Make(#[from] rcgen::Error),
    /// A clock beyond what a certificate can say.
    #[error("the clock is out of the range of certificates")]
    Time,
}

impl Certificate {
    /// An authority that may sign leaves and nothing that signs in turn.
    pub(super) fn authority(service: &str, key: &PrivateKey, now: Timestamp) -> Result<Self, CertificateError> {
        let mut wanted = parameters(service, "CA", key, now, ANCHOR_LIFE)?;
        wanted.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        wanted.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self::from_der(wanted.self_signed(&key.for_certificates()?)?.der())
    }

    /// The wrapper of a fixed key, for registries that read keys out of certificates.
    pub(super) fn fixed(service: &str, key: &PrivateKey, now: Timestamp) -> Result<Self, CertificateError> {
        let mut wanted = parameters(service, "key", key, now, ANCHOR_LIFE)?;
        wanted.is_ca = IsCa::ExplicitNoCa;
        wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        Self::from_der(wanted.self_signed(&key.for_certificates()?)?.der())
    }

    /// A leaf under this authority.
    pub(super) fn leaf(
        &self,
        authority_key: &PrivateKey,
        service: &str,
        key: &PrivateKey,
        now: Timestamp,
        life: Period,
    ) -> Result<Self, CertificateError> {
        let mut wanted = parameters(service, "leaf", key, now, life)?;
        wanted.is_ca = IsCa::ExplicitNoCa;
        wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        wanted.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(self.der.as_slice()), authority_key.for_certificates()?)?;
        Self::from_der(wanted.signed_by(&key.for_certificates()?, &issuer)?.der())
    }

    /// The first certificate of a PEM text.
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        let der = CertificateDer::from_pem_slice(pem).map_err(|_| CertificateError::Malformed)?;
        Self::from_der(&der)
    }

    fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed);
        }
        Ok(Self {
            der: der.to_vec(),
            public: PublicKey::from_spki(parsed.public_key().raw)?,
            not_before: Timestamp(parsed.validity().not_before.timestamp()),
            not_after: Timestamp(parsed.validity().not_after.timestamp()),
        })
    }

    pub(super) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der).to_string()
    }

    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        now >= self.not_after
    }
}

/// A PEM block (RFC 7468).
pub(super) fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    // Allocated whole at once: a text that grows leaves copies of a private key behind.
    let mut text = Zeroizing::new(String::with_capacity(der.len() * 3 / 2 + 128));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    for line in der.chunks(48) {
        BASE64.encode_append(line, &mut text);
        text.push('\n');
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

fn parameters(service: &str, role: &str, key: &PrivateKey, now: Timestamp, life: Period) -> Result<CertificateParams, CertificateError> {
    let mut wanted = CertificateParams::default();
    let name: String = service.chars().take(LONGEST_NAME).collect();
    // Two authorities of one service must differ in name too, or a registry that holds both may try the wrong one alone.
    let mark: String = key.public().fingerprint().chars().take(8).collect();
    wanted.distinguished_name = DistinguishedName::new();
    wanted.distinguished_name.push(DnType::OrganizationName, "narrows");
    wanted.distinguished_name.push(DnType::CommonName, format!("{name} {role} {mark}"));
    let ends = now.plus(i64::try_from(life.as_seconds()).map_err(|_| CertificateError::Time)?);
    let instant = |at: Timestamp| {
        let since = Duration::from_secs(u64::try_from(at.0).ok()?);
        date_time_ymd(1970, 1, 1).checked_add(since.try_into().ok()?)
    };
    wanted.not_before = instant(now.plus(-BACKDATED)).ok_or(CertificateError::Time)?;
    wanted.not_after = instant(ends).ok_or(CertificateError::Time)?;
    Ok(wanted)
}
