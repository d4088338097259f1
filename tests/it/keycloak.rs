//! Keycloak as an OpenID Provider; `make interop` fetches it and names its folder in `NARROWS_KEYCLOAK`.
//!
//! Groups come as full paths. A refresh token works once. Who has a second factor is refused by the password grant with the very words of
//! a wrong password.

mod answers;

use std::env;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::labs::accounts::Person;
use crate::labs::authenticator::{self, Authenticator};
use crate::labs::oidc::{self, CLIENT_ID, CLIENT_SECRET, Issuer, REDIRECT_URI};
use crate::labs::ports;
use crate::labs::process::{self, Server};
use crate::labs::visitor::{Fields, Visitor};
use crate::labs::wait;
use crate::require;

pub(crate) const ALICE: Person = Person { groups: &["/dev/backend", "/ops"], ..oidc::ALICE };
pub(crate) const BOB: Person = Person { groups: &["/dev"], ..oidc::BOB };
/// Needs a code from an authenticator.
pub(crate) const MFA: Person = Person { groups: &["/dev"], ..oidc::MFA };

const ADMINISTRATOR: [(&str, &str); 2] = [("KC_BOOTSTRAP_ADMIN_USERNAME", "admin"), ("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin-password")];

/// A running server with a realm. Ends with its value or with the test process, whichever comes first.
pub(crate) struct Keycloak {
    root: String,
    client: reqwest::Client,
    authenticator: Authenticator,
    server: Server,
}

impl Keycloak {
    /// Starts one with Alice, Bob and Mfa; `None` where it was not fetched.
    pub(crate) async fn start() -> Option<Self> {
        let Some(home) = env::var_os("NARROWS_KEYCLOAK") else {
            require::skip("Keycloak (`make interop` fetches it where Maven and a JDK are)");
            return None;
        };
        let program = Path::new(&home).join("bin/kc.sh");
        let port = ports::free().port().to_string();
        let arguments = [
            "start",
            "--optimized",
            "--http-enabled=true",
            "--http-host=127.0.0.1",
            &format!("--http-port={port}"),
            "--hostname-strict=false",
            // Alone: no talk with other servers.
            "--cache=local",
        ];
        let server = Server::start_with("keycloak", process::folder(), &program, &arguments, &ADMINISTRATOR);
        let (client, authenticator) = (oidc::plain_client(), Authenticator::new());
        let lab = Self { root: format!("http://127.0.0.1:{port}"), client, authenticator, server };
        let url = format!("{}/realms/master", lab.root);
        lab.ready(&url).await;
        lab.administer("POST", "", &realm()).await;
        Some(lab)
    }

    /// How many offline sessions somebody has with the client.
    pub(crate) async fn offline_sessions(&self, person: &Person) -> usize {
        let client = self.ask(&format!("/lab/clients?clientId={CLIENT_ID}")).await;
        let path = format!("{}/offline-sessions/{}", self.person(person).await, client[0]["id"].as_str().unwrap());
        self.ask(&path).await.as_array().unwrap().len()
    }

    /// Signs somebody in with a browser that may be signed in already.
    pub(crate) async fn sign_in_with(&self, visitor: &Visitor, person: &Person, authorization_url: &str) -> String {
        visitor.sign_in(authorization_url, async |page| self.fields(person, page).await).await
    }

    /// Signs with a new key from now on; the old one stays in the key set.
    pub(crate) async fn rotate_keys(&self) {
        let realm = self.ask("/lab").await;
        let key = json!({
            "name": "newer", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider", "parentId": realm["id"],
            "config": {"priority": ["200"], "algorithm": ["RS256"]},
        });
        self.administer("POST", "/lab/components", &key).await;
    }

    /// What somebody fills into a page.
    async fn fields(&self, person: &Person, page: &str) -> Option<Fields> {
        let asks = |name: &str| page.contains(&format!("name=\"{name}\""));
        if asks("password") {
            return Some(vec![
                ("username", person.name.to_owned()),
                ("password", person.password.to_owned()),
                ("credentialId", String::new()),
            ]);
        }
        if asks("otp") {
            return Some(vec![("otp", self.authenticator.code().await)]);
        }
        asks("accept").then(|| vec![("accept", "Yes".to_owned())])
    }

    /// The path of somebody's entry.
    async fn person(&self, person: &Person) -> String {
        let found = self.ask(&format!("/lab/users?exact=true&username={}", person.name)).await;
        format!("/lab/users/{}", found[0]["id"].as_str().unwrap())
    }

