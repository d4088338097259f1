//! How narrows is reached: whose certificates count, what a proxy sees, and what an answer may be.

use std::fs;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::fake::{Fake, TOKEN, begun};
use super::set_up;
use crate::labs::credential_helper::Lab;
use crate::labs::ports;

#[tokio::test]
async fn a_companys_own_certificates_are_trusted_where_they_are_named() {
    let lab = Lab::new();
    let fake = Fake::start_encrypted(&lab.path("")).await;
    let setup = ["setup", &fake.host(), "--narrows", &fake.url()];
    let ran = lab.run(&setup, "").await;
    assert_eq!(ran.code, Some(3));
    ran.refused(&["cannot be asked", "certificate"]);
    let ca = lab.path("ca.pem");
    lab.run(&[&setup[..], &["--ca", ca.to_str().unwrap()]].concat(), "").await.ok();
    lab.run(&["login", &fake.host()], "").await.ok().says(&["Signed in"]);
    lab.run(&["get"], &fake.host()).await.ok().says(&[TOKEN]);
    lab.run(&["erase"], &fake.host()).await.ok();
    assert_eq!(fake.asked("POST /revoke").len(), 1);
    // Later the file is gone: nobody signs in by other certificates instead.
    fs::remove_file(&ca).unwrap();
    let ran = lab.run(&["login", &fake.host()], "").await;
    assert_eq!(ran.code, Some(2));
    ran.refused(&["ca.pem"]);
    let bad = lab.path("bad.pem");
    for text in ["", "no certificate"] {
        fs::write(&bad, text).unwrap();
        lab.run(&[&setup[..], &["--ca", bad.to_str().unwrap()]].concat(), "").await.refused(&["bad.pem", "PEM"]);
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_ends_a_sign_in() {
    let (lab, other) = (Lab::new(), tempfile::tempdir().unwrap());
    let fake = Fake::start_encrypted(&lab.path("")).await;
    crate::labs::certificates::write(other.path(), &["127.0.0.1"]);
    let ca = other.path().join("ca.pem");
    let setup = ["setup", &fake.host(), "--narrows", &fake.url(), "--service", "registry.test", "--ca", ca.to_str().unwrap()];
    lab.run(&setup, "").await.ok().says(&["your word alone"]);
    let ran = lab.run(&["login", &fake.host()], "").await;
    assert_eq!(ran.code, Some(3));
    ran.refused(&["cannot be reached", "certificate"]);
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_and_sees_no_more() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let lab = Lab::new().with("HTTPS_PROXY", &format!("http://{}", proxy.local_addr().unwrap()));
    let seen = tokio::spawn(async move {
        let mut heads = Vec::new();
        // One for the look at the registry, one for the sign-in.
        for _ in 0..2 {
            let (mut stream, _) = proxy.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 503 no\r\n\r\n").await.unwrap();
            heads.push(String::from_utf8(head).unwrap());
        }
        heads
    });
    lab.run(&["setup", "reg.test", "--narrows", "https://auth.test", "--service", "s"], "").await.ok();
    let ran = lab.run(&["login", "reg.test"], "").await;
    assert_eq!(ran.code, Some(3));
    let heads = tokio::time::timeout(Duration::from_secs(10), seen).await.expect("the proxy is asked").unwrap();
    assert!(heads[0].starts_with("CONNECT reg.test:443 "), "{}", heads[0]);
    assert!(heads[1].starts_with("CONNECT auth.test:443 "), "{}", heads[1]);
}

#[tokio::test]
async fn what_is_on_this_machine_is_asked_without_a_proxy() {
    let (lab, fake) = set_up().await;
    let nobody = format!("http://{}", ports::free());
    let lab = lab.with("HTTP_PROXY", &nobody).with("http_proxy", &nobody).with("ALL_PROXY", &nobody);
    lab.run(&["login", &fake.host()], "").await.ok();
}

#[tokio::test]
async fn an_answer_that_is_none_is_not_followed_or_swallowed() {
    let (lab, fake) = set_up().await;
    fake.set_start(302, json!({}));
    let ran = lab.run(&["login", &fake.host()], "").await;
    assert_eq!(ran.code, Some(3));
    ran.refused(&["status 302"]);
    assert_eq!(fake.asked("POST /device/start").len() + fake.asked("GET /device/start").len(), 1);
    let mut huge = begun();
    huge["user_code"] = json!("A".repeat(70_000));
    fake.set_start(200, huge);
    let ran = lab.run(&["login", &fake.host()], "").await;
    assert_eq!(ran.code, Some(3));
    ran.refused(&["larger than 64 KiB"]);
    for nonsense in [json!([]), json!({"flow": 1}), json!("x")] {
        fake.set_start(200, nonsense);
        let ran = lab.run(&["login", &fake.host()], "").await;
        assert_eq!(ran.code, Some(3));
        ran.refused(&["makes no sense"]);
    }
}
