//! Sets of files become policies of services, and come back from what was kept of them.

use super::*;
use crate::authn::identity::Principal;
use crate::authz::{Context as Around, KnownService, Realms};
use crate::clock::Timestamp;
use crate::registry::ScopeRequest;

fn rules(repository: &str) -> String {
    format!("version: 1\nrules: [{{to: anyone, allow: pull, repository: {repository}}}]\n")
}

fn environment(services: &[&str]) -> Environment {
    let services = services.iter().map(|name| KnownService { name: (*name).into(), enforces_tags: false });
    Environment { realms: Realms::default(), services: services.collect(), now: None }
}

fn set(folder: &Path, files: &[&str], services: &[&str]) -> RuleSet {
    let files = files.iter().map(|name| RuleFile { path: folder.join(name), within: None });
    RuleSet { files: files.collect(), services: services.iter().map(|name| (*name).into()).collect() }
}

/// Which of the repositories `a` and `b` anybody may pull from, by service.
fn opens(rulebook: &Rulebook, service: &str) -> String {
    let Some(policy) = rulebook.policy(service) else { return "unknown".to_owned() };
    let request = ScopeRequest::parse(["repository:a:pull repository:b:pull"]).unwrap();
    let around = Around { service, now: Timestamp(0), source: None };
    let access = policy.decide(&Principal::Anonymous, &request.scopes, &around).access();
    access.iter().map(|(resource, _)| resource.to_string()).collect::<Vec<_>>().join(" ")
}

struct Scene(tempfile::TempDir);

impl Scene {
    fn new(files: &[(&str, &str)]) -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(scene.0.path().join(name), text).unwrap();
        }
        scene
    }
    fn folder(&self) -> &Path {
        self.0.path()
    }
}

#[test]
fn each_service_is_decided_by_its_own_set() {
    let scene = Scene::new(&[("a.yaml", &rules("a")), ("b.yaml", &rules("b"))]);
    let sets = [set(scene.folder(), &["a.yaml"], &["one", "two"]), set(scene.folder(), &["b.yaml"], &["three"])];
    let (rulebook, _) = Rulebook::load(&sets, &environment(&["one", "two", "three"])).unwrap();
    let opened = ["one", "two", "three", "four"].map(|service| opens(&rulebook, service));
    assert_eq!(opened, ["repository:a", "repository:a", "repository:b", "unknown"]);
    assert_eq!(rulebook.rule_count(), 2);
    assert!(Arc::ptr_eq(rulebook.policy("one").unwrap(), rulebook.policy("two").unwrap()), "one set is compiled once");
}

#[test]
fn the_findings_of_all_sets_are_told_at_once_and_each_once() {
    let scene = Scene::new(&[("a.yaml", "version: 1\nrules: [{to: nobody}]\n"), ("b.yaml", "version: 2\nrules: []\n")]);
    let files = [&["a.yaml"][..], &["b.yaml"], &["a.yaml"], &["none.yaml"]];
    let sets: Vec<RuleSet> = files.iter().map(|files| set(scene.folder(), files, &["one"])).collect();
    let alone = |set: &RuleSet| Rulebook::load(std::slice::from_ref(set), &environment(&["one"])).unwrap_err().0.len();
    let findings = Rulebook::load(&sets, &environment(&["one"])).unwrap_err();
    assert_eq!(findings.0.len(), alone(&sets[0]) + alone(&sets[1]) + 1, "{findings}");
    let of = |name: &str| findings.0.iter().filter(|finding| finding.file.ends_with(name)).count();
    assert!(of("a.yaml") > 0 && of("b.yaml") > 0, "{findings}");
    assert_eq!(of("none.yaml"), 1, "{findings}");
}

#[test]
fn what_was_kept_decides_for_the_services_that_had_it() {
    let scene = Scene::new(&[("a.yaml", &rules("a")), ("b.yaml", &rules("b"))]);
    let sets = [set(scene.folder(), &["a.yaml"], &["one", "two"]), set(scene.folder(), &["b.yaml"], &["three"])];
    let (rulebook, _) = Rulebook::load(&sets, &environment(&["one", "two", "three"])).unwrap();
    let kept = rulebook.to_kept();
    let back = Rulebook::of_kept(kept.clone(), Vec::new(), &environment(&["two", "three"])).unwrap();
    assert_eq!(["one", "two", "three"].map(|service| opens(&back, service)), ["unknown", "repository:a", "repository:b"]);
    let names: Vec<_> = back.files().map(|file| file.path().to_owned()).collect();
    assert_eq!(names, ["a.yaml", "b.yaml"].map(|name| scene.folder().join(name)));
    let stranger = Rulebook::of_kept(kept, vec!["four".into()], &environment(&["one", "four"])).unwrap_err();
    assert!(stranger.to_string().contains("no rules of service `four` were ever loaded"), "{stranger}");
}

#[test]
fn a_text_that_was_kept_as_it_stood_decides_for_those_without_rules_of_their_own() {
    let sharing = || vec!["one".into(), "two".into()];
    let back = Rulebook::of_kept(rules("a"), sharing(), &environment(&["one", "two"])).unwrap();
    assert_eq!(["one", "two"].map(|service| opens(&back, service)), ["repository:a", "repository:a"]);
    assert!(Rulebook::of_kept(rules("a"), sharing(), &environment(&["one", "two", "three"])).is_err());
    assert!(Rulebook::of_kept(String::new(), sharing(), &environment(&["one"])).is_err());
    // A rule file may be JSON too.
    let json = r#"{"version": 1, "rules": [{"to": "anyone", "allow": "pull", "repository": "a"}]}"#;
    let back = Rulebook::of_kept(json.to_owned(), sharing(), &environment(&["one", "two"])).unwrap();
    assert_eq!(opens(&back, "one"), "repository:a");
}

#[test]
fn a_service_that_the_new_rules_do_not_know_keeps_its_former_ones() {
    let scene = Scene::new(&[("a.yaml", &rules("a")), ("b.yaml", &rules("b"))]);
    let load = |file: &str, services: &[&str]| Rulebook::load(&[set(scene.folder(), &[file], services)], &environment(services)).unwrap().0;
    let both = load("b.yaml", &["one", "three"]).or_former(["one", "two"], &load("a.yaml", &["one", "two"]));
    assert_eq!(["one", "two", "three"].map(|service| opens(&both, service)), ["repository:b", "repository:a", "repository:b"]);
}

#[test]
fn a_digest_tells_texts_sets_and_environments_apart() {
    let scene = Scene::new(&[("a.yaml", &rules("a")), ("b.yaml", &rules("b")), ("c.yaml", &rules("a"))]);
    let digest = |files: &[&str], services: &[&str], known: &[&str]| {
        let environment = environment(known);
        Rulebook::load(&[set(scene.folder(), files, services)], &environment).unwrap().0.digest().to_owned()
    };
    let all = [
        digest(&["a.yaml"], &["one"], &["one"]),
        digest(&["b.yaml"], &["one"], &["one"]),
        digest(&["c.yaml"], &["one"], &["one"]),
        digest(&["a.yaml"], &["two"], &["two"]),
        digest(&["a.yaml"], &["one"], &["one", "two"]),
    ];
    for (index, one) in all.iter().enumerate() {
        assert_eq!(one.len(), DIGITS);
        assert!(!all[..index].contains(one), "{all:?}");
    }
    assert_eq!(all[0], digest(&["a.yaml"], &["one"], &["one"]));
}
