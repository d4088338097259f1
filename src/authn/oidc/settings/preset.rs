//! Kinds of issuers, and the keys with what the kind says where nothing is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClaimValue, ClaimsFrom, GroupSource, GroupTransform, OidcSettings};
use crate::authn::jwt::Algorithm;
use crate::source::{Located, OneOrMany};

/// A kind of issuer.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OidcPreset {
    /// Keycloak, whose client needs the mapper "Group Membership": `scopes` `openid`, `profile`, `offline_access`;
    /// `tokens.algorithms` `RS256`, `ES256`; `identity.username` `preferred_username`, `sub`; `identity.require` nothing; `groups.sources` `groups` of
    /// `id_token`; `groups.transform` `strip_leading: /`; `mfa.amr` `otp`, `hwk`, `mfa`.
    Keycloak,
    /// Microsoft Entra ID, whose groups are object ids: `scopes` `openid`, `profile`, `offline_access`; `tokens.algorithms`
    /// `RS256`; `identity.username` `oid`; `identity.require` nothing; `groups.sources` `groups` of `id_token`, `roles` of
    /// `id_token`; `groups.transform` nothing; `mfa.amr` `mfa`.
    Entra,
    /// Okta, whose application needs a groups claim: `scopes` `openid`, `profile`, `groups`, `offline_access`; `tokens.algorithms`
    /// `RS256`; `identity.username` `preferred_username`, `sub`; `identity.require` nothing; `groups.sources` `groups` of `id_token`;
    /// `groups.transform` nothing; `mfa.amr` `mfa`, `otp`, `hwk`.
    Okta,
    /// Google Workspace, which tells no groups: `scopes` `openid`, `profile`, `email`; `tokens.algorithms` `RS256`;
    /// `identity.username` `email`; `identity.require` `email_verified: true`; `groups.sources` nothing; `groups.transform`
    /// nothing; `mfa.amr` nothing.
    Google,
    /// GitLab as an issuer for people: `scopes` `openid`, `profile`; `tokens.algorithms` `RS256`; `identity.username`
    /// `preferred_username`, `nickname`; `identity.require` nothing; `groups.sources` `groups` of `userinfo`;
    /// `groups.transform` nothing; `mfa.amr` nothing.
    Gitlab,
    /// Dex: `scopes` `openid`, `profile`, `groups`, `offline_access`; `tokens.algorithms` `RS256`, `ES256`; `identity.username`
    /// `preferred_username`, `sub`; `identity.require` nothing; `groups.sources` `groups` of `id_token`; `groups.transform`
    /// nothing; `mfa.amr` nothing.
    Dex,
    /// authentik: `scopes` `openid`, `profile`, `offline_access`; `tokens.algorithms` `RS256`, `ES256`; `identity.username`
    /// `preferred_username`, `sub`; `identity.require` nothing; `groups.sources` `groups` of `id_token`; `groups.transform`
    /// nothing; `mfa.amr` `mfa`.
    Authentik,
    /// Any other issuer that keeps to the specification: `scopes` `openid`, `profile`; `tokens.algorithms` `RS256`, `ES256`;
    /// `identity.username` `preferred_username`, `sub`; `identity.require` nothing; `groups.sources` `groups` of `id_token`;
    /// `groups.transform` nothing; `mfa.amr` nothing.
    #[default]
    Generic,
}

/// What a kind of issuer says.
struct Values {
    scopes: &'static [&'static str],
    algorithms: &'static [Algorithm],
    username: &'static [&'static str],
    email_verified: bool,
    groups: &'static [(ClaimsFrom, &'static str)],
    strip_leading: Option<&'static str>,
    amr: &'static [&'static str],
}

/// What an issuer ends with a refresh token that is given back (RFC 7009 §2.1 leaves it to the issuer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::authn::oidc) enum Ends {
    /// That one.
    ItAlone,
    /// Every one of its session: sign-ins of one browser may share it.
    ItsSession,
    /// Perhaps every one of the person at this client.
    MaybeAll,
}

