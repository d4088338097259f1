//! Who asks, as rules see it: groups by their aliases, the user's name as a value.

use std::cell::OnceCell;
use std::collections::HashMap;

use super::alias::{Aliases, Renamed};
use super::binding::component;
use super::dn::{Dn, DnKey};
use crate::authn::identity::{Identity, Kind};
use crate::registry::PathComponent;

/// An identity prepared for comparing with rules.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) identity: &'a Identity,
    /// Whether names of its realm compare without regard to ASCII case.
    pub(super) ignore_case: bool,
    /// Whether its realm is the file's.
    pub(super) at_home: bool,
    /// The name as a value; `None` where it is no path component, and for workloads.
    pub(super) user: Option<PathComponent>,
    pub(super) groups: Vec<SeenGroup<'a>>,
    /// The names of the groups, folded and sorted, each with its position.
    by_name: OnceCell<Vec<(String, usize)>>,
    by_dn: OnceCell<ByDn>,
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
pub(super) struct SeenGroup<'a> {
    pub(super) name: &'a str,
    written: Option<&'a str>,
    parsed: OnceCell<Option<Dn>>,
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

impl SeenGroup<'_> {
    /// Its DN, read when a rule first asks for it.
    pub(super) fn dn(&self) -> GroupDn<'_> {
        let Some(written) = self.written else { return GroupDn::Absent };
        self.parsed.get_or_init(|| Dn::parse(written)).as_ref().map_or(GroupDn::Unreadable, GroupDn::Read)
    }
}

impl<'a> Seen<'a> {
    /// Applies the aliases, which are those of the file's realm.
    pub(super) fn new(identity: &'a Identity, at_home: bool, ignore_case: bool, aliases: &'a Aliases) -> Self {
        let mut groups = Vec::with_capacity(identity.groups.len());
        for group in &identity.groups {
            let plain = |name: &'a str, written: Option<&'a str>| SeenGroup { name, written, parsed: OnceCell::new() };
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
        Self { identity, ignore_case, at_home, user, groups, by_name: OnceCell::new(), by_dn: OnceCell::new() }
    }

    /// The groups of this name.
    pub(super) fn groups_called(&self, name: &str) -> Vec<&SeenGroup<'a>> {
        let name = self.folded(name);
        self.from(&name).take_while(|(other, _)| *other == name).filter_map(|(_, position)| self.groups.get(*position)).collect()
    }

    /// The groups whose name starts like this.
    pub(super) fn groups_that_start_with(&self, start: &str) -> Vec<&SeenGroup<'a>> {
        let start = self.folded(start);
        self.from(&start).take_while(|(name, _)| name.starts_with(&start)).filter_map(|(_, position)| self.groups.get(*position)).collect()
    }

    /// The groups that have this DN, or one that cannot be read.
    pub(super) fn groups_at(&self, dn: &DnKey) -> Vec<&SeenGroup<'a>> {
        let by_dn = self.by_dn.get_or_init(|| {
            let mut by_dn = ByDn::default();
            for (position, group) in self.groups.iter().enumerate() {
                match group.dn() {
                    GroupDn::Absent => {}
                    GroupDn::Unreadable => by_dn.unreadable.push(position),
                    GroupDn::Read(dn) => by_dn.read.entry(dn.key()).or_default().push(position),
                }
            }
            by_dn
        });
        by_dn.read.get(dn).into_iter().flatten().chain(&by_dn.unreadable).filter_map(|position| self.groups.get(*position)).collect()
    }

    /// The names from this one on, in their order.
    fn from(&self, name: &str) -> impl Iterator<Item = &(String, usize)> {
        let names = self.by_name.get_or_init(|| {
            let mut names: Vec<_> = self.groups.iter().enumerate().map(|(position, group)| (self.folded(group.name), position)).collect();
            names.sort_unstable();
            names
        });
        names.iter().skip(names.partition_point(|(other, _)| other.as_str() < name))
    }

    fn folded(&self, name: &str) -> String {
        if self.ignore_case { name.to_ascii_lowercase() } else { name.to_owned() }
    }
}
