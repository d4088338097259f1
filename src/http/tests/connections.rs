//! Time, number and end of connections; the waits are shortened through the limits.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::fake::Fake;
use super::{Answer, Running, basic};
use crate::http::Limits;

const HEAD_TIME: Duration = Duration::from_millis(300);
const IDLE_TIME: Duration = Duration::from_millis(2400);
/// A busy machine is late, but never early.
const LATE: Duration = Duration::from_secs(20);

fn impatient() -> Limits {
    Limits { head_time: HEAD_TIME, body_time: HEAD_TIME, idle_time: IDLE_TIME, ..Limits::default() }
}

/// Idle connections stay open here, so that one which is closed had a slow head.
async fn patient_between_requests() -> Running {
    Running::with(Fake::default(), Limits { idle_time: LATE * 3, ..impatient() }).await
}

async fn running() -> Running {
    Running::with(Fake::default(), impatient()).await
}

/// How long the server keeps a connection on which nothing more is sent, and what it said.
async fn until_closed(stream: &mut TcpStream) -> (Duration, Vec<u8>) {
    let start = Instant::now();
    let mut answer = Vec::new();
    let _ = timeout(LATE, stream.read_to_end(&mut answer)).await.expect("the connection stays open");
    (start.elapsed(), answer)
}

/// One request on a connection that stays open.
async fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_peer_that_sends_nothing_is_dropped() {
    let running = patient_between_requests().await;
    let (took, answer) = until_closed(&mut running.connect().await).await;
    assert!(took >= HEAD_TIME && answer.is_empty(), "{took:?} {answer:?}");
}

