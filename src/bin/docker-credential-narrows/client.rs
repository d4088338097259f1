//! HTTP as this program speaks it: no redirects, short patience, small answers, and TLS wherever it leaves the machine.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use narrows::source::read_whole;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use url::Url;
use zeroize::Zeroizing;

use crate::address::is_loopback;
use crate::failure::Failure;
use crate::terminal::shown;

const CONNECT: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(30);
/// Of an answer.
const LARGEST: usize = 64 * 1024;
/// Of a file of certificates.
const LARGEST_CA: u64 = 4 * 1024 * 1024;

/// Asks one server.
#[derive(Debug)]
pub(crate) struct Client(reqwest::Client);

/// What came back.
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// After how many seconds to ask again.
    pub(crate) retry_after: Option<u64>,
    /// The challenges of a 401.
    pub(crate) challenges: Vec<String>,
    /// May hold a token.
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreachable(pub(crate) String);

impl Client {
    /// For the server of `url`, whose certificate the system or a file vouches for.
    pub(crate) fn new(url: &Url, ca: Option<&Path>) -> Result<Self, Failure> {
        let unusable = |cause: &dyn Error| Failure::Bad(format!("TLS cannot be set up: {cause}"));
        let roots = roots(url, ca)?;
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("docker-credential-narrows/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .timeout(WHOLE);
        if is_loopback(url) {
            // Without TLS, and a proxy is not this machine.
            builder = builder.no_proxy();
        }
        builder.build().map(Self).map_err(|error| unusable(&error))
    }

    /// `GET`, without credentials.
    pub(crate) async fn get(&self, url: Url) -> Result<Answer, Unreachable> {
        answer(self.0.get(url)).await
    }

    /// `POST` of a form.
    pub(crate) async fn post(&self, url: Url, form: &[(&str, &str)]) -> Result<Answer, Unreachable> {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        answer(self.0.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body.finish())).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, Unreachable> {
    let mut response = request.send().await.map_err(unreachable)?;
    let text = |name| response.headers().get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned);
    let challenges = text(WWW_AUTHENTICATE).collect();
    let retry_after = text(RETRY_AFTER).next().and_then(|seconds| seconds.trim().parse().ok());
    let status = response.status().as_u16();
    // Room for all of it at once: a growing buffer would leave copies behind.
    let mut body = Zeroizing::new(Vec::with_capacity(LARGEST));
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(Unreachable(format!("its answer is larger than {} KiB", LARGEST / 1024)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after, challenges, body })
}

/// The innermost causes; the outer ones repeat the address, and addresses are ours to print.
fn unreachable(error: reqwest::Error) -> Unreachable {
    if error.is_timeout() {
        return Unreachable("it does not answer in time".to_owned());
    }
    let error = error.without_url();
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.dedup();
    Unreachable(shown(&causes.join(": ")))
}

fn roots(url: &Url, ca: Option<&Path>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        let failed = |cause: String| Failure::Bad(format!("cannot read certificates from `{}`: {cause}", path.display()));
        let text = read_whole(path, LARGEST_CA).map_err(|error| failed(error.to_string()))?;
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate.map_err(|error| failed(error.to_string()))?;
            roots.add(certificate).map_err(|error| failed(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(failed("it holds none in PEM".to_owned()));
        }
    }
    if url.scheme() == "https" {
        // One unreadable file among the system's must not hide the rest.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(Failure::Bad("the system has no certificates to trust: name a file with --ca".to_owned()));
        }
    }
    Ok(roots)
}

/// The place of a file of certificates, whatever folder the next command runs in.
pub(crate) fn place(ca: &Path) -> Result<PathBuf, Failure> {
    ca.canonicalize().map_err(|error| Failure::Bad(format!("cannot read certificates from `{}`: {error}", ca.display())))
}
