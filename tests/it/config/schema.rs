//! The schemas in `config/` are those that the program prints, and they agree with its readers.

mod configuration;
mod rules;

use std::collections::BTreeMap;
use std::path::Path;

use jsonschema::Validator;
use narrows::cli::schema::{Kind, SchemaArgs, run};
use narrows::source::SourceFile;
use serde_json::{Map, Value};

use super::reference::read;

/// The committed schema of a kind of file.
fn committed(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Config => ("config", "config/narrows.schema.json"),
        Kind::Rules => ("rules", "config/rules.schema.json"),
    }
}

fn schema(kind: Kind) -> Value {
    serde_json::from_str(&read(committed(kind).1)).unwrap()
}

fn validator(kind: Kind) -> Validator {
    jsonschema::draft202012::new(&schema(kind)).unwrap()
}

/// A text as narrows' own reader of YAML understands it.
fn tree(name: &str, text: &str) -> Value {
    SourceFile::new(name, text).parse().unwrap_or_else(|finding| panic!("{finding}\n{text}"))
}

#[track_caller]
fn check_good(validator: &Validator, name: &str, text: &str) {
    let tree = tree(name, text);
    let errors: Vec<String> = validator.iter_errors(&tree).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{name}\n{}", errors.join("\n"));
}

#[track_caller]
fn check_bad(validator: &Validator, text: &str) {
    assert!(!validator.is_valid(&tree("bad.yaml", text)), "the schema accepts\n{text}");
}

/// The files of a folder below the package, by the ending of their names.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let names = entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap()));
    let mut names: Vec<String> = names.filter(|name| name.ends_with(ending)).collect();
    names.sort();
    names
}

/// Every tree that differs from this one in one place: a value replaced, a key taken away, a key nobody knows added.
fn mutations(tree: &Value, replacements: &[Value]) -> Vec<Value> {
    let mut mutants: Vec<Value> = replacements.to_vec();
    match tree {
        Value::Object(entries) => {
            let mut more = entries.clone();
            more.insert("qqqq".to_owned(), Value::from("x"));
            mutants.push(Value::Object(more));
            for (key, value) in entries {
                let with = |value: Value| entries.clone().into_iter().chain([(key.clone(), value)]).collect::<Map<_, _>>();
                mutants.extend(mutations(value, replacements).into_iter().map(|mutant| Value::Object(with(mutant))));
                let mut fewer = entries.clone();
                fewer.remove(key);
                mutants.push(Value::Object(fewer));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                for mutant in mutations(item, replacements) {
                    let mut items = items.clone();
                    items[index] = mutant;
                    mutants.push(Value::Array(items));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    mutants
}

/// What a reader accepts, the schema accepts; `accepts` is the reader. Answers how many it accepted.
#[track_caller]
fn check_not_stricter(kind: Kind, trees: &[Value], replacements: &[Value], accepts: impl Fn(&SourceFile) -> bool) -> usize {
    let validator = validator(kind);
    let mut accepted = 0;
    // JSON is YAML; many files are one after their change.
    let mutants = trees.iter().flat_map(|tree| mutations(tree, replacements)).map(|mutant| (mutant.to_string(), mutant));
    for (text, mutant) in mutants.collect::<BTreeMap<_, _>>() {
        if accepts(&SourceFile::new("mutant.yaml", text.as_str())) {
            accepted += 1;
            let errors: Vec<String> = validator.iter_errors(&mutant).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(errors.is_empty(), "the reader accepts what the schema does not\n{text}\n{}", errors.join("\n"));
        }
    }
    accepted
}

#[test]
fn the_committed_schemas_are_those_that_are_printed() {
    for kind in [Kind::Config, Kind::Rules] {
        let (word, path) = committed(kind);
        let mut printed = Vec::new();
        run(&SchemaArgs { file: kind }, &mut printed).unwrap();
        let current = String::from_utf8(printed).unwrap();
        assert!(current == read(path), "{path} is not current; write it again: cargo run -- schema {word} > {path}");
    }
}

#[test]
fn the_schemas_keep_to_the_specification() {
    for kind in [Kind::Config, Kind::Rules] {
        jsonschema::meta::validate(&schema(kind)).unwrap_or_else(|error| panic!("{}: {error}", committed(kind).1));
    }
}

/// The first line of a file names its schema by the path from there; what the quickstart writes elsewhere names none.
#[test]
fn shipped_files_name_their_schema() {
    let mut count = 0;
    for file in [files("config", ".yaml"), files("config/examples", ".yaml")].into_iter().flatten() {
        let expected = match file.as_str() {
            "config/users.yaml" | "config/quickstart.yaml" | "config/quickstart-rules.yaml" | "config/quickstart-users.yaml" => None,
            "config/rules.yaml" => Some("rules.schema.json"),
            "config/narrows.yaml" => Some("narrows.schema.json"),
            _ => Some("../narrows.schema.json"),
        };
        let text = read(&file);
        let named = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=");
        assert_eq!(named, expected, "{file}");
        count += usize::from(named.is_some());
    }
    assert!(count > 8, "{count}");
}
