//! The schema of the configuration: shipped files, bad ones, and the keys that the reader knows.

use std::collections::{BTreeMap, BTreeSet};

use narrows::cli::schema::Kind;
use narrows::config;
use serde_json::{Value, json};

use super::{check_bad, check_good, check_not_stricter, files, schema, tree, validator};
use crate::config::reference::{keys, read};

/// Every configuration that is shipped.
fn shipped() -> Vec<String> {
    let mut paths = vec!["config/narrows.yaml".to_owned(), "config/quickstart.yaml".to_owned()];
    paths.extend(files("config/examples", ".yaml"));
    paths
}

/// The commented configuration with the providers that it only shows.
fn with_every_provider() -> String {
    let uncommented = |line: &str| match line.strip_prefix("  #! ").or_else(|| line.strip_prefix("  #")) {
        Some(item) if item.starts_with("- ") || item.starts_with("  ") => format!("  {item}\n"),
        Some(_) | None => format!("{line}\n"),
    };
    read("config/narrows.yaml").lines().map(uncommented).collect()
}

#[test]
fn every_shipped_configuration_is_valid() {
    let validator = validator(Kind::Config);
    for path in shipped() {
        check_good(&validator, &path, &read(&path));
    }
    check_good(&validator, "config/narrows.yaml with every provider", &with_every_provider());
}

/// The keys of all mappings, named as in the reference page, with their descriptions.
fn schema_keys() -> BTreeMap<String, String> {
    let root = schema(Kind::Config);
    let mut found = BTreeMap::new();
    walk(&root, &root, "", &mut found);
    found
}

fn walk(root: &Value, node: &Value, path: &str, found: &mut BTreeMap<String, String>) {
    // What every secret may be is said once.
    if node["$ref"] == "#/$defs/SecretSource" {
        return;
    }
    if let Some(target) = node["$ref"].as_str() {
        walk(root, root.pointer(target.strip_prefix('#').unwrap()).unwrap(), path, found);
    }
    for part in ["anyOf", "oneOf"].into_iter().filter_map(|key| node[key].as_array()).flatten().chain(node.get("items")) {
        walk(root, part, path, found);
    }
    // The alternatives that only say which keys exclude each other are no mappings of their own.
    let Some(properties) = node["properties"].as_object().filter(|_| node["type"] == "object") else { return };
    assert_eq!(node["additionalProperties"], false, "{path}");
    for (key, property) in properties {
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        // The reference page starts anew at the kinds of providers.
        let below = if path == "providers" { key.as_str() } else { name.as_str() };
        walk(root, property, below, found);
        found.insert(name.clone(), property["description"].as_str().unwrap_or_default().to_owned());
    }
}

#[test]
fn the_schema_has_the_keys_that_the_reader_knows() {
    let mut in_schema: BTreeSet<String> = schema_keys().into_keys().collect();
    // A variant of an enum, which the reader lists as a value.
    assert!(in_schema.remove("audit.file"));
    assert_eq!(in_schema, keys());
}

