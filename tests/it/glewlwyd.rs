//! Debian's Glewlwyd as an OpenID Provider: temporary folder, free port on loopback, a database and a key of its own.
//!
//! What it does otherwise than most: a wrong password is 403 and a dead refresh token 400, both without a body; a refresh brings no
//! ID token and, unless told so, no new refresh token; `disable` ends neither refreshes nor userinfo; `iss` is not in its callbacks.

mod answers;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use data_encoding::BASE32_NOPAD;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use reqwest::Response;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::labs::accounts::Person;
use crate::labs::authenticator::{self, Authenticator};
use crate::labs::oidc::{self, ALICE, BOB, CLIENT_ID, CLIENT_SECRET, Issuer, MFA, REDIRECT_URI, SCOPE};
use crate::labs::ports;
use crate::labs::process::{self, Server};
use crate::labs::visitor::{self, Visitor};
use crate::require;
use crate::slapd::{SERVICE_DN, SERVICE_PASSWORD, Slapd};

const SCHEMA: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";

/// One for all of a run: it takes a second to make.
static KEY: OnceLock<KeyPair> = OnceLock::new();

/// A running server. Ends with its value or with the test process, whichever comes first.
pub(crate) struct Glewlwyd {
    folder: PathBuf,
    /// `None` between `stop` and `restart`.
    server: Option<Server>,
    port: u16,
    administrator: Visitor,
    authenticator: Authenticator,
    /// Who has an authenticator, and the browser that knows them: the next code takes half a minute.
    totp: Mutex<BTreeMap<&'static str, Option<Arc<Visitor>>>>,
}

