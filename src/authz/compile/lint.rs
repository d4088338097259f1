//! Warnings: what is no mistake in itself, but hardly what somebody wanted.

mod names;
mod overlap;

use std::collections::{BTreeSet, HashMap};

use super::Compiler;
use super::named::text_of;
use crate::authz::binding::{Fold, component, covers};
use crate::authz::document::{EffectKind, Original, Text};
use crate::authz::pattern::Pattern;
use crate::authz::piece::Piece;
use crate::authz::rule::{Conditions, Effect, Exception, GroupPattern, Rule, Target, Who};
use crate::authz::when::When;
use crate::registry::{Action, ActionSet};

/// Everything that two rules have in common when they are about the same people, places and times.
type About<'a> = (EffectKind, &'a Who, &'a Target, &'a [Exception], &'a Option<When>, &'a [String]);

/// About rules, alone and together.
pub(super) fn rules(rules: &[Rule], compiler: &mut Compiler<'_>) {
    let everybody = Everybody::of(rules);
    let allowed = rules.iter().filter(|rule| rule.kind == EffectKind::Allow);
    let allowed = allowed.fold(ActionSet::EMPTY, |all, rule| all | rule.effect.most());
    let mut seen: HashMap<About<'_>, (&Effect, &Rule)> = HashMap::new();
    for rule in rules {
        compiler.enter(rule.file);
        let about: About<'_> = (rule.kind, &rule.to, &rule.target, &rule.except, &rule.when, &rule.tags);
        match seen.get(&about) {
            Some((first, other))
                if first.roles == rule.effect.roles && first.actions.covers(rule.effect.actions) && other.ttl == rule.ttl =>
            {
                let message = if other.file == rule.file {
                    format!("the rule says what the one in line {} says", other.place.line)
                } else {
                    format!("the rule says what the one in `{}`, line {}, says", other.name.file, other.place.line)
                };
                compiler.warning(rule.place, message, "remove one of the two");
            }
            Some(_) => {}
            None => {
                seen.insert(about, (&rule.effect, rule));
            }
        }
        unused_captures(rule, compiler);
        host_names(rule, compiler);
        names::check(rule, compiler);
        without_effect(rule, allowed, &everybody, compiler);
        broad(rule, compiler);
    }
    overlap::check(rules, compiler);
}

/// What rules without conditions allow or deny to everybody, by pattern; one that holds `{user}` is another for each.
#[derive(Default)]
struct Everybody<'a> {
    allowed: HashMap<&'a Pattern, ActionSet>,
    denied: HashMap<&'a Pattern, ActionSet>,
    denied_everywhere: ActionSet,
    allowed_everywhere: ActionSet,
}

impl<'a> Everybody<'a> {
    fn of(rules: &'a [Rule]) -> Self {
        let mut everybody = Self::default();
        for rule in
            rules.iter().filter(|rule| rule.to == Who::Anyone && rule.except.is_empty() && rule.when.is_none() && rule.tags.is_empty())
        {
            let (by_pattern, everywhere) = match rule.kind {
                EffectKind::Allow => (&mut everybody.allowed, &mut everybody.allowed_everywhere),
                EffectKind::Deny => (&mut everybody.denied, &mut everybody.denied_everywhere),
            };
            for pattern in rule.patterns().iter().filter(|pattern| pattern.captures().next().is_none()) {
                *by_pattern.entry(pattern).or_default() |= rule.effect.actions;
                if pattern.is_everything() {
                    *everywhere |= rule.effect.actions;
                }
            }
        }
        everybody
    }

    /// Whether all that an allow gives is denied to everybody.
    fn shadows(&self, rule: &Rule) -> bool {
        !self.denied.is_empty() && all_covered(rule, &self.denied, self.denied_everywhere)
    }

    /// Whether all that an allow gives, everybody has.
    fn repeats(&self, rule: &Rule) -> bool {
        rule.to != Who::Anyone && !self.allowed.is_empty() && all_covered(rule, &self.allowed, self.allowed_everywhere)
    }
}

fn all_covered(rule: &Rule, by_pattern: &HashMap<&Pattern, ActionSet>, everywhere: ActionSet) -> bool {
    let covered = |pattern| (everywhere | by_pattern.get(pattern).copied().unwrap_or_default()).covers(rule.effect.most());
    rule.target != Target::Catalog && rule.patterns().iter().all(covered)
}

