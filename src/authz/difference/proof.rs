//! Changed rules that give nothing new, because what they say stands on the other side with no more conditions on it.

use std::collections::{HashMap, HashSet};

use super::meaning::excepts_openly;
use super::{CATALOG, Comparison};
use crate::authz::pattern::Pattern;
use crate::authz::piece::Piece;
use crate::authz::policy::Policy;
use crate::authz::rule::{Conditions, EffectKind, GroupPattern, Rule, Target, Who};
use crate::registry::Action;

/// So many alternatives of a rule are taken apart; one with more is not proven.
const MOST: usize = 4096;
/// So many parts of a rule are told apart, and so many of all rules of a side; what is beyond proves nothing.
const MOST_ATOMS: usize = 100_000;
const MOST_KNOWN: usize = 500_000;

impl<'a> Comparison<'a> {
    /// Suspects that give nothing new, because every part of them stands on the other side with no more conditions on it:
    /// rules that were cut up or put together, or that name fewer people, places, actions or times than one that was there.
    pub(super) fn proven(&self, gone: &[&'a Rule], added: &[&'a Rule]) -> HashSet<*const Rule> {
        let mut proven = HashSet::new();
        for (suspects, kind, own, other) in [(added, EffectKind::Allow, self.new, self.old), (gone, EffectKind::Deny, self.old, self.new)] {
            if suspects.iter().all(|rule| rule.kind != kind) {
                continue;
            }
            // What is newly reserved closes places to captures, and may leave one way to split a name where there were two; what
            // no longer is opens some.
            let opens = !other.reserved.is_subset(&own.reserved);
            let shifts = !self.around.words.is_empty();
            let is_settled = |rule: &Rule| {
                let open = rule.patterns().iter().any(Pattern::opens_with_capture);
                !(open && (opens || (shifts && kind == EffectKind::Allow && is_ambiguous(rule)))) && !(shifts && excepts_openly(rule))
            };
            let mut known: HashMap<Atom, Vec<&Rule>> = HashMap::new();
            let mut count = 0;
            for rule in other.rules.iter().filter(|rule| rule.kind == kind) {
                let atoms = self.atoms(rule, other).unwrap_or_default();
                count += atoms.len();
                if count > MOST_KNOWN {
                    break;
                }
                for atom in atoms {
                    known.entry(atom).or_default().push(rule);
                }
            }
            let stands = |atom: Atom, rule: &Rule| {
                let wider = atom.wider(kind == EffectKind::Allow && is_ambiguous(rule));
                std::iter::once(atom)
                    .chain(wider)
                    .any(|atom| known.get(&atom).is_some_and(|others| others.iter().any(|other| is_no_narrower(other, rule))))
            };
            for rule in suspects.iter().filter(|rule| rule.kind == kind) {
                let all = self.atoms(rule, own).filter(|_| is_settled(rule));
                if all.is_some_and(|atoms| atoms.into_iter().all(|atom| stands(atom, rule))) {
                    proven.insert(std::ptr::from_ref::<Rule>(rule));
                }
            }
        }
        proven
    }

    /// The parts of a rule; `None` where there are too many.
    fn atoms(&self, rule: &Rule, policy: &Policy) -> Option<Vec<Atom>> {
        let whom: Vec<String> = match &rule.to {
            who @ (Who::Anyone | Who::Authenticated) => vec![format!("{who:?}")],
            Who::Any(choices) => {
                let mut single = Vec::new();
                for choice in choices {
                    single.extend(single_choices(choice)?.into_iter().map(|choice| format!("{choice:?}")));
                    if single.len() > MOST_ATOMS {
                        return None;
                    }
                }
                single
            }
        };
        let places: Vec<String> = match &rule.target {
            Target::Catalog => vec![CATALOG.to_owned()],
            Target::Repositories(patterns) => patterns.iter().map(ToString::to_string).collect(),
        };
        if whom.len() * places.len() > MOST_ATOMS {
            return None;
        }
        let effect = (!rule.effect.roles.is_empty()).then_some(&rule.effect);
        let around = if self.around.leave_meanings_alone(self.old, self.new) { String::new() } else { self.around.around(rule, policy) };
        let meaning = format!("{effect:?} {around}");
        let parts = rule.effect.most().iter().flat_map(|action| whom.iter().map(move |who| (action, who)));
        let each = |(action, who): (Action, &String)| {
            let atom = |place: &String| Atom { action, who: who.clone(), place: place.clone(), meaning: meaning.clone() };
            places.iter().map(atom).collect::<Vec<_>>()
        };
        Some(parts.flat_map(each).collect())
    }
}

/// Whether one rule has no condition on it that the other does not have.
fn is_no_narrower(one: &Rule, other: &Rule) -> bool {
    let closes_no_less = one.tags.is_empty() || (!other.tags.is_empty() && other.tags.iter().all(|tag| one.tags.contains(tag)));
    (one.when.is_none() || one.when == other.when) && closes_no_less && one.except.iter().all(|exception| other.except.contains(exception))
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
    /// The same for anyone, everywhere, and for anyone everywhere, as far as that covers it.
    fn wider(&self, ambiguous: bool) -> Vec<Self> {
        let anyone = Self { who: format!("{:?}", Who::Anyone), ..self.clone() };
        let everywhere = |atom: &Self| Self { place: "**".to_owned(), ..atom.clone() };
        let mut wider = Vec::new();
        if self.place != CATALOG {
            wider.push(everywhere(&anyone));
            // A name with several ways to be split gives nothing at `**`, and may have one way alone that is valid elsewhere.
            if !ambiguous {
                wider.push(everywhere(self));
            }
        }
        // For anyone `{user}` is a person of the rules' own realm, for those of a named one it is they.
        if !self.place.contains("{user}") || self.who == format!("{:?}", Who::Authenticated) {
            wider.push(anyone);
        }
        wider
    }
}

/// Whether a name may have several ways to be split over what it captures.
fn is_ambiguous(rule: &Rule) -> bool {
    let loose = |pieces: &[Piece]| pieces.iter().filter(|piece| !matches!(piece, Piece::Text(_))).count();
    let in_group = |group: &GroupPattern| match group {
        GroupPattern::Name(pieces) => loose(pieces),
        GroupPattern::Dn(pattern) => 2 * pattern.captures().count(),
    };
    rule.to.conditions().any(|conditions| {
        let users = conditions.users.iter().map(|user| loose(user));
        users.chain(conditions.groups.iter().map(in_group)).any(|loose| loose > 1)
    })
}

/// Maps with several users or groups, as maps with one each; `None` where there are too many.
fn single_choices(choice: &[Conditions]) -> Option<Vec<Vec<Conditions>>> {
    choice.iter().try_fold(vec![Vec::new()], |some, conditions| {
        if some.len() * conditions.users.len().max(1) * conditions.groups.len().max(1) > MOST {
            return None;
        }
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
        let both = some.iter().flat_map(|before| singles.iter().map(move |one| before.iter().cloned().chain([one.clone()]).collect()));
        Some(both.collect())
    })
}
