//! People made up from the words of rules: for each way in which a rule names somebody, one who is just that.

mod budget;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) use budget::Budget;

use super::binding::Bindings;
use super::piece::{Piece, shown};
use super::policy::Policy;
use super::rule::{Conditions, GroupPattern, Rule, Who, Whose};
use crate::authn::identity::{Group, Identity, IdentityClaims, Kind, Method, SecondFactor};
use crate::clock::Timestamp;
use crate::source::Period;

/// What stands for a star, and for names that nobody says; hardly the name of anything.
const MADE_UP: &str = "xq7";

/// Somebody of whom nothing is known but what a rule says.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Persona {
    realm: Option<Arc<str>>,
    provider: Option<Arc<str>>,
    /// As the rule writes it, and filled in.
    user: Option<(String, String)>,
    groups: BTreeMap<String, Group>,
    claims: IdentityClaims,
    /// The shortest second factor that is asked for.
    pub(super) mfa: Option<Period>,
    /// Everybody who is logged in, and nothing more; anyone where this is false and nothing else is said.
    authenticated: bool,
    pub(super) anonymous: bool,
}

impl Persona {
    /// Without credentials.
    pub(super) fn anyone() -> Self {
        Self { anonymous: true, ..Self::default() }
    }
    /// Somebody who is logged in, of the rules' own realm.
    pub(super) fn authenticated() -> Self {
        Self { authenticated: true, ..Self::default() }
    }
    /// A person of this name.
    pub(super) fn user(name: &str) -> Self {
        Self { user: Some((name.to_owned(), name.to_owned())), ..Self::default() }
    }

    /// The same of another realm.
    pub(super) fn authenticated_in(realm: &Arc<str>) -> Self {
        Self { realm: Some(Arc::clone(realm)), ..Self::authenticated() }
    }

    /// Everybody whom a rule means, where its captures stand for these values; as many as the budget lets be made.
    pub(super) fn of_rule(rule: &Rule, captures: &Bindings, policy: &Policy, budget: &Budget) -> Vec<Self> {
        match &rule.to {
            Who::Anyone => vec![Self::anyone()],
            Who::Authenticated => vec![Self::authenticated()],
            Who::Any(choices) => choices.iter().flat_map(|choice| Self::of_choice(choice, captures, policy, budget)).collect(),
        }
    }

    /// Everybody for whom all of these maps hold.
    pub(super) fn of_choice(choice: &[Conditions], captures: &Bindings, policy: &Policy, budget: &Budget) -> Vec<Self> {
        let Some((first, others)) = choice.split_first() else { return vec![Self::default()] };
        others.iter().fold(Self::of_conditions(first, captures, policy, budget), |some, conditions| {
            let more = Self::of_conditions(conditions, captures, policy, budget);
            let pairs = some.iter().flat_map(|one| more.iter().map(move |other| (one, other)));
            pairs.take_while(|_| budget.spend(1)).filter_map(|(one, other)| one.and(other)).collect()
        })
    }

    fn of_conditions(conditions: &Conditions, captures: &Bindings, policy: &Policy, budget: &Budget) -> Vec<Self> {
        let base = Self { mfa: conditions.mfa, ..Self::default() };
        let mut some: Vec<Self> = match &conditions.whose {
            Whose::Home => vec![Self { realm: policy.home.clone(), ..base }],
            Whose::Named { realms, providers } => {
                let any = |names: &[Arc<str>]| -> Vec<Option<Arc<str>>> {
                    if names.is_empty() { vec![None] } else { names.iter().cloned().map(Some).collect() }
                };
                let providers = any(providers);
                let pairs =
                    any(realms).into_iter().flat_map(|realm| providers.iter().map(move |provider| (realm.clone(), provider.clone())));
                let pairs =
                    pairs.take_while(|_| budget.spend(1)).filter(|(realm, provider)| vouches(policy, realm.as_ref(), provider.as_ref()));
                pairs.map(|(realm, provider)| Self { realm, provider, ..base.clone() }).collect()
            }
        };
        for (claim, values) in &conditions.claims {
            some = times(&some, values, budget, |one, value| {
                one.claims.insert(claim.clone(), vec![value.clone()]);
            });
        }
        if !conditions.users.is_empty() {
            some = times(&some, &conditions.users, budget, |one, pieces| {
                one.user = Some((named(pieces, captures), filled(pieces, captures)));
            });
        }
        if !conditions.groups.is_empty() {
            let at_home = conditions.whose == Whose::Home;
            let groups = conditions.groups.iter().take_while(|_| budget.spend(1));
            let groups: Vec<BTreeMap<String, Group>> = groups.flat_map(|group| group_called(group, captures, at_home, policy)).collect();
            some = times(&some, &groups, budget, |one, groups| one.groups.clone_from(groups));
        }
        some
    }

