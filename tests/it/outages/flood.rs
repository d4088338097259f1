//! Garbage over bare connections: the process stays, and a good request is answered straight after.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::lab::{ALICE, FAST, Lab, PAYMENTS, PUBLIC, Plan};
use super::wire;

/// How often each piece of garbage comes, and how many connections there are at a time.
const EACH: usize = 20;
const AT_A_TIME: usize = 64;

#[tokio::test]
async fn garbage_ends_nothing_and_is_never_our_failure() {
    let Some(lab) = Lab::start(Plan::default()).await else { return };
    lab.ask(Some(ALICE), PAYMENTS).await.ok();
    let address = lab.bridge.site().address();
    let garbage = garbage();
    let sent = garbage.len() * EACH;
    let answers = stream::iter((0..EACH).flat_map(|_| garbage.iter().cloned()))
        .map(|bytes| async move {
            let answer = wire::exchange(address, &bytes, Duration::from_millis(500)).await;
            (wire::status(&answer), bytes)
        })
        .buffer_unordered(AT_A_TIME);
    let mut counted: BTreeMap<Option<u16>, usize> = BTreeMap::new();
    let mut answers = std::pin::pin!(answers);
    while let Some((status, bytes)) = answers.next().await {
        let shown: String = String::from_utf8_lossy(&bytes).chars().take(200).collect();
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{status:?} for {shown:?}");
        *counted.entry(status).or_default() += 1;
    }
    eprintln!("measured: {sent} malformed requests, answers by status: {counted:?}");
    let answered: usize = counted.iter().filter(|(status, _)| status.is_some()).map(|(_, count)| count).sum();
    assert!(answered > sent / 3, "most garbage was not answered, so the flood tells little: {counted:?}");

    // Half requests that stay open take no place from others.
    let mut open = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /token?service=registry.test HTTP/1.1\r\nHost: x\r\nAuthoriz").await.unwrap();
        open.push(stream);
    }
    for who in [Some(ALICE), None] {
        let answer = lab.ask(who, PUBLIC).await.ok();
        eprintln!("measured: a good request after the flood took {:?}", answer.took);
        assert!(answer.took < FAST, "a good request after the flood took {:?}", answer.took);
    }
    drop(open);
    let log = lab.bridge.log();
    assert!(!log.contains("panicked") && !log.contains("ended in a panic"), "{log}");
}

fn garbage() -> Vec<Vec<u8>> {
    let good = "GET /token?service=registry.test&scope=repository:base/x:pull HTTP/1.1\r\nHost: x\r\n";
    let form = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let text = |text: String| text.into_bytes();
    vec![
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET /token\r\n\r\n".to_vec(),
        b"GET /token HTTP/9.9\r\nHost: x\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET /token?service=%00%ff%zz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GET /token?service=registry.test&service=other.test HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GET /to\0ken HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GET http:///token HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"CONNECT registry.test:443 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        text(format!("GET /token?service={} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(20_000))),
        text(format!("{good}X: {}\r\n\r\n", "a".repeat(60_000))),
        text(format!("{good}{}\r\n", "X: y\r\n".repeat(500))),
        text(format!("{good}X\0: y\r\n\r\n")),
        text(format!("{good}X: y\0z\r\n\r\n")),
        text(format!("{good}no colon here\r\n\r\n")),
        text(format!("{good}Authorization: Basic !!!!\r\n\r\n")),
        text(format!("{good}Authorization: Basic AGFsaWNlADpzZWNyZXQA\r\n\r\n")),
        text(format!("{good}Authorization: Bearer {}\r\n\r\n", "x".repeat(9000))),
        text(format!("{form}Transfer-Encoding: chunked\r\n\r\nZZZ\r\nabc\r\n0\r\n\r\n")),
        text(format!("{form}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nabc")),
        text(format!("{form}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc")),
        text(format!("{form}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")),
        text(format!("{form}Content-Length: -1\r\n\r\nabc")),
        text(format!("{form}Content-Length: 99999999999999999999\r\n\r\nabc")),
        text(format!("{form}Content-Length: 9000000\r\n\r\n{}", "a".repeat(100_000))),
        text(format!("{form}Content-Length: 12\r\n\r\ngrant_type=%")),
        // Half a head, half a form.
        text(good.to_owned()),
        text(format!("{form}Content-Length: 50\r\n\r\ngrant_type=pass")),
    ]
}
