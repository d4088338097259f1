//! Whom a TLS connection to a directory trusts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::settings::{TlsSettings, TlsVersion};
use crate::source::read_whole;

/// The certificates of every authority there is take a quarter of a mebibyte.
const MAX_ROOTS: u64 = 4 * 1024 * 1024;

/// What a handshake needs.
#[derive(Clone, Debug)]
pub(super) struct TlsClient {
    /// Trust and versions.
    pub(super) config: Arc<ClientConfig>,
    /// The name that the certificate must bear.
    pub(super) name: ServerName<'static>,
}

/// Why there is no trust to build on.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// The CA file is missing or is no PEM.
    #[error("cannot read certificates from `{}`: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// There is not one certificate.
    #[error("{0} holds no certificate that can be trusted")]
    Empty(String),
    /// The name is no name.
    #[error("`{0}` is not a name that a certificate can bear")]
    Name(String),
    /// The TLS library refuses the settings.
    #[error("{0}")]
    Library(#[from] rustls::Error),
}

impl TlsClient {
    /// Trust as configured: the CA file alone, or else the system's certificates.
    pub(super) fn build(settings: &TlsSettings, host: &str, folder: &Path) -> Result<Self, TlsError> {
        let roots = match &settings.ca {
            Some(ca) => roots_of_file(&folder.join(&ca.file.value))?,
            None => roots_of_system()?,
        };
        let versions: &[&rustls::SupportedProtocolVersion] = match settings.min_version.as_ref().map(|version| version.value) {
            None | Some(TlsVersion::Tls12) => &[&rustls::version::TLS13, &rustls::version::TLS12],
            Some(TlsVersion::Tls13) => &[&rustls::version::TLS13],
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = settings.server_name.as_ref().map_or(host, |name| name.value.as_str());
        let name = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
        Ok(Self { config: Arc::new(config), name })
    }
}

fn roots_of_file(path: &Path) -> Result<RootCertStore, TlsError> {
    let failed = |cause: String| TlsError::File { path: path.to_owned(), cause };
    let mut roots = RootCertStore::empty();
    let text = read_whole(path, MAX_ROOTS).map_err(|error| failed(error.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() { Err(TlsError::Empty(format!("`{}`", path.display()))) } else { Ok(roots) }
}

fn roots_of_system() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // One unreadable file among the system's must not hide the rest.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::Empty("the system's certificate store".to_owned())) } else { Ok(roots) }
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
