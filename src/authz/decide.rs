//! The decision: permitted is what rules allow less what rules deny, and granted is what of it was asked for.

use std::collections::HashMap;

use super::binding::{Bindings, Splits};
use super::decision::{Decision, Grant, Life, RefusedBy};
use super::document::EffectKind;
use super::pattern::{Pattern, Values};
use super::policy::Policy;
use super::rule::{Exception, Rule, Target, Way, names_somebody_elses, together};
use super::seen::Seen;
use crate::registry::{Action, ActionSet, Resource, ResourceScope};

/// Decides every scope; `None` is a request without credentials.
pub(super) fn decide(policy: &Policy, seen: Option<&Seen<'_>>, scopes: &[ResourceScope]) -> Decision {
    // Whether a rule means who asks is found once, whatever number of scopes it is about.
    let mut ways: HashMap<usize, Vec<Way<'_>>> = HashMap::new();
    let mut grants = Vec::with_capacity(scopes.len());
    for scope in scopes {
        let mut tally = Tally::default();
        for number in policy.index.candidates(&scope.resource) {
            let Some(rule) = policy.rules.get(number).filter(|rule| rule.may_concern(&scope.resource)) else { continue };
            let ways = ways.entry(number).or_insert_with(|| rule.to.ways(seen));
            let application = Application { policy, rule, seen, resource: &scope.resource };
            tally.add(rule, application.run(ways));
        }
        grants.push(tally.grant(scope));
    }
    Decision { grants, until: None }
}

/// What one rule says about one resource.
#[derive(Default)]
struct Said {
    /// Actions that it allows or denies.
    actions: ActionSet,
    /// Actions that it would allow if something were known.
    unknown: ActionSet,
    notes: Vec<String>,
}

struct Application<'a> {
    policy: &'a Policy,
    rule: &'a Rule,
    seen: Option<&'a Seen<'a>>,
    resource: &'a Resource,
}

/// Whether something holds; what is not known is neither.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Truth {
    Yes,
    No,
    Unknown,
}

impl Application<'_> {
    fn run(&self, ways: &[Way<'_>]) -> Said {
        let mut said = Said::default();
        for way in ways {
            match &self.rule.target {
                Target::Catalog => self.one_way(way, None, &mut said),
                Target::Repositories(patterns) => {
                    for pattern in patterns {
                        self.one_way(way, Some(pattern), &mut said);
                    }
                }
            }
        }
        said
    }

    /// One way to be meant, with one pattern; without a pattern the rule is about the catalogue.
    fn one_way(&self, way: &Way<'_>, pattern: Option<&Pattern>, said: &mut Said) {
        let Splits::All(splits) = &way.splits else { return self.unknown(way, pattern, said) };
        let valid: Vec<(&Bindings, ActionSet)> = splits
            .iter()
            .filter(|captures| pattern.is_none_or(|pattern| pattern.binds(&self.values(way, captures))))
            .filter_map(|captures| Some((captures, self.rule.effect.under(captures, &self.policy.roles)?)))
            .collect();
        let ambiguous = valid.len() > 1;
        let here = valid.into_iter().filter(|(captures, _)| self.covers(pattern, &self.values(way, captures)));
        for (captures, actions) in here {
            match (self.rule.kind, self.excepted(way, Some(captures))) {
                (EffectKind::Allow, Truth::No) if ambiguous => {
                    said.unknown |= actions;
                    said.note(self.rule, "a name has more than one way to be split over its captures, so it does not apply");
                }
                (EffectKind::Allow, Truth::No) => said.actions |= actions,
                (EffectKind::Allow, Truth::Unknown) => {
                    said.unknown |= actions;
                    said.note(self.rule, "whether an exception holds is not known, so it does not apply");
                }
                (EffectKind::Deny, Truth::No | Truth::Unknown) => {
                    said.actions |= actions;
                    if ambiguous {
                        said.note(self.rule, "a name has more than one way to be split over its captures, so it applies to all of them");
                    }
                }
                (EffectKind::Allow | EffectKind::Deny, Truth::Yes) => {}
            }
        }
    }

    /// Whether the rule means who asks, or what its captures stand for, is not known: only a deny applies.
    fn unknown(&self, way: &Way<'_>, pattern: Option<&Pattern>, said: &mut Said) {
        let may_cover = match (pattern, self.resource) {
            (Some(pattern), Resource::Repository(name)) => pattern.may_match(name),
            (None, Resource::Catalog) => true,
            (Some(_), Resource::Catalog) | (None, Resource::Repository(_)) => false,
        };
        match self.rule.kind {
            EffectKind::Allow if may_cover => {
                said.unknown |= self.rule.effect.most();
                said.note(self.rule, "whether it means one of the groups is not known, so it does not apply");
            }
            EffectKind::Deny if may_cover && self.excepted(way, None) != Truth::Yes => {
                said.actions |= self.rule.effect.most();
                said.note(self.rule, "whether it means one of the groups is not known, so it applies");
            }
            EffectKind::Allow | EffectKind::Deny => {}
        }
    }

    /// Whether one of the rule's exceptions holds. Where it is not known what the captures stand for, one with captures
    /// is not known to hold either.
    fn excepted(&self, way: &Way<'_>, captures: Option<&Bindings>) -> Truth {
        let nothing = Bindings::new();
        let mut any = Truth::No;
        for exception in &self.rule.except {
            let truth = match captures {
                Some(captures) => self.holds(exception, way, captures),
                None if exception.has_captures() => Truth::Unknown,
                None => self.holds(exception, way, &nothing),
            };
            match truth {
                Truth::Yes => return Truth::Yes,
                Truth::Unknown => any = Truth::Unknown,
                Truth::No => {}
            }
        }
        any
    }

    fn holds(&self, exception: &Exception, way: &Way<'_>, captures: &Bindings) -> Truth {
        let all = match self.seen {
            Some(seen) => together(&exception.all, seen, captures),
            None if exception.all.is_empty() => [Splits::All(vec![captures.clone()])].into(),
            None => return Truth::No,
        };
        let named = names_somebody_elses(&exception.all);
        let user = if named { self.seen.and_then(|seen| seen.user.as_ref()) } else { way.user };
        let mut any = Truth::No;
        for splits in all {
            match self.reaches(exception, &Way { splits, user }) {
                Truth::Yes => return Truth::Yes,
                Truth::Unknown => any = Truth::Unknown,
                Truth::No => {}
            }
        }
        any
    }

    /// Whether an exception that means who asks covers the resource too.
    fn reaches(&self, exception: &Exception, way: &Way<'_>) -> Truth {
        let patterns: Vec<Option<&Pattern>> =
            if exception.repository.is_empty() { vec![None] } else { exception.repository.iter().map(Some).collect() };
        let mut any = Truth::No;
        for pattern in patterns {
            let truth = match &way.splits {
                Splits::Unknown => match (pattern, self.resource) {
                    (Some(pattern), Resource::Repository(name)) if !pattern.may_match(name) => Truth::No,
                    (Some(_) | None, _) => Truth::Unknown,
                },
                Splits::All(splits) => {
                    let valid: Vec<_> = splits
                        .iter()
                        .map(|captures| self.values(way, captures))
                        .filter(|values| pattern.is_none_or(|pattern| pattern.binds(values)))
                        .collect();
                    let covered = valid.iter().any(|values| pattern.is_none() || self.covers(pattern, values));
                    match (covered, valid.len()) {
                        (false, _) => Truth::No,
                        (true, 1) => Truth::Yes,
                        (true, _) => Truth::Unknown,
                    }
                }
            };
            match truth {
                Truth::Yes => return Truth::Yes,
                Truth::Unknown => any = Truth::Unknown,
                Truth::No => {}
            }
        }
        any
    }

    fn covers(&self, pattern: Option<&Pattern>, values: &Values<'_>) -> bool {
        match (pattern, self.resource) {
            (Some(pattern), Resource::Repository(name)) => pattern.matches(name, values),
            (None, Resource::Catalog) => true,
            (Some(_), Resource::Catalog) | (None, Resource::Repository(_)) => false,
        }
    }

    fn values<'v>(&'v self, way: &Way<'v>, captures: &'v Bindings) -> Values<'v> {
        Values { user: way.user, captures, reserved: &self.policy.reserved }
    }
}

