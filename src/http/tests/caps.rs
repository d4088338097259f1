//! Sizes: a request at the cap passes, one over it is refused.

use super::{Answer, Running, basic};

#[tokio::test]
async fn a_uri_over_8_kib_is_414() {
    let running = Running::start().await;
    let target = |length: usize| format!("/token?x={}", "y".repeat(length - "/token?x=".len()));
    assert_eq!(running.get_as(&target(8192), "alice:good").await.status, 200);
    running.asked();
    for length in [8193, 30_000] {
        let answer = running.get_as(&target(length), "alice:good").await;
        assert_eq!((answer.status, answer.error().2.as_str()), (414, "the URI is too long: ask for fewer scopes at once"));
    }
    let far = running.raw(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", target(200_000)).as_bytes()).await;
    assert!(far.is_empty() || far.starts_with(b"HTTP/1.1 431") || far.starts_with(b"HTTP/1.1 414"));
    assert_eq!(running.asked(), Vec::<String>::new());
    assert_eq!(*running.fake.invalid.lock().unwrap(), ["uri_too_long", "uri_too_long"]);
}

#[tokio::test]
async fn headers_over_32_kib_are_431_and_16_kib_of_password_pass() {
    let running = Running::start().await;
    let with = |length: usize| format!("GET /token\nAuthorization: {}\nX-Long: {}", basic("alice:good"), "y".repeat(length));
    assert_eq!(running.send(&with(32_000), "").await.status, 200);
    running.asked();
    let answer = running.send(&with(32_768), "").await;
    assert_eq!((answer.status, answer.error().2.as_str()), (431, "the headers are too large"));
    assert_eq!(running.asked(), Vec::<String>::new());
    let many: String = "X-Many: y\r\n".repeat(10_000);
    let many = running.raw(format!("GET /token HTTP/1.1\r\nHost: x\r\n{many}\r\n").as_bytes()).await;
    assert!(many.is_empty() || many.starts_with(b"HTTP/1.1 431"), "{}", many.escape_ascii());
    running.send(&format!("GET /token\nAuthorization: {}", basic(&format!(":nrw_{}", "x".repeat(16_384)))), "").await;
    assert_eq!(running.asked().len(), 1);
}

#[tokio::test]
async fn a_form_over_64_kib_is_413() {
    let running = Running::start().await;
    let form = |length: usize| {
        let form = "grant_type=password&username=alice&password=good&x=";
        format!("{form}{}", "y".repeat(length - form.len()))
    };
    assert_eq!(running.post(&form(65_536)).await.status, 200);
    running.asked();
    // The length is announced: the answer comes before the body.
    let head = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let answer = running.raw(format!("{head}Content-Length: 65537\r\nConnection: close\r\n\r\n").as_bytes()).await;
    assert_eq!(Answer::parse(&answer).status, 413);
    let body = form(65_537);
    let chunked = format!("{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n{body}\r\n", body.len());
    let answer = Answer::parse(&running.raw(chunked.as_bytes()).await);
    assert_eq!((answer.status, answer.error().2.as_str()), (413, "the form is too large"));
    assert_eq!(running.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_form_of_nothing_but_separators_is_cheap_and_refused() {
    let running = Running::start().await;
    for filler in ["&", "=&", "a&", "%"] {
        assert_eq!(running.post(&filler.repeat(65_536 / filler.len())).await.status, 400, "{filler}");
    }
    assert_eq!(running.asked(), Vec::<String>::new());
}
