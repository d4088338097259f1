//! Password hashes of a users file: argon2id and bcrypt, within bounds; every other kind is refused by its name.

use std::fmt;
use std::str::FromStr;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use super::scratch::Scratch;
use crate::authn::identity::PasswordMarker;

/// bcrypt looks at no more bytes than these; what is longer is refused, so that two long passwords are never the same.
const BCRYPT_MAX_BYTES: usize = 72;
/// 14 takes about a second.
const MAX_BCRYPT_COST: u32 = 14;

// A mistyped or planted hash must not be able to eat the machine: 256 MiB, and at most 16 passes and lanes.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;
// memory times passes of the weakest setting that OWASP lists (7 MiB, 5 passes).
const ADVISED_WORK: u64 = 7 * 1024 * 5;
const ADVISED_BCRYPT_COST: u32 = 10;

/// One hash that a password is compared with. Never shown.
pub(super) struct PasswordHash {
    kind: Kind,
    marker: PasswordMarker,
}

enum Kind {
    Argon2id(Box<phc::PasswordHash>),
    Bcrypt(Box<str>),
}

/// Why a text is no hash that can be used. The messages never hold the text: a password may have been put there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HashError {
    #[error("{0} hashes are not accepted")]
    OtherKind(&'static str),
    #[error("this is not a password hash")]
    NoHash,
    #[error("this argon2id hash is damaged")]
    DamagedArgon2id,
    #[error("this bcrypt hash is damaged")]
    DamagedBcrypt,
    #[error("this argon2id hash is of another version than 19")]
    Argon2Version,
    #[error("this argon2id hash wants more than m={MAX_MEMORY_KIB},t={MAX_PASSES},p={MAX_LANES}")]
    Argon2Bounds,
    #[error("this bcrypt hash has cost {0}; the highest that is accepted is {MAX_BCRYPT_COST}")]
    BcryptCost(u32),
}

impl PasswordHash {
    /// Whether the password is the one that was hashed. Takes its time: tens of milliseconds and more.
    pub(super) fn matches(&self, password: &[u8], scratch: &mut Scratch) -> bool {
        match &self.kind {
            Kind::Argon2id(hash) => argon2id_matches(hash, password, scratch).unwrap_or(false),
            Kind::Bcrypt(hash) => password.len() <= BCRYPT_MAX_BYTES && bcrypt::verify(password, hash).unwrap_or(false),
        }
    }

    /// A digest of the whole hash: it changes when the password changes.
    pub(super) fn marker(&self) -> &PasswordMarker {
        &self.marker
    }

    /// Whether guessing against a stolen copy is cheaper than is advised today.
    pub(super) fn is_weak(&self) -> bool {
        match &self.kind {
            Kind::Argon2id(hash) => {
                Params::try_from(hash.as_ref()).is_ok_and(|it| u64::from(it.m_cost()) * u64::from(it.t_cost()) < ADVISED_WORK)
            }
            Kind::Bcrypt(hash) => hash.parse::<bcrypt::HashParts>().is_ok_and(|parts| parts.get_cost() < ADVISED_BCRYPT_COST),
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Argon2id(_) => "argon2id",
            Kind::Bcrypt(_) => "bcrypt",
        })
    }
}

impl FromStr for PasswordHash {
    type Err = HashError;
    fn from_str(text: &str) -> Result<Self, HashError> {
        let kind = if text.starts_with("$argon2id$") {
            Kind::Argon2id(Box::new(argon2id(text)?))
        } else if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            Kind::Bcrypt(bcrypt(text)?.into())
        } else {
            return Err(named(text));
        };
        Ok(Self { kind, marker: PasswordMarker(HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref())) })
    }
}

/// `None` for a hash that cannot be computed; [`argon2id`] lets none of them through.
fn argon2id_matches(hash: &phc::PasswordHash, password: &[u8], scratch: &mut Scratch) -> Option<bool> {
    let (salt, expected) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
    let params = Params::try_from(hash).ok()?;
    let mut out = vec![0; expected.len()];
    scratch.hash(&params, password, salt, &mut out).ok()?;
    // `Output` compares in constant time.
    Some(phc::Output::new(&out).ok()? == *expected)
}

