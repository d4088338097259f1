//! What is wrong in `services` and `signing`, beyond their shape.

use super::{ServiceSettings, SigningSettings, TokenTtl};
use crate::source::{Diagnostics, Located, Period, SourceFile};
use crate::token::profile::Anchor;

/// Clients treat what lives shorter as expired.
const SHORTEST_TTL: Period = Period::seconds(60);
/// A token cannot be called back.
const LONGEST_TTL: Period = Period::hours(24);
/// Leaves are looked at once an hour.
const SHORTEST_ROTATION: Period = Period::hours(1);
/// What a leaf needs beyond its rotation and the longest token: the hourly look, and one that failed.
const SLACK: Period = Period::hours(2);
/// Longer names are no host names.
const LONGEST_NAME: usize = 255;

impl ServiceSettings {
    /// Checks one service by itself; [`check_services`] checks them together.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        self.check_name(file, findings);
        self.check_address(file, findings);
        if self.issuer.value.trim().is_empty() {
            findings.push(
                file.error(self.issuer.place, "`issuer` is empty")
                    .hint("write what the registry's `auth.token.issuer` says, such as narrows"),
            );
        }
        self.token_ttl.check(file, findings);
        let (kind, algorithm) = (self.registry.value, self.algorithm.value);
        if !kind.verifies(algorithm) {
            let message = format!("`{}` cannot verify {} signatures", kind.as_str(), algorithm.as_str());
            findings.push(file.error(self.algorithm.place, message).hint("write ES256, ES384 or RS256"));
        }
        if let Some(rules) = &self.rules {
            rules.check(file, findings);
        }
        if let Some(own) = &self.signing {
            for (key, path) in [("certificate", &own.certificate), ("key", &own.key)] {
                if path.value.as_os_str().is_empty() {
                    findings.push(file.error(path.place, format!("`{key}` names no file")));
                }
            }
        }
    }

    fn check_name(&self, file: &SourceFile, findings: &mut Diagnostics) {
        let name = &self.name.value;
        let problem = if name.is_empty() {
            "a service needs a name"
        } else if name.len() > LONGEST_NAME {
            "a service's name has at most 255 bytes"
        } else if name.chars().any(char::is_control) || name.trim() != name {
            "a service's name holds no control characters and no spaces at its ends"
        } else {
            return;
        };
        findings.push(file.error(self.name.place, problem).hint("write what the registry's `auth.token.service` says"));
    }
}

impl ServiceSettings {
    /// It stands in a command that people paste into a shell.
    fn check_address(&self, file: &SourceFile, findings: &mut Diagnostics) {
        let Some(Located { value, place }) = &self.address else { return };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
        let starts = value.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'[');
        if !starts || value.len() > LONGEST_NAME || !value.bytes().all(fits) {
            let message = format!("`{}` is no address of a registry", value.escape_debug());
            findings
                .push(file.error(*place, message).hint("write what people type behind `docker login`, as in registry.corp.example:5000"));
        }
    }
}

impl TokenTtl {
    fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        for (key, ttl) in self.named() {
            if ttl.value < SHORTEST_TTL || ttl.value > LONGEST_TTL {
                let message = format!("`{key}: {}` is not between 60s and 24h", ttl.value);
                findings
                    .push(file.error(ttl.place, message).hint("clients treat shorter tokens as expired, and no token can be called back"));
            }
        }
    }

    fn longest(&self) -> Period {
        self.named().into_iter().map(|(_, ttl)| ttl.value).max().unwrap_or(LONGEST_TTL)
    }

    fn named(&self) -> [(&'static str, &Located<Period>); 4] {
        [("pull", &self.pull), ("push", &self.push), ("delete", &self.delete), ("catalog", &self.catalog)]
    }
}

impl SigningSettings {
    /// Checks the section by itself; [`check_services`] compares it with the tokens' lifetimes.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        if self.directory.value.as_os_str().is_empty() {
            findings.push(file.error(self.directory.place, "`directory` names no folder").hint("write keys, or a path"));
        }
        if self.rotate_every.value < SHORTEST_ROTATION {
            let message = format!("`rotate_every: {}` is shorter than an hour", self.rotate_every.value);
            findings.push(file.error(self.rotate_every.place, message).hint("leaves are looked at once an hour"));
        }
        if self.leaf_life.value <= self.rotate_every.value {
            let message = format!("`leaf_life: {}` is not longer than `rotate_every`", self.leaf_life.value);
            findings.push(file.error(self.leaf_life.place, message).hint("a leaf must outlive the tokens of its last minute; write 2d"));
        }
    }
}

