//! What the keys must satisfy before anybody is asked. Pure.

mod people;

use super::super::dn::Dn;
use super::super::endpoint::{Endpoint, Security};
use super::super::template::is_attribute;
use super::{LdapSettings, PoolSettings, ServiceAccount, Timeouts};
use crate::source::{Diagnostics, Located, OneOrMany, Period, Place, SourceFile};

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
    fn not_yet(&mut self, place: Place, what: &str) {
        self.error(place, format!("`{what}` is not available yet"), "remove it");
    }
    fn unless_default<T: PartialEq>(&mut self, value: &Located<T>, default: &T, what: &str) {
        if value.value != *default {
            self.error(value.place, format!("another `{what}` than the default is not available yet"), "remove it");
        }
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
        if let Some(discovery) = &self.discovery {
            findings.not_yet(discovery.place, "discovery");
        }
        let Some(first) = self.servers.first() else {
            findings.error(self.service_account.place, "`servers` names no server", "as in servers: [\"ldaps://ldap.corp.example\"]");
            return;
        };
        if let Some(second) = self.servers.get(1) {
            findings.error(second.place, "more than one server is not available yet", "name one");
        }
        if first.value.priority != 0 {
            findings.not_yet(first.place, "priority");
        }
        match Endpoint::parse(&first.value.url, self.allow_plaintext.value) {
            Err(error) => findings.error(first.place, error.to_string(), "as in ldaps://ldap.corp.example or ldap://10.0.0.1:389"),
            Ok(endpoint) => match endpoint.security {
                Security::None => {
                    findings.warning(
                        self.allow_plaintext.place,
                        "passwords travel readable between narrows and the directory",
                        "remove `allow_plaintext`; ldap:// then uses StartTLS",
                    );
                    if let Some(ca) = &self.tls.ca {
                        findings.warning(ca.file.place, "`tls` does nothing with `allow_plaintext` and ldap://", "remove one of them");
                    }
                }
                Security::Tls if self.allow_plaintext.value => {
                    findings.warning(self.allow_plaintext.place, "`allow_plaintext` does nothing for ldaps://", "remove it");
                }
                Security::Tls | Security::StartTls => {}
            },
        }
    }

    fn check_tls(&self, findings: &mut Findings<'_>) {
        if let Some(certificate) = &self.tls.certificate {
            findings.not_yet(certificate.place, "tls.certificate");
        }
        if let Some(key) = &self.tls.key {
            findings.not_yet(key.place, "tls.key");
        }
        if let Some(name) = &self.tls.server_name
            && rustls::pki_types::ServerName::try_from(name.value.as_str()).is_err()
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
            ServiceAccount::External => findings.not_yet(self.service_account.place, "service_account: external"),
            ServiceAccount::Anonymous => findings.not_yet(self.service_account.place, "service_account: anonymous"),
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
                        "as in cn=narrows,ou=services,dc=corp,dc=example",
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

impl PoolSettings {
    fn check(&self, findings: &mut Findings<'_>) {
        let default = Self::default();
        findings.unless_default(&self.search, &default.search.value, "pool.search");
        findings.unless_default(&self.in_flight, &default.in_flight.value, "pool.in_flight");
        findings.unless_default(&self.bind, &default.bind.value, "pool.bind");
        findings.unless_default(&self.max_age, &default.max_age.value, "pool.max_age");
        findings.unless_default(&self.max_operations, &default.max_operations.value, "pool.max_operations");
    }
}
