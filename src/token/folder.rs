//! The folder of one service's keys. What registries trust lies there in generations, and one file says which is active:
//!
//! ```text
//! keys/registry.corp.example/
//!   ca-1/ca.key ca-1/ca.crt        a generation is a folder that appears whole or not at all
//!   ca-2/ca.key ca-2/ca.crt        made by `keys new-ca`, published beside the active one
//!   ca-active                      "1"
//!   retired                        fingerprints that were given up on purpose, one a line
//! ```
//!
//! Fixed keys lie there in the same way as `fixed-1/fixed.key`. Leaves are nowhere: they live in the memory of the
//! process that uses them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use super::certificate::Certificate;
use super::error::KeysError;
use super::files;
use super::private_key::PrivateKey;
use super::profile::Anchor;

/// A file name has at most 255 bytes; a temporary one beside it needs some of them.
const LONGEST: usize = 200;

/// Where one service's keys of one sort are.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    service: String,
    path: PathBuf,
    anchor: Anchor,
}

/// The public part of every generation.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    pub(super) active: u32,
    pub(super) certificates: BTreeMap<u32, Certificate>,
    /// Every fingerprint that this folder vouches for: all generations of both sorts, and the retired ones.
    pub(super) known: BTreeSet<String>,
}

/// One key that registries trust, as `keys show` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Counts from 1.
    pub number: u32,
    /// Whether it is used.
    pub stage: Stage,
    /// SHA-256 over its public key.
    pub fingerprint: String,
    /// The `alg` of what it signs.
    pub algorithm: &'static str,
    /// When its certificate ends.
    pub not_after: crate::clock::Timestamp,
}

/// Whether a published key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It signed, and is still published.
    Old,
    /// It signs.
    Active,
    /// It is published and will sign.
    Next,
}

impl Stage {
    /// The word of `keys show`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::Active => "active",
            Self::Next => "next",
        }
    }
}

impl Contents {
    pub(super) fn next(&self) -> Option<u32> {
        self.certificates.keys().copied().find(|number| *number > self.active)
    }
    pub(super) fn old(&self) -> impl Iterator<Item = u32> {
        self.certificates.keys().copied().filter(|number| *number < self.active)
    }
    pub(super) fn generations(&self) -> Vec<Generation> {
        let stage = |number: u32| match number.cmp(&self.active) {
            std::cmp::Ordering::Less => Stage::Old,
            std::cmp::Ordering::Equal => Stage::Active,
            std::cmp::Ordering::Greater => Stage::Next,
        };
        let shown = self.certificates.iter().map(|(number, certificate)| Generation {
            number: *number,
            stage: stage(*number),
            fingerprint: certificate.public.fingerprint(),
            algorithm: certificate.public.algorithm().as_str(),
            not_after: certificate.not_after,
        });
        shown.collect()
    }
}

impl Folder {
    pub(super) fn new(keys: &Path, service: &str, anchor: Anchor) -> Self {
        Self { service: service.to_owned(), path: keys.join(folder_name(service)), anchor }
    }

    /// What lies there; `None` where no key of this sort was ever made.
    pub(super) fn contents(&self) -> Result<Option<Contents>, KeysError> {
        let certificates = self.certificates(self.anchor)?;
        let pointer = self.pointer();
        if !files::exists(&pointer)? {
            return if certificates.is_empty() { Ok(None) } else { Err(KeysError::Undecided { path: pointer }) };
        }
        let text = files::read_public(&pointer)?;
        let active = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
        let active: u32 = active.ok_or_else(|| KeysError::Undecided { path: pointer.clone() })?;
        if !certificates.contains_key(&active) {
            return Err(KeysError::Undecided { path: pointer });
        }
        Ok(Some(Contents { active, known: self.known()?, certificates }))
    }

    /// The private key of a generation. It must be the one that its certificate speaks of.
    pub(super) fn key(&self, number: u32, certificate: &Certificate) -> Result<PrivateKey, KeysError> {
        files::require_private_folder(&self.path)?;
        let path = self.generation(self.anchor, number).join(self.file("key"));
        let key = PrivateKey::from_pem(&files::read_private(&path)?).map_err(|source| KeysError::Key { path: path.clone(), source })?;
        if key.public() == &certificate.public { Ok(key) } else { Err(KeysError::Mismatch { path }) }
    }

    /// Adds a generation behind the last one and returns its number. It becomes active by [`Folder::activate`].
    pub(super) fn add(&self, key: &PrivateKey, certificate: &Certificate) -> Result<u32, KeysError> {
        files::make_folder(&self.path)?;
        files::require_private_folder(&self.path)?;
        let number = self.certificates(self.anchor)?.keys().next_back().copied().unwrap_or(0).saturating_add(1);
        let (key_name, certificate_name) = (self.file("key"), self.file("crt"));
        files::write_folder(
            &self.generation(self.anchor, number),
            &[(&key_name, key.pem().as_bytes()), (&certificate_name, certificate.pem().as_bytes())],
        )?;
        Ok(number)
    }

