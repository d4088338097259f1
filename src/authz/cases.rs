//! Runs tests/cases/*.yaml, and loads every example that operators are shown.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::{Context, Policy, Realm, Realms};
use crate::authn::identity::{Group, Identity, IdentityClaims, Kind, Method, Principal, SecondFactor};
use crate::clock::Timestamp;
use crate::registry::{Action, ScopeRequest};
use crate::source::{OneOrMany, SourceFile};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    /// The text of a rule file, or its path beside the case file.
    rules: String,
    /// Realms of the configuration; default: one, `corp`, with a provider `staff`, that ignores case.
    #[serde(default)]
    realms: Vec<RealmCase>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RealmCase {
    name: String,
    #[serde(default)]
    ignore_case: bool,
    providers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    who: Asker,
    asks: OneOrMany,
    gets: OneOrMany,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Asker {
    Word(String),
    Somebody(Somebody),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Somebody {
    user: String,
    #[serde(default)]
    groups: Vec<GroupCase>,
    #[serde(default)]
    realm: Option<String>,
    #[serde(default)]
    provider: Option<String>,
    #[serde(default)]
    workload: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum GroupCase {
    Name(String),
    Full { name: String, dn: Option<String>, id: Option<String> },
}

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Two realms as in the examples.
pub(super) fn example_realms() -> Realms {
    Realms(vec![
        Realm { name: "corp".into(), ignore_case: true, providers: vec!["staff".into(), "sso".into()], ..Realm::default() },
        Realm { name: "robots".into(), ignore_case: false, providers: vec!["robots".into()], ..Realm::default() },
        Realm {
            name: "github".into(),
            ignore_case: false,
            providers: vec!["github".into()],
            workloads: vec!["github".into()],
            ..Realm::default()
        },
    ])
}

pub(super) fn context() -> Context<'static> {
    Context { service: "registry.corp.example", now: Timestamp(0), source: None }
}

impl Asker {
    fn principal(self) -> Principal {
        let somebody = match self {
            Self::Word(word) => {
                assert_eq!(word, "anonymous");
                return Principal::Anonymous;
            }
            Self::Somebody(somebody) => somebody,
        };
        let groups = somebody.groups.into_iter().map(|group| match group {
            GroupCase::Name(name) => Group::named(name),
            GroupCase::Full { name, dn, id } => Group { name, dn, id },
        });
        Principal::Identified(Arc::new(Identity {
            realm: somebody.realm.as_deref().unwrap_or("corp").into(),
            provider: somebody.provider.as_deref().unwrap_or("staff").into(),
            id: somebody.user.clone(),
            groups: groups.collect(),
            username: somebody.user,
            kind: if somebody.workload { Kind::Workload } else { Kind::Person },
            method: Method::Password,
            proven: Timestamp(0),
            marker: None,
            claims: IdentityClaims::new(),
            second_factor: SecondFactor::Unknown,
        }))
    }
}

fn run(path: &Path) -> usize {
    let shown = path.display();
    let file: CaseFile = SourceFile::load(path).unwrap().parse().unwrap_or_else(|finding| panic!("{finding}"));
    let rules = if file.rules.contains('\n') {
        SourceFile::new("rules.yaml", file.rules)
    } else {
        SourceFile::load(&path.parent().unwrap().join(&file.rules)).unwrap()
    };
    let realms: Vec<Realm> = file
        .realms
        .into_iter()
        .map(|realm| Realm {
            name: realm.name.into(),
            ignore_case: realm.ignore_case,
            providers: realm.providers.into_iter().map(Into::into).collect(),
            ..Realm::default()
        })
        .collect();
    let realms = if realms.is_empty() {
        Realms(vec![Realm { name: "corp".into(), ignore_case: true, providers: vec!["staff".into()], ..Realm::default() }])
    } else {
        Realms(realms)
    };
    let (policy, _) = Policy::compile(&rules, &realms).unwrap_or_else(|findings| panic!("{shown}\n{findings}"));
    let count = file.cases.len();
    for case in file.cases {
        let Some(asks) = case.asks.0.first() else { panic!("{shown}: a case asks for nothing") };
        let scopes = ScopeRequest::parse(case.asks.0.iter().map(|scope| scope.value.as_str())).unwrap().scopes;
        let decision = policy.decide(&case.who.principal(), &scopes, &context());
        let catalog = |action: Action| if action == Action::All { "catalog" } else { action.as_str() };
        let got: BTreeSet<&str> = decision.grants.iter().flat_map(|grant| grant.granted.iter()).map(catalog).collect();
        let wanted: BTreeSet<&str> = case.gets.0.iter().map(|word| word.value.as_str()).filter(|word| *word != "nothing").collect();
        assert_eq!(got, wanted, "{shown}:{}: {}\n{decision:#?}", asks.place, asks.value);
    }
    count
}

#[test]
fn every_case_gets_exactly_what_it_says() {
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("tests/cases")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            count += run(&path);
        }
    }
    assert!(count >= 40, "{count} cases");
}

fn loads_without_a_word(file: &SourceFile) {
    match Policy::compile(file, &example_realms()) {
        Ok((_, warnings)) => assert!(warnings.0.is_empty(), "{warnings}"),
        Err(errors) => panic!("{errors}\n{}", file.text()),
    }
}

#[test]
fn the_example_rules_load_without_error_or_warning() {
    loads_without_a_word(&SourceFile::load(&root().join("config/rules.yaml")).unwrap());
}

#[test]
fn every_example_of_the_rules_page_loads() {
    let page = SourceFile::load(&root().join("docs/rules.md")).unwrap();
    let mut count = 0;
    for (index, block) in page.text().split("```yaml\n").skip(1).enumerate() {
        let block = block.split("```").next().unwrap();
        if block.starts_with("version:") {
            loads_without_a_word(&SourceFile::new(format!("docs/rules.md, example {}", index + 1), block));
            count += 1;
        }
    }
    assert!(count >= 5, "{count} examples");
}
