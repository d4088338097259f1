//! Dex as an OpenID Provider over a directory; `make interop` builds it and names its program in `NARROWS_DEX`.
//!
//! Groups come with the scope `groups`, refresh tokens with `offline_access`. Dex asks the directory again at each refresh. A wrong
//! password is 401 `access_denied`, a dead refresh token 400 `invalid_request`; and a person's next sign-in at the same client ends the
//! refresh token of the one before.

mod answers;
mod etcd;
mod logins;

use std::env;
use std::fs;
use std::path::Path;

use reqwest::Response;

use self::etcd::Etcd;
use crate::labs::accounts::Person;
use crate::labs::oidc::{self, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI};
use crate::labs::ports;
use crate::labs::process::{self, Server};
use crate::labs::visitor::Visitor;
use crate::require;
use crate::slapd::{SERVICE_DN, SERVICE_PASSWORD, Slapd};

/// A running server. Ends with its value or with the test process, whichever comes first.
pub(crate) struct Dex {
    root: String,
    // Before its storage, so that it ends first.
    _server: Server,
    _storage: Etcd,
}

impl Dex {
    /// Starts one whose people and groups are those of a directory; sign-ins return to this address. `None` where it was not fetched.
    pub(crate) async fn over_slapd(slapd: &Slapd, redirect_uri: &str) -> Option<Self> {
        let Some(program) = env::var_os("NARROWS_DEX") else {
            require::skip("Dex (`make interop` fetches it where Go is)");
            return None;
        };
        let storage = Etcd::start().await?;
        let folder = process::folder();
        let root = format!("http://{}", ports::free());
        let path = folder.join("dex.yaml");
        fs::write(&path, configuration(&root, storage.url(), slapd, redirect_uri)).unwrap();
        let server = Server::start("dex", folder, Path::new(&program), &["serve", &path.display().to_string()]);
        let url = format!("{root}/.well-known/openid-configuration");
        server.ready(async || reqwest::get(&url).await.map(drop).map_err(|error| error.to_string())).await;
        Some(Self { root, _server: server, _storage: storage })
    }

    /// The same, for sign-ins that return to the address of all labs.
    pub(crate) async fn start(slapd: &Slapd) -> Option<Self> {
        Self::over_slapd(slapd, REDIRECT_URI).await
    }

    /// Its issuer.
    pub(crate) fn issuer(&self) -> String {
        self.root.clone()
    }

    /// Signs somebody in at an authorization request and tells the address that the browser is sent back to.
    pub(crate) async fn sign_in(&self, person: &Person, authorization_url: &str) -> String {
        let visitor = Visitor::new();
        let redirect_uri = oidc::query(authorization_url, "redirect_uri").expect("an authorization request says where it returns to");
        let page = visitor.get(authorization_url).await;
        match self.pass(&visitor, person, page, &redirect_uri).await {
            Ok(callback) => callback,
            Err(page) => panic!("the sign-in ends at: {page}"),
        }
    }

    /// Enters a device's code as somebody.
    pub(crate) async fn approve_device(&self, person: &Person, user_code: &str) {
        let visitor = Visitor::new();
        let entered = visitor.post(&format!("{}/device/auth/verify_code", self.root), &[("user_code", user_code)]).await;
        let page = self.pass(&visitor, person, entered, "https://nowhere.example.org").await.expect_err("a page and no redirect");
        assert!(page.contains("Login Successful"), "{page}");
    }

    /// Fills in the sign-in page, where one comes.
    async fn pass(&self, visitor: &Visitor, person: &Person, answer: Response, until: &str) -> Result<String, String> {
        let page = match visitor.follow(answer, until).await {
            Ok(callback) => return Ok(callback),
            Err(page) => page,
        };
        let url = page.url().to_string();
        let text = page.text().await.unwrap();
        assert!(text.contains("name=\"password\""), "{url}: no sign-in page: {text}");
        let sent = visitor.post(&url, &[("login", person.name), ("password", person.password)]).await;
        match visitor.follow(sent, until).await {
            Ok(callback) => Ok(callback),
            Err(page) => Err(page.text().await.unwrap()),
        }
    }
}

fn configuration(root: &str, storage: &str, slapd: &Slapd, redirect_uri: &str) -> String {
    let listen = root.trim_start_matches("http://");
    let directory = slapd.url().replace("ldap://", "");
    format!(
        r#"issuer: {root}
storage: {{type: etcd, config: {{endpoints: ["{storage}"]}}}}
web: {{http: "{listen}"}}
oauth2:
  skipApprovalScreen: true
  passwordConnector: ldap
staticClients:
  - id: {CLIENT_ID}
    name: {CLIENT_ID}
    secret: {CLIENT_SECRET}
    redirectURIs: ["{redirect_uri}", /device/callback]
connectors:
  - type: ldap
    id: ldap
    name: directory
    config:
      host: "{directory}"
      insecureNoSSL: true
      bindDN: {SERVICE_DN}
      bindPW: {SERVICE_PASSWORD}
      userSearch:
        baseDN: ou=people,dc=example,dc=org
        filter: (objectClass=inetOrgPerson)
        username: uid
        idAttr: uid
        emailAttr: uid
        nameAttr: cn
        preferredUsernameAttr: uid
      groupSearch:
        baseDN: ou=groups,dc=example,dc=org
        filter: (objectClass=groupOfNames)
        userMatchers: [{{userAttr: DN, groupAttr: member}}]
        nameAttr: cn
"#
    )
}
