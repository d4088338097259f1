//! What a change of the rules gives and takes, over the principals and patterns that the old and the new ones name.
//!
//! Rules that stand in both are left aside. For each of the others people are made up that are just whom it names, and names
//! of repositories that it covers; both policies decide for them, once as if every time, address and second factor were as
//! good as can be, and once as if nothing were known of them. A change that may give something, and of which no example was
//! found, is told as unclear: who holds back what widens has to hold it back too.

mod meaning;
mod proof;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use meaning::Surroundings;

use super::binding::Bindings;
use super::decide::{Circumstances, say_about};
use super::decision::RuleName;
use super::pattern::{Pattern, USER, Values};
use super::persona::{Budget, Persona, made_up};
use super::policy::{Context, Policy};
use super::rule::{Conditions, EffectKind, Rule, Target};
use super::standing::Standing;
use crate::clock::Timestamp;
use crate::registry::{Action, PathComponent, Resource};

/// More steps than this are not taken: what is not looked at is unclear.
const MOST: usize = 2_000_000;
/// A comparison of two policies counts as so many.
const COMPARISON: usize = 10;
/// So many steps are taken to make people up whom one rule or exception means.
const MOST_PERSONAS: usize = 256;
/// So many values are tried for the captures of one rule.
const MOST_CAPTURES: usize = 4_096;
/// How the catalogue is told.
const CATALOG: &str = "catalog";

/// What one policy gives or takes compared with another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Who gains what.
    pub widened: Vec<Change>,
    /// Who loses what.
    pub narrowed: Vec<Change>,
    /// Rules that were added, removed or changed and may give more, though no example was found: to be treated as widening.
    pub unclear: Vec<RuleName>,
}

/// One action that somebody gains or loses on a repository or a whole pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// In words: `group releasers`, `anyone`, `provider github`.
    pub who: String,
    /// Which action; `All` is the catalogue.
    pub action: Action,
    /// A pattern or a name, as rules write it; `catalog` for the catalogue.
    pub repository: String,
}

impl Difference {
    /// Compares two policies.
    pub fn between(old: &Policy, new: &Policy) -> Self {
        let comparison = Comparison { old, new, around: Surroundings::between(old, new) };
        let (gone, added) = (comparison.only_in(old, new), comparison.only_in(new, old));
        let mut finder = Finder {
            comparison: &comparison,
            gains: BTreeSet::new(),
            losses: BTreeSet::new(),
            gaining: HashSet::new(),
            left: Budget::new(MOST),
        };
        if !gone.is_empty() || !added.is_empty() || !comparison.around.are_the_same() {
            finder.look(&gone, &added);
        }
        // A deny that falls away gives nothing where no rule allows anything.
        let allowed = |deny: &Rule| new.rules.iter().any(|rule| rule.kind == EffectKind::Allow && share(rule, deny));
        let suspects = added
            .iter()
            .filter(|rule| rule.kind == EffectKind::Allow)
            .chain(gone.iter().filter(|rule| rule.kind == EffectKind::Deny && allowed(rule)));
        let proven = comparison.proven(&gone, &added);
        let unclear: BTreeSet<RuleName> = suspects
            .filter(|rule| {
                finder.left.is_used_up()
                    || (!finder.gaining.contains(&std::ptr::from_ref::<Rule>(rule)) && !proven.contains(&std::ptr::from_ref::<Rule>(rule)))
            })
            .map(|rule| rule.name.clone())
            .collect();
        Self {
            widened: finder.gains.into_iter().collect(),
            narrowed: finder.losses.into_iter().collect(),
            unclear: unclear.into_iter().collect(),
        }
    }

    /// Whether somebody may gain something.
    pub fn widens(&self) -> bool {
        !self.widened.is_empty() || !self.unclear.is_empty()
    }

    /// Whether nothing changes for anybody.
    pub fn is_empty(&self) -> bool {
        !self.widens() && self.narrowed.is_empty()
    }
}

struct Comparison<'a> {
    old: &'a Policy,
    new: &'a Policy,
    around: Surroundings,
}

