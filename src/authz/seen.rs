//! Who asks, as rules see it: groups by their aliases, the user's name as a value.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::alias::{Aliases, Renamed};
use super::binding::component;
use super::dn::{Dn, DnKey};
use crate::authn::identity::{Identity, IdentityClaims, Kind, SecondFactor};
use crate::registry::PathComponent;

/// An identity prepared for comparing with rules.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) realm: Arc<str>,
    pub(super) provider: Arc<str>,
    pub(super) username: Box<str>,
    pub(super) kind: Kind,
    pub(super) claims: IdentityClaims,
    pub(super) second_factor: SecondFactor,
    /// Whether names of its realm compare without regard to ASCII case.
    pub(super) ignore_case: bool,
    /// Whether its realm is the file's.
    pub(super) at_home: bool,
    /// The name as a value; `None` where it is no path component, and for workloads.
    pub(super) user: Option<PathComponent>,
    pub(super) groups: Vec<SeenGroup>,
    /// The names of the groups, folded and sorted, each with its position.
    by_name: Vec<(Box<str>, usize)>,
    by_dn: OnceLock<ByDn>,
}

/// Positions of groups by DN.
#[derive(Debug, Default)]
struct ByDn {
    read: HashMap<DnKey, Vec<usize>>,
    /// Those of which the DN cannot be read: they may be any group.
    unreadable: Vec<usize>,
}

/// One group under the name that rules use.
#[derive(Debug)]
pub(super) struct SeenGroup {
    pub(super) name: Box<str>,
    written: Option<Box<str>>,
    parsed: OnceLock<Option<Dn>>,
}

/// What is known of a group's DN.
#[derive(Debug)]
pub(super) enum GroupDn<'a> {
    /// It has none.
    Absent,
    /// It has one that cannot be read.
    Unreadable,
    /// It has this one.
    Read(&'a Dn),
}

impl SeenGroup {
    /// Its DN, read when a rule first asks for it.
    pub(super) fn dn(&self) -> GroupDn<'_> {
        let Some(written) = &self.written else { return GroupDn::Absent };
        self.parsed.get_or_init(|| Dn::parse(written)).as_ref().map_or(GroupDn::Unreadable, GroupDn::Read)
    }
}

impl Seen {
    /// Applies the aliases, which are those of the file's realm.
    pub(super) fn new(identity: &Identity, at_home: bool, ignore_case: bool, aliases: &Aliases) -> Self {
        let mut groups = Vec::with_capacity(identity.groups.len());
        for group in &identity.groups {
            let plain = |name: &str, written: Option<&str>| SeenGroup {
                name: name.into(),
                written: written.map(Into::into),
                parsed: OnceLock::new(),
            };
            match if at_home { aliases.rename(group) } else { Renamed::Not } {
                Renamed::To(names) => groups.extend(names.into_iter().map(|name| plain(name, None))),
                Renamed::Not => groups.push(plain(&group.name, group.dn.as_deref())),
                Renamed::Hidden => {}
            }
        }
        let user = match identity.kind {
            Kind::Person => component(&identity.username, ignore_case),
            Kind::Workload => None,
        };
        let named = groups.iter().enumerate();
        let mut by_name: Vec<(Box<str>, usize)> = named
            .map(|(position, group)| (if ignore_case { group.name.to_ascii_lowercase().into() } else { group.name.clone() }, position))
            .collect();
        by_name.sort_unstable();
        Self {
            realm: Arc::clone(&identity.realm),
            provider: Arc::clone(&identity.provider),
            username: identity.username.as_str().into(),
            kind: identity.kind,
            claims: identity.claims.clone(),
            second_factor: identity.second_factor,
            ignore_case,
            at_home,
            user,
            groups,
            by_name,
            by_dn: OnceLock::new(),
        }
    }

    /// Whether a group has this name.
    pub(super) fn has_group(&self, name: &str) -> bool {
        let wanted = || name.bytes().map(|byte| if self.ignore_case { byte.to_ascii_lowercase() } else { byte });
        self.by_name.binary_search_by(|(other, _)| other.bytes().cmp(wanted())).is_ok()
    }

    /// The groups of this name.
    pub(super) fn groups_called(&self, name: &str) -> Vec<&SeenGroup> {
        let name = self.folded(name);
        self.from(&name).take_while(|(other, _)| **other == *name).filter_map(|(_, position)| self.groups.get(*position)).collect()
    }

    /// The groups whose name starts like this.
    pub(super) fn groups_that_start_with(&self, start: &str) -> Vec<&SeenGroup> {
        let start = self.folded(start);
        self.from(&start).take_while(|(name, _)| name.starts_with(&start)).filter_map(|(_, position)| self.groups.get(*position)).collect()
    }

    /// The groups that have this DN, or one that cannot be read.
    pub(super) fn groups_at(&self, dn: &DnKey) -> Vec<&SeenGroup> {
        let by_dn = self.by_dn();
        by_dn.read.get(dn).into_iter().flatten().chain(&by_dn.unreadable).filter_map(|position| self.groups.get(*position)).collect()
    }

    /// Every DN of its groups that can be read.
    pub(super) fn dns(&self) -> impl Iterator<Item = &DnKey> {
        self.by_dn().read.keys()
    }

    /// Whether a group has a DN that cannot be read.
    pub(super) fn has_unreadable_dn(&self) -> bool {
        !self.by_dn().unreadable.is_empty()
    }

    fn by_dn(&self) -> &ByDn {
        self.by_dn.get_or_init(|| {
            let mut by_dn = ByDn::default();
            for (position, group) in self.groups.iter().enumerate() {
                match group.dn() {
                    GroupDn::Absent => {}
                    GroupDn::Unreadable => by_dn.unreadable.push(position),
                    GroupDn::Read(dn) => by_dn.read.entry(dn.key()).or_default().push(position),
                }
            }
            by_dn
        })
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let groups = self.groups.iter().map(|group| 200 + 2 * group.name.len() + 4 * group.written.as_ref().map_or(0, |dn| dn.len()));
        let claims = self.claims.iter().map(|(name, values)| 100 + name.len() + values.iter().map(|value| 50 + value.len()).sum::<usize>());
        400 + self.username.len() + groups.sum::<usize>() + claims.sum::<usize>()
    }

    /// The names from this one on, in their order.
    fn from(&self, name: &str) -> impl Iterator<Item = &(Box<str>, usize)> {
        self.by_name.iter().skip(self.by_name.partition_point(|(other, _)| **other < *name))
    }

    fn folded(&self, name: &str) -> String {
        if self.ignore_case { name.to_ascii_lowercase() } else { name.to_owned() }
    }
}
