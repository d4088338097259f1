//! What a rule means beside its own words: the parts of the files and of the configuration that it depends on.
//!
//! Two rules are the same where their words and all of this are the same; what is forgotten here is a change that nobody is
//! told about. Providers and realms that only one side has are left out: they bring other people, and no other rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::authz::binding::{Fold, covers};
use crate::authz::dn::group_of_dn;
use crate::authz::pattern::{Pattern, USER};
use crate::authz::piece::Piece;
use crate::authz::policy::Policy;
use crate::authz::rule::{Conditions, GroupPattern, Rule, Who, Whose};

/// What differs around the rules.
pub(super) struct Surroundings {
    /// Words that were reserved and no longer are, or the other way round.
    pub(super) words: BTreeSet<String>,
    /// Aliases with what they stand for that only one side has: the alias, and a name, a DN or an id.
    aliases: BTreeSet<(String, String)>,
    /// Names of groups that are called otherwise on the other side.
    renamed: BTreeSet<String>,
    /// Whether groups of which the name is not known are among them.
    renamed_by_id: bool,
    /// Providers that vouch for another realm than before, or for workloads instead of people.
    moved: BTreeSet<Arc<str>>,
}

impl Surroundings {
    pub(super) fn between(old: &Policy, new: &Policy) -> Self {
        let (before, after) = (old.aliases.entries(), new.aliases.entries());
        let aliases: BTreeSet<(String, String)> = before.symmetric_difference(&after).cloned().collect();
        let mut renamed = BTreeSet::new();
        let mut renamed_by_id = false;
        for (alias, original) in &aliases {
            renamed.insert(alias.clone());
            match original.split_once(':') {
                Some(("name", name)) => drop(renamed.insert(name.to_owned())),
                Some(("dn", dn)) => renamed.extend(group_of_dn(dn).map(|group| group.name)),
                Some(_) | None => renamed_by_id = true,
            }
        }
        let (was, is) = (providers(old), providers(new));
        let moved = was.iter().filter(|(name, place)| is.get(*name).is_some_and(|now| now != *place));
        Self {
            words: old.reserved.symmetric_difference(&new.reserved).cloned().collect(),
            moved: moved.map(|(name, _)| Arc::clone(name)).collect(),
            aliases,
            renamed,
            renamed_by_id,
        }
    }

    /// Whether nothing differs.
    pub(super) fn are_the_same(&self) -> bool {
        self.words.is_empty() && self.aliases.is_empty() && self.moved.is_empty()
    }

    /// Whether the same words mean the same on both sides, what is reserved apart.
    pub(super) fn leave_meanings_alone(&self, old: &Policy, new: &Policy) -> bool {
        let same_names = self.aliases.is_empty() && self.moved.is_empty();
        same_names && old.home == new.home && old.realms == new.realms && old.roles == new.roles
    }

    /// Everything that a rule means, its name and place apart.
    pub(super) fn meaning(&self, rule: &Rule, policy: &Policy) -> String {
        // A change of what is reserved changes every rule of which a capture opens a pattern.
        let opens = rule.patterns().iter().any(Pattern::opens_with_capture) || excepts_openly(rule);
        let reserved = (!self.words.is_empty() && opens).then_some(&policy.reserved);
        let words = (rule.kind, &rule.effect, &rule.to, &rule.target, &rule.except, &rule.when, &rule.tags);
        format!("{words:?} {reserved:?} {}", self.around(rule, policy))
    }

    /// What it depends on beside its own words and what is reserved.
    pub(super) fn around(&self, rule: &Rule, policy: &Policy) -> String {
        let roles: Vec<_> = if rule.effect.roles.is_empty() { Vec::new() } else { policy.roles.iter().collect() };
        let aliases: Vec<_> = rule.conditions().flat_map(|conditions| policy.aliases_in(conditions)).collect();
        let renaming = rule.conditions().any(|conditions| self.renames_for(conditions, policy)).then(|| policy.aliases.entries());
        let personal = is_personal(rule);
        let at_home = personal || rule.conditions().any(|conditions| conditions.whose == Whose::Home);
        let home = policy.home.as_ref().filter(|_| at_home);
        let own = home.filter(|_| personal).and_then(|home| policy.realms.get(home));
        let moved = (rule.to != Who::Anyone || personal || rule.conditions().next().is_some()).then(|| self.moved_in(policy));
        format!("{:?}", (roles, aliases, renaming, home, own, policy.realms_in(rule), moved))
    }

    /// Whether groups that are called otherwise on the other side may be among those of a map.
    fn renames_for(&self, conditions: &Conditions, policy: &Policy) -> bool {
        let may_mean_home = policy.home.as_ref().is_none_or(|home| conditions.whose.may_mean(home, policy.home.as_ref()));
        may_mean_home
            && !self.aliases.is_empty()
            && conditions.groups.iter().any(|group| match group {
                GroupPattern::Name(pieces) => self.renamed_by_id || self.renamed.iter().any(|name| may_cover(pieces, name)),
                // A group that is renamed has no DN for rules.
                GroupPattern::Dn(_) => true,
            })
    }

    /// Where the providers that moved are on this side.
    fn moved_in(&self, policy: &Policy) -> BTreeMap<Arc<str>, (Arc<str>, bool)> {
        let mut places = providers(policy);
        places.retain(|name, _| self.moved.contains(name));
        places
    }
}

fn may_cover(pieces: &[Piece], name: &str) -> bool {
    covers(pieces, name, Fold::Unicode)
}

/// The realm of every provider, and whether it knows workloads.
fn providers(policy: &Policy) -> BTreeMap<Arc<str>, (Arc<str>, bool)> {
    let realms = policy.environment.realms.0.iter();
    let each = realms
        .flat_map(|realm| realm.providers.iter().map(|name| (Arc::clone(name), (Arc::clone(&realm.name), realm.workloads.contains(name)))));
    each.collect()
}

/// Whether `{user}` stands in it.
fn is_personal(rule: &Rule) -> bool {
    let excepted = rule.except.iter().flat_map(|exception| &exception.repository);
    rule.patterns().iter().chain(excepted).flat_map(Pattern::captures).any(|name| &**name == USER)
}

/// Whether a capture opens a pattern of an exception.
pub(super) fn excepts_openly(rule: &Rule) -> bool {
    rule.except.iter().flat_map(|exception| &exception.repository).any(Pattern::opens_with_capture)
}
