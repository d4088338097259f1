//! Servers that speak no LDAP, half of it, or too much of it: an outage each time, and the process goes on.

use std::time::Duration;

use narrows::authn::attempt::Attempt;
use narrows::authn::authenticator::Freshness;
use narrows::authn::verdict::Unavailable;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::{directory_at, within};

/// What the server does.
#[derive(Clone)]
enum Conduct {
    /// Reads one request, sends these bytes and keeps the connection open.
    Answer(Vec<u8>),
    /// Reads one request, sends these bytes and closes.
    Close(Vec<u8>),
    /// Answers the first bind with success and closes.
    CloseAfterBind,
}

const BIND_SUCCESS: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";

async fn behave(mut stream: TcpStream, conduct: Conduct) -> std::io::Result<()> {
    let mut request = vec![0; 4096];
    let _ = stream.read(&mut request).await?;
    match conduct {
        Conduct::Close(bytes) => stream.write_all(&bytes).await,
        Conduct::CloseAfterBind => stream.write_all(BIND_SUCCESS).await,
        Conduct::Answer(bytes) => {
            stream.write_all(&bytes).await?;
            // Until the other side hangs up.
            while stream.read(&mut request).await? > 0 {}
            Ok(())
        }
    }
}

/// What a verification says of a server with this conduct, and how long it took.
async fn ask(server: &str, lines: &[(&str, &str)], conduct: Conduct) -> (Unavailable, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = server.replace("PORT", &listener.local_addr().unwrap().port().to_string());
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(behave(stream, conduct.clone()));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), a_certificate()).unwrap();
    let staff = directory_at(folder.path(), &url, lines);
    let started = Instant::now();
    let password = SecretString::from("secret".to_owned());
    let verdict = staff.verify("alice", &password, &within(Duration::from_secs(2)), Freshness::CacheAllowed, &Attempt::default()).await;
    (verdict.unwrap_err(), started.elapsed())
}

fn a_certificate() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap().pem()
}

/// An element with a length of four bytes.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag, 0x84];
    bytes.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
    bytes.extend(content);
    bytes
}

