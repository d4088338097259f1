//! The tests of the example rules, through the program.

use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_narrows");

#[test]
fn the_example_rules_pass_their_tests() {
    let ran = Command::new(PROGRAM).args(["test", "config/rules.test.yaml"]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let (out, talk) = (String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap());
    assert!(ran.status.success() && talk.is_empty(), "{out}{talk}");
    let passed: usize = out.strip_suffix(" cases passed\n").unwrap().parse().unwrap();
    assert!(passed >= 50, "{passed} cases");
}
