//! Which rules may be about a resource, found by the first segment of its name.

use std::collections::HashMap;

use super::rule::{Rule, Target};
use crate::registry::Resource;

/// Numbers of rules, by where they apply. Each list is in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Those of which a pattern opens with this segment.
    first: HashMap<Box<str>, Vec<usize>>,
    /// Those of which a pattern opens with anything else.
    anywhere: Vec<usize>,
    catalogue: Vec<usize>,
}

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (number, rule) in rules.iter().enumerate() {
            match &rule.target {
                Target::Catalog => index.catalogue.push(number),
                Target::Repositories(patterns) => {
                    for pattern in patterns {
                        let list = match pattern.first_segment() {
                            Some(segment) => index.first.entry(segment.into()).or_default(),
                            None => &mut index.anywhere,
                        };
                        if list.last() != Some(&number) {
                            list.push(number);
                        }
                    }
                }
            }
        }
        index
    }

    /// The rules that may be about it, each once, in the order of the file.
    pub(super) fn candidates(&self, resource: &Resource) -> Vec<usize> {
        let mut numbers = match resource {
            Resource::Catalog => self.catalogue.clone(),
            Resource::Repository(name) => {
                let opening = name.segments().next().and_then(|segment| self.first.get(segment));
                opening.into_iter().flatten().chain(&self.anywhere).copied().collect()
            }
        };
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}