    /// The same with each provider of people of its realm, where it has none.
    pub(super) fn by_provider(&self, policy: &Policy) -> Vec<Self> {
        if self.anonymous || self.provider.is_some() {
            return Vec::new();
        }
        let realms = &policy.environment.realms.0;
        let own = self.realm.as_ref().or(policy.home.as_ref());
        let realm = realms.iter().find(|realm| own.is_none_or(|own| realm.name == *own));
        let people = realm.into_iter().flat_map(|realm| realm.providers.iter().filter(|provider| !realm.workloads.contains(provider)));
        people.map(|provider| Self { provider: Some(Arc::clone(provider)), ..self.clone() }).collect()
    }

    /// Without the values of its claims, and those.
    pub(super) fn claims_apart(&self) -> (Self, Vec<(String, Vec<String>)>) {
        let claims = self.claims.iter().map(|(name, values)| (name.clone(), values.clone())).collect();
        let names = self.claims.keys().map(|name| (name.clone(), Vec::new())).collect();
        (Self { claims: names, ..self.clone() }, claims)
    }

    /// With these claims.
    pub(super) fn with_claims(&self, claims: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        Self { claims: claims.into_iter().collect(), ..self.clone() }
    }

    /// Somebody who is both; `None` where nobody can be.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        if self.anonymous || other.anonymous {
            return None;
        }
        let mut both = self.clone();
        let agreed = agree(self.realm.as_ref(), other.realm.as_ref())
            && agree(self.provider.as_ref(), other.provider.as_ref())
            && agree(self.user.as_ref(), other.user.as_ref());
        if !agreed {
            return None;
        }
        both.realm = self.realm.clone().or_else(|| other.realm.clone());
        both.provider = self.provider.clone().or_else(|| other.provider.clone());
        both.user = self.user.clone().or_else(|| other.user.clone());
        both.groups.extend(other.groups.clone());
        for (claim, values) in &other.claims {
            if both.claims.insert(claim.clone(), values.clone()).is_some_and(|before| before != *values) {
                return None;
            }
        }
        both.mfa = self.mfa.into_iter().chain(other.mfa).min();
        both.authenticated &= other.authenticated;
        Some(both)
    }

    /// The identity; `None` for a request without credentials.
    pub(super) fn identity(&self, policy: &Policy) -> Option<Identity> {
        if self.anonymous {
            return None;
        }
        let known = |name: &Arc<str>| policy.environment.realms.0.iter().find(|realm| realm.providers.contains(name));
        let vouching = self.provider.as_ref().and_then(known);
        let realm = self.realm.clone().or_else(|| vouching.map(|realm| Arc::clone(&realm.name))).or_else(|| policy.home.clone());
        let realm = realm.or_else(|| policy.environment.realms.0.first().map(|realm| Arc::clone(&realm.name))).unwrap_or_default();
        let first = policy.environment.realms.0.iter().find(|known| known.name == realm);
        let first =
            first.and_then(|known| known.providers.iter().find(|provider| !known.workloads.contains(provider)).or(known.providers.first()));
        let provider = self.provider.clone().or_else(|| first.cloned()).unwrap_or_else(|| Arc::clone(&realm));
        let workload = match vouching {
            Some(realm) => realm.workloads.contains(&provider),
            // Without a configuration it is one where claims say who it is.
            None => self.provider.is_some() && !self.claims.is_empty() && policy.environment.realms.0.is_empty(),
        };
        Some(Identity {
            realm: if self.realm.is_none() && vouching.is_none() && self.provider.is_some() { Arc::clone(&provider) } else { realm },
            provider,
            id: MADE_UP.to_owned(),
            username: self.user.as_ref().map_or_else(|| MADE_UP.to_owned(), |(_, name)| name.clone()),
            groups: self.groups.values().cloned().collect(),
            kind: if workload { Kind::Workload } else { Kind::Person },
            method: Method::Password,
            proven: Timestamp(0),
            marker: None,
            claims: self.claims.clone(),
            second_factor: SecondFactor::Unknown,
        })
    }

    /// What has to hold beside the name.
    pub(super) fn conditions(&self) -> Vec<String> {
        let claims = self.claims.iter().map(|(claim, values)| format!("{claim}={}", values.join(" or ")));
        claims.chain(self.mfa.map(|within| format!("a second factor of the last {within}"))).collect()
    }

    /// In words, names of other realms with the realm in front.
    pub(super) fn shown(&self, policy: &Policy) -> String {
        if self.anonymous {
            return "anyone".to_owned();
        }
        let realm = self.realm.as_ref().filter(|realm| Some(*realm) != policy.home.as_ref());
        let prefix = realm.map(|realm| format!("{realm}/")).unwrap_or_default();
        let mut parts = Vec::new();
        parts.extend(self.user.iter().map(|(name, _)| format!("user {prefix}{name}")));
        parts.extend(self.groups.keys().map(|name| format!("group {prefix}{name}")));
        parts.extend(self.provider.iter().map(|provider| format!("provider {provider}")));
        if parts.is_empty() {
            parts.push(match &self.realm {
                Some(realm) => format!("realm {realm}"),
                None => "authenticated".to_owned(),
            });
        }
        parts.join(" and ")
    }
}

