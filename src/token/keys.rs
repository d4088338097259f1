//! All keys of all services. They outlive reloads; what signs is swapped while requests go on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;

use super::brought;
use super::certificate::Certificate;
use super::error::KeysError;
use super::folder::{Contents, Folder};
use super::private_key::{PrivateKey, Use};
use super::profile::Anchor;
use super::published::Published;
use super::rotation::{self, Advance};
use super::settings::{Algorithm, RegistryKind, ServiceSettings, SigningSettings};
use super::signer::Signer;
use crate::clock::{Clock, Timestamp};
use crate::source::Period;

/// The keys of every service.
#[derive(Debug)]
pub struct Keys {
    services: BTreeMap<String, Service>,
}

/// The state of one service's key, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// The service.
    pub service: String,
    /// How tokens name the key.
    pub kid: String,
    /// The `alg` of its tokens.
    pub algorithm: &'static str,
    /// When the certificate that tokens carry ends; for fixed keys, when the published one does.
    pub not_after: Timestamp,
    /// What the registry trusts: SHA-256 over the public key of the authority or fixed key.
    pub fingerprint: String,
    /// When that one's certificate ends.
    pub trust_ends: Timestamp,
}

/// What the configuration says about one service's keys.
#[derive(Clone, Debug)]
struct Terms {
    service: String,
    kind: RegistryKind,
    algorithm: Algorithm,
    leaf_life: Period,
    rotate_every: Period,
}

#[derive(Debug)]
struct Service {
    terms: Terms,
    /// Where the keys lie; `None` for brought ones, which are read once.
    place: Option<Folder>,
    current: ArcSwap<Current>,
}

/// What signs now, and what is published for it. Replaced whole.
#[derive(Debug)]
struct Current {
    published: Published,
    /// The key of the authority or the fixed key.
    anchor: Arc<PrivateKey>,
    signer: Arc<Signer>,
    /// When the leaf was made; `None` where none is needed.
    leaf_made: Option<Timestamp>,
    ends: Timestamp,
}

impl Keys {
    /// Makes what is missing, never overwrites, and returns the services that got keys.
    pub fn initialise(
        settings: &SigningSettings,
        services: &[ServiceSettings],
        folder: &Path,
        clock: &Clock,
    ) -> Result<Vec<String>, KeysError> {
        let mut made = Vec::new();
        for service in services.iter().filter(|service| service.signing.is_none()) {
            let place = rotation::place(settings, service, folder);
            if rotation::make_first(&place, service.algorithm.value, clock.now())? == Advance::Done {
                made.push(service.name.value.clone());
            }
        }
        Ok(made)
    }

    /// Opens the keys of every service. `remembered` is what [`Keys::fingerprints`] said the last time: a service whose keys
    /// are others now, without a trace of the change in the folder, is refused. Makes keys only with `signing.create`, and
    /// never for a service that had some.
    pub fn open(
        settings: &SigningSettings,
        services: &[ServiceSettings],
        folder: &Path,
        remembered: &BTreeMap<String, String>,
        clock: &Clock,
    ) -> Result<Self, KeysError> {
        let mut opened = BTreeMap::new();
        for service in services {
            let terms = Terms::new(settings, service);
            let one = if let Some(own) = &service.signing {
                let (key, certificate) = brought::pair(service, own, folder, clock.now())?;
                let current = Current::brought(&terms, key, certificate)?;
                Service { terms, place: None, current: ArcSwap::from_pointee(current) }
            } else {
                let place = rotation::place(settings, service, folder);
                let remembered = remembered.get(&service.name.value).map(String::as_str);
                if settings.create && remembered.is_none() {
                    rotation::make_first(&place, service.algorithm.value, clock.now())?;
                }
                Service::open(terms, place, remembered, clock.now())?
            };
            opened.insert(service.name.value.clone(), one);
        }
        Ok(Self { services: opened })
    }

