//! What the OpenID Providers of the labs have in common: a client, people, and requests as any relying party makes them, so that a
//! broken lab is told from a broken bridge.

use aws_lc_rs::digest;
use data_encoding::BASE64URL_NOPAD;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use url::Url;

use super::accounts::Person;

pub const CLIENT_ID: &str = "registry";
pub const CLIENT_SECRET: &str = "registry-secret-of-a-fair-length";
pub const SCOPE: &str = "openid groups";
/// Where sign-ins return to unless the test says otherwise.
pub const REDIRECT_URI: &str = "http://127.0.0.1:5001/oidc/corp/callback";

pub const ALICE: Person = Person { name: "alice", password: "alice: p+&%20word", groups: &["dev", "ops"] };
pub const BOB: Person = Person { name: "bob", password: "bob-password", groups: &["dev"] };
/// Has a second factor where the lab requires one.
pub const MFA: Person = Person { name: "mfa", password: "mfa-password", groups: &["dev"] };

/// Lets people use their passwords; below `oidc`.
pub const PASSWORDS: &str = "      password_grant: {enabled: true}\n";

const VERIFIER: &str = "a-verifier-that-is-as-long-as-the-standard-wants-it";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What a test needs of an OpenID Provider, whichever it is.
pub trait Issuer {
    /// Whether it tells a right password that does not do from a wrong one.
    const TELLS_SECOND_FACTOR: bool;
    /// Whether it tells that a session is over from that narrows is set up wrongly.
    const TELLS_END: bool;
    /// Whether it takes refresh tokens back (RFC 7009).
    const TAKES_BACK: bool = true;
    /// What narrows has to know of it beside issuer and client, each line indented as below `oidc`.
    const SETTINGS: &str;
    /// What stands in `client` beside id and secret, behind a comma.
    const CLIENT: &str = "";

    /// Its issuer identifier.
    fn issuer(&self) -> String;

    /// What stands below `oidc` in a configuration that trusts it; the client's secret is in `oidc-secret`.
    fn oidc(&self) -> String {
        let (issuer, client, settings) = (self.issuer(), Self::CLIENT, Self::SETTINGS);
        format!("      issuer: {issuer}\n      client: {{id: {CLIENT_ID}, secret: {{file: oidc-secret}}{client}}}\n{settings}")
    }

    /// Lets sign-ins return here, and nowhere else.
    async fn redirect_to(&self, uri: &str);
    /// Signs somebody in at an authorization request and tells the address that the browser is sent back to.
    async fn sign_in(&self, person: &Person, authorization_url: &str) -> String;
    /// Enters a device's code as somebody.
    async fn approve_device(&self, person: &Person, user_code: &str);
    /// Asks somebody for a second factor from now on.
    async fn require_second_factor(&self, person: &Person);
    /// Puts somebody into these groups, and out of all others.
    async fn set_groups(&self, person: &Person, groups: &[&str]);
    /// Ends the sessions and refresh tokens of somebody.
    async fn end_sessions(&self, person: &Person);
    /// Makes somebody's account unusable.
    async fn remove(&self, person: &Person);
}

/// A relying party with the lab's client, which trusts whatever it is told.
pub struct RelyingParty {
    client: reqwest::Client,
    discovered: Value,
}

impl RelyingParty {
    /// Asks for the discovery document, which must name the issuer.
    pub async fn of(issuer: &str) -> Self {
        let client = plain_client();
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let discovered = json(client.get(url).send().await.unwrap()).await;
        assert_eq!(discovered["issuer"], issuer, "the discovery document");
        Self { client, discovered }
    }

