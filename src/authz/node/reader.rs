//! What stands at a place is what belongs there, or a finding.

use super::{Entries, Kind, Node};
use crate::source::{Diagnostics, Located, Place, SourceFile, nearest};

/// Takes a tree apart and keeps every mistake that it meets.
#[derive(Debug)]
pub(in crate::authz) struct NodeReader<'a> {
    pub(in crate::authz) file: &'a SourceFile,
    pub(in crate::authz) findings: Diagnostics,
}

impl<'a> NodeReader<'a> {
    pub(in crate::authz) fn new(file: &'a SourceFile) -> Self {
        Self { file, findings: Diagnostics::default() }
    }

    /// A value that has to be a mapping.
    pub(in crate::authz) fn map(&mut self, node: Node, what: &str) -> Option<Entries> {
        match node.value {
            Kind::Map(entries) => Some(entries),
            other @ (Kind::Text(_) | Kind::Number(_) | Kind::Bool(_) | Kind::Null | Kind::List(_)) => {
                self.error(node.place, format!("{what} is a mapping, not {}", other.article()), "write `key: value`");
                None
            }
        }
    }

    /// A value that has to be a text with something in it.
    pub(in crate::authz) fn text(&mut self, node: Node, what: &str) -> Option<Located<String>> {
        let place = node.place;
        let described = if matches!(node.value, Kind::Text(_)) { "an empty text" } else { node.value.article() };
        let hint = match node.value {
            Kind::Text(text) if text.is_empty() => "write something between the quotes, or remove the key",
            Kind::Text(text) => return Some(Located { value: text, place }),
            Kind::Number(_) | Kind::Bool(_) => "quote it, as in \"991\"",
            Kind::Null => "write a value, or remove the key",
            Kind::List(_) => "write one text; a list is not possible here",
            Kind::Map(_) => "write a text; quote it if it starts with `{`",
        };
        self.error(place, format!("{what} is a text, not {described}"), hint);
        None
    }

    /// One text, or a list of texts, which may be empty.
    pub(in crate::authz) fn texts(&mut self, node: Node, what: &str) -> Vec<Located<String>> {
        match node.value {
            Kind::List(items) => items.into_iter().filter_map(|item| self.text(item, &format!("an item of {what}"))).collect(),
            Kind::Text(_) | Kind::Number(_) | Kind::Bool(_) | Kind::Null | Kind::Map(_) => self.text(node, what).into_iter().collect(),
        }
    }

    /// The items of a list, or the one value that stands without one.
    pub(in crate::authz) fn items(node: Node) -> Vec<Node> {
        let place = node.place;
        match node.value {
            Kind::List(items) => items,
            one @ (Kind::Text(_) | Kind::Number(_) | Kind::Bool(_) | Kind::Null | Kind::Map(_)) => vec![Located { value: one, place }],
        }
    }

    pub(in crate::authz) fn error(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.findings.push(self.file.error(place, message).hint(hint));
    }

    /// A key that stands where it means nothing.
    pub(in crate::authz) fn unknown(&mut self, key: &Located<String>, keys: &mut Keys) {
        let hint = match nearest(&key.value, keys.known.iter().copied()) {
            Some(meant) => {
                keys.meant.push(meant);
                format!("did you mean `{meant}`?")
            }
            None => format!("known here: {}", keys.known.join(", ")),
        };
        self.error(key.place, format!("`{}` is not a key here", key.value), hint);
    }
}

/// The keys of one mapping, and those of them that misspelt ones must have meant.
#[derive(Debug)]
pub(in crate::authz) struct Keys {
    known: &'static [&'static str],
    meant: Vec<&'static str>,
}

impl Keys {
    pub(in crate::authz) const fn new(known: &'static [&'static str]) -> Self {
        Self { known, meant: Vec::new() }
    }

    /// Whether a misspelt key stands for this one, so that it is not missing too.
    pub(in crate::authz) fn meant(&self, key: &str) -> bool {
        self.meant.contains(&key)
    }
}
