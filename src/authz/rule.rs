//! What rules mean: compiled once, and only compared with after that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::binding::{Bindings, Fold, Splits, splits};
use super::decision::RuleName;
use super::dn::DnPattern;
pub(super) use super::document::EffectKind;
use super::pattern::{Pattern, Reserved};
use super::piece::{Piece, captures};
use super::seen::{GroupDn, Seen, SeenGroup};
use super::truth::Truth;
use super::when::When;
use crate::authn::identity::{Kind, SecondFactor};
use crate::clock::Timestamp;
use crate::registry::{Action, ActionSet, Resource};
use crate::source::{Period, Place};

/// When a second factor that there was not grew too old.
pub(super) const NEVER_FRESH: Timestamp = Timestamp(i64::MIN);

/// Named sets of actions.
pub(super) type Roles = BTreeMap<String, ActionSet>;

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: RuleName,
    /// Which of the files it stands in, and where.
    pub(super) file: usize,
    pub(super) place: Place,
    pub(super) kind: EffectKind,
    pub(super) effect: Effect,
    pub(super) to: Who,
    pub(super) target: Target,
    pub(super) except: Vec<Exception>,
    pub(super) when: Option<When>,
    pub(super) ttl: Ttl,
    /// Globs over tags; a deny that has some takes nothing away and is emitted for the registry to enforce.
    pub(super) tags: Vec<String>,
}

/// Which actions a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Effect {
    /// Those that it names.
    pub(super) actions: ActionSet,
    /// Captures that name a role.
    pub(super) roles: Vec<Arc<str>>,
}

/// How long what a rule allows may live, by action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Ttl {
    pub(super) pull: Option<Period>,
    pub(super) push: Option<Period>,
    pub(super) delete: Option<Period>,
    /// The catalogue.
    pub(super) all: Option<Period>,
}

impl Ttl {
    pub(super) const fn of(self, action: Action) -> Option<Period> {
        match action {
            Action::Pull => self.pull,
            Action::Push => self.push,
            Action::Delete => self.delete,
            Action::All => self.all,
        }
    }

    pub(super) fn set(&mut self, action: Action, life: Period) {
        let kept = match action {
            Action::Pull => &mut self.pull,
            Action::Push => &mut self.push,
            Action::Delete => &mut self.delete,
            Action::All => &mut self.all,
        };
        *kept = Some(life);
    }
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
    /// Every claim with its values, of which any will do.
    pub(super) claims: Vec<(String, Vec<String>)>,
    /// A second factor no older than this.
    pub(super) mfa: Option<Period>,
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

/// One way in which maps hold for who asks, or may hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Match {
    /// What the captures stand for.
    pub(super) splits: Splits,
    /// Whether nothing else that the maps need is unknown.
    pub(super) certain: bool,
    /// The moment at which the second factor grows too old; `None` where none is needed or nothing is known of one.
    pub(super) fresh_until: Option<Timestamp>,
}

impl Rule {
    /// Whether it could be about this resource where no capture may stand for a reserved word.
    pub(super) fn could_concern(&self, resource: &Resource, reserved: &Reserved) -> bool {
        match (&self.target, resource) {
            (Target::Repositories(patterns), Resource::Repository(name)) => {
                patterns.iter().any(|pattern| pattern.could_match(name, reserved))
            }
            (Target::Catalog, Resource::Catalog) => true,
            (Target::Repositories(_), Resource::Catalog) | (Target::Catalog, Resource::Repository(_)) => false,
        }
    }

    /// Every map in it, those of `except` too.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Conditions> {
        self.to.conditions().chain(self.except.iter().flat_map(|exception| &exception.all))
    }

    /// Whether time may change what it says.
    pub(super) fn is_timed(&self) -> bool {
        self.when.as_ref().is_some_and(When::is_timed) || self.conditions().any(|conditions| conditions.mfa.is_some())
    }

    /// Where it applies; nothing for the catalogue.
    pub(super) fn patterns(&self) -> &[Pattern] {
        match &self.target {
            Target::Repositories(patterns) => patterns,
            Target::Catalog => &[],
        }
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
    /// Every map in it.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Conditions> {
        let choices = match self {
            Self::Anyone | Self::Authenticated => &[],
            Self::Any(choices) => choices.as_slice(),
        };
        choices.iter().flatten()
    }
}

