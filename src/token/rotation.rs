//! Changing what a registry trusts, on purpose and in three steps: prepare (published beside), activate (signs), finish (the old
//! one is published no more). No step cuts off a token that a registry still has to accept, if the registry is told in between.

use std::path::Path;

use super::certificate::Certificate;
use super::error::KeysError;
use super::folder::{Contents, Folder};
use super::private_key::{PrivateKey, Use};
use super::profile::Anchor;
use super::settings::{Algorithm, ServiceSettings, SigningSettings};
use crate::clock::{Clock, Timestamp};

/// What a step has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// It was done now.
    Done,
    /// It had been done before.
    Already,
}

/// Makes the next authority or fixed key, with the algorithm that the configuration names now.
pub fn prepare(settings: &SigningSettings, service: &ServiceSettings, folder: &Path, clock: &Clock) -> Result<Advance, KeysError> {
    let (place, contents) = open(settings, service, folder)?;
    if contents.next().is_some() {
        return Ok(Advance::Already);
    }
    make(&place, service.algorithm.value, clock.now())?;
    Ok(Advance::Done)
}

/// Lets the prepared one sign from now on. The one before stays published.
pub fn activate(settings: &SigningSettings, service: &ServiceSettings, folder: &Path) -> Result<Advance, KeysError> {
    let (place, contents) = open(settings, service, folder)?;
    match contents.next() {
        Some(next) => {
            // Read it whole before anything depends on it.
            if let Some(certificate) = contents.certificates.get(&next) {
                place.key(next, certificate)?;
            }
            place.activate(next)?;
            Ok(Advance::Done)
        }
        None if contents.old().next().is_some() => Ok(Advance::Already),
        None => Err(step(service, "no key is prepared\nhint: run the command without `--activate` first")),
    }
}

/// Ends the keys before the active one: their private halves are removed, and they are published no more.
pub fn finish(settings: &SigningSettings, service: &ServiceSettings, folder: &Path) -> Result<Advance, KeysError> {
    let (place, contents) = open(settings, service, folder)?;
    if contents.next().is_some() {
        return Err(step(service, "a key is prepared and does not sign yet\nhint: run the command with `--activate` first"));
    }
    let old: Vec<u32> = contents.old().collect();
    if old.is_empty() {
        return Ok(Advance::Already);
    }
    place.retire(&old)?;
    Ok(Advance::Done)
}

/// Notes that a key is lost or replaced on purpose, so that the service starts with another one.
pub fn accept_loss(settings: &SigningSettings, service: &ServiceSettings, folder: &Path, fingerprint: &str) -> Result<(), KeysError> {
    let well_formed = fingerprint.len() == 64 && fingerprint.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !well_formed {
        return Err(step(service, "that is no fingerprint\nhint: copy the 64 digits that `serve` names when it refuses to start"));
    }
    place(settings, service, folder).note_retired([fingerprint.to_owned()])
}

/// Makes the first authority or fixed key, unless there is one.
pub(super) fn make_first(place: &Folder, algorithm: Algorithm, now: Timestamp) -> Result<Advance, KeysError> {
    if let Some(left) = place.only_generation()? {
        place.activate(left)?;
        return Ok(Advance::Done);
    }
    if place.contents()?.is_some() {
        return Ok(Advance::Already);
    }
    let number = make(place, algorithm, now)?;
    place.activate(number)?;
    Ok(Advance::Done)
}

/// An authority is P-256 whatever its leaves are: every registry verifies it, and it is small in each registry's configuration.
fn make(place: &Folder, algorithm: Algorithm, now: Timestamp) -> Result<u32, KeysError> {
    let failed = |source| KeysError::Make { service: place.service().to_owned(), source };
    let wanted = match place.anchor() {
        Anchor::Authority => Algorithm::Es256,
        Anchor::Fixed => algorithm,
    };
    let key = PrivateKey::draw(wanted, Use::Anchor).map_err(|source| failed(source.into()))?;
    let certificate = match place.anchor() {
        Anchor::Authority => Certificate::authority(place.service(), &key, now),
        Anchor::Fixed => Certificate::fixed(place.service(), &key, now),
    };
    place.add(&key, &certificate.map_err(failed)?)
}

fn open(settings: &SigningSettings, service: &ServiceSettings, folder: &Path) -> Result<(Folder, Contents), KeysError> {
    if service.signing.is_some() {
        return Err(step(service, "its key was brought\nhint: replace the files that `signing` names, and tell the registry"));
    }
    let place = place(settings, service, folder);
    let contents = place.contents()?.ok_or_else(|| KeysError::Missing { service: service.name.value.clone() })?;
    Ok((place, contents))
}

pub(super) fn place(settings: &SigningSettings, service: &ServiceSettings, folder: &Path) -> Folder {
    Folder::new(&folder.join(&settings.directory.value), &service.name.value, service.registry.value.anchor())
}

fn step(service: &ServiceSettings, problem: &str) -> KeysError {
    KeysError::Step { service: service.name.value.clone(), problem: problem.to_owned() }
}