    /// What registries trust, by service: to be remembered for the next [`Keys::open`], also after a [`Keys::renew`] that
    /// changed something.
    pub fn fingerprints(&self) -> BTreeMap<String, String> {
        self.services.iter().map(|(name, service)| (name.clone(), service.current.load().published.fingerprint())).collect()
    }

    /// What signs for a service at this moment.
    pub fn signer(&self, service: &str) -> Option<Arc<Signer>> {
        Some(Arc::clone(&self.services.get(service)?.current.load().signer))
    }

    /// Replaces leaves that are due, and takes up what `narrows keys` changed in the folder. Returns how many services changed.
    /// Where a folder cannot be read, that service goes on with what is in memory, fresh leaves included, and the first such
    /// failure is returned after all services had their turn.
    pub fn renew(&self, clock: &Clock) -> Result<usize, KeysError> {
        let mut changed = 0;
        let mut failure = None;
        for service in self.services.values() {
            let (renewed, problem) = service.renew(clock.now());
            changed += usize::from(renewed);
            failure = failure.or(problem);
        }
        failure.map_or(Ok(changed), Err)
    }

    /// PEM for `rootcertbundle` or zot's `cert`.
    pub fn bundle(&self, service: &str) -> Option<String> {
        self.services.get(service)?.current.load().published.bundle()
    }

    /// The JSON Web Key Set of a service whose registry reads one.
    pub fn jwks(&self, service: &str) -> Option<Value> {
        self.services.get(service)?.current.load().published.jwks()
    }

    /// The state of every service's key.
    pub fn report(&self) -> Vec<KeyReport> {
        self.services.values().map(Service::report).collect()
    }
}

impl Terms {
    fn new(settings: &SigningSettings, service: &ServiceSettings) -> Self {
        Self {
            service: service.name.value.clone(),
            kind: service.registry.value,
            algorithm: service.algorithm.value,
            leaf_life: settings.leaf_life.value,
            rotate_every: settings.rotate_every.value,
        }
    }

    fn signer(&self, key: Arc<PrivateKey>, certificate: &Certificate) -> Result<Arc<Signer>, KeysError> {
        let made = Signer::new(self.kind, key, certificate);
        made.map(Arc::new).map_err(|source| KeysError::Signer { service: self.service.clone(), source })
    }
}

impl Service {
    fn open(terms: Terms, place: Folder, remembered: Option<&str>, now: Timestamp) -> Result<Self, KeysError> {
        let contents = place.contents()?.ok_or_else(|| match remembered {
            Some(remembered) => KeysError::Gone { service: terms.service.clone(), remembered: remembered.to_owned() },
            None => KeysError::Missing { service: terms.service.clone() },
        })?;
        let (published, anchor) = load(&terms, &place, &contents, now)?;
        if let Some(remembered) = remembered {
            require_known(&terms.service, &contents, remembered, &published)?;
        }
        let current = Current::new(&terms, published, anchor.into(), now)?;
        Ok(Self { terms, place: Some(place), current: ArcSwap::from_pointee(current) })
    }

    /// Whether anything changed, and what stood in the way of it.
    fn renew(&self, now: Timestamp) -> (bool, Option<KeysError>) {
        let Some(place) = &self.place else { return (false, None) };
        let before = self.current.load_full();
        let due = before.is_due(&self.terms, now);
        match self.read_again(place, &before, now) {
            Ok((published, _)) if !due && published.generations() == before.published.generations() => (false, None),
            Ok((published, anchor)) => self.swap(published, anchor.into(), now),
            Err(problem) if due => {
                let (renewed, _) = self.swap(before.published.clone(), Arc::clone(&before.anchor), now);
                (renewed, Some(problem))
            }
            Err(problem) => (false, Some(problem)),
        }
    }

    fn read_again(&self, place: &Folder, before: &Current, now: Timestamp) -> Result<(Published, PrivateKey), KeysError> {
        let service = &self.terms.service;
        let remembered = before.published.fingerprint();
        let gone = || KeysError::Gone { service: service.clone(), remembered: remembered.clone() };
        let contents = place.contents()?.ok_or_else(gone)?;
        let (published, anchor) = load(&self.terms, place, &contents, now)?;
        require_known(service, &contents, &remembered, &published)?;
        Ok((published, anchor))
    }

