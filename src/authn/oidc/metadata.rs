//! What an issuer says about itself (`OpenID Connect` Discovery 1.0, RFC 8414, RFC 8628 §4, RFC 9207 §3).

use serde::Deserialize;
use url::Url;

use super::address;
use super::trouble::{Trouble, printable};

/// Where the document is, below the issuer.
const WELL_KNOWN: &str = ".well-known/openid-configuration";

/// The endpoints of an issuer, all of which may be asked.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    authorization: Url,
    token: Url,
    keys: Url,
    userinfo: Option<Url>,
    device_authorization: Option<Url>,
    revocation: Option<Url>,
    names_itself: bool,
    algorithms: Vec<String>,
    client_authentication: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    device_authorization_endpoint: Option<String>,
    #[serde(default)]
    revocation_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: Option<bool>,
    #[serde(default)]
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Metadata {
    /// Where an issuer's document is.
    pub(super) fn url(issuer: &str) -> Result<Url, url::ParseError> {
        Url::parse(&format!("{}/{WELL_KNOWN}", issuer.trim_end_matches('/')))
    }

    /// Reads the document of `issuer`, which must be about that issuer to the letter (Discovery 1.0 §4.3).
    pub(super) fn read(answer: &super::http::Answer, issuer: &str, url: &Url) -> Result<Self, Trouble> {
        let document: Document = answer.json()?;
        if document.issuer != issuer {
            let reason = format!(
                "it says that the issuer is `{}`, and `issuer` is `{issuer}`: they must be equal to the letter, a `/` at the end too",
                printable(&document.issuer)
            );
            return Err(Trouble::new("metadata", reason));
        }
        let needed = |name: &str, text: &str| {
            endpoint(text, url).map_err(|why| Trouble::new("metadata", format!("`{name}` is `{}`: {why}", printable(text))))
        };
        let offered = |name: &str, text: &Option<String>| {
            let text = text.as_deref()?;
            let read = endpoint(text, url);
            if let Err(why) = read {
                tracing::warn!(issuer, endpoint = name, why, "an endpoint of the issuer is not used");
            }
            read.ok()
        };
        Ok(Self {
            authorization: needed("authorization_endpoint", &document.authorization_endpoint)?,
            token: needed("token_endpoint", &document.token_endpoint)?,
            keys: needed("jwks_uri", &document.jwks_uri)?,
            userinfo: offered("userinfo_endpoint", &document.userinfo_endpoint),
            device_authorization: offered("device_authorization_endpoint", &document.device_authorization_endpoint),
            revocation: offered("revocation_endpoint", &document.revocation_endpoint),
            names_itself: document.authorization_response_iss_parameter_supported.unwrap_or(false),
            algorithms: document.id_token_signing_alg_values_supported.unwrap_or_default(),
            client_authentication: document.token_endpoint_auth_methods_supported.unwrap_or_default(),
        })
    }

    /// Where browsers are sent.
    pub(super) const fn authorization(&self) -> &Url {
        &self.authorization
    }
    /// Where codes, passwords and refresh tokens become tokens.
    pub(super) const fn token(&self) -> &Url {
        &self.token
    }
    /// Where the public keys are.
    pub(super) const fn keys(&self) -> &Url {
        &self.keys
    }
    /// Where an access token becomes claims.
    pub(super) const fn userinfo(&self) -> Option<&Url> {
        self.userinfo.as_ref()
    }
    /// Where device logins begin (RFC 8628).
    pub(super) const fn device_authorization(&self) -> Option<&Url> {
        self.device_authorization.as_ref()
    }
    /// Where tokens are ended that nobody needs any more (RFC 7009).
    pub(super) const fn revocation(&self) -> Option<&Url> {
        self.revocation.as_ref()
    }
    /// Whether every answer to a browser names the issuer in `iss` (RFC 9207): one without it is not this issuer's.
    pub(super) const fn names_itself(&self) -> bool {
        self.names_itself
    }
    /// `id_token_signing_alg_values_supported`.
    pub(super) fn algorithms(&self) -> &[String] {
        &self.algorithms
    }
    /// `token_endpoint_auth_methods_supported`; empty where it says nothing.
    pub(super) fn client_authentication(&self) -> &[String] {
        &self.client_authentication
    }
}

fn endpoint(text: &str, issuer: &Url) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it is no URL")?;
    address::check(&url, issuer)?;
    if url.fragment().is_some() { Err("it has a fragment") } else { Ok(url) }
}
