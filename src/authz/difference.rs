//! What a change of the rules gives and takes, over the principals and patterns that the old and the new ones name.
//!
//! Rules that stand in both are left aside. For each of the others people are made up that are just whom it names, and names
//! of repositories that it covers; both policies decide for them, once as if every time, address and second factor were as
//! good as can be, and once as if nothing were known of them. A change that may give something, and of which no example was
//! found, is told as unclear: who holds back what widens has to hold it back too.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::binding::Bindings;
use super::decide::{Circumstances, say_about};
use super::decision::RuleName;
use super::pattern::{Pattern, USER, Values};
use super::persona::{Persona, made_up};
use super::policy::{Context, Policy};
use super::rule::{Conditions, EffectKind, Rule, Target, Who};
use super::standing::Standing;
use crate::clock::Timestamp;
use crate::registry::{Action, Resource};

/// More comparisons than this are not made: what is not looked at is unclear.
const MOST: usize = 200_000;
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
        let comparison = Comparison { old, new, words: changed_words(old, new) };
        let (gone, added) = (comparison.only_in(old, new), comparison.only_in(new, old));
        let mut finder =
            Finder { comparison: &comparison, gains: BTreeSet::new(), losses: BTreeSet::new(), gaining: HashSet::new(), left: MOST };
        if !gone.is_empty() || !added.is_empty() || !comparison.words.is_empty() {
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
                finder.left == 0
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

/// Reserved words, and groups behind aliases, that only one of them has.
fn changed_words(old: &Policy, new: &Policy) -> BTreeSet<String> {
    old.reserved.symmetric_difference(&new.reserved).cloned().collect()
}

struct Comparison<'a> {
    old: &'a Policy,
    new: &'a Policy,
    /// Words that were reserved and no longer are, or the other way round.
    words: BTreeSet<String>,
}

impl<'a> Comparison<'a> {
    /// What a rule means, its name and place apart.
    fn meaning(&self, rule: &Rule, policy: &Policy) -> String {
        let roles: Vec<_> = if rule.effect.roles.is_empty() { Vec::new() } else { policy.roles.iter().collect() };
        // A change of what is reserved changes every rule of which a capture opens a pattern.
        let reserved = (!self.words.is_empty() && rule.patterns().iter().any(Pattern::opens_with_capture)).then_some(&policy.reserved);
        let aliases: Vec<_> = rule.conditions().flat_map(|conditions| policy.aliases_in(conditions)).collect();
        let context = (&policy.home, policy.realms_in(rule));
        format!(
            "{:?}",
            (rule.kind, &rule.effect, &rule.to, &rule.target, &rule.except, &rule.when, &rule.tags, roles, reserved, aliases, context)
        )
    }

    /// The rules of one policy that the other does not have.
    fn only_in(&self, policy: &'a Policy, other: &Policy) -> Vec<&'a Rule> {
        let mut known: HashMap<String, usize> = HashMap::new();
        for rule in &other.rules {
            *known.entry(self.meaning(rule, other)).or_default() += 1;
        }
        let missing = |rule: &&Rule| match known.get_mut(&self.meaning(rule, policy)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            Some(_) | None => true,
        };
        policy.rules.iter().filter(missing).collect()
    }

    /// Suspects that give nothing new, because every part of them stands on the other side with no more conditions on it:
    /// rules that were cut up or put together, or that name fewer people, places, actions or times than one that was there.
    fn proven(&self, gone: &[&'a Rule], added: &[&'a Rule]) -> HashSet<*const Rule> {
        let mut proven = HashSet::new();
        for (suspects, kind, own, other) in [(added, EffectKind::Allow, self.new, self.old), (gone, EffectKind::Deny, self.old, self.new)] {
            // What is newly reserved closes places to captures; what no longer is opens some.
            let opens = !other.reserved.is_subset(&own.reserved);
            if opens || suspects.iter().all(|rule| rule.kind != kind) {
                continue;
            }
            let mut known: HashMap<Atom, Vec<&Rule>> = HashMap::new();
            for rule in other.rules.iter().filter(|rule| rule.kind == kind) {
                for atom in atoms(rule, other) {
                    known.entry(atom).or_default().push(rule);
                }
            }
            let stands = |atom: Atom, rule: &Rule| {
                let wider = atom.wider();
                std::iter::once(atom)
                    .chain(wider)
                    .any(|atom| known.get(&atom).is_some_and(|others| others.iter().any(|other| is_no_narrower(other, rule))))
            };
            for rule in suspects.iter().filter(|rule| rule.kind == kind) {
                if atoms(rule, own).into_iter().all(|atom| stands(atom, rule)) {
                    proven.insert(std::ptr::from_ref::<Rule>(rule));
                }
            }
        }
        proven
    }
}

/// Whether one rule has no condition on it that the other does not have.
fn is_no_narrower(one: &Rule, other: &Rule) -> bool {
    (one.when.is_none() || one.when == other.when)
        && one.tags == other.tags
        && one.except.iter().all(|exception| other.except.contains(exception))
}

/// A part of a rule: one action, one alternative with one name each, one pattern, and what the words mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Atom {
    action: Action,
    who: String,
    place: String,
    meaning: String,
}

