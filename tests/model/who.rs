//! Whether a rule means who asks, and what its captures stand for then.

use std::collections::BTreeSet;

use super::model::{Model, Truth};
use super::part::Part;
use super::pattern::{Case, Values, is_component, splits, tokens};
use super::rules::{Asker, Choice, Dn, Factor, GroupName, HeldDn, Map, Membership, Original, REALMS, To};

/// One user and one group by which a rule means who asks.
#[derive(Clone, Debug)]
pub struct Way {
    pub truth: Truth,
    /// Every way to split their names; `None` where it is not known what the captures stand for.
    pub splits: Option<BTreeSet<Values>>,
    /// `{user}`
    pub user: Option<String>,
}

/// A group as rules see it.
struct Seen {
    name: String,
    dn: HeldDn,
}

impl Asker {
    fn ignores_case(&self) -> bool {
        REALMS.iter().any(|(name, ignore, ..)| *name == self.realm && *ignore)
    }
}

impl Model<'_> {
    fn case(&self, asker: &Asker) -> Case {
        let ignored = (asker.ignores_case() || self.without(Part::ExactCase)) && !self.without(Part::IgnoredCase);
        if ignored { Case::Ignored } else { Case::Exact }
    }

    /// Every way in which a rule is for who asks; none where it is known not to be.
    pub fn ways(&self, to: &To, asker: Option<&Asker>, at: i64) -> Vec<Way> {
        let way = || Way { truth: Truth::Yes, splits: Some([Values::new()].into()), user: self.user(asker, false) };
        match (to, asker) {
            (To::Anyone, _) => vec![way()],
            (To::Authenticated | To::Any(_), None) => {
                if self.without(Part::Anonymous) {
                    vec![way()]
                } else {
                    Vec::new()
                }
            }
            (To::Authenticated, Some(asker)) => {
                let meant = !asker.workload || self.without(Part::AuthenticatedWorkload);
                if meant { vec![way()] } else { Vec::new() }
            }
            (To::Any(choices), Some(asker)) => choices
                .iter()
                .flat_map(|choice| self.choice_ways(choice, asker, &Values::new(), self.user(Some(asker), false), at))
                .collect(),
        }
    }

    /// Every way in which all maps of a choice hold. `user` is what `{user}` stands for where they name nobody else's realm.
    pub fn choice_ways(&self, choice: &Choice, asker: &Asker, known: &Values, user: Option<String>, at: i64) -> Vec<Way> {
        let named = choice.all.iter().any(|map| !map.realm.is_empty() || !map.provider.is_empty());
        let user = if named { self.user(Some(asker), true) } else { user };
        let mut ways = vec![Way { truth: Truth::Yes, splits: Some([known.clone()].into()), user: user.clone() }];
        if self.without(Part::All) && !choice.all.is_empty() {
            return choice
                .all
                .iter()
                .flat_map(|map| self.map_ways(map, asker, known, at))
                .map(|way| Way { user: user.clone(), ..way })
                .collect();
        }
        for map in &choice.all {
            ways = both(&ways, &self.map_ways(map, asker, known, at));
        }
        ways
    }

    fn map_ways(&self, map: &Map, asker: &Asker, known: &Values, at: i64) -> Vec<Way> {
        let plain = map.provider.is_empty() && map.realm.is_empty();
        let provider = map.provider.is_empty() || map.provider.contains(&asker.provider) || self.without(Part::Provider);
        let realm = map.realm.is_empty() || map.realm.contains(&asker.realm) || self.without(Part::Realm);
        let at_home = !plain || asker.realm == self.book.realm || self.without(Part::HomeRealm);
        let workload = !asker.workload || map.provider.contains(&asker.provider) || self.without(Part::WorkloadProvider);
        let mut truth = Truth::from(provider && realm && at_home && workload).and(self.mfa(map, asker, at));
        for (claim, wanted) in &map.claims {
            truth = truth.and(self.claim(claim, wanted, asker));
        }
        if truth == Truth::No {
            return Vec::new();
        }
        let one = |truth, splits| Way { truth, splits, user: None };
        let anybody = || vec![one(Truth::Yes, Some([known.clone()].into()))];
        let users = map.user.iter().map(|pattern| one(Truth::Yes, Some(self.name_splits(pattern, &asker.user, asker, known))));
        let users = if map.user.is_empty() || self.without(Part::User) { anybody() } else { users.collect() };
        let seen = self.seen(asker);
        let pairs = map.group.iter().flat_map(|pattern| seen.iter().map(move |group| (pattern, group)));
        let groups = pairs.filter_map(|(pattern, group)| match (pattern, &group.dn) {
            (GroupName::Plain(pattern), _) => Some(one(Truth::Yes, Some(self.name_splits(pattern, &group.name, asker, known)))),
            (GroupName::Dn(_), HeldDn::None) => None,
            // It may be this group, and then nothing tells what its captures stand for.
            (GroupName::Dn(pattern), HeldDn::Garbage) => {
                let captures = pattern.iter().any(|(_, value)| value.contains('{'));
                let splits = if captures { None } else { Some([known.clone()].into()) };
                (!self.without(Part::UnreadableDn)).then(|| one(Truth::Unknown, splits))
            }
            (GroupName::Dn(pattern), HeldDn::Of(dn)) => Some(one(Truth::Yes, Some(self.dn_splits(pattern, dn, asker, known)))),
        });
        let groups = if map.group.is_empty() || self.without(Part::Group) { anybody() } else { groups.collect() };
        both(&both(&[one(truth, Some([known.clone()].into()))], &users), &groups)
    }

    /// Whether the second factor is one that a map asks for.
    pub fn mfa(&self, map: &Map, asker: &Asker, at: i64) -> Truth {
        match (map.within, asker.factor) {
            (None, _) => Truth::Yes,
            _ if self.without(Part::Mfa) => Truth::Yes,
            (Some(_), Factor::Absent) => Truth::No,
            (Some(_), Factor::Unknown) => {
                if self.without(Part::MissingFactor) {
                    Truth::No
                } else {
                    Truth::Unknown
                }
            }
            (Some(within), Factor::Used(when)) => Truth::from(at < when + within),
        }
    }

    fn claim(&self, claim: &str, wanted: &[&str], asker: &Asker) -> Truth {
        match asker.claims.iter().find(|(name, _)| *name == claim) {
            _ if self.without(Part::Claims) => Truth::Yes,
            None => {
                if self.without(Part::MissingClaim) {
                    Truth::No
                } else {
                    Truth::Unknown
                }
            }
            Some((_, values)) => Truth::from(values.iter().any(|value| wanted.contains(value))),
        }
    }

    fn value(&self, asker: &Asker, text: String) -> String {
        if asker.ignores_case() && !self.without(Part::LowerCase) { text.to_ascii_lowercase() } else { text }
    }

    /// What `{user}` stands for, if anything. `named`: a realm or provider is named, so that it need not be the file's.
    fn user(&self, asker: Option<&Asker>, named: bool) -> Option<String> {
        let asker = asker.filter(|asker| !asker.workload && !self.without(Part::UserCapture))?;
        let ours = named || asker.realm == self.book.realm || self.without(Part::ForeignUser);
        Some(self.value(asker, asker.user.clone())).filter(|name| ours && is_component(name))
    }

    fn name_splits(&self, pattern: &str, name: &str, asker: &Asker, known: &Values) -> BTreeSet<Values> {
        let name: Vec<char> = name.chars().collect();
        splits(&tokens(pattern), &name, self.case(asker), &|value| self.value(asker, value), known)
    }

    /// A DN is covered one part after the other, with the same values in all of them.
    fn dn_splits(&self, pattern: &Dn, dn: &[(&str, String)], asker: &Asker, known: &Values) -> BTreeSet<Values> {
        let mut all = BTreeSet::from([known.clone()]);
        if pattern.len() != dn.len() || self.without(Part::Dn) {
            return BTreeSet::new();
        }
        for ((kind, wanted), (other, found)) in pattern.iter().zip(dn) {
            let found: Vec<char> = found.chars().collect();
            let lay = |known: &Values| splits(&tokens(wanted), &found, Case::Ignored, &|value| self.value(asker, value), known);
            all = if kind == other { all.iter().flat_map(lay).collect() } else { BTreeSet::new() };
        }
        all
    }

    /// Groups under the names that rules use for them.
    fn seen(&self, asker: &Asker) -> Vec<Seen> {
        let same = |one: &str, other: &str| if asker.ignores_case() { one.eq_ignore_ascii_case(other) } else { one == other };
        let is = |original: &Original, group: &Membership| match (original, &group.dn) {
            (Original::Name(name), _) => same(name, &group.name),
            (Original::Id(id), _) => group.id.is_some_and(|other| id.eq_ignore_ascii_case(other)),
            (Original::Dn(wanted), HeldDn::Of(dn)) => !self.dn_splits(wanted, dn, asker, &Values::new()).is_empty(),
            (Original::Dn(_), HeldDn::None | HeldDn::Garbage) => false,
        };
        let at_home = asker.realm == self.book.realm || self.without(Part::AliasRealm);
        let mut seen = Vec::new();
        for group in &asker.groups {
            let stands_for = |(_, originals): &&(&str, Vec<Original>)| originals.iter().any(|original| is(original, group));
            let aliases: Vec<_> = self.book.aliases.iter().filter(|_| at_home && !self.without(Part::Rename)).filter(stands_for).collect();
            let called = at_home && !self.without(Part::Hide) && self.book.aliases.iter().any(|(alias, _)| same(alias, &group.name));
            seen.extend(aliases.iter().map(|(alias, _)| Seen { name: (*alias).to_owned(), dn: HeldDn::None }));
            if aliases.is_empty() && !called {
                seen.push(Seen { name: group.name.clone(), dn: group.dn.clone() });
            }
        }
        seen
    }
}

/// One of each, where there is one.
fn both(some: &[Way], others: &[Way]) -> Vec<Way> {
    let mut all = Vec::new();
    for (one, other) in some.iter().flat_map(|one| others.iter().map(move |other| (one, other))) {
        let splits = match (&one.splits, &other.splits) {
            (Some(some), Some(others)) => {
                let joined =
                    some.iter().flat_map(|left| others.iter().map(|right| left.clone().into_iter().chain(right.clone()).collect()));
                Some(joined.collect::<BTreeSet<Values>>())
            }
            (None, _) | (_, None) => None,
        };
        if splits.as_ref().is_none_or(|splits| !splits.is_empty()) {
            all.push(Way { truth: one.truth.and(other.truth), splits, user: one.user.clone() });
        }
    }
    all
}
