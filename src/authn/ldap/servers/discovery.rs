//! Servers by DNS SRV records (RFC 2782): `_ldap._tcp.DOMAIN`, as Active Directory and `FreeIPA` publish them.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hickory_resolver::config::ResolverConfig;
use hickory_resolver::name_server::TokioConnectionProvider;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::{ResolveError, TokioResolver};
use tokio::time::sleep;

use super::super::endpoint::{Endpoint, Security};
use super::super::trouble::Trouble;
use super::Servers;

/// However short or long the records live.
const SHORTEST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_mins(5);
/// After a look-up without an answer.
const RETRY: Duration = Duration::from_secs(2);
/// One question to one name server.
const ANSWERS: Duration = Duration::from_secs(2);
/// More servers are not kept.
const MOST: usize = 32;

/// How servers are found.
#[derive(Debug)]
pub(in super::super) struct Discovery {
    /// Whose records are asked for, without a dot at the end.
    domain: String,
    /// Whether `ldap://` stays without TLS.
    plaintext: bool,
    /// Whether servers outside of the domain count: where the certificate's name is configured, DNS decides nothing.
    anywhere: bool,
    /// Who is asked; `None` for the system's name servers.
    config: Option<ResolverConfig>,
    resolver: Mutex<Option<Arc<TokioResolver>>>,
}

impl Discovery {
    /// By the system's name servers.
    pub(in super::super) fn new(domain: &str, plaintext: bool, anywhere: bool) -> Self {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        Self { domain, plaintext, anywhere, config: None, resolver: Mutex::default() }
    }

    /// By other name servers.
    #[cfg(test)]
    pub(super) fn asking(self, config: ResolverConfig) -> Self {
        Self { config: Some(config), ..self }
    }

    /// What is asked for.
    pub(super) fn name(&self) -> String {
        format!("_ldap._tcp.{}", self.domain)
    }

    /// The servers with priority and weight, and how long they are good for.
    pub(super) async fn look_up(&self) -> Result<(Vec<(Endpoint, u32, u32)>, Duration), Trouble> {
        let failed = |error: &ResolveError| {
            let why = if error.is_no_records_found() {
                format!("DNS has no SRV records at {}: is `discovery.domain` the DNS name of the directory?", self.name())
            } else {
                format!("{}: {error}", self.name())
            };
            Trouble::new("discovery", why)
        };
        let resolver = self.resolver().map_err(|error| failed(&error))?;
        // With the dot, no search domain is put behind it.
        let answer = resolver.srv_lookup(format!("{}.", self.name())).await.map_err(|error| failed(&error))?;
        let left = answer.as_lookup().valid_until().saturating_duration_since(std::time::Instant::now());
        let mut found: Vec<_> = answer.iter().filter_map(|record| self.endpoint(record)).collect();
        found.sort_by_key(|(_, priority, _)| *priority);
        found.truncate(MOST);
        if found.is_empty() {
            let why = format!("{} names no server at or below {}", self.name(), self.domain);
            return Err(Trouble::new("discovery", why));
        }
        Ok((found, left.clamp(SHORTEST, LONGEST)))
    }

    fn resolver(&self) -> Result<Arc<TokioResolver>, ResolveError> {
        let mut kept = self.resolver.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resolver) = &*kept {
            return Ok(Arc::clone(resolver));
        }
        let mut builder = match &self.config {
            None => TokioResolver::builder_tokio()?,
            Some(config) => TokioResolver::builder_with_config(config.clone(), TokioConnectionProvider::default()),
        };
        let options = builder.options_mut();
        (options.timeout, options.attempts, options.cache_size) = (ANSWERS, 2, 0);
        let resolver = Arc::new(builder.build());
        *kept = Some(Arc::clone(&resolver));
        Ok(resolver)
    }

    /// The certificate has to bear the target's name, so a target that DNS alone vouches for must not lie just anywhere:
    /// somebody who forges DNS has a certificate for a name of their own.
    fn endpoint(&self, record: &SRV) -> Option<(Endpoint, u32, u32)> {
        let host = record.target().to_ascii();
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        // A target of "." says that there is no such service.
        if host.is_empty() {
            return None;
        }
        let within = host.strip_suffix(&self.domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if !within && !self.anywhere {
            tracing::warn!(domain = self.domain, host, "DNS names a server outside of the domain; it is not asked");
            return None;
        }
        // One record that is no host's name must not hide the others.
        if rustls::pki_types::ServerName::try_from(host.as_str()).is_err() {
            tracing::warn!(domain = self.domain, host, "DNS names a server by what is no host's name; it is not asked");
            return None;
        }
        let security = match (record.port(), self.plaintext) {
            (636 | 3269, _) => Security::Tls,
            (_, true) => Security::None,
            (_, false) => Security::StartTls,
        };
        let endpoint = Endpoint { host, port: record.port(), security };
        Some((endpoint, u32::from(record.priority()), u32::from(record.weight())))
    }
}

/// Asks again and again, until the servers are dropped.
pub(super) async fn keep(servers: Weak<Servers>) {
    loop {
        let Some(kept) = servers.upgrade() else { return };
        let Some(discovery) = &kept.discovery else { return };
        let pause = match discovery.look_up().await {
            Ok((found, good_for)) => match kept.adopt(found) {
                Ok(()) => good_for,
                Err(error) => {
                    kept.not_found(Trouble::new("discovery", error.to_string()));
                    RETRY
                }
            },
            Err(trouble) => {
                let known = kept.listing();
                if known.trouble.is_none() {
                    tracing::warn!(provider = %kept.common.provider, reason = %trouble, "no servers are found in DNS; those known before stay");
                }
                kept.not_found(trouble);
                if known.servers.is_empty() { RETRY } else { SHORTEST }
            }
        };
        drop(kept);
        sleep(pause).await;
    }
}