#[tokio::test]
async fn a_head_that_trickles_in_is_dropped() {
    let running = patient_between_requests().await;
    let (mut read, mut write) = running.connect().await.into_split();
    let trickle = tokio::spawn(async move {
        for byte in b"GET /token HTTP/1.1\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'y')) {
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let start = Instant::now();
    let _ = timeout(LATE, read.read_to_end(&mut Vec::new())).await.expect("the connection stays open");
    assert!(start.elapsed() >= HEAD_TIME);
    timeout(LATE, trickle).await.expect("the peer can still write").unwrap();
}

#[tokio::test]
async fn an_idle_connection_outlives_a_slow_head_and_is_dropped_later() {
    let running = running().await;
    let mut stream = running.connect().await;
    ask(&mut stream).await;
    sleep(HEAD_TIME * 2).await;
    ask(&mut stream).await;
    let (took, _) = until_closed(&mut stream).await;
    assert!(took > HEAD_TIME * 2, "{took:?}");
}

#[tokio::test]
async fn the_second_head_of_a_connection_may_not_be_slower_than_the_first() {
    let running = patient_between_requests().await;
    let mut stream = running.connect().await;
    ask(&mut stream).await;
    stream.write_all(b"GET /tok").await.unwrap();
    let (took, _) = until_closed(&mut stream).await;
    assert!(took > HEAD_TIME / 2, "{took:?}");
}

#[tokio::test]
async fn a_form_that_does_not_come_is_408() {
    let running = running().await;
    let mut stream = running.connect().await;
    let head = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (took, answer) = until_closed(&mut stream).await;
    let answer = Answer::parse(&answer);
    assert_eq!((answer.status, answer.error().2.as_str()), (408, "the form took too long to arrive"));
    assert!(took >= HEAD_TIME);
    assert_eq!(running.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_form_that_comes_late_does_not_use_up_the_rejection_floor() {
    let running = Running::start().await;
    let mut stream = running.connect().await;
    let form = "grant_type=password&username=alice&password=bad";
    let head = "POST /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded";
    stream.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n", form.len()).as_bytes()).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    stream.write_all(form.as_bytes()).await.unwrap();
    let (_, answer) = until_closed(&mut stream).await;
    assert_eq!(Answer::parse(&answer).status, 401);
    let age = running.fake.ages.lock().unwrap()[0];
    assert!(age < Duration::from_millis(400), "{age:?}");
}

#[tokio::test]
async fn a_peer_that_leaves_in_the_middle_of_its_form_is_only_gone() {
    let running = running().await;
    let mut stream = running.connect().await;
    let head = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_";
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    assert_eq!(running.get_as("/token", "alice:good").await.status, 200);
}

#[tokio::test]
async fn a_peer_that_takes_no_answers_is_dropped() {
    let running = running().await;
    let mut stream = running.connect().await;
    let requests = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let flood = async { while stream.write_all(&requests).await.is_ok() {} };
    timeout(LATE, flood).await.expect("the connection stays open");
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let running = running().await;
    let mut stream = running.connect().await;
    let two = format!(
        "GET /token HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        basic("slow:x")
    );
    stream.write_all(two.as_bytes()).await.unwrap();
    let (_, answers) = until_closed(&mut stream).await;
    let answers = String::from_utf8(answers).unwrap();
    let (first, second) = (answers.find("HTTP/1.1 200").unwrap(), answers.find("HTTP/1.1 404").unwrap());
    assert!(first < second);
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let running = Running::with(Fake::default(), Limits { connections: 1, ..impatient() }).await;
    let mut first = running.connect().await;
    ask(&mut first).await;
    let second = running.get("/livez");
    tokio::pin!(second);
    assert!(timeout(HEAD_TIME, &mut second).await.is_err());
    drop(first);
    assert_eq!(timeout(LATE, second).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_stop_lets_running_requests_finish_and_takes_no_new_ones() {
    let mut running = running().await;
    let mut idle = running.connect().await;
    ask(&mut idle).await;
    let mut stream = running.connect().await;
    let request = format!("GET /token HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n", basic("slow:x"));
    stream.write_all(request.as_bytes()).await.unwrap();
    while running.fake.asked.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    running.stop.take().unwrap().send(()).unwrap();
    let (_, answer) = until_closed(&mut stream).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    until_closed(&mut idle).await;
    assert_eq!(running.served.await.unwrap(), 0);
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_when_the_drain_is_over() {
    let mut running = Running::with(Fake::default(), Limits { body_time: LATE, ..impatient() }).await;
    let mut stream = running.connect().await;
    let head = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    running.stop.take().unwrap().send(()).unwrap();
    assert_eq!(timeout(LATE, running.served).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn ambiguous_framing_is_not_read_twice() {
    let running = running().await;
    let form = "grant_type=password&username=alice&password=good";
    let chunked = format!("{:x}\r\n{form}\r\n0\r\n\r\n", form.len());
    let smuggled = "GET /token?service=smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Content-Length: +5",
        "Content-Length: -1",
    ] {
        let head = format!("POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n{framing}\r\n\r\n");
        running.raw(format!("{head}{chunked}{smuggled}").as_bytes()).await;
        let asked = running.asked();
        assert!(asked.len() <= 2 && asked.iter().take(1).all(|line| line == "- |  | alice/good | Password"), "{framing}: {asked:?}");
    }
}

/// Runs itself again in a process that may open few files, because the limit is the whole process's.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_accept_loop_survives_a_lack_of_descriptors() {
    const FEW: usize = 64;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files")).and_then(|rest| rest.split_whitespace().next()).unwrap();
    if soft.parse::<usize>().map_or(true, |soft| soft > FEW) {
        let test = "http::tests::connections::the_accept_loop_survives_a_lack_of_descriptors";
        let script = format!("ulimit -n {FEW}; exec \"$0\" --exact {test}");
        let ran = std::process::Command::new("sh").arg("-c").arg(script).arg(std::env::current_exe().unwrap()).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let running = running().await;
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect(running.address).await {
        held.push(stream);
        assert!(held.len() < FEW);
    }
    sleep(HEAD_TIME / 2).await;
    drop(held);
    sleep(HEAD_TIME).await;
    assert_eq!(running.get("/livez").await.status, 200);
}
