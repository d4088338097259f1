//! What rules mean: compiled once, and only compared with after that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) use super::binding::Splits;
use super::binding::{Bindings, Fold, splits};
use super::decision::RuleName;
use super::dn::DnPattern;
pub(super) use super::document::EffectKind;
use super::pattern::{Pattern, Reserved};
use super::piece::{Piece, captures};
use super::seen::{GroupDn, Seen, SeenGroup};
use crate::authn::identity::Kind;
use crate::registry::{ActionSet, PathComponent, Resource};

/// Named sets of actions.
pub(super) type Roles = BTreeMap<String, ActionSet>;

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: RuleName,
    pub(super) kind: EffectKind,
    pub(super) effect: Effect,
    pub(super) to: Who,
    pub(super) target: Target,
    pub(super) except: Vec<Exception>,
}

/// Which actions a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Effect {
    /// Those that it names.
    pub(super) actions: ActionSet,
    /// Captures that name a role.
    pub(super) roles: Vec<Arc<str>>,
}

/// On what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// Repositories that any of these covers.
    Repositories(Vec<Pattern>),
    /// The list of all repositories.
    Catalog,
}

/// Whom a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// Everybody, also without credentials.
    Anyone,
    /// People and users of a file.
    Authenticated,
    /// For whom any of these holds; within one, every map has to.
    Any(Vec<Vec<Conditions>>),
}

/// Where a rule does not apply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Exception {
    /// Every one has to hold; none where it is about repositories alone.
    pub(super) all: Vec<Conditions>,
    /// Any of them; empty where it is about people alone.
    pub(super) repository: Vec<Pattern>,
}

/// One map.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Conditions {
    pub(super) whose: Whose,
    /// Any of them, or empty.
    pub(super) users: Vec<Vec<Piece>>,
    /// Any of them, or empty.
    pub(super) groups: Vec<GroupPattern>,
}

/// Whose users and groups a map means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    /// Those of the file's realm.
    Home,
    /// Those of these realms and providers; an empty list means any.
    Named { realms: Vec<Arc<str>>, providers: Vec<Arc<str>> },
}

/// A group in a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum GroupPattern {
    /// By name.
    Name(Vec<Piece>),
    /// By distinguished name.
    Dn(DnPattern),
}

/// One way in which a rule concerns who asks.
#[derive(Debug)]
pub(super) struct Way<'a> {
    /// What its captures stand for.
    pub(super) splits: Splits,
    /// What `{user}` stands for.
    pub(super) user: Option<&'a PathComponent>,
}

impl Rule {
    /// Whether it could be about this resource, whoever asks.
    pub(super) fn may_concern(&self, resource: &Resource) -> bool {
        match (&self.target, resource) {
            (Target::Repositories(patterns), Resource::Repository(name)) => patterns.iter().any(|pattern| pattern.may_match(name)),
            (Target::Catalog, Resource::Catalog) => true,
            (Target::Repositories(_), Resource::Catalog) | (Target::Catalog, Resource::Repository(_)) => false,
        }
    }

    /// The same where no capture may stand for a reserved word.
    pub(super) fn could_concern(&self, resource: &Resource, reserved: &Reserved) -> bool {
        match (&self.target, resource) {
            (Target::Repositories(patterns), Resource::Repository(name)) => {
                patterns.iter().any(|pattern| pattern.could_match(name, reserved))
            }
            (Target::Repositories(_) | Target::Catalog, _) => self.may_concern(resource),
        }
    }

    /// Every map in it, those of `except` too.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Conditions> {
        let to = match &self.to {
            Who::Anyone | Who::Authenticated => &[],
            Who::Any(choices) => choices.as_slice(),
        };
        to.iter().flatten().chain(self.except.iter().flat_map(|exception| &exception.all))
    }
}

impl Effect {
    /// The actions under these values; `None` where a captured word names no role.
    pub(super) fn under(&self, captures: &Bindings, roles: &Roles) -> Option<ActionSet> {
        let mut actions = self.actions;
        for name in &self.roles {
            actions |= *roles.get(captures.get(name)?.as_str())?;
        }
        Some(actions)
    }

    /// The actions that it may be about at most.
    pub(super) fn most(&self) -> ActionSet {
        if self.roles.is_empty() { self.actions } else { self.actions | ActionSet::REPOSITORY }
    }
}

impl Who {
    /// Every way in which it means who asks; none where it does not.
    pub(super) fn ways<'a>(&self, seen: Option<&'a Seen<'_>>) -> Vec<Way<'a>> {
        let nothing = || Splits::All(vec![Bindings::new()]);
        let at_home = seen.filter(|seen| seen.at_home).and_then(|seen| seen.user.as_ref());
        match (self, seen) {
            (Self::Anyone, _) => vec![Way { splits: nothing(), user: at_home }],
            (Self::Authenticated, Some(seen)) if seen.identity.kind == Kind::Person => vec![Way { splits: nothing(), user: at_home }],
            (Self::Any(choices), Some(seen)) => choices
                .iter()
                .flat_map(|choice| {
                    let user = if names_somebody_elses(choice) { seen.user.as_ref() } else { at_home };
                    together(choice, seen, &Bindings::new()).into_iter().map(move |splits| Way { splits, user })
                })
                .collect(),
            (Self::Authenticated | Self::Any(_), Some(_) | None) => Vec::new(),
        }
    }
}

