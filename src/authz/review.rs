//! Access review: who can do something, and what somebody can do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::binding::{Bindings, Fold, Splits, splits};
use super::decide::{Circumstances, Said, say_about};
use super::decision::RuleName;
use super::pattern::{Pattern, USER};
use super::persona::{Budget, Persona};
use super::piece::{captures, cut_plain};
use super::policy::{Context, Policy};
use super::rule::{Conditions, EffectKind, Exception, Rule, Target, Whose};
use super::standing::{Doubt, Standing};
use crate::authn::identity::{Kind, Principal};
use crate::clock::Timestamp;
use crate::registry::{Action, ActionSet, RepositoryName, Resource};

/// So many steps are taken to make up those whom one rule means.
const MOST_OF_A_RULE: usize = 4_000;
/// So many decisions are made in all, and people made up to come past denies.
const MOST: usize = 20_000;
/// So many ways to lay captures over a repository are tried.
const MOST_WAYS: usize = 50_000;

/// Those who can do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holders {
    /// Each once, by name.
    pub list: Vec<Holder>,
    /// Whether these are all; not so where the rules leave too many ways to try.
    pub complete: bool,
}

/// Somebody who can do something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// In words: `group releasers`, `user robots/breakglass`, `provider github`, `authenticated`, `anyone`.
    pub who: String,
    /// What else has to hold: claims, a second factor, and the times and places of the rule.
    pub conditions: Vec<String>,
    /// The rule that allows it.
    pub rule: RuleName,
}

/// Something that somebody can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The repositories, as a pattern; `catalog` for the list of all.
    pub repository: String,
    /// What is allowed there, less what is denied on all of it.
    pub actions: ActionSet,
    /// What else has to hold.
    pub conditions: Vec<String>,
    /// The rule that allows it.
    pub rule: RuleName,
    /// What is denied on a part of it: the pattern, the actions and the rule.
    pub less: Vec<(String, ActionSet, RuleName)>,
}

impl Policy {
    /// Who can do this: each group, user or provider that rules name and that alone, with whatever claims, second factor, time
    /// and address it needs, may do it at this service; an empty one may be any. What denies need to let somebody pass is
    /// added.
    pub fn who_can(&self, action: Action, resource: &Resource, service: &str, now: Timestamp) -> Holders {
        let question = Asking { policy: self, action, resource, context: Context { service, now, source: None }, steps: Budget::new(MOST) };
        let mut holders: BTreeMap<String, Holder> = BTreeMap::new();
        let mut complete = true;
        for rule in self.rules.iter().filter(|rule| rule.kind == EffectKind::Allow && rule.effect.most().contains(action)) {
            let budget = Budget::new(MOST_OF_A_RULE);
            let candidates = question.candidates(rule, &budget);
            complete &= !budget.is_used_up();
            let passing = question.passing(candidates);
            let needing = passing.into_iter().map(|persona| {
                let asked = self.asked_by_denies(&persona, action, resource, &question.context);
                (persona, asked)
            });
            for (persona, asked) in with_any_claim(needing.collect()) {
                let mut conditions = persona.conditions();
                conditions.extend(rule.when.as_ref().map(ToString::to_string));
                conditions.extend(asked);
                let who = persona.shown(self);
                let holder = Holder { who: who.clone(), conditions, rule: rule.name.clone() };
                // The one that needs least says it.
                let known = holders.entry(who).or_insert_with(|| holder.clone());
                if holder.conditions.len() < known.conditions.len() {
                    *known = holder;
                }
            }
        }
        complete &= !question.steps.is_used_up();
        let wide: Vec<&str> =
            ["anyone", "authenticated"].into_iter().filter(|who| holders.get(*who).is_some_and(|it| it.conditions.is_empty())).collect();
        let all = wide.first().is_some_and(|who| *who == "anyone");
        // Whoever may do it anyway need not be named, unless it is a pipeline, which `authenticated` leaves out.
        holders.retain(|who, _| wide.contains(&who.as_str()) || (wide.is_empty() || (!all && who.contains("provider "))));
        if all {
            holders.retain(|who, _| who == "anyone");
        }
        // Nor those of a realm who can do it as everybody can.
        let everybody = holders.get("authenticated").cloned();
        holders.retain(|who, holder| {
            let same = |everybody: &Holder| {
                who.starts_with("realm ") && holder.conditions == everybody.conditions && holder.rule == everybody.rule
            };
            !everybody.as_ref().is_some_and(same)
        });
        Holders { list: holders.into_values().collect(), complete }
    }