impl<'a> Comparison<'a> {
    /// The rules of one policy that the other does not have.
    fn only_in(&self, policy: &'a Policy, other: &Policy) -> Vec<&'a Rule> {
        let mut known: HashMap<String, usize> = HashMap::new();
        for rule in &other.rules {
            *known.entry(self.around.meaning(rule, other)).or_default() += 1;
        }
        let missing = |rule: &&Rule| match known.get_mut(&self.around.meaning(rule, policy)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            Some(_) | None => true,
        };
        policy.rules.iter().filter(missing).collect()
    }
}

/// Looks for examples.
struct Finder<'a> {
    comparison: &'a Comparison<'a>,
    gains: BTreeSet<Change>,
    losses: BTreeSet<Change>,
    /// Changed rules that some gain comes from.
    gaining: HashSet<*const Rule>,
    /// How many more steps are taken.
    left: Budget,
}

/// A persona in both policies.
struct Pair {
    who: String,
    old: Option<Standing>,
    new: Option<Standing>,
    anonymous: bool,
}

/// A name to ask for, and how it is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    resource: Resource,
    told: String,
}

impl<'a> Finder<'a> {
    fn look(&mut self, gone: &[&'a Rule], added: &[&'a Rule]) {
        let Comparison { old, new, .. } = self.comparison;
        let changed: Vec<(&Rule, &Policy)> = gone.iter().map(|rule| (*rule, *old)).chain(added.iter().map(|rule| (*rule, *new))).collect();
        let near = Near::new(&changed);
        let related = |policy: &'a Policy, left: &Budget| -> Vec<(&'a Rule, &'a Policy)> {
            let rules = policy.rules.iter().filter(|rule| near.of(rule, left).next().is_some());
            rules.map(move |rule| (rule, policy)).collect()
        };
        let everybody: Vec<Persona> = vec![Persona::anyone(), Persona::authenticated()];
        let mut seen: HashSet<(String, Vec<String>, Place)> = HashSet::new();
        let (related_old, related_new) = (related(old, &self.left), related(new, &self.left));
        let all: Vec<(&Rule, &Policy)> = changed.iter().copied().chain(related_old).chain(related_new).collect();
        let excepting: Vec<(&Rule, &Policy)> = changed.iter().copied().filter(|(rule, _)| !rule.except.is_empty()).collect();
        for (rule, policy) in all {
            let others: BTreeSet<Place> = near
                .of(rule, &self.left)
                .flat_map(|(other, policy)| places(other, &plain(other), policy, &self.comparison.around.words, &self.left))
                .collect();
            for captures in self.captures(rule) {
                let mut spots = others.clone();
                spots.extend(places(rule, &captures, policy, &self.comparison.around.words, &self.left));
                self.left.spend(spots.len());
                for persona in self.personas(rule, policy, &captures, &everybody, &excepting) {
                    let who = persona.shown(policy);
                    if !self.left.spend(spots.len()) {
                        return;
                    }
                    let conditions = persona.conditions();
                    let fresh: Vec<&Place> =
                        spots.iter().filter(|place| seen.insert((who.clone(), conditions.clone(), (*place).clone()))).collect();
                    if !fresh.is_empty() {
                        let work_out = |policy: &Policy| persona.identity(policy).map(|identity| policy.work_out(&identity));
                        let pair = Pair { who: tidy(&who), old: work_out(old), new: work_out(new), anonymous: persona.anonymous };
                        for place in fresh {
                            self.compare(&pair, place, &changed);
                        }
                    }
                    if self.left.is_used_up() {
                        return;
                    }
                }
            }
        }
    }

    /// Whom a rule means, everybody else, and those who are excepted from a changed rule beside.
    fn personas(
        &self,
        rule: &Rule,
        policy: &Policy,
        captures: &Bindings,
        everybody: &[Persona],
        excepting: &[(&Rule, &Policy)],
    ) -> BTreeSet<Persona> {
        let mut personas: BTreeSet<Persona> = Persona::of_rule(rule, captures, policy, &Budget::new(MOST_PERSONAS)).into_iter().collect();
        personas.extend(everybody.iter().cloned());
        let mut passing: Vec<Persona> = Vec::new();
        for (other, policy) in excepting {
            if !self.left.spend(1 + COMPARISON * other.except.len()) {
                break;
            }
            if share(rule, other) {
                passing.extend(
                    other
                        .except
                        .iter()
                        .flat_map(|exception| Persona::of_choice(&exception.all, captures, policy, &Budget::new(MOST_PERSONAS))),
                );
            }
        }
        let pairs = personas.iter().flat_map(|one| passing.iter().map(move |other| (one, other))).take_while(|_| self.left.spend(1));
        let both: Vec<Persona> = pairs.filter_map(|(one, other)| one.and(other)).take(64).collect();
        personas.extend(both);
        if rule.patterns().iter().any(|pattern| pattern.captures().any(|name| &**name == USER)) {
            let owner = Persona::user("xq7-user");
            let owners: Vec<Persona> = personas.iter().filter_map(|persona| persona.and(&owner)).collect();
            personas.extend(owners);
        }
        self.left.spend(personas.len());
        personas
    }

    /// Values for the captures of a rule: made-up ones, and words whose being reserved changed.
    fn captures(&self, rule: &Rule) -> Vec<Bindings> {
        let plain = plain(rule);
        let words = self.comparison.around.words.iter().filter_map(|word| word.parse().ok());
        let each = words.flat_map(|word: PathComponent| plain.keys().map(move |name| (Arc::clone(name), word.clone())));
        let changed = each.map(|one| plain.clone().into_iter().chain([one]).collect::<Bindings>());
        let mut all = self.most(std::iter::once(plain.clone()).chain(changed));
        let roles: BTreeSet<&String> = self.comparison.old.roles.keys().chain(self.comparison.new.roles.keys()).collect();
        for capture in &rule.effect.roles {
            let with = |captures: &Bindings| -> Vec<Bindings> {
                let roles = roles.iter().filter_map(|role| role.parse().ok());
                roles.map(|role| captures.clone().into_iter().chain([(Arc::clone(capture), role)]).collect()).collect()
            };
            all = self.most(all.iter().flat_map(with));
        }
        all
    }

    /// As many of them as are tried; where that is not all, nothing is clear any more.
    fn most(&self, all: impl Iterator<Item = Bindings>) -> Vec<Bindings> {
        let mut all = all;
        let some: Vec<Bindings> = all.by_ref().take(MOST_CAPTURES).take_while(|_| self.left.spend(1)).collect();
        if all.next().is_some() {
            self.left.exhaust();
        }
        some
    }

    fn compare(&mut self, pair: &Pair, place: &Place, changed: &[(&'a Rule, &'a Policy)]) {
        if (pair.old.is_none() && !pair.anonymous) || !self.left.spend(COMPARISON) {
            return;
        }
        let Comparison { old, new, .. } = self.comparison;
        let context = Context { service: "", now: new.environment.now.unwrap_or(Timestamp(0)), source: None };
        for circumstances in [Circumstances::Best, Circumstances::Worst] {
            let before = say_about(old, pair.old.as_ref(), &place.resource, &context, circumstances);
            let after = say_about(new, pair.new.as_ref(), &place.resource, &context, circumstances);
            let (had, has) = (before.permitted(), after.permitted());
            let told = |action| Change { who: pair.who.clone(), action, repository: place.told.clone() };
            self.gains.extend((has - had).iter().map(told));
            self.losses.extend((had - has).iter().map(told));
            let gained = has - had;
            if !gained.is_empty() {
                let allowing = after.allowed.iter().filter(|(actions, _)| !(*actions & gained).is_empty());
                let denying = before.denied.iter().filter(|(actions, _)| !(*actions & gained).is_empty());
                let found = allowing.chain(denying).map(|(_, rule)| std::ptr::from_ref::<Rule>(rule));
                let suspects: HashSet<*const Rule> = changed.iter().map(|(rule, _)| std::ptr::from_ref::<Rule>(rule)).collect();
                self.gaining.extend(found.filter(|rule| suspects.contains(rule)));
            }
        }
    }
}

