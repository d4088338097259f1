//! A server of our own that sends a long `memberOf` in parts, as Active Directory does with more than 1500 values.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{directory_at, group_names, identity, word};

/// The values of each part of alice's `memberOf`, under the name that it is sent with. The first is sent by itself.
type Parts = &'static [(&'static str, &'static [&'static str])];

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag, 0x82];
    bytes.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
    bytes.extend(content);
    bytes
}

fn attribute(name: &str, values: &[String]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|value| element(0x04, value.as_bytes())).collect();
    element(0x30, &[element(0x04, name.as_bytes()), element(0x31, &values)].concat())
}

fn entry(dn: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    element(0x64, &[element(0x04, dn.as_bytes()), element(0x30, &attributes.concat())].concat())
}

/// The answers to one request.
fn answers(request: &str, parts: Parts) -> Vec<Vec<u8>> {
    let done = b"\x65\x07\x0a\x01\x00\x04\x00\x04\x00".to_vec();
    let dn = |group: &str| format!("cn={group},ou=groups,dc=example,dc=org");
    let member_of = |(name, values): &(&str, &[&str])| attribute(name, &values.iter().map(|group| dn(group)).collect::<Vec<_>>());
    let alice = "uid=alice,ou=people,dc=example,dc=org";
    if let Some((_, asked)) = request.split_once("memberOf;range=") {
        let from = asked.split('-').next().unwrap();
        let next = parts.iter().skip(1).find(|(name, _)| name.contains(&format!("={from}-"))).or(parts.get(1));
        return next.map(|part| entry(alice, &[member_of(part)])).into_iter().chain([done]).collect();
    }
    if let Some((_, rest)) = request.split_once("cn=g") {
        let group = format!("g{}", rest.split(',').next().unwrap());
        let attributes = [attribute("cn", std::slice::from_ref(&group)), attribute("entryUUID", &[format!("id of {group}")])];
        return vec![entry(&dn(&group), &attributes), done];
    }
    let own = [
        attribute("uid", &["alice".to_owned()]),
        attribute("entryUUID", &["1".to_owned()]),
        attribute("memberOf", &[]),
        member_of(&parts[0]),
    ];
    vec![entry(alice, &own), done]
}

async fn serve(mut stream: TcpStream, parts: Parts) -> std::io::Result<()> {
    loop {
        let mut head = [0; 2];
        stream.read_exact(&mut head).await?;
        let mut length = usize::from(head[1]);
        if length > 0x80 {
            let mut more = vec![0; length - 0x80];
            stream.read_exact(&mut more).await?;
            length = more.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        }
        let mut message = vec![0; length];
        stream.read_exact(&mut message).await?;
        let (id, operation) = message.split_at(2 + usize::from(message[1]));
        let said = match operation[0] {
            0x60 => vec![b"\x61\x07\x0a\x01\x00\x04\x00\x04\x00".to_vec()],
            0x63 => answers(&String::from_utf8_lossy(operation), parts),
            _ => return Ok(()),
        };
        for answer in said {
            stream.write_all(&element(0x30, &[id, &answer].concat())).await?;
        }
    }
}

async fn check(parts: Parts, expected: Result<&str, &str>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, parts));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        ("allow_plaintext", "allow_plaintext: true"),
        ("tls", ""),
        ("user", "user: {bases: \"ou=people,dc=example,dc=org\"}"),
        ("groups", "groups: {nested: {depth: 0}}"),
    ];
    let staff = directory_at(folder.path(), &url, &lines);
    match expected {
        Ok(groups) => assert_eq!(group_names(&identity(&staff, "alice", "secret").await), groups, "{parts:?}"),
        Err(why) => {
            let said = word(&staff, "alice", "secret").await;
            assert!(said.starts_with("unavailable: groups") && said.contains(why), "{parts:?}: {said}");
        }
    }
}

#[tokio::test]
async fn a_list_in_parts_is_read_to_its_end() {
    check(&[("memberOf;range=0-1", &["g0", "g1"]), ("memberOf;range=2-*", &["g2"])], Ok("g0 | g1 | g2")).await;
    check(
        &[("memberOf;range=0-0", &["g0"]), ("memberOf;range=1-2", &["g1", "g2"]), ("memberOf;range=3-*", &["g3"])],
        Ok("g0 | g1 | g2 | g3"),
    )
    .await;
    check(&[("memberOf;range=0-*", &["g0"])], Ok("g0")).await;
    check(&[("memberOf;range=0-1", &["g0", "g1"]), ("memberOf;range=2-*", &[])], Ok("g0 | g1")).await;
}

#[tokio::test]
async fn a_list_whose_parts_do_not_join_is_an_outage() {
    check(&[("memberOf;range=0-1", &["g0", "g1"])], Err("were not sent")).await;
    check(&[("memberOf;range=0-1", &["g0"]), ("memberOf;range=2-*", &["g2"])], Err("leave something out")).await;
    check(&[("memberOf;range=0-1", &["g0", "g1"]), ("memberOf;range=3-*", &["g3"])], Err("leave something out")).await;
    check(&[("memberOf;range=0-1", &["g0", "g1"]), ("memberOf", &["g2"])], Err("were not sent")).await;
    // The same part over and over.
    check(&[("memberOf;range=0-1", &["g0", "g1"]), ("memberOf;range=0-1", &["g0", "g1"])], Err("leave something out")).await;
}
