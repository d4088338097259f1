//! Random rules in a universe so small that rules, people and repositories meet all the time.

mod askers;
mod shapes;
mod times;

pub use askers::{asker, circumstances, relative, scopes};
pub use shapes::NAMES;

use self::shapes::{ALIAS_DN, CLAIMS, SHAPES, Shape};
use super::dice::Dice;
use super::rules::{Choice, GroupName, Map, Original, REALMS, Rule, Rulebook, SERVICES, To, Ttl};

/// Lengths of `mfa: {within}` and of `ttl`.
pub const PERIODS: [i64; 4] = [3600, 600, 5400, 86_400];

/// What the files say beside their rules.
pub fn book(dice: &mut Dice<'_>) -> Rulebook {
    let third = dice.chance(50);
    let mut originals =
        vec![Original::Name("gg-ops"), Original::Dn(ALIAS_DN.to_vec()), Original::Id("0e1c2f6e-5a7b-4a53-9d9f-0a4d0b0b2f10")];
    originals.rotate_left(dice.below(3));
    originals.truncate(1 + dice.below(3));
    let mut aliases =
        vec![("ops", originals), ("a-b", vec![Original::Name("g-b")]), ("g-ab", vec![Original::Name("gg-ops"), Original::Name("ab")])];
    aliases.truncate(dice.below(4));
    Rulebook {
        realm: if dice.chance(30) { "robots" } else { "corp" },
        zone: if dice.chance(75) { "Europe/Berlin" } else { "UTC" },
        reserved: if dice.chance(70) { dice.some(&["ab", "users", "b"]) } else { Vec::new() },
        roles: vec![("remover", dice.some(&["pull", "delete"])), ("pusher", vec!["push"])],
        aliases,
        rules: Vec::new(),
        others: [None, Some("a/**"), Some("b/**")].into_iter().take(dice.below(4)).collect(),
        third,
        spelling: dice.below(6),
    }
}

/// One rule more for these files.
pub fn rule(dice: &mut Dice<'_>, book: &Rulebook) -> Rule {
    let number = book.rules.len();
    if number == 0 && dice.chance(50) {
        // Something to take away from.
        return everything(dice);
    }
    let file = dice.below(book.others.len() + 1);
    let within = file.checked_sub(1).and_then(|index| book.others[index]);
    let shape = &SHAPES[dice.below(SHAPES.len())];
    let catalogue = within.is_none() && shape.captures == 0 && dice.chance(12);
    let allow = !dice.chance(40);
    let mut rule = Rule {
        name: format!("r{number}"),
        file,
        allow,
        words: dice.some(shape.words),
        to: to(dice, shape),
        repository: Vec::new(),
        except: Vec::new(),
        when: (dice.chance(35)).then(|| times::when(dice, book, number)),
        ttl: None,
        tags: Vec::new(),
    };
    if allow && dice.chance(40) {
        let words = if catalogue { &["catalog"] } else { rule.words.as_slice() };
        rule.ttl = Some(ttl(dice, words));
    }
    if catalogue {
        rule.words = vec!["catalog"];
        let choices = 1 + dice.below(2);
        rule.except = if dice.chance(30) { (0..choices).map(|_| except_map(dice, shape)).collect() } else { Vec::new() };
        return rule;
    }
    if !allow && dice.chance(25) {
        rule.words = dice.some(&["push", "delete"]);
        rule.tags = dice.some(&["v*", "latest", "1.*"]);
        if book.third {
            rule.when.get_or_insert_default().services = dice.some(&["one", "two"]);
        }
    } else if !allow && dice.chance(15) {
        rule.words = vec!["all"];
    }
    rule.repository = dice.some(&inside(within, shape.patterns));
    if dice.chance(45) {
        rule.except = vec![except(dice, shape, within)];
        if dice.chance(30) {
            rule.except.push(except(dice, shape, within));
        }
    }
    rule
}

/// Everything for everybody, in the first file.
fn everything(dice: &mut Dice<'_>) -> Rule {
    let to = if dice.chance(50) { To::Authenticated } else { To::Anyone };
    Rule {
        name: "r0".to_owned(),
        file: 0,
        allow: true,
        words: vec!["owner"],
        to,
        repository: vec!["**".to_owned()],
        except: if dice.chance(30) { vec![theirs(dice)] } else { Vec::new() },
        when: None,
        ttl: (dice.chance(25)).then(|| ttl(dice, &["push"])),
        tags: Vec::new(),
    }
}

/// What is called like somebody of a realm that only the exception names.
fn theirs(dice: &mut Dice<'_>) -> Choice {
    let map = Map { realm: vec![dice.one(&REALMS).0], ..Map::default() };
    Choice { all: vec![map], repository: dice.some(&["{user}/**".to_owned(), "a/{user}".to_owned(), "users/{user}/**".to_owned()]) }
}

/// The patterns that a file may speak of.
fn inside(within: Option<&str>, patterns: &[&'static str]) -> Vec<String> {
    let allowed = |pattern: &&&'static str| {
        within.is_none_or(|within| {
            let first = within.trim_end_matches("/**");
            **pattern == first || pattern.starts_with(&format!("{first}/"))
        })
    };
    patterns.iter().filter(allowed).map(|pattern| (*pattern).to_owned()).collect()
}

