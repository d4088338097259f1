//! Aliases: what the directory calls a group, and what the rules call it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::dn::{Dn, DnKey, group_of_dn};
use crate::authn::identity::Group;

/// The aliases of the file's realm.
#[derive(Clone, Debug, Default)]
pub(super) struct Aliases {
    ignore_case: bool,
    /// Every alias, folded.
    taken: HashSet<String>,
    names: HashMap<String, Vec<Arc<str>>>,
    dns: HashMap<DnKey, Vec<Arc<str>>>,
    ids: HashMap<String, Vec<Arc<str>>>,
}

/// What a group is called in the rules.
pub(super) enum Renamed<'a> {
    /// These aliases and nothing else.
    To(Vec<&'a Arc<str>>),
    /// As the directory calls it.
    Not,
    /// Nothing: it is called like an alias without being what the alias stands for.
    Hidden,
}

impl Aliases {
    /// None yet, in a realm whose names compare like this.
    pub(super) fn new(ignore_case: bool) -> Self {
        Self { ignore_case, ..Self::default() }
    }

    /// Takes an alias; false where it is taken already.
    pub(super) fn add(&mut self, alias: &str) -> bool {
        self.taken.insert(self.folded(alias))
    }
    /// A group's name that an alias stands for.
    pub(super) fn add_name(&mut self, alias: &Arc<str>, name: &str) {
        self.names.entry(self.folded(name)).or_default().push(Arc::clone(alias));
    }
    /// A group's DN that an alias stands for.
    pub(super) fn add_dn(&mut self, alias: &Arc<str>, dn: DnKey) {
        self.dns.entry(dn).or_default().push(Arc::clone(alias));
    }
    /// A group's stable id that an alias stands for.
    pub(super) fn add_id(&mut self, alias: &Arc<str>, id: &str) {
        self.ids.entry(id.to_ascii_lowercase()).or_default().push(Arc::clone(alias));
    }

    /// Groups that an alias stands for, each by the one name that it is known by here.
    pub(super) fn originals(&self, alias: &str) -> Vec<Group> {
        let folded = self.folded(alias);
        let meant = |aliases: &Vec<Arc<str>>| aliases.iter().any(|alias| self.folded(alias) == folded);
        let names = self.names.iter().filter(|(_, aliases)| meant(aliases)).map(|(name, _)| Group::named(name));
        let dns = self.dns.iter().filter(|(_, aliases)| meant(aliases)).filter_map(|(dn, _)| group_of_dn(&dn.to_string()));
        let ids = self.ids.iter().filter(|(_, aliases)| meant(aliases));
        let ids = ids.map(|(id, _)| Group { name: format!("id-{id}"), dn: None, id: Some(id.clone()) });
        let mut groups: Vec<Group> = names.chain(dns).chain(ids).collect();
        groups.sort();
        groups
    }

    /// Every alias, folded, with what it stands for: `name:…`, `dn:…` or `id:…`.
    pub(super) fn entries(&self) -> BTreeSet<(String, String)> {
        let names = self.names.iter().map(|(name, aliases)| (aliases, format!("name:{name}")));
        let dns = self.dns.iter().map(|(dn, aliases)| (aliases, format!("dn:{dn}")));
        let ids = self.ids.iter().map(|(id, aliases)| (aliases, format!("id:{id}")));
        let all = names.chain(dns).chain(ids);
        all.flat_map(|(aliases, original)| aliases.iter().map(move |alias| (self.folded(alias), original.clone()))).collect()
    }

    /// Whether a name is an alias.
    pub(super) fn is_alias(&self, name: &str) -> bool {
        self.taken.contains(&self.folded(name))
    }

    /// Which alias a literal name hides behind, where it is not an alias itself.
    pub(super) fn hides_name(&self, name: &str) -> Option<&Arc<str>> {
        let folded = self.folded(name);
        if self.taken.contains(&folded) { None } else { self.names.get(&folded)?.first() }
    }
    /// Which alias a literal DN hides behind.
    pub(super) fn hides_dn(&self, dn: &DnKey) -> Option<&Arc<str>> {
        self.dns.get(dn)?.first()
    }

    /// What the rules call this group.
    pub(super) fn rename(&self, group: &Group) -> Renamed<'_> {
        if self.taken.is_empty() {
            return Renamed::Not;
        }
        let folded = self.folded(&group.name);
        let by_name = self.names.get(&folded);
        let by_id = group.id.as_ref().and_then(|id| self.ids.get(&id.to_ascii_lowercase()));
        let by_dn = match &group.dn {
            Some(dn) if !self.dns.is_empty() => Dn::parse(dn).and_then(|dn| self.dns.get(&dn.key())),
            Some(_) | None => None,
        };
        let mut aliases: Vec<&Arc<str>> = [by_name, by_id, by_dn].into_iter().flatten().flatten().collect();
        aliases.sort_unstable();
        aliases.dedup();
        match (aliases.is_empty(), self.taken.contains(&folded)) {
            (false, _) => Renamed::To(aliases),
            (true, true) => Renamed::Hidden,
            (true, false) => Renamed::Not,
        }
    }

    fn folded(&self, name: &str) -> String {
        if self.ignore_case { name.to_ascii_lowercase() } else { name.to_owned() }
    }
}