impl Atom {
    /// The same for anyone, everywhere, and for anyone everywhere.
    fn wider(&self) -> Vec<Self> {
        let anyone = Self { who: format!("{:?}", Who::Anyone), ..self.clone() };
        let everywhere = |atom: &Self| Self { place: "**".to_owned(), ..atom.clone() };
        if self.place == CATALOG { vec![anyone] } else { vec![everywhere(self), everywhere(&anyone), anyone] }
    }
}

fn atoms(rule: &Rule, policy: &Policy) -> Vec<Atom> {
    let whom: Vec<String> = match &rule.to {
        who @ (Who::Anyone | Who::Authenticated) => vec![format!("{who:?}")],
        Who::Any(choices) => choices.iter().flat_map(|choice| single_choices(choice)).map(|choice| format!("{choice:?}")).collect(),
    };
    let places: Vec<String> = match &rule.target {
        Target::Catalog => vec![CATALOG.to_owned()],
        Target::Repositories(patterns) => patterns.iter().map(ToString::to_string).collect(),
    };
    let roles: Vec<_> = if rule.effect.roles.is_empty() { Vec::new() } else { policy.roles.iter().collect() };
    let aliases: Vec<_> = rule.conditions().flat_map(|conditions| policy.aliases_in(conditions)).collect();
    let meaning = format!("{:?}", (&rule.effect.roles, roles, aliases, &policy.home));
    let parts = rule.effect.most().iter().flat_map(|action| whom.iter().map(move |who| (action, who)));
    let each = |(action, who): (Action, &String)| {
        let atom = |place: &String| Atom { action, who: who.clone(), place: place.clone(), meaning: meaning.clone() };
        places.iter().map(atom).collect::<Vec<_>>()
    };
    parts.flat_map(each).collect()
}

/// Maps with several users or groups, as maps with one each.
fn single_choices(choice: &[Conditions]) -> Vec<Vec<Conditions>> {
    choice.iter().fold(vec![Vec::new()], |some, conditions| {
        let users: Vec<Vec<_>> =
            if conditions.users.is_empty() { vec![Vec::new()] } else { conditions.users.iter().map(|user| vec![user.clone()]).collect() };
        let groups: Vec<Vec<_>> = if conditions.groups.is_empty() {
            vec![Vec::new()]
        } else {
            conditions.groups.iter().map(|group| vec![group.clone()]).collect()
        };
        let singles = users.iter().flat_map(|users| {
            groups.iter().map(move |groups| Conditions { users: users.clone(), groups: groups.clone(), ..conditions.clone() })
        });
        let singles: Vec<Conditions> = singles.collect();
        some.iter()
            .flat_map(|before| singles.iter().map(move |one| before.iter().cloned().chain([one.clone()]).collect()))
            .take(64)
            .collect()
    })
}

