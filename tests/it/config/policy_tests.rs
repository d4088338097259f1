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

/// Every command of the rules page that is shown with its output, and reads files that are shipped, prints just that.
#[test]
fn commands_on_the_rules_page_print_what_it_shows() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules.md")).unwrap().replace("\\\n    ", "");
    let mut commands = Vec::new();
    for block in page.split("```\n$ narrows ").skip(1) {
        let (command, shown) = block.split_once("```").unwrap().0.split_once('\n').unwrap();
        if command.contains("config/rules.yaml") {
            let words: Vec<&str> = command.split_whitespace().collect();
            let ran = Command::new(PROGRAM).args(&words).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
            assert_eq!(String::from_utf8(ran.stdout).unwrap(), shown, "narrows {command}");
            commands.push(words[0]);
        }
    }
    assert_eq!(commands, ["explain", "explain", "who-can", "what-can"]);
}
