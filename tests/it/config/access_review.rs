//! Access review and comparison of the example rules, through the program.

use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_narrows");

/// What the program prints, and its exit code.
fn run(words: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(PROGRAM);
    let ran = command.args(words).current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("NARROWS_CONFIG").output().unwrap();
    (String::from_utf8(ran.stdout).unwrap() + &String::from_utf8(ran.stderr).unwrap(), ran.status.code())
}

#[test]
fn the_example_rules_say_who_can_and_what_somebody_can() {
    let (out, code) = run(&["who-can", "push", "prod/app", "--rules", "config/rules.yaml"]);
    assert!(out.starts_with("group releasers  by `releasers work on production` (config/rules.yaml:"), "{out}");
    assert_eq!(code, Some(0));
    assert_eq!(run(&["who-can", "delete", "prod/app", "--rules", "config/rules.yaml"]), ("nobody\n".to_owned(), Some(1)));
    let (out, code) = run(&["what-can", "alice", "--group", "registry-payments", "--rules", "config/rules.yaml"]);
    assert!(out.contains("payments/**  pull,push  by `a team owns its namespace`"), "{out}");
    assert_eq!(code, Some(0));
    assert_eq!(run(&["who-can", "fly", "prod/app", "--rules", "config/rules.yaml"]).1, Some(2));
}

#[test]
fn rules_that_widen_fail_a_pipeline_and_others_do_not() {
    let (small, large) = ("config/quickstart-rules.yaml", "config/rules.yaml");
    assert_eq!(run(&["diff", large, large]), ("0 widened, 0 narrowed, 0 unclear\n".to_owned(), Some(0)));
    let (out, code) = run(&["diff", "--fail-on-widen", small, large]);
    assert!(out.contains("+ group releasers: push prod/**\n"), "{out}");
    assert_eq!(code, Some(1));
    assert_eq!(run(&["diff", large, "config/gone.yaml"]).1, Some(2));
}
