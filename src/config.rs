//! What an operator wrote: one file, read strictly, checked whole before anything is built from it.
//!
//! Sections live beside the code that they configure; here stand the keys of the service itself, and what two sections
//! must agree on. Only the command line reads the environment (`NARROWS_CONFIG` names the file), and secrets do.

mod agree;
mod document;
mod environment;
mod listen;
mod log;
mod rules;
mod schema;

pub use document::TlsSettings;
pub use log::{LogFormat, LogLevel, LogSettings};
pub use schema::schema;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;
use url::Url;

use crate::audit::settings::AuditSettings;
use crate::authn::settings::{CacheSettings, ProviderSettings, ThrottleSettings, check_providers};
use crate::authz::settings::{PolicyTests, ReloadSettings, RulesSettings};
use crate::source::{Diagnostics, Located, Period, SourceFile};
use crate::store::settings::StateSettings;
use crate::token::identity_token::settings::IdentityTokenSettings;
use crate::token::settings::{ServiceSettings, SigningSettings, check_services};
use document::Document;

/// A configuration that passed every check that needs no other file. Relative paths are meant from [`Config::folder`].
#[derive(Clone, Debug)]
pub struct Config {
    /// The file itself, so that later findings can show its lines.
    pub file: SourceFile,
    /// Where clients are served.
    pub listen: Located<SocketAddr>,
    /// Where operators are served: metrics, readiness with reasons, status.
    pub admin_listen: Located<SocketAddr>,
    /// How clients reach `listen`.
    pub public_url: Option<Located<Url>>,
    /// The certificate of `listen`.
    pub tls: Option<TlsSettings>,
    /// Whether a proxy in front speaks TLS.
    pub behind_proxy: bool,
    /// Who may name the client's address.
    pub trusted_proxies: Arc<[IpNet]>,
    /// The registries.
    pub services: Vec<ServiceSettings>,
    /// Where keys live and how they are renewed.
    pub signing: SigningSettings,
    /// The rules of those services that have none of their own.
    pub rules: Option<RulesSettings>,
    /// Tests of the rules.
    pub policy_tests: PolicyTests,
    /// When changed files are picked up.
    pub reload: ReloadSettings,
    /// The sources of identities.
    pub providers: Vec<ProviderSettings>,
    /// What is remembered of verified and rejected credentials.
    pub credentials_cache: CacheSettings,
    /// How long a token request may take.
    pub request_deadline: Period,
    /// The shield in front of directories.
    pub throttle: ThrottleSettings,
    /// What outlives the process.
    pub state: StateSettings,
    /// How long a saved login lasts.
    pub identity_tokens: IdentityTokenSettings,
    /// Where decisions are written.
    pub audit: AuditSettings,
    /// How the service logs.
    pub log: LogSettings,
}

impl Config {
    /// The files whose change makes a provider another: users, certificates, secrets.
    pub fn provider_files(&self) -> Vec<PathBuf> {
        self.providers.iter().flat_map(|provider| provider.files(self.folder())).collect()
    }

    /// The certificate of `listen` and its key.
    pub fn tls_files(&self) -> Option<(PathBuf, PathBuf)> {
        let tls = self.tls.as_ref()?;
        Some((self.folder().join(&tls.certificate.value), self.folder().join(&tls.key.value)))
    }

    /// The folder that relative paths of the configuration are meant from.
    pub fn folder(&self) -> &Path {
        self.file.folder()
    }
}

/// Reads and checks a configuration file. Warnings come with the configuration, errors instead of it, each with its
/// place and in the order of the file. Reads no other file.
pub fn load(path: &Path) -> Result<(Config, Diagnostics), Diagnostics> {
    parse(SourceFile::load(path)?)
}

/// The same for a text that was read before.
pub fn parse(file: SourceFile) -> Result<(Config, Diagnostics), Diagnostics> {
    let document: Document = file.parse()?;
    let mut findings = Diagnostics::default();
    let listening = listen::resolve(&document, &file, &mut findings);
    sections(&document, &file, &mut findings);
    agree::check(&document, &file, &mut findings);
    // A missing key has no place and comes first.
    findings.0.sort_by_key(|finding| finding.place);
    let complete = !findings.has_errors();
    match listening {
        Some(listening) if complete => Ok((
            Config {
                listen: listening.listen,
                admin_listen: listening.admin_listen,
                public_url: listening.public_url,
                tls: document.tls,
                behind_proxy: document.behind_proxy.value,
                trusted_proxies: listening.trusted_proxies.into(),
                services: document.services,
                signing: document.signing,
                rules: document.rules,
                policy_tests: document.policy_tests,
                reload: document.reload,
                providers: document.providers,
                credentials_cache: document.credentials_cache,
                request_deadline: document.request_deadline.value,
                throttle: document.throttle,
                state: document.state,
                identity_tokens: document.identity_tokens,
                audit: document.audit,
                log: document.log,
                file,
            },
            findings,
        )),
        Some(_) | None => Err(findings),
    }
}

/// What each section says about itself.
fn sections(document: &Document, file: &SourceFile, findings: &mut Diagnostics) {
    for service in &document.services {
        service.check(file, findings);
    }
    document.signing.check(file, findings);
    check_services(&document.services, &document.signing, file, findings);
    document.policy_tests.check(file, findings);
    check_providers(&document.providers, file, findings);
    for provider in &document.providers {
        if let Some(ldap) = &provider.ldap {
            ldap.value.check(file, findings);
        }
        if let Some(oidc) = &provider.oidc {
            oidc.value.check(file, findings);
        }
    }
    document.credentials_cache.check(file, findings);
    document.throttle.check(file, findings);
    if let Some(rules) = &document.rules {
        rules.check(file, findings);
    }
    document.reload.check(file, findings);
    document.state.check(file, findings);
    document.identity_tokens.check(file, findings);
    document.audit.check(file, findings);
}
