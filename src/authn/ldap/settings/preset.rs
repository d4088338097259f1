//! Kinds of directories, and the keys with what the kind says where nothing is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BindMode, GroupStrategy, LdapSettings, SearchScope};
use crate::source::{Located, OneOrMany, Period};

/// A kind of directory.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum Preset {
    /// Active Directory: `user.filter` `(&(objectCategory=person)(objectClass=user)(sAMAccountName={username}))`,
    /// `user.username` `sAMAccountName`, `user.id` `objectGUID`; `groups.strategy` `token_groups`, `groups.filter`
    /// `(objectClass=group)`, `groups.name` `sAMAccountName`, `groups.nested.depth` 8.
    #[serde(rename = "active_directory")]
    ActiveDirectory,
    /// OpenLDAP with the memberOf overlay: `user.filter` `(&(objectClass=inetOrgPerson)(uid={username}))`, `user.username`
    /// `uid`, `user.id` `entryUUID`; `groups.strategy` `memberof`, no `groups.filter`, `groups.name` `cn`,
    /// `groups.nested.depth` 8.
    #[default]
    #[serde(rename = "openldap")]
    Openldap,
    /// Unix accounts and groups with `memberUid`: `user.filter` `(&(objectClass=posixAccount)(uid={username}))`,
    /// `user.username` `uid`, `user.id` `entryUUID`; `groups.strategy` `member_uid`, `groups.filter`
    /// `(objectClass=posixGroup)`, `groups.name` `cn`, `groups.nested.depth` 8.
    #[serde(rename = "rfc2307")]
    Rfc2307,
    /// Unix accounts and groups with `member`: `user.filter` `(&(objectClass=posixAccount)(uid={username}))`,
    /// `user.username` `uid`, `user.id` `entryUUID`; `groups.strategy` `member`, no `groups.filter`, `groups.name` `cn`,
    /// `groups.nested.depth` 8.
    #[serde(rename = "rfc2307bis")]
    Rfc2307bis,
    /// 389 Directory Server with the `MemberOf` plugin, which writes groups of groups too: `user.filter`
    /// `(&(objectClass=person)(uid={username}))`, `user.username` `uid`, `user.id` `nsUniqueId`; `groups.strategy`
    /// `memberof`, no `groups.filter`, `groups.name` `cn`, `groups.nested.depth` 0.
    #[serde(rename = "389ds")]
    Ds389,
    /// `FreeIPA`: `user.filter` `(&(objectClass=posixAccount)(uid={username}))`, `user.username` `uid`, `user.id`
    /// `ipaUniqueID`; `groups.strategy` `memberof`, no `groups.filter`, `groups.name` `cn`, `groups.nested.depth` 0. Looks at
    /// `krbPasswordExpiration` and `krbPrincipalExpiration` too.
    #[serde(rename = "freeipa")]
    Freeipa,
}

/// Levels of groups of groups, unless the directory follows them.
const DEPTH: u32 = 8;

/// What a kind of directory says.
struct Values {
    filter: &'static str,
    username: &'static str,
    id: &'static str,
    strategy: GroupStrategy,
    group_filter: Option<&'static str>,
    group_name: &'static str,
    depth: u32,
}

impl Preset {
    /// The attribute that finds an entry by its DN and has an index, where there is such a one.
    pub(in crate::authn::ldap) const fn dn_attribute(self) -> Option<&'static str> {
        match self {
            Self::ActiveDirectory => Some("distinguishedName"),
            Self::Openldap | Self::Rfc2307 | Self::Rfc2307bis => Some("entryDN"),
            Self::Ds389 | Self::Freeipa => None,
        }
    }

    const fn values(self) -> Values {
        let unix = Values {
            filter: "(&(objectClass=posixAccount)(uid={username}))",
            username: "uid",
            id: "entryUUID",
            strategy: GroupStrategy::Member,
            group_filter: None,
            group_name: "cn",
            depth: DEPTH,
        };
        match self {
            Self::ActiveDirectory => Values {
                filter: "(&(objectCategory=person)(objectClass=user)(sAMAccountName={username}))",
                username: "sAMAccountName",
                id: "objectGUID",
                strategy: GroupStrategy::TokenGroups,
                group_filter: Some("(objectClass=group)"),
                group_name: "sAMAccountName",
                ..unix
            },
            Self::Openldap => {
                Values { filter: "(&(objectClass=inetOrgPerson)(uid={username}))", strategy: GroupStrategy::Memberof, ..unix }
            }
            Self::Rfc2307 => Values { strategy: GroupStrategy::MemberUid, group_filter: Some("(objectClass=posixGroup)"), ..unix },
            Self::Rfc2307bis => unix,
            Self::Ds389 => Values {
                filter: "(&(objectClass=person)(uid={username}))",
                id: "nsUniqueId",
                strategy: GroupStrategy::Memberof,
                depth: 0,
                ..unix
            },
            Self::Freeipa => Values { id: "ipaUniqueID", strategy: GroupStrategy::Memberof, depth: 0, ..unix },
        }
    }
}

