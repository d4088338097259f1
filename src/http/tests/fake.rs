//! A service that knows a few people by heart and records each question as a line.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};

use crate::authn::credentials::Credentials;
use crate::authn::oidc::CallbackAnswer;
use crate::clock::Timestamp;
use crate::http::{Bridge, Readiness, Reload};
use crate::issue::{
    BegunSignIn, Caller, Client, DeviceLogin, DevicePollRequest, DeviceRefusal, DeviceStartRequest, DeviceStarted, GrantType, Issued,
    LoginCode, Refusal, Returned, SessionProof, SignInOffer, SignInRefusal, SignInView, TokenRequest, Who, WhoRequest,
};
use crate::registry::ScopeRequest;

use super::login;

pub(super) const TOKEN: &str = "header.claims.signature";
pub(super) const IDENTITY_TOKEN: &str = "nrw_REFRESH-123";
pub(super) const ADVICE: &str = "password expired: change it at https://password.corp.example";

pub(super) struct Fake {
    pub(super) services: Vec<&'static str>,
    pub(super) proxies: Vec<&'static str>,
    pub(super) ready: bool,
    pub(super) asked: Mutex<Vec<String>>,
    pub(super) invalid: Mutex<Vec<&'static str>>,
    /// Where people can sign in.
    pub(super) offer: Option<SignInOffer>,
    /// What somebody who signed in is shown.
    pub(super) view: SignInView,
    pub(super) clients: Mutex<Vec<Client>>,
    pub(super) ids: Mutex<Vec<String>>,
    /// How long before it reached the service each token request was received.
    pub(super) ages: Mutex<Vec<Duration>>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            services: vec!["reg.test"],
            proxies: Vec::new(),
            ready: true,
            asked: Mutex::default(),
            invalid: Mutex::default(),
            offer: None,
            view: login::view(),
            clients: Mutex::default(),
            ids: Mutex::default(),
            ages: Mutex::default(),
        }
    }
}

impl Fake {
    fn record(&self, line: String, client: Client, id: &str) {
        self.asked.lock().unwrap().push(line);
        self.clients.lock().unwrap().push(client);
        self.ids.lock().unwrap().push(id.to_owned());
    }

    fn known(&self, service: Option<&str>) -> Result<(), Refusal> {
        match service {
            Some(service) if self.services.contains(&service) => Ok(()),
            Some(_) => Err(Refusal::UnknownService),
            None if self.services.len() == 1 => Ok(()),
            None => Err(Refusal::MissingService),
        }
    }

    async fn prove(&self, credentials: &Credentials, grant: GrantType, public: bool) -> Result<(), Refusal> {
        let retry_after = Duration::from_millis(2500);
        match credentials {
            Credentials::Anonymous if public => Ok(()),
            Credentials::Anonymous => Err(Refusal::AuthenticationRequired),
            Credentials::IdentityToken(token) if token.expose_secret() == IDENTITY_TOKEN => Ok(()),
            Credentials::IdentityToken(_) => Err(Refusal::LoginEnded),
            Credentials::Password { username, password } => match (username.as_str(), password.expose_secret()) {
                ("down", _) => Err(Refusal::Unavailable { retry_after }),
                ("flood", _) => Err(Refusal::Throttled { retry_after }),
                ("expired", _) => Err(Refusal::RejectedWithAdvice(ADVICE.into())),
                ("boom", _) => panic!("boom"),
                ("slow", _) => {
                    tokio::time::sleep(Duration::from_millis(150)).await;
                    Ok(())
                }
                (_, "good") => Ok(()),
                (_, _) => Err(Refusal::Rejected),
            },
            Credentials::Unusable(_) if grant == GrantType::RefreshToken => Err(Refusal::LoginEnded),
            Credentials::LoginCode { .. } | Credentials::WorkloadToken(_) | Credentials::Unusable(_) => Err(Refusal::Rejected),
        }
    }
}

impl Bridge for Fake {
    async fn issue(&self, request: TokenRequest) -> Result<Issued, Refusal> {
        let scope = shown(&request.scopes);
        let line = format!(
            "{} | {scope} | {} | {:?}{}",
            request.service.as_deref().unwrap_or("-"),
            proof(&request.credentials),
            request.grant,
            if request.offline { " offline" } else { "" }
        );
        self.record(line, request.client, &request.id);
        self.ages.lock().unwrap().push(request.received.elapsed());
        self.known(request.service.as_deref())?;
        self.prove(&request.credentials, request.grant, scope.starts_with("repository:public/")).await?;
        let refresh = request.offline || request.grant == GrantType::RefreshToken;
        Ok(Issued {
            token: SecretString::from(TOKEN),
            expires_in: 300,
            issued_at: Timestamp(1_700_000_000),
            scope,
            refresh_token: refresh.then(|| SecretString::from(IDENTITY_TOKEN)),
        })
    }