    /// What denies ask of them that is not known: the exceptions that would let them pass.
    fn asked_by_denies(&self, persona: &Persona, action: Action, resource: &Resource, context: &Context<'_>) -> Vec<String> {
        let standing = persona.identity(self).map(|identity| self.work_out(&identity));
        let worst = say_about(self, standing.as_ref(), resource, context, Circumstances::Worst);
        let denies = worst.denied.iter().filter(|(actions, _)| actions.contains(action));
        denies.map(|(_, deny)| deny.passed()).collect()
    }

    /// Everything that somebody can do at this service, whatever time and address it needs; in the order of the rules.
    pub fn what_can(&self, principal: &Principal, service: &str, now: Timestamp) -> Vec<Reach> {
        let standing = match principal {
            Principal::Anonymous => None,
            Principal::Identified(identity) => Some(self.work_out(identity)),
        };
        let is_person = standing.as_ref().is_some_and(|standing| standing.seen.kind == Kind::Person);
        let everybody = [Some(&self.sorted.anyone), is_person.then_some(&self.sorted.authenticated)];
        let all = everybody.into_iter().flatten().chain(standing.as_ref().map(|standing| &standing.lines)).flat_map(|lines| &lines.all);
        let mut lines: Vec<_> = all.filter_map(|line| Some((self.rules.get(line.rule as usize)?, line))).collect();
        lines.sort_by_key(|(_, line)| line.rule);
        let context = Context { service, now, source: None };
        let mut reaches: Vec<Reach> = Vec::new();
        for (rule, line) in lines.iter().filter(|(rule, _)| rule.kind == EffectKind::Allow) {
            let examples = examples_of(line.pattern.as_ref());
            let said: Vec<Said<'_>> =
                examples.iter().map(|example| say_about(self, standing.as_ref(), example, &context, Circumstances::Best)).collect();
            let gives = said
                .iter()
                .flat_map(|said| &said.allowed)
                .filter(|(_, other)| std::ptr::eq(*other, *rule))
                .fold(ActionSet::EMPTY, |all, (actions, _)| all | *actions);
            // What it gives where nothing can be asked for as an example is not known, and told.
            let gives = if examples.is_empty() && line.doubt != Doubt::Ambiguous { line.actions } else { gives };
            // A deny takes all of it only where one pattern of it covers every example.
            let covers_all = |deny: &Rule, pattern: Option<&Pattern>| {
                let covers = |place: &Resource| match (pattern, place) {
                    (Some(pattern), Resource::Repository(name)) => pattern.covers(&name.segments().collect::<Vec<_>>(), &self.reserved),
                    (None, Resource::Catalog) => true,
                    (Some(_), Resource::Catalog) | (None, Resource::Repository(_)) => false,
                };
                !said.is_empty()
                    && said.iter().all(|said| said.denied.iter().any(|(_, found)| std::ptr::eq(*found, deny)))
                    && examples.iter().all(covers)
            };
            let everywhere = lines
                .iter()
                .filter(|(deny, other)| deny.kind == EffectKind::Deny && covers_all(deny, other.pattern.as_ref()))
                .fold(ActionSet::EMPTY, |all, (_, other)| all | other.actions);
            let left = (gives & line.actions) - everywhere;
            if left.is_empty() {
                continue;
            }
            let way = line.way.and_then(|way| standing.as_ref()?.ways.get(way as usize));
            let mut conditions: Vec<String> = match (&standing, way) {
                (Some(standing), Some(way)) if !way.found.certain => rule.to.open_questions(&standing.seen).into_iter().collect(),
                (_, _) => Vec::new(),
            };
            conditions.extend(rule.when.iter().map(ToString::to_string));
            let mut less = Vec::new();
            for (deny, other) in lines.iter().filter(|(deny, other)| {
                deny.kind == EffectKind::Deny
                    && deny.tags.is_empty()
                    && !(other.actions & left).is_empty()
                    && touch(line.pattern.as_ref(), other.pattern.as_ref())
            }) {
                let there = Spot { pattern: other.pattern.as_ref(), within: line.pattern.as_ref() };
                let denies = |circumstances| self.denies(deny, standing.as_ref(), &there, &context, circumstances);
                if denies(Circumstances::Best) {
                    less.push((place(other.pattern.as_ref()), other.actions & left, deny.name.clone()));
                } else if denies(Circumstances::Worst) {
                    // One that an exception may take away is a condition.
                    conditions.push(format!("for {} in {} {}", other.actions & left, place(other.pattern.as_ref()), deny.passed()));
                }
            }
            let reach = Reach { repository: place(line.pattern.as_ref()), actions: left, conditions, rule: rule.name.clone(), less };
            if !reaches.contains(&reach) {
                reaches.push(reach);
            }
        }
        reaches
    }

