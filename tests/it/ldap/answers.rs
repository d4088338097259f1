//! Answers that are LDAP, and yet not the whole answer to what was asked.

use std::time::Duration;

use narrows::authn::attempt::Attempt;
use narrows::authn::authenticator::Freshness;
use narrows::authn::verdict::Verdict;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{directory_at, within};

/// The answer to a search, by the request's number.
type Script = fn(u8) -> Vec<u8>;

const BIND: u8 = 0x61;
const DONE: u8 = 0x65;
const DN: &[u8] = b"uid=alice,ou=people,dc=example,dc=org";
const UUID: &[u8] = b"00112233-4455-6677-8899-aabbccddeeff";

fn result(id: u8, tag: u8, code: u8) -> Vec<u8> {
    vec![0x30, 0x0c, 0x02, 0x01, id, tag, 0x07, 0x0a, 0x01, code, 0x04, 0x00, 0x04, 0x00]
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x82], &u16::try_from(content.len()).unwrap().to_be_bytes()[..], content].concat()
}

fn message(id: u8, tag: u8, content: &[u8]) -> Vec<u8> {
    element(0x30, &[vec![0x02, 0x01, id], element(tag, content)].concat())
}

fn entry(id: u8, dn: &[u8], attributes: &[(&str, &[u8])]) -> Vec<u8> {
    let attribute =
        |(name, value): &(&str, &[u8])| element(0x30, &[element(4, name.as_bytes()), element(0x31, &element(4, value))].concat());
    let attributes: Vec<u8> = attributes.iter().flat_map(attribute).collect();
    message(id, 0x64, &[element(4, dn), element(0x30, &attributes)].concat())
}

fn alice(id: u8) -> Vec<u8> {
    entry(id, DN, &[("uid", b"alice"), ("entryUUID", UUID)])
}

/// Takes `secret` for everybody. Behind the answer to each bind comes a success for the next ones.
async fn serve(mut stream: TcpStream, script: Script) {
    let mut request = vec![0; 65_536];
    while let Ok(8..) = stream.read(&mut request).await {
        let head = if request[1] < 0x80 { 2 } else { 2 + usize::from(request[1] & 0x7f) };
        let (id, tag) = (request[head + 2], request[head + 3]);
        let right =
            [b"secret".as_slice(), b"service-secret"].iter().any(|password| request.windows(password.len()).any(|it| it == *password));
        let answers = match tag {
            0x60 => [result(id, BIND, if right { 0 } else { 49 }), result(id + 1, BIND, 0), result(id + 2, BIND, 0)].concat(),
            _ => script(id),
        };
        if stream.write_all(&answers).await.is_err() {
            return;
        }
    }
}

/// What becomes of the right password, and twice of a wrong one on the same connection.
async fn check(script: Script) -> [String; 3] {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, script));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        ("allow_plaintext", "allow_plaintext: true"),
        ("tls", ""),
        ("timeouts", "timeouts: {bind: 1s, search: 300ms}"),
        ("user", "user: {bases: \"ou=people,dc=example,dc=org\"}"),
        ("groups", "groups: {strategy: none}"),
    ];
    let staff = directory_at(folder.path(), &url, &lines);
    let mut said = [const { String::new() }; 3];
    for (said, password) in said.iter_mut().zip(["secret", "wrong", "wrong"]) {
        let password = SecretString::from(password.to_owned());
        *said = match staff.verify("alice", &password, &within(Duration::from_secs(2)), Freshness::CacheAllowed, &Attempt::default()).await
        {
            Ok(Verdict::Authenticated(identity, _)) => format!("in as {}", identity.username),
            Ok(Verdict::Rejected(rejection)) => rejection.as_str().to_owned(),
            Ok(Verdict::NotMine) => "not mine".to_owned(),
            Ok(Verdict::Throttled(_)) => "throttled".to_owned(),
            Err(outage) => format!("outage: {}", outage.reason),
        };
    }
    said
}

#[tokio::test]
async fn an_answer_made_before_the_question_is_none() {
    assert_eq!(check(|id| [alice(id), result(id, DONE, 0)].concat()).await, ["in as alice", "wrong_password", "wrong_password"]);
}