    async fn revoke(&self, caller: Caller, token: SecretString) -> Result<(), Refusal> {
        self.record(format!("revoke {}", token.expose_secret()), caller.client, &caller.id);
        if token.expose_secret() == "nrw_down" { Err(Refusal::Unavailable { retry_after: Duration::from_secs(5) }) } else { Ok(()) }
    }

    async fn start_device(&self, request: DeviceStartRequest) -> Result<DeviceStarted, DeviceRefusal> {
        let line = format!("start {} at {}", request.service.as_deref().unwrap_or("-"), request.provider.as_deref().unwrap_or("-"));
        self.record(line, request.client, &request.id);
        self.known(request.service.as_deref())?;
        let retry_after = Duration::from_millis(2500);
        match request.provider.as_deref() {
            None => Err(DeviceRefusal::SeveralProviders("sso, lab".into())),
            Some("other") => Err(DeviceRefusal::UnknownProvider("sso, lab".into())),
            Some("none") => Err(DeviceRefusal::NotOffered),
            Some("busy") => Err(Refusal::TooManyLogins { retry_after }.into()),
            Some("down") => Err(Refusal::Unavailable { retry_after }.into()),
            Some(provider) => Ok(DeviceStarted {
                flow: SecretString::from("FLOW"),
                provider: provider.to_owned(),
                verification_uri: "https://sso.test/device".parse().unwrap(),
                verification_uri_complete: (provider == "sso").then(|| "https://sso.test/device?user_code=AB".parse().unwrap()),
                user_code: "AB".to_owned(),
                expires_in: 600,
                interval: 5,
            }),
        }
    }

    async fn poll_device(&self, request: DevicePollRequest) -> Result<DeviceLogin, DeviceRefusal> {
        self.record(format!("poll {}", request.flow.expose_secret()), request.client, &request.id);
        match request.flow.expose_secret() {
            "done" => Ok(DeviceLogin {
                username: "alice".to_owned(),
                identity_token: SecretString::from(IDENTITY_TOKEN),
                service: "reg.test".to_owned(),
                expires_in: 604_800,
            }),
            "pending" => Err(DeviceRefusal::Pending { interval: 5 }),
            "fast" => Err(DeviceRefusal::SlowDown { interval: 10 }),
            "denied" => Err(DeviceRefusal::Denied),
            "late" => Err(DeviceRefusal::Expired),
            "down" => Err(Refusal::Unavailable { retry_after: Duration::from_millis(2500) }.into()),
            _ => Err(DeviceRefusal::UnknownFlow),
        }
    }

    async fn who(&self, request: WhoRequest) -> Result<Who, Refusal> {
        let scope = shown(&request.scopes);
        let line = format!("who {} | {scope} | {}", request.service.as_deref().unwrap_or("-"), proof(&request.credentials));
        self.record(line, request.client, &request.id);
        self.known(request.service.as_deref())?;
        self.prove(&request.credentials, GrantType::Basic, false).await?;
        Ok(Who { username: "alice".into(), realm: "corp".into(), groups: vec!["dev".into()], granted: vec![scope], stale: None })
    }

