//! What a machine may lack, and how a test says that it did not run.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;

/// Answers `present`. A part that is missing is named on stderr and in the file that `NARROWS_SKIPPED` names; with
/// `NARROWS_REQUIRE_ALL=1` it is a failure.
#[track_caller]
pub fn available(part: &str, present: bool) -> bool {
    if present {
        return true;
    }
    assert!(!is_set("NARROWS_REQUIRE_ALL"), "{part} is missing, and NARROWS_REQUIRE_ALL=1 forbids to skip it");
    skip(part);
    false
}

/// Names a part that only `make interop` fetches; no machine is required to have it.
pub fn skip(part: &str) {
    eprintln!("SKIPPED: {part}");
    if let Some(path) = env::var_os("NARROWS_SKIPPED").filter(|path| !path.is_empty()) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the file of NARROWS_SKIPPED opens");
        writeln!(file, "{part}").expect("the file of NARROWS_SKIPPED takes a line");
    }
}

fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| value == "1")
}