/// Whether a realm or provider is named, so that `{user}` means its users.
pub(super) fn names_somebody_elses(choice: &[Conditions]) -> bool {
    choice.iter().any(|conditions| conditions.whose != Whose::Home)
}

/// Every way in which all of the maps hold.
pub(super) fn together(all: &[Conditions], seen: &Seen<'_>, known: &Bindings) -> BTreeSet<Splits> {
    let start = BTreeSet::from([Splits::All(vec![known.clone()])]);
    all.iter().fold(start, |ways, conditions| if ways.is_empty() { ways } else { both(&ways, &conditions.ways(seen, known)) })
}

impl Exception {
    /// Whether anything in it stands between braces.
    pub(super) fn has_captures(&self) -> bool {
        self.repository.iter().any(|pattern| pattern.captures().next().is_some())
            || self.all.iter().any(|conditions| conditions.captures().next().is_some())
    }
}

impl Conditions {
    /// The captures of its users and groups.
    pub(super) fn captures(&self) -> impl Iterator<Item = &Arc<str>> {
        let users = self.users.iter().flat_map(|pieces| captures(pieces));
        users.chain(self.groups.iter().flat_map(GroupPattern::captures))
    }

    fn ways(&self, seen: &Seen<'_>, known: &Bindings) -> BTreeSet<Splits> {
        let mut ways = BTreeSet::new();
        if !self.whose.means(seen) {
            return ways;
        }
        ways.insert(Splits::All(vec![known.clone()]));
        if !self.users.is_empty() {
            let (name, lower) = (seen.identity.username.as_str(), seen.ignore_case);
            let users = self.users.iter().map(|glob| splits(&[(glob, name)], Fold::of_realm(lower), lower, known));
            ways = both(&ways, &users.filter(Splits::holds).collect());
        }
        if !self.groups.is_empty() && !ways.is_empty() {
            let pairs = self.groups.iter().flat_map(|pattern| pattern.candidates(seen).into_iter().map(move |group| (pattern, group)));
            let groups = pairs.map(|(pattern, group)| pattern.splits(group, seen.ignore_case, known));
            ways = both(&ways, &groups.filter(Splits::holds).collect());
        }
        ways
    }
}

impl Whose {
    pub(super) fn means(&self, seen: &Seen<'_>) -> bool {
        let identity = seen.identity;
        match self {
            Self::Home => seen.at_home && identity.kind == Kind::Person,
            Self::Named { realms, providers } => {
                let named = providers.contains(&identity.provider);
                // A workload is meant only where its provider is named.
                (named || (providers.is_empty() && identity.kind == Kind::Person))
                    && (realms.is_empty() || realms.contains(&identity.realm))
            }
        }
    }
}

impl GroupPattern {
    /// Its captures.
    pub(super) fn captures(&self) -> Box<dyn Iterator<Item = &Arc<str>> + '_> {
        match self {
            Self::Name(pieces) => Box::new(captures(pieces)),
            Self::Dn(pattern) => Box::new(pattern.captures()),
        }
    }

    /// The groups that it may cover.
    pub(super) fn candidates<'s>(&self, seen: &'s Seen<'_>) -> Vec<&'s SeenGroup<'s>> {
        match self {
            Self::Name(pieces) => match pieces.as_slice() {
                [Piece::Text(name)] => seen.groups_called(name),
                [Piece::Text(start), ..] => seen.groups_that_start_with(start),
                _ => seen.groups.iter().collect(),
            },
            Self::Dn(pattern) => match pattern.key() {
                Some(dn) => seen.groups_at(&dn),
                None => seen.groups.iter().collect(),
            },
        }
    }

    /// Every way in which it covers a group.
    pub(super) fn splits(&self, group: &SeenGroup<'_>, ignore_case: bool, known: &Bindings) -> Splits {
        match self {
            Self::Name(pieces) => splits(&[(pieces, group.name)], Fold::of_realm(ignore_case), ignore_case, known),
            Self::Dn(pattern) => match group.dn() {
                GroupDn::Absent => Splits::All(Vec::new()),
                GroupDn::Read(dn) => pattern.splits(dn, ignore_case, known),
                // Whether it is this group cannot be told, so it never helps.
                GroupDn::Unreadable => Splits::Unknown,
            },
        }
    }
}

impl Splits {
    /// Whether the pattern covers the name, or may do so.
    pub(super) fn holds(&self) -> bool {
        match self {
            Self::All(splits) => !splits.is_empty(),
            Self::Unknown => true,
        }
    }
}

/// Every way in which one of each holds. Only one of the two binds anything new, which compiling has made sure of.
fn both(some: &BTreeSet<Splits>, others: &BTreeSet<Splits>) -> BTreeSet<Splits> {
    some.iter().flat_map(|one| others.iter().map(move |other| joined(one, other))).collect()
}

fn joined(one: &Splits, other: &Splits) -> Splits {
    let (Splits::All(some), Splits::All(others)) = (one, other) else { return Splits::Unknown };
    let join =
        |left: &Bindings, right: &Bindings| left.iter().chain(right).map(|(name, value)| (Arc::clone(name), value.clone())).collect();
    Splits::All(some.iter().flat_map(|left| others.iter().map(move |right| join(left, right))).collect())
}
