//! What the rules say of a request, read as literally as can be. Shares no code with the product.

use std::collections::{BTreeMap, BTreeSet};

use narrows::registry::{Action, ActionSet, Resource, ResourceScope};

use super::part::Part;
use super::pattern::{Path, Values};
use super::rules::{Asker, Choice, Circumstances, Factor, GroupName, Rule, Rulebook, Ttl};
use super::who::Way;

/// Whether something holds; the order lets `and` be the lesser and `or` the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    No,
    Unknown,
    Yes,
}

impl Truth {
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }
    pub fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// What one scope gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Got {
    pub granted: ActionSet,
    /// The longest `ttl` in seconds, and whether a rule without one grants the action too.
    pub lives: Vec<(Action, Option<u64>, bool)>,
    pub denied_tags: Vec<(Action, Vec<String>)>,
}

/// What a whole request gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub got: Vec<Got>,
    pub until: Option<i64>,
}

/// The rules, and what of the language is left out.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    pub book: &'a Rulebook,
    pub left_out: Option<Part>,
}

/// One way in which a rule is about somebody on something.
struct Place {
    truth: Truth,
    actions: ActionSet,
    /// `None` where it is not known what the captures stand for.
    values: Option<Values>,
    user: Option<String>,
}

/// What is under a minute away counts as reached.
pub const AHEAD: i64 = 59;

const USER: &str = "user";