    /// Whether a deny takes something at a place that it shares with an allow, under these circumstances.
    fn denies(
        &self,
        deny: &Rule,
        standing: Option<&Standing>,
        spot: &Spot<'_>,
        context: &Context<'_>,
        circumstances: Circumstances,
    ) -> bool {
        let denied = |pattern| {
            examples_of(pattern).iter().any(|place| {
                let said = say_about(self, standing, place, context, circumstances);
                said.denied.iter().any(|(_, found)| std::ptr::eq(*found, deny))
            })
        };
        denied(spot.pattern) || denied(spot.within)
    }
}

/// Who can do this?
struct Asking<'a> {
    policy: &'a Policy,
    action: Action,
    resource: &'a Resource,
    context: Context<'a>,
    steps: Budget,
}

impl Asking<'_> {
    /// Those whom a rule means, if its captures stand for what the resource says.
    fn candidates(&self, rule: &Rule, budget: &Budget) -> BTreeSet<Persona> {
        let mut found = BTreeSet::new();
        for captures in self.bound(rule, budget).into_iter().flat_map(|captures| self.with_roles(rule, captures, budget)) {
            let personas = Persona::of_rule(rule, &captures, self.policy, budget);
            let personas = personas.into_iter().flat_map(|persona| {
                let elsewhere = if persona == Persona::authenticated() { self.other_realms() } else { Vec::new() };
                std::iter::once(persona).chain(elsewhere)
            });
            found.extend(personas.filter_map(|persona| owning(persona, &captures)));
        }
        found
    }

    /// Everybody who is logged in, of each realm that is not the rules' own.
    fn other_realms(&self) -> Vec<Persona> {
        let home = self.policy.home.as_ref();
        let others = self.policy.environment.realms.0.iter().filter(|realm| Some(&realm.name) != home);
        let of_people = others.filter(|realm| realm.providers.iter().any(|provider| !realm.workloads.contains(provider)));
        of_people.map(|realm| Persona::authenticated_in(&realm.name)).collect()
    }

    /// What the captures of a rule stand for at the resource.
    fn bound(&self, rule: &Rule, budget: &Budget) -> Vec<Bindings> {
        match (&rule.target, self.resource) {
            (Target::Catalog, Resource::Catalog) => vec![Bindings::new()],
            (Target::Repositories(patterns), Resource::Repository(name)) => {
                patterns.iter().flat_map(|pattern| captured(pattern, name, budget)).collect()
            }
            (Target::Catalog, Resource::Repository(_)) | (Target::Repositories(_), Resource::Catalog) => Vec::new(),
        }
    }

    /// The captures with every role in the place of those that name one, as far as it holds the action.
    fn with_roles(&self, rule: &Rule, captures: Bindings, budget: &Budget) -> Vec<Bindings> {
        let roles = &self.policy.roles;
        let any = rule.effect.roles.len() > 1 || rule.effect.actions.contains(self.action);
        let fitting = |actions: &ActionSet| any || actions.contains(self.action);
        rule.effect.roles.iter().fold(vec![captures], |all, role| {
            let names = || roles.iter().filter(|(_, actions)| fitting(actions)).filter_map(|(name, _)| name.parse().ok());
            let pairs = all.iter().flat_map(|captures| names().map(move |name| (captures, name)));
            let pairs = pairs.take_while(|_| budget.spend(1));
            pairs.map(|(captures, name)| captures.clone().into_iter().chain([(Arc::clone(role), name)]).collect()).collect()
        })
    }

    /// Those of them who may do it, and in the place of those whom denies stop those who are somebody more, so that denies let
    /// them pass.
    fn passing(&self, candidates: BTreeSet<Persona>) -> Vec<Persona> {
        let mut tried: BTreeSet<Persona> = candidates.clone();
        let mut left: Vec<Persona> = candidates.into_iter().collect();
        let mut passing = Vec::new();
        while let Some(persona) = left.pop() {
            if !self.steps.spend(1) {
                break;
            }
            let standing = persona.identity(self.policy).map(|identity| self.policy.work_out(&identity));
            let said = say_about(self.policy, standing.as_ref(), self.resource, &self.context, Circumstances::Best);
            if !union(&said).contains(self.action) {
                continue;
            }
            let denies: Vec<&Rule> =
                said.denied.iter().filter(|(actions, _)| actions.contains(self.action)).map(|(_, deny)| *deny).collect();
            // One that lets nobody pass settles it.
            if denies.iter().any(|deny| deny.except.is_empty() && !names_providers(deny)) {
                continue;
            }
            match denies.first() {
                None => passing.push(persona),
                Some(deny) => {
                    for more in self.let_pass(deny, &persona) {
                        if tried.insert(more.clone()) {
                            left.push(more);
                        }
                    }
                }
            }
        }
        passing
    }

    /// The persona as somebody more, for whom an exception of the deny may hold, or whom it does not mean.
    fn let_pass(&self, deny: &Rule, persona: &Persona) -> Vec<Persona> {
        let mut found = if names_providers(deny) { persona.by_provider(self.policy) } else { Vec::new() };
        let known = self.bound(deny, &self.steps);
        for exception in deny.except.iter().filter(|exception| !exception.all.is_empty()) {
            for captures in self.excepted(exception, &known) {
                let more = Persona::of_choice(&exception.all, &captures, self.policy, &self.steps);
                let more = more.into_iter().filter_map(|more| owning(more, &captures));
                found.extend(more.filter_map(|more| if persona.anonymous { Some(more) } else { persona.and(&more) }));
            }
        }
        found
    }

    /// What the captures of an exception stand for at the resource; nothing where it is about other repositories.
    fn excepted(&self, exception: &Exception, known: &[Bindings]) -> BTreeSet<Bindings> {
        if exception.repository.is_empty() {
            return known.iter().cloned().collect();
        }
        let Resource::Repository(name) = self.resource else { return BTreeSet::new() };
        let own: Vec<Bindings> = exception.repository.iter().flat_map(|pattern| captured(pattern, name, &self.steps)).collect();
        let pairs = known.iter().flat_map(|known| own.iter().map(move |own| (known, own))).take_while(|_| self.steps.spend(1));
        let agree = |known: &Bindings, own: &Bindings| own.iter().all(|(name, value)| known.get(name).is_none_or(|known| known == value));
        pairs.filter(|(known, own)| agree(known, own)).map(|(known, own)| known.clone().into_iter().chain(own.clone()).collect()).collect()
    }
}

