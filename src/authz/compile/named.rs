//! Which groups and users the rules name literally.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Compiler;
use crate::authz::piece::Piece;
use crate::authz::policy::Named;
use crate::authz::rule::{Conditions, GroupPattern, Rule, Whose};

impl Compiler<'_> {
    pub(super) fn named(&self, rules: &[Rule]) -> Named {
        let (mut groups, mut users) = (BTreeSet::new(), BTreeSet::new());
        for conditions in rules.iter().flat_map(Rule::conditions) {
            for realm in self.realms_of(conditions) {
                let at_home = conditions.whose == Whose::Home || Some(&realm) == self.home.as_ref();
                for group in &conditions.groups {
                    let names = self.literal(group, at_home);
                    groups.extend(names.into_iter().map(|name| (Arc::clone(&realm), name)));
                }
                let literal = conditions.users.iter().filter_map(|pieces| text_of(pieces));
                users.extend(literal.map(|name| (Arc::clone(&realm), name.to_owned())));
            }
        }
        Named { groups: groups.into_iter().collect(), users: users.into_iter().collect() }
    }

    fn realms_of(&self, conditions: &Conditions) -> Vec<Arc<str>> {
        match &conditions.whose {
            Whose::Home => self.home.iter().cloned().collect(),
            Whose::Named { realms, .. } if !realms.is_empty() => realms.clone(),
            Whose::Named { providers, .. } => {
                let vouching = self.realms().iter().filter(|realm| realm.providers.iter().any(|name| providers.contains(name)));
                vouching.map(|realm| Arc::clone(&realm.name)).collect()
            }
        }
    }

    fn literal(&self, group: &GroupPattern, at_home: bool) -> Vec<String> {
        match group {
            GroupPattern::Name(pieces) => {
                let Some(name) = text_of(pieces) else { return Vec::new() };
                let alias = if at_home { self.originals.get(&self.folded(name)) } else { None };
                alias.map_or_else(|| vec![name.to_owned()], Clone::clone)
            }
            GroupPattern::Dn(pattern) => pattern.written().into_iter().collect(),
        }
    }
}

/// The text of pieces that hold nothing else.
pub(super) fn text_of(pieces: &[Piece]) -> Option<&str> {
    match pieces {
        [Piece::Text(text)] => Some(text),
        _ => None,
    }
}
