//! What stands in `config/` loads, and what is commented out there is either available or refused by name.

use std::path::{Path, PathBuf};

use narrows::config;
use narrows::source::SourceFile;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn findings(text: &str) -> Vec<String> {
    match config::parse(SourceFile::new("narrows.yaml", text)) {
        Ok((_, warnings)) => warnings.0.iter().map(|finding| finding.message.clone()).collect(),
        Err(errors) => errors.0.iter().map(|finding| finding.message.clone()).collect(),
    }
}

#[test]
fn the_reference_and_every_example_load_without_a_finding() {
    let mut files = vec![folder().join("narrows.yaml")];
    files.extend(std::fs::read_dir(folder().join("examples")).unwrap().map(|entry| entry.unwrap().path()));
    assert!(files.len() > 7, "{files:?}");
    for file in files {
        match config::load(&file) {
            Ok((_, warnings)) => assert!(warnings.0.is_empty(), "{warnings}"),
            Err(errors) => panic!("{errors}"),
        }
    }
}

/// The values of the reference are the defaults: without them the same configuration comes out.
#[test]
fn the_values_of_the_reference_are_the_defaults() {
    let reference = std::fs::read_to_string(folder().join("narrows.yaml")).unwrap();
    let (written, _) = config::parse(SourceFile::new("narrows.yaml", reference)).unwrap();
    let short = "services: [{name: registry.corp.example}]\nrules: rules.yaml\nproviders:\n  - name: staff\n    realm: corp\n    ldap:\n      \
                 servers: [\"ldaps://ldap.corp.example\"]\n      service_account: {dn: \"cn=narrows,ou=services,dc=corp,dc=example\", password: \
                 {file: ldap-password}}\n      user: {bases: [\"ou=people,dc=corp,dc=example\"]}\n  - name: robots\n    names: [\"robot-*\", \
                 breakglass]\n    file: {path: users.yaml}\n";
    let (defaults, _) = config::parse(SourceFile::new("narrows.yaml", short)).unwrap();
    assert_eq!(shown(&written), shown(&defaults));
}

/// Every value, without places and without the keys that are named only to be seen.
fn shown(config: &config::Config) -> String {
    let mut text = String::new();
    let ldap = &config.providers[0].ldap.as_ref().unwrap().value;
    for part in [
        format!("{:?} {:?} {} {:?}", config.listen, config.admin_listen, config.behind_proxy, config.trusted_proxies),
        format!("{:?} {:?}", config.services, config.signing),
        format!("{:?} {:?} {:?}", config.rule_sets(), config.policy_tests, config.reload),
        format!("{:?} {:?} {:?}", config.credentials_cache, config.request_deadline, config.throttle),
        format!("{:?} {:?} {:?} {:?}", config.state, config.identity_tokens, config.audit, config.log),
        format!("{:?} {:?} {:?}", ldap.servers, ldap.allow_plaintext, ldap.user_keys()),
        format!("{:?} {:?} {:?} {:?}", ldap.group_keys(), ldap.accounts, ldap.timeouts, ldap.pool),
    ] {
        text.push_str(&without_places(&part));
        text.push('\n');
    }
    text
}

fn without_places(debug: &str) -> String {
    let mut rest = debug;
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once(", place: Place {") {
        text.push_str(before);
        rest = after.split_once('}').unwrap().1;
    }
    text + rest
}

#[test]
fn what_is_commented_out_is_available_or_refused_by_name() {
    let reference = std::fs::read_to_string(folder().join("narrows.yaml")).unwrap();
    let lines: Vec<&str> = reference.lines().collect();
    let (mut available, mut refused) = (0, 0);
    for (index, line) in lines.iter().enumerate() {
        let content = line.trim_start();
        let indent = " ".repeat(line.len() - content.len());
        if let Some(key) = content.strip_prefix("#! ").filter(|text| !text.starts_with(['-', ' '])) {
            let found = findings(&with_line(&lines, index, &format!("{indent}{key}")));
            let named = found.iter().any(|message| message.contains("not available yet") && names_a_word_of(message, key));
            assert!(named, "line {}: {line}\n{found:#?}", index + 1);
            refused += 1;
        } else if let Some(key) = content.strip_prefix('#').filter(|text| text.starts_with(|first: char| first.is_ascii_lowercase())) {
            let found = findings(&with_line(&lines, index, &format!("{indent}{key}")));
            assert!(found.is_empty(), "line {}: {line}\n{found:#?}", index + 1);
            available += 1;
        }
    }
    assert!(available >= 10 && refused > 0, "{available} available, {refused} refused");
}

#[test]
fn providers_that_cannot_be_asked_yet_are_refused_by_name_with_all_their_keys() {
    let reference = std::fs::read_to_string(folder().join("narrows.yaml")).unwrap();
    let whole: String = reference
        .lines()
        .map(|line| match line.strip_prefix("  #! ").or_else(|| line.strip_prefix("  #")) {
            Some(item) if item.starts_with("- ") || item.starts_with("  ") => format!("  {item}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect::<String>()
        .replace("#public_url:", "public_url:");
    let found = findings(&whole);
    assert_eq!(found, ["provider `github`: workload is not available yet"]);
}

/// Whether a message quotes a key of a line, or a key with its value.
fn names_a_word_of(message: &str, line: &str) -> bool {
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let last = quoted.rsplit('.').next().unwrap_or_default();
    !last.is_empty() && line.contains(last)
}

/// The file with one line replaced, and without a line of the same key beside it.
fn with_line(lines: &[&str], at: usize, replacement: &str) -> String {
    let depth = replacement.len() - replacement.trim_start().len();
    let key = format!("{}:", replacement.split(':').next().unwrap());
    let belongs =
        |line: &str| line.trim_start().starts_with('#') || line.trim().is_empty() || line.len() - line.trim_start().len() >= depth;
    let first = at - lines[..at].iter().rev().take_while(|line| belongs(line)).count();
    let last = at + lines[at..].iter().take_while(|line| belongs(line)).count();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        if index == at {
            text.push_str(replacement);
            text.push('\n');
        } else if !((first..last).contains(&index) && line.starts_with(&key)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}
