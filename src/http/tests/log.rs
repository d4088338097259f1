//! One line for each request, and nothing in it that people type.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use super::{Running, basic};

/// Keeps what is logged on this thread.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

/// What is logged on this thread from its start on, as JSON.
pub(super) struct Log {
    kept: Kept,
    _guard: tracing::subscriber::DefaultGuard,
    /// With one subscriber alone, a line that a thread without one meets first is switched off for all.
    _second: tracing::Dispatch,
}

impl Log {
    pub(super) fn start() -> Self {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE).with_writer(kept.clone()).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish());
        Self { kept, _guard: guard, _second: second }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.kept.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines whose message starts so: level and fields.
    pub(super) fn lines(&self, message: &str) -> Vec<(String, serde_json::Value)> {
        let lines = self.text();
        let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let told = |line: &serde_json::Value| line["fields"]["message"].as_str().is_some_and(|text| text.starts_with(message));
        lines.filter(told).map(|line| (line["level"].as_str().unwrap().to_owned(), line["fields"].clone())).collect()
    }
}

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn every_request_is_one_line_without_secrets() {
    let log = Log::start();
    let running = Running::start().await;
    let secret = "S3CRET";
    let authorization = basic(&format!("{secret}:{secret}"));
    let mut ids = Vec::new();
    for (head, form) in [
        (
            format!("GET /token?service={secret}&scope={secret}&password={secret}&account={secret}\nAuthorization: {authorization}"),
            String::new(),
        ),
        (
            format!("GET /token?service=reg.test\nAuthorization: Bearer {secret}\nUser-Agent: {secret}\nX-Forwarded-For: {secret}"),
            String::new(),
        ),
        (
            "POST /token\nContent-Type: application/x-www-form-urlencoded".into(),
            format!("grant_type=password&username={secret}&password={secret}"),
        ),
        ("POST /token\nContent-Type: application/x-www-form-urlencoded".into(), format!("grant_type={secret}&refresh_token={secret}")),
        ("POST /revoke\nContent-Type: application/x-www-form-urlencoded".into(), format!("token={secret}")),
        (format!("GET /whoami?scope={secret}\nAuthorization: {authorization}"), String::new()),
        (format!("GET /token?service=reg.test\nAuthorization: {}", basic(&format!("down:{secret}"))), String::new()),
    ] {
        ids.push(running.send(&head, &form).await.header("x-request-id").to_owned());
    }
    let text = log.text();
    assert!(!text.contains(secret) && !text.contains(&authorization), "{text}");
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |id: &str| lines.iter().filter(|line| line["fields"]["request_id"] == id).cloned().collect::<Vec<_>>();
    for id in &ids {
        assert_eq!(of(id).len(), 1, "{text}");
    }
    let (first, last) = (of(&ids[0]).remove(0), of(&ids[6]).remove(0));
    assert_eq!((first["level"].as_str(), last["level"].as_str()), (Some("INFO"), Some("WARN")));
    assert_eq!(first["fields"]["message"], "GET /token: 400");
    assert_eq!(first["fields"]["client"], "127.0.0.1");
    assert!(first["fields"]["latency_us"].is_u64());
}

#[tokio::test]
async fn a_path_cannot_write_into_the_log() {
    let kept = Kept::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(kept.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // With one subscriber alone, a line that a thread without one meets first is switched off for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish());
    let running = Running::start().await;
    running.raw("GET /\u{202e}\u{e4}\u{85}x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".as_bytes()).await;
    running.get(&format!("/{}", "y".repeat(5000))).await;
    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    assert!(text.is_ascii() && text.lines().all(|line| line.len() < 1000), "{text}");
}