fn argon2id(text: &str) -> Result<phc::PasswordHash, HashError> {
    let hash = phc::PasswordHash::new(text).map_err(|_| HashError::DamagedArgon2id)?;
    if hash.version != Some(Version::V0x13.into()) {
        return Err(HashError::Argon2Version);
    }
    // Left out, they would mean some default; a hash says what it is.
    if ["m", "t", "p"].iter().any(|name| hash.params.get_decimal(*name).is_none()) || hash.salt.is_none() || hash.hash.is_none() {
        return Err(HashError::DamagedArgon2id);
    }
    let params = Params::try_from(&hash).map_err(|_| HashError::DamagedArgon2id)?;
    if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES || params.p_cost() > MAX_LANES {
        return Err(HashError::Argon2Bounds);
    }
    // A short output is found by chance.
    if hash.hash.is_none_or(|output| output.len() < 16) || hash.salt.is_none_or(|salt| salt.len() < 8) {
        return Err(HashError::DamagedArgon2id);
    }
    Ok(hash)
}

fn bcrypt(text: &str) -> Result<&str, HashError> {
    let cost = text.parse::<bcrypt::HashParts>().map_err(|_| HashError::DamagedBcrypt)?.get_cost();
    if cost > MAX_BCRYPT_COST {
        return Err(HashError::BcryptCost(cost));
    }
    // There is no bcrypt below 4.
    if cost < 4 {
        return Err(HashError::DamagedBcrypt);
    }
    Ok(text)
}

/// Names the kinds that other programs write.
fn named(text: &str) -> HashError {
    const OTHERS: [(&str, &str); 15] = [
        ("$argon2i$", "argon2i"),
        ("$argon2d$", "argon2d"),
        ("$2x$", "bcrypt $2x$"),
        ("$apr1$", "Apache MD5"),
        ("$1$", "MD5"),
        ("$5$", "SHA-256 crypt"),
        ("$6$", "SHA-512 crypt"),
        ("$y$", "yescrypt"),
        ("$7$", "scrypt"),
        ("$scrypt$", "scrypt"),
        ("$pbkdf2", "PBKDF2"),
        ("{SHA}", "SHA-1"),
        ("{SSHA}", "salted SHA-1"),
        ("{PBKDF2", "PBKDF2"),
        ("{CRYPT}", "crypt"),
    ];
    OTHERS
        .iter()
        .find(|(prefix, _)| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
        .map_or(HashError::NoHash, |(_, name)| HashError::OtherKind(name))
}

/// How a new hash is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// argon2id with 19 MiB and two passes: what OWASP advises.
    Argon2id,
    /// bcrypt with this cost.
    Bcrypt {
        /// Each step more doubles the work.
        cost: u32,
    },
}

/// Why no hash was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewHashError {
    /// bcrypt would ignore the rest.
    #[error("the password has more than {BCRYPT_MAX_BYTES} bytes, and bcrypt ignores the rest: take argon2id")]
    TooLong,
    /// Outside of what the users file accepts.
    #[error("bcrypt's cost is a number from {ADVISED_BCRYPT_COST} to {MAX_BCRYPT_COST}")]
    Cost,
    /// The operating system gave no randomness, or no memory.
    #[error("the hash could not be computed")]
    Failed,
}

