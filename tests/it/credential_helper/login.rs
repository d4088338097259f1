//! `login`: at a terminal and without one, and whatever narrows answers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::fake::{SERVICE, TOKEN, begun, error, pending, signed};
use super::{NOT_FOUND, refuses, set_up, signed_in};
use crate::labs::credential_helper::Lab;
use crate::labs::wait;

#[tokio::test]
async fn a_sign_in_without_a_terminal_shows_address_and_code() {
    let (lab, fake) = set_up().await;
    fake.set_polls([pending(), pending(), (200, signed(TOKEN))]);
    let ran = lab.run(&["login", &fake.host()], "").await.ok();
    assert_eq!(ran.stdout, "", "standard output is data, and there is none");
    ran.says(&["https://auth.test/device", "ABCD-EFGH", "Signed in", "alice", "until 20"]);
    let started = fake.asked("POST /device/start");
    assert_eq!(started.len(), 1);
    assert_eq!(started[0].form.get("service").map(String::as_str), Some(SERVICE));
    let polls = fake.asked("POST /device/poll");
    assert_eq!(polls.len(), 3);
    assert!(polls.iter().all(|poll| poll.form.get("flow").map(String::as_str) == Some("flow-secret")));
    assert_eq!(fs::metadata(lab.tokens()).unwrap().permissions().mode() & 0o7777, 0o600);
    let got: Value = serde_json::from_str(&lab.run(&["get"], &fake.host()).await.ok().stdout).unwrap();
    assert_eq!(got, json!({"ServerURL": fake.host(), "Username": "<token>", "Secret": TOKEN}));
}

#[tokio::test]
async fn a_sign_in_at_a_terminal_opens_the_page_in_the_browser() {
    let (lab, fake) = set_up().await;
    let lab = lab.with("DISPLAY", ":99");
    let opened = lab.path("opened");
    lab.install("xdg-open", &format!("printf '%s\\n' \"$#\" \"$@\" >{0}.new && mv {0}.new {0}", opened.display()));
    lab.run_at_terminal(&["login", &fake.host()]).await.ok().says(&["ABCD-EFGH", "Your browser opens it", "Signed in"]);
    let opened = wait::until(Duration::from_secs(10), async || fs::read_to_string(&opened).map_err(|error| error.to_string())).await;
    assert_eq!(opened, "1\nhttps://auth.test/device?user_code=ABCD-EFGH\n");
}

#[tokio::test]
async fn no_browser_opens_where_nobody_wants_one_or_the_address_is_none() {
    let (lab, fake) = set_up().await;
    let lab = lab.with("DISPLAY", ":99");
    let opened = lab.path("opened");
    lab.install("xdg-open", &format!("touch {}", opened.display()));
    let host = fake.host();
    let quiet = |ran: crate::labs::process::Ran| assert!(!ran.ok().text().contains("browser opens"));
    quiet(lab.run(&["login", &host], "").await);
    quiet(lab.run_at_terminal(&["login", &host, "--no-browser"]).await);
    for address in ["http://auth.test/device", "file:///etc/passwd", "javascript:alert(1)", "--help", "https://"] {
        let mut start = begun();
        start["verification_uri_complete"] = json!(address);
        fake.set_start(200, start);
        quiet(lab.run_at_terminal(&["login", &host]).await);
    }
    fake.set_start(200, begun());
    let lab = lab.with("BROWSER", "none");
    quiet(lab.run_at_terminal(&["login", &host]).await);
    assert!(!opened.exists());
}

#[tokio::test]
async fn text_of_narrows_drives_no_terminal() {
    let (lab, fake) = set_up().await;
    let mut start = begun();
    start["user_code"] = json!("AB\u{1b}[2J\u{1b}]0;x\u{7}CD");
    start["verification_uri"] = json!("https://auth.test/\u{202e}\u{9b}31mdevice\r");
    fake.set_start(200, start);
    let mut signed = signed(TOKEN);
    signed["username"] = json!("al\u{1b}[31mice\n");
    fake.set_polls([(503, error("unavailable", "\u{1b}[2Jlater\u{7}")), (200, signed)]);
    let ran = lab.run_at_terminal(&["login", &fake.host()]).await.ok();
    let hidden = |character: &char| *character != '\n' && *character != '\r' && narrows::source::is_hidden(*character);
    assert_eq!(ran.text().chars().filter(hidden).collect::<String>(), "");
    ran.says(&["AB[2J]0;xCD", "https://auth.test/31mdevice", "[2Jlater", "al[31mice"]);
    let refused = error("invalid_scope", "\u{1b}[2Jno such registry");
    fake.set_start(400, refused);
    let ran = lab.run_at_terminal(&["login", &fake.host()]).await;
    assert_eq!(ran.code, Some(2));
    assert_eq!(ran.text().chars().filter(hidden).collect::<String>(), "");
    ran.refused(&["[2Jno such registry"]);
}

#[tokio::test]
async fn a_narrows_that_wants_fewer_polls_gets_them() {
    let (lab, fake) = set_up().await;
    fake.set_polls([(400, error("slow_down", "not so fast")), (200, signed(TOKEN))]);
    lab.run(&["login", &fake.host()], "").await.ok();
    let polls = fake.asked("POST /device/poll");
    let pause = polls[1].at - polls[0].at;
    assert!(pause >= Duration::from_secs(6), "one second becomes six (RFC 8628 §3.5), not {pause:?}");
}