/// The persona by the name that `{user}` stands for.
fn owning(persona: Persona, captures: &Bindings) -> Option<Persona> {
    match captures.get(USER).map(|name| Persona::user(name.as_str())) {
        Some(owner) if persona.anonymous => Some(owner),
        Some(owner) => persona.and(&owner),
        None => Some(persona),
    }
}

/// Whether whom a rule means depends on the provider.
fn names_providers(rule: &Rule) -> bool {
    let named = |conditions: &Conditions| matches!(&conditions.whose, Whose::Named { providers, .. } if !providers.is_empty());
    rule.to.conditions().any(named)
}

/// Every way in which captures let a pattern cover a name; where it is not known or there are too many, the budget is used up.
fn captured(pattern: &Pattern, name: &RepositoryName, budget: &Budget) -> Vec<Bindings> {
    let segments = || name.segments();
    let names: BTreeSet<&Arc<str>> = pattern.captures().collect();
    let ways = u32::try_from(names.len()).ok().and_then(|count| segments().count().checked_pow(count));
    let gives_up = |segment: &str| {
        let Ok(pieces) = cut_plain(segment) else { return false };
        let nothing = Bindings::new();
        captures(&pieces).next().is_some()
            && segments().any(|name| splits(&[(&pieces, name)], Fold::Exact, false, &nothing) == Splits::Unknown)
    };
    if ways.is_none_or(|ways| ways > MOST_WAYS) || pattern.to_string().split('/').any(gives_up) {
        budget.exhaust();
        return Vec::new();
    }
    pattern.captured_in(name)
}

