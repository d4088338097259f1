//! The groups of somebody who is in more than fit into one of Microsoft's tokens, as Microsoft Graph tells them.

use openidconnect::http::Method;
use openidconnect::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::claims::Claims;
use super::groups::is_guid;
use super::relying_party::bearer;
use super::remote::{Lane, Remote, Trouble};
use super::upstream;

/// The only host that is asked. The address that the token itself names may be another one's, and is never read.
pub(super) const HOST: &str = "https://graph.microsoft.com";

#[derive(Deserialize)]
struct Listed {
    value: Vec<String>,
    #[serde(rename = "@odata.nextLink", default)]
    next: Option<Value>,
}

/// The object id of the person, where the token says one, and of which tenant.
pub(super) fn person(id_token: &Claims) -> Option<String> {
    let guid = |claim: &str| id_token.get(claim).and_then(Value::as_str).filter(|text| is_guid(text));
    guid("tid")?;
    guid("oid").map(str::to_owned)
}

/// Every group and directory role of a person, also by way of other groups. The access token is of the person's tenant, so the
/// object id is as well.
pub(super) async fn groups(
    remote: &Remote,
    host: &Url,
    person: &str,
    access_token: &SecretString,
    deadline: Instant,
) -> Result<Vec<String>, Trouble> {
    let mut url = host.clone();
    url.set_path(&format!("/v1.0/users/{person}/getMemberObjects"));
    let mut request = upstream::get(&url)?;
    *request.method_mut() = Method::POST;
    *request.body_mut() = br#"{"securityEnabledOnly":false}"#.to_vec();
    request.headers_mut().insert(AUTHORIZATION, bearer(access_token)?);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let answer = remote.send(request, Lane::Main, deadline).await?;
    let listed: Listed = answer.json()?;
    if listed.next.is_some() {
        return Err(Trouble::new("graph", "the list goes on elsewhere"));
    }
    Ok(listed.value)
}
