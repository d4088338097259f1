//! `setup`: one key in docker's file, and a registry that cannot say where people sign in.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};

use super::fake::{Fake, SERVICE};
use super::set_up;
use crate::labs::credential_helper::Lab;
use crate::labs::ports;

#[tokio::test]
async fn setup_makes_what_is_missing_and_nothing_else() {
    let (lab, fake) = set_up().await;
    let docker: Value = serde_json::from_str(&lab.docker_text()).unwrap();
    assert_eq!(docker, json!({"credHelpers": {fake.host(): "narrows"}}));
    let pins: Value = serde_json::from_slice(&fs::read(lab.pins()).unwrap()).unwrap();
    assert_eq!(pins, json!({"registries": {fake.host(): {"narrows": fake.url(), "service": SERVICE}}}));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&lab.pins()), 0o600);
    assert_eq!(mode(lab.pins().parent().unwrap()), 0o700);
    assert_eq!(mode(&lab.docker_config()), 0o600);
    // Once more changes nothing.
    let before = lab.docker_text();
    lab.run(&["setup", &fake.host(), "--narrows", &fake.url()], "").await.ok();
    assert_eq!(lab.docker_text(), before);
}

#[tokio::test]
async fn everything_else_in_dockers_file_stays_as_it_was() {
    let (lab, fake) = (Lab::new(), Fake::start().await);
    let text = "{\n    \"zeta\": [1.50, \"\\u00e4\"],\n    \"auths\": {\"other.test\": {\"auth\": \"dTpw\"}},\n    \"credsStore\": \"pass\",\n    \"credHelpers\": {\n        \"ecr.test\": \"ecr-login\"\n    },\n    \"HttpHeaders\": {}\n}\n";
    lab.write_docker(text);
    fs::set_permissions(lab.docker_config(), fs::Permissions::from_mode(0o640)).unwrap();
    lab.run(&["setup", &fake.host(), "--narrows", &fake.url()], "").await.ok();
    let expected = text.replace("\"ecr-login\"\n", &format!("\"ecr-login\",\n        \"{}\": \"narrows\"\n", fake.host()));
    assert_eq!(lab.docker_text(), expected);
    assert_eq!(fs::metadata(lab.docker_config()).unwrap().permissions().mode() & 0o7777, 0o640);
    let left: Vec<_> = fs::read_dir(lab.path("docker")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["config.json"]);
}

#[tokio::test]
async fn a_file_behind_a_link_is_changed_where_it_is() {
    let (lab, fake) = (Lab::new(), Fake::start().await);
    fs::create_dir_all(lab.path("dotfiles")).unwrap();
    fs::create_dir_all(lab.path("docker")).unwrap();
    fs::write(lab.path("dotfiles/docker.json"), "{\"a\":1}").unwrap();
    symlink("../dotfiles/docker.json", lab.docker_config()).unwrap();
    lab.run(&["setup", &fake.host(), "--narrows", &fake.url()], "").await.ok();
    assert!(fs::symlink_metadata(lab.docker_config()).unwrap().is_symlink());
    let expected = format!("{{\"a\":1,\"credHelpers\":{{\"{}\":\"narrows\"}}}}", fake.host());
    assert_eq!(fs::read_to_string(lab.path("dotfiles/docker.json")).unwrap(), expected);
}

#[tokio::test]
async fn a_broken_file_is_left_as_it_is_and_nothing_is_written() {
    let fake = Fake::start().await;
    let broken =
        ["{\n  \"auths\": {},\n  // mine\n}\n", "{\"a\": 1", "[]", "{\"credHelpers\": 7}", "{\"credHelpers\": {}, \"credHelpers\": {}}"];
    for text in broken {
        let lab = Lab::new();
        lab.write_docker(text);
        let ran = lab.run(&["setup", &fake.host(), "--narrows", &fake.url()], "").await;
        assert_eq!(ran.code, Some(2), "{text}");
        let path = lab.docker_config();
        ran.refused(&[path.to_str().unwrap(), "nothing is changed"]);
        assert_eq!(lab.docker_text(), text);
        assert!(!lab.path("config").exists());
    }
    let lab = Lab::new();
    lab.write_docker(broken[0]);
    lab.run(&["setup", &fake.host(), "--narrows", &fake.url()], "").await.refused(&["line 3 column 3"]);
    assert_eq!(fake.count(), 0, "a broken file is found before anybody is asked");
}