/// `user`, whole.
#[derive(Clone, Debug)]
pub struct UserKeys {
    /// How a password is proven.
    pub bind: Located<BindMode>,
    /// The DN of `bind: template`.
    pub template: Option<Located<String>>,
    /// What follows the `@` with `bind: upn`.
    pub upn_suffix: Option<Located<String>>,
    /// What is cut off a typed name.
    pub strip: Vec<Located<String>>,
    /// Where to search.
    pub bases: OneOrMany,
    /// How deep.
    pub scope: Located<SearchScope>,
    /// Which entries are users.
    pub filter: Located<String>,
    /// The attribute with the canonical name.
    pub username: Located<String>,
    /// The attribute with the stable id.
    pub id: Located<String>,
}

/// `groups`, whole.
#[derive(Clone, Debug)]
pub struct GroupKeys {
    /// How they are found.
    pub strategy: Located<GroupStrategy>,
    /// Where they live.
    pub bases: Option<OneOrMany>,
    /// The attribute that names members.
    pub member: Located<String>,
    /// Which entries are groups.
    pub filter: Option<Located<String>>,
    /// The attribute with a group's name.
    pub name: Located<String>,
    /// Levels of groups of groups.
    pub depth: u32,
    /// Groups of one entry.
    pub count: u32,
    /// How long they are used.
    pub age: Located<Period>,
}

impl LdapSettings {
    /// The kind of directory.
    pub fn kind(&self) -> Preset {
        self.preset.as_ref().map_or_else(Preset::default, |preset| preset.value)
    }

    /// `user` with what the kind of directory says where nothing is written.
    pub fn user_keys(&self) -> UserKeys {
        let (written, values) = (&self.user, self.kind().values());
        UserKeys {
            bind: written.bind.clone(),
            template: written.template.clone(),
            upn_suffix: written.upn_suffix.clone(),
            strip: written.strip.iter().flat_map(|strip| &strip.0).cloned().collect(),
            bases: written.bases.clone(),
            scope: written.scope.clone(),
            filter: or_text(written.filter.as_ref(), values.filter),
            username: or_text(written.username.as_ref(), values.username),
            id: or_text(written.id.as_ref(), values.id),
        }
    }

    /// `groups` with what the kind of directory says where nothing is written.
    pub fn group_keys(&self) -> GroupKeys {
        let (written, values) = (&self.groups, self.kind().values());
        let nested = written.nested.as_ref().map(|nested| nested.value).unwrap_or_default();
        let strategy = written.strategy.clone().unwrap_or(Located::nowhere(values.strategy));
        // Only `memberOf` may hold groups of groups by itself.
        let depth = if strategy.value == GroupStrategy::Memberof { values.depth } else { DEPTH };
        // A user's `gidNumber` is the same word as a group's.
        let of_strategy = (strategy.value == GroupStrategy::MemberUid).then_some("(objectClass=posixGroup)");
        let filter = values.group_filter.or(of_strategy).map(|filter| Located::nowhere(filter.to_owned()));
        GroupKeys {
            strategy,
            bases: written.bases.clone(),
            member: or_text(written.member.as_ref(), "member"),
            filter: written.filter.clone().or(filter),
            name: or_text(written.name.as_ref(), values.group_name),
            depth: nested.depth.unwrap_or(depth),
            count: nested.count.unwrap_or(2000),
            age: written.age.clone().unwrap_or(Located::nowhere(Period::seconds(60))),
        }
    }
}

fn or_text(written: Option<&Located<String>>, default: &str) -> Located<String> {
    written.cloned().unwrap_or_else(|| Located::nowhere(default.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the schema says of a kind, the reference page says, and the code does, is one.
    #[test]
    fn every_kind_is_described_as_it_is() {
        let schema = serde_json::to_value(schemars::schema_for!(Preset)).unwrap();
        let kinds = schema["oneOf"].as_array().unwrap();
        let page = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md")).unwrap();
        for kind in kinds {
            let preset: Preset = serde_json::from_value(kind["const"].clone()).unwrap();
            let values = preset.values();
            let described = kind["description"].as_str().unwrap().replace('\n', " ");
            let group_filter = values.group_filter.map_or("no `groups.filter`".to_owned(), |filter| format!("`groups.filter` `{filter}`"));
            let expected = format!(
                "`user.filter` `{}`, `user.username` `{}`, `user.id` `{}`; `groups.strategy` `{}`, {group_filter}, `groups.name` `{}`, \
                 `groups.nested.depth` {}.",
                values.filter,
                values.username,
                values.id,
                values.strategy.as_str(),
                values.group_name,
                values.depth,
            );
            assert!(described.contains(&expected), "{described}\n{expected}");
            let row = format!(
                "| {} | `{}` | `{}` | `{}` | `{}` | {} | `{}` | {} |",
                kind["const"].as_str().unwrap(),
                values.filter,
                values.username,
                values.id,
                values.strategy.as_str(),
                values.group_filter.map_or("none".to_owned(), |filter| format!("`{filter}`")),
                values.group_name,
                values.depth,
            );
            assert!(page.contains(&row), "docs/reference.md lacks\n{row}");
        }
        assert_eq!(kinds.len(), 6);
    }
}