impl OidcPreset {
    /// What is known of this kind.
    pub(in crate::authn::oidc) const fn ends(self) -> Ends {
        match self {
            Self::Keycloak => Ends::ItsSession,
            Self::Okta | Self::Gitlab | Self::Authentik => Ends::ItAlone,
            // Google's ends all; Microsoft and Dex take none back; of another it is a setting (Auth0) or the browser's session.
            Self::Google | Self::Entra | Self::Dex | Self::Generic => Ends::MaybeAll,
        }
    }

    const fn values(self) -> Values {
        let generic = Values {
            scopes: &["openid", "profile"],
            algorithms: &[Algorithm::Rs256, Algorithm::Es256],
            username: &["preferred_username", "sub"],
            email_verified: false,
            groups: &[(ClaimsFrom::IdToken, "groups")],
            strip_leading: None,
            amr: &[],
        };
        match self {
            Self::Keycloak => Values {
                scopes: &["openid", "profile", "offline_access"],
                strip_leading: Some("/"),
                amr: &["otp", "hwk", "mfa"],
                ..generic
            },
            Self::Entra => Values {
                scopes: &["openid", "profile", "offline_access"],
                algorithms: &[Algorithm::Rs256],
                username: &["oid"],
                groups: &[(ClaimsFrom::IdToken, "groups"), (ClaimsFrom::IdToken, "roles")],
                amr: &["mfa"],
                ..generic
            },
            Self::Okta => Values {
                scopes: &["openid", "profile", "groups", "offline_access"],
                algorithms: &[Algorithm::Rs256],
                amr: &["mfa", "otp", "hwk"],
                ..generic
            },
            Self::Google => Values {
                scopes: &["openid", "profile", "email"],
                algorithms: &[Algorithm::Rs256],
                username: &["email"],
                email_verified: true,
                groups: &[],
                ..generic
            },
            Self::Gitlab => Values {
                algorithms: &[Algorithm::Rs256],
                username: &["preferred_username", "nickname"],
                groups: &[(ClaimsFrom::Userinfo, "groups")],
                ..generic
            },
            Self::Dex => Values { scopes: &["openid", "profile", "groups", "offline_access"], ..generic },
            Self::Authentik => Values { scopes: &["openid", "profile", "offline_access"], amr: &["mfa"], ..generic },
            Self::Generic => generic,
        }
    }
}

impl OidcSettings {
    /// Where the issuer is told to send groups.
    pub fn groups_hint(&self) -> String {
        let place = match self.kind() {
            OidcPreset::Keycloak => {
                let client = &self.client.id.value;
                return format!("at Keycloak: Client scopes → {client}-dedicated → mapper \"Group Membership\", with Add to ID token on");
            }
            OidcPreset::Entra => "at Entra: Token configuration → Add groups claim, or app roles and `claim: roles`",
            OidcPreset::Okta => "at Okta: the application's Sign On tab → Groups claim type *Filter*, with the name `groups`",
            OidcPreset::Google => "Google sends no groups: let rules name people, or put an issuer between that has groups",
            OidcPreset::Gitlab => "at GitLab userinfo alone holds all groups: `groups.sources` needs {from: userinfo, claim: groups}",
            OidcPreset::Dex => "at Dex: the connector has to read groups (`groupSearch` for LDAP), and `scopes` needs `groups`",
            OidcPreset::Authentik => "at authentik: the provider needs the scope mapping `profile`, and Include claims in id_token on",
            OidcPreset::Generic => "see which claims the issuer sends to this client, `scopes` and `groups.sources`",
        };
        place.to_owned()
    }

    /// The kind of issuer.
    pub fn kind(&self) -> OidcPreset {
        self.preset.as_ref().map_or_else(OidcPreset::default, |preset| preset.value)
    }

    /// The scopes that are asked for.
    pub fn asked_scopes(&self) -> Vec<String> {
        words(self.scopes.as_ref(), self.kind().values().scopes)
    }

    /// The signatures that are accepted; what is none was refused when the settings were checked.
    pub fn token_algorithms(&self) -> Vec<Algorithm> {
        match &self.tokens.algorithms {
            Some(written) => written.0.iter().filter_map(|name| name.value.parse().ok()).collect(),
            None => self.kind().values().algorithms.to_vec(),
        }
    }

