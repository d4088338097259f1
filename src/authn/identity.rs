//! Who a provider vouches for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// One group, under every name that a rule may use for it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Group {
    /// The plain name (`cn`, a claim's value, a word of the users file).
    pub name: String,
    /// The distinguished name, where it comes from a directory.
    pub dn: Option<String>,
    /// The stable id (objectGUID, an Entra object id), where one is known.
    pub id: Option<String>,
}

impl Group {
    /// A group that is only a word.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), dn: None, id: None }
    }
}

/// Whether a person (or a robot of a users file) or a workload's token stands behind an identity.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Kind {
    /// People, and users of a file.
    Person,
    /// A pipeline that showed its own issuer's token. Matches no rule for `authenticated`.
    Workload,
}

/// How an identity was proven.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Method {
    /// The password, at the provider.
    Password,
    /// An identity token of ours, whose owner the provider confirmed again.
    IdentityToken,
    /// A workload's token.
    Workload,
    /// In a browser at the issuer, by the sign-in page.
    SignIn,
    /// In a browser at the issuer, for a device that has none (RFC 8628).
    Device,
}

/// Changes when the password changes (pwdChangedTime, pwdLastSet, a digest of the hash line). Opaque; compared only.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Hash, Serialize)]
pub struct PasswordMarker(pub String);

/// What an issuer says of somebody, by the claim's name. A list has several texts, numbers and truth values are texts as
/// JSON writes them; a claim that is missing here is not known.
pub type IdentityClaims = BTreeMap<String, Vec<String>>;

/// What is known of a second factor at the login.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum SecondFactor {
    /// The provider says nothing of it.
    #[default]
    Unknown,
    /// The provider says that there was none.
    Absent,
    /// There was one, at this time (`auth_time`, OpenID Connect Core §2).
    Used(Timestamp),
}

/// A person or machine as its provider knows it. (provider, id) is the identity; names may be reused by others later.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Hash, Serialize)]
pub struct Identity {
    /// Whose people these are.
    pub realm: Arc<str>,
    /// Which provider vouches.
    pub provider: Arc<str>,
    /// Never reused by the provider: entryUUID, objectGUID, the name in a file.
    pub id: String,
    /// The canonical name, in the provider's own spelling.
    pub username: String,
    /// Every group, whole: a set that could not be read whole is an outage instead.
    pub groups: Vec<Group>,
    /// Person or workload.
    pub kind: Kind,
    /// How it was proven.
    pub method: Method,
    /// When it was proven by password (an identity token keeps this of its login).
    pub proven: Timestamp,
    /// The password's marker, where the provider has one to read.
    pub marker: Option<PasswordMarker>,
    /// What else the provider says of it.
    pub claims: IdentityClaims,
    /// Whether a second factor was used at the login.
    pub second_factor: SecondFactor,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Nobody in particular.
    Anonymous,
    /// Somebody whom a provider vouches for.
    Identified(Arc<Identity>),
}
