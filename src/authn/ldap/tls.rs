//! Whom a TLS connection to a directory trusts.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use zeroize::Zeroizing;

use super::settings::{TlsSettings, TlsVersion};
use crate::authn::trust::{TrustError, roots_of_file, roots_of_system};
use crate::source::read_whole;

/// A chain, or a key.
const MAX_OWN: u64 = 256 * 1024;

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
    /// A file cannot be read, or holds nothing.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The name is no name.
    #[error("`{0}` is not a name that a certificate can bear")]
    Name(String),
    /// The TLS library refuses the settings.
    #[error("{0}")]
    Library(#[from] rustls::Error),
}

/// What every server of a provider is trusted by.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    config: Arc<ClientConfig>,
    name: Option<String>,
}

impl Trust {
    /// Trust as configured: the CA file alone, or else the system's certificates; and the certificate to show.
    pub(super) fn build(settings: &TlsSettings, folder: &Path) -> Result<Self, TlsError> {
        let roots = match &settings.ca {
            Some(ca) => roots_of_file(&folder.join(&ca.file.value))?,
            None => roots_of_system()?,
        };
        let versions: &[&rustls::SupportedProtocolVersion] = match settings.min_version.as_ref().map(|version| version.value) {
            None | Some(TlsVersion::Tls12) => &[&rustls::version::TLS13, &rustls::version::TLS12],
            Some(TlsVersion::Tls13) => &[&rustls::version::TLS13],
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions)?.with_root_certificates(roots);
        let config = match (&settings.certificate, &settings.key) {
            (Some(certificate), Some(key)) => {
                let (chain, key) = own_certificate(&folder.join(&certificate.value), &folder.join(&key.value))?;
                config.with_client_auth_cert(chain, key)?
            }
            (None, _) | (_, None) => config.with_no_client_auth(),
        };
        Ok(Self { config: Arc::new(config), name: settings.server_name.as_ref().map(|name| name.value.clone()) })
    }

    /// The same for one server, whose certificate must bear its host's name or the configured one.
    pub(super) fn client(&self, host: &str) -> Result<TlsClient, TlsError> {
        let name = self.name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
        Ok(TlsClient { config: Arc::clone(&self.config), name })
    }
}

fn own_certificate(certificate: &Path, key: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let failed = |path: &Path, cause: String| TrustError::File { path: path.to_owned(), cause };
    let text = read_whole(certificate, MAX_OWN).map_err(|error| failed(certificate, error.to_string()))?;
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|error| failed(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(failed(certificate, "it holds no certificate in PEM".to_owned()).into());
    }
    let text = Zeroizing::new(read_whole(key, MAX_OWN).map_err(|error| failed(key, error.to_string()))?);
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| failed(key, format!("it holds no private key in PEM: {error}")))?;
    Ok((chain, key))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// That trusts an authority that has signed nothing.
    pub(in super::super) fn trust() -> Trust {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let authority = rcgen::CertificateParams::new(["ca".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let settings = crate::source::SourceFile::new("x.yaml", "ca: {file: ca.pem}").parse::<TlsSettings>().unwrap();
        Trust::build(&settings, folder.path()).unwrap()
    }
}
