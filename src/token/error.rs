//! Why keys cannot be used, and what to do about it.

use std::path::PathBuf;

use super::certificate::CertificateError;
use super::files::FileError;
use super::private_key::PrivateKeyError;
use super::signer::SignError;

/// Why there are no keys for a service. Each message tells what to do next on a line of its own.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nothing was ever made.
    #[error("service `{service}` has no keys\nhint: run `narrows keys init --config FILE` once; `serve` makes none by itself")]
    Missing {
        /// Whose keys.
        service: String,
    },
    /// There were keys, and there are none now.
    #[error(
        "the keys of service `{service}` are gone: its registry trusts {remembered}\nhint: restore the folder of the keys; if they are lost \
         for good, run `narrows keys init --config FILE --service {service} --lost {remembered}` and give the registry the new bundle"
    )]
    Gone {
        /// Whose keys.
        service: String,
        /// The fingerprint that was in use.
        remembered: String,
    },
    /// Keys that nobody was told of.
    #[error(
        "the keys of service `{service}` are not the ones it had: {found} instead of {remembered}\nhint: restore the folder of the keys; if the \
         change is meant, run `narrows keys init --config FILE --service {service} --lost {remembered}` and give the registry the new bundle"
    )]
    Changed {
        /// Whose keys.
        service: String,
        /// The fingerprint that was in use.
        remembered: String,
        /// The one that is there.
        found: String,
    },
    /// Keys without the file that says which of them is used.
    #[error("`{}` does not name one of the keys beside it\nhint: restore it, or write the number of the key to use into it", path.display())]
    Undecided {
        /// The file.
        path: PathBuf,
    },
    /// A damaged or foreign key.
    #[error("`{}` {source}\nhint: restore the file; nothing is made in its place", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PrivateKeyError,
    },
    /// A damaged or foreign certificate.
    #[error("`{}` {source}\nhint: restore the file; nothing is made in its place", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CertificateError,
    },
    /// A key beside the certificate of another one.
    #[error("the key in `{}` is not the one of its certificate\nhint: bring both files of one pair", path.display())]
    Mismatch {
        /// The key's file.
        path: PathBuf,
    },
    /// A fixed key of another algorithm than the configuration's.
    #[error(
        "the key of service `{service}` signs {found}, and `algorithm` says {wanted}\nhint: run `narrows keys rotate --config FILE --service \
         {service}` to prepare a key of {wanted}, or write `algorithm: {found}`"
    )]
    Algorithm {
        /// Whose key.
        service: String,
        /// What the key signs.
        found: &'static str,
        /// What is configured.
        wanted: &'static str,
    },
    /// A brought key of another algorithm than the configuration's.
    #[error("`{}` holds a key for {found}, and `algorithm` says {wanted}\nhint: write `algorithm: {found}` at this service", path.display())]
    BroughtAlgorithm {
        /// The key's file.
        path: PathBuf,
        /// What the key signs.
        found: &'static str,
        /// What is configured.
        wanted: &'static str,
    },
    /// A brought certificate that has ended or not begun.
    #[error("the certificate in `{}` {when}\nhint: bring a certificate that is valid now", path.display())]
    NotValidNow {
        /// The certificate's file.
        path: PathBuf,
        /// `ended at …` or `begins at …`.
        when: String,
    },
    /// An authority past its end.
    #[error("the authority of service `{service}` ended at {when}\nhint: run `narrows keys new-ca --config FILE --service {service}`")]
    AuthorityEnded {
        /// Whose authority.
        service: String,
        /// When.
        when: String,
    },
    /// A key that everybody has.
    #[error("`{}` is {source_of_key}: its private half is public\nhint: make a key of your own", path.display())]
    PublishedKey {
        /// The key's file.
        path: PathBuf,
        /// Where it was published.
        source_of_key: &'static str,
    },
    /// A step of a change out of its order.
    #[error("service `{service}`: {problem}")]
    Step {
        /// Whose keys.
        service: String,
        /// Which step lacks, and what to run.
        problem: String,
    },
    /// A key or certificate that could not be made.
    #[error("no certificate could be made for service `{service}`: {source}")]
    Make {
        /// For whom.
        service: String,
        /// Why.
        source: CertificateError,
    },
    /// A token header that could not be written.
    #[error("no signer could be made for service `{service}`: {source}")]
    Signer {
        /// For whom.
        service: String,
        /// Why.
        source: SignError,
    },
}
