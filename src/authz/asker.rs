//! Who asks, as a command line or a policy test describes them, and the identity that this comes to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::environment::{Realm, Realms};
use crate::authn::identity::{Group, Identity, IdentityClaims, Kind, Method, SecondFactor};
use crate::clock::Timestamp;
use crate::source::{Period, PeriodError};

/// Somebody who asks. What is left out is found in the configuration, or is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// The canonical name, as the provider spells it. A workload may have none, and is called by its claim `sub` then.
    pub user: Option<String>,
    /// Every group.
    pub groups: Vec<Group>,
    /// The realm; default: the provider's, or the one that the rules mean.
    pub realm: Option<String>,
    /// The provider; default: the first of the realm that knows people.
    pub provider: Option<String>,
    /// What the provider says beside.
    pub claims: IdentityClaims,
    /// What is known of a second factor.
    pub mfa: Mfa,
}

/// What is known of a second factor, seen from the moment of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mfa {
    /// Nothing.
    #[default]
    Unknown,
    /// There was none.
    Absent,
    /// It was used so long ago.
    Ago(Period),
}

/// `none`, or how long before the request.
impl FromStr for Mfa {
    type Err = PeriodError;
    fn from_str(text: &str) -> Result<Self, PeriodError> {
        if text == "none" { Ok(Self::Absent) } else { text.parse().map(Self::Ago) }
    }
}

/// Why a description is nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskerError {
    /// The realm is not configured.
    #[error("the configuration has no realm `{name}`; it has {known}")]
    UnknownRealm {
        /// As it was written.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The provider is not configured.
    #[error("the configuration has no provider `{0}`")]
    UnknownProvider(String),
    /// The provider belongs to another realm.
    #[error("the realm `{realm}` has no provider `{provider}`; it has {known}")]
    ForeignProvider {
        /// The realm.
        realm: Arc<str>,
        /// As it was written.
        provider: String,
        /// Those of the realm.
        known: String,
    },
    /// Neither realm nor provider, and the rules mean none.
    #[error("it is open whose user this is; name the realm, one of {0}")]
    OpenRealm(String),
    /// A person without a name.
    #[error("a person has a name")]
    Nameless,
    /// Groups beside a provider of workloads.
    #[error("`{0}` knows workloads, which have no groups")]
    GroupsOfWorkload(Arc<str>),
}

/// Where somebody comes from.
struct Origin {
    realm: Arc<str>,
    provider: Arc<str>,
    kind: Kind,
}

impl Asker {
    /// The identity, seen at this moment. `home` is the realm that the rules mean. Without realms there is no
    /// configuration: any name is good, and a provider together with claims means a workload.
    pub fn identity(&self, home: Option<&Arc<str>>, realms: &Realms, now: Timestamp) -> Result<Identity, AskerError> {
        let Origin { realm, provider, kind } = if realms.0.is_empty() { self.anywhere(home) } else { self.origin(home, realms)? };
        let username = match (&self.user, kind) {
            (Some(user), _) => user.clone(),
            (None, Kind::Person) => return Err(AskerError::Nameless),
            (None, Kind::Workload) => self.claims.get("sub").and_then(|sub| sub.first()).cloned().unwrap_or_default(),
        };
        if kind == Kind::Workload && !self.groups.is_empty() {
            return Err(AskerError::GroupsOfWorkload(provider));
        }
        Ok(Identity {
            realm,
            provider,
            id: username.clone(),
            username,
            groups: self.groups.clone(),
            kind,
            method: match kind {
                Kind::Person => Method::Password,
                Kind::Workload => Method::Workload,
            },
            proven: now,
            marker: None,
            claims: self.claims.clone(),
            second_factor: match self.mfa {
                Mfa::Unknown => SecondFactor::Unknown,
                Mfa::Absent => SecondFactor::Absent,
                Mfa::Ago(period) => SecondFactor::Used(now.plus(i64::try_from(period.as_seconds()).map_or(i64::MIN, |seconds| -seconds))),
            },
        })
    }

    /// Without a configuration.
    fn anywhere(&self, home: Option<&Arc<str>>) -> Origin {
        let kind = if self.provider.is_some() && !self.claims.is_empty() { Kind::Workload } else { Kind::Person };
        let default = match kind {
            Kind::Person => home.map(AsRef::as_ref),
            // The realm of a provider is called like it, and workloads seldom share one with people.
            Kind::Workload => self.provider.as_deref(),
        };
        let realm = self.realm.as_deref().or(default).unwrap_or_default();
        Origin { realm: realm.into(), provider: self.provider.as_deref().unwrap_or(realm).into(), kind }
    }

    fn origin(&self, home: Option<&Arc<str>>, realms: &Realms) -> Result<Origin, AskerError> {
        let realm = self.realm_of(home, realms)?;
        let people = || realm.providers.iter().find(|provider| !realm.workloads.contains(provider));
        let found = match &self.provider {
            None => people().or(realm.providers.first()).unwrap_or(&realm.name),
            Some(name) => realm.providers.iter().find(|known| ***known == **name).ok_or_else(|| AskerError::ForeignProvider {
                realm: Arc::clone(&realm.name),
                provider: name.clone(),
                known: realm.providers.join(", "),
            })?,
        };
        let kind = if realm.workloads.contains(found) { Kind::Workload } else { Kind::Person };
        Ok(Origin { realm: Arc::clone(&realm.name), provider: Arc::clone(found), kind })
    }

