//! Who asks, for what, from where and when.

use narrows::registry::{Action, ActionSet, Resource, ResourceScope};

use super::shapes::{CLAIMS, DNS, GROUPS, NAMES, USERS, held};
use super::{PERIODS, services, times};
use crate::dice::Dice;
use crate::model::{AHEAD, Model};
use crate::pattern::{Token, tokens};
use crate::rules::{Asker, Circumstances, Factor, GroupName, HeldDn, Membership, REALMS, Rule, Rulebook};

const SOURCES: [&str; 6] = ["10.0.0.5", "10.1.0.5", "192.0.2.1", "198.51.100.7", "2001:db8::7", "::1"];
const DELTAS: [i64; 10] = [0, -59, -60, -58, -61, -1, 1, -3600, 3600, -7200];

/// What captures and stars stand for.
const VALUES: [&str; 7] = ["a", "b", "ab", "a-b", "B", "users", "owner"];

/// Somebody, often one whom a rule means. `None` is a request without credentials.
pub fn asker(dice: &mut Dice<'_>, book: &Rulebook, now: i64) -> Option<Asker> {
    if dice.chance(6) {
        return None;
    }
    let (realm, _, providers, _) = *dice.one(&[REALMS[0], REALMS[0], REALMS[1], REALMS[1], REALMS[2]]);
    let provider = *dice.one(providers);
    let user = (*dice.one(&USERS)).to_owned();
    let groups = (0..dice.below(4)).map(|_| membership(dice)).collect();
    let mut claims = Vec::new();
    for (name, values) in CLAIMS {
        if dice.chance(65) {
            let values = dice.some(values);
            claims.push((name, if dice.chance(8) { Vec::new() } else { values }));
        }
    }
    let factor = match dice.below(6) {
        0 => Factor::Unknown,
        1 => Factor::Absent,
        _ => Factor::Used(now + AHEAD - *dice.one(&PERIODS) + *dice.one(&[0, 1, -1, 1800, 40_000, 2])),
    };
    let mut asker = Asker { realm, provider, workload: false, user, groups, claims, factor };
    for _ in 0..dice.below(4) {
        meet(dice, book, &mut asker);
    }
    asker.workload = workloads_of(asker.provider);
    Some(asker)
}

/// Somebody who differs in one thing alone, so that nothing may be remembered by less than the whole identity.
pub fn relative(dice: &mut Dice<'_>, asker: &Asker) -> Asker {
    let mut other = asker.clone();
    match dice.below(6) {
        0 => drop(other.claims.pop()),
        1 => {
            let (name, values) = *dice.one(&CLAIMS);
            other.claims.retain(|(known, _)| *known != name);
            other.claims.push((name, dice.some(values)));
        }
        2 => other.factor = *dice.one(&[Factor::Unknown, Factor::Absent, Factor::Used(0), Factor::Used(i64::from(u32::MAX))]),
        3 => drop(other.groups.pop()),
        4 => {
            let providers = REALMS.iter().find(|(name, ..)| *name == asker.realm).unwrap().2;
            other.provider = *dice.one(providers);
            other.workload = workloads_of(other.provider);
        }
        _ => other.user = (*dice.one(&USERS)).to_owned(),
    }
    other
}

fn workloads_of(provider: &str) -> bool {
    REALMS.iter().any(|(_, _, _, workloads)| workloads.contains(&provider))
}

/// Makes somebody one whom some map of a rule means.
fn meet(dice: &mut Dice<'_>, book: &Rulebook, asker: &mut Asker) {
    let maps: Vec<_> = book.rules.iter().flat_map(Rule::maps).collect();
    if maps.is_empty() {
        return;
    }
    let map = *dice.one(&maps);
    let whose = REALMS.iter().find(|(name, _, providers, _)| {
        let meant = |provider: &&str| map.provider.is_empty() || map.provider.contains(provider);
        let realm = if map.provider.is_empty() && map.realm.is_empty() {
            *name == book.realm
        } else {
            map.realm.is_empty() || map.realm.contains(name)
        };
        realm && providers.iter().any(meant)
    });
    if let Some((name, _, providers, _)) = whose
        && dice.chance(85)
    {
        let meant: Vec<&str> =
            providers.iter().copied().filter(|provider| map.provider.is_empty() || map.provider.contains(provider)).collect();
        (asker.realm, asker.provider) = (*name, *dice.one(&meant));
    }
    if !map.user.is_empty() {
        asker.user = instance(dice, map.user[0], &asker.user);
    }
    match map.group.first() {
        Some(GroupName::Plain(pattern)) => {
            asker.groups.push(Membership { name: instance(dice, pattern, &asker.user), dn: HeldDn::None, id: None });
        }
        Some(GroupName::Dn(dn)) => asker.groups.push(Membership {
            name: "x".to_owned(),
            dn: {
                let alike: Vec<_> = DNS.into_iter().filter(|other| other.len() == dn.len()).collect();
                held(alike[dice.below(alike.len())])
            },
            id: None,
        }),
        None => {}
    }
    for (name, values) in &map.claims {
        if dice.chance(70) {
            asker.claims.retain(|(other, _)| other != name);
            asker.claims.push((name, vec![*dice.one(values)]));
        }
    }
}

