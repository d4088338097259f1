//! `narrows check` reads what the service would read, and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use narrows::cli::check::{CheckArgs, run};
use narrows::clock::Clock;
use narrows::config;
use narrows::token::Keys;
use serde_json::Value;
use tempfile::TempDir;

const RULES: &str = "version: 1\nrules:\n  - name: deployers deploy\n    to: {group: deployers}\n    allow: contributor\n    repository: apps/**\n  \
                     - name: everybody reads\n    to: authenticated\n    allow: viewer\n    repository: apps/**\n";
const USERS: &str =
    "users:\n  - name: robot\n    password: [\"$2y$12$zxfj8ecXLRrpNpSyGjyYnORljQCAv/1.XoxXyvMJuVJjQERzTIAme\"]\n    groups: [deployers]\n";
const CONFIG: &str = "services: [{name: registry.example}]\nrules: rules.yaml\nproviders: [{name: robots, file: {path: users.yaml}}]\n";

/// A folder with a good configuration and what it names, but no keys.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "narrows.yaml", CONFIG);
    write(folder.path(), "rules.yaml", RULES);
    write(folder.path(), "users.yaml", USERS);
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    #[cfg(unix)]
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

fn make_keys(folder: &Path) {
    let (config, _) = config::load(&folder.join("narrows.yaml")).unwrap();
    Keys::initialise(&config.signing, &config.services, config.folder(), &Clock::system()).unwrap();
}

struct Checked {
    code: ExitCode,
    out: String,
    talk: String,
}

async fn check(file: &Path, online: bool, json: bool) -> Checked {
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let code = run(&CheckArgs { config: file.to_owned(), online, deny_warnings: false, json }, &mut out, &mut talk).await.unwrap();
    Checked { code, out: String::from_utf8(out).unwrap(), talk: String::from_utf8(talk).unwrap() }
}

#[tokio::test]
async fn a_good_configuration_is_one_line() {
    let folder = folder();
    make_keys(folder.path());
    let checked = check(&folder.path().join("narrows.yaml"), false, false).await;
    assert_eq!(checked.talk, "");
    assert_eq!(checked.out, "1 provider, 2 rules, 1 service: good\n");
    assert_eq!(checked.code, ExitCode::SUCCESS);
}

#[tokio::test]
async fn missing_keys_are_a_warning_with_the_command_that_makes_them() {
    let folder = folder();
    let file = folder.path().join("narrows.yaml");
    let checked = check(&file, false, false).await;
    assert!(checked.talk.starts_with("warning: service `registry.example` has no keys\n"), "{}", checked.talk);
    assert!(checked.talk.contains(&format!("hint: run `narrows keys init --config {}`", file.display())), "{}", checked.talk);
    assert_eq!(checked.out, "1 provider, 2 rules, 1 service: good, 1 warning\n");
    assert_eq!(checked.code, ExitCode::SUCCESS);

    write(folder.path(), "narrows.yaml", &format!("{CONFIG}signing: {{create: true}}\n"));
    assert_eq!(check(&file, false, false).await.talk, "", "`serve` will make them");
}

#[tokio::test]
async fn a_check_changes_nothing() {
    let folder = folder();
    write(folder.path(), "narrows.yaml", &format!("{CONFIG}signing: {{create: true}}\naudit: {{file: audit.jsonl}}\n"));
    let list = || {
        let mut names: Vec<PathBuf> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    };
    let before = list();
    let checked = check(&folder.path().join("narrows.yaml"), true, false).await;
    assert_eq!(checked.code, ExitCode::SUCCESS, "{}", checked.talk);
    assert_eq!(list(), before);
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let folder = folder();
    write(folder.path(), "rules.yaml", "version: 1\nrules: [{to: anyone, allow: viewer}]\n");
    write(
        folder.path(),
        "narrows.yaml",
        &format!(
            "{CONFIG}tls: {{certificate: tls.crt, key: tls.key}}\nstate: {{path: nowhere/state.db}}\naudit: {{file: rules.yaml/audit}}\n"
        ),
    );
    let checked = check(&folder.path().join("narrows.yaml"), true, false).await;
    for expected in [
        "cannot read the certificate",
        "narrows.yaml:4:20",
        "`state.path`: `nowhere/state.db` cannot be used",
        "`audit.file`: `rules.yaml/audit` cannot be used",
        "rules.yaml:2:9",
    ] {
        assert!(checked.talk.contains(expected), "{expected}\n{}", checked.talk);
    }
    assert_eq!(checked.code, ExitCode::from(2));
}

