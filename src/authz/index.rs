//! Which lines may be about a resource, and which rules may mean who asks.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::dn::DnKey;
use super::pattern::Pattern;
use super::piece::Piece;
use super::rule::{Conditions, GroupPattern, Rule, Who, Whose};
use super::seen::Seen;
use crate::registry::Resource;

type Numbers<K> = HashMap<K, Vec<u32>, RandomState>;

/// Numbers of lines, by the literal segments with which their patterns open.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_start: Numbers<Box<str>>,
    catalogue: Vec<u32>,
}

impl Places {
    /// Takes a line; without a pattern it is about the catalogue.
    pub(super) fn add(&mut self, pattern: Option<&Pattern>, number: u32) {
        match pattern {
            Some(pattern) => self.by_start.entry(pattern.literal_start().into()).or_default().push(number),
            None => self.catalogue.push(number),
        }
    }

    /// The lines that may be about the resource.
    pub(super) fn at<'a>(&'a self, resource: &'a Resource) -> impl Iterator<Item = u32> + 'a {
        let (name, catalogue) = match resource {
            Resource::Repository(name) => (Some(name.as_str()), &[][..]),
            Resource::Catalog => (None, self.catalogue.as_slice()),
        };
        let starts = name.into_iter().flat_map(|name| {
            let ends = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
            std::iter::once("").chain(ends.filter_map(move |end| name.get(..end)))
        });
        let empty = self.by_start.is_empty();
        starts.take_while(move |_| !empty).filter_map(|start| self.by_start.get(start)).flatten().chain(catalogue).copied()
    }
}

/// Numbers of rules, by whom they may mean. Finds more than mean who asks, and never fewer.
#[derive(Debug, Default)]
pub(super) struct People {
    groups: Names,
    users: Names,
    dns: HashMap<DnKey, Vec<u32>>,
    /// DNs with captures.
    any_dn: Vec<u32>,
    providers: Numbers<Arc<str>>,
    /// What none of the others can find.
    anybody: Vec<u32>,
}

/// Names as rules write them: whole, by their start, or neither. ASCII case never counts here.
#[derive(Debug, Default)]
struct Names {
    whole: Numbers<Box<str>>,
    starts: Numbers<Box<str>>,
    /// The lengths of the starts.
    lengths: BTreeSet<usize>,
    any: Vec<u32>,
}

impl Names {
    fn add(&mut self, pieces: &[Piece], number: u32) {
        match pieces {
            [Piece::Text(text)] => self.whole.entry(text.to_ascii_lowercase().into()).or_default().push(number),
            [Piece::Text(start), ..] => {
                self.lengths.insert(start.len());
                self.starts.entry(start.to_ascii_lowercase().into()).or_default().push(number);
            }
            _ => self.any.push(number),
        }
    }

    fn find(&self, name: &str, found: &mut Vec<u32>) {
        let name = name.to_ascii_lowercase();
        found.extend(self.whole.get(name.as_str()).into_iter().flatten());
        let starts = self.lengths.iter().take_while(|length| **length < name.len()).filter_map(|length| name.get(..*length));
        found.extend(starts.filter_map(|start| self.starts.get(start)).flatten());
        found.extend(&self.any);
    }
}

impl People {
    pub(super) fn add(&mut self, rule: &Rule, number: u32) {
        let Who::Any(choices) = &rule.to else { return };
        for choice in choices {
            // Any map of a choice has to hold, so the one that is found by the fewest will do.
            let best = choice.iter().min_by_key(|conditions| (conditions.groups.is_empty(), conditions.users.is_empty()));
            if let Some(conditions) = best {
                self.add_map(conditions, number);
            }
        }
    }

    fn add_map(&mut self, conditions: &Conditions, number: u32) {
        if !conditions.users.is_empty() {
            for pieces in &conditions.users {
                self.users.add(pieces, number);
            }
        } else if !conditions.groups.is_empty() {
            for group in &conditions.groups {
                match group {
                    GroupPattern::Name(pieces) => self.groups.add(pieces, number),
                    GroupPattern::Dn(pattern) => match pattern.key() {
                        Some(key) => self.dns.entry(key).or_default().push(number),
                        None => self.any_dn.push(number),
                    },
                }
            }
        } else {
            match &conditions.whose {
                Whose::Named { providers, .. } if !providers.is_empty() => {
                    for provider in providers {
                        self.providers.entry(Arc::clone(provider)).or_default().push(number);
                    }
                }
                Whose::Named { .. } | Whose::Home => self.anybody.push(number),
            }
        }
    }

    /// The rules that may mean who asks, each once, in their order.
    pub(super) fn find(&self, seen: &Seen) -> Vec<u32> {
        let mut found = self.anybody.clone();
        self.users.find(&seen.username, &mut found);
        for group in &seen.groups {
            self.groups.find(&group.name, &mut found);
        }
        if !self.dns.is_empty() || !self.any_dn.is_empty() {
            if seen.has_unreadable_dn() {
                // It may be any of them.
                found.extend(self.dns.values().flatten());
            }
            found.extend(seen.dns().filter_map(|dn| self.dns.get(dn)).flatten());
            found.extend(&self.any_dn);
        }
        found.extend(self.providers.get(&seen.provider).into_iter().flatten());
        found.sort_unstable();
        found.dedup();
        found
    }
}
