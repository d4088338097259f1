//! What registries are told to trust, in the form that each kind reads.

use std::path::Path;

use serde_json::{Value, json};

use super::brought;
use super::certificate::Certificate;
use super::error::KeysError;
use super::folder::{Contents, Folder, Generation, Stage};
use super::profile::Publication;
use super::settings::{RegistryKind, ServiceSettings, SigningSettings};

/// The public side of one service's keys. Reading it touches no private key.
#[derive(Clone, Debug)]
pub struct Published {
    kind: RegistryKind,
    active: Certificate,
    /// The active certificate and, while keys change, those before and after it, in the order in which they were made.
    all: Vec<Certificate>,
    generations: Vec<Generation>,
}

impl Published {
    /// Reads what lies in the folder of the keys, or beside the configuration where the key was brought.
    pub fn load(settings: &SigningSettings, service: &ServiceSettings, folder: &Path) -> Result<Self, KeysError> {
        let kind = service.registry.value;
        if let Some(own) = &service.signing {
            return Ok(Self::brought(kind, brought::certificate(own, folder)?));
        }
        let place = Folder::new(&folder.join(&settings.directory.value), &service.name.value, kind.anchor());
        let contents = place.contents()?.ok_or_else(|| KeysError::Missing { service: service.name.value.clone() })?;
        Self::made(kind, &contents).ok_or_else(|| KeysError::Missing { service: service.name.value.clone() })
    }

    pub(super) fn brought(kind: RegistryKind, certificate: Certificate) -> Self {
        let only = Generation {
            number: 1,
            stage: Stage::Active,
            fingerprint: certificate.public.fingerprint(),
            algorithm: certificate.public.algorithm().as_str(),
            not_after: certificate.not_after,
        };
        Self { kind, all: vec![certificate.clone()], active: certificate, generations: vec![only] }
    }

    pub(super) fn made(kind: RegistryKind, contents: &Contents) -> Option<Self> {
        let active = contents.certificates.get(&contents.active)?.clone();
        Some(Self { kind, active, all: contents.certificates.values().cloned().collect(), generations: contents.generations() })
    }

    pub(super) fn active(&self) -> &Certificate {
        &self.active
    }

    /// Every key, oldest first.
    pub fn generations(&self) -> &[Generation] {
        &self.generations
    }

    /// The fingerprint of the active key.
    pub fn fingerprint(&self) -> String {
        self.active.public.fingerprint()
    }

    /// PEM for `rootcertbundle` or zot's `cert`; `None` where the registry reads a key set.
    pub fn bundle(&self) -> Option<String> {
        match self.kind.publication() {
            Publication::Bundle => Some(self.all.iter().map(Certificate::pem).collect()),
            Publication::OneCertificate => Some(self.active.pem()),
            Publication::Jwks => None,
        }
    }

    /// The key set (RFC 7517 §5); `None` where the registry reads certificates.
    pub fn jwks(&self) -> Option<Value> {
        match self.kind.publication() {
            Publication::Bundle | Publication::OneCertificate => None,
            Publication::Jwks => Some(json!({"keys": self.all.iter().map(|one| one.public.jwk()).collect::<Vec<_>>()})),
        }
    }
}
