//! An identity as a row keeps it, and back.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use crate::authn::identity::{Group, Identity, IdentityClaims, Kind, Method, PasswordMarker, SecondFactor};
use crate::clock::Timestamp;
use crate::store::TokenRow;

pub(super) const PERSON: &str = "person";
const WORKLOAD: &str = "workload";
pub(super) const PROVIDER: &str = "provider";
pub(super) const IMPOSSIBLE: &str = "impossible";

/// A group as the column `groups` keeps it.
#[derive(Deserialize)]
struct KeptGroup {
    name: String,
    #[serde(default)]
    dn: Option<String>,
    #[serde(default)]
    id: Option<String>,
}

pub(super) fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Person => PERSON,
        Kind::Workload => WORKLOAD,
    }
}

pub(super) fn groups_text(groups: &[Group]) -> String {
    let groups: Vec<_> = groups.iter().map(|group| json!({"name": group.name, "dn": group.dn, "id": group.id})).collect();
    json!(groups).to_string()
}

/// The identity as of the last look; none where a newer version wrote what this one cannot read.
pub(super) fn identity(row: &TokenRow) -> Option<Identity> {
    let kind = match row.kind.as_str() {
        PERSON => Kind::Person,
        WORKLOAD => Kind::Workload,
        _ => return None,
    };
    let groups: Vec<KeptGroup> = serde_json::from_str(&row.groups).ok()?;
    Some(Identity {
        realm: Arc::from(row.realm.as_str()),
        provider: Arc::from(row.provider.as_str()),
        id: row.subject.clone(),
        username: row.username.clone(),
        groups: groups.into_iter().map(|KeptGroup { name, dn, id }| Group { name, dn, id }).collect(),
        kind,
        method: Method::IdentityToken,
        proven: Timestamp(row.proven),
        marker: row.marker.clone().map(PasswordMarker),
        claims: IdentityClaims::new(),
        second_factor: SecondFactor::Unknown,
    })
}
