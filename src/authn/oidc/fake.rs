//! An issuer on loopback that a test scripts: discovery, keys that rotate, and any answer at any path.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::settings::OidcSettings;
use crate::authn::jwt::forge::Forge;
use crate::clock::Timestamp;
use crate::source::SourceFile;

pub(super) const DISCOVERY: &str = "/.well-known/openid-configuration";
pub(super) const KEYS: &str = "/jwks";
pub(crate) const TOKEN: &str = "/token";
pub(super) const AUTHORIZE: &str = "/authorize";
pub(super) const USERINFO: &str = "/userinfo";
pub(crate) const DEVICE: &str = "/device";
pub(crate) const REVOKE: &str = "/revoke";

/// Makes an answer of what was asked.
type Answering = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// Runs until it is dropped.
pub(crate) struct FakeIssuer {
    address: SocketAddr,
    script: Arc<Script>,
    task: tokio::task::JoinHandle<()>,
}

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(super) path: String,
    pub(super) query: String,
    pub(super) authorization: Option<String>,
    pub(super) user_agent: String,
    pub(crate) form: HashMap<String, String>,
}

/// An answer to give.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
    delay: Duration,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, &body.to_string()).header("content-type", "application/json")
    }
    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::copy_from_slice(body.as_bytes()), delay: Duration::ZERO }
    }
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

#[derive(Default)]
struct Script {
    state: Mutex<State>,
    came: Notify,
}

#[derive(Default)]
struct State {
    issuer: String,
    metadata: Value,
    keys: Vec<Arc<Forge>>,
    /// Answered again and again.
    always: HashMap<String, Reply>,
    /// Answered by what was asked, before those.
    by: HashMap<String, Answering>,
    /// Answered once each, before all of those.
    next: HashMap<String, VecDeque<Reply>>,
    asked: Vec<Asked>,
}

impl FakeIssuer {
    /// With one P-256 key called `one`.
    pub(crate) async fn start() -> Self {
        Self::start_below("").await
    }