fn to(dice: &mut Dice<'_>, shape: &Shape) -> To {
    if shape.captures == 0 && dice.chance(30) {
        return if dice.chance(40) { To::Authenticated } else { To::Anyone };
    }
    let mut choices = vec![choice(dice, shape)];
    if dice.chance(30) {
        choices.push(choice(dice, shape));
    }
    To::Any(choices)
}

fn choice(dice: &mut Dice<'_>, shape: &Shape) -> Choice {
    let mut all = vec![map(dice, shape)];
    if dice.chance(15) {
        // Captures come from one map of them alone.
        all.push(map(dice, &SHAPES[0]));
        let by = dice.below(2);
        all.rotate_left(by);
    }
    Choice { all, repository: Vec::new() }
}

/// A map that binds the captures of its shape.
fn map(dice: &mut Dice<'_>, shape: &Shape) -> Map {
    let mut map = Map::default();
    let by_user = !shape.users.is_empty() && dice.chance(35);
    if by_user {
        map.user = dice.some(shape.users);
    } else {
        map.group = dice.some(shape.groups).into_iter().map(GroupName::from).collect();
    }
    if dice.chance(12) {
        // Both keys, of which this one binds nothing.
        if by_user { map.group = vec![(*dice.one(SHAPES[0].groups)).into()] } else { map.user = vec![*dice.one(SHAPES[0].users)] }
    }
    decorate(dice, &mut map);
    if shape.captures == 0 && dice.chance(25) && (map.user.len() + map.group.len() > 0) && has_more(&map) {
        (map.user, map.group) = (Vec::new(), Vec::new());
    }
    map
}

fn has_more(map: &Map) -> bool {
    !map.provider.is_empty() || !map.realm.is_empty() || !map.claims.is_empty() || map.within.is_some()
}

/// The keys that bind nothing.
fn decorate(dice: &mut Dice<'_>, map: &mut Map) {
    let providers: Vec<&str> = REALMS.iter().flat_map(|(_, _, providers, _)| providers.iter().copied()).collect();
    if dice.chance(25) {
        map.provider = dice.some(&providers);
    }
    if dice.chance(25) {
        map.realm = dice.some(&REALMS.map(|(name, ..)| name));
    }
    if dice.chance(25) {
        let (name, values) = dice.one(&CLAIMS);
        map.claims = vec![(name, dice.some(values))];
        if dice.chance(20) {
            let (other, values) = dice.one(&CLAIMS);
            map.claims.extend((other != name).then(|| (*other, dice.some(values))));
        }
    }
    if dice.chance(20) {
        map.within = Some(*dice.one(&PERIODS));
    }
}

fn except(dice: &mut Dice<'_>, shape: &Shape, within: Option<&str>) -> Choice {
    let mut choice = Choice::default();
    if dice.chance(70) {
        choice = except_map(dice, shape);
    }
    if choice.all.is_empty() || dice.chance(35) {
        choice.repository = dice.some(&inside(within, shape.patterns));
    }
    choice
}

fn except_map(dice: &mut Dice<'_>, shape: &Shape) -> Choice {
    let mut map = Map::default();
    match dice.below(5) {
        0 | 1 => map.group = vec![(*dice.one(SHAPES[0].groups)).into()],
        2 => map.user = vec![*dice.one(SHAPES[0].users)],
        // What it captures is the rule's own where that has the name already.
        3 => {
            let other = &SHAPES[1 + dice.below(2)];
            map.group = vec![(*dice.one(other.groups)).into()];
        }
        _ => map.group = dice.some(shape.groups).into_iter().map(GroupName::from).collect(),
    }
    decorate(dice, &mut map);
    if dice.chance(25) && has_more(&map) {
        (map.user, map.group) = (Vec::new(), Vec::new());
    }
    Choice { all: vec![map], repository: Vec::new() }
}

/// A `ttl` names no action that the rule does not allow.
fn ttl(dice: &mut Dice<'_>, words: &[&'static str]) -> Ttl {
    let mut each: Vec<&str> = words.iter().copied().filter(|word| ["pull", "push", "delete", "catalog"].contains(word)).collect();
    if words.contains(&"contributor") || words.contains(&"owner") {
        each = vec!["push", "pull"];
    }
    if words.contains(&"{role}") {
        each = vec!["pull", "delete"];
    }
    let mut period = || u64::try_from(*dice.one(&PERIODS)).unwrap();
    let (every, first, second) = (period(), period(), period());
    let each: Vec<(&str, u64)> = each.into_iter().zip([first, second]).take(1 + dice.below(2)).collect();
    if !each.is_empty() && dice.chance(50) { Ttl::Each(each) } else { Ttl::Every(every) }
}

/// The services of the configuration, each with whether it enforces tags.
pub fn services(book: &Rulebook) -> Vec<(&'static str, bool)> {
    SERVICES.into_iter().take(if book.third { 3 } else { 2 }).collect()
}
