//! Ten thousand strings from nowhere in every place that a client can write to: an answer for each, and no harm.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, Uri};
use tower::ServiceExt;

use super::fake::Fake;
use super::{Running, basic};
use crate::http::client::Peer;
use crate::http::{Limits, router};

const SEED: u64 = 0x6e61_7272_6f77_7331;
const PIECES: [&[u8]; 32] = [
    b":",
    b"%",
    b"%00",
    b"%ff",
    b"%zz",
    b"=",
    b"&",
    b"+",
    b" ",
    b"\0",
    b"\xff",
    b"\xc3\xa4",
    b"\r\n",
    b"/",
    b"..",
    b"*",
    b",",
    b"\"",
    b"repository:",
    b"repository(plugin):a:pull",
    b"registry:catalog:*",
    b"pull",
    b"nrw_",
    b"nrl_",
    b"eyJ.a.b",
    b"<token>",
    b"Basic ",
    b"Og==",
    b"YWxpY2U6Z29vZA==",
    b"grant_type=password",
    b"username=",
    b"\xe2\x80\xae",
];

/// xorshift64*: the same strings in every run.
struct Source(u64);

impl Source {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % bound
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.below(12) {
            match self.below(8) {
                0 => bytes.extend(std::iter::repeat_n(b'a', self.below(3000))),
                1..3 => bytes.push(u8::try_from(self.below(256)).unwrap()),
                _ => bytes.extend(PIECES[self.below(PIECES.len())]),
            }
        }
        bytes
    }
}

fn escaped(bytes: &[u8]) -> String {
    form_urlencoded::byte_serialize(bytes).collect()
}

/// Puts the string into one place of a request; `None` where no HTTP client could send it there.
fn request(place: usize, bytes: &[u8]) -> Option<Request<Body>> {
    let value = escaped(bytes);
    let raw = String::from_utf8_lossy(bytes);
    let queried = ["service", "scope", "account", "client_id", "offline_token", "unknown"];
    let formed = ["grant_type", "username", "password", "refresh_token", "service", "scope", "access_type", "client_id", "token"];
    let headers = ["authorization", "x-forwarded-for", "content-type", "x-request-id", "host", "user-agent", "content-length", "expect"];
    let get = |target: String| Some(Request::get(target.parse::<Uri>().ok()?).body(Body::empty()).unwrap());
    let post = |target: &str, form: Vec<u8>| {
        Some(Request::post(target).header("content-type", "application/x-www-form-urlencoded").body(Body::from(form)).unwrap())
    };
    match place {
        0 => get(format!("/token?{}={value}&service=reg.test", queried[bytes.len() % queried.len()])),
        1 => get(format!("/token?{raw}")),
        2 => get(format!("/{raw}")),
        3 => get(format!("/keys/{value}/jwks.json")),
        4 => get(format!("/whoami?scope={value}&service={value}")),
        5 => post(
            "/token",
            format!("grant_type=password&username=alice&password=good&{}={value}", formed[bytes.len() % formed.len()]).into(),
        ),
        6 => post("/token", [b"grant_type=password&username=", bytes].concat()),
        7 => post("/token", bytes.to_vec()),
        8 => post("/revoke", [b"token=", bytes].concat()),
        9 => {
            let pair = data_encoding::BASE64.encode(bytes);
            Some(Request::get("/token").header("authorization", format!("Basic {pair}")).body(Body::empty()).unwrap())
        }
        _ => {
            let name = HeaderName::from_static(headers[bytes.len() % headers.len()]);
            let value = HeaderValue::from_bytes(bytes).ok()?;
            Some(Request::post("/token").header(name, value).body(Body::from("grant_type=password&username=a&password=good")).unwrap())
        }
    }
}

async fn status(router: &Router, mut request: Request<Body>) -> u16 {
    request.extensions_mut().insert(Peer("127.0.0.1:4711".parse().unwrap()));
    router.clone().oneshot(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn no_string_ends_a_request_without_an_answer() {
    println!("seed {SEED:#x}");
    let fake = Arc::new(Fake { proxies: vec!["127.0.0.1/32"], ..Fake::default() });
    let router = router(Arc::clone(&fake), Limits::default());
    let mut source = Source(SEED);
    let mut sent = 0;
    for number in 0..10_000 {
        let bytes = source.bytes();
        for place in 0..11 {
            if number % 11 != place && source.below(4) > 0 {
                continue;
            }
            let Some(request) = request(place, &bytes) else { continue };
            let status = status(&router, request).await;
            assert!((200..500).contains(&status), "{status} for string {number} at place {place}: {}", bytes.escape_ascii());
            sent += 1;
        }
    }
    assert!(sent > 10_000, "{sent}");
    assert!(fake.ids.lock().unwrap().iter().all(|id| id.len() == 32));
    let good = Request::get("/token").header("authorization", basic("alice:good")).body(Body::empty()).unwrap();
    assert_eq!(status(&router, good).await, 200);
}

#[tokio::test]
async fn no_bytes_on_a_connection_harm_the_next_one() {
    println!("seed {SEED:#x}");
    let running = Running::start().await;
    let mut source = Source(SEED);
    for number in 0..300 {
        let bytes = source.bytes();
        let opening: &[u8] = match number % 3 {
            0 => b"",
            1 => b"GET /token HTTP/1.1\r\nHost: x\r\nAuthorization: ",
            _ => {
                b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
            }
        };
        let mut stream = running.connect().await;
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &[opening, &bytes, b"\r\n\r\n"].concat()).await;
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
        let mut answer = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
        assert!(answer.is_empty() || !answer.starts_with(b"HTTP/1.1 5"), "{}", bytes.escape_ascii());
    }
    assert_eq!(running.get_as("/token", "alice:good").await.status, 200);
}
