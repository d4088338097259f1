//! From an entry up through its groups and theirs, level by level. Asks nobody: it is told what was found, and says what
//! to ask next and when there is too much.

use std::collections::BTreeSet;

use super::super::entry::Entry;
use super::super::trouble::Trouble;

/// How far it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Levels of groups of groups; 0: an entry's own groups alone.
    pub(super) depth: u32,
    /// Groups of one entry.
    pub(super) count: usize,
}

impl Limits {
    /// Whether so many groups are too many.
    pub(super) fn check_count(&self, found: usize) -> Result<(), Trouble> {
        if found <= self.count {
            return Ok(());
        }
        Err(Trouble::new("groups", format!("the entry is in more than {} groups: raise `groups.nested.count`", self.count)))
    }
}

/// What is known so far.
#[derive(Debug)]
pub(super) struct Walk {
    limits: Limits,
    /// The level that was found last; 0 are an entry's own groups.
    depth: u32,
    /// By their DNs as the directory spells them.
    seen: BTreeSet<String>,
    /// Level after level.
    groups: Vec<Entry>,
    /// The level of each.
    levels: Vec<u32>,
    /// Where the last level begins among them.
    last: usize,
}

impl Walk {
    /// Before anything was found. The entry itself is in no way one of its groups.
    pub(super) fn new(dn: &str, limits: Limits) -> Self {
        Self { limits, depth: 0, seen: BTreeSet::from([dn.to_owned()]), groups: Vec::new(), levels: Vec::new(), last: 0 }
    }

    /// Whether this DN was met.
    pub(super) fn knows(&self, dn: &str) -> bool {
        self.seen.contains(dn)
    }

    /// The groups whose groups are wanted.
    pub(super) fn level(&self) -> &[Entry] {
        self.groups.get(self.last..).unwrap_or_default()
    }

    /// Takes the groups right above the last level, and says whether there is another one to ask for.
    pub(super) fn climb(&mut self, found: impl IntoIterator<Item = Entry>) -> Result<bool, Trouble> {
        let before = self.groups.len();
        for group in found {
            if self.seen.insert(group.dn.clone()) {
                self.groups.push(group);
                self.levels.push(self.depth);
                self.limits.check_count(self.groups.len())?;
            }
        }
        if self.groups.len() == before {
            return Ok(false);
        }
        if self.depth > self.limits.depth {
            let reason = format!("groups are nested deeper than {} levels: raise `groups.nested.depth`", self.limits.depth);
            return Err(Trouble::new("groups", reason));
        }
        self.last = before;
        self.depth += 1;
        Ok(self.limits.depth > 0)
    }

    /// All of them, with how many groups lie between the entry and each.
    pub(super) fn groups(self) -> impl Iterator<Item = (u32, Entry)> {
        self.levels.into_iter().zip(self.groups)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Who is in which groups, by number; 0 is the person.
    type Graph = BTreeMap<u8, BTreeSet<u8>>;

    fn walked(graph: &Graph, limits: Limits) -> Result<BTreeSet<u8>, String> {
        let above = |dns: &[String]| -> Vec<Entry> {
            let numbers = dns.iter().flat_map(|dn| graph.get(&dn.parse().unwrap()).into_iter().flatten());
            numbers.map(|number| Entry::of(&number.to_string(), &[])).collect()
        };
        let mut walk = Walk::new("0", limits);
        let mut more = walk.climb(above(&["0".to_owned()])).map_err(|trouble| trouble.reason)?;
        while more {
            let level: Vec<String> = walk.level().iter().map(|group| group.dn.clone()).collect();
            more = walk.climb(above(&level)).map_err(|trouble| trouble.reason)?;
        }
        let far = distances(graph);
        let found: Vec<(u32, u8)> = walk.groups().map(|(level, group)| (level, group.dn.parse().unwrap())).collect();
        assert!(found.iter().all(|(level, group)| far.get(group) == Some(&(level + 1))), "{found:?}");
        Ok(found.into_iter().map(|(_, group)| group).collect())
    }

    /// Naively: how far each group is from the person, by relaxing every edge as often as there are nodes.
    fn distances(graph: &Graph) -> BTreeMap<u8, u32> {
        let mut far = BTreeMap::from([(0, 0)]);
        for _ in 0..=u8::MAX {
            for (from, above) in graph {
                let Some(&distance) = far.get(from) else { continue };
                for to in above {
                    let shorter = far.get(to).is_none_or(|known| distance + 1 < *known);
                    if shorter {
                        far.insert(*to, distance + 1);
                    }
                }
            }
        }
        far.remove(&0);
        far
    }

    fn chain(length: u8) -> Graph {
        (0..length).map(|number| (number, BTreeSet::from([number + 1]))).collect()
    }

    #[test]
    fn a_chain_is_walked_to_its_end_or_not_at_all() {
        let check = |length: u8, depth: u32, count: usize, expected: Result<usize, &str>| {
            let shown = walked(&chain(length), Limits { depth, count }).map(|groups| groups.len());
            match expected {
                Ok(number) => assert_eq!(shown, Ok(number), "{length} {depth} {count}"),
                Err(limit) => assert!(shown.as_ref().is_err_and(|why| why.contains(limit)), "{length} {depth} {count}: {shown:?}"),
            }
        };
        check(0, 8, 10, Ok(0));
        check(9, 8, 10, Ok(9));
        check(10, 8, 10, Err("groups.nested.depth"));
        check(9, 8, 8, Err("groups.nested.count"));
        check(9, 0, 1, Ok(1));
        check(2, 1, 10, Ok(2));
        check(3, 1, 10, Err("groups.nested.depth"));
    }

    proptest! {
        #[test]
        fn every_group_of_a_graph_is_found_or_a_limit_is_named(
            edges in proptest::collection::vec((0_u8..12, 0_u8..12), 0..40),
            depth in 0_u32..6,
            count in 0_usize..12,
        ) {
            let mut graph = Graph::new();
            for (from, to) in edges {
                graph.entry(from).or_default().insert(to);
            }
            let far = distances(&graph);
            let limits = Limits { depth, count };
            let wanted: BTreeSet<u8> = if depth == 0 { far.iter().filter(|(_, far)| **far == 1).map(|(group, _)| *group).collect() } else { far.keys().copied().collect() };
            let too_deep = depth > 0 && far.values().any(|far| *far > depth + 1);
            match walked(&graph, limits) {
                Ok(groups) => {
                    prop_assert_eq!(&groups, &wanted);
                    prop_assert!(!too_deep && groups.len() <= count);
                }
                Err(_) => prop_assert!(too_deep || wanted.len() > count),
            }
        }
    }
}