#[test]
fn every_key_says_what_it_is_for() {
    let silent: Vec<_> = schema_keys().into_iter().filter(|(key, description)| key != "audit.file" && description.is_empty()).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn what_is_not_available_yet_says_so() {
    let keys = schema_keys();
    let page = read("docs/reference.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut count = 0;
    for (key, row) in rows {
        let said = keys[key].contains("ot available yet");
        assert_eq!(said, row.contains("*not yet*"), "`{key}`: {}", keys[key]);
        count += usize::from(said);
    }
    assert!(count > 0, "{count}");
}

#[test]
fn defaults_are_shown_as_they_are_written() {
    let schema = schema(Kind::Config);
    let check = |pointer: &str, expected: Value| assert_eq!(schema.pointer(pointer), Some(&expected), "{pointer}");
    check("/properties/listen/default", json!("127.0.0.1:5001"));
    check("/properties/request_deadline/default", json!("8s"));
    check("/properties/audit/default", json!("stdout"));
    check("/$defs/ServiceSettings/properties/algorithm/default", json!("ES256"));
    check("/$defs/TokenTtl/properties/push/default", json!("1h"));
    check("/$defs/TokenChecks/properties/algorithms/default", json!(["RS256", "ES256"]));
}

#[test]
fn bad_configurations_are_not_valid() {
    const GOOD: &str = "services: [{name: a}]\nrules: rules.yaml\nproviders: [{name: staff, file: {path: users.yaml}}]\n";
    let validator = validator(Kind::Config);
    check_good(&validator, "good", GOOD);
    for line in [
        "colour: red",
        "listen: [127.0.0.1]",
        "behind_proxy: sometimes",
        "trusted_proxies: 10.1.2.3",
        "request_deadline: 8",
        "request_deadline: 8 seconds",
        "log: {level: loud}",
        "log: null",
        "audit: stderr",
        "audit: {file: a, stdout: b}",
        "throttle: {failures: many}",
        "throttle: {failures: -1}",
        "tls: {certificate: a}",
        "reload: {every: 2s, weekly: true}",
        "state: {path: [a]}",
    ] {
        check_bad(&validator, &format!("{GOOD}{line}\n"));
    }
    for (good, bad) in [
        ("services: [{name: a}]\n", ""),
        ("rules: rules.yaml\n", ""),
        ("[{name: a}]", "[]"),
        ("{name: a}", "{issuer: a}"),
        ("{name: a}", "{name: a, registry: quay}"),
        ("{name: a}", "{name: a, token_ttl: {pull: 5}}"),
        ("rules: rules.yaml", "rules: {file: rules.yaml}"),
        ("rules: rules.yaml", "rules: [{file: rules.yaml, inside: a}]"),
        ("rules: rules.yaml", "rules: null"),
        ("{name: staff, file: {path: users.yaml}}", "{name: staff}"),
        ("{name: staff, file: {path: users.yaml}}", "{file: {path: users.yaml}}"),
        ("{path: users.yaml}", "{path: users.yaml, htpasswd: users}"),
        ("{path: users.yaml}", "{}"),
        ("file: {path: users.yaml}", "file: {path: users.yaml}, workload: {preset: a, audiences: a}"),
        ("file: {path: users.yaml}", "ldap: {servers: [{uri: a}], service_account: {dn: a, password: b}, user: {bases: a}}"),
        ("file: {path: users.yaml}", "ldap: {servers: [a], service_account: nobody, user: {bases: a}}"),
        ("file: {path: users.yaml}", "ldap: {servers: [a], service_account: {dn: a}, user: {bases: a}}"),
        ("file: {path: users.yaml}", "ldap: {servers: [a], service_account: {dn: a, password: {file: b, env: c}}, user: {bases: a}}"),
        ("file: {path: users.yaml}", "ldap: {servers: [a], service_account: {dn: a, password: b}, user: {}}"),
        (
            "file: {path: users.yaml}",
            "ldap: {servers: [a], tls: {min_version: '1.1'}, service_account: {dn: a, password: b}, user: {bases: a}}",
        ),
    ] {
        assert!(GOOD.contains(good), "{good}");
        check_bad(&validator, &GOOD.replace(good, bad));
    }
}

/// But for numbers and truth values where a text is meant: the reader takes them, the schema asks for quotes.
#[test]
fn what_the_reader_accepts_is_valid() {
    let trees: Vec<Value> = shipped().iter().map(|path| tree(path, &read(path))).collect();
    let replacements = [json!(null), json!(""), json!("x"), json!([]), json!(["x"]), json!([null]), json!({}), json!({"file": "x"})];
    let accepted = check_not_stricter(Kind::Config, &trees, &replacements, |file| config::parse(file.clone()).is_ok());
    assert!(accepted > 200, "{accepted}");
}
