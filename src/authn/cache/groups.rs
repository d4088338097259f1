//! Groups that were read a moment ago, so that a login costs its directory no search for them.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::authn::identity::Group;

/// All of them together take about so many bytes.
const CAPACITY: u64 = 16 * 1024 * 1024;

/// Whose groups: the stable id, and where the entry stands.
type Key = (String, String);

/// The groups of those who were seen last, each for the same length of time. Dies with its directory, so a reload of providers
/// empties it.
pub(in crate::authn) struct KeptGroups(Cache<Key, Arc<[Group]>>);

impl KeptGroups {
    /// `None` where they are read each time.
    pub(in crate::authn) fn new(age: Duration) -> Option<Self> {
        let weight = |key: &Key, groups: &Arc<[Group]>| {
            let texts = groups.iter().flat_map(|group| [Some(&group.name), group.dn.as_ref(), group.id.as_ref()]).flatten();
            let size = key.0.len() + key.1.len() + groups.len() * size_of::<Group>() + texts.map(String::len).sum::<usize>();
            u32::try_from(size).unwrap_or(u32::MAX)
        };
        (!age.is_zero()).then(|| Self(Cache::builder().weigher(weight).max_capacity(CAPACITY).time_to_live(age).build()))
    }

    /// Those that were read within the time.
    pub(in crate::authn) fn get(&self, id: &str, dn: &str) -> Option<Arc<[Group]>> {
        self.0.get(&(id.to_owned(), dn.to_owned()))
    }

    /// The newest take the place of older ones.
    pub(in crate::authn) fn keep(&self, id: &str, dn: &str, groups: &[Group]) {
        self.0.insert((id.to_owned(), dn.to_owned()), groups.into());
    }
}

impl std::fmt::Debug for KeptGroups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptGroups").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_those_of_one_entry_at_one_place() {
        assert!(KeptGroups::new(Duration::ZERO).is_none());
        let kept = KeptGroups::new(Duration::from_mins(1)).unwrap();
        kept.keep("id", "uid=a", &[Group::named("old")]);
        kept.keep("id", "uid=a", &[Group::named("new")]);
        assert_eq!(kept.get("id", "uid=a").as_deref(), Some(&[Group::named("new")][..]));
        assert_eq!(kept.get("id", "uid=b"), None);
        assert_eq!(kept.get("other", "uid=a"), None);
    }

    #[test]
    fn groups_are_forgotten_in_time() {
        let kept = KeptGroups::new(Duration::from_nanos(1)).unwrap();
        kept.keep("id", "uid=a", &[]);
        assert_eq!(kept.get("id", "uid=a"), None);
    }

    #[test]
    fn no_crowd_makes_it_grow() {
        let kept = KeptGroups::new(Duration::from_mins(1)).unwrap();
        let many: Vec<Group> = (0..1000).map(|number| Group::named(format!("{number:0100}"))).collect();
        for number in 0..1000 {
            kept.keep(&number.to_string(), "uid=a", &many);
        }
        kept.0.run_pending_tasks();
        assert!(kept.0.weighted_size() <= CAPACITY, "{}", kept.0.weighted_size());
        assert!(kept.0.entry_count() > 10);
    }
}