#[tokio::test]
async fn garbage_is_an_outage_and_never_an_answer() {
    let mut deep = vec![0x02, 0x01, 0x00];
    for _ in 0..20_000 {
        deep = match deep.len() {
            length if length > 400_000 => break,
            _ => element(0x30, &deep),
        };
    }
    let empty_bind = b"\x30\x05\x02\x01\x01\x61\x00".to_vec();
    let not_text = b"\x30\x0d\x02\x01\x01\x61\x08\x0a\x01\x00\x04\x00\x04\x01\xff".to_vec();
    let no_enumeration = b"\x30\x0c\x02\x01\x01\x61\x07\x02\x01\x00\x04\x00\x04\x00".to_vec();
    let long_code = b"\x30\x10\x02\x01\x01\x61\x0b\x0a\x05\x01\x00\x00\x00\x00\x04\x00\x04\x00".to_vec();
    let no_texts = b"\x30\x08\x02\x01\x01\x61\x03\x0a\x01\x00".to_vec();
    let bad_control = b"\x30\x14\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00\xa0\x06\x30\x04\x01\x02\xff\xff".to_vec();
    for (name, conduct, expected) in [
        ("text", Conduct::Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "does not speak LDAP"),
        ("an oversize frame", Conduct::Answer(b"\x30\x84\x7f\xff\xff\xff\x02\x01\x01".to_vec()), "at most"),
        ("half a message", Conduct::Close(b"\x30\x0c\x02\x01\x01\x61".to_vec()), "inside a message"),
        ("nothing", Conduct::Close(Vec::new()), "closed the connection"),
        ("silence", Conduct::Answer(Vec::new()), "no answer in time"),
        ("an endless length", Conduct::Answer(b"\x30\x80\x02\x01\x01\x00\x00".to_vec()), "does not speak LDAP"),
        ("nesting", Conduct::Answer(deep), "nested too deeply"),
        ("an empty frame", Conduct::Answer(b"\x30\x00".to_vec()), "does not speak LDAP"),
        ("a request", Conduct::Answer(b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00".to_vec()), "does not speak LDAP"),
        ("an empty answer", Conduct::Answer(empty_bind), "does not speak LDAP"),
        ("text that is none", Conduct::Answer(not_text), "cannot be read"),
        ("a code of another type", Conduct::Answer(no_enumeration), "does not speak LDAP"),
        ("a code that ends in four zero bytes", Conduct::Answer(long_code), "does not speak LDAP"),
        ("no texts", Conduct::Answer(no_texts), "cannot be read"),
        ("a malformed control", Conduct::Answer(bad_control), "bind:"),
        ("a close after the bind", Conduct::CloseAfterBind, "the directory closed the connection"),
    ] {
        let (refused, took) = ask("ldap://127.0.0.1:PORT", &[("allow_plaintext", "allow_plaintext: true"), ("tls", "")], conduct).await;
        assert!(refused.reason.contains(expected), "{name}: {refused}");
        assert!(took < Duration::from_secs(8), "{name}: {took:?}");
    }
}

#[tokio::test]
async fn nothing_but_a_clean_answer_starts_tls() {
    let accepted = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
    let with_more = [accepted, BIND_SUCCESS].concat();
    let another_number = b"\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\x00\x04\x00\x04\x00".to_vec();
    for (name, conduct) in [
        ("a refusal", Conduct::Answer(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00".to_vec())),
        ("another message's number", Conduct::Answer(another_number)),
        ("a bind's answer", Conduct::Answer(BIND_SUCCESS.to_vec())),
        ("an answer before TLS to a request not yet sent", Conduct::Answer(with_more)),
        ("acceptance and no TLS", Conduct::Answer(accepted.to_vec())),
        ("text", Conduct::Answer(b"220 smtp.corp.example ESMTP\r\n".to_vec())),
    ] {
        let short = ("timeouts", "timeouts: {connect: 1s, tls: 500ms, bind: 1s, search: 1s}");
        let (refused, _) = ask("ldap://127.0.0.1:PORT", &[short], conduct).await;
        assert!(refused.reason.starts_with("tls: "), "{name}: {refused}");
    }
}

/// How a flood looks, behind an answer to the first bind.
#[derive(Clone, Copy)]
enum Flood {
    /// Entries of one large value, without an end.
    Large,
    /// Entries of as many empty values as fit.
    Crumbs,
    /// One message that claims more than ever comes.
    Claimed,
    /// Answers that nobody asked for.
    Stray,
}

/// Answers binds, and every search with a flood.
async fn flood(mut stream: TcpStream, kind: Flood) -> std::io::Result<()> {
    let attributes = |values: &[u8]| element(0x30, &element(0x30, &[element(0x04, b"uid"), element(0x31, values)].concat()));
    let entry = |id: &[u8], values: &[u8]| {
        element(0x30, &[id, &element(0x64, &[element(0x04, b"uid=a,ou=people,dc=example,dc=org"), attributes(values)].concat())].concat())
    };
    loop {
        let mut request = vec![0; 65_536];
        let length = stream.read(&mut request).await?;
        if length < 8 {
            return Ok(());
        }
        let head = if request[1] < 0x80 { 2 } else { 2 + usize::from(request[1] & 0x7f) };
        let id = &request[head..head + 3];
        assert_eq!(id[..2], [0x02, 0x01], "a number of more than one byte");
        if request[head + 3] == 0x60 {
            stream.write_all(&[&[0x30, 0x0c], id, b"\x61\x07\x0a\x01\x00\x04\x00\x04\x00"].concat()).await?;
            continue;
        }
        let message = match kind {
            Flood::Large => entry(id, &element(0x04, &vec![b'a'; 1_000_000])),
            Flood::Crumbs => entry(id, &[0x04, 0x00].repeat(900_000)),
            Flood::Claimed => {
                let mut whole = entry(id, &element(0x04, &vec![b'a'; 2_000_000]));
                whole.truncate(1_999_000);
                stream.write_all(&whole).await?;
                while stream.read(&mut request).await? > 0 {}
                return Ok(());
            }
            Flood::Stray => entry(&[0x02, 0x01, 0x7b], &element(0x04, b"a")).repeat(1000),
        };
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(2) {
            stream.write_all(&message).await?;
        }
    }
}

/// The most memory that the process ever had, in KiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Alone in a process of its own, which is what it measures.
#[tokio::test]
async fn no_flood_takes_much_memory() {
    let (own, name) = (["--exact", "--nocapture"], "ldap::hostile::no_flood_takes_much_memory");
    if !own.iter().all(|wanted| std::env::args().any(|argument| argument == *wanted)) {
        let mut run = tokio::process::Command::new(std::env::current_exe().unwrap());
        let run = run.args(own).arg(name).output().await.unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&run.stderr));
        return;
    }
    let mut before = 0;
    // The first round is what the process needs for itself.
    for (kind, expected) in [
        (Flood::Stray, "answers that nobody asked for"),
        (Flood::Large, "more than 10000 entries or 4194304 bytes"),
        (Flood::Crumbs, "more than 10000 entries or 4194304 bytes"),
        (Flood::Claimed, "no answer in time"),
        (Flood::Stray, "answers that nobody asked for"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ldap://{}", listener.local_addr().unwrap());
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(flood(stream, kind));
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let plain = [("allow_plaintext", "allow_plaintext: true"), ("tls", ""), ("timeouts", "timeouts: {search: 3s}")];
        let staff = std::sync::Arc::new(directory_at(folder.path(), &url, &plain));
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let staff = std::sync::Arc::clone(&staff);
            asked.spawn(async move {
                let password = SecretString::from("secret".to_owned());
                let started = Instant::now();
                let refused = staff
                    .verify("alice", &password, &within(Duration::from_secs(8)), Freshness::CacheAllowed, &Attempt::default())
                    .await
                    .unwrap_err();
                assert!(started.elapsed() < Duration::from_secs(9));
                refused.reason
            });
        }
        let reasons: std::collections::BTreeSet<String> = asked.join_all().await.into_iter().collect();
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "{expected}: {reasons:#?}");
        if before == 0 {
            before = peak();
        }
    }
    assert!(peak() - before < 32 * 1024, "{} KiB more than {before} KiB", peak() - before);
}
