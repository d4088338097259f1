//! What is printed for rules that widen, narrow, or cannot be told.

use clap::Parser;

use super::*;
use crate::clock::Timestamp;

const HEAD: &str = "version: 1\nrealm: corp\nreserved: []\nrules:\n";
const WEB: &str = "  - {name: web, to: {group: web}, allow: contributor, repository: web/**}\n";
const OPS: &str = "  - {name: ops, to: {group: ops}, allow: catalog}\n";
const CONFIG: &str =
    "services: [SERVICES]\nrules: RULES\nproviders:\n  - {name: staff, realm: corp, ignore_case: CASE, file: {path: u.yaml}}\n";

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: DiffArgs,
}

/// A folder with these files.
struct Scene(tempfile::TempDir);

impl Scene {
    fn new(files: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn try_run(&self, words: &[&str]) -> anyhow::Result<(String, ExitCode)> {
        let folder = self.0.path().display().to_string();
        let place = |word: &str| word.split(',').map(|name| format!("{folder}/{name}")).collect::<Vec<_>>().join(",");
        let line = words.iter().map(|word| if word.starts_with("--") { (*word).to_owned() } else { place(word) });
        let args = Command::try_parse_from(["diff".to_owned()].into_iter().chain(line))?.args;
        let mut out = Vec::new();
        let code = diff(&args, &Clock::fixed(Timestamp(0)), &mut out, &mut io::sink())?;
        Ok((String::from_utf8(out)?.replace(&format!("{folder}/"), ""), code))
    }

    #[track_caller]
    fn check(&self, words: &[&str], code: u8, expected: &str) {
        assert_eq!(self.try_run(words).unwrap(), (expected.to_owned(), ExitCode::from(code)), "{words:?}");
    }

    #[track_caller]
    fn refuses(&self, words: &[&str], expected: &str) {
        let error = self.try_run(words).unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{words:?}: {error:#}");
    }
}

fn rules(lines: &[&str]) -> String {
    [&[HEAD], lines].concat().concat()
}

fn config(services: &str, rules: &str, ignore_case: bool) -> String {
    CONFIG.replace("SERVICES", services).replace("RULES", rules).replace("CASE", &ignore_case.to_string())
}

#[test]
fn gains_losses_and_what_is_unclear_are_told_apart() {
    let late = WEB.replace("repository:", "when: {until: 2035-01-01T00:00:00Z}, repository:");
    let later = late.replace("2035", "2036");
    let scene = Scene::new(&[
        ("web.yaml", rules(&[WEB])),
        ("both.yaml", rules(&[WEB, OPS])),
        ("late.yaml", rules(&[&late])),
        ("later.yaml", rules(&[&later])),
    ]);
    scene.check(&["web.yaml", "web.yaml"], 0, "0 widened, 0 narrowed, 0 unclear\n");
    scene.check(&["web.yaml", "both.yaml"], 1, "+ group ops: catalog\n1 widened, 0 narrowed, 0 unclear\n");
    scene.check(&["both.yaml", "web.yaml"], 1, "- group ops: catalog\n0 widened, 1 narrowed, 0 unclear\n");
    scene.check(&["late.yaml", "later.yaml"], 1, "? `web` (later.yaml:5)\n0 widened, 0 narrowed, 1 unclear\n");
}

#[test]
fn a_pipeline_may_let_what_only_narrows_pass() {
    let scene = Scene::new(&[("web.yaml", rules(&[WEB])), ("both.yaml", rules(&[WEB, OPS]))]);
    for (old, new, code) in [("web.yaml", "web.yaml", 0), ("both.yaml", "web.yaml", 0), ("web.yaml", "both.yaml", 1)] {
        assert_eq!(scene.try_run(&["--fail-on-widen", old, new]).unwrap().1, ExitCode::from(code), "{old} {new}");
    }
}

#[test]
fn configurations_are_compared_service_by_service() {
    let scene = Scene::new(&[
        ("web.yaml", rules(&[WEB])),
        ("both.yaml", rules(&[WEB, OPS])),
        ("old.yaml", config("{name: a}, {name: b}", "web.yaml", true)),
        ("new.yaml", config("{name: a}, {name: b, rules: both.yaml}, {name: c}", "web.yaml", true)),
    ]);
    let new_service = "+ group web: pull web/** (c)\n+ group web: push web/** (c)\n";
    scene.check(&["old.yaml", "new.yaml"], 1, &format!("+ group ops: catalog (b)\n{new_service}3 widened, 0 narrowed, 0 unclear\n"));
    scene.check(
        &["new.yaml", "old.yaml"],
        1,
        "- group ops: catalog (b)\n- group web: pull web/** (c)\n- group web: push web/** (c)\n0 widened, 3 narrowed, 0 unclear\n",
    );
    scene.check(&["old.yaml", "old.yaml"], 0, "0 widened, 0 narrowed, 0 unclear\n");
}

#[test]
fn rule_files_take_their_realms_from_a_configuration() {
    let upper = WEB.replace("group: web", "group: WEB");
    let scene = Scene::new(&[
        ("web.yaml", rules(&[WEB])),
        ("upper.yaml", rules(&[&upper])),
        ("narrows.yaml", config("{name: a}", "web.yaml", true)),
        ("base.yaml", rules(&[OPS])),
        ("team.yaml", format!("version: 1\nrules:\n{WEB}")),
    ]);
    assert_eq!(scene.try_run(&["web.yaml", "upper.yaml"]).unwrap().1, ExitCode::from(1));
    let known = format!("--config={}", scene.0.path().join("narrows.yaml").display());
    let (out, _) = scene.try_run(&[&known, "web.yaml", "upper.yaml"]).unwrap();
    assert!(!out.contains("- "), "{out}");
    scene.refuses(&[&known, "narrows.yaml", "narrows.yaml"], "--config goes with rule files");
    scene.refuses(&["web.yaml", "narrows.yaml"], "both rule files, or both configurations");
    scene.refuses(&["web.yaml", "gone.yaml"], "cannot read the file");
    scene.refuses(&["--configs", "web.yaml", "web.yaml"], "web.yaml:1:1");
    let more = "+ group web: pull web/**\n+ group web: push web/**\n2 widened, 0 narrowed, 0 unclear\n";
    scene.check(&["base.yaml", "base.yaml,team.yaml"], 1, more);
}

#[test]
fn a_machine_reads_one_object() {
    let scene = Scene::new(&[("web.yaml", rules(&[WEB])), ("both.yaml", rules(&[WEB, OPS]))]);
    let (out, _) = scene.try_run(&["--json", "web.yaml", "both.yaml"]).unwrap();
    let read: Value = serde_json::from_str(&out).unwrap();
    let gain = json!({"who": "group ops", "action": "*", "repository": "catalog", "services": []});
    assert_eq!(read, json!({"widens": true, "widened": [gain], "narrowed": [], "unclear": []}));
}

#[test]
fn the_examples_are_understood() {
    for line in EXAMPLES.lines().filter_map(|line| line.trim().strip_prefix("narrows ")) {
        assert!(Command::try_parse_from(line.split_whitespace()).is_ok(), "{line}");
    }
}