    /// The claims that may hold the user name, in their order.
    pub fn username_claims(&self) -> Vec<String> {
        words(self.identity.username.as_ref(), self.kind().values().username)
    }

    /// What claims must say.
    pub fn required_claims(&self) -> BTreeMap<String, ClaimValue> {
        let email = || self.kind().values().email_verified.then(|| ("email_verified".to_owned(), ClaimValue::Truth(true)));
        self.identity.require.clone().unwrap_or_else(|| email().into_iter().collect())
    }

    /// Where groups are read.
    pub fn group_sources(&self) -> Vec<GroupSource> {
        let claimed =
            |&(from, claim): &(ClaimsFrom, &str)| GroupSource { from, claim: Some(Located::nowhere(claim.to_owned())), pointer: None };
        match &self.groups.sources {
            Some(written) => written.iter().map(|source| source.value.clone()).collect(),
            None => self.kind().values().groups.iter().map(claimed).collect(),
        }
    }

    /// What becomes of their names.
    pub fn group_transforms(&self) -> Vec<GroupTransform> {
        if let Some(written) = &self.groups.transform {
            return written.iter().map(|transform| transform.value.clone()).collect();
        }
        let strip = |text: &str| GroupTransform { strip_leading: Some(Located::nowhere(text.to_owned())), dn_to_cn: None };
        self.kind().values().strip_leading.map(strip).into_iter().collect()
    }

    /// The values of `amr` that stand for a second factor.
    pub fn second_factors(&self) -> Vec<String> {
        match &self.mfa.amr {
            Some(written) => written.iter().map(|word| word.value.clone()).collect(),
            None => self.kind().values().amr.iter().map(|&word| word.to_owned()).collect(),
        }
    }
}

fn words(written: Option<&OneOrMany>, default: &[&str]) -> Vec<String> {
    match written {
        Some(written) => written.0.iter().map(|word| word.value.clone()).collect(),
        None => default.iter().map(|&word| word.to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the schema says of a kind, the reference page says, and the code does, is one.
    #[test]
    fn every_kind_is_described_as_it_is() {
        let schema = serde_json::to_value(schemars::schema_for!(OidcPreset)).unwrap();
        let kinds = schema["oneOf"].as_array().unwrap();
        let page = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md")).unwrap();
        let list = |words: Vec<&str>| if words.is_empty() { "nothing".to_owned() } else { format!("`{}`", words.join("`, `")) };
        for kind in kinds {
            let preset: OidcPreset = serde_json::from_value(kind["const"].clone()).unwrap();
            let values = preset.values();
            let described = kind["description"].as_str().unwrap().replace('\n', " ");
            let said = [
                list(values.scopes.to_vec()),
                list(values.algorithms.iter().map(|algorithm| algorithm.as_str()).collect()),
                list(values.username.to_vec()),
                if values.email_verified { "`email_verified: true`".to_owned() } else { "nothing".to_owned() },
                {
                    let from = |from: &ClaimsFrom| serde_json::to_value(from).unwrap().as_str().unwrap().to_owned();
                    let sources = values.groups.iter().map(|(document, claim)| format!("`{claim}` of `{}`", from(document)));
                    let sources = sources.collect::<Vec<_>>().join(", ");
                    if sources.is_empty() { "nothing".to_owned() } else { sources }
                },
                values.strip_leading.map_or("nothing".to_owned(), |text| format!("`strip_leading: {text}`")),
                list(values.amr.to_vec()),
            ];
            let keys =
                ["scopes", "tokens.algorithms", "identity.username", "identity.require", "groups.sources", "groups.transform", "mfa.amr"];
            for (key, value) in keys.iter().zip(&said) {
                assert!(described.contains(&format!("`{key}` {value}")), "{described}\n{key} {value}");
            }
            let row = format!("| {} | {} |", kind["const"].as_str().unwrap(), said.join(" | "));
            assert!(page.contains(&row), "docs/reference.md lacks\n{row}");
        }
        assert_eq!(kinds.len(), 8);
    }
}
