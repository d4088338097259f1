//! The schema of the rule file: shipped files, the whole language, bad files, and the keys that the reader knows.

use std::collections::BTreeSet;

use narrows::authz::{Policy, Realms};
use narrows::cli::schema::Kind;
use narrows::source::SourceFile;
use serde_json::{Value, json};

use super::{check_bad, check_good, check_not_stricter, files, schema, tree, validator};
use crate::config::reference::read;

/// Every key of the language, in each of its shapes.
const LANGUAGE: &str = r#"
version: 1
realm: corp
timezone: Europe/Berlin
reserved: [users, base]
roles:
  viewer: [pull]
  cleaner: [pull, delete]
  reader: pull
groups:
  payments: ["CN=GG-REG Data & Payments_RW,OU=teams,DC=corp,DC=example", gg-payments]
  platform: [{id: 0e1c2f6e-5a7b-4a53-9d9f-0a4d0b0b2f10}]
  on-call: gg-on-call
  auditors: {id: "4711"}
rules:
  - {to: anyone, allow: viewer, repository: base/**}
  - {name: people, to: authenticated, allow: [pull], repository: [shared/**, tools/*]}
  - {to: authenticated, allow: owner, repository: "users/{user}/**"}
  - {to: {group: "REG_{team}_{role}"}, allow: "{role}", repository: "{team}/**"}
  - to: {realm: robots, user: [robot-deploy, robot-build]}
    allow: contributor
    repository: payments/**
    when: {services: registry.corp.example, source: [10.20.0.0/16], until: 2035-01-01}
    ttl: 1h
  - to: [{group: releasers}, {all: [{group: a, provider: staff}, {group: b, mfa: {within: 12h}}]}]
    allow: [reader, push]
    repository: prod/**
    when: {services: [a, b], source: 10.0.0.1/32, from: 2026-01-01T08:00:00Z, weekly: {days: [mon, fri], from: "08:00", until: "18:00"}}
    ttl: {pull: 5m, push: 1h, delete: 5m, catalog: 5m}
  - to: anyone
    deny: [push, delete]
    repository: prod/**
    tags: ["v*"]
    except:
      - {group: releasers, repository: prod/test/**}
      - {provider: github, claims: {repository_id: "991", ref: [refs/heads/main, refs/heads/next]}}
      - {mfa: {within: 12h}}
      - {all: [{group: a}, {group: b}], repository: [prod/a, prod/b]}
      - {repository: prod/open}
  - {to: {user: alice, group: a, provider: staff, realm: corp, claims: {a: b}}, deny: all, repository: "**", tags: latest, except: {user: root}}
  - {to: {group: auditors}, allow: catalog, when: {weekly: {days: sat}}}
"#;

/// Where the keys of a mapping stand: in the schema, and a rule file around one more key.
const SECTIONS: [(&str, &str, &str); 11] = [
    ("", "{", "}"),
    ("/$defs/rule", "{version: 1, rules: [{", "}]}"),
    ("/$defs/choice", "{version: 1, rules: [{allow: viewer, repository: a, to: {", "}}]}"),
    ("/$defs/exception", "{version: 1, rules: [{to: anyone, deny: push, repository: a, except: {", "}}]}"),
    ("/$defs/conditions", "{version: 1, rules: [{allow: viewer, repository: a, to: {all: [{", "}]}}]}"),
    ("/$defs/original/anyOf/1", "{version: 1, rules: [], groups: {a: [{", "}]}}"),
    ("/$defs/conditions/properties/mfa", "{version: 1, rules: [{allow: viewer, repository: a, to: {mfa: {", "}}}]}"),
    ("/$defs/choice/properties/mfa", "{version: 1, rules: [{to: anyone, deny: push, repository: a, except: {mfa: {", "}}}]}"),
    ("/$defs/when", "{version: 1, rules: [{to: anyone, allow: viewer, repository: a, when: {", "}}]}"),
    ("/$defs/when/properties/weekly", "{version: 1, rules: [{to: anyone, allow: viewer, repository: a, when: {weekly: {", "}}}]}"),
    ("/$defs/ttl/anyOf/1", "{version: 1, rules: [{to: anyone, allow: viewer, repository: a, ttl: {", "}}]}"),
];

fn findings(text: &str) -> Vec<(String, String)> {
    let found = match Policy::compile(&SourceFile::new("rules.yaml", text), &Realms::default()) {
        Ok((_, warnings)) => warnings,
        Err(errors) => errors,
    };
    found.0.into_iter().map(|finding| (finding.message, finding.hint.unwrap_or_default())).collect()
}

/// The keys that the reader lists for a place where a key stands that it does not know; `None` where it does not read
/// the place yet, and says so.
fn listed(before: &str, after: &str) -> Option<BTreeSet<String>> {
    let found = findings(&format!("{before}qqqq: x{after}"));
    if let Some((_, hint)) = found.iter().find(|(message, _)| message == "`qqqq` is not a key here") {
        let keys = hint.strip_prefix("known here: ").unwrap_or_else(|| panic!("{before}: {hint}"));
        return Some(keys.split(", ").flat_map(|keys| keys.split(" and ")).map(str::to_owned).collect());
    }
    assert!(found.iter().any(|(message, _)| message.contains("is not available yet")), "{before}: {found:?}");
    None
}

#[test]
fn the_schema_has_the_keys_that_the_reader_knows() {
    let schema = schema(Kind::Rules);
    let mut read = 0;
    for (place, before, after) in SECTIONS {
        let mapping = schema.pointer(place).unwrap();
        assert_eq!(mapping["additionalProperties"], false, "{place}");
        let Some(listed) = listed(before, after) else { continue };
        read += 1;
        let in_schema: BTreeSet<String> = mapping["properties"].as_object().unwrap().keys().cloned().collect();
        for key in listed.union(&in_schema) {
            let found = findings(&format!("{before}{key}: x{after}"));
            let unknown = found.iter().any(|(message, _)| *message == format!("`{key}` is not a key here"));
            assert_eq!(in_schema.contains(key), !unknown, "{place}: whether the schema and the reader know `{key}`");
        }
    }
    assert!(read >= 6, "{read}");
}

#[test]
fn every_key_says_what_it_is_for() {
    let schema = schema(Kind::Rules);
    for (place, _, _) in SECTIONS {
        let mapping = schema.pointer(place).unwrap();
        for (key, property) in mapping["properties"].as_object().unwrap() {
            let target = property["$ref"].as_str().and_then(|target| schema.pointer(target.strip_prefix('#')?)).unwrap_or(&Value::Null);
            let said = property["description"].as_str().or(target["description"].as_str()).unwrap_or_default();
            assert!(said.len() > 7, "{place}: `{key}`");
        }
    }
}

/// Whether a key stands somewhere in a tree.
fn holds(tree: &Value, key: &str) -> bool {
    match tree {
        Value::Object(entries) => entries.contains_key(key) || entries.values().any(|value| holds(value, key)),
        Value::Array(items) => items.iter().any(|item| holds(item, key)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[test]
fn the_whole_language_is_valid() {
    check_good(&validator(Kind::Rules), "the whole language", LANGUAGE);
    let (language, schema) = (tree("the whole language", LANGUAGE), schema(Kind::Rules));
    for (place, _, _) in SECTIONS {
        for key in schema.pointer(place).unwrap()["properties"].as_object().unwrap().keys() {
            assert!(holds(&language, key), "{place}: `{key}`");
        }
    }
}

/// The blocks of the rules page that are whole rule files.
fn documented() -> Vec<String> {
    let page = read("docs/rules.md");
    let blocks = page.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.filter(|block| block.starts_with("version:")).map(str::to_owned).collect()
}

/// Every rule file that is shipped, shown or tested.
fn good() -> Vec<(String, String)> {
    let mut good: Vec<_> = ["config/rules.yaml", "config/quickstart-rules.yaml"].map(|path| (path.to_owned(), read(path))).into();
    good.extend(documented().into_iter().enumerate().map(|(index, block)| (format!("docs/rules.md, example {}", index + 1), block)));
    let tested = files("tests/cases", ".yaml").into_iter().filter(|path| !path.ends_with(".test.yaml"));
    good.extend(tested.map(|path| (path.clone(), read(&path))));
    good
}

#[test]
fn every_shipped_shown_or_tested_rule_file_is_valid() {
    let validator = validator(Kind::Rules);
    let good = good();
    assert!(good.len() > 8, "{}", good.len());
    for (name, text) in good {
        check_good(&validator, &name, &text);
    }
}

#[test]
fn bad_rule_files_are_not_valid() {
    let validator = validator(Kind::Rules);
    for file in [
        "rules: []",
        "version: 2\nrules: []",
        "version: '1'\nrules: []",
        "version: 1",
        "version: 1\nrules: {}",
        "version: 1\nrules: []\nrealms: corp",
        "version: 1\nrules: []\nrealm: [corp]",
        "version: 1\nrules: []\nrealm: 5",
        "version: 1\nrules: []\nreserved: [5]",
        "version: 1\nrules: []\nroles: {tester: [test]}",
        "version: 1\nrules: []\nroles: {tester: []}",
        "version: 1\nrules: []\nroles: [tester]",
        "version: 1\nrules: []\ngroups: {a: []}",
        "version: 1\nrules: []\ngroups: {a: {name: b}}",
        "version: 1\nrules: []\ngroups: {a: null}",
    ] {
        check_bad(&validator, file);
    }
    check_good(&validator, "good", "{version: 1, rules: [{to: anyone, allow: viewer, repository: a}]}");
    for rule in [
        "to: anyone, repository: a",
        "allow: viewer, repository: a",
        "to: anyone, allow: viewer, deny: push, repository: a",
        "to: anyone, allow: viewer, repository: a, priority: 1",
        "to: anyone, allow: [], repository: a",
        "to: anyone, allow: 5, repository: a",
        "to: anyone, allow: viewer, repository: []",
        "to: anyone, allow: viewer, repository: ''",
        "to: everybody, allow: viewer, repository: a",
        "to: [anyone], allow: viewer, repository: a",
        "to: [], allow: viewer, repository: a",
        "to: {}, allow: viewer, repository: a",
        "to: null, allow: viewer, repository: a",
        "to: {groups: a}, allow: viewer, repository: a",
        "to: {group: 5}, allow: viewer, repository: a",
        "to: {group: a, repository: b}, allow: viewer, repository: a",
        "to: {all: [{group: a}], group: b}, allow: viewer, repository: a",
        "to: {all: {group: a}}, allow: viewer, repository: a",
        "to: {all: [{all: [{group: a}]}]}, allow: viewer, repository: a",
        "to: {claims: {a: 5}}, allow: viewer, repository: a",
        "to: {mfa: {within: 12}}, allow: viewer, repository: a",
        "to: {mfa: true}, allow: viewer, repository: a",
        "to: anyone, deny: push, repository: a, except: anyone",
        "to: anyone, deny: push, repository: a, except: {all: [{group: a}], user: b}",
        "to: anyone, deny: push, repository: a, except: {}",
        "to: anyone, allow: viewer, repository: a, ttl: 60",
        "to: anyone, allow: viewer, repository: a, ttl: {read: 1h}",
        "to: anyone, allow: viewer, repository: a, when: {after: 2035-01-01}",
        "to: anyone, allow: viewer, repository: a, when: {weekly: {day: mon}}",
        "to: anyone, allow: viewer, repository: a, when: {weekly: [mon]}",
        "to: anyone, deny: push, repository: a, tags: {}",
    ] {
        check_bad(&validator, &format!("{{version: 1, rules: [{{{rule}}}]}}"));
    }
}

#[test]
fn what_the_reader_accepts_is_valid() {
    let mut texts = vec![LANGUAGE.to_owned(), read("config/rules.yaml")];
    texts.extend(documented());
    let trees: Vec<Value> = texts.iter().map(|text| tree("rules.yaml", text)).collect();
    let replacements = [
        json!(null),
        json!(1),
        json!(""),
        json!("pull"),
        json!("1h"),
        json!([]),
        json!(["pull"]),
        json!([null]),
        json!({}),
        json!({"group": "a"}),
        json!([{"group": "a"}]),
    ];
    let accepts = |file: &SourceFile| Policy::compile(file, &Realms::default()).is_ok();
    let accepted = check_not_stricter(Kind::Rules, &trees, &replacements, accepts);
    assert!(accepted > 200, "{accepted}");
}