/// Whether a realm or provider is named, so that `{user}` means its users.
pub(super) fn names_somebody_elses(choice: &[Conditions]) -> bool {
    choice.iter().any(|conditions| conditions.whose != Whose::Home)
}

/// Every way in which all of the maps hold, or may hold.
pub(super) fn together(all: &[Conditions], seen: &Seen, known: &Bindings) -> BTreeSet<Match> {
    let start = BTreeSet::from([Match { splits: Splits::All(vec![known.clone()]), certain: true, fresh_until: None }]);
    all.iter()
        .fold(start, |matches, conditions| if matches.is_empty() { matches } else { both(&matches, &conditions.matches(seen, known)) })
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

    /// Whether it holds, for a map without captures; the same as [`together`] says, and found without a search.
    pub(super) fn truth(&self, seen: &Seen, at: Timestamp) -> (Truth, Option<Timestamp>) {
        let nothing = Bindings::new();
        let (factor, fresh_until) = self.factor(seen);
        let factor = fresh_until.map_or(factor, |end| Truth::of(at < end));
        let truth = Truth::of(self.whose.means(seen))
            .and(|| {
                let name = &*seen.username;
                let covers = |glob: &Vec<Piece>| super::binding::covers(glob, name, Fold::of_realm(seen.ignore_case));
                Truth::of(self.users.is_empty() || self.users.iter().any(covers))
            })
            .and(|| {
                if self.groups.is_empty() {
                    return Truth::Yes;
                }
                Truth::any(self.groups.iter().map(|pattern| match pattern {
                    GroupPattern::Name(pieces) => match pieces.as_slice() {
                        [Piece::Text(name)] => Truth::of(seen.has_group(name)),
                        _ => pattern.truth(seen, &nothing),
                    },
                    GroupPattern::Dn(_) => pattern.truth(seen, &nothing),
                }))
            })
            .and(|| self.claimed(seen))
            .and(|| factor);
        (truth, fresh_until)
    }

    fn matches(&self, seen: &Seen, known: &Bindings) -> BTreeSet<Match> {
        let mut ways = BTreeSet::new();
        let (claimed, (factor, fresh_until)) = (self.claimed(seen), self.factor(seen));
        if !self.whose.means(seen) || claimed == Truth::No || factor == Truth::No {
            return ways;
        }
        let certain = claimed == Truth::Yes && factor == Truth::Yes;
        ways.insert(Match { splits: Splits::All(vec![known.clone()]), certain, fresh_until });
        let bound = |splits: Splits| Match { splits, certain: true, fresh_until: None };
        if !self.users.is_empty() {
            let (name, lower) = (&*seen.username, seen.ignore_case);
            let users = self.users.iter().map(|glob| splits(&[(glob, name)], Fold::of_realm(lower), lower, known));
            ways = both(&ways, &users.filter(Splits::holds).map(bound).collect());
        }
        if !self.groups.is_empty() && !ways.is_empty() {
            let pairs =
                self.groups.iter().flat_map(|pattern| pattern.candidates(seen, known).into_iter().map(move |group| (pattern, group)));
            let groups = pairs.map(|(pattern, group)| match pattern.splits(group, seen.ignore_case, known) {
                // It may be the group or not; what the captures of other maps stand for is known all the same.
                Splits::Unknown if pattern.captures().next().is_none() => {
                    Match { splits: Splits::All(vec![known.clone()]), certain: false, fresh_until: None }
                }
                splits @ (Splits::All(_) | Splits::Unknown) => bound(splits),
            });
            ways = both(&ways, &groups.filter(|found| found.splits.holds()).collect());
        }
        ways
    }

    /// Whether every claim has one of its values; a claim that is missing is not known.
    fn claimed(&self, seen: &Seen) -> Truth {
        self.claims.iter().fold(Truth::Yes, |all, (claim, wanted)| {
            all.and(|| match seen.claims.get(claim) {
                None => Truth::Unknown,
                Some(found) => Truth::of(found.iter().any(|value| wanted.contains(value))),
            })
        })
    }

    /// Whether a second factor was used, and until when it is fresh enough.
    fn factor(&self, seen: &Seen) -> (Truth, Option<Timestamp>) {
        let Some(within) = self.mfa else { return (Truth::Yes, None) };
        match seen.second_factor {
            SecondFactor::Unknown => (Truth::Unknown, None),
            // Like one that has grown too old: who asks is meant, and would have to log in again.
            SecondFactor::Absent => (Truth::Yes, Some(NEVER_FRESH)),
            SecondFactor::Used(when) => (Truth::Yes, Some(when.plus(i64::try_from(within.as_seconds()).unwrap_or(i64::MAX)))),
        }
    }
}