fn without_effect(rule: &Rule, allowed: ActionSet, everybody: &Everybody<'_>, compiler: &mut Compiler<'_>) {
    match rule.kind {
        EffectKind::Deny if (rule.effect.most() & allowed).is_empty() => compiler.warning(
            rule.place,
            "the rule is without effect: no rule allows what it denies",
            "remove it, or look for a mistake in the others",
        ),
        EffectKind::Allow if everybody.shadows(rule) => compiler.warning(
            rule.place,
            "the rule is without effect: others deny to everybody what it allows",
            "remove it, or add it to their `except`",
        ),
        EffectKind::Allow if everybody.repeats(rule) && rule.ttl == crate::authz::rule::Ttl::default() => compiler.warning(
            rule.place,
            "the rule is without effect: others allow to everybody what it allows",
            "remove it, or narrow the rule for `anyone`",
        ),
        EffectKind::Allow | EffectKind::Deny => {}
    }
}

/// Rights that reach further than most who write them expect.
fn broad(rule: &Rule, compiler: &mut Compiler<'_>) {
    if rule.kind != EffectKind::Allow {
        return;
    }
    match (&rule.to, &rule.target) {
        (Who::Anyone, Target::Repositories(_)) if !ActionSet::from(Action::Pull).covers(rule.effect.most()) => compiler.warning(
            rule.place,
            "anyone may do more than pull here",
            "`anyone` needs no password; write `authenticated` or a group",
        ),
        (to, Target::Catalog) if !names_each(to) => compiler.warning(
            rule.place,
            "the catalogue shows every repository's name, also those of others",
            "give it to a few groups or users, each by its whole name",
        ),
        (_, _) => {}
    }
}

/// Whether it is for groups and users that are named one by one.
fn names_each(to: &Who) -> bool {
    let Who::Any(choices) = to else { return false };
    choices.iter().all(|choice| {
        choice.iter().any(|conditions| {
            let literal = |pieces: &Vec<Piece>| text_of(pieces).is_some();
            let users = !conditions.users.is_empty() && conditions.users.iter().all(literal);
            let groups =
                !conditions.groups.is_empty() && conditions.groups.iter().all(|group| group.captures().next().is_none() && !is_glob(group));
            users || groups || !conditions.claims.is_empty()
        })
    })
}

fn is_glob(group: &GroupPattern) -> bool {
    match group {
        GroupPattern::Name(pieces) => text_of(pieces).is_none(),
        GroupPattern::Dn(pattern) => pattern.key().is_none(),
    }
}

/// A first segment that only a host can have: registries leave their own out of names.
fn host_names(rule: &Rule, compiler: &mut Compiler<'_>) {
    for pattern in rule.patterns() {
        let start = pattern.literal_start();
        let first = start.split('/').next().unwrap_or_default();
        if !first.is_empty() && component(first, false).is_none() {
            let hint = "names have lower-case letters, and begin behind the registry's own host: write payments/** for registry.corp.example/payments/app";
            compiler.warning(rule.place, format!("`{first}` can only be a host, and few names begin with one"), hint);
        }
    }
}

/// Aliases that no rule looks at.
pub(super) fn aliases(rules: &[Rule], groups: &[(Text, Vec<Original>)], compiler: &mut Compiler<'_>) {
    if groups.is_empty() {
        return;
    }
    let names: Vec<_> = rules.iter().flat_map(Rule::conditions).flat_map(names_of).collect();
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

/// A capture that nothing uses still refuses names that are no path component.
fn unused_captures(rule: &Rule, compiler: &mut Compiler<'_>) {
    let used: BTreeSet<&str> = rule
        .patterns()
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
            rule.place,
            format!("`{{{name}}}` is captured and used nowhere"),
            "write `*`, which also takes what could stand in no repository name",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::authz::cases::example_realms;
    use crate::authz::policy::Policy;
    use crate::source::SourceFile;

    fn warnings(rules: &str) -> String {
        let text = format!("version: 1\nrealm: corp\nreserved: []\nrules:\n{rules}");
        Policy::compile(&SourceFile::new("rules.yaml", text), &example_realms()).unwrap().1.to_string()
    }

    /// For anyone `{user}` is a person of the rules' own realm, for robots it is a robot.
    #[test]
    fn a_personal_place_is_not_the_same_for_everybody() {
        let robots = "  - {to: {realm: robots}, allow: pull, repository: \"users/{user}/**\"}\n";
        for effect in ["allow: viewer", "deny: all"] {
            let told = warnings(&format!("  - {{to: anyone, {effect}, repository: \"users/{{user}}/**\"}}\n{robots}"));
            assert!(!told.contains("to everybody what it allows"), "{told}");
            let told = warnings(&format!("  - {{to: anyone, {effect}, repository: \"**\"}}\n{robots}"));
            assert!(told.contains("to everybody what it allows"), "{told}");
        }
    }
}