/// Changed rules, found by the first segments of their patterns.
struct Near<'c, 'a> {
    changed: &'c [(&'a Rule, &'a Policy)],
    by_first: HashMap<String, Vec<usize>>,
    /// Those that may open with anything.
    anywhere: Vec<usize>,
}

impl<'c, 'a> Near<'c, 'a> {
    fn new(changed: &'c [(&'a Rule, &'a Policy)]) -> Self {
        let mut near = Self { changed, by_first: HashMap::new(), anywhere: Vec::new() };
        for (number, (rule, _)) in changed.iter().enumerate() {
            match firsts(rule) {
                Some(firsts) => firsts.into_iter().for_each(|first| near.by_first.entry(first).or_default().push(number)),
                None => near.anywhere.push(number),
            }
        }
        near
    }

    /// Those that are about a repository that the rule is about too.
    fn of<'s>(&'s self, rule: &'s Rule, left: &'s Budget) -> impl Iterator<Item = &'c (&'a Rule, &'a Policy)> + 's {
        let numbers: Vec<usize> = match firsts(rule) {
            Some(firsts) => firsts.iter().filter_map(|first| self.by_first.get(first)).flatten().chain(&self.anywhere).copied().collect(),
            None => (0..self.changed.len()).collect(),
        };
        let near = numbers.into_iter().filter_map(|number| self.changed.get(number));
        near.take_while(move |(other, _)| left.spend(1 + rule.patterns().len() * other.patterns().len()))
            .filter(move |(other, _)| share(rule, other))
    }
}

