//! `asks` and `gets`: scopes, and the part of them that is expected.

use std::collections::BTreeMap;

use crate::authz::node::{Kind, Node, NodeReader};
use crate::registry::{Action, ActionSet, Resource, ResourceScope};
use crate::source::Located;

/// What is expected, by resource.
type Access = BTreeMap<Resource, ActionSet>;

/// Reads `asks`: a scope or a list of them, each resource once.
pub(super) fn asks(reader: &mut NodeReader<'_>, node: Node) -> Vec<ResourceScope> {
    if node.value == Kind::List(Vec::new()) {
        reader.error(node.place, "the case asks for nothing", "write what is asked for, as in `asks: repository:payments/api:pull`");
    }
    let mut scopes: Vec<ResourceScope> = Vec::new();
    for text in reader.texts(node, "`asks`") {
        let Some(scope) = scope(reader, &text) else { continue };
        if scopes.iter().any(|known| known.resource == scope.resource) {
            reader.error(text.place, format!("`{}` is asked for twice", scope.resource), "write all its actions into one scope");
        } else {
            scopes.push(scope);
        }
    }
    scopes
}

/// Reads `gets`: actions of the one scope, whole scopes, `catalog`, or `nothing`. Expects no more than `asks` asks for.
pub(super) fn gets(reader: &mut NodeReader<'_>, node: Node, asks: &[ResourceScope]) -> Option<Located<Access>> {
    let place = node.place;
    if node.value == Kind::List(Vec::new()) {
        reader.error(place, "`gets` is an empty list", "write `gets: nothing`");
        return None;
    }
    let words = reader.texts(node, "`gets`");
    let mut access = Access::new();
    for word in &words {
        if word.value == "nothing" {
            if words.len() > 1 {
                reader.error(word.place, "`nothing` stands beside something", "keep one of them");
            }
        } else if let Some(expected) = part(reader, word, asks) {
            // Where `asks` could not be read, that is the finding.
            if !asks.is_empty() && !asked(asks, &expected.resource).covers(expected.actions) {
                let hint = "nobody gets what is not asked for; add it to `asks`, or remove it here";
                reader.error(word.place, format!("`{}` is not asked for", word.value), hint);
            }
            *access.entry(expected.resource).or_default() |= expected.actions;
        }
    }
    Some(Located { value: access, place })
}

/// One item of `gets`. `None` where it cannot be read, or where nothing was asked that could be.
fn part(reader: &mut NodeReader<'_>, word: &Located<String>, asks: &[ResourceScope]) -> Option<ResourceScope> {
    if word.value == "catalog" {
        return Some(ResourceScope { resource: Resource::Catalog, actions: ActionSet::CATALOG });
    }
    if word.value.contains(':') {
        let expected = scope(reader, word)?;
        if expected.actions.contains(Action::All) && expected.resource != Resource::Catalog {
            reader.error(word.place, "`*` is never granted on a repository", "list what is expected: pull, push, delete");
            return None;
        }
        return Some(expected);
    }
    let action = Action::from_word(&word.value).filter(|action| *action != Action::All);
    let Some(action) = action else {
        let hint = "write pull, push and delete, `catalog`, whole scopes, or `nothing`";
        reader.error(word.place, format!("`{}` is no action that is granted", word.value), hint);
        return None;
    };
    match asks {
        [] => None,
        [only] => Some(ResourceScope { resource: only.resource.clone(), actions: action.into() }),
        [first, ..] => {
            let hint = format!("write whole scopes, as in `gets: [{}:{}]`", first.resource, word.value);
            reader.error(word.place, format!("it is open which scope gets `{}`", word.value), hint);
            None
        }
    }
}

/// Which actions may come of what was asked: `*` on a repository asks for each of its actions.
fn asked(asks: &[ResourceScope], resource: &Resource) -> ActionSet {
    let actions = asks.iter().find(|scope| scope.resource == *resource).map_or(ActionSet::EMPTY, |scope| scope.actions);
    match resource {
        Resource::Repository(_) if actions.contains(Action::All) => ActionSet::REPOSITORY,
        Resource::Repository(_) | Resource::Catalog => actions,
    }
}

/// A scope of which every word is an action: what a client may get wrong is a mistake in a test.
fn scope(reader: &mut NodeReader<'_>, text: &Located<String>) -> Option<ResourceScope> {
    let hint = "write `repository:NAME:ACTIONS` or `registry:catalog:*`; several stand in a list";
    let scope: ResourceScope = match text.value.parse() {
        Ok(scope) => scope,
        Err(error) => {
            reader.error(text.place, error.to_string(), hint);
            return None;
        }
    };
    let words = text.value.rsplit(':').next().unwrap_or_default().split(',');
    for word in words.filter(|word| Action::from_word(word).is_none()) {
        reader.error(text.place, format!("`{word}` is no action"), "the actions are pull, push, delete and *");
    }
    Some(scope)
}