    /// The same, and its URL ends with this path.
    pub(crate) async fn start_below(path: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = format!("http://{address}{path}");
        let at = |path: &str| format!("http://{address}{path}");
        let metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": at(AUTHORIZE),
            "token_endpoint": at(TOKEN),
            "jwks_uri": at(KEYS),
            "userinfo_endpoint": at(USERINFO),
            "device_authorization_endpoint": at(DEVICE),
            "revocation_endpoint": at(REVOKE),
            "authorization_response_iss_parameter_supported": true,
            "id_token_signing_alg_values_supported": ["ES256", "HS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        });
        let state = State { issuer, metadata, keys: vec![Arc::new(Forge::p256("one"))], ..State::default() };
        let script = Arc::new(Script { state: Mutex::new(state), came: Notify::new() });
        let task = tokio::spawn(serve(listener, Arc::clone(&script)));
        Self { address, script, task }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn issuer(&self) -> String {
        self.script.state().issuer.clone()
    }

    /// Settings for it with the client `narrows`, whose secret is `s3cret`; `more` are lines of YAML.
    pub(super) fn settings(&self, more: &str) -> (OidcSettings, SourceFile) {
        let text =
            format!("issuer: {}\nclient: {{id: narrows, secret: s3cret}}\ntokens: {{algorithms: [ES256, RS256]}}\n{more}\n", self.issuer());
        let file = SourceFile::new("narrows.yaml", text);
        (file.parse().unwrap(), file)
    }

    /// Changes one value of the metadata; `null` removes it.
    pub(super) fn metadata(&self, name: &str, value: Value) {
        let mut state = self.script.state();
        let object = state.metadata.as_object_mut().unwrap();
        if value.is_null() { drop(object.remove(name)) } else { drop(object.insert(name.to_owned(), value)) }
    }

    /// Signs with a new key from now on; publishes the former one too, or no more.
    pub(super) fn rotate(&self, key: Forge, keep: bool) {
        let mut state = self.script.state();
        if !keep {
            state.keys.clear();
        }
        state.keys.insert(0, Arc::new(key));
        state.keys.truncate(2);
    }

    /// The key that signs.
    pub(super) fn key(&self) -> Arc<Forge> {
        Arc::clone(&self.script.state().keys[0])
    }

    /// Claims of a good token.
    pub(super) fn claims(&self, subject: &str, now: Timestamp) -> Value {
        json!({
            "iss": self.issuer(), "aud": "narrows", "sub": subject, "iat": now.0, "exp": now.0 + 300, "preferred_username": subject,
        })
    }

    /// A good token with these claims instead of, or beside, the usual ones.
    pub(crate) fn token(&self, subject: &str, now: Timestamp, more: Value) -> String {
        let mut claims = self.claims(subject, now);
        let Value::Object(more) = more else { panic!("claims are an object: {more}") };
        for (name, value) in more {
            claims[name] = value;
        }
        self.key().token(&claims)
    }

    /// Answers so at this path from now on.
    pub(crate) fn always(&self, path: &str, reply: Reply) {
        self.script.state().always.insert(path.to_owned(), reply);
    }

    /// Answers so at this path from now on, by what is asked.
    pub(crate) fn by(&self, path: &str, answering: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
        self.script.state().by.insert(path.to_owned(), Arc::new(answering));
    }

    /// As it did before [`FakeIssuer::always`].
    pub(crate) fn heal(&self, path: &str) {
        self.script.state().always.remove(path);
    }

    /// Answers so once, after what was scripted before.
    pub(crate) fn next(&self, path: &str, reply: Reply) {
        self.script.state().next.entry(path.to_owned()).or_default().push_back(reply);
    }

    /// What was asked at a path.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        self.script.state().asked.iter().filter(|asked| asked.path == path).cloned().collect()
    }

    /// Waits until a path was asked so often.
    pub(crate) async fn was_asked(&self, path: &str, times: usize) {
        loop {
            let came = self.script.came.notified();
            if self.asked(path).len() >= times {
                return;
            }
            came.await;
        }
    }
}

impl Drop for FakeIssuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Script {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        let path = parts.uri.path().to_owned();
        let asked = Asked {
            path: path.clone(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            authorization: header("authorization"),
            user_agent: header("user-agent").unwrap_or_default(),
            form: form_urlencoded::parse(&body).into_owned().collect(),
        };
        let (next, by) = {
            let mut state = self.state();
            state.asked.push(asked.clone());
            (state.next.get_mut(&path).and_then(VecDeque::pop_front), state.by.get(&path).cloned())
        };
        // What answers by what was asked may look at this issuer itself.
        let reply = next.or_else(|| by.map(|answering| answering(&asked))).unwrap_or_else(|| {
            let state = self.state();
            state.always.get(&path).cloned().unwrap_or_else(|| state.usual(&path))
        });
        self.came.notify_waiters();
        tokio::time::sleep(reply.delay).await;
        let mut response = Response::builder().status(reply.status);
        for (name, value) in &reply.headers {
            response = response.header(name, value);
        }
        response.body(Full::new(reply.body)).unwrap()
    }
}

impl State {
    fn usual(&self, path: &str) -> Reply {
        match path {
            discovery if discovery.ends_with(DISCOVERY) => Reply::json(200, &self.metadata),
            KEYS => Reply::json(200, &json!({"keys": self.keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()})),
            REVOKE => Reply::text(200, ""),
            _ => Reply::json(404, &json!({"error": "not_found"})),
        }
    }
}

async fn serve(listener: TcpListener, script: Arc<Script>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let script = Arc::clone(&script);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let script = Arc::clone(&script);
                async move { Ok::<_, std::convert::Infallible>(script.answer(request).await) }
            });
            // Whoever hangs up is nobody's concern.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
