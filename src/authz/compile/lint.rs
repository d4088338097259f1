//! Warnings: what is no mistake in itself, but hardly what somebody wanted.

use std::collections::{BTreeSet, HashMap};

use super::Compiler;
use super::named::text_of;
use crate::authz::binding::{Fold, covers};
use crate::authz::document::{EffectKind, Original, Text};
use crate::authz::pattern::Pattern;
use crate::authz::piece::Piece;
use crate::authz::rule::{Conditions, Effect, Exception, GroupPattern, Rule, Target, Who, Whose};
use crate::registry::{Action, ActionSet};
use crate::source::Place;

/// Everything that two rules have in common when they are about the same people and places.
type About<'a> = (EffectKind, &'a Who, &'a Target, &'a [Exception]);

/// About rules, alone and together.
pub(super) fn rules(rules: &[(Rule, Place)], compiler: &mut Compiler<'_>) {
    let allowed = rules.iter().filter(|(rule, _)| rule.kind == EffectKind::Allow);
    let allowed = allowed.fold(ActionSet::EMPTY, |all, (rule, _)| all | rule.effect.most());
    let mut seen: HashMap<About<'_>, (&Effect, Place)> = HashMap::new();
    let denied = denied_to_all(rules);
    let everywhere =
        denied.iter().filter(|(pattern, _)| pattern.is_everything()).fold(ActionSet::EMPTY, |all, (_, actions)| all | *actions);
    for (rule, place) in rules {
        let about: About<'_> = (rule.kind, &rule.to, &rule.target, &rule.except);
        match seen.get(&about) {
            Some((first, line)) if first.roles == rule.effect.roles && first.actions.covers(rule.effect.actions) => {
                compiler.warning(*place, format!("the rule says what the one in line {} says", line.line), "remove one of the two");
            }
            Some(_) => {}
            None => {
                seen.insert(about, (&rule.effect, *place));
            }
        }
        unused_captures(rule, *place, compiler);
        hidden_groups(rule, *place, compiler);
        let nothing_to_do = match rule.kind {
            EffectKind::Deny => (rule.effect.most() & allowed).is_empty(),
            EffectKind::Allow => shadowed(rule, &denied, everywhere),
        };
        match rule.kind {
            EffectKind::Deny if nothing_to_do => {
                compiler.warning(
                    *place,
                    "the rule is without effect: no rule allows what it denies",
                    "remove it, or look for a mistake in the others",
                );
            }
            EffectKind::Allow if nothing_to_do => {
                compiler.warning(
                    *place,
                    "the rule is without effect: others deny to everybody what it allows",
                    "remove it, or add it to their `except`",
                );
            }
            EffectKind::Allow if rule.to == Who::Anyone && !ActionSet::from(Action::Pull).covers(rule.effect.most()) => {
                compiler.warning(
                    *place,
                    "anyone may do more than pull here",
                    "`anyone` needs no password; write `authenticated` or a group",
                );
            }
            EffectKind::Allow | EffectKind::Deny => {}
        }
    }
}

/// Aliases that no rule looks at.
pub(super) fn aliases(rules: &[(Rule, Place)], groups: &[(Text, Vec<Original>)], compiler: &mut Compiler<'_>) {
    if groups.is_empty() {
        return;
    }
    let names: Vec<_> = rules.iter().flat_map(|(rule, _)| rule.conditions()).flat_map(names_of).collect();
    // Literal names, which are nearly all of them, by their hash; the few others one by one.
    let literal: BTreeSet<String> = names.iter().filter_map(|pieces| text_of(pieces)).map(str::to_ascii_lowercase).collect();
    let globs: BTreeSet<_> = names.into_iter().filter(|pieces| text_of(pieces).is_none()).collect();
    for (alias, _) in groups {
        let used =
            literal.contains(&alias.value.to_ascii_lowercase()) || globs.iter().any(|pieces| covers(pieces, &alias.value, Fold::Ascii));
        if !used {
            compiler.warning(
                alias.place,
                format!("no rule uses the alias `{}`", alias.value),
                "remove it, or look for a mistake in the rules",
            );
        }
    }
}

fn names_of(conditions: &Conditions) -> impl Iterator<Item = &Vec<Piece>> {
    conditions.groups.iter().filter_map(|group| match group {
        GroupPattern::Name(pieces) => Some(pieces),
        GroupPattern::Dn(_) => None,
    })
}

/// What is denied to everybody without exception, by pattern.
fn denied_to_all(rules: &[(Rule, Place)]) -> HashMap<&Pattern, ActionSet> {
    let mut denied = HashMap::new();
    for (rule, _) in rules {
        if let (EffectKind::Deny, Who::Anyone, [], Target::Repositories(patterns)) =
            (rule.kind, &rule.to, rule.except.as_slice(), &rule.target)
        {
            for pattern in patterns {
                *denied.entry(pattern).or_default() |= rule.effect.actions;
            }
        }
    }
    denied
}

fn shadowed(rule: &Rule, denied: &HashMap<&Pattern, ActionSet>, everywhere: ActionSet) -> bool {
    match &rule.target {
        Target::Repositories(patterns) if !denied.is_empty() => patterns.iter().all(|pattern| {
            let here = everywhere | denied.get(pattern).copied().unwrap_or_default();
            here.covers(rule.effect.most())
        }),
        Target::Repositories(_) | Target::Catalog => false,
    }
}

/// A capture that nothing uses still refuses names that are no path component.
fn unused_captures(rule: &Rule, place: Place, compiler: &mut Compiler<'_>) {
    let patterns = match &rule.target {
        Target::Repositories(patterns) => patterns.as_slice(),
        Target::Catalog => &[],
    };
    let used: BTreeSet<&str> = patterns
        .iter()
        .chain(rule.except.iter().flat_map(|exception| &exception.repository))
        .flat_map(Pattern::captures)
        .chain(&rule.effect.roles)
        .map(|name| &**name)
        .collect();
    let unused: BTreeSet<&str> =
        rule.conditions().flat_map(Conditions::captures).map(|name| &**name).filter(|name| !used.contains(name)).collect();
    for name in unused {
        compiler.warning(
            place,
            format!("`{{{name}}}` is captured and used nowhere"),
            "write `*`, which also takes what could stand in no repository name",
        );
    }
}

/// A group that rules can no longer see, because an alias renames it.
fn hidden_groups(rule: &Rule, place: Place, compiler: &mut Compiler<'_>) {
    for conditions in rule.conditions().filter(|conditions| conditions.whose == Whose::Home) {
        for group in &conditions.groups {
            let alias = match group {
                GroupPattern::Name(pieces) => text_of(pieces).and_then(|name| compiler.aliases.hides_name(name)),
                GroupPattern::Dn(pattern) => pattern.key().and_then(|dn| compiler.aliases.hides_dn(&dn)),
            };
            if let Some(alias) = alias.cloned() {
                let hint = format!("write `{alias}`: rules see the alias and no longer the group's own name");
                compiler.warning(place, format!("a group of the rule is renamed to `{alias}`"), &hint);
            }
        }
    }
}