#[tokio::test]
async fn an_outage_of_narrows_is_waited_for() {
    let (lab, fake) = set_up().await;
    fake.set_polls([(503, error("unavailable", "the state is busy")), (429, error("", "too many")), (200, signed(TOKEN))]);
    lab.run(&["login", &fake.host()], "").await.ok().says(&["the state is busy", "Signed in"]);
    fake.set_start(503, error("unavailable", "the issuer is down"));
    let ran = lab.run(&["login", &fake.host()], "").await;
    assert_eq!(ran.code, Some(3));
    ran.refused(&["the issuer is down", "try again in 1 s"]);
}

#[tokio::test]
async fn a_sign_in_that_ends_without_a_token_keeps_nothing() {
    let (lab, fake) = set_up().await;
    for (word, told) in [("access_denied", "refused"), ("expired_token", "in time"), ("invalid_grant", "the flow is unknown")] {
        fake.set_polls([(400, error(word, "the flow is unknown"))]);
        let ran = lab.run(&["login", &fake.host()], "").await;
        assert_eq!(ran.code, Some(1), "{word}");
        ran.refused(&[told, "nothing is kept"]);
    }
    fake.set_polls([(200, signed("a password"))]);
    lab.run(&["login", &fake.host()], "").await.refused(&["no identity token"]);
    let mut start = begun();
    start["expires_in"] = json!(1);
    fake.set_start(200, start);
    fake.set_polls([pending()]);
    let ran = lab.run(&["login", &fake.host()], "").await;
    assert_eq!(ran.code, Some(1));
    ran.refused(&["nobody signed in in time", "docker-credential-narrows login"]);
    assert!(!lab.tokens().exists());
}

#[tokio::test]
async fn a_token_for_another_registry_is_ended_and_not_kept() {
    let (lab, fake) = set_up().await;
    let mut other = signed(TOKEN);
    other["service"] = json!("other.test");
    fake.set_polls([(200, other)]);
    lab.run(&["login", &fake.host()], "").await.refused(&["other.test", SERVICE]);
    assert_eq!(fake.asked("POST /revoke")[0].form.get("token").map(String::as_str), Some(TOKEN));
    assert!(!lab.tokens().exists());
}

#[tokio::test]
async fn ctrl_c_ends_the_wait_and_keeps_nothing() {
    let (lab, fake) = set_up().await;
    fake.set_polls([pending()]);
    let mut child = tokio::process::Command::new("/usr/bin/env")
        .arg("-i")
        .args(lab.environment())
        .args(["script", "-qec", &Lab::typed(&["login", &fake.host()]), "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    fake.until_asked("POST /device/poll").await;
    let mut keys = child.stdin.take().unwrap();
    keys.write_all(b"\x03").await.unwrap();
    keys.flush().await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait_with_output()).await.expect("it ends").unwrap();
    drop(keys);
    let text = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(1), "{text}");
    assert!(text.contains("nothing is kept"), "{text}");
    assert!(!lab.tokens().exists());
}

#[tokio::test]
async fn two_sign_ins_at_once_lose_no_token() {
    let (lab, one) = set_up().await;
    let two = super::fake::Fake::start().await;
    lab.run(&["setup", &two.host(), "--narrows", &two.url()], "").await.ok();
    let other = format!("{TOKEN}2");
    two.set_polls([(200, signed(&other))]);
    let (host_one, host_two) = (one.host(), two.host());
    let (login_one, login_two) = (["login", &host_one], ["login", &host_two]);
    let (first, second) = tokio::join!(lab.run(&login_one, ""), lab.run(&login_two, ""));
    first.ok();
    second.ok();
    lab.run(&["get"], &host_one).await.ok().says(&[&format!("{TOKEN}\"")]);
    lab.run(&["get"], &host_two).await.ok().says(&[&other]);
    let listed: Value = serde_json::from_str(&lab.run(&["list"], "").await.ok().stdout).unwrap();
    assert_eq!(listed, json!({host_one: "<token>", host_two: "<token>"}));
}

#[tokio::test]
async fn a_new_sign_in_ends_the_token_of_the_one_before() {
    let (lab, fake) = signed_in().await;
    let newer = format!("{TOKEN}2");
    fake.set_polls([(200, signed(&newer))]);
    lab.run(&["login", &fake.host()], "").await.ok();
    lab.run(&["get"], &fake.host()).await.ok().says(&[&newer]);
    let revoked = fake.asked("POST /revoke");
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0].form.get("token").map(String::as_str), Some(TOKEN));
}

#[tokio::test]
async fn a_registry_that_is_not_set_up_has_no_sign_in() {
    let (lab, fake) = set_up().await;
    let before = fake.count();
    for host in ["other.test", "127.0.0.1:1"] {
        let ran = lab.run(&["login", host], "").await;
        assert_eq!(ran.code, Some(2));
        ran.refused(&["docker-credential-narrows setup", host]);
    }
    assert_eq!(fake.count(), before);
    refuses(&lab, "get", &fake.host(), NOT_FOUND).await;
}

#[tokio::test]
async fn a_narrows_that_is_away_is_an_outage() {
    let (lab, fake) = set_up().await;
    let host = fake.host();
    drop(fake);
    let ran = wait::until(Duration::from_secs(10), async || {
        let ran = lab.run(&["login", &host], "").await;
        if ran.code == Some(3) { Ok(ran) } else { Err(ran.text()) }
    })
    .await;
    ran.refused(&["cannot be reached", &host]);
}
