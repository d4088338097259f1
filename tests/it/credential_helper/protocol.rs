//! What docker says to the program, and what it hears.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use super::fake::TOKEN;
use super::{NOT_FOUND, refuses, set_up, signed_in};
use crate::labs::credential_helper::Lab;

#[tokio::test]
async fn a_registry_is_found_however_it_is_written() {
    let (lab, fake) = signed_in().await;
    let before = fake.count();
    for server in [fake.host(), format!("http://{}", fake.host()), format!("https://{}/v1/\n", fake.host()), format!("{}/", fake.host())] {
        let got: Value = serde_json::from_str(&lab.run(&["get"], &server).await.ok().stdout).unwrap();
        assert_eq!(got, json!({"ServerURL": server.trim(), "Username": "<token>", "Secret": TOKEN}), "{server}");
    }
    assert_eq!(fake.count(), before, "`get` asks nobody");
}

#[tokio::test]
async fn the_token_is_given_for_its_registry_alone() {
    let (lab, fake) = signed_in().await;
    let port = fake.address.port();
    let others =
        ["127.0.0.1".to_owned(), format!("127.0.0.2:{port}"), format!("127.0.0.1:{port}.evil.test"), format!("evil.test/{}", fake.host())];
    for other in others.into_iter().chain(["https://index.docker.io/v1/".to_owned(), format!("{}@evil.test", fake.host())]) {
        refuses(&lab, "get", &other, NOT_FOUND).await;
    }
    refuses(&lab, "get", "", "no credentials server URL").await;
    refuses(&lab, "get", " \n", "no credentials server URL").await;
}

#[tokio::test]
async fn a_token_whose_time_is_over_is_not_given() {
    let (lab, fake) = signed_in().await;
    let mut kept: Value = serde_json::from_slice(&fs::read(lab.tokens()).unwrap()).unwrap();
    kept["tokens"][fake.host()]["expires"] = json!(1_700_000_000);
    fs::write(lab.tokens(), kept.to_string()).unwrap();
    let ran = lab.run(&["get"], &fake.host()).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), format!("{NOT_FOUND}\n").as_str()));
    assert!(ran.stderr.contains(&format!("docker-credential-narrows login {}", fake.host())), "{}", ran.stderr);
}

#[tokio::test]
async fn a_password_is_not_kept() {
    let (lab, fake) = set_up().await;
    let given = |username: &str, secret: &str| json!({"ServerURL": fake.host(), "Username": username, "Secret": secret}).to_string();
    for (username, secret) in [("alice", "swordfish"), ("alice", TOKEN), ("<token>", "swordfish"), ("<token>", "")] {
        let ran = lab.run(&["store"], &given(username, secret)).await;
        assert_eq!(ran.code, Some(1));
        assert!(ran.stdout.contains("passwords are not kept") && ran.stdout.contains("docker-credential-narrows login"), "{}", ran.stdout);
        assert!(!ran.text().contains("swordfish"));
    }
    assert!(!lab.tokens().exists());
    refuses(&lab, "store", &given("", "x"), "no credentials username").await;
    refuses(&lab, "store", &json!({"Username": "a", "Secret": "b"}).to_string(), "no credentials server URL").await;
    let ran = lab.run(&["store"], "swordfish").await;
    assert!(ran.code == Some(1) && !ran.text().contains("swordfish"));
    let other = json!({"ServerURL": "other.test", "Username": "<token>", "Secret": TOKEN}).to_string();
    lab.run(&["store"], &other).await.refused(&["docker-credential-narrows setup other.test"]);
}

#[tokio::test]
async fn an_identity_token_is_kept_and_one_that_comes_again_is_as_old_as_it_was() {
    let (lab, fake) = signed_in().await;
    let before = fs::read(lab.tokens()).unwrap();
    let given = |token: &str| json!({"ServerURL": format!("http://{}", fake.host()), "Username": "<token>", "Secret": token}).to_string();
    lab.run(&["store"], &given(TOKEN)).await.ok();
    assert_eq!(fs::read(lab.tokens()).unwrap(), before);
    let newer = format!("{TOKEN}2");
    assert_eq!(lab.run(&["store"], &given(&newer)).await.ok().text(), "");
    lab.run(&["get"], &fake.host()).await.ok().says(&[&newer]);
}

#[tokio::test]
async fn a_log_out_forgets_the_token_and_ends_it() {
    let (lab, fake) = signed_in().await;
    assert_eq!(lab.run(&["erase"], &fake.host()).await.ok().text(), "");
    let revoked = fake.asked("POST /revoke");
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0].form.get("token").map(String::as_str), Some(TOKEN));
    refuses(&lab, "get", &fake.host(), NOT_FOUND).await;
    assert_eq!(lab.run(&["list"], "").await.ok().stdout, "{}\n");
    assert!(!fs::read_to_string(lab.tokens()).unwrap().contains(TOKEN));
    // Once more, and what was never there.
    for host in [fake.host().as_str(), "other.test", "not a host"] {
        lab.run(&["erase"], host).await.ok();
    }
    assert_eq!(fake.asked("POST /revoke").len(), 1);
}

#[tokio::test]
async fn a_log_out_that_narrows_does_not_hear_of_forgets_all_the_same_and_says_so() {
    let (lab, fake) = signed_in().await;
    fake.set_revoke(503);
    let ran = lab.run(&["erase"], &fake.host()).await.ok();
    assert_eq!(ran.stdout, "");
    ran.says(&["could not be told", "narrows tokens revoke"]);
    refuses(&lab, "get", &fake.host(), NOT_FOUND).await;
}

#[tokio::test]
async fn the_other_words_answer_as_other_helpers_do() {
    let lab = Lab::new();
    assert_eq!(lab.run(&["list"], "").await.ok().stdout, "{}\n");
    let version = lab.run(&["version"], "").await.ok().stdout;
    assert_eq!(version, format!("docker-credential-narrows {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(lab.run(&["--version"], "").await.ok().stdout, version);
    for arguments in [&["--help"][..], &["setup", "--help"], &["login", "--help"], &["get", "--help"], &["help", "store"]] {
        lab.run(arguments, "").await.ok().says(&["Usage"]);
    }
    assert_eq!(lab.run(&[], "").await.code, Some(2));
    assert_eq!(lab.run(&["steal"], "").await.code, Some(2));
    assert!(!lab.path("config").exists(), "asking leaves nothing behind");
}

#[tokio::test]
async fn a_docker_that_went_away_is_no_disaster() {
    let (lab, fake) = signed_in().await;
    let mut child = tokio::process::Command::new("/usr/bin/env");
    child.arg("-i").args(lab.environment()).args([
        "/bin/sh",
        "-c",
        &format!("echo {} | docker-credential-narrows get 2>&1 >/dev/full", fake.host()),
    ]);
    let ended = child.stdin(Stdio::null()).output().await.unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stdout).as_ref()), (Some(1), ""));
}