impl Model<'_> {
    pub fn without(&self, part: Part) -> bool {
        self.left_out == Some(part)
    }

    /// The answer to a request.
    pub fn answer(&self, asker: Option<&Asker>, scopes: &[ResourceScope], circumstances: &Circumstances) -> Answer {
        let at = circumstances.now + if self.without(Part::Ahead) { 0 } else { AHEAD };
        let got: Vec<Got> = scopes.iter().map(|scope| self.got(asker, scope, circumstances, at)).collect();
        let until = self.until(asker, scopes, &got, circumstances, at);
        Answer { got, until }
    }

    fn got(&self, asker: Option<&Asker>, scope: &ResourceScope, circumstances: &Circumstances, at: i64) -> Got {
        let (mut allowed, mut denied) = (ActionSet::EMPTY, ActionSet::EMPTY);
        let mut lives: BTreeMap<Action, (Option<u64>, bool)> = BTreeMap::new();
        let mut tags: BTreeMap<Action, BTreeSet<String>> = BTreeMap::new();
        for rule in &self.book.rules {
            for place in self.places(rule, asker, &scope.resource, at) {
                let truth = self.applies(rule, &place, asker, &scope.resource, circumstances, at);
                if rule.allow && truth == Truth::Yes {
                    allowed |= place.actions;
                    for action in place.actions.iter() {
                        let (longest, service) = lives.entry(action).or_default();
                        match self.ttl(rule, action) {
                            Some(ttl) if self.without(Part::LongestTtl) => *longest = Some(longest.unwrap_or(ttl).min(ttl)),
                            Some(ttl) => *longest = Some(longest.unwrap_or(ttl).max(ttl)),
                            None => *service = true,
                        }
                    }
                } else if !rule.allow && truth != Truth::No && (rule.tags.is_empty() || self.without(Part::Tags)) {
                    denied |= place.actions;
                } else if !rule.allow && truth != Truth::No {
                    for action in place.actions.iter() {
                        tags.entry(action).or_default().extend(rule.tags.iter().map(|tag| (*tag).to_owned()));
                    }
                }
            }
        }
        let granted = asked(scope) & if self.without(Part::Deny) { allowed } else { allowed - denied };
        Got {
            granted,
            lives: lives
                .into_iter()
                .filter(|(action, _)| granted.contains(*action))
                .map(|(action, (ttl, rest))| (action, ttl, rest))
                .collect(),
            denied_tags: tags
                .into_iter()
                .filter(|(action, _)| granted.contains(*action))
                .map(|(action, tags)| (action, tags.into_iter().collect()))
                .collect(),
        }
    }

    /// The `ttl` that a rule names for an action.
    fn ttl(&self, rule: &Rule, action: Action) -> Option<u64> {
        let word = if action == Action::All { "catalog" } else { action.as_str() };
        match rule.ttl.as_ref().filter(|_| !self.without(Part::Ttl))? {
            Ttl::Every(seconds) => Some(*seconds),
            Ttl::Each(some) if self.without(Part::TtlAction) => some.first().map(|(_, seconds)| *seconds),
            Ttl::Each(some) => some.iter().find(|(other, _)| *other == word).map(|(_, seconds)| *seconds),
        }
    }

    /// Whether a rule applies in one of its places.
    fn applies(
        &self,
        rule: &Rule,
        place: &Place,
        asker: Option<&Asker>,
        resource: &Resource,
        circumstances: &Circumstances,
        at: i64,
    ) -> Truth {
        let when = match &rule.when {
            Some(when) if !self.without(Part::When) => self.when(when, circumstances, at),
            Some(_) | None => Truth::Yes,
        };
        let when = if when == Truth::Unknown && self.without(Part::MissingSource) { Truth::from(rule.allow) } else { when };
        let excepted = if self.without(Part::Except) { Truth::No } else { self.excepted(rule, place, asker, resource, at) };
        let excepted = if excepted == Truth::Unknown && self.without(Part::ExceptUnknown) { Truth::from(!rule.allow) } else { excepted };
        place.truth.and(when).and(excepted.not())
    }

    /// Every place of a rule: one way to mean who asks, one split of it, and one pattern that covers the resource.
    fn places(&self, rule: &Rule, asker: Option<&Asker>, resource: &Resource, at: i64) -> Vec<Place> {
        if !self.is_within(rule, resource) {
            return Vec::new();
        }
        let patterns: Vec<Option<&String>> = match resource {
            Resource::Catalog if rule.repository.is_empty() && !self.without(Part::Catalog) => vec![None],
            Resource::Catalog => Vec::new(),
            Resource::Repository(_) => rule.repository.iter().map(Some).collect(),
        };
        let ways = self.ways(&rule.to, asker, at);
        ways.iter().flat_map(|way| patterns.iter().flat_map(|pattern| self.places_of(rule, way, *pattern, resource))).collect()
    }

    fn places_of(&self, rule: &Rule, way: &Way, pattern: Option<&String>, resource: &Resource) -> Vec<Place> {
        let Some(splits) = &way.splits else {
            // A capture may stand for anything.
            let most = if rule.words.iter().any(|word| word.starts_with('{')) {
                ActionSet::REPOSITORY
            } else {
                self.actions(rule, &Values::new()).unwrap()
            };
            let covered = covers_loosely(pattern, resource);
            return if covered {
                vec![Place { truth: Truth::Unknown, actions: most, values: None, user: way.user.clone() }]
            } else {
                Vec::new()
            };
        };
        let valid: Vec<(&Values, ActionSet, bool)> = splits
            .iter()
            .filter_map(|split| Some((split, self.actions(rule, split)?, self.covers(pattern, resource, split, way.user.as_ref())?)))
            .collect();
        let ambiguous = valid.len() > 1;
        if ambiguous && !rule.allow && self.without(Part::AmbiguousDeny) {
            return Vec::new();
        }
        let ambiguous = ambiguous && !self.without(Part::AmbiguousAllow);
        let truth = if ambiguous { way.truth.and(Truth::Unknown) } else { way.truth };
        let covered = valid.into_iter().filter(|(.., covered)| *covered);
        let place =
            |(split, actions, _): (&Values, ActionSet, bool)| Place { truth, actions, values: Some(split.clone()), user: way.user.clone() };
        covered.map(place).collect()
    }

    /// Whether a pattern covers the resource; `None` where these values bind nothing in it.
    fn covers(&self, pattern: Option<&String>, resource: &Resource, split: &Values, user: Option<&String>) -> Option<bool> {
        let (Some(pattern), Resource::Repository(name)) = (pattern, resource) else { return Some(true) };
        let mut values = split.clone();
        values.extend(user.map(|user| (USER.to_owned(), user.clone())));
        let reserved = if self.without(Part::Reserved) { &[] } else { self.book.reserved.as_slice() };
        Some(Path::read(pattern).filled(&values, reserved)?.covers(name.as_str()))
    }

    /// Whether the file of a rule may speak of the resource.
    fn is_within(&self, rule: &Rule, resource: &Resource) -> bool {
        match (rule.within(self.book), resource) {
            (Some(within), Resource::Repository(_)) => covers_loosely(Some(&within.to_owned()), resource),
            (Some(_), Resource::Catalog) => false,
            (None, _) => true,
        }
    }

    /// The actions of a rule's words; `None` where a captured word is no role.
    fn actions(&self, rule: &Rule, split: &Values) -> Option<ActionSet> {
        let mut all = ActionSet::EMPTY;
        for word in &rule.words {
            let meant = match word.strip_prefix('{') {
                _ if self.without(Part::RoleCapture) && word.starts_with('{') => "owner",
                Some(capture) => split.get(capture.trim_end_matches('}')).filter(|value| self.is_role(value))?.as_str(),
                None => word,
            };
            let words = match meant {
                "viewer" => vec!["pull"],
                "contributor" => vec!["pull", "push"],
                "owner" | "all" => vec!["pull", "push", "delete"],
                "catalog" => vec!["*"],
                "pull" | "push" | "delete" => vec![meant],
                own => self.book.roles.iter().find(|(name, _)| *name == own).unwrap().1.clone(),
            };
            all |= words.into_iter().map(|word| Action::from_word(word).unwrap()).collect();
        }
        Some(all)
    }

    fn is_role(&self, word: &str) -> bool {
        ["viewer", "contributor", "owner"].contains(&word) || self.book.roles.iter().any(|(name, _)| *name == word)
    }

    /// Whether one of a rule's exceptions holds in a place.
    fn excepted(&self, rule: &Rule, place: &Place, asker: Option<&Asker>, resource: &Resource, at: i64) -> Truth {
        let mut truth = Truth::No;
        for choice in &rule.except {
            let nothing = Values::new();
            let known = place.values.as_ref().unwrap_or(&nothing);
            let ways = match asker {
                Some(asker) => self.choice_ways(choice, asker, known, place.user.clone(), at),
                None if choice.all.is_empty() => vec![Way { truth: Truth::Yes, splits: Some([known.clone()].into()), user: None }],
                None => Vec::new(),
            };
            let only_repository = choice.repository.is_empty() || self.without(Part::ExceptRepository);
            let patterns: Vec<Option<&String>> = if only_repository { vec![None] } else { choice.repository.iter().map(Some).collect() };
            let captures = choice.mentions_captures();
            for (way, pattern) in ways.iter().flat_map(|way| patterns.iter().map(move |pattern| (way, *pattern))) {
                let covered = match &way.splits {
                    Some(_) if place.values.is_none() && captures => Truth::Unknown,
                    None => Truth::from(covers_loosely(pattern, resource)).and(Truth::Unknown),
                    Some(splits) => {
                        let valid: Vec<bool> =
                            splits.iter().filter_map(|split| self.covers(pattern, resource, split, way.user.as_ref())).collect();
                        let sure = if valid.len() > 1 { Truth::Unknown } else { Truth::Yes };
                        Truth::from(valid.contains(&true)).and(sure)
                    }
                };
                truth = truth.max(way.truth.and(covered));
            }
        }
        truth
    }

    /// The first instant at which a `when` or `mfa: {within}` changes of a rule that touches something granted.
    fn until(&self, asker: Option<&Asker>, scopes: &[ResourceScope], got: &[Got], circumstances: &Circumstances, at: i64) -> Option<i64> {
        let granted: Vec<_> = scopes.iter().zip(got).filter(|(_, got)| !got.granted.is_empty()).collect();
        // A second factor that was used is fresh at some time, and one that was not never is.
        let fresh = asker.map(|asker| match asker.factor {
            Factor::Used(_) => Asker { factor: Factor::Used(at), ..asker.clone() },
            Factor::Unknown | Factor::Absent => asker.clone(),
        });
        let touches = |rule: &&Rule| {
            let actions = |scope: &ResourceScope| {
                self.places(rule, fresh.as_ref(), &scope.resource, at).into_iter().fold(ActionSet::EMPTY, |all, place| all | place.actions)
            };
            let timed = rule.when.is_some() || rule.maps().any(|map| map.within.is_some());
            timed && granted.iter().any(|(scope, got)| !(actions(scope) & got.granted).is_empty())
        };
        let rules: Vec<&Rule> =
            self.book.rules.iter().filter(touches).filter(|rule| rule.allow || !self.without(Part::DenyChange)).collect();
        let state = |at: i64| -> Vec<Truth> {
            let whens = rules.iter().filter_map(|rule| rule.when.as_ref()).map(|when| self.when(when, circumstances, at));
            let maps = rules.iter().flat_map(|rule| rule.maps()).filter(|_| !self.without(Part::MfaChange));
            let factors = maps.filter_map(|map| asker.map(|asker| self.mfa(map, asker, at)));
            whens.chain(factors).collect()
        };
        let mut instants: BTreeSet<i64> =
            rules.iter().filter_map(|rule| rule.when.as_ref()).flat_map(|when| self.boundaries(when, at)).collect();
        if let Some(Asker { factor: Factor::Used(when), .. }) = asker {
            instants.extend(rules.iter().flat_map(|rule| rule.maps()).filter_map(|map| map.within).map(|within| when + within));
        }
        let now = state(at);
        instants.into_iter().find(|instant| *instant > at && !self.without(Part::Change) && state(*instant) != now)
    }
}

/// What a scope asks for: a `*` on a repository is each of its actions.
pub fn asked(scope: &ResourceScope) -> ActionSet {
    match scope.resource {
        Resource::Repository(_) if scope.actions.contains(Action::All) => ActionSet::REPOSITORY,
        Resource::Repository(_) => scope.actions & ActionSet::REPOSITORY,
        Resource::Catalog => scope.actions & ActionSet::CATALOG,
    }
}

impl Choice {
    fn mentions_captures(&self) -> bool {
        let names = self.all.iter().flat_map(|map| {
            let groups = map.group.iter().flat_map(|group| match group {
                GroupName::Plain(name) => vec![*name],
                GroupName::Dn(dn) => dn.iter().map(|(_, value)| *value).collect(),
            });
            map.user.iter().copied().chain(groups)
        });
        self.repository.iter().map(String::as_str).chain(names).any(|text| text.contains('{'))
    }
}

/// Whether a pattern covers the resource, whatever its captures stand for.
fn covers_loosely(pattern: Option<&String>, resource: &Resource) -> bool {
    match (pattern, resource) {
        (Some(pattern), Resource::Repository(name)) => Path::read(pattern).loosened().covers(name.as_str()),
        (None, _) | (_, Resource::Catalog) => true,
    }
}