/// Claims with their values.
type Claims = Vec<(String, Vec<String>)>;

/// Those who differ in nothing but the values of claims, where every combination will do, as one with any of these.
fn with_any_claim(all: Vec<(Persona, Vec<String>)>) -> Vec<(Persona, Vec<String>)> {
    let mut alike: BTreeMap<(Persona, Vec<String>), Vec<Claims>> = BTreeMap::new();
    for (persona, asked) in all {
        let (rest, claims) = persona.claims_apart();
        alike.entry((rest, asked)).or_default().push(claims);
    }
    let mut told = Vec::new();
    for ((rest, asked), claims) in alike {
        let mut values: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
        for (name, some) in claims.iter().flatten() {
            values.entry(name).or_default().extend(some);
        }
        if values.values().map(BTreeSet::len).product::<usize>() == claims.len() {
            let any = values.into_iter().map(|(name, values)| (name.clone(), values.into_iter().cloned().collect()));
            told.push((rest.with_claims(any), asked));
        } else {
            told.extend(claims.iter().map(|claims| (rest.with_claims(claims.clone()), asked.clone())));
        }
    }
    told
}

/// Where a deny and an allow meet.
struct Spot<'a> {
    pattern: Option<&'a Pattern>,
    within: Option<&'a Pattern>,
}

fn union(said: &Said<'_>) -> ActionSet {
    said.allowed.iter().fold(ActionSet::EMPTY, |all, (actions, _)| all | *actions)
}

fn place(pattern: Option<&Pattern>) -> String {
    pattern.map_or_else(|| "catalog".to_owned(), ToString::to_string)
}

fn touch(one: Option<&Pattern>, other: Option<&Pattern>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.overlaps(other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Some of what the pattern covers and few others do, the shortest first.
fn examples_of(pattern: Option<&Pattern>) -> Vec<Resource> {
    match pattern {
        None => vec![Resource::Catalog],
        Some(pattern) => pattern.filled_examples().into_iter().map(Resource::Repository).collect(),
    }
}

#[cfg(test)]
mod tests;