/// Checks what services share: their names are their own, and a leaf outlives the last token that it signs.
pub fn check_services(services: &[ServiceSettings], signing: &SigningSettings, file: &SourceFile, findings: &mut Diagnostics) {
    if services.is_empty() {
        findings.push(
            file.error(Located::nowhere(()).place, "`services` is empty")
                .hint("write one entry for each registry: `services: [{name: registry.corp.example}]`"),
        );
    }
    for (index, service) in services.iter().enumerate() {
        if services.iter().take(index).any(|earlier| earlier.name == service.name) {
            let message = format!("service `{}` is there twice", service.name.value);
            findings.push(file.error(service.name.place, message).hint("a service is one registry; give the other one a name of its own"));
        }
        check_leaf(service, signing, file, findings);
    }
}

fn check_leaf(service: &ServiceSettings, signing: &SigningSettings, file: &SourceFile, findings: &mut Diagnostics) {
    let has_leaf = service.signing.is_none() && service.registry.value.anchor() == Anchor::Authority;
    let needed = signing.rotate_every.value.as_seconds() + service.token_ttl.longest().as_seconds() + SLACK.as_seconds();
    let (life, rotation) = (signing.leaf_life.value, signing.rotate_every.value);
    // A leaf that is no longer than its rotation has its own finding.
    if has_leaf && life > rotation && life.as_seconds() < needed {
        let message = format!(
            "`leaf_life: {life}` is too short for the tokens of service `{}`: it needs at least {}",
            service.name.value,
            Period::seconds(needed)
        );
        findings.push(
            file.error(signing.leaf_life.place, message)
                .hint("`rotate_every`, the longest `token_ttl` and two hours; registries refuse a token with its leaf"),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        services: Vec<ServiceSettings>,
        #[serde(default)]
        signing: SigningSettings,
    }

    /// The messages for one service written as a flow map, and a `signing` section.
    fn check(services: &str, signing: &str, expected: &str) {
        let file = SourceFile::new("narrows.yaml", format!("services: {services}\nsigning: {signing}\n"));
        let part: Part = file.parse().unwrap_or_else(|finding| panic!("{finding}"));
        let mut findings = Diagnostics::default();
        part.signing.check(&file, &mut findings);
        for service in &part.services {
            service.check(&file, &mut findings);
        }
        check_services(&part.services, &part.signing, &file, &mut findings);
        let shown: Vec<_> = findings.0.iter().map(crate::source::Diagnostic::summary).collect();
        if expected.is_empty() {
            assert!(shown.is_empty(), "{services} {signing}: {shown:?}");
        } else {
            assert!(shown.len() == 1 && shown[0].contains(expected), "{services} {signing}: {shown:?}");
        }
    }

    #[test]
    fn what_a_registry_cannot_use_is_refused_where_it_stands() {
        check("[{name: a}]", "{}", "");
        check("[{name: a, registry: distribution-3, algorithm: EdDSA}]", "{}", "");
        check("[{name: a, registry: distribution-2, algorithm: EdDSA}]", "{}", "1:59: `distribution-2` cannot verify EdDSA");
        check("[{name: a, registry: gitlab, algorithm: EdDSA}]", "{}", "`gitlab` cannot verify EdDSA");
        check("[{name: a, registry: zot, algorithm: RS256}]", "{}", "");
        check("[{name: a, issuer: ' '}]", "{}", "1:30: `issuer` is empty");
        check("[{name: ''}]", "{}", "a service needs a name");
        check("[{name: ' a'}]", "{}", "no spaces at its ends");
        check("[{name: \"a\\tb\"}]", "{}", "no control characters");
        check("[{name: a}, {name: b}, {name: a}]", "{}", "1:41: service `a` is there twice");
        check("[]", "{}", "`services` is empty");
        check("[{name: a, rules: other.yaml}, {name: b, rules: [c.yaml, {file: d.yaml, within: d/**}]}]", "{}", "");
        check("[{name: a, rules: []}]", "{}", "1:29: `rules` is an empty list");
    }

    #[test]
    fn lifetimes_have_bounds() {
        check("[{name: a, token_ttl: {pull: 60s, push: 2h}}]", "{}", "");
        check("[{name: a, token_ttl: {pull: 59s}}]", "{}", "`pull: 59s` is not between");
        check("[{name: a, token_ttl: {delete: 25h}}]", "{leaf_life: 9d}", "`delete: 25h` is not between");
        check("[{name: a}]", "{rotate_every: 10m}", "`rotate_every: 10m` is shorter");
        check("[{name: a}]", "{leaf_life: 1d}", "2:22: `leaf_life: 1d` is not longer");
        check("[{name: a, token_ttl: {push: 24h}}]", "{}", "it needs at least 50h");
        check("[{name: a, token_ttl: {push: 24h}}]", "{leaf_life: 50h}", "");
        check("[{name: a, token_ttl: {push: 24h}, registry: zot}]", "{}", "");
    }
}
