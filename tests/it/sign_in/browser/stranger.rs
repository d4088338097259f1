//! A web site of somebody else.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::Uri;
use axum::response::Html;
use axum::routing::get;
use tokio::net::TcpListener;
use url::Url;

/// It listens on loopback and ends with its test.
pub(super) struct Stranger(u16);

impl Stranger {
    pub(super) async fn start() -> Self {
        let router = Router::new()
            .route("/post", get(async |uri: Uri| Html(post(&fields(&uri)))))
            .route("/fetch", get(async |uri: Uri| Html(fetch(&fields(&uri)))))
            .route("/frame", get(async |uri: Uri| Html(format!("<iframe src=\"{}\"></iframe>", fields(&uri)["to"]))))
            .route("/open", get(async |uri: Uri| Html(open(&fields(&uri)["to"]))));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async { axum::serve(listener, router).await });
        Self(port)
    }

    /// One of its pages: on `localhost` it is another site than narrows, on 127.0.0.1 another origin of the same site.
    pub(super) fn page(&self, host: &str, path: &str, to: &str, form: &[(&str, &str)]) -> String {
        let mut url = Url::parse(&format!("http://{host}:{}{path}", self.0)).unwrap();
        url.query_pairs_mut().append_pair("to", to).extend_pairs(form);
        url.into()
    }
}

/// Sends a form by itself.
fn post(form: &BTreeMap<String, String>) -> String {
    let fields: String = form.iter().map(|(name, value)| format!("<input type=hidden name=\"{name}\" value=\"{value}\">")).collect();
    format!("<form method=post action=\"{}\">{fields}</form><script>document.forms[0].submit()</script>", form["to"])
}

/// Sends it beside the page.
fn fetch(form: &BTreeMap<String, String>) -> String {
    let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let options = format!("{{method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams('{body}')}}");
    format!("<p>waits</p><script>fetch('{}', {options}).finally(() => {{ document.body.textContent = 'sent'; }})</script>", form["to"])
}

/// Opens a window and keeps hold of it.
fn open(to: &str) -> String {
    format!("<button onclick=\"held = window.open('{to}')\">Open</button>")
}

/// Where it goes, as `to`, and what it says.
fn fields(uri: &Uri) -> BTreeMap<String, String> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}