    fn swap(&self, published: Published, anchor: Arc<PrivateKey>, now: Timestamp) -> (bool, Option<KeysError>) {
        match Current::new(&self.terms, published, anchor, now) {
            Ok(current) => {
                self.current.store(Arc::new(current));
                (true, None)
            }
            Err(problem) => (false, Some(problem)),
        }
    }

    fn report(&self) -> KeyReport {
        let current = self.current.load();
        KeyReport {
            service: self.terms.service.clone(),
            kid: current.signer.kid().to_owned(),
            algorithm: current.signer.algorithm(),
            not_after: current.ends,
            fingerprint: current.published.fingerprint(),
            trust_ends: current.published.active().not_after,
        }
    }
}

impl Current {
    fn new(terms: &Terms, published: Published, anchor: Arc<PrivateKey>, now: Timestamp) -> Result<Self, KeysError> {
        let failed = |source| KeysError::Make { service: terms.service.clone(), source };
        let (key, certificate, leaf_made) = match terms.kind.anchor() {
            Anchor::Fixed => (Arc::clone(&anchor), published.active().clone(), None),
            Anchor::Authority => {
                let key = PrivateKey::draw(terms.algorithm, Use::Leaf).map_err(|source| failed(source.into()))?;
                let certificate = published.active().leaf(&anchor, &terms.service, &key, now, terms.leaf_life).map_err(failed)?;
                (Arc::new(key), certificate, Some(now))
            }
        };
        let signer = terms.signer(key, &certificate)?;
        Ok(Self { published, anchor, signer, leaf_made, ends: certificate.not_after })
    }

    fn brought(terms: &Terms, key: PrivateKey, certificate: Certificate) -> Result<Self, KeysError> {
        let key = Arc::new(key);
        let signer = terms.signer(Arc::clone(&key), &certificate)?;
        let ends = certificate.not_after;
        Ok(Self { published: Published::brought(terms.kind, certificate), anchor: key, signer, leaf_made: None, ends })
    }

    /// A leaf that is old, or one from a time that has not come yet (the clock was set back).
    fn is_due(&self, terms: &Terms, now: Timestamp) -> bool {
        let every = i64::try_from(terms.rotate_every.as_seconds()).unwrap_or(i64::MAX);
        self.leaf_made.is_some_and(|made| now.since(made) >= every || now < made)
    }
}

fn load(terms: &Terms, place: &Folder, contents: &Contents, now: Timestamp) -> Result<(Published, PrivateKey), KeysError> {
    let service = || terms.service.clone();
    let published = Published::made(terms.kind, contents).ok_or_else(|| KeysError::Missing { service: service() })?;
    let active = published.active();
    match terms.kind.anchor() {
        Anchor::Authority if active.has_ended(now) => {
            return Err(KeysError::AuthorityEnded { service: service(), when: active.not_after.rfc3339() });
        }
        Anchor::Authority => {}
        Anchor::Fixed => {
            // While a change is under way, the active key is still the one of before.
            let next = contents.next().and_then(|number| contents.certificates.get(&number));
            if ![Some(active), next].into_iter().flatten().any(|certificate| certificate.public.algorithm() == terms.algorithm) {
                let found = active.public.algorithm().as_str();
                return Err(KeysError::Algorithm { service: service(), found, wanted: terms.algorithm.as_str() });
            }
        }
    }
    let key = place.key(contents.active, active)?;
    Ok((published, key))
}

/// A change that was made on purpose leaves the old key in the folder, or its fingerprint in the list of retired ones. A
/// folder without such a trace is not the one that was in use.
fn require_known(service: &str, contents: &Contents, remembered: &str, published: &Published) -> Result<(), KeysError> {
    if contents.known.contains(remembered) {
        return Ok(());
    }
    Err(KeysError::Changed { service: service.to_owned(), remembered: remembered.to_owned(), found: published.fingerprint() })
}

#[cfg(test)]
mod tests;