    /// An endpoint's address.
    pub fn endpoint(&self, name: &str) -> &str {
        self.discovered[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.discovered))
    }

    /// A request to the token endpoint with the client's secret.
    pub async fn token(&self, form: &[(&str, &str)]) -> Response {
        let request = self.client.post(self.endpoint("token_endpoint")).basic_auth(CLIENT_ID, Some(CLIENT_SECRET));
        request.form(form).send().await.unwrap()
    }

    /// The password grant.
    pub async fn password(&self, person: &Person, password: &str, scope: &str) -> Response {
        self.token(&[("grant_type", "password"), ("username", person.name), ("password", password), ("scope", scope)]).await
    }

    /// The refresh grant.
    pub async fn refresh(&self, refresh_token: &str) -> Response {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// Gives a refresh token back with this secret (RFC 7009).
    pub async fn revoke(&self, refresh_token: &str, secret: &str) -> Response {
        let form = [("token", refresh_token), ("token_type_hint", "refresh_token")];
        self.client.post(self.endpoint("revocation_endpoint")).basic_auth(CLIENT_ID, Some(secret)).form(&form).send().await.unwrap()
    }

    /// What userinfo answers.
    pub async fn userinfo(&self, access_token: &str) -> Response {
        self.client.get(self.endpoint("userinfo_endpoint")).bearer_auth(access_token).send().await.unwrap()
    }

    /// Where to send a browser.
    pub fn authorization_url(&self, redirect_uri: &str, scope: &str, nonce: &str) -> String {
        let challenge = BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, VERIFIER.as_bytes()).as_ref());
        let mut url = Url::parse(self.endpoint("authorization_endpoint")).unwrap();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", redirect_uri),
            ("scope", scope),
            ("state", "a-state"),
            ("nonce", nonce),
            ("code_challenge_method", "S256"),
            ("code_challenge", &challenge),
        ]);
        url.into()
    }

    /// The tokens for the code that a callback brings.
    pub async fn exchange(&self, callback: &str, redirect_uri: &str) -> Response {
        let code = query(callback, "code").unwrap_or_else(|| panic!("no code in {callback}"));
        let grant = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", redirect_uri), ("code_verifier", VERIFIER)];
        self.token(&grant).await
    }

    /// Starts a device sign-in.
    pub async fn start_device(&self, scope: &str) -> Value {
        json(self.device_authorization(scope).await).await
    }

    /// The bare answer of the device authorization endpoint.
    pub async fn device_authorization(&self, scope: &str) -> Response {
        let form = [
            ("client_id", CLIENT_ID),
            // Dex overlooks a secret in the header here, and fails when the person has signed in.
            ("client_secret", CLIENT_SECRET),
            ("scope", scope),
            // Glewlwyd wants it, RFC 8628 does not know it, and nobody minds it.
            ("grant_type", "device_authorization"),
        ];
        self.client.post(self.endpoint("device_authorization_endpoint")).form(&form).send().await.unwrap()
    }

    /// Asks once for the tokens of a device sign-in.
    pub async fn poll_device(&self, started: &Value) -> Response {
        self.token(&[("grant_type", DEVICE_GRANT), ("device_code", started["device_code"].as_str().unwrap())]).await
    }
}

/// One that follows no redirects.
pub fn plain_client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// The body of a 200.
#[track_caller]
pub fn json(response: Response) -> impl Future<Output = Value> {
    let caller = std::panic::Location::caller();
    async move {
        let (status, url) = (response.status(), response.url().clone());
        let body = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{caller}: {url}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{caller}: {url}: {error}: {body}"))
    }
}

/// The claims of a token, unchecked.
pub fn claims(token: &Value) -> Value {
    let token = token.as_str().unwrap_or_else(|| panic!("no token: {token}"));
    let payload = token.split('.').nth(1).unwrap_or_else(|| panic!("no JWT: {token}"));
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

/// The `groups` claim, sorted.
pub fn groups(claims: &Value) -> Vec<&str> {
    let listed = claims["groups"].as_array().unwrap_or_else(|| panic!("no list of groups in {claims}"));
    let mut groups: Vec<&str> = listed.iter().map(|group| group.as_str().unwrap()).collect();
    groups.sort_unstable();
    groups
}

/// A parameter of an address.
pub fn query(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
