//! An identity as a row keeps it, and back.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::birth::{Birth, Born};
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

/// How the token was made and where it was used last, as the column `groups` keeps it beside the rest. A version that does not
/// know it reads past it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Origin {
    #[serde(default)]
    born: Option<String>,
    #[serde(default)]
    made_from: Option<IpAddr>,
    /// The address of the last use.
    #[serde(default)]
    pub(super) used_from: Option<IpAddr>,
}

impl Origin {
    /// Of a token that is being made.
    pub(super) fn new(birth: &Birth) -> Self {
        Self { born: Some(birth.how.as_str().to_owned()), made_from: birth.source, used_from: birth.source }
    }

    /// What the row says; nothing where it is older than this.
    pub(super) fn of(row: &TokenRow) -> Self {
        // Of a list alone nothing is read.
        serde_json::from_str::<Value>(&row.groups)
            .ok()
            .filter(Value::is_object)
            .and_then(|kept| Self::deserialize(kept).ok())
            .unwrap_or_default()
    }

    /// How the token was made, where it is known.
    pub(super) fn birth(&self) -> Option<Birth> {
        let how = Born::of_word(self.born.as_deref()?)?;
        Some(Birth { how, source: self.made_from })
    }

    /// Whether somebody approved it for a device that they may not have in front of them. What only a newer version knows counts as
    /// that.
    pub(super) fn is_of_a_device(&self) -> bool {
        match self.born.as_deref().map(Born::of_word) {
            // A row that does not tell is of a time when there were passwords alone.
            None | Some(Some(Born::Password | Born::SignIn)) => false,
            Some(Some(Born::Device | Born::InBand) | None) => true,
        }
    }
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

/// Groups, claims, what is known of a second factor at the login, and how the token was made.
pub(super) fn known_text(identity: &Identity, second_factor: SecondFactor, origin: &Origin) -> String {
    let groups: Vec<_> = identity.groups.iter().map(|group| json!({"name": group.name, "dn": group.dn, "id": group.id})).collect();
    let factor = match second_factor {
        SecondFactor::Unknown => json!("unknown"),
        SecondFactor::Absent => json!("absent"),
        SecondFactor::Used(at) => json!({"used": at.0}),
    };
    let mut known = json!({"groups": groups, "claims": identity.claims, "second_factor": factor});
    if let Some(known) = known.as_object_mut() {
        let address = |address: Option<IpAddr>| address.map(|address| json!(address));
        let said = [
            ("born", origin.born.as_ref().map(|born| json!(born))),
            ("made_from", address(origin.made_from)),
            ("used_from", address(origin.used_from)),
        ];
        known.extend(said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    known.to_string()
}

/// The column with another address of the last use. What a newer version wrote beside it stays.
pub(super) fn used_from(column: &str, source: Option<IpAddr>) -> String {
    let mut known = match serde_json::from_str(column) {
        Ok(Value::Object(known)) => known,
        Ok(groups @ Value::Array(_)) => serde_json::Map::from_iter([("groups".to_owned(), groups)]),
        Ok(_) | Err(_) => return column.to_owned(),
    };
    match source {
        Some(source) => known.insert("used_from".to_owned(), json!(source)),
        None => known.remove("used_from"),
    };
    Value::Object(known).to_string()
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