#[tokio::test]
async fn another_helper_stays_until_it_is_replaced() {
    let (lab, fake) = (Lab::new(), Fake::start().await);
    let text = format!("{{\"credHelpers\": {{\"{}\": \"pass\"}}}}", fake.host());
    lab.write_docker(&text);
    let setup = ["setup", &fake.host(), "--narrows", &fake.url()];
    lab.run(&setup, "").await.refused(&["pass", "--replace"]);
    assert_eq!(lab.docker_text(), text);
    lab.run(&[&setup[..], &["--replace"]].concat(), "").await.ok();
    assert_eq!(lab.docker_text(), text.replace("pass", "narrows"));
}

#[tokio::test]
async fn a_registry_that_sends_people_elsewhere_is_refused() {
    let fake = Fake::start().await;
    let elsewhere = ["https://evil.test/token", "http://127.0.0.1:1/token", "not an address", "https://u@127.0.0.1/\u{1b}[2J"];
    for realm in elsewhere.into_iter().filter(|realm| realm.is_ascii() && !realm.contains('\u{1b}')) {
        let lab = Lab::new();
        fake.set_realm(realm);
        let ran = lab.run(&["setup", &fake.host(), "--narrows", &fake.url(), "--service", SERVICE], "").await;
        assert_eq!(ran.code, Some(1), "{realm}");
        ran.refused(&[realm, &fake.url(), "nothing is written"]);
        assert!(!lab.path("config").exists() && !lab.path("docker").exists());
    }
}

#[tokio::test]
async fn a_registry_that_cannot_be_asked_needs_its_service() {
    let lab = Lab::new();
    let nobody = ports::free().to_string();
    let setup = ["setup", &nobody, "--narrows", "https://auth.test"];
    let ran = lab.run(&setup, "").await;
    assert_eq!(ran.code, Some(3));
    ran.refused(&["cannot be asked", "--service"]);
    assert!(!lab.path("config").exists() && !lab.path("docker").exists());
    lab.run(&[&setup[..], &["--service", "other.test"]].concat(), "").await.ok().says(&["your word alone"]);
    assert!(fs::read_to_string(lab.pins()).unwrap().contains("other.test"));
}

#[tokio::test]
async fn the_registrys_own_service_is_believed_and_another_one_refused() {
    let (lab, fake) = (Lab::new(), Fake::start().await);
    let ran = lab.run(&["setup", &fake.host(), "--narrows", &fake.url(), "--service", "other.test"], "").await;
    ran.refused(&[SERVICE, "other.test"]);
    assert!(!lab.path("config").exists());
}

#[tokio::test]
async fn another_narrows_needs_a_word_and_ends_the_sign_in() {
    let (lab, fake) = super::signed_in().await;
    let other = Fake::start().await;
    fake.set_realm(&format!("{}/token", other.url()));
    let setup = ["setup", &fake.host(), "--narrows", &other.url()];
    lab.run(&setup, "").await.refused(&[&fake.url(), "--replace"]);
    lab.run(&["get"], &fake.host()).await.ok();
    lab.run(&[&setup[..], &["--replace"]].concat(), "").await.ok();
    super::refuses(&lab, "get", &fake.host(), super::NOT_FOUND).await;
    assert_eq!(fake.asked("POST /revoke").len(), 1, "the narrows that made the token is told");
    assert_eq!(other.asked("POST /revoke").len(), 0, "the token is shown to no other one");
}

#[tokio::test]
async fn narrows_beyond_this_machine_is_https() {
    let lab = Lab::new();
    for url in ["http://auth.test", "ftp://auth.test", "auth.test", "https://user:word@auth.test"] {
        let ran = lab.run(&["setup", "reg.test", "--narrows", url, "--service", "s"], "").await;
        assert_eq!(ran.code, Some(2), "{url}");
        ran.refused(&["public_url"]);
    }
    assert!(!lab.path("config").exists());
}

#[tokio::test]
async fn a_login_that_podman_takes_first_is_named() {
    let (lab, fake) = (Lab::new(), Fake::start().await);
    fs::create_dir_all(lab.path("run/containers")).unwrap();
    let old = json!({"auths": {fake.host(): {"auth": "dTpw"}}}).to_string();
    fs::write(lab.path("run/containers/auth.json"), &old).unwrap();
    lab.run(&["setup", &fake.host(), "--narrows", &fake.url()], "").await.ok().says(&["podman logout"]);
    assert_eq!(fs::read_to_string(lab.path("run/containers/auth.json")).unwrap(), old);
}