#[tokio::test]
async fn nothing_but_a_whole_answer_says_who_there_is() {
    let with_reference: Script = |id| [message(id, 0x73, &element(4, b"ldap://evil/dc=x")), alice(id), result(id, DONE, 0)].concat();
    let with_intermediate: Script = |id| [message(id, 0x79, &element(0x80, b"1.2.3")), alice(id), result(id, DONE, 0)].concat();
    for (name, script, expected) in [
        ("a reference", with_reference, "in as alice"),
        ("an intermediate message", with_intermediate, "in as alice"),
        ("no entry", |id| result(id, DONE, 0), "not mine"),
        ("an entry behind the end", |id| [result(id, DONE, 0), alice(id)].concat(), "not mine"),
        ("another number", |id| [alice(id + 1), result(id + 1, DONE, 0)].concat(), "outage: search: no answer in time"),
        ("a time limit", |id| [alice(id), result(id, DONE, 3)].concat(), "outage: search: result code 3"),
        ("a size limit of one", |id| [alice(id), result(id, DONE, 4)].concat(), "outage: search: result code 4"),
        ("partial results", |id| [alice(id), result(id, DONE, 9)].concat(), "outage: search: result code 9"),
        ("a referral", |id| [alice(id), result(id, DONE, 10)].concat(), "outage: search: result code 10"),
        ("an administrative limit", |id| [alice(id), result(id, DONE, 11)].concat(), "outage: search: result code 11"),
        ("no base", |id| result(id, DONE, 32), "outage: search: result code 32"),
        ("a busy server", |id| [alice(id), result(id, DONE, 51)].concat(), "outage: search: result code 51"),
        ("a bind's answer", |id| result(id, BIND, 0), "outage: search: the directory answers another operation"),
        ("a notice", |id| [result(0, 0x78, 52), alice(id), result(id, DONE, 0)].concat(), "outage: search: the directory announced"),
        (
            "an empty entry",
            |id| [message(id, 0x64, b""), alice(id), result(id, DONE, 0)].concat(),
            "outage: search: the directory's answer",
        ),
        ("a DN that is no text", |id| [entry(id, b"uid=\xff", &[]), alice(id), result(id, DONE, 0)].concat(), "outage: search: the dir"),
    ] as [(&str, Script, &str); 16]
    {
        let [said, ..] = check(script).await;
        assert!(said.starts_with(expected), "{name}: {said}");
    }
}

#[tokio::test]
async fn nobody_is_somebody_whom_the_entry_does_not_name() {
    const ELSEWHERE: &[u8] = b"uid=alice\\,ou=people,ou=admins,dc=example,dc=org";
    for (name, script, expected) in [
        ("no DN", |id| [entry(id, b"", &[("uid", b"alice"), ("entryUUID", UUID)]), result(id, DONE, 0)].concat(), "outage: entry: "),
        ("elsewhere", |id| [entry(id, ELSEWHERE, &[("uid", b"a"), ("entryUUID", UUID)]), result(id, DONE, 0)].concat(), "outage: entry: "),
        ("no id", |id| [entry(id, DN, &[("uid", b"alice")]), result(id, DONE, 0)].concat(), "outage: entry: the entry has no `entryUUID`"),
        ("no name", |id| [entry(id, DN, &[("entryUUID", UUID)]), result(id, DONE, 0)].concat(), "outage: entry: the entry has no `uid`"),
        ("no text", |id| [entry(id, DN, &[("uid", b"\xff"), ("entryUUID", UUID)]), result(id, DONE, 0)].concat(), "outage: entry: a value"),
        (
            "two names",
            |id| [entry(id, DN, &[("UID", b"root"), ("uid", b"alice"), ("entryUUID", UUID)]), result(id, DONE, 0)].concat(),
            "in as alice",
        ),
        (
            "two ids",
            |id| [entry(id, DN, &[("uid", b"alice"), ("entryUUID", UUID), ("entryuuid", b"x")]), result(id, DONE, 0)].concat(),
            "outage: entry: `entryUUID` has 2 values",
        ),
        ("two entries", |id| [alice(id), entry(id, b"uid=b,ou=people,dc=example,dc=org", &[]), result(id, DONE, 0)].concat(), "ambiguous"),
    ] as [(&str, Script, &str); 8]
    {
        let [said, ..] = check(script).await;
        assert!(said.starts_with(expected), "{name}: {said}");
    }
}
