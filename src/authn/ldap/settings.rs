//! `ldap` of a provider: the keys, their units and defaults. What they must satisfy stands in `check`.

mod check;
mod shapes;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use shapes::Server;
pub(super) use shapes::ServiceAccount;

use crate::source::{Located, OneOrMany, Period};

/// An LDAP directory. The defaults fit OpenLDAP with `inetOrgPerson` entries and the memberOf overlay.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LdapSettings {
    /// A name that fills every default for a kind of directory. Not available yet.
    #[serde(default)]
    pub preset: Option<Located<String>>,
    /// Where to ask: `ldaps://HOST[:PORT]`, or `ldap://HOST[:PORT]`, which means StartTLS.
    #[serde(default)]
    pub servers: Vec<Located<Server>>,
    /// DNS SRV records instead of `servers`.
    #[serde(default)]
    pub discovery: Option<Located<Discovery>>,
    /// Whether `ldap://` may stay without TLS, so that passwords travel readable. Default false.
    #[serde(default = "LdapSettings::default_allow_plaintext")]
    pub allow_plaintext: Located<bool>,
    /// How the server proves itself.
    #[serde(default)]
    pub tls: TlsSettings,
    /// Who searches: `{dn: …, password: {file: …}}`, `external` or `anonymous`.
    pub service_account: Located<ServiceAccount>,
    /// How a typed name becomes an entry.
    pub user: UserSettings,
    /// Where an entry's groups come from.
    #[serde(default)]
    pub groups: GroupSettings,
    /// What becomes of accounts that may log in with a reservation.
    #[serde(default)]
    pub accounts: AccountSettings,
    /// How long one step may take; the request's deadline ends every step earlier.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Connections that are kept, for each server.
    #[serde(default)]
    pub pool: PoolSettings,
}

impl LdapSettings {
    /// The certificates and secrets that it names, meant from `folder`.
    pub(in crate::authn) fn files(&self, folder: &Path) -> Vec<PathBuf> {
        let authority = self.tls.ca.as_ref().map(|ca| folder.join(&ca.file.value));
        let own = [&self.tls.certificate, &self.tls.key].into_iter().flatten().map(|path| folder.join(&path.value));
        let password = match &self.service_account.value {
            ServiceAccount::Simple { password, .. } => password.value.path(folder),
            ServiceAccount::External | ServiceAccount::Anonymous => None,
        };
        authority.into_iter().chain(own).chain(password).collect()
    }

    fn default_allow_plaintext() -> Located<bool> {
        Located::nowhere(false)
    }
}

/// `discovery`: servers by DNS SRV.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// The domain whose `_ldap._tcp` records name the servers. Only servers at or below it are asked, unless `tls.server_name`
    /// says what their certificates bear.
    pub domain: Located<String>,
}

/// `tls`: how the server proves itself.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "LdapTls")]
pub struct TlsSettings {
    /// The certificates to trust instead of the system's: `{file: ca.pem}`.
    pub ca: Option<CaSource>,
    /// The name that the server's certificate must bear. Default: the URL's host.
    pub server_name: Option<Located<String>>,
    /// A client certificate in PEM, with its chain.
    pub certificate: Option<Located<PathBuf>>,
    /// The client certificate's key in PEM.
    pub key: Option<Located<PathBuf>>,
    /// The oldest TLS version that is accepted: `"1.2"` or `"1.3"`. Default `"1.2"`.
    pub min_version: Option<Located<TlsVersion>>,
}

/// `tls.ca`: PEM certificates in a file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaSource {
    /// One or more certificates in PEM.
    pub file: Located<PathBuf>,
}

/// A TLS version.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 alone.
    #[serde(rename = "1.3")]
    Tls13,
}

impl JsonSchema for TlsVersion {
    fn schema_name() -> Cow<'static, str> {
        "TlsVersion".into()
    }
    // The reader takes the bare number too.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "A TLS version.", "enum": ["1.2", "1.3", 1.2, 1.3]})
    }
}

/// `user`: how a typed name becomes an entry.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserSettings {
    /// How the entry is found. Default `search`; `template` and `upn` are not available yet.
    #[serde(default = "UserSettings::default_bind")]
    pub bind: Located<BindMode>,
    /// The DN of `bind: template`. Not available yet.
    #[serde(default)]
    pub template: Option<Located<String>>,
    /// The suffix of `bind: upn`. Not available yet.
    #[serde(default)]
    pub upn_suffix: Option<Located<String>>,
    /// Where to search. An entry outside all of them is nobody.
    pub bases: OneOrMany,
    /// How deep to search below each base. Default `sub`.
    #[serde(default = "UserSettings::default_scope")]
    pub scope: Located<SearchScope>,
    /// Which entries are users; `{username}` stands for the typed name, escaped.
    /// Default `(&(objectClass=inetOrgPerson)(uid={username}))`.
    #[serde(default = "UserSettings::default_filter")]
    pub filter: Located<String>,
    /// The attribute with the canonical name. Default `uid`.
    #[serde(default = "UserSettings::default_username")]
    pub username: Located<String>,
    /// The attribute with an id that is never given to somebody else. Default `entryUUID`.
    #[serde(default = "UserSettings::default_id")]
    pub id: Located<String>,
}

