//! Names in rules that cannot be met, or not as they look.

use std::sync::Arc;

use crate::authz::compile::Compiler;
use crate::authz::compile::named::text_of;
use crate::authz::environment::{GroupNames, Realm};
use crate::authz::piece::{Piece, shown};
use crate::authz::rule::{Conditions, GroupPattern, Rule, Whose};

/// Warns about the groups of a rule.
pub(super) fn check(rule: &Rule, compiler: &mut Compiler<'_>) {
    for conditions in rule.conditions() {
        for group in &conditions.groups {
            hidden(rule, conditions, group, compiler);
            unnameable(rule, conditions, group, compiler);
            separators(rule, group, compiler);
        }
    }
}

/// A group that rules can no longer see, because an alias renames it.
fn hidden(rule: &Rule, conditions: &Conditions, group: &GroupPattern, compiler: &mut Compiler<'_>) {
    if conditions.whose != Whose::Home {
        return;
    }
    let alias = match group {
        GroupPattern::Name(pieces) => text_of(pieces).and_then(|name| compiler.aliases.hides_name(name)),
        GroupPattern::Dn(pattern) => pattern.key().and_then(|dn| compiler.aliases.hides_dn(&dn)),
    };
    if let Some(alias) = alias.cloned() {
        let hint = format!("write `{alias}`: rules see the alias and no longer the group's own name");
        compiler.warning(rule.place, format!("a group of the rule is renamed to `{alias}`"), &hint);
    }
}

/// A group of a realm whose providers know no groups, or know them by other names.
fn unnameable(rule: &Rule, conditions: &Conditions, group: &GroupPattern, compiler: &mut Compiler<'_>) {
    let realms: Vec<&Realm> = compiler.realms().iter().filter(|realm| means(&conditions.whose, realm, compiler.home.as_ref())).collect();
    let Some(best) = realms.iter().map(|realm| known(&conditions.whose, realm)).max() else { return };
    let alias = match group {
        GroupPattern::Name(pieces) => text_of(pieces).is_some_and(|name| compiler.aliases.is_alias(name)),
        GroupPattern::Dn(_) => false,
    };
    let (what, hint) = match (group, best) {
        (_, GroupNames::None) => ("no provider that the rule means knows groups", "name users, or the realm whose groups these are"),
        (GroupPattern::Dn(_), GroupNames::Plain) if !alias => {
            ("no provider that the rule means knows groups by a DN", "write the plain name, or the realm of the directory")
        }
        (GroupPattern::Dn(_) | GroupPattern::Name(_), GroupNames::Plain | GroupNames::Distinguished) => return,
    };
    compiler.warning(rule.place, format!("no group can be `{group}`: {what}"), hint);
}

fn means(whose: &Whose, realm: &Realm, home: Option<&Arc<str>>) -> bool {
    match whose {
        Whose::Home => Some(&realm.name) == home,
        Whose::Named { realms, providers } => {
            (realms.is_empty() || realms.contains(&realm.name))
                && (providers.is_empty() || realm.providers.iter().any(|provider| providers.contains(provider)))
        }
    }
}

/// How the providers of a realm that a map means can know groups.
fn known(whose: &Whose, realm: &Realm) -> GroupNames {
    match whose {
        Whose::Named { providers, .. } if !providers.is_empty() && providers.iter().all(|provider| realm.workloads.contains(provider)) => {
            GroupNames::None
        }
        Whose::Named { .. } | Whose::Home => realm.groups,
    }
}

/// Two captures between which stands nothing that could not also stand inside their values: names that hold it once more
/// can be split in several ways. One that names a role is told by that.
fn separators(rule: &Rule, group: &GroupPattern, compiler: &mut Compiler<'_>) {
    let GroupPattern::Name(pieces) = group else { return };
    for window in pieces.windows(3) {
        let [Piece::Capture(one), Piece::Text(between), Piece::Capture(other)] = window else { continue };
        let inside_a_value = between.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        let is_role = [one, other].iter().any(|name| rule.effect.roles.contains(name));
        if inside_a_value && !is_role {
            let message = format!("`{between}` between `{{{one}}}` and `{{{other}}}` of `{}` may also stand inside a value", shown(pieces));
            let hint = "a name that can be split in several ways gets nothing from an allow; choose a separator that no value holds, as `:` or `+`";
            compiler.warning(rule.place, message, hint);
        }
    }
    if pieces.windows(2).any(|pair| matches!(pair, [Piece::Capture(_), Piece::Capture(_)])) {
        let hint = "put a separator between them that no value holds, as `:` or `+`";
        compiler.warning(rule.place, format!("nothing stands between two captures of `{}`", shown(pieces)), hint);
    }
}