impl Glewlwyd {
    /// Starts one with Alice, Bob and Mfa in its own database; `None` where it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let lab = Self::bare().await?;
        for person in [ALICE, BOB, MFA] {
            let entry = json!({
                "username": person.name,
                "name": person.name,
                "email": format!("{}@example.org", person.name),
                "password": person.password,
                "enabled": true,
                "scope": ["openid", "groups", "g_profile"],
                "groups": person.groups,
            });
            lab.administer("POST", "user/", &entry).await;
            lab.consent(&person).await;
        }
        Some(lab)
    }

    /// Starts one whose people are those of a directory, so that the same person comes through two doors. Their groups are DNs.
    pub(crate) async fn over_slapd(slapd: &Slapd, people: &[Person]) -> Option<Self> {
        let lab = Self::bare().await?;
        for Person { name, .. } in people {
            let dn = format!("uid={name},ou=people,dc=example,dc=org");
            // Whoever has no scope in the directory may not sign in here.
            slapd.modify(&format!("dn: {dn}\nchangetype: modify\nreplace: title\ntitle: openid\ntitle: groups\ntitle: g_profile\n"));
        }
        let directory = json!({
            "uri": slapd.url(),
            "bind-dn": SERVICE_DN,
            "bind-password": SERVICE_PASSWORD,
            "base-search": "ou=people,dc=example,dc=org",
            "search-scope": "subtree",
            // With parentheses around it, it would be refused as malformed.
            "filter": "objectClass=inetOrgPerson",
            "page-size": 50,
            "username-property": "uid",
            "name-property": "cn",
            "email-property": "mail",
            "scope-property": "title",
            "password-property": "userPassword",
            "password-algorithm": "SSHA",
            "rdn-property": "uid",
            "object-class": "inetOrgPerson",
            "data-format": {
                "groups": {
                    "property": "memberOf", "multiple": true, "read": true, "write": false, "profile-read": true, "profile-write": false,
                },
            },
        });
        let module = json!({
            "module": "ldap", "name": "directory", "display_name": "directory", "order_rank": 1, "parameters": directory,
            "enabled": true, "readonly": true, "multiple_passwords": false,
        });
        lab.administer("POST", "mod/user/", &module).await;
        for person in people {
            lab.consent(person).await;
        }
        Some(lab)
    }

    /// One with a client and nobody.
    async fn bare() -> Option<Self> {
        let installed = ["/usr/bin/glewlwyd", SCHEMA, "/usr/lib/glewlwyd/plugin/libprotocol_oidc.so"];
        if !require::available("Glewlwyd (package glewlwyd)", installed.iter().all(|it| Path::new(it).exists())) {
            return None;
        }
        let folder = process::folder();
        database(&folder.join("glewlwyd.db")).await;
        let mut lab = Self {
            folder,
            server: None,
            port: ports::free().port(),
            administrator: Visitor::new(),
            authenticator: Authenticator::new(),
            totp: Mutex::default(),
        };
        fs::write(lab.folder.join("glewlwyd.conf"), lab.configuration()).unwrap();
        fs::create_dir(lab.folder.join("none")).unwrap();
        lab.restart().await;
        lab.log_in(&lab.administrator, "admin", "password").await;
        lab.administer("POST", "scope/", &scope("groups", false)).await;
        lab.administer("POST", "mod/plugin/", &lab.plugin()).await;
        lab.administer("POST", "client/", &client(REDIRECT_URI)).await;
        Some(lab)
    }

    /// Switches somebody's account off: no sign-in by any grant any more. Refresh tokens go on: see `end_sessions`.
    pub(crate) async fn disable(&self, person: &Person) {
        self.change(person, "enabled", json!(false)).await;
    }

    /// Switches it on again.
    pub(crate) async fn enable(&self, person: &Person) {
        self.change(person, "enabled", json!(true)).await;
    }

    /// How many refresh tokens of somebody still bring tokens.
    pub(crate) async fn live_refresh_tokens(&self, person: &Person) -> usize {
        let visitor = self.visitor(person).await;
        let listed = oidc::json(visitor.get(&self.url("oidc/token?limit=1000")).await).await;
        listed.as_array().unwrap().iter().filter(|token| token["enabled"] == true).count()
    }

    /// Lets every refresh bring a new refresh token and end the old one.
    pub(crate) async fn rotate_refresh_tokens(&self) {
        let mut plugin = oidc::json(self.administrator.get(&self.url("mod/plugin/oidc")).await).await;
        plugin["parameters"]["refresh-token-one-use"] = json!("always");
        self.administer("PUT", "mod/plugin/oidc", &plugin).await;
        for action in ["disable", "enable"] {
            self.administer("PUT", &format!("mod/plugin/oidc/{action}"), &Value::Null).await;
        }
    }

    /// Ends it at once.
    pub(crate) fn stop(&mut self) {
        let server = self.server.take().expect("it runs");
        server.signal("KILL");
        server.end();
    }

    /// Starts it again with the same database and port.
    pub(crate) async fn restart(&mut self) {
        let configuration = format!("--config-file={}", self.folder.join("glewlwyd.conf").display());
        let server = Server::start("glewlwyd", self.folder.clone(), Path::new("/usr/bin/glewlwyd"), &[&configuration]);
        let url = self.url("").replace("/api/", "/config");
        let server = self.server.insert(server);
        server.ready(async || reqwest::get(&url).await.map(drop).map_err(|error| error.to_string())).await;
    }

    /// Freezes it: connections are still accepted by the system, and nobody answers.
    pub(crate) fn freeze(&self) {
        self.server.as_ref().expect("it runs").signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.server.as_ref().expect("it runs").signal("CONT");
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/api/{path}", self.port)
    }

    async fn administer(&self, method: &str, path: &str, body: &Value) {
        ok(self.administrator.send(self.administrator.request(method, &self.url(path)).json(body)).await).await;
    }

    /// A change of an entry takes all of it, or the rest is gone.
    async fn change(&self, person: &Person, property: &str, value: Value) {
        let path = format!("user/{}", person.name);
        let mut entry = oidc::json(self.administrator.get(&self.url(&path)).await).await;
        entry[property] = value;
        self.administer("PUT", &path, &entry).await;
    }

    async fn log_in(&self, visitor: &Visitor, name: &str, password: &str) {
        let body = json!({"username": name, "password": password});
        ok(visitor.send(visitor.request("POST", &self.url("auth/")).json(&body)).await).await;
    }

    /// Somebody's browser, signed in with all that is asked for.
    async fn visitor(&self, person: &Person) -> Arc<Visitor> {
        let known = self.totp.lock().unwrap().get(person.name).cloned();
        if let Some(Some(visitor)) = known {
            return visitor;
        }
        let visitor = Arc::new(Visitor::new());
        self.log_in(&visitor, person.name, person.password).await;
        if known.is_some() {
            let code = self.authenticator.code().await;
            let body = json!({"username": person.name, "scheme_type": "otp", "scheme_name": "totp", "value": {"value": code}});
            ok(visitor.send(visitor.request("POST", &self.url("auth/")).json(&body)).await).await;
            self.totp.lock().unwrap().insert(person.name, Some(Arc::clone(&visitor)));
        }
        visitor
    }

    /// Lets the client see what it asks for, which the page would ask for at the first sign-in.
    async fn consent(&self, person: &Person) {
        let visitor = self.visitor(person).await;
        let request = visitor.request("PUT", &self.url(&format!("auth/grant/{CLIENT_ID}"))).json(&json!({"scope": SCOPE}));
        ok(visitor.send(request).await).await;
    }

    fn configuration(&self) -> String {
        let (folder, port) = (self.folder.display(), self.port);
        format!(
            r#"port = {port}
bind_address = "127.0.0.1"
external_url = "http://127.0.0.1:{port}"
login_url = "login.html"
api_prefix = "api"
static_files_path = "/usr/share/glewlwyd/webapp/"
log_mode = "console"
log_level = "DEBUG"
cookie_secure = 0
cookie_same_site = "empty"
session_expiration = 2419200
session_key = "GLEWLWYD2_SESSION_ID"
admin_scope = "g_admin"
profile_scope = "g_profile"
user_module_path = "/usr/lib/glewlwyd/user"
user_middleware_module_path = "{folder}/none"
client_module_path = "/usr/lib/glewlwyd/client"
user_auth_scheme_module_path = "/usr/lib/glewlwyd/scheme"
plugin_module_path = "/usr/lib/glewlwyd/plugin"
use_secure_connection = false
# Read although they are not used; without the keys it does not start.
secure_connection_key_file = "{folder}/none/key"
secure_connection_pem_file = "{folder}/none/certificate"
secure_connection_ca_file = "{folder}/none/ca"
hash_algorithm = "SHA512"
database = {{ type = "sqlite3"; path = "{folder}/glewlwyd.db"; }};
static_files_mime_types = ( {{ extension = ".html"; mime_type = "text/html"; }} );
"#
        )
    }

    fn plugin(&self) -> Value {
        let key = KEY.get_or_init(|| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap());
        json!({
            "module": "oidc", "name": "oidc", "display_name": "oidc", "enabled": true,
            "parameters": {
                "iss": self.issuer(),
                "jwt-type": "rsa", "jwt-key-size": "256", "key": key.serialize_pem(), "cert": key.public_key_pem(),
                "code-duration": 600, "refresh-token-duration": 1_209_600, "access-token-duration": 3600,
                "allow-non-oidc": true,
                "auth-type-client-enabled": true, "auth-type-code-enabled": true, "auth-type-code-revoke-replayed": true,
                "auth-type-token-enabled": false, "auth-type-implicit-enabled": false, "auth-type-password-enabled": true,
                "auth-type-refresh-enabled": true, "auth-type-device-enabled": true,
                "device-authorization-expiration": 600, "device-authorization-interval": 1,
                "pkce-allowed": true, "pkce-required": false, "pkce-method-plain-allowed": false,
                "introspection-revocation-allowed": true, "introspection-revocation-allow-target-client": true,
                "name-claim": "mandatory", "email-claim": "mandatory",
                "claims": [{"name": "groups", "user-property": "groups", "type": "string", "mandatory": true}],
            },
        })
    }
}