    fn services(&self) -> Vec<String> {
        self.services.iter().map(|&service| service.to_owned()).collect()
    }
    fn jwks(&self, service: &str) -> Option<serde_json::Value> {
        self.services.contains(&service).then(|| serde_json::json!({"keys": [{"kid": service}]}))
    }
    fn bundle(&self, service: &str) -> Option<String> {
        self.services.contains(&service).then(|| format!("-----BEGIN {service}"))
    }
    fn readiness(&self) -> Readiness {
        Readiness { ready: self.ready, details: serde_json::json!({"providers": [{"name": "staff"}]}) }
    }
    async fn reload(&self, accept: Option<String>) -> Option<Reload> {
        let accept = accept.unwrap_or_else(|| "-".to_owned());
        self.asked.lock().unwrap().push(format!("reload {accept}"));
        (accept != "nobody").then(|| Reload { loaded: accept != "wrong", report: serde_json::json!({"accept": accept}) })
    }
    fn metrics(&self) -> String {
        "narrows_generation 1\n".into()
    }
    fn trusted_proxies(&self) -> Arc<[IpNet]> {
        self.proxies.iter().map(|text| text.parse().unwrap()).collect()
    }
    fn sign_in_offer(&self) -> Option<SignInOffer> {
        self.offer.clone()
    }
    async fn begin_sign_in(&self, caller: Caller, provider: String, service: Option<String>) -> Result<BegunSignIn, SignInRefusal> {
        self.record(format!("begin {provider} {}", service.as_deref().unwrap_or("-")), caller.client, &caller.id);
        match provider.as_str() {
            "sso" => Ok(BegunSignIn { url: login::ISSUER.parse().unwrap(), browser: SecretString::from(login::BROWSER) }),
            "full" => Err(SignInRefusal::TooMany),
            "down" => Err(SignInRefusal::Unavailable { retry_after: Duration::from_millis(2500) }),
            _ => Err(SignInRefusal::UnknownProvider),
        }
    }
    async fn finish_sign_in(&self, caller: Caller, returned: Returned) -> Result<SecretString, SignInRefusal> {
        let text = |secret: &Option<SecretString>| secret.as_ref().map_or("-", |secret| secret.expose_secret()).to_owned();
        let came = match &returned.answer {
            CallbackAnswer::Code(callback) => {
                format!("{} from {}", callback.code.expose_secret(), callback.issuer.as_deref().unwrap_or("-"))
            }
            CallbackAnswer::Error(error) => format!("the error {}", error.as_str()),
        };
        let (state, browser, former) = (returned.state.expose_secret(), text(&returned.browser), text(&returned.former));
        self.record(format!("finish {} {state} {browser} {former}: {came}", returned.provider), caller.client, &caller.id);
        match (returned.answer, returned.browser) {
            (_, None) => Err(SignInRefusal::NotYours),
            (CallbackAnswer::Error(_), Some(_)) => Err(SignInRefusal::Denied),
            (CallbackAnswer::Code(_), Some(_)) if state != "state" => Err(SignInRefusal::Ended),
            (CallbackAnswer::Code(_), Some(_)) => Ok(SecretString::from(login::SESSION)),
        }
    }
    async fn signed_in(&self, caller: Caller, session: SecretString) -> Result<Option<SignInView>, SignInRefusal> {
        self.record("signed in?".to_owned(), caller.client, &caller.id);
        Ok((session.expose_secret() == login::SESSION).then(|| self.view.clone()))
    }
    async fn login_code(&self, caller: Caller, proof: SessionProof, service: String) -> Result<LoginCode, SignInRefusal> {
        self.record(format!("code for {service}"), caller.client, &caller.id);
        login::ordered(&proof)?;
        match service.as_str() {
            "again" => Err(SignInRefusal::CodeGiven),
            _ => Ok(LoginCode {
                code: SecretString::from(login::CODE),
                username: self.view.username.clone(),
                address: format!("{service}:5000"),
                service,
            }),
        }
    }
    async fn revoke_login(&self, caller: Caller, proof: SessionProof, id: String) -> Result<(), SignInRefusal> {
        self.record(format!("revoke login {id}"), caller.client, &caller.id);
        login::ordered(&proof)
    }
    async fn sign_out(&self, proof: SessionProof) -> Result<(), SignInRefusal> {
        self.asked.lock().unwrap().push("sign out".to_owned());
        login::ordered(&proof)
    }
    fn invalid(&self, id: &str, client: &Client, reason: &'static str) {
        self.invalid.lock().unwrap().push(reason);
        self.clients.lock().unwrap().push(*client);
        self.ids.lock().unwrap().push(id.to_owned());
    }
}

fn shown(scopes: &ScopeRequest) -> String {
    scopes.scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn proof(credentials: &Credentials) -> String {
    match credentials {
        Credentials::Anonymous => "anonymous".into(),
        Credentials::Password { username, password } => format!("{username}/{}", password.expose_secret()),
        Credentials::IdentityToken(token) => format!("identity {}", token.expose_secret()),
        Credentials::LoginCode { username, code } => format!("code {username}/{}", code.expose_secret()),
        Credentials::WorkloadToken(token) => format!("workload {}", token.expose_secret()),
        Credentials::Unusable(reason) => format!("unusable: {reason}"),
    }
}
