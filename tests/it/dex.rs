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

use self::etcd::Etcd;
use crate::labs::accounts::{Person, directory};
use crate::labs::oidc::{BOB, CLIENT_ID, CLIENT_SECRET, Issuer};
use crate::labs::ports;
use crate::labs::process::{self, Server};
use crate::labs::visitor::{Fields, Visitor};
use crate::require;
use crate::slapd::{Options, SERVICE_DN, SERVICE_PASSWORD, Slapd};

/// Those that tests put Bob into.
const GROUPS: [&str; 2] = ["dev", "ops"];

/// A running server over a directory. Ends with its value or with the test process, whichever comes first.
pub(crate) struct Dex {
    root: String,
    // Before its storage, so that it ends first.
    _server: Server,
    _storage: Etcd,
    pub(crate) slapd: Slapd,
}

impl Dex {
    /// Starts one with the people of a new directory and Bob; sign-ins return to this address. `None` where it was not fetched.
    pub(crate) async fn start(redirect_uri: &str) -> Option<Self> {
        let Some(program) = env::var_os("NARROWS_DEX") else {
            require::skip("Dex (`make interop` fetches it where Go is)");
            return None;
        };
        let (storage, slapd) = (Etcd::start().await?, Slapd::start(Options::default()).await?);
        slapd.modify(&directory::ldif(&[Person { groups: &GROUPS, ..BOB }]));
        let folder = process::folder();
        let root = format!("http://{}", ports::free());
        let path = folder.join("dex.yaml");
        fs::write(&path, configuration(&root, storage.url(), &slapd, redirect_uri)).unwrap();
        let server = Server::start("dex", folder, Path::new(&program), &["serve", &path.display().to_string()]);
        let url = format!("{root}/.well-known/openid-configuration");
        server.ready(async || reqwest::get(&url).await.map(drop).map_err(|error| error.to_string())).await;
        let lab = Self { root, _server: server, _storage: storage, slapd };
        lab.set_groups(&BOB, BOB.groups).await;
        Some(lab)
    }
}

impl Issuer for Dex {
    /// It has no second factors.
    const TELLS_SECOND_FACTOR: bool = false;
    /// A refresh for somebody who is gone is an error of its own: nothing is given, and the login waits.
    const TELLS_END: bool = false;
    const TAKES_BACK: bool = false;
    const SETTINGS: &str = "      preset: dex\n";
    /// It begins device logins for a secret in the form alone.
    const CLIENT: &str = ", auth: post";

    fn issuer(&self) -> String {
        self.root.clone()
    }

    /// It was told at its start.
    async fn redirect_to(&self, _uri: &str) {}

    async fn sign_in(&self, person: &Person, authorization_url: &str) -> String {
        Visitor::new().sign_in(authorization_url, async |page| fields(person, page)).await
    }

    async fn approve_device(&self, person: &Person, user_code: &str) {
        let visitor = Visitor::new();
        let entered = visitor.post(&format!("{}/device/auth/verify_code", self.root), &[("user_code", user_code)]).await;
        let page = visitor.fill_in(entered, async |page| fields(person, page)).await;
        assert!(page.contains("Login Successful"), "{page}");
    }

    async fn require_second_factor(&self, person: &Person) {
        panic!("{} gets no second factor here", person.name);
    }

    /// A group has one member at the most.
    async fn set_groups(&self, person: &Person, groups: &[&str]) {
        for group in GROUPS {
            // It may not be empty.
            let member = if groups.contains(&group) { directory::person(person.name) } else { SERVICE_DN.to_owned() };
            self.slapd.modify(&directory::modify(&directory::group(group), "replace", "member", &member));
        }
    }

    async fn end_sessions(&self, person: &Person) {
        panic!("{} has no session here", person.name);
    }

    async fn remove(&self, person: &Person) {
        self.slapd.modify(&format!("dn: {}\nchangetype: delete\n", directory::person(person.name)));
    }
}

/// What somebody fills into a page.
fn fields(person: &Person, page: &str) -> Option<Fields> {
    page.contains("name=\"password\"").then(|| vec![("login", person.name.to_owned()), ("password", person.password.to_owned())])
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
