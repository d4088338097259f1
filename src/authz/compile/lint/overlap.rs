//! Namespaces that two kinds of names may both own.

use std::collections::{BTreeMap, BTreeSet};

use crate::authz::compile::Compiler;
use crate::authz::document::EffectKind;
use crate::authz::pattern::{Pattern, USER};
use crate::authz::rule::{Rule, Who, Whose};
use crate::registry::Action;

/// Whose names may stand at a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Owners {
    /// `users` or `groups`.
    kind: &'static str,
    /// Of these realms and providers; empty for the file's own.
    whose: Vec<String>,
}

/// Warns where a person and a team, or people of two realms, may be given one and the same namespace by their names; and
/// where a captured value may be a namespace that is everybody's.
pub(super) fn check(rules: &[Rule], compiler: &mut Compiler<'_>) {
    let allows = || rules.iter().filter(|rule| rule.kind == EffectKind::Allow);
    let mut places: BTreeMap<String, (Owners, &Rule)> = BTreeMap::new();
    for rule in allows() {
        for pattern in rule.patterns().iter().filter(|pattern| pattern.captures().next().is_some()) {
            let owners = owners(rule, pattern);
            let place = pattern.loosened().to_string();
            match places.get(&place) {
                Some((others, other)) if *others != owners && writes(rule, other) => {
                    let message = format!("{} and {} may own the same namespace `{pattern}`", described(&owners), described(others));
                    let hint = format!(
                        "whoever is called like another gets what is theirs (the other rule is {}); put them below different first segments",
                        other.name
                    );
                    compiler.enter(rule.file);
                    compiler.warning(rule.place, message, &hint);
                }
                Some(_) => {}
                None => {
                    places.insert(place, (owners, rule));
                }
            }
        }
    }
    let Some(opened) = allows().find(|rule| rule.patterns().iter().any(Pattern::opens_with_capture)) else { return };
    let reserved = compiler.reserved.clone().unwrap_or_default();
    let mut told = BTreeSet::new();
    for rule in allows().filter(|rule| !matches!(rule.to, Who::Any(_))) {
        for pattern in rule.patterns() {
            let start = pattern.literal_start();
            let first = start.split('/').next().unwrap_or_default();
            if !first.is_empty() && !first.contains(':') && !reserved.contains(first) && told.insert(first.to_owned()) {
                let message = format!("a captured value may be `{first}`, whose images are for everybody");
                let hint = format!("add `{first}` to `reserved`: {} gives a namespace by a captured name", opened.name);
                compiler.enter(rule.file);
                compiler.warning(rule.place, message, &hint);
            }
        }
    }
}

/// Reading what is another's is seldom a danger; writing is.
fn writes(one: &Rule, other: &Rule) -> bool {
    [one, other].iter().any(|rule| rule.effect.most().contains(Action::Push) || rule.effect.most().contains(Action::Delete))
}

fn owners(rule: &Rule, pattern: &Pattern) -> Owners {
    let by_user = pattern.captures().any(|name| &**name == USER) || rule.to.conditions().any(|conditions| !conditions.users.is_empty());
    let whose = rule.to.conditions().filter_map(|conditions| match &conditions.whose {
        Whose::Home => None,
        Whose::Named { realms, providers } => Some(realms.iter().chain(providers).map(ToString::to_string)),
    });
    let whose: BTreeSet<String> = whose.flatten().collect();
    Owners { kind: if by_user { "users" } else { "groups" }, whose: whose.into_iter().collect() }
}

fn described(owners: &Owners) -> String {
    if owners.whose.is_empty() { owners.kind.to_owned() } else { format!("{} of {}", owners.kind, owners.whose.join(", ")) }
}