/// Hashes a password for the users file.
pub fn hash_password(password: &[u8], algorithm: HashAlgorithm) -> Result<String, NewHashError> {
    match algorithm {
        HashAlgorithm::Argon2id => {
            let hash: phc::PasswordHash = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
                .hash_password(password)
                .map_err(|_| NewHashError::Failed)?;
            Ok(hash.to_string())
        }
        HashAlgorithm::Bcrypt { .. } if password.len() > BCRYPT_MAX_BYTES => Err(NewHashError::TooLong),
        HashAlgorithm::Bcrypt { cost } if !(ADVISED_BCRYPT_COST..=MAX_BCRYPT_COST).contains(&cost) => Err(NewHashError::Cost),
        HashAlgorithm::Bcrypt { cost } => {
            let parts = bcrypt::hash_with_result(password, cost).map_err(|_| NewHashError::Failed)?;
            Ok(parts.format_for_version(bcrypt::Version::TwoY))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BCRYPT: &str = "$2y$04$2wqdTQEuphpKzBdEnpAt6elKvjORSVJMtFr91J55AKAr6UqA9FcqK";

    fn check(text: &str, expected: &str) {
        let shown = text.parse::<PasswordHash>().map_or_else(|error| error.to_string(), |hash| format!("{hash:?}"));
        assert_eq!(shown, expected, "{text}");
    }

    fn argon2id_of(parameters: &str) -> String {
        format!("$argon2id$v=19${parameters}$c29tZXNhbHRzb21lc2FsdA$MWnHKf1KmMmZlrNkpyMlUWHbVJdoX8Y3h5WwLsGZWbE")
    }

    #[test]
    fn other_kinds_are_refused_by_name_and_never_shown() {
        check("$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$x", "argon2i hashes are not accepted");
        check("$2x$04$2wqdTQEuphpKzBdEnpAt6elKvjORSVJMtFr91J55AKAr6UqA9FcqK", "bcrypt $2x$ hashes are not accepted");
        check("$apr1$x$y", "Apache MD5 hashes are not accepted");
        check("$1$x$y", "MD5 hashes are not accepted");
        check("$6$x$y", "SHA-512 crypt hashes are not accepted");
        check("{SHA}x", "SHA-1 hashes are not accepted");
        check("{ssha}x", "salted SHA-1 hashes are not accepted");
        check("$y$j9T$x", "yescrypt hashes are not accepted");
        check("hunter2", "this is not a password hash");
        check("", "this is not a password hash");
        check("ü", "this is not a password hash");
    }

    #[test]
    fn a_hash_cannot_ask_for_the_whole_machine() {
        check(&argon2id_of("m=19456,t=2,p=1"), "argon2id");
        check(&argon2id_of("m=4194304,t=2,p=1"), "this argon2id hash wants more than m=262144,t=16,p=16");
        check(&argon2id_of("m=19456,t=1000000,p=1"), "this argon2id hash wants more than m=262144,t=16,p=16");
        check(&argon2id_of("m=19456,t=2,p=200"), "this argon2id hash wants more than m=262144,t=16,p=16");
        check(&argon2id_of("m=19456,t=2"), "this argon2id hash is damaged");
        check(
            "$argon2id$v=16$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$MWnHKf1KmMmZlrNkpyMlUWHbVJdoX8Y3",
            "this argon2id hash is of another version than 19",
        );
        check("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA", "this argon2id hash is damaged");
        check("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$MWnHKf1KmMmZlg", "this argon2id hash is damaged");
        check(BCRYPT, "bcrypt");
        check(&BCRYPT.replace("$04$", "$31$"), "this bcrypt hash has cost 31; the highest that is accepted is 14");
        check(&BCRYPT.replace("$04$", "$03$"), "this bcrypt hash is damaged");
        check("$2y$10$short", "this bcrypt hash is damaged");
    }

    #[test]
    fn what_is_hashed_here_is_accepted_here() {
        for algorithm in [HashAlgorithm::Argon2id, HashAlgorithm::Bcrypt { cost: 10 }] {
            let text = hash_password(b"correct horse", algorithm).unwrap();
            let hash: PasswordHash = text.parse().unwrap();
            assert!(
                hash.matches(b"correct horse", &mut Scratch::default())
                    && !hash.matches(b"correct horsf", &mut Scratch::default())
                    && !hash.is_weak(),
                "{algorithm:?}"
            );
            assert_ne!(text, hash_password(b"correct horse", algorithm).unwrap(), "every hash has a salt of its own");
        }
    }

    #[test]
    fn bcrypt_never_ignores_the_end_of_a_long_password() {
        let long = [b'x'; 73];
        let hash: PasswordHash = bcrypt::hash(&long[..72], 4).unwrap().parse().unwrap();
        assert!(hash.matches(&long[..72], &mut Scratch::default()));
        assert!(!hash.matches(&long, &mut Scratch::default()));
        assert_eq!(hash_password(&long, HashAlgorithm::Bcrypt { cost: 10 }), Err(NewHashError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(\\$argon2id\\$|\\$2[aby]\\$)?.{0,80}") {
            let _ = text.parse::<PasswordHash>();
        }
    }
}