impl Issuer for Glewlwyd {
    /// It refuses both by an empty 403.
    const TELLS_SECOND_FACTOR: bool = false;
    /// An empty 400 is its answer to both.
    const TELLS_END: bool = false;
    const SETTINGS: &str = "      scopes: [openid, groups]\n      identity: {username: [name]}\n";

    fn issuer(&self) -> String {
        self.url("oidc")
    }

    async fn redirect_to(&self, uri: &str) {
        self.administer("PUT", &format!("client/{CLIENT_ID}"), &client(uri)).await;
    }

    async fn sign_in(&self, person: &Person, authorization_url: &str) -> String {
        let visitor = self.visitor(person).await;
        let answer = visitor.get(&format!("{authorization_url}&g_continue")).await;
        let callback = visitor::redirect(&answer).unwrap_or_else(|| panic!("no redirect but {}", answer.status()));
        assert!(!callback.starts_with(&self.url("").replace("/api/", "/login.html")), "not signed in: {callback}");
        callback
    }

    async fn approve_device(&self, person: &Person, user_code: &str) {
        let visitor = self.visitor(person).await;
        let answer = visitor.get(&self.url(&format!("oidc/device?code={user_code}&g_continue"))).await;
        let page = visitor::redirect(&answer).unwrap_or_else(|| panic!("no redirect but {}", answer.status()));
        assert_eq!(oidc::query(&page, "prompt").as_deref(), Some("deviceComplete"), "{page}");
    }

