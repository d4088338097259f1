//! What the keys must satisfy before anybody is asked. Pure.

mod people;

use rustls::pki_types::ServerName;

use super::super::dn::Dn;
use super::super::endpoint::{Endpoint, Security};
use super::super::template::is_attribute;
use super::{Discovery, LdapSettings, PoolSettings, ServiceAccount, Timeouts};
use crate::source::{Diagnostics, Located, OneOrMany, Period, Place, SourceFile};

/// Said of every server that is asked without TLS.
const PLAINTEXT: &str = "passwords travel readable between narrows and the directory";

/// The findings of one file, gathered.
struct Findings<'a> {
    file: &'a SourceFile,
    found: &'a mut Diagnostics,
}

impl Findings<'_> {
    fn error(&mut self, place: Place, message: impl Into<String>, hint: &str) {
        self.found.push(self.file.error(place, message).hint(hint));
    }
    fn warning(&mut self, place: Place, message: impl Into<String>, hint: &str) {
        self.found.push(self.file.warning(place, message).hint(hint));
    }
    fn attribute(&mut self, name: &Located<String>) {
        if !is_attribute(&name.value) {
            self.error(name.place, format!("`{}` is not the name of an attribute", name.value), "letters, digits and hyphens");
        }
    }
    fn bases(&mut self, bases: &OneOrMany) {
        for base in &bases.0 {
            match base.value.parse::<Dn>() {
                Ok(dn) if dn.is_empty() => self.error(base.place, "a base may not be empty", "write the DN of the subtree"),
                Ok(_) => {}
                Err(error) => {
                    self.error(base.place, format!("`{}` is not a DN: {error}", base.value), "as in ou=people,dc=corp,dc=example");
                }
            }
        }
    }
}

impl LdapSettings {
    /// Every key on its own and against the others.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        let findings = &mut Findings { file, found: findings };
        self.check_servers(findings);
        self.check_tls(findings);
        self.check_service_account(findings);
        self.check_user(findings);
        self.check_groups(findings);
        self.timeouts.check(findings);
        self.pool.check(findings);
    }

    fn check_servers(&self, findings: &mut Findings<'_>) {
        match (&self.discovery, self.servers.first()) {
            (Some(discovery), Some(_)) => {
                findings.error(discovery.place, "`servers` and `discovery` are two ways to say the same", "keep one");
            }
            (Some(discovery), None) => discovery.value.check(self.allow_plaintext.value, findings),
            (None, Some(_)) => {}
            (None, None) => {
                let place = self.service_account.place;
                findings.error(place, "`servers` names no server", "as in servers: [\"ldaps://ldap.corp.example\"]");
            }
        }
        let mut seen: Vec<Endpoint> = Vec::new();
        let mut plain = false;
        for server in &self.servers {
            match Endpoint::parse(&server.value.url, self.allow_plaintext.value) {
                Err(error) => findings.error(server.place, error.to_string(), "as in ldaps://ldap.corp.example or ldap://10.0.0.1:389"),
                Ok(endpoint) if seen.contains(&endpoint) => {
                    findings.error(server.place, format!("`{endpoint}` is named twice"), "remove one of them");
                }
                Ok(endpoint) => {
                    plain |= endpoint.security == Security::None;
                    seen.push(endpoint);
                }
            }
        }
        let protected = seen.iter().any(|endpoint| endpoint.security != Security::None);
        if plain {
            findings.warning(self.allow_plaintext.place, PLAINTEXT, "remove `allow_plaintext`; ldap:// then uses StartTLS");
            if let Some(ca) = self.tls.ca.as_ref().filter(|_| !protected) {
                findings.warning(ca.file.place, "`tls` does nothing with `allow_plaintext` and ldap://", "remove one of them");
            }
        } else if self.allow_plaintext.value && self.discovery.is_none() && !seen.is_empty() {
            findings.warning(self.allow_plaintext.place, "`allow_plaintext` does nothing for ldaps://", "remove it");
        }
        if plain && matches!(self.service_account.value, ServiceAccount::External) {
            findings.error(self.service_account.place, "`service_account: external` needs TLS", "remove `allow_plaintext`");
        }
    }

    fn check_tls(&self, findings: &mut Findings<'_>) {
        match (&self.tls.certificate, &self.tls.key) {
            (Some(alone), None) => findings.error(alone.place, "`tls.certificate` needs `tls.key`", "name the file with its key"),
            (None, Some(alone)) => findings.error(alone.place, "`tls.key` needs `tls.certificate`", "name the file with its certificate"),
            (None, None) if matches!(self.service_account.value, ServiceAccount::External) => findings.error(
                self.service_account.place,
                "`service_account: external` needs a client certificate",
                "name it in `tls.certificate` and `tls.key`",
            ),
            (Some(_), Some(_)) | (None, None) => {}
        }
        if let Some(name) = &self.tls.server_name
            && ServerName::try_from(name.value.as_str()).is_err()
        {
            findings.error(
                name.place,
                format!("`{}` is not a name that a certificate can bear", name.value),
                "a DNS name or an IP address",
            );
        }
    }

    fn check_service_account(&self, findings: &mut Findings<'_>) {
        match &self.service_account.value {
            ServiceAccount::External | ServiceAccount::Anonymous => {}
            ServiceAccount::Simple { dn, password } => {
                // Active Directory also takes user@domain there; an empty DN would be an anonymous bind.
                if dn.value.trim().is_empty() {
                    findings.error(dn.place, "the service account's DN is empty", "as in cn=narrows,ou=services,dc=corp,dc=example");
                } else if !dn.value.contains('@')
                    && let Err(error) = dn.value.parse::<Dn>()
                {
                    findings.error(
                        dn.place,
                        format!("`{}` is not a DN: {error}", dn.value),
                        "as in cn=narrows,ou=services,dc=corp,dc=example; Active Directory also takes svc-narrows@corp.example",
                    );
                }
                if password.value.is_plain() {
                    findings.warning(
                        password.place,
                        "the service account's password stands in the configuration",
                        "write password: {file: PATH}",
                    );
                }
            }
        }
    }
}

