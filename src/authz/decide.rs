//! The decision: permitted is what rules allow less what rules deny, and granted is what of it was asked for.

use std::collections::BTreeSet;

use super::binding::{Bindings, Splits};
use super::decision::{Decision, Grant, Life, Missed, RefusedBy, WhyMissed};
use super::document::EffectKind;
use super::pattern::{Pattern, Values};
use super::policy::{Context, Policy};
use super::rule::{Exception, Match, NEVER_FRESH, Rule, names_somebody_elses, together};
use super::standing::{Doubt, Line, Standing};
use super::truth::Truth;
use crate::authn::identity::{Kind, SecondFactor};
use crate::clock::Timestamp;
use crate::registry::{Action, ActionSet, PathComponent, Resource, ResourceScope};

/// Clients treat a token that lives shorter than a minute as expired, so what changes within one counts as changed: rules
/// are read as of the last second before it.
const AHEAD: i64 = 59;

/// Decides every scope; without a standing it is a request without credentials.
pub(super) fn decide(policy: &Policy, standing: Option<&Standing>, scopes: &[ResourceScope], context: &Context<'_>) -> Decision {
    let asked = Asked { policy, standing, context, at: context.now.plus(AHEAD), circumstances: Circumstances::Given };
    let mut decision = Decision { grants: Vec::with_capacity(scopes.len()), until: None };
    for scope in scopes {
        let (grant, until) = asked.one(scope);
        decision.grants.push(grant);
        decision.until = decision.until.into_iter().chain(until).min();
    }
    decision
}

/// What is assumed of time, address and second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Circumstances {
    /// Those of the request.
    Given,
    /// They are not known, and what is not known does not help.
    Worst,
    /// They are as good as they can be.
    Best,
}

/// What rules say about a resource when the request does not count.
#[derive(Debug)]
pub(super) struct Said<'a> {
    /// What each rule allows.
    pub(super) allowed: Vec<(ActionSet, &'a Rule)>,
    /// What each rule denies.
    pub(super) denied: Vec<(ActionSet, &'a Rule)>,
}

impl Said<'_> {
    /// What is permitted.
    pub(super) fn permitted(&self) -> ActionSet {
        union(&self.allowed) - union(&self.denied)
    }
}

/// What rules say to somebody about a resource under these circumstances; an empty service may be any.
pub(super) fn say_about<'a>(
    policy: &'a Policy,
    standing: Option<&'a Standing>,
    resource: &'a Resource,
    context: &'a Context<'a>,
    circumstances: Circumstances,
) -> Said<'a> {
    let asked = Asked { policy, standing, context, at: context.now.plus(AHEAD), circumstances };
    let mut said = Said { allowed: Vec::new(), denied: Vec::new() };
    for hit in asked.hits(resource) {
        let applies = asked.judge(&hit, resource).applies();
        let helps = applies == Truth::Yes || (applies == Truth::Unknown && circumstances == Circumstances::Best);
        let hurts = applies == Truth::Yes || (applies == Truth::Unknown && circumstances != Circumstances::Best);
        match hit.rule.kind {
            EffectKind::Allow if helps && hit.line.doubt != Doubt::Ambiguous => say(&mut said.allowed, &hit),
            EffectKind::Deny if hurts && hit.rule.tags.is_empty() => say(&mut said.denied, &hit),
            EffectKind::Allow | EffectKind::Deny => {}
        }
    }
    said
}

/// One request.
struct Asked<'a> {
    policy: &'a Policy,
    standing: Option<&'a Standing>,
    context: &'a Context<'a>,
    /// The moment as of which rules are read.
    at: Timestamp,
    circumstances: Circumstances,
}

/// A line that is about a resource.
#[derive(Clone, Copy)]
struct Hit<'a> {
    rule: &'a Rule,
    line: &'a Line,
    /// How it means who asks; `None` where it means everybody.
    found: Option<&'a Match>,
    /// What `{user}` stands for.
    user: Option<&'a PathComponent>,
}

/// Whether a line applies, and what stands in its way.
struct Judgement {
    to: Truth,
    when: Truth,
    except: Truth,
}