impl Said {
    fn note(&mut self, rule: &Rule, what: &str) {
        let note = format!("rule {}: {what}", rule.name);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// What all rules say about one scope.
#[derive(Default)]
struct Tally<'a> {
    allowed: Vec<(ActionSet, &'a Rule)>,
    denied: Vec<(ActionSet, &'a Rule)>,
    unknown: Vec<(ActionSet, String)>,
    notes: Vec<String>,
}

impl<'a> Tally<'a> {
    fn add(&mut self, rule: &'a Rule, said: Said) {
        if !said.actions.is_empty() {
            match rule.kind {
                EffectKind::Allow => self.allowed.push((said.actions, rule)),
                EffectKind::Deny => self.denied.push((said.actions, rule)),
            }
        }
        if let (false, Some(note)) = (said.unknown.is_empty(), said.notes.first()) {
            self.unknown.push((said.unknown, note.clone()));
        }
        self.notes.extend(said.notes);
    }

    fn grant(self, scope: &ResourceScope) -> Grant {
        let asked = match scope.resource {
            Resource::Repository(_) if scope.actions.contains(Action::All) => ActionSet::REPOSITORY,
            // A literal `*` is never granted on a repository, and nothing else on the catalogue.
            Resource::Repository(_) => scope.actions & ActionSet::REPOSITORY,
            Resource::Catalog => scope.actions & ActionSet::CATALOG,
        };
        let union = |some: &[(ActionSet, &Rule)]| some.iter().fold(ActionSet::EMPTY, |all, (actions, _)| all | *actions);
        let permitted = union(&self.allowed) - union(&self.denied);
        let granted = asked & permitted;
        let by =
            |action| self.allowed.iter().filter(move |(actions, _)| actions.contains(action)).map(|(_, rule)| rule.name.clone()).collect();
        Grant {
            requested: scope.clone(),
            granted,
            granted_by: granted.iter().map(|action| (action, by(action))).collect(),
            refused: (asked - granted).iter().map(|action| (action, self.refusal(action))).collect(),
            lives: granted.iter().map(|action| (action, Life { longest: None, service: true })).collect(),
            denied_tags: Vec::new(),
            notes: self.notes,
        }
    }

    fn refusal(&self, action: Action) -> RefusedBy {
        let denied = self.denied.iter().find(|(actions, _)| actions.contains(action));
        let unknown = self.unknown.iter().find(|(actions, _)| actions.contains(action));
        match (denied, unknown) {
            (Some((_, rule)), _) => RefusedBy::Deny(rule.name.clone()),
            (None, Some((_, what))) => RefusedBy::Unknown(what.clone()),
            (None, None) => RefusedBy::NoRule,
        }
    }
}