    /// A generation that was made while its makers stopped before they could activate it.
    pub(super) fn only_generation(&self) -> Result<Option<u32>, KeysError> {
        let numbers: Vec<u32> = self.certificates(self.anchor)?.into_keys().collect();
        match (numbers.as_slice(), files::exists(&self.pointer())?) {
            ([only], false) => Ok(Some(*only)),
            _ => Ok(None),
        }
    }

    pub(super) fn activate(&self, number: u32) -> Result<(), KeysError> {
        Ok(files::replace(&self.pointer(), format!("{number}\n").as_bytes())?)
    }

    /// Ends generations: their fingerprints are noted first, so that who remembers one of them knows it was on purpose.
    pub(super) fn retire(&self, numbers: &[u32]) -> Result<(), KeysError> {
        let certificates = self.certificates(self.anchor)?;
        let gone = numbers.iter().filter_map(|number| certificates.get(number)).map(|certificate| certificate.public.fingerprint());
        self.note_retired(gone)?;
        for number in numbers {
            files::remove_folder(&self.generation(self.anchor, *number))?;
        }
        Ok(())
    }

    /// Notes fingerprints that are given up on purpose.
    pub(super) fn note_retired(&self, fingerprints: impl IntoIterator<Item = String>) -> Result<(), KeysError> {
        files::make_folder(&self.path)?;
        let mut all = self.retired()?;
        all.extend(fingerprints);
        let text: String = all.iter().flat_map(|fingerprint| [fingerprint, "\n"]).collect();
        Ok(files::replace(&self.path.join("retired"), text.as_bytes())?)
    }

    fn retired(&self) -> Result<BTreeSet<String>, KeysError> {
        let path = self.path.join("retired");
        if !files::exists(&path)? {
            return Ok(BTreeSet::new());
        }
        Ok(String::from_utf8_lossy(&files::read_public(&path)?).lines().map(str::to_owned).collect())
    }

    fn known(&self) -> Result<BTreeSet<String>, KeysError> {
        let mut known = self.retired()?;
        for anchor in [Anchor::Authority, Anchor::Fixed] {
            known.extend(self.certificates(anchor)?.values().map(|certificate| certificate.public.fingerprint()));
        }
        Ok(known)
    }

    fn certificates(&self, anchor: Anchor) -> Result<BTreeMap<u32, Certificate>, KeysError> {
        let mut found = BTreeMap::new();
        for name in files::names(&self.path)? {
            let number = name.strip_prefix(anchor.word()).and_then(|rest| rest.strip_prefix('-')).and_then(|rest| rest.parse().ok());
            let Some(number) = number else { continue };
            let path = self.path.join(name).join(format!("{}.crt", anchor.word()));
            let certificate = Certificate::from_pem(&files::read_public(&path)?);
            found.insert(number, certificate.map_err(|source| KeysError::Certificate { path, source })?);
        }
        Ok(found)
    }

    fn generation(&self, anchor: Anchor, number: u32) -> PathBuf {
        self.path.join(format!("{}-{number}", anchor.word()))
    }
    fn file(&self, extension: &str) -> String {
        format!("{}.{extension}", self.anchor.word())
    }
    fn pointer(&self) -> PathBuf {
        self.path.join(format!("{}-active", self.anchor.word()))
    }
    pub(super) fn service(&self) -> &str {
        &self.service
    }
    pub(super) fn anchor(&self) -> Anchor {
        self.anchor
    }
}

/// A name that no other service has: what is not a lower-case letter, digit, dash, underscore or inner dot is written as its
/// bytes. Capitals too, because some file systems do not tell them apart.
fn folder_name(service: &str) -> String {
    if service.is_empty() {
        return "%".to_owned();
    }
    let mut name = String::new();
    for byte in service.bytes() {
        let plain = byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_') || (byte == b'.' && !name.is_empty());
        if plain {
            name.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(name, "%{byte:02x}");
        }
    }
    // `%=` is no byte, so this meets no name of the first sort.
    if name.len() > LONGEST { format!("%={}", HEXLOWER.encode(digest(&SHA256, service.as_bytes()).as_ref())) } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(service: &str, expected: &str) {
        assert_eq!(folder_name(service), expected);
    }

    #[test]
    fn folder_names_are_safe_and_never_meet() {
        check("registry.corp.example", "registry.corp.example");
        check("registry.corp.example:5000", "registry.corp.example%3a5000");
        check("Docker registry", "%44ocker%20registry");
        check("a/../b", "a%2f..%2fb");
        check("..", "%2e.");
        check("", "%");
        check(".hidden", "%2ehidden");
        check("a%2fb", "a%252fb");
        let long = folder_name(&"x".repeat(300));
        assert!(long.starts_with("%=") && long.len() < 80, "{long}");
    }
}
