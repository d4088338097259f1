//! Access review: who can do something, and what somebody can do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::binding::Bindings;
use super::decide::{Circumstances, Said, say_about};
use super::decision::RuleName;
use super::pattern::{Pattern, USER};
use super::persona::Persona;
use super::policy::{Context, Policy};
use super::rule::{EffectKind, Rule, Target};
use super::standing::Standing;
use crate::authn::identity::{Kind, Principal};
use crate::clock::Timestamp;
use crate::registry::{Action, ActionSet, Resource};

/// So many exceptions are taken together to come past denies.
const DEEPEST: usize = 3;

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
    pub fn who_can(&self, action: Action, resource: &Resource, service: &str, now: Timestamp) -> Vec<Holder> {
        let context = Context { service, now, source: None };
        let mut holders: BTreeMap<String, Holder> = BTreeMap::new();
        for rule in self.rules.iter().filter(|rule| rule.kind == EffectKind::Allow && rule.effect.most().contains(action)) {
            for persona in self.candidates(rule, action, resource) {
                for persona in self.passing(persona, action, resource, &context, DEEPEST) {
                    let mut conditions = persona.conditions();
                    conditions.extend(rule.when.as_ref().map(ToString::to_string));
                    conditions.extend(self.asked_by_denies(&persona, action, resource, &context));
                    let who = persona.shown(self);
                    let holder = Holder { who: who.clone(), conditions, rule: rule.name.clone() };
                    // The one that needs least says it.
                    let known = holders.entry(who).or_insert_with(|| holder.clone());
                    if holder.conditions.len() < known.conditions.len() {
                        *known = holder;
                    }
                }
            }
        }
        let wide: Vec<&str> =
            ["anyone", "authenticated"].into_iter().filter(|who| holders.get(*who).is_some_and(|it| it.conditions.is_empty())).collect();
        let all = wide.first().is_some_and(|who| *who == "anyone");
        // Whoever may do it anyway need not be named, unless it is a pipeline, which `authenticated` leaves out.
        holders.retain(|who, _| wide.contains(&who.as_str()) || (wide.is_empty() || (!all && who.contains("provider "))));
        if all {
            holders.retain(|who, _| who == "anyone");
        }
        holders.into_values().collect()
    }

    /// Those whom a rule means, if its captures stand for what the resource says.
    fn candidates(&self, rule: &Rule, action: Action, resource: &Resource) -> BTreeSet<Persona> {
        let mut found = BTreeSet::new();
        match (&rule.target, resource) {
            (Target::Catalog, Resource::Catalog) => found.extend(Persona::of_rule(rule, &Bindings::new(), self)),
            (Target::Repositories(patterns), Resource::Repository(name)) => {
                for captures in patterns.iter().flat_map(|pattern| pattern.captured_in(name)) {
                    for captures in self.with_roles(rule, action, captures) {
                        let owner = captures.get(USER).map(|name| Persona::user(name.as_str()));
                        let personas = Persona::of_rule(rule, &captures, self).into_iter();
                        found.extend(personas.filter_map(|persona| match &owner {
                            Some(owner) if persona.anonymous => Some(owner.clone()),
                            Some(owner) => persona.and(owner),
                            None => Some(persona),
                        }));
                    }
                }
            }
            (Target::Catalog, Resource::Repository(_)) | (Target::Repositories(_), Resource::Catalog) => {}
        }
        found
    }

    /// The captures with every role in the place of those that name one, as far as it holds the action.
    fn with_roles(&self, rule: &Rule, action: Action, captures: Bindings) -> Vec<Bindings> {
        rule.effect.roles.iter().fold(vec![captures], |all, role| {
            let fitting = || self.roles.iter().filter(|(_, actions)| actions.contains(action)).filter_map(|(name, _)| name.parse().ok());
            all.into_iter()
                .flat_map(|captures| fitting().map(move |name| captures.clone().into_iter().chain([(Arc::clone(role), name)]).collect()))
                .collect()
        })
    }

    /// The persona, if it may do it; else those that may because they are somebody more whom denies let pass.
    fn passing(&self, persona: Persona, action: Action, resource: &Resource, context: &Context<'_>, depth: usize) -> Vec<Persona> {
        let standing = persona.identity(self).map(|identity| self.work_out(&identity));
        let said = say_about(self, standing.as_ref(), resource, context, Circumstances::Best);
        if !union(&said).contains(action) {
            return Vec::new();
        }
        let Some((_, deny)) = said.denied.iter().find(|(actions, _)| actions.contains(action)) else { return vec![persona] };
        if depth == 0 {
            return Vec::new();
        }
        let more = deny
            .except
            .iter()
            .filter(|exception| !exception.all.is_empty())
            .flat_map(|exception| Persona::of_choice(&exception.all, &Bindings::new(), self));
        let both: BTreeSet<Persona> = more.filter_map(|more| persona.and(&more)).filter(|both| *both != persona).collect();
        both.into_iter().flat_map(|both| self.passing(both, action, resource, context, depth - 1)).collect()
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
            let Some(example) = example_of(line.pattern.as_ref()) else { continue };
            let said = say_about(self, standing.as_ref(), &example, &context, Circumstances::Best);
            let gives = said
                .allowed
                .iter()
                .filter(|(_, other)| std::ptr::eq(*other, *rule))
                .fold(ActionSet::EMPTY, |all, (actions, _)| all | *actions);
            let everywhere = said.denied.iter().fold(ActionSet::EMPTY, |all, (actions, _)| all | *actions);
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
            example_of(pattern).is_some_and(|place| {
                let said = say_about(self, standing, &place, context, circumstances);
                said.denied.iter().any(|(_, found)| std::ptr::eq(*found, deny))
            })
        };
        denied(spot.pattern) || denied(spot.within)
    }
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

/// Something that the pattern covers and few others do.
fn example_of(pattern: Option<&Pattern>) -> Option<Resource> {
    match pattern {
        None => Some(Resource::Catalog),
        Some(pattern) => pattern.filled_examples().pop().map(Resource::Repository),
    }
}