impl Whose {
    /// Whether it could mean somebody of this realm.
    pub(super) fn may_mean(&self, realm: &Arc<str>, home: Option<&Arc<str>>) -> bool {
        match self {
            Self::Home => Some(realm) == home,
            Self::Named { realms, .. } => realms.is_empty() || realms.contains(realm),
        }
    }

    pub(super) fn means(&self, seen: &Seen) -> bool {
        match self {
            Self::Home => seen.at_home && seen.kind == Kind::Person,
            Self::Named { realms, providers } => {
                let named = providers.contains(&seen.provider);
                // A workload is meant only where its provider is named.
                (named || (providers.is_empty() && seen.kind == Kind::Person)) && (realms.is_empty() || realms.contains(&seen.realm))
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
    pub(super) fn candidates<'s>(&self, seen: &'s Seen, known: &Bindings) -> Vec<&'s SeenGroup> {
        match self {
            Self::Name(pieces) => match (whole(pieces, known), pieces.as_slice()) {
                (Some(name), _) => seen.groups_called(&name),
                (None, [Piece::Text(start), ..]) => seen.groups_that_start_with(start),
                (None, _) => seen.groups.iter().collect(),
            },
            Self::Dn(pattern) => match pattern.key() {
                Some(dn) => seen.groups_at(&dn),
                None => seen.groups.iter().collect(),
            },
        }
    }

    /// Every way in which it covers a group.
    pub(super) fn splits(&self, group: &SeenGroup, ignore_case: bool, known: &Bindings) -> Splits {
        match self {
            Self::Name(pieces) => splits(&[(pieces, &group.name)], Fold::of_realm(ignore_case), ignore_case, known),
            Self::Dn(pattern) => match group.dn() {
                GroupDn::Absent => Splits::All(Vec::new()),
                GroupDn::Read(dn) => pattern.splits(dn, ignore_case, known),
                // Whether it is this group cannot be told, so it never helps.
                GroupDn::Unreadable => Splits::Unknown,
            },
        }
    }

    /// Whether it covers one of the groups, for a pattern without captures.
    fn truth(&self, seen: &Seen, nothing: &Bindings) -> Truth {
        Truth::any(self.candidates(seen, nothing).into_iter().map(|group| match self.splits(group, seen.ignore_case, nothing) {
            Splits::All(splits) => Truth::of(!splits.is_empty()),
            Splits::Unknown => Truth::Unknown,
        }))
    }
}

/// The one text that pieces cover where every capture in them has a value.
fn whole(pieces: &[Piece], known: &Bindings) -> Option<String> {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => Some(text.to_string()),
        Piece::Capture(name) => known.get(name).map(|value| value.as_str().to_owned()),
        Piece::Star => None,
    };
    pieces.iter().map(text).collect()
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
fn both(some: &BTreeSet<Match>, others: &BTreeSet<Match>) -> BTreeSet<Match> {
    some.iter().flat_map(|one| others.iter().map(move |other| joined(one, other))).collect()
}

fn joined(one: &Match, other: &Match) -> Match {
    let splits = match (&one.splits, &other.splits) {
        (Splits::All(some), Splits::All(others)) => {
            let join = |left: &Bindings, right: &Bindings| {
                left.iter().chain(right).map(|(name, value)| (Arc::clone(name), value.clone())).collect()
            };
            Splits::All(some.iter().flat_map(|left| others.iter().map(move |right| join(left, right))).collect())
        }
        (_, _) => Splits::Unknown,
    };
    Match { splits, certain: one.certain && other.certain, fresh_until: one.fresh_until.into_iter().chain(other.fresh_until).min() }
}
