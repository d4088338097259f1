//! The certificate of `listen`, replaced while connections are open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::source::read_whole;

/// No chain and no key is longer.
const MAX_BYTES: u64 = 1024 * 1024;

/// A certificate chain and its key, and the files that they come from.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<ArcSwap<ServerConfig>>,
}

/// Why a certificate and a key cannot be used. Never quotes a file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, unreadable, or not PEM.
    #[error("cannot read the {what} `{}`: {reason}", path.display())]
    Unreadable {
        /// `certificate` or `key`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What to do about it.
        reason: String,
    },
    /// Both were read, and do not belong together or are of an unknown kind.
    #[error("the certificate `{}` and the key `{}` cannot be used together: {source}", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
}

impl TlsError {
    /// The file to look at.
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. } | Self::Unusable { certificate: path, .. } => path,
        }
    }
}

impl Tls {
    /// Reads a PEM certificate chain (leaf first) and its key.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let current = Arc::new(ArcSwap::from(read(certificate, key)?));
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), current })
    }

    /// Reads the files again; what is used does not change.
    pub fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        read(&self.certificate, &self.key)
    }

    /// New connections are answered with this from now on.
    pub fn swap(&self, certificate: Arc<ServerConfig>) {
        self.current.store(certificate);
    }

    /// What connections are answered with.
    pub fn current(&self) -> Arc<ArcSwap<ServerConfig>> {
        Arc::clone(&self.current)
    }
}

/// Reads a certificate chain (leaf first) and its key: TLS 1.2 and 1.3, HTTP/1.1.
fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = read_whole(certificate, MAX_BYTES).map_err(pem::Error::Io);
    let chain = chain.and_then(|text| CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>());
    let chain = chain.and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) });
    let chain = chain.map_err(|error| unreadable("certificate", certificate, &error))?;
    let secret = read_whole(key, MAX_BYTES).map(Zeroizing::new).map_err(pem::Error::Io);
    let secret = secret.and_then(|text| PrivateKeyDer::from_pem_slice(&text)).map_err(|error| unreadable("key", key, &error))?;
    let unusable = |source| TlsError::Unusable { certificate: certificate.to_owned(), key: key.to_owned(), source };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A full handshake costs several times what a token does, and clients open a connection for each.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(unusable)?;
    Ok(Arc::new(config))
}

fn unreadable(what: &'static str, path: &Path, error: &pem::Error) -> TlsError {
    let reason = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!("it holds no {what} in PEM form (-----BEGIN …)"),
        // The others would quote the file, and the file may be a key.
        pem::Error::MissingSectionEnd { .. }
        | pem::Error::IllegalSectionStart { .. }
        | pem::Error::Base64Decode(_)
        | pem::Error::SectionTooLarge
        | _ => "its PEM is damaged: copy the file again".to_owned(),
    };
    TlsError::Unreadable { what, path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair {
        certificate: PathBuf,
        key: PathBuf,
    }

    fn pair(folder: &Path, name: &str) -> Pair {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let pair = Pair { certificate: folder.join(format!("{name}.crt")), key: folder.join(format!("{name}.key")) };
        std::fs::write(&pair.certificate, made.cert.pem()).unwrap();
        std::fs::write(&pair.key, made.signing_key.serialize_pem()).unwrap();
        pair
    }

    #[test]
    fn errors_name_the_file_and_never_quote_it() {
        let folder = tempfile::tempdir().unwrap();
        let (good, other) = (pair(folder.path(), "good"), pair(folder.path(), "other"));
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let secret = std::fs::read_to_string(&good.key).unwrap();
        let cut = write("cut.key", secret.rsplit_once("-----END").unwrap().0);
        let garbled = write("garbled.key", &secret.replacen("PRIVATE KEY-----\n", "PRIVATE KEY-----\n!!!!", 1));
        let (empty, missing) = (write("empty", ""), folder.path().join("missing"));
        let check = |certificate: &Path, key: &Path, named: &Path, expected: &str| {
            let error = Tls::load(certificate, key).unwrap_err().to_string();
            assert!(error.contains(&named.display().to_string()) && error.contains(expected), "{error}");
            assert!(secret.lines().all(|line| line.starts_with("-----") || !error.contains(line)), "{error}");
        };
        check(&missing, &good.key, &missing, "cannot read the certificate");
        check(&empty, &good.key, &empty, "it holds no certificate in PEM form");
        check(&good.key, &good.key, &good.key, "it holds no certificate in PEM form");
        check(&good.certificate, &missing, &missing, "cannot read the key");
        check(&good.certificate, &good.certificate, &good.certificate, "it holds no key in PEM form");
        check(&good.certificate, &cut, &cut, "damaged");
        check(&good.certificate, &garbled, &garbled, "damaged");
        check(&good.certificate, &other.key, &other.key, "cannot be used together");
        let (pipe, endless) = (folder.path().join("pipe"), Path::new("/dev/zero"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        check(&pipe, &good.key, &pipe, "it is not a regular file");
        check(&good.certificate, &pipe, &pipe, "it is not a regular file");
        check(endless, &good.key, endless, "it is not a regular file");
    }

    #[test]
    fn a_half_written_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let pair = pair(folder.path(), "one");
        let tls = Tls::load(&pair.certificate, &pair.key).unwrap();
        let before = tls.current().load_full();
        std::fs::write(&pair.certificate, "-----BEGIN CERTIFICATE-----\nhalf").unwrap();
        assert_eq!(tls.read().unwrap_err().path(), pair.certificate);
        assert!(Arc::ptr_eq(&tls.current().load_full(), &before));
    }
}
