//! The edge through its front door: literal requests over real sockets, and a service behind it that records what it was
//! asked.

mod caps;
mod connections;
mod device;
mod device_login;
mod documented;
mod encrypted;
mod fake;
mod log;
mod login;
mod methods;
mod negative;
mod paths;
mod random;
mod renewals;
mod sign_in;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::fake::Fake;
use super::{Limits, admin_router, router, serve};

/// A running edge on a port of its own.
struct Running {
    fake: Arc<Fake>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<usize>,
}

impl Running {
    async fn start() -> Self {
        Self::with(Fake::default(), Limits::default()).await
    }

    async fn with(fake: Fake, limits: Limits) -> Self {
        let fake = Arc::new(fake);
        let router = router(Arc::clone(&fake), limits.clone());
        Self::serving(fake, router, limits).await
    }

    async fn admin(fake: Fake) -> Self {
        let fake = Arc::new(fake);
        let router = admin_router(Arc::clone(&fake), Limits::default());
        Self::serving(fake, router, Limits::default()).await
    }

    async fn serving(fake: Arc<Fake>, router: Router, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let served = tokio::spawn(serve(listener, None, router, limits, shutdown, Duration::from_secs(2)));
        Self { fake, address, stop: Some(stop), served }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a new connection and reads what comes until the server closes.
    async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    /// Sends a request given as its lines, then its body; `Host`, `Connection: close` and a length are added.
    async fn send(&self, head: &str, body: &str) -> Answer {
        let mut lines: Vec<String> = head.lines().map(|line| line.trim().to_owned()).collect();
        if !lines[0].ends_with("HTTP/1.1") {
            lines[0].push_str(" HTTP/1.1");
        }
        lines.push("Host: reg.test".to_owned());
        lines.push("Connection: close".to_owned());
        if !body.is_empty() && !head.contains("Transfer-Encoding") {
            lines.push(format!("Content-Length: {}", body.len()));
        }
        let request = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
        Answer::parse(&self.raw(request.as_bytes()).await)
    }

    async fn get(&self, target: &str) -> Answer {
        self.send(&format!("GET {target}"), "").await
    }

    async fn get_as(&self, target: &str, pair: &str) -> Answer {
        self.send(&format!("GET {target}\nAuthorization: {}", basic(pair)), "").await
    }

    async fn post(&self, form: &str) -> Answer {
        self.send("POST /token\nContent-Type: application/x-www-form-urlencoded", form).await
    }

    /// What reached the service since the last call.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.fake.asked.lock().unwrap())
    }
}

/// One answer, read strictly.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = BTreeMap::new();
        for line in lines {
            let count = headers.len();
            let (name, value) = line.split_once(": ").unwrap();
            let former = headers.insert(name.to_owned(), value.to_owned());
            // Cookies come a header each.
            match former.filter(|_| name == "set-cookie") {
                Some(former) => _ = headers.insert(name.to_owned(), format!("{former}\n{value}")),
                None => assert!(headers.len() > count, "{name} is doubled"),
            }
        }
        Self { status, headers, body: body.to_owned() }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn json(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Checks that this is an error of both shapes whose texts agree, and returns its code, `error` and message.
    fn error(&self) -> (String, String, String) {
        let json = self.json();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let (code, message) = (text(&json["errors"][0]["code"]), text(&json["errors"][0]["message"]));
        assert_eq!(json["errors"].as_array().unwrap().len(), 1);
        assert!(json["errors"][0]["detail"].is_null());
        assert_eq!(text(&json["error_description"]), message);
        assert!(!message.is_empty() && message.len() <= 200 && message.is_ascii(), "{message}");
        assert!(json.get("details").is_none());
        (code, text(&json["error"]), message)
    }

    /// This answer without what differs for each request.
    fn without_id(&self) -> Self {
        let mut same = self.clone();
        same.headers.remove("x-request-id");
        same.headers.remove("date");
        same
    }
}

fn basic(pair: &str) -> String {
    format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
}