#[tokio::test]
async fn files_that_are_not_there_are_errors_at_the_key_that_names_them() {
    for (missing, expected) in [("rules.yaml", "narrows.yaml:2:8"), ("users.yaml", "users.yaml")] {
        let folder = folder();
        fs::remove_file(folder.path().join(missing)).unwrap();
        let checked = check(&folder.path().join("narrows.yaml"), false, false).await;
        assert!(checked.talk.contains(expected), "{missing}\n{}", checked.talk);
        assert_eq!(checked.code, ExitCode::from(2), "{missing}");
    }
    let checked = check(Path::new("nowhere/narrows.yaml"), false, false).await;
    assert!(checked.talk.contains("cannot read the file"), "{}", checked.talk);
    assert_eq!((checked.code, checked.out.as_str()), (ExitCode::from(2), "1 error\n"));
}

#[tokio::test]
async fn a_directory_that_does_not_answer_is_unavailable_and_says_at_which_step() {
    let folder = folder();
    make_keys(folder.path());
    write(folder.path(), "ldap-password", "hunter2\n");
    write(
        folder.path(),
        "narrows.yaml",
        // Nobody listens on port 1.
        "services: [{name: registry.example}]\nrules: rules.yaml\nproviders:\n  - name: staff\n    ldap:\n      servers: [\"ldaps://127.0.0.1:1\"]\n      \
         service_account: {dn: \"cn=n,dc=example\", password: {file: ldap-password}}\n      user: {bases: [\"dc=example\"]}\n",
    );
    let checked = check(&folder.path().join("narrows.yaml"), true, false).await;
    assert_eq!(checked.code, ExitCode::from(3), "{}{}", checked.talk, checked.out);
    assert!(checked.out.contains("\nstaff: connect: FAILED: "), "{}", checked.out);
    assert!(checked.out.ends_with("1 provider, 2 rules, 1 service: a provider cannot be asked\n"), "{}", checked.out);
}

#[tokio::test]
async fn a_group_that_nobody_knows_is_a_warning_online() {
    let folder = folder();
    make_keys(folder.path());
    write(folder.path(), "rules.yaml", &RULES.replace("{group: deployers}", "{group: deplyoers}"));
    let file = folder.path().join("narrows.yaml");
    assert_eq!(check(&file, false, false).await.talk, "");
    let checked = check(&file, true, false).await;
    assert!(checked.talk.contains("warning: realm `robots` has no group `deplyoers`, which a rule names\n"), "{}", checked.talk);
    assert_eq!(checked.code, ExitCode::SUCCESS);
}

#[tokio::test]
async fn a_machine_reads_one_object() {
    let folder = folder();
    let checked = check(&folder.path().join("narrows.yaml"), false, true).await;
    assert_eq!(checked.talk, "");
    let read: Value = serde_json::from_str(&checked.out).unwrap();
    assert_eq!(read["outcome"], "good");
    assert_eq!(read["rules"], 2);
    assert_eq!(read["findings"][0]["severity"], "warning");
    assert_eq!(read["findings"][0]["line"], 1);
}

/// Every example is good with the files that its comment names, and the example users beside it.
#[tokio::test]
async fn every_example_passes_the_check() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let folder = folder();
    let authority = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
    write(folder.path(), "ca.pem", &authority.cert.pem());
    write(folder.path(), "ldap-password", "example\n");
    write(folder.path(), "oidc-secret", "example\n");
    fs::copy(shipped.join("users.yaml"), folder.path().join("users.yaml")).unwrap();
    let mut files = vec![shipped.join("narrows.yaml")];
    files.extend(fs::read_dir(shipped.join("examples")).unwrap().map(|entry| entry.unwrap().path()));
    for file in files {
        let copy = folder.path().join(file.file_name().unwrap());
        fs::copy(&file, &copy).unwrap();
        // The shipped rules speak of the reference's two realms.
        let rules = if file.ends_with("narrows.yaml") { fs::read_to_string(shipped.join("rules.yaml")).unwrap() } else { RULES.to_owned() };
        write(folder.path(), "rules.yaml", &rules);
        let checked = check(&copy, false, false).await;
        assert_eq!(checked.code, ExitCode::SUCCESS, "{}\n{}", file.display(), checked.talk);
        assert_eq!(checked.talk.matches("warning").count(), 1, "only keys are missing: {}\n{}", file.display(), checked.talk);
    }
}