impl Timeouts {
    fn check(&self, findings: &mut Findings<'_>) {
        for (period, name) in [(&self.connect, "connect"), (&self.tls, "tls"), (&self.bind, "bind"), (&self.search, "search")] {
            if period.value < Period::milliseconds(50) || period.value > Period::minutes(1) {
                findings.error(period.place, format!("`timeouts.{name}` is not between 50ms and 1m"), "the default is a few seconds");
            }
        }
    }
}

impl Discovery {
    fn check(&self, plaintext: bool, findings: &mut Findings<'_>) {
        let domain = &self.domain;
        let name = domain.value.trim_end_matches('.');
        let is_domain = name.contains('.') && matches!(ServerName::try_from(name), Ok(ServerName::DnsName(_)));
        if !is_domain {
            findings.error(domain.place, format!("`{}` is not a domain", domain.value), "as in corp.example");
        }
        if plaintext {
            findings.warning(domain.place, PLAINTEXT, "remove `allow_plaintext`; servers at port 389 then use StartTLS");
        }
    }
}

impl PoolSettings {
    fn check(&self, findings: &mut Findings<'_>) {
        for (value, most, name) in [(&self.search, 16, "search"), (&self.in_flight, 512, "in_flight"), (&self.bind, 256, "bind")] {
            if value.value == 0 || value.value > most {
                findings.error(value.place, format!("`pool.{name}` is not between 1 and {most}"), "the default suits most directories");
            }
        }
        if self.max_age.value < Period::seconds(10) || self.max_age.value > Period::days(1) {
            findings.error(self.max_age.place, "`pool.max_age` is not between 10s and 1d", "the default is 10m");
        }
        if !(1..=10_000_000).contains(&self.max_operations.value) {
            findings.error(self.max_operations.place, "`pool.max_operations` is not between 1 and 10000000", "the default is 100000");
        }
    }
}
