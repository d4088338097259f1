//! Which certificate authorities vouch for a server: those of a file, or else the system's.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::source::read_whole;

/// The certificates of every authority there is take a quarter of a mebibyte.
const MAX_ROOTS: u64 = 4 * 1024 * 1024;

/// Why there is no trust to build on.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrustError {
    /// A file is missing or is no PEM.
    #[error("cannot read `{}`: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// There is not one certificate.
    #[error("{0} holds no certificate that can be trusted; a file in DER becomes PEM by `openssl x509 -inform der -in FILE -out ca.pem`")]
    Empty(String),
}

/// The authorities of a PEM file, and nobody else's.
pub(super) fn roots_of_file(path: &Path) -> Result<RootCertStore, TrustError> {
    let failed = |cause: String| TrustError::File { path: path.to_owned(), cause };
    let mut roots = RootCertStore::empty();
    let text = read_whole(path, MAX_ROOTS).map_err(|error| failed(error.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() { Err(TrustError::Empty(format!("`{}`", path.display()))) } else { Ok(roots) }
}

/// The authorities that this machine trusts.
pub(super) fn roots_of_system() -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    // One unreadable file among the system's must not hide the rest.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TrustError::Empty("the system's certificate store".to_owned())) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_read_from_a_regular_file_only() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [&*pipe, folder.path(), Path::new("/dev/zero")] {
            let error = roots_of_file(path).unwrap_err().to_string();
            assert!(error.contains("it is not a regular file"), "{error}");
        }
    }
}
