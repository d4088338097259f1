//! A registry and a narrows at one address, both of which answer what a test wants and remember what they were sent.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use axum::response::Response;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::labs::{certificates, wait};

/// What the registry calls itself.
pub const SERVICE: &str = "registry.test";
/// What somebody who signed in gets.
pub const TOKEN: &str = "nrw_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdEfGhIj";

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method and path.
    pub what: String,
    /// Its form.
    pub form: BTreeMap<String, String>,
    /// Its header `Authorization`.
    pub authorization: Option<String>,
    /// When it came.
    pub at: Instant,
}

#[derive(Debug)]
struct Script {
    realm: String,
    start: (u16, Value),
    /// The last one is repeated.
    polls: VecDeque<(u16, Value)>,
    revoke: u16,
    asked: Vec<Asked>,
}

/// The two of them. They end with the value.
#[derive(Debug)]
pub struct Fake {
    /// Where they listen.
    pub address: SocketAddr,
    scheme: &'static str,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

impl Fake {
    /// Where everybody signs in at the first poll.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (script, router) = script(&format!("http://{address}"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, scheme: "http", script, task }
    }

    /// The same with TLS, by a certificate of an authority that it leaves as `ca.pem` in this folder.
    pub async fn start_encrypted(folder: &Path) -> Self {
        certificates::write(folder, &["127.0.0.1"]);
        let chain = CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap().collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
        let library = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let settings = ServerConfig::builder_with_provider(library).with_safe_default_protocol_versions().unwrap();
        let settings = settings.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (script, router) = script(&format!("https://{address}"));
        let listener = Encrypted { listener, acceptor: TlsAcceptor::from(Arc::new(settings)) };
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, scheme: "https", script, task }
    }

    /// The registry's name in images.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The address of narrows.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Sends the registry's clients elsewhere.
    pub fn set_realm(&self, realm: &str) {
        realm.clone_into(&mut self.script.lock().unwrap().realm);
    }

    /// How a sign-in begins.
    pub fn set_start(&self, status: u16, body: Value) {
        self.script.lock().unwrap().start = (status, body);
    }

    /// How polls are answered, one after the other; the last answer stands.
    pub fn set_polls(&self, polls: impl IntoIterator<Item = (u16, Value)>) {
        self.script.lock().unwrap().polls = polls.into_iter().collect();
    }

    /// How a revocation is answered.
    pub fn set_revoke(&self, status: u16) {
        self.script.lock().unwrap().revoke = status;
    }

    /// All requests with this method and path, in their order.
    pub fn asked(&self, what: &str) -> Vec<Asked> {
        self.script.lock().unwrap().asked.iter().filter(|asked| asked.what == what).cloned().collect()
    }

    /// How many requests there were.
    pub fn count(&self) -> usize {
        self.script.lock().unwrap().asked.len()
    }

    /// Waits for a request.
    pub async fn until_asked(&self, what: &str) {
        wait::until(
            Duration::from_secs(30),
            async || {
                if self.asked(what).is_empty() { Err(format!("nobody asked {what}")) } else { Ok(()) }
            },
        )
        .await;
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a sign-in begins with.
pub fn begun() -> Value {
    json!({
        "flow": "flow-secret", "provider": "sso", "verification_uri": "https://auth.test/device",
        "verification_uri_complete": "https://auth.test/device?user_code=ABCD-EFGH",
        "user_code": "ABCD-EFGH", "expires_in": 600, "interval": 1,
    })
}

/// What a sign-in ends with.
pub fn signed(token: &str) -> Value {
    json!({"username": "alice", "refresh_token": token, "service": SERVICE, "expires_in": 604_800})
}

/// An error of narrows.
pub fn error(word: &str, message: &str) -> Value {
    json!({"errors": [{"code": "DENIED", "message": message, "detail": null}], "error": word, "error_description": message})
}

/// Still nobody.
pub fn pending() -> (u16, Value) {
    let mut body = error("authorization_pending", "nobody signed in yet");
    body["interval"] = json!(1);
    (400, body)
}

fn script(address: &str) -> (Arc<Mutex<Script>>, Router) {
    let script = Script {
        realm: format!("{address}/token"),
        start: (200, begun()),
        polls: VecDeque::from([(200, signed(TOKEN))]),
        revoke: 200,
        asked: Vec::new(),
    };
    let script = Arc::new(Mutex::new(script));
    (Arc::clone(&script), Router::new().fallback(answer).with_state(script))
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let form = form_urlencoded::parse(&body).into_owned().collect();
    let authorization = head.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let path = head.uri.path().to_owned();
    let mut script = script.lock().unwrap();
    let asked = Asked { what: format!("{} {path}", head.method), form, authorization: authorization.clone(), at: Instant::now() };
    script.asked.push(asked);
    let (status, body) = match path.as_str() {
        "/device/start" => script.start.clone(),
        "/device/poll" if script.polls.len() > 1 => script.polls.pop_front().unwrap(),
        "/device/poll" => script.polls.front().cloned().unwrap(),
        "/revoke" => (script.revoke, json!({})),
        "/token" => (200, json!({"token": "jwt", "access_token": "jwt", "expires_in": 300})),
        _ if path.starts_with("/v2/") && authorization.as_deref() != Some("Bearer jwt") => (401, error("unauthorized", "log in")),
        "/v2/" => (200, json!({})),
        // No image is here: to be asked for one with a token is all that matters.
        _ => (404, error("", "no such thing")),
    };
    let mut response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    if status == 401 {
        response = response.header(WWW_AUTHENTICATE, format!("Bearer realm=\"{}\",service=\"{SERVICE}\"", script.realm));
    }
    if status == 302 {
        response = response.header(LOCATION, "/device/start?elsewhere");
    }
    if status == 429 || status == 503 {
        response = response.header("Retry-After", "1");
    }
    response.body(Body::from(body.to_string())).unwrap()
}

/// Whoever fails the handshake is forgotten.
struct Encrypted {
    listener: tokio::net::TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Encrypted {
    type Io = TlsStream<tokio::net::TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