/// Looks for examples.
struct Finder<'a> {
    comparison: &'a Comparison<'a>,
    gains: BTreeSet<Change>,
    losses: BTreeSet<Change>,
    /// Changed rules that some gain comes from.
    gaining: HashSet<*const Rule>,
    /// How many more comparisons are made.
    left: usize,
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
        let related =
            |policy: &'a Policy| policy.rules.iter().filter(|rule| near.of(rule).next().is_some()).map(move |rule| (rule, policy));
        let everybody: Vec<Persona> = vec![Persona::anyone(), Persona::authenticated()];
        let mut seen: HashSet<(String, Place)> = HashSet::new();
        let all: Vec<(&Rule, &Policy)> = changed.iter().copied().chain(related(old)).chain(related(new)).collect();
        let denies: Vec<(&Rule, &Policy)> = changed.iter().copied().filter(|(rule, _)| rule.kind == EffectKind::Deny).collect();
        for (rule, policy) in all {
            for captures in self.captures(rule) {
                let own = places(rule, &captures, policy, &self.comparison.words);
                let others = near.of(rule).flat_map(|(other, policy)| {
                    self.captures(other)
                        .into_iter()
                        .take(1)
                        .flat_map(|captures| places(other, &captures, policy, &self.comparison.words))
                        .collect::<Vec<_>>()
                });
                let spots: BTreeSet<Place> = own.into_iter().chain(others).collect();
                let mut personas: BTreeSet<Persona> = Persona::of_rule(rule, &captures, policy).into_iter().collect();
                personas.extend(everybody.iter().cloned());
                // Whom a changed deny lets pass beside.
                let passing: Vec<Persona> = denies
                    .iter()
                    .filter(|(deny, _)| share(rule, deny))
                    .flat_map(|(deny, policy)| {
                        deny.except.iter().flat_map(|exception| Persona::of_choice(&exception.all, &captures, policy))
                    })
                    .collect();
                let both: Vec<Persona> =
                    personas.iter().flat_map(|one| passing.iter().filter_map(|other| one.and(other))).take(64).collect();
                personas.extend(both);
                if rule.patterns().iter().any(|pattern| pattern.captures().any(|name| &**name == USER)) {
                    personas.insert(Persona::user("xq7-user"));
                }
                for persona in personas {
                    let who = persona.shown(policy);
                    let fresh: Vec<&Place> = spots.iter().filter(|place| seen.insert((who.clone(), (*place).clone()))).collect();
                    if !fresh.is_empty() {
                        let work_out = |policy: &Policy| persona.identity(policy).map(|identity| policy.work_out(&identity));
                        let pair = Pair { who: tidy(&who), old: work_out(old), new: work_out(new), anonymous: persona.anonymous };
                        for place in fresh {
                            self.compare(&pair, place, &changed);
                        }
                    }
                    if self.left == 0 {
                        return;
                    }
                }
            }
        }
    }

    /// Values for the captures of a rule: made-up ones, and words whose being reserved changed.
    fn captures(&self, rule: &Rule) -> Vec<Bindings> {
        let names: BTreeSet<Arc<str>> = rule.to.conditions().flat_map(Conditions::captures).cloned().collect();
        let plain = made_up(&names);
        let mut all = vec![plain.clone()];
        for word in &self.comparison.words {
            let each = names.iter().filter_map(|name| Some((Arc::clone(name), word.parse().ok()?)));
            all.extend(each.map(|one| plain.clone().into_iter().chain([one]).collect::<Bindings>()));
        }
        let roles: BTreeSet<&String> = self.comparison.old.roles.keys().chain(self.comparison.new.roles.keys()).collect();
        rule.effect.roles.iter().fold(all, |all, capture| {
            let with = |captures: &Bindings| -> Vec<Bindings> {
                let roles = roles.iter().filter_map(|role| role.parse().ok());
                roles.map(|role| captures.clone().into_iter().chain([(Arc::clone(capture), role)]).collect()).collect()
            };
            all.iter().flat_map(with).collect()
        })
    }

    fn compare(&mut self, pair: &Pair, place: &Place, changed: &[(&'a Rule, &'a Policy)]) {
        if self.left == 0 || (pair.old.is_none() && !pair.anonymous) {
            return;
        }
        self.left -= 1;
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
    fn of<'s>(&'s self, rule: &'s Rule) -> impl Iterator<Item = &'c (&'a Rule, &'a Policy)> + 's {
        let numbers: Vec<usize> = match firsts(rule) {
            Some(firsts) => firsts.iter().filter_map(|first| self.by_first.get(first)).flatten().chain(&self.anywhere).copied().collect(),
            None => (0..self.changed.len()).collect(),
        };
        numbers.into_iter().filter_map(|number| self.changed.get(number)).filter(move |(other, _)| share(rule, other))
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

/// Names that a rule covers, with its patterns as they are told.
fn places(rule: &Rule, captures: &Bindings, policy: &Policy, words: &BTreeSet<String>) -> Vec<Place> {
    if rule.target == Target::Catalog {
        return vec![Place { resource: Resource::Catalog, told: CATALOG.to_owned() }];
    }
    let user = "xq7-user".parse().ok();
    let nothing = super::pattern::Reserved::new();
    let values = Values { user: user.as_ref(), captures, reserved: if words.is_empty() { &policy.reserved } else { &nothing } };
    let mut found = Vec::new();
    for pattern in rule.patterns() {
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
mod tests {
    use super::*;
    use crate::authz::cases::example_realms;
    use crate::source::SourceFile;

    const HEAD: &str = "version: 1\nrealm: corp\ntimezone: UTC\n";

    fn policy(text: &str) -> Policy {
        let text = if text.contains("rules:") { format!("{HEAD}{text}") } else { format!("{HEAD}reserved: [prod]\nrules:\n{text}") };
        Policy::compile(&SourceFile::new("rules.yaml", text.clone()), &example_realms())
            .unwrap_or_else(|findings| panic!("{findings}{text}"))
            .0
    }

    #[track_caller]
    fn check(old: &str, new: &str, expected: &str) {
        let found = Difference::between(&policy(old), &policy(new));
        let told = |changes: &[Change], sign: &str| {
            changes.iter().map(|it| format!("{sign}{} {} {}", it.who, it.action, it.repository)).collect::<Vec<_>>()
        };
        let unclear: Vec<String> = found.unclear.iter().map(|rule| format!("?{}", rule.name)).collect();
        let shown = [told(&found.widened, "+"), told(&found.narrowed, "-"), unclear].concat().join("; ");
        assert_eq!(shown, expected, "{old}\n--- becomes\n{new}");
    }

    const TEAMS: &str = "  - {to: {group: \"registry-{team}\"}, allow: contributor, repository: \"{team}/**\"}\n";
    const WEB: &str = "  - {name: web, to: {group: [web, ops]}, allow: [pull, push], repository: [web/**, tools/*]}\n";

    #[test]
    fn what_says_the_same_is_no_difference() {
        check(TEAMS, TEAMS, "");
        check(&format!("{TEAMS}{WEB}"), &format!("{WEB}{TEAMS}"), "");
        let cut = "  - {to: {group: web}, allow: [pull, push], repository: [web/**]}\n  - {to: {group: web}, allow: [pull, push], repository: [tools/*]}\n  \
                   - {to: {group: ops}, allow: pull, repository: [web/**, tools/*]}\n  - {to: {group: ops}, allow: push, repository: [tools/*, web/**]}\n";
        check(WEB, cut, "");
        check(cut, WEB, "");
    }

    #[test]
    fn an_added_rule_gives_and_a_removed_one_takes() {
        check(WEB, &format!("{WEB}{TEAMS}"), "+group registry-{team} pull {team}/**; +group registry-{team} push {team}/**");
        check(&format!("{WEB}{TEAMS}"), WEB, "-group registry-{team} pull {team}/**; -group registry-{team} push {team}/**");
        let public = "  - {to: anyone, allow: viewer, repository: base/**}\n";
        check(WEB, &format!("{WEB}{public}"), "+anyone pull base/**; +authenticated pull base/**");
        let home = "  - {to: authenticated, allow: viewer, repository: \"users/{user}/**\"}\n";
        check(WEB, &format!("{WEB}{home}"), "+user {user} pull users/{user}/**");
        check(WEB, &format!("{WEB}  - {{to: {{group: a}}, allow: catalog}}\n"), "+group a * catalog");
    }

    #[test]
    fn an_added_deny_takes_from_those_who_have_and_a_removed_one_gives() {
        let deny = "  - {name: shut, to: anyone, deny: [push], repository: web/x/**, except: {group: ops}}\n";
        check(WEB, &format!("{WEB}{deny}"), "-group web push web/x/**");
        check(&format!("{WEB}{deny}"), WEB, "+group web push web/x/**");
    }

    #[test]
    fn conditions_that_fall_away_widen_and_new_ones_narrow() {
        let office = WEB.replace("repository:", "when: {source: [10.0.0.0/8]}, repository:");
        let found = Difference::between(&policy(WEB), &policy(&office));
        assert!(!found.widens() && found.narrowed.len() == 8, "{found:?}");
        assert!(Difference::between(&policy(&office), &policy(WEB)).widens());
        let elsewhere = office.replace("10.0.0.0/8", "11.0.0.0/8");
        check(&office, &elsewhere, "?web");
        let until = WEB.replace("repository:", "when: {until: 2035-01-01}, repository:");
        assert!(!Difference::between(&policy(WEB), &policy(&until)).widens());
        let except = WEB.replace("repository:", "except: {group: guests}, repository:");
        assert!(!Difference::between(&policy(WEB), &policy(&except)).widens());
        assert!(Difference::between(&policy(&except), &policy(WEB)).widens());
    }

    #[test]
    fn words_of_the_file_change_what_rules_mean() {
        let with = |reserved: &str| format!("reserved: {reserved}\nrules:\n{TEAMS}");
        check(&with("[prod, base]"), &with("[prod]"), "+group registry-base pull base/**; +group registry-base push base/**");
        check(&with("[prod]"), &with("[prod, base]"), "-group registry-base pull base/**; -group registry-base push base/**");
        let alias = |groups: &str| format!("groups: {{web: {groups}}}\nrules:\n{WEB}");
        let found = Difference::between(&policy(&alias("[gg-web]")), &policy(&alias("[gg-web, gg-more]")));
        assert!(found.widens(), "{found:?}");
        let role = |actions: &str| {
            format!(
                "reserved: []\nroles: {{tester: [{actions}]}}\nrules:\n  - {{to: {{group: \"R_{{team}}_{{role}}\"}}, allow: \"{{role}}\", repository: \"{{team}}/**\"}}\n"
            )
        };
        assert!(Difference::between(&policy(&role("pull")), &policy(&role("pull, push"))).widens());
        assert!(!Difference::between(&policy(&role("pull")), &policy(&role("pull"))).widens());
    }
}