    fn realm_of<'a>(&self, home: Option<&Arc<str>>, realms: &'a Realms) -> Result<&'a Realm, AskerError> {
        let known = || realms.0.iter().map(|realm| &*realm.name).collect::<Vec<_>>().join(", ");
        let called = |name: &str| {
            let found = realms.0.iter().find(|realm| *realm.name == *name);
            found.ok_or_else(|| AskerError::UnknownRealm { name: name.to_owned(), known: known() })
        };
        match (&self.realm, &self.provider, home) {
            (Some(name), _, _) => called(name),
            (None, Some(provider), _) => {
                let found = realms.0.iter().find(|realm| realm.providers.iter().any(|one| **one == **provider));
                found.ok_or_else(|| AskerError::UnknownProvider(provider.clone()))
            }
            (None, None, Some(home)) => called(home),
            (None, None, None) => Err(AskerError::OpenRealm(known())),
        }
    }
}

/// `alice, groups registry-payments and releasers, realm corp`.
impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.user.as_deref().unwrap_or("a workload"))?;
        let groups: Vec<&str> = self.groups.iter().map(|group| group.dn.as_deref().unwrap_or(&group.name)).collect();
        match groups.as_slice() {
            [] => {}
            [one] => write!(f, ", group {one}")?,
            many => write!(f, ", groups {}", many.join(" and "))?,
        }
        for (word, name) in [("realm", &self.realm), ("provider", &self.provider)] {
            if let Some(name) = name {
                write!(f, ", {word} {name}")?;
            }
        }
        for (claim, values) in &self.claims {
            write!(f, ", claim {claim}={}", values.join("|"))?;
        }
        match self.mfa {
            Mfa::Unknown => Ok(()),
            Mfa::Absent => f.write_str(", no second factor"),
            Mfa::Ago(period) => write!(f, ", second factor {period} ago"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::cases::example_realms;

    fn asker(realm: &str, provider: &str) -> Asker {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Asker { user: Some("u".to_owned()), realm: some(realm), provider: some(provider), ..Asker::default() }
    }

    fn shown(found: Result<Identity, AskerError>) -> String {
        match found {
            Ok(identity) => format!("{} {} {} {:?}", identity.username, identity.realm, identity.provider, identity.kind),
            Err(error) => error.to_string(),
        }
    }

    #[track_caller]
    fn check(realm: &str, provider: &str, expected: &str) {
        let found = asker(realm, provider).identity(Some(&"corp".into()), &example_realms(), Timestamp(0));
        assert_eq!(shown(found), expected, "{realm} {provider}");
    }

    #[test]
    fn the_configuration_says_whose_user_it_is() {
        check("", "", "u corp staff Person");
        check("", "sso", "u corp sso Person");
        check("robots", "", "u robots robots Person");
        check("", "github", "u github github Workload");
        check("github", "", "u github github Workload");
        check("lab", "", "the configuration has no realm `lab`; it has corp, robots, github");
        check("", "okta", "the configuration has no provider `okta`");
        check("corp", "robots", "the realm `corp` has no provider `robots`; it has staff, sso");
        let open = asker("", "").identity(None, &example_realms(), Timestamp(0));
        assert_eq!(shown(open), "it is open whose user this is; name the realm, one of corp, robots, github");
    }

    #[test]
    fn without_a_configuration_a_provider_with_claims_is_a_workload() {
        let alone = |asker: &Asker| shown(asker.identity(Some(&"corp".into()), &Realms::default(), Timestamp(0)));
        assert_eq!(alone(&asker("", "")), "u corp corp Person");
        assert_eq!(alone(&asker("", "sso")), "u corp sso Person");
        assert_eq!(alone(&asker("robots", "")), "u robots robots Person");
        let workload = Asker { claims: [("sub".to_owned(), vec!["repo:x".to_owned()])].into(), user: None, ..asker("", "github") };
        assert_eq!(alone(&workload), "repo:x github github Workload");
        assert_eq!(alone(&Asker { realm: Some("ci".to_owned()), ..workload.clone() }), "repo:x ci github Workload");
        let grouped = Asker { groups: vec![Group::named("g")], ..workload };
        assert_eq!(alone(&grouped), "`github` knows workloads, which have no groups");
        assert_eq!(alone(&Asker { user: None, ..asker("", "") }), "a person has a name");
        assert_eq!(shown(asker("", "").identity(None, &Realms::default(), Timestamp(0))), "u   Person");
    }

    #[test]
    fn a_second_factor_lies_before_the_request() {
        let factor = |mfa| Asker { mfa, ..asker("", "") }.identity(None, &Realms::default(), Timestamp(1000)).unwrap().second_factor;
        assert_eq!(factor(Mfa::Unknown), SecondFactor::Unknown);
        assert_eq!(factor(Mfa::Absent), SecondFactor::Absent);
        assert_eq!(factor(Mfa::Ago(Period::minutes(10))), SecondFactor::Used(Timestamp(400)));
    }

    #[test]
    fn an_asker_reads_as_a_line() {
        let full = Asker {
            groups: vec![Group::named("a"), Group { name: "b".to_owned(), dn: Some("CN=b".to_owned()), id: None }],
            claims: [("ref".to_owned(), vec!["main".to_owned(), "x".to_owned()])].into(),
            mfa: Mfa::Ago(Period::minutes(10)),
            ..asker("corp", "sso")
        };
        assert_eq!(full.to_string(), "u, groups a and CN=b, realm corp, provider sso, claim ref=main|x, second factor 10m ago");
        assert_eq!(
            Asker { mfa: Mfa::Absent, groups: vec![Group::named("a")], ..Asker::default() }.to_string(),
            "a workload, group a, no second factor"
        );
    }
}
