//! The commented configuration and the reference page name every key that is read.

use std::collections::BTreeSet;
use std::path::Path;

use narrows::config;
use narrows::source::SourceFile;

/// Where a key can stand: text before and after it. The reader itself lists the keys that may stand there.
const SECTIONS: [(&str, &str, &str); 41] = [
    ("", "", ""),
    ("tls", "tls: {", "}"),
    ("services", "services: [{", "}]"),
    ("services.token_ttl", "services: [{name: x, token_ttl: {", "}}]"),
    ("services.signing", "services: [{name: x, signing: {", "}}]"),
    ("services.rules", "services: [{name: x, rules: [{", "}]}]"),
    ("signing", "signing: {", "}"),
    ("rules", "rules: [{", "}]"),
    ("reload", "reload: {", "}"),
    ("credentials_cache", "credentials_cache: {", "}"),
    ("throttle", "throttle: {", "}"),
    ("state", "state: {", "}"),
    ("identity_tokens", "identity_tokens: {", "}"),
    ("log", "log: {", "}"),
    ("providers", "providers: [{", "}]"),
    ("file", "providers: [{name: x, file: {", "}}]"),
    ("workload", "providers: [{name: x, workload: {", "}}]"),
    ("ldap", "providers: [{name: x, ldap: {", "}}]"),
    ("ldap.servers", "providers: [{name: x, ldap: {servers: [{", "}]}}]"),
    ("ldap.discovery", "providers: [{name: x, ldap: {discovery: {", "}}}]"),
    ("ldap.tls", "providers: [{name: x, ldap: {tls: {", "}}}]"),
    ("ldap.tls.ca", "providers: [{name: x, ldap: {tls: {ca: {", "}}}}]"),
    ("ldap.service_account", "providers: [{name: x, ldap: {service_account: {", "}}}]"),
    ("ldap.user", "providers: [{name: x, ldap: {user: {", "}}}]"),
    ("ldap.groups", "providers: [{name: x, ldap: {groups: {", "}}}]"),
    ("ldap.groups.nested", "providers: [{name: x, ldap: {groups: {nested: {", "}}}}]"),
    ("ldap.accounts", "providers: [{name: x, ldap: {accounts: {", "}}}]"),
    ("ldap.timeouts", "providers: [{name: x, ldap: {timeouts: {", "}}}]"),
    ("ldap.pool", "providers: [{name: x, ldap: {pool: {", "}}}]"),
    ("oidc", "providers: [{name: x, oidc: {", "}}]"),
    ("oidc.client", "providers: [{name: x, oidc: {client: {", "}}}]"),
    ("oidc.tls", "providers: [{name: x, oidc: {tls: {", "}}}]"),
    ("oidc.tls.ca", "providers: [{name: x, oidc: {tls: {ca: {", "}}}}]"),
    ("oidc.tokens", "providers: [{name: x, oidc: {tokens: {", "}}}]"),
    ("oidc.identity", "providers: [{name: x, oidc: {identity: {", "}}}]"),
    ("oidc.groups", "providers: [{name: x, oidc: {groups: {", "}}}]"),
    ("oidc.groups.sources", "providers: [{name: x, oidc: {groups: {sources: [{", "}]}}}]"),
    ("oidc.groups.transform", "providers: [{name: x, oidc: {groups: {transform: [{", "}]}}}]"),
    ("oidc.mfa", "providers: [{name: x, oidc: {mfa: {", "}}}]"),
    ("oidc.password_grant", "providers: [{name: x, oidc: {password_grant: {", "}}}]"),
    ("oidc.device_grant", "providers: [{name: x, oidc: {device_grant: {", "}}}]"),
];

/// Every key that the configuration reads, with its path.
pub(super) fn keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (path, before, after) in SECTIONS {
        // No key is near a word this strange, so the hint lists them all.
        let text = format!("{before}qqqqqqqqqqqqqqqq: 1{after}\n");
        let errors = config::parse(SourceFile::new("narrows.yaml", text.as_str())).unwrap_err();
        let finding = errors.first().unwrap();
        assert_eq!(finding.message, "unknown key `qqqqqqqqqqqqqqqq`", "{path}: {finding}");
        let listed = finding.hint.as_deref().and_then(|hint| hint.strip_prefix("the keys here are "));
        for key in listed.unwrap_or_else(|| panic!("{path}: {finding}")).split(", ") {
            keys.insert(if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") });
        }
    }
    keys
}

pub(super) fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_commented_configuration_names_every_key() {
    let text = read("config/narrows.yaml");
    let words: BTreeSet<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let missing: Vec<_> = keys().into_iter().filter(|key| !words.contains(key.rsplit('.').next().unwrap())).collect();
    assert!(missing.is_empty(), "config/narrows.yaml does not name {missing:?}");
}

#[test]
fn the_reference_page_has_a_row_for_every_key() {
    let text = read("docs/reference.md");
    let rows: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|rest| rest.split('`').next()).collect();
    let keys = keys();
    let missing: Vec<_> = keys.iter().filter(|key| !rows.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "docs/reference.md has no row for {missing:?}");
    // A section's own name may head its rows.
    let unknown: Vec<_> = rows.iter().filter(|row| !keys.contains(**row)).collect();
    assert!(unknown.is_empty(), "docs/reference.md has rows for what is no key: {unknown:?}");
}