/// A name that a pattern covers.
fn instance(dice: &mut Dice<'_>, pattern: &str, user: &str) -> String {
    let mut name = String::new();
    let same = dice.chance(50).then(|| *dice.one(&VALUES));
    for token in tokens(pattern) {
        match token {
            Token::Char(character) => name.push(character),
            Token::Capture(capture) if capture == "user" => name.push_str(&user.to_ascii_lowercase()),
            Token::Capture(capture) if capture == "role" => {
                name.push_str(dice.one::<&str>(&["owner", "viewer", "remover", "king", "a_owner"]));
            }
            Token::Capture(_) => name.push_str(same.unwrap_or_else(|| *dice.one(&VALUES))),
            Token::Star => name.push_str(dice.one::<&str>(&VALUES)),
        }
    }
    name
}

/// A repository that a rule is about, if that can be found at once.
fn covered(dice: &mut Dice<'_>, book: &Rulebook, user: &str) -> Option<Resource> {
    let patterns: Vec<&String> =
        book.rules.iter().flat_map(|rule| rule.repository.iter().chain(rule.except.iter().flat_map(|choice| &choice.repository))).collect();
    let pattern = (!patterns.is_empty()).then(|| *dice.one(&patterns))?;
    let mut segments = Vec::new();
    for segment in pattern.split('/') {
        match segment {
            "**" => segments.extend((0..dice.below(3)).map(|_| (*dice.one(&["a", "b", "ab"])).to_owned())),
            _ => segments.push(instance(dice, segment, user)),
        }
    }
    Some(Resource::Repository(segments.join("/").parse().ok()?))
}

fn membership(dice: &mut Dice<'_>) -> Membership {
    let dn = match dice.below(24) {
        0..15 => HeldDn::None,
        15 => HeldDn::Garbage,
        _ => held(DNS[dice.below(DNS.len())]),
    };
    let id = dice.chance(10).then_some("0E1C2F6E-5a7b-4a53-9d9f-0a4d0b0b2f10");
    Membership { name: (*dice.one(&GROUPS)).to_owned(), dn, id }
}

/// From where and when, often just before or after something changes.
pub fn circumstances(dice: &mut Dice<'_>, book: &Rulebook) -> Circumstances {
    let services = services(book);
    let model = Model { book, left_out: None };
    let base = times::base(book) * 86_400;
    let mut instants: Vec<i64> =
        book.rules.iter().filter_map(|rule| rule.when.as_ref()).flat_map(|when| model.boundaries(when, base)).collect();
    instants.push(base);
    let now = *dice.one(&instants) + *dice.one(&DELTAS);
    Circumstances { service: dice.one(&services).0, source: dice.chance(75).then(|| dice.one(&SOURCES).parse().unwrap()), now }
}

/// What is asked for: some repositories, and now and then the catalogue.
pub fn scopes(dice: &mut Dice<'_>, book: &Rulebook, asker: Option<&Asker>) -> Vec<ResourceScope> {
    let wanted: [ActionSet; 6] = [
        ActionSet::REPOSITORY,
        Action::All.into(),
        Action::Pull.into(),
        [Action::Push, Action::Delete].into_iter().collect(),
        [Action::Pull, Action::Push].into_iter().collect(),
        [Action::Push, Action::All].into_iter().collect(),
    ];
    let user = asker.map_or("a", |asker| asker.user.as_str());
    let mut scopes: Vec<ResourceScope> = Vec::new();
    for _ in 0..2 + dice.below(4) {
        let named = Resource::Repository(dice.one(&NAMES).parse().unwrap());
        let resource = if dice.chance(65) { covered(dice, book, user).unwrap_or(named) } else { named };
        if scopes.iter().all(|scope| scope.resource != resource) {
            scopes.push(ResourceScope { resource, actions: *dice.one(&wanted) });
        }
    }
    if dice.chance(15) {
        scopes.push(ResourceScope { resource: Resource::Catalog, actions: ActionSet::CATALOG });
    }
    scopes
}