impl<'a> Asked<'a> {
    fn one(&self, scope: &ResourceScope) -> (Grant, Option<Timestamp>) {
        let hits = self.hits(&scope.resource);
        let mut tally = Tally::default();
        for hit in &hits {
            self.weigh(hit, &scope.resource, &mut tally);
        }
        let grant = tally.grant(scope);
        // Where there was no second factor no time brings one.
        let never = |hit: &Hit<'_>| hit.found.is_some_and(|found| found.fresh_until == Some(NEVER_FRESH));
        let touching = hits.iter().filter(|hit| hit.rule.is_timed() && !never(hit) && !(hit.line.actions & grant.granted).is_empty());
        let until = touching.filter_map(|hit| self.next_change(hit.rule)).min();
        (grant, until)
    }

    /// The lines that cover the resource, in the order of their rules.
    fn hits(&self, resource: &'a Resource) -> Vec<Hit<'a>> {
        let segments: Vec<&str> = match resource {
            Resource::Repository(name) => name.segments().collect(),
            Resource::Catalog => Vec::new(),
        };
        let sorted = &self.policy.sorted;
        let is_person = self.standing.is_some_and(|standing| standing.seen.kind == Kind::Person);
        let own = self.standing.map(|standing| &standing.lines);
        let mut hits = Vec::new();
        for lines in [Some(&sorted.anyone), is_person.then_some(&sorted.authenticated), own].into_iter().flatten() {
            for number in lines.places.at(resource) {
                let Some(line) = lines.all.get(number as usize) else { continue };
                let covered = line.pattern.as_ref().is_none_or(|pattern| pattern.covers(&segments, &self.policy.reserved));
                if let (true, Some(rule)) = (covered, self.policy.rules.get(line.rule as usize)) {
                    let way = line.way.and_then(|way| self.standing?.ways.get(way as usize));
                    let user = self.standing.and_then(|standing| standing.user(way.is_some_and(|way| way.named)));
                    hits.push(Hit { rule, line, found: way.map(|way| &way.found), user });
                }
            }
        }
        hits.sort_by_key(|hit| hit.line.rule);
        hits
    }

    fn weigh(&self, hit: &Hit<'a>, resource: &Resource, tally: &mut Tally<'a>) {
        let judgement = self.judge(hit, resource);
        let ambiguous = hit.line.doubt == Doubt::Ambiguous;
        let applies = judgement.applies();
        match (hit.rule.kind, applies) {
            (EffectKind::Allow, Truth::Yes) if !ambiguous => tally.allow(hit),
            (EffectKind::Allow, Truth::Yes | Truth::Unknown) => {
                let what = judgement.unknown(hit).unwrap_or("a name has more than one way to be split over its captures");
                tally.unknown(hit, format!("rule {}: {what}, so it does not apply", hit.rule.name));
            }
            (EffectKind::Allow, Truth::No) => tally.miss(hit, self.why_missed(hit, &judgement)),
            (EffectKind::Deny, Truth::Yes | Truth::Unknown) => {
                tally.deny(hit);
                if let Some(what) = judgement.unknown(hit) {
                    tally.note(format!("rule {}: {what}, so it applies", hit.rule.name));
                } else if ambiguous {
                    let what = "a name has more than one way to be split over its captures, so it applies to all of them";
                    tally.note(format!("rule {}: {what}", hit.rule.name));
                }
            }
            (EffectKind::Deny, Truth::No) => {}
        }
    }

    fn judge(&self, hit: &Hit<'_>, resource: &Resource) -> Judgement {
        let to = hit.found.map_or(Truth::Yes, |found| self.holds_now(found));
        let to = to.and(|| if hit.line.doubt == Doubt::Unreadable { Truth::Unknown } else { Truth::Yes });
        let when = hit.rule.when.as_ref().map_or(Truth::Yes, |when| match self.circumstances {
            Circumstances::Given => when.truth(self.context, self.at),
            Circumstances::Worst | Circumstances::Best => when.possible(self.context, self.at),
        });
        // What is settled needs no look at the exceptions.
        let settled = to == Truth::No || when == Truth::No;
        let except = if settled { Truth::No } else { self.excepted(hit, resource) };
        Judgement { to, when, except }
    }

    /// Whether maps hold that may: what they need may be unknown, and a second factor may have grown too old.
    fn holds_now(&self, found: &Match) -> Truth {
        let fresh = Truth::of(found.fresh_until.is_none_or(|end| self.at < end));
        fresh.and(|| if found.certain { Truth::Yes } else { Truth::Unknown })
    }

    /// Whether one of the rule's exceptions holds. Where it is not known what the captures stand for, one with captures
    /// is not known to hold either.
    fn excepted(&self, hit: &Hit<'_>, resource: &Resource) -> Truth {
        let unreadable = hit.line.doubt == Doubt::Unreadable;
        Truth::any(
            hit.rule.except.iter().map(|exception| {
                if unreadable && exception.has_captures() { Truth::Unknown } else { self.holds(exception, hit, resource) }
            }),
        )
    }

    fn holds(&self, exception: &Exception, hit: &Hit<'_>, resource: &Resource) -> Truth {
        let seen = match self.standing {
            Some(standing) => &standing.seen,
            None if exception.all.is_empty() => return self.reaches(exception, hit.user, &[&hit.line.captures], resource),
            None => return Truth::No,
        };
        let user = if names_somebody_elses(&exception.all) { seen.user.as_ref() } else { hit.user };
        if exception.all.iter().all(|conditions| conditions.captures().next().is_none()) {
            let all = exception.all.iter().fold(Truth::Yes, |all, conditions| all.and(|| conditions.truth(seen, self.at).0));
            return all.and(|| self.reaches(exception, user, &[&hit.line.captures], resource));
        }
        Truth::any(together(&exception.all, seen, &hit.line.captures).into_iter().map(|found| {
            self.holds_now(&found).and(|| match &found.splits {
                Splits::All(splits) => self.reaches(exception, user, &splits.iter().collect::<Vec<_>>(), resource),
                Splits::Unknown => may_reach(exception, resource),
            })
        }))
    }

    /// Whether an exception that means who asks covers the resource too, where its captures stand for one of these.
    fn reaches(&self, exception: &Exception, user: Option<&PathComponent>, splits: &[&Bindings], resource: &Resource) -> Truth {
        if exception.repository.is_empty() {
            return if splits.len() > 1 { Truth::Unknown } else { Truth::of(!splits.is_empty()) };
        }
        Truth::any(exception.repository.iter().map(|pattern| {
            let values = |captures| Values { user, captures, reserved: &self.policy.reserved };
            let valid: Vec<Pattern> = splits.iter().filter_map(|captures| pattern.filled(&values(captures))).collect();
            let covered = match resource {
                Resource::Repository(name) => {
                    let segments: Vec<&str> = name.segments().collect();
                    valid.iter().any(|filled| filled.covers(&segments, &self.policy.reserved))
                }
                Resource::Catalog => false,
            };
            match (covered, valid.len()) {
                (false, _) => Truth::No,
                (true, 1) => Truth::Yes,
                (true, _) => Truth::Unknown,
            }
        }))
    }

    /// The next moment at which time changes something about a rule.
    fn next_change(&self, rule: &Rule) -> Option<Timestamp> {
        let when = rule.when.as_ref().and_then(|when| when.next_change(self.context, self.at));
        let factor = match self.standing.map(|standing| standing.seen.second_factor) {
            Some(SecondFactor::Used(used)) => rule
                .conditions()
                .filter_map(|conditions| conditions.mfa)
                .map(|within| used.plus(i64::try_from(within.as_seconds()).unwrap_or(i64::MAX)))
                .filter(|end| *end > self.at)
                .min(),
            Some(SecondFactor::Unknown | SecondFactor::Absent) | None => None,
        };
        when.into_iter().chain(factor).min()
    }

    fn why_missed(&self, hit: &Hit<'_>, judgement: &Judgement) -> WhyMissed {
        let when = hit.rule.when.as_ref();
        match judgement {
            Judgement { to: Truth::No, .. } => WhyMissed::SecondFactor,
            Judgement { when: Truth::No, .. } if when.is_some_and(|when| !when.serves(self.context)) => WhyMissed::Service,
            Judgement { when: Truth::No, .. } if when.is_some_and(|when| when.is_elsewhere(self.context)) => WhyMissed::Address,
            Judgement { when: Truth::No, .. } => WhyMissed::Time(when.and_then(|when| when.next_change(self.context, self.at))),
            Judgement { .. } => WhyMissed::Exception,
        }
    }
}

impl Judgement {
    fn applies(&self) -> Truth {
        let unless = match self.except {
            Truth::Yes => Truth::No,
            Truth::No => Truth::Yes,
            Truth::Unknown => Truth::Unknown,
        };
        self.to.and(|| self.when).and(|| unless)
    }