/// Whether a provider may vouch for a realm; where there is no configuration any may.
fn vouches(policy: &Policy, realm: Option<&Arc<str>>, provider: Option<&Arc<str>>) -> bool {
    let (Some(realm), Some(provider)) = (realm, provider) else { return true };
    let known = policy.environment.realms.0.iter().find(|known| known.providers.contains(provider));
    known.is_none_or(|known| known.name == *realm)
}

/// Each of them with each of these.
fn times<T>(some: &[Persona], values: &[T], budget: &Budget, add: impl Fn(&mut Persona, &T)) -> Vec<Persona> {
    let pairs = some.iter().flat_map(|one| values.iter().map(move |value| (one, value))).take_while(|_| budget.spend(1));
    let with = |(one, value): (&Persona, &T)| {
        let mut both = one.clone();
        add(&mut both, value);
        both
    };
    pairs.map(with).collect()
}

/// Whether two that say something say the same.
fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
    one.is_none() || other.is_none() || one == other
}

fn group_called(group: &GroupPattern, captures: &Bindings, at_home: bool, policy: &Policy) -> Vec<BTreeMap<String, Group>> {
    match group {
        GroupPattern::Name(pieces) => {
            let (name, plain) = (named(pieces, captures), filled(pieces, captures));
            let originals = if at_home { policy.aliases.originals(&plain) } else { Vec::new() };
            if originals.is_empty() {
                return vec![BTreeMap::from([(name, Group::named(plain))])];
            }
            originals.into_iter().map(|original| BTreeMap::from([(name.clone(), original)])).collect()
        }
        GroupPattern::Dn(pattern) => {
            let dn = pattern.with(&|name| captures.get(name).map_or_else(|| name.to_string(), |value| value.as_str().to_owned()));
            let group = super::dn::group_of_dn(&dn);
            group.into_iter().map(|group| BTreeMap::from([(dn.clone(), group)])).collect()
        }
    }
}

/// As it is shown: captures by their values where they have some, stars as they are.
fn named(pieces: &[Piece], captures: &Bindings) -> String {
    let name = |piece: &Piece| match piece {
        Piece::Capture(name) => captures.get(name).map(|value| Piece::Text(value.as_str().into())),
        Piece::Text(_) | Piece::Star => None,
    };
    shown(&pieces.iter().map(|piece| name(piece).unwrap_or_else(|| piece.clone())).collect::<Vec<_>>())
}

/// With something in the place of stars and captures.
fn filled(pieces: &[Piece], captures: &Bindings) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.to_string(),
            Piece::Star => MADE_UP.to_owned(),
            Piece::Capture(name) => captures.get(name).map_or_else(|| MADE_UP.to_owned(), |value| value.as_str().to_owned()),
        })
        .collect()
}

/// Made-up values for captures, each as its own name.
pub(super) fn made_up(names: &BTreeSet<Arc<str>>) -> Bindings {
    names.iter().filter_map(|name| Some((Arc::clone(name), format!("{MADE_UP}-{name}").replace('_', "-").parse().ok()?))).collect()
}
