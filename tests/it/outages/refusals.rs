//! A refusal tells nobody whether the account exists, by its bytes or by its time.

use std::time::{Duration, Instant};

use super::lab::{Lab, PUBLIC, Plan, SERVICE};
use super::wire;

/// `throttle.rejection_floor`.
const FLOOR: Duration = Duration::from_millis(400);

/// Unknown, wrong, disabled with a wrong password: in the directory and in the users file.
const REFUSED: [(&str, &str); 6] = [
    ("nobody-here", "wrong"),
    ("victim", "wrong"),
    ("locked", "wrong"),
    ("robot-nobody", "wrong"),
    ("robot-deploy", "wrong"),
    ("robot-disabled", "wrong"),
];

#[tokio::test]
async fn refusals_are_alike_byte_for_byte_and_in_time() {
    let Some(lab) = Lab::start(Plan::default()).await else { return };
    // The second time comes from what is remembered.
    for post in [false, true, false] {
        let mut first: Option<(String, String)> = None;
        for (name, password) in REFUSED {
            let began = Instant::now();
            let answer = wire::exchange(lab.bridge.site().address(), &request(post, name, password), Duration::from_secs(30)).await;
            let took = began.elapsed();
            assert_eq!(wire::status(&answer), Some(401), "{name}: {}", String::from_utf8_lossy(&answer));
            assert!(took >= FLOOR, "{name} was refused after {took:?}");
            eprintln!("measured: {name} refused after {took:?}");
            let (shape, id) = without_what_may_differ(&answer);
            assert!(shape.contains("www-authenticate: Basic"), "{shape}");
            match &first {
                None => first = Some((shape, id)),
                Some((expected, other)) => {
                    assert_eq!(&shape, expected, "{name}");
                    assert_ne!(&id, other, "the request id is each request's own");
                }
            }
        }
    }
}

fn request(post: bool, name: &str, password: &str) -> Vec<u8> {
    let query = format!("service={SERVICE}&scope={PUBLIC}");
    if post {
        let form = format!("grant_type=password&client_id=x&username={name}&password={password}&{query}");
        format!(
            "POST /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        )
        .into_bytes()
    } else {
        let credentials = data_encoding::BASE64.encode(format!("{name}:{password}").as_bytes());
        format!("GET /token?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic {credentials}\r\n\r\n").into_bytes()
    }
}

/// The answer without its date, and its request id.
fn without_what_may_differ(answer: &[u8]) -> (String, String) {
    let text = String::from_utf8(answer.to_vec()).expect("an answer is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
    let (mut kept, mut id) = (Vec::new(), String::new());
    for line in head.lines() {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "date" => {}
            "x-request-id" => line.clone_into(&mut id),
            _ => kept.push(line),
        }
    }
    (format!("{}\n\n{body}", kept.join("\n")), id)
}
