//! Roles and actions: the words behind `roles`, `allow` and `deny`.

use super::Compiler;
use crate::authz::binding::component;
use crate::authz::document::{EffectKind, Text};
use crate::authz::pattern::USER;
use crate::authz::piece::whole_capture;
use crate::authz::rule::{Effect, Roles};
use crate::registry::{Action, ActionSet};
use crate::source::{Place, nearest};

/// The one word about the list of all repositories.
pub(super) const CATALOG: &str = "catalog";
/// Pull, push and delete, in a deny.
const ALL: &str = "all";

/// The roles that every file has.
pub(super) fn built_in() -> Roles {
    let role = |name: &str, actions: &[Action]| (name.to_owned(), actions.iter().copied().collect());
    Roles::from([
        role("viewer", &[Action::Pull]),
        role("contributor", &[Action::Pull, Action::Push]),
        role("owner", &[Action::Pull, Action::Push, Action::Delete]),
    ])
}

/// What the words behind `allow` or `deny` mean.
pub(super) enum Words {
    /// Actions on repositories.
    Repository(Effect),
    /// The list of all repositories.
    Catalog,
}

impl Compiler<'_> {
    pub(super) fn add_roles(&mut self, roles: &[(Text, Vec<Text>)]) {
        let built_in = built_in();
        for (name, words) in roles {
            let taken = [CATALOG, ALL].contains(&name.value.as_str()) || action(&name.value).is_some();
            if taken || component(&name.value, false).is_none() {
                let hint = "a role is called by lower-case letters and digits, joined by `.`, `_` or dashes, and not like an action";
                self.error(name.place, format!("`{}` cannot be a role", name.value), hint);
                continue;
            }
            let mut actions = ActionSet::EMPTY;
            for word in words {
                match action(&word.value) {
                    Some(action) => actions |= action.into(),
                    None => self.error(word.place, format!("`{}` is not an action", word.value), "a role lists pull, push and delete"),
                }
            }
            if !self.roles_written.insert(name.value.clone()) {
                self.error(
                    name.place,
                    format!("the role `{}` is defined already", name.value),
                    "roles are seen by all files; keep one of them",
                );
                continue;
            }
            match built_in.get(&name.value) {
                Some(meaning) if *meaning != actions => {
                    self.error(name.place, format!("`{}` means [{meaning}] in every file", name.value), "choose another name for the role");
                }
                Some(_) | None => {
                    self.roles.insert(name.value.clone(), actions);
                }
            }
        }
    }

    /// The words of one rule; `None` where there is none that can be used.
    pub(super) fn words(&mut self, kind: EffectKind, words: &[Text]) -> Option<Words> {
        if let Some(catalog) = words.iter().find(|word| word.value == CATALOG) {
            if words.len() > 1 {
                self.error(catalog.place, "`catalog` stands alone", "write a rule of its own for it");
                return None;
            }
            return Some(Words::Catalog);
        }
        let mut effect = Effect { actions: ActionSet::EMPTY, roles: Vec::new() };
        let before = self.count();
        for word in words {
            self.word(kind, word, &mut effect);
        }
        (!words.is_empty() && self.count() == before).then_some(Words::Repository(effect))
    }

    fn word(&mut self, kind: EffectKind, word: &Text, effect: &mut Effect) {
        match whole_capture(&word.value) {
            Some(Ok(capture)) if &*capture == USER => {
                self.error(word.place, "`{user}` is the name of who asks and no role", "write a role or an action");
            }
            // A word that stands there twice says nothing more.
            Some(Ok(capture)) if effect.roles.contains(&capture) => {}
            Some(Ok(capture)) => effect.roles.push(capture),
            Some(Err(error)) => self.pattern(word, &error),
            None => match (self.meaning(&word.value), kind) {
                (Some(actions), _) => effect.actions |= actions,
                (None, EffectKind::Deny) if word.value == ALL => effect.actions |= ActionSet::REPOSITORY,
                (None, EffectKind::Allow) if word.value == ALL => {
                    self.error(word.place, "`all` is for `deny`", "write `allow: owner` for pull, push and delete");
                }
                (None, EffectKind::Allow | EffectKind::Deny) => {
                    let roles: Vec<&str> = self.roles.keys().map(String::as_str).collect();
                    let known = roles.iter().copied().chain(["pull", "push", "delete", CATALOG]);
                    let hint = match nearest(&word.value, known) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => format!("actions are pull, push, delete and catalog; roles are {}", roles.join(", ")),
                    };
                    self.error(word.place, format!("`{}` is neither a role nor an action", word.value), &hint);
                }
            },
        }
    }

    fn meaning(&self, word: &str) -> Option<ActionSet> {
        action(word).map(ActionSet::from).or_else(|| self.roles.get(word).copied())
    }

    /// A push without the pull that registries want beside it.
    pub(super) fn check_push(&mut self, kind: EffectKind, effect: &Effect, place: Place) {
        let alone = effect.roles.is_empty() && effect.actions.contains(Action::Push) && !effect.actions.contains(Action::Pull);
        if kind == EffectKind::Allow && alone {
            self.warning(place, "`push` without `pull`", "registries want pull beside push: write `contributor`");
        }
    }
}

/// The action of a word; `*` is none.
pub(super) fn action(word: &str) -> Option<Action> {
    Action::from_word(word).filter(|action| *action != Action::All)
}