impl UserSettings {
    fn default_bind() -> Located<BindMode> {
        Located::nowhere(BindMode::Search)
    }
    fn default_scope() -> Located<SearchScope> {
        Located::nowhere(SearchScope::Sub)
    }
    fn default_filter() -> Located<String> {
        Located::nowhere("(&(objectClass=inetOrgPerson)(uid={username}))".to_owned())
    }
    fn default_username() -> Located<String> {
        Located::nowhere("uid".to_owned())
    }
    fn default_id() -> Located<String> {
        Located::nowhere("entryUUID".to_owned())
    }
}

/// How a typed name becomes a DN to bind with.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BindMode {
    /// The service account searches for the entry.
    Search,
    /// The name is put into a DN. Not available yet.
    Template,
    /// The name gets a suffix. Not available yet.
    Upn,
}

/// How deep a search goes.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchScope {
    /// The base and everything below it.
    Sub,
    /// The base's direct children.
    One,
}

/// `groups`: where an entry's groups come from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupSettings {
    /// How they are found. Default `memberof`; `member_uid`, `in_chain` and `token_groups` are not available yet.
    pub strategy: Located<GroupStrategy>,
    /// Where groups live. `member` needs it; with `memberof` groups elsewhere do not count. Default: anywhere.
    pub bases: Option<OneOrMany>,
    /// Which entries below the bases are groups. Default: all that match.
    pub filter: Option<Located<String>>,
    /// The attribute with a group's name. Default `cn`.
    pub name: Located<String>,
    /// Groups of groups. Not available yet.
    pub nested: Option<Located<Nested>>,
    /// How old groups may be. Default 60s; they are read at every verification, so other values are not available yet.
    pub age: Located<Period>,
}

impl GroupSettings {
    /// The default of `age`.
    pub(crate) const AGE: Period = Period::seconds(60);
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            strategy: Located::nowhere(GroupStrategy::Memberof),
            bases: None,
            filter: None,
            name: Located::nowhere("cn".to_owned()),
            nested: None,
            age: Located::nowhere(Self::AGE),
        }
    }
}

/// How groups are found.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupStrategy {
    /// The entry's `memberOf` values.
    Memberof,
    /// Groups whose `member` is the entry's DN.
    Member,
    /// posixGroup's `memberUid`. Not available yet.
    MemberUid,
    /// Active Directory's matching rule. Not available yet.
    InChain,
    /// Active Directory's `tokenGroups`. Not available yet.
    TokenGroups,
    /// Nobody is in a group.
    None,
}

impl GroupStrategy {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memberof => "memberof",
            Self::Member => "member",
            Self::MemberUid => "member_uid",
            Self::InChain => "in_chain",
            Self::TokenGroups => "token_groups",
            Self::None => "none",
        }
    }
}

/// `groups.nested`: limits of following groups of groups. Not available yet.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nested {
    /// So many levels. Default 8. Not available yet.
    pub depth: u32,
    /// So many groups. Default 2000. Not available yet.
    pub count: u32,
}

impl Default for Nested {
    fn default() -> Self {
        Self { depth: 8, count: 2000 }
    }
}

/// `accounts`: what becomes of accounts that may log in with a reservation.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettings {
    /// The password must be changed first. Default `deny`; `allow` is not available yet.
    pub must_change: Located<AccountRule>,
    /// An expired password with logins left. Default `deny`; `allow` is not available yet.
    pub grace: Located<AccountRule>,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self { must_change: Located::nowhere(AccountRule::Deny), grace: Located::nowhere(AccountRule::Deny) }
    }
}

/// Whether an account with a reservation gets in.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountRule {
    /// It does not.
    Deny,
    /// It does. Not available yet.
    Allow,
}

/// `timeouts`: how long one step may take.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Name resolution and the TCP connection. Default 2s.
    pub connect: Located<Period>,
    /// StartTLS and the TLS handshake. Default 2s.
    pub tls: Located<Period>,
    /// One bind. Default 3s.
    pub bind: Located<Period>,
    /// One search. Default 3s.
    pub search: Located<Period>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Located::nowhere(Period::seconds(2)),
            tls: Located::nowhere(Period::seconds(2)),
            bind: Located::nowhere(Period::seconds(3)),
            search: Located::nowhere(Period::seconds(3)),
        }
    }
}

/// `pool`: connections that are kept.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolSettings {
    /// Connections of the service account: 1 to 16. Default 2.
    pub search: Located<u32>,
    /// Searches at a time on each of them: 1 to 512. Default 64.
    pub in_flight: Located<u32>,
    /// Connections that users are bound on: 1 to 256. Default 16.
    pub bind: Located<u32>,
    /// How old a connection may get: 10s to 1d. Default 10m.
    pub max_age: Located<Period>,
    /// After so many operations a connection is replaced: 10 to 10000000. Default 100000.
    pub max_operations: Located<u64>,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            search: Located::nowhere(2),
            in_flight: Located::nowhere(64),
            bind: Located::nowhere(16),
            max_age: Located::nowhere(Period::minutes(10)),
            max_operations: Located::nowhere(100_000),
        }
    }
}
