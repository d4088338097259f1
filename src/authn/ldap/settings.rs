//! `ldap` of a provider: the keys, their units and defaults. What they must satisfy stands in `check`.

mod check;
mod preset;
mod shapes;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use preset::Preset;
pub(super) use preset::{GroupKeys, UserKeys};
use shapes::Server;
pub(super) use shapes::ServiceAccount;

use crate::source::{Located, OneOrMany, Period};

/// An LDAP directory. Without a preset the defaults are those of `openldap`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LdapSettings {
    /// The kind of directory: fills every default of `user` and `groups`. Default `openldap`.
    #[serde(default)]
    pub preset: Option<Located<Preset>>,
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
    /// How a password is proven. Default `search`.
    #[serde(default = "UserSettings::default_bind")]
    pub bind: Located<BindMode>,
    /// The DN of `bind: template`; `{username}` stands for the typed name, escaped, as in
    /// `uid={username},ou=people,dc=corp,dc=example`.
    #[serde(default)]
    pub template: Option<Located<String>>,
    /// What follows the `@` with `bind: upn`, as in `corp.example`.
    #[serde(default)]
    pub upn_suffix: Option<Located<String>>,
    /// What is cut off a typed name: `CORP\` in front of it, `@corp.example` behind it. Compared without regard to case.
    /// Default: nothing.
    #[serde(default)]
    pub strip: Option<OneOrMany>,
    /// Where to search. An entry outside all of them is nobody.
    pub bases: OneOrMany,
    /// How deep to search below each base. Default `sub`.
    #[serde(default = "UserSettings::default_scope")]
    pub scope: Located<SearchScope>,
    /// Which entries are users; `{username}` stands for the typed name, escaped. Default: the preset's.
    #[serde(default)]
    pub filter: Option<Located<String>>,
    /// The attribute with the canonical name. Default: the preset's.
    #[serde(default)]
    pub username: Option<Located<String>>,
    /// The attribute with an id that is never given to somebody else. Default: the preset's.
    #[serde(default)]
    pub id: Option<Located<String>>,
}

impl UserSettings {
    fn default_bind() -> Located<BindMode> {
        Located::nowhere(BindMode::Search)
    }
    fn default_scope() -> Located<SearchScope> {
        Located::nowhere(SearchScope::Sub)
    }
}

/// How a password is proven.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BindMode {
    /// The service account searches for the entry, which is then bound.
    Search,
    /// The name is put into a DN, which is bound; then the entry is read. Cannot tell an unknown name from a wrong password.
    Template,
    /// The name gets a suffix and is bound as Active Directory's user principal name; then its entry is searched. Cannot tell
    /// an unknown name from a wrong password.
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
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupSettings {
    /// How they are found. Default: the preset's.
    pub strategy: Option<Located<GroupStrategy>>,
    /// Where groups live; groups elsewhere do not count. Only `memberof` and `none` go without. Default:
    /// anywhere.
    pub bases: Option<OneOrMany>,
    /// The attribute of a group that names its members, for `strategy: member`. Default `member`.
    pub member: Option<Located<String>>,
    /// Which entries below the bases are groups. Default: the preset's.
    pub filter: Option<Located<String>>,
    /// The attribute with a group's name; `dn` is its whole DN. Default: the preset's.
    pub name: Option<Located<String>>,
    /// How far groups of groups are followed.
    pub nested: Option<Located<NestedSettings>>,
    /// How long the groups of somebody are used before they are read again; a login that an identity token is made of and a
    /// re-check read them always. Default 60s; 0s reads them each time.
    pub age: Option<Located<Period>>,
}

/// How groups are found.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupStrategy {
    /// The entry's `memberOf` values, and theirs.
    Memberof,
    /// Groups that name the entry, and groups that name them.
    Member,
    /// Groups whose `memberUid` is the entry's `uid`, and the one of its `gidNumber`.
    MemberUid,
    /// Active Directory's matching rule for chains, and the primary group.
    InChain,
    /// Active Directory's `tokenGroups`: security groups at any depth, and the primary group.
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

/// `groups.nested`: how far groups of groups are followed. Running over a limit is an outage, never fewer groups.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NestedSettings {
    /// So many levels of groups of groups, with `memberof` and `member`; 0 leaves it at an entry's own. Default
    /// 8, and with `memberof` the preset's.
    pub depth: Option<u32>,
    /// At most so many groups of one entry, with every strategy. Default 2000.
    pub count: Option<u32>,
}

/// `accounts`: what becomes of accounts that may log in with a reservation.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettings {
    /// The password must be changed first. Default `deny`. Active Directory refuses such a login by itself.
    pub must_change: Located<AccountRule>,
    /// An expired password with some logins left, of which every bind uses up one. Default `deny`.
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
    /// It does.
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
    /// After so many operations a connection is replaced: 1 to 10000000. Default 100000.
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