    /// Gives somebody an authenticator, and from now on everybody needs one: Glewlwyd asks by scope, not by person.
    async fn require_second_factor(&self, person: &Person) {
        if self.totp.lock().unwrap().is_empty() {
            self.administer("POST", "mod/scheme/", &totp_scheme()).await;
        }
        for name in ["openid", "groups"] {
            self.administer("PUT", &format!("scope/{name}"), &scope(name, true)).await;
        }
        let visitor = self.visitor(person).await;
        let secret = BASE32_NOPAD.encode(authenticator::SECRET.as_bytes());
        let register = json!({
            "username": person.name, "scheme_type": "otp", "scheme_name": "totp",
            "value": {"type": "TOTP", "secret": secret, "time_step_size": 30},
        });
        ok(visitor.send(visitor.request("POST", &self.url("profile/scheme/register/")).json(&register)).await).await;
        self.totp.lock().unwrap().insert(person.name, None);
    }

    /// Of somebody of its own database.
    async fn set_groups(&self, person: &Person, groups: &[&str]) {
        self.change(person, "groups", json!(groups)).await;
    }

    async fn end_sessions(&self, person: &Person) {
        let visitor = self.visitor(person).await;
        let listed = oidc::json(visitor.get(&self.url("oidc/token?limit=1000")).await).await;
        for token in listed.as_array().unwrap() {
            let mut url = url::Url::parse(&self.url("oidc/token")).unwrap();
            url.path_segments_mut().unwrap().push(token["token_hash"].as_str().unwrap());
            ok(visitor.send(visitor.request("DELETE", url.as_str())).await).await;
        }
    }

    async fn remove(&self, person: &Person) {
        self.administer("DELETE", &format!("user/{}", person.name), &Value::Null).await;
    }
}

impl Drop for Glewlwyd {
    fn drop(&mut self) {
        match &self.server {
            // It may be frozen, and then no other signal reaches it.
            Some(server) if server.id().is_some() && server.status().is_none() => server.signal("KILL"),
            Some(_) => {}
            None => fs::remove_dir_all(&self.folder).unwrap(),
        }
    }
}

/// The database as the package's installation makes it, and people with several groups.
async fn database(path: &Path) {
    let schema = fs::read_to_string(SCHEMA).unwrap();
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut database: SqliteConnection = options.connect().await.unwrap();
    let groups = r#"UPDATE g_user_module_instance SET gumi_parameters = json_set(gumi_parameters, '$."data-format".groups',
        json('{"multiple": true, "read": true, "write": true, "profile-read": true, "profile-write": false}'));"#;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("BEGIN;{schema};{groups};COMMIT;"))).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
}

fn client(redirect_uri: &str) -> Value {
    json!({
        "client_id": CLIENT_ID, "client_name": CLIENT_ID, "confidential": true, "enabled": true,
        // Its `client_secret` is another thing, with which the password grant fails.
        "password": CLIENT_SECRET,
        "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
        "authorization_type": ["code", "refresh_token", "password", "device_authorization"],
        "redirect_uri": [redirect_uri],
        "scope": ["openid"],
    })
}

fn scope(name: &str, totp: bool) -> Value {
    let mut scope = json!({
        "name": name, "display_name": name, "description": name, "password_required": totp, "password_max_age": 0,
        "scheme": {}, "scheme_required": {},
    });
    if totp {
        scope["scheme"] = json!({"second": [{"scheme_type": "otp", "scheme_name": "totp"}]});
        scope["scheme_required"] = json!({"second": 1});
    }
    scope
}

fn totp_scheme() -> Value {
    json!({
        "module": "otp", "name": "totp", "display_name": "totp", "expiration": 600, "max_use": 0,
        "allow_user_register": true, "forbid_user_profile": false, "forbid_user_reset_credential": false, "enabled": true,
        "parameters": {
            "issuer": "lab", "secret-minimum-size": 16, "otp-length": 6,
            "hotp-allow": false, "hotp-window": 0, "totp-allow": true, "totp-window": 1, "totp-start-offset": 0,
        },
    })
}

/// Fails unless it is a 200.
#[track_caller]
fn ok(response: Response) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let (status, url) = (response.status(), response.url().clone());
        let body = response.text().await.unwrap();
        assert!(status.is_success(), "{caller}: {url}: {status}: {body}");
    }
}