    /// What is not known.
    fn unknown(&self, hit: &Hit<'_>) -> Option<&'static str> {
        match self {
            Self { to: Truth::Unknown, .. } if hit.line.doubt == Doubt::Unreadable => {
                Some("whether it means one of the groups is not known")
            }
            Self { to: Truth::Unknown, .. } => Some("a claim, the second factor or the DN of a group is not known"),
            Self { when: Truth::Unknown, .. } => Some("the client's address is not known"),
            Self { except: Truth::Unknown, .. } => Some("whether an exception holds is not known"),
            Self { .. } => None,
        }
    }
}

/// Whether an exception could cover the resource, whatever its captures stand for.
fn may_reach(exception: &Exception, resource: &Resource) -> Truth {
    let could = match resource {
        Resource::Repository(name) if !exception.repository.is_empty() => {
            exception.repository.iter().any(|pattern| pattern.could_match(name, &BTreeSet::new()))
        }
        Resource::Repository(_) => true,
        Resource::Catalog => exception.repository.is_empty(),
    };
    if could { Truth::Unknown } else { Truth::No }
}

/// What all rules say about one scope.
#[derive(Default)]
struct Tally<'a> {
    allowed: Vec<(ActionSet, &'a Rule)>,
    denied: Vec<(ActionSet, &'a Rule)>,
    tagged: Vec<(ActionSet, &'a Rule)>,
    unknown: Vec<(ActionSet, String)>,
    missed: Vec<Missed>,
    notes: Vec<String>,
}

impl<'a> Tally<'a> {
    fn allow(&mut self, hit: &Hit<'a>) {
        say(&mut self.allowed, hit);
    }

    fn deny(&mut self, hit: &Hit<'a>) {
        say(if hit.rule.tags.is_empty() { &mut self.denied } else { &mut self.tagged }, hit);
    }

    fn unknown(&mut self, hit: &Hit<'a>, note: String) {
        self.unknown.push((hit.line.actions, note.clone()));
        self.note(note);
    }

    fn miss(&mut self, hit: &Hit<'a>, why: WhyMissed) {
        self.missed.push(Missed { actions: hit.line.actions, rule: hit.rule.name.clone(), why });
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn grant(self, scope: &ResourceScope) -> Grant {
        let asked = match scope.resource {
            Resource::Repository(_) if scope.actions.contains(Action::All) => ActionSet::REPOSITORY,
            // A literal `*` is never granted on a repository, and nothing else on the catalogue.
            Resource::Repository(_) => scope.actions & ActionSet::REPOSITORY,
            Resource::Catalog => scope.actions & ActionSet::CATALOG,
        };
        let granted = asked & (union(&self.allowed) - union(&self.denied));
        let allowing = |action| self.allowed.iter().filter(move |(actions, _)| actions.contains(action)).map(|(_, rule)| *rule);
        Grant {
            requested: scope.clone(),
            granted,
            granted_by: granted.iter().map(|action| (action, allowing(action).map(|rule| rule.name.clone()).collect())).collect(),
            refused: (asked - granted).iter().map(|action| (action, self.refusal(action))).collect(),
            lives: granted.iter().map(|action| (action, life(action, allowing(action)))).collect(),
            denied_tags: granted.iter().filter_map(|action| self.denied_tags(action)).collect(),
            missed: self.missed,
            notes: self.notes,
        }
    }

    fn denied_tags(&self, action: Action) -> Option<(Action, Vec<String>)> {
        let rules = self.tagged.iter().filter(|(actions, _)| actions.contains(action));
        let tags: BTreeSet<&String> = rules.flat_map(|(_, rule)| &rule.tags).collect();
        (!tags.is_empty()).then(|| (action, tags.into_iter().cloned().collect()))
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

/// Adds what a line says; the lines of one rule come one after another.
fn say<'a>(said: &mut Vec<(ActionSet, &'a Rule)>, hit: &Hit<'a>) {
    match said.last_mut() {
        Some((actions, rule)) if std::ptr::eq(*rule, hit.rule) => *actions |= hit.line.actions,
        Some(_) | None => said.push((hit.line.actions, hit.rule)),
    }
}

fn union(some: &[(ActionSet, &Rule)]) -> ActionSet {
    some.iter().fold(ActionSet::EMPTY, |all, (actions, _)| all | *actions)
}

/// The longest of what these rules say.
fn life<'a>(action: Action, rules: impl Iterator<Item = &'a Rule>) -> Life {
    rules.fold(Life::default(), |life, rule| match rule.ttl.of(action) {
        Some(own) => Life { longest: life.longest.max(Some(own)), ..life },
        None => Life { service: true, ..life },
    })
}
