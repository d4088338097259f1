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

/// What the column `groups` keeps: the groups alone, which every version reads, or an object with what else is known.
#[derive(Deserialize)]
#[serde(untagged)]
enum Known {
    Groups(Vec<KeptGroup>),
    More {
        groups: Vec<KeptGroup>,
        #[serde(default)]
        claims: IdentityClaims,
        #[serde(default)]
        second_factor: KeptFactor,
    },
}

/// A second factor as it is kept.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeptFactor {
    #[default]
    Unknown,
    Absent,
    Used(i64),
}

/// Groups, claims, and what is known of a second factor at the login.
pub(super) fn known_text(identity: &Identity, second_factor: SecondFactor) -> String {
    let groups: Vec<_> = identity.groups.iter().map(|group| json!({"name": group.name, "dn": group.dn, "id": group.id})).collect();
    let factor = match second_factor {
        SecondFactor::Unknown if identity.claims.is_empty() => return json!(groups).to_string(),
        SecondFactor::Unknown => json!("unknown"),
        SecondFactor::Absent => json!("absent"),
        SecondFactor::Used(at) => json!({"used": at.0}),
    };
    json!({"groups": groups, "claims": identity.claims, "second_factor": factor}).to_string()
}

/// The identity as of the last look; none where a newer version wrote what this one cannot read.
pub(super) fn identity(row: &TokenRow) -> Option<Identity> {
    let kind = match row.kind.as_str() {
        PERSON => Kind::Person,
        WORKLOAD => Kind::Workload,
        _ => return None,
    };
    let (groups, claims, factor) = match serde_json::from_str(&row.groups).ok()? {
        Known::Groups(groups) => (groups, IdentityClaims::new(), KeptFactor::Unknown),
        Known::More { groups, claims, second_factor } => (groups, claims, second_factor),
    };
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
        claims,
        second_factor: match factor {
            KeptFactor::Unknown => SecondFactor::Unknown,
            KeptFactor::Absent => SecondFactor::Absent,
            KeptFactor::Used(at) => SecondFactor::Used(Timestamp(at)),
        },
    })
}