/// The first segments of a rule's patterns; `None` where one may open with anything.
fn firsts(rule: &Rule) -> Option<BTreeSet<String>> {
    let first = |pattern: &Pattern| pattern.literal_start().split('/').next().filter(|first| !first.is_empty()).map(ToOwned::to_owned);
    match &rule.target {
        Target::Catalog => Some(BTreeSet::from([String::new()])),
        Target::Repositories(patterns) => patterns.iter().map(first).collect(),
    }
}

/// Whether two rules are about a common repository.
fn share(one: &Rule, other: &Rule) -> bool {
    match (&one.target, &other.target) {
        (Target::Catalog, Target::Catalog) => true,
        (Target::Repositories(some), Target::Repositories(others)) => some.iter().any(|one| others.iter().any(|other| one.overlaps(other))),
        (Target::Catalog, Target::Repositories(_)) | (Target::Repositories(_), Target::Catalog) => false,
    }
}

/// Made-up values for the captures of a rule.
fn plain(rule: &Rule) -> Bindings {
    made_up(&rule.to.conditions().flat_map(Conditions::captures).cloned().collect())
}

/// Names that a rule or one of its exceptions covers, with their patterns as they are told.
fn places(rule: &Rule, captures: &Bindings, policy: &Policy, words: &BTreeSet<String>, left: &Budget) -> Vec<Place> {
    if rule.target == Target::Catalog {
        return vec![Place { resource: Resource::Catalog, told: CATALOG.to_owned() }];
    }
    let user = "xq7-user".parse().ok();
    let nothing = super::pattern::Reserved::new();
    let values = Values { user: user.as_ref(), captures, reserved: if words.is_empty() { &policy.reserved } else { &nothing } };
    let mut found = Vec::new();
    let excepted = rule.except.iter().flat_map(|exception| &exception.repository);
    for pattern in rule.patterns().iter().chain(excepted).take_while(|_| left.spend(1)) {
        let told = pattern.filled(&values).map_or_else(|| pattern.to_string(), |filled| tidy(&filled.to_string()));
        found.extend(pattern.examples(&values).into_iter().map(|name| Place { resource: Resource::Repository(name), told: told.clone() }));
    }
    found
}

/// Made-up values by the name of their capture.
fn tidy(text: &str) -> String {
    let mut parts = text.split("xq7-");
    let mut tidy = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|character: char| !(character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'))
            .unwrap_or(part.len());
        let (name, rest) = part.split_at_checked(end).unwrap_or((part, ""));
        tidy.extend(["{", name, "}", rest]);
    }
    tidy
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod universe;