    async fn ask(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}/admin/realms{path}", self.root)).bearer_auth(self.token().await);
        oidc::json(request.send().await.unwrap()).await
    }

    async fn administer(&self, method: &str, path: &str, body: &Value) {
        let request = self.client.request(method.parse().unwrap(), format!("{}/admin/realms{path}", self.root));
        let response = request.bearer_auth(self.token().await).json(body).send().await.unwrap();
        let status = response.status();
        assert!(status.is_success(), "{method} {path}: {status}: {}", response.text().await.unwrap());
    }

    /// An administrator's access token, which lives for a minute.
    async fn token(&self) -> String {
        let [(_, username), (_, password)] = ADMINISTRATOR;
        let form = [("grant_type", "password"), ("client_id", "admin-cli"), ("username", username), ("password", password)];
        let request = self.client.post(format!("{}/realms/master/protocol/openid-connect/token", self.root)).form(&form);
        oidc::json(request.send().await.unwrap()).await["access_token"].as_str().unwrap().to_owned()
    }

    /// Waits for it: a Java program of this size takes its time.
    async fn ready(&self, url: &str) {
        wait::until(Duration::from_mins(5), async || {
            assert_eq!(self.server.status(), None, "keycloak ended:\n{}{}", self.server.stdout(), self.server.stderr());
            match self.client.get(url).send().await {
                Ok(response) if response.status().is_success() => Ok(()),
                Ok(response) => Err(response.status().to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }
}

impl Issuer for Keycloak {
    /// It says of both that the credentials are invalid.
    const TELLS_SECOND_FACTOR: bool = false;
    const TELLS_END: bool = true;
    const SETTINGS: &str = "      preset: keycloak\n";

    fn issuer(&self) -> String {
        format!("{}/realms/lab", self.root)
    }

    async fn redirect_to(&self, uri: &str) {
        let client = self.ask(&format!("/lab/clients?clientId={CLIENT_ID}")).await;
        let path = format!("/lab/clients/{}", client[0]["id"].as_str().unwrap());
        self.administer("PUT", &path, &json!({"redirectUris": [uri]})).await;
    }

    async fn sign_in(&self, person: &Person, authorization_url: &str) -> String {
        self.sign_in_with(&Visitor::new(), person, authorization_url).await
    }

    async fn approve_device(&self, person: &Person, user_code: &str) {
        let visitor = Visitor::new();
        let asked = visitor.get(&format!("{}/device?user_code={user_code}", self.issuer())).await;
        let page = visitor.fill_in(asked, async |page| self.fields(person, page).await).await;
        assert!(page.contains("Device Login Successful"), "{page}");
    }

    /// The realm wants one of Mfa from its start.
    async fn require_second_factor(&self, person: &Person) {
        assert_eq!(person.name, MFA.name);
    }

    /// Given as full paths without the first slash.
    async fn set_groups(&self, person: &Person, groups: &[&str]) {
        let path = self.person(person).await;
        for group in self.ask(&format!("{path}/groups")).await.as_array().unwrap() {
            self.administer("DELETE", &format!("{path}/groups/{}", group["id"].as_str().unwrap()), &Value::Null).await;
        }
        for group in groups {
            let group = self.ask(&format!("/lab/group-by-path/{group}")).await;
            self.administer("PUT", &format!("{path}/groups/{}", group["id"].as_str().unwrap()), &json!({})).await;
        }
    }

    /// Offline ones too: refresh tokens from before are stale.
    async fn end_sessions(&self, person: &Person) {
        let path = self.person(person).await;
        // It counts in whole seconds, and what was given in the second of the logout is not from before.
        wait::next_step(1).await;
        self.administer("POST", &format!("{path}/logout"), &json!({})).await;
    }

    /// Switches the account off.
    async fn remove(&self, person: &Person) {
        let path = self.person(person).await;
        self.administer("PUT", &path, &json!({"enabled": false})).await;
    }
}

/// A realm with nested groups, a client with a role, and people.
fn realm() -> Value {
    let mapper = |name: &str, kind: &str, config: Value| json!({"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": config});
    let everywhere = |mut config: Value| {
        for place in ["id.token.claim", "access.token.claim", "userinfo.token.claim"] {
            config[place] = json!("true");
        }
        config
    };
    let groups = everywhere(json!({"full.path": "true", "claim.name": "groups"}));
    let roles = everywhere(json!({
        "usermodel.clientRoleMapping.clientId": CLIENT_ID, "claim.name": "resource_access.registry.roles", "multivalued": "true",
        "jsonType.label": "String",
    }));
    let client = json!({
        "clientId": CLIENT_ID, "secret": CLIENT_SECRET, "publicClient": false,
        "standardFlowEnabled": true, "directAccessGrantsEnabled": true, "redirectUris": [REDIRECT_URI],
        "attributes": {"oauth2.device.authorization.grant.enabled": "true", "oauth2.device.polling.interval": "1"},
        "protocolMappers": [
            mapper("groups", "oidc-group-membership-mapper", groups),
            mapper("roles of the client", "oidc-usermodel-client-role-mapper", roles),
        ],
    });
    let totp = json!({
        "type": "otp",
        "secretData": json!({"value": authenticator::SECRET}).to_string(),
        "credentialData": r#"{"subType":"totp","digits":6,"counter":0,"period":30,"algorithm":"HmacSHA1"}"#,
    });
    let person = |person: &Person, more: Option<&Value>| {
        let password = json!({"type": "password", "value": person.password});
        json!({
            "username": person.name, "enabled": true, "email": format!("{}@example.org", person.name), "emailVerified": true,
            "firstName": person.name, "lastName": person.name, "groups": person.groups, "realmRoles": ["offline_access"],
            "credentials": more.into_iter().chain([&password]).collect::<Vec<_>>(),
            "clientRoles": {CLIENT_ID: if person.name == "alice" { vec!["pusher"] } else { Vec::new() }},
        })
    };
    json!({
        "realm": "lab", "enabled": true, "sslRequired": "none",
        "revokeRefreshToken": true, "refreshTokenMaxReuse": 0,
        "groups": [{"name": "dev", "subGroups": [{"name": "backend"}]}, {"name": "ops"}],
        "clients": [client],
        "roles": {"realm": [{"name": "offline_access"}], "client": {CLIENT_ID: [{"name": "pusher"}]}},
        "users": [person(&ALICE, None), person(&BOB, None), person(&MFA, Some(&totp))],
    })
}
