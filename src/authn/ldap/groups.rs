//! The groups of an entry: all of them, or trouble. A part would silently be fewer rights, or one deny rule less.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use ldap3::Scope;

use super::super::identity::Group;
use super::connection::Search;
use super::dn::Dn;
use super::entry::Entry;
use super::person::IdAttribute;
use super::session::Session;
use super::settings::{GroupSettings, GroupStrategy};
use super::template::{Filter, FilterValue};
use super::trouble::Trouble;

/// The attribute of `strategy: memberof`.
pub(super) const MEMBER_OF: &str = "memberOf";

/// So many groups are looked at at the same time.
const LOOK_UPS: usize = 16;

/// How groups are found.
#[derive(Debug)]
pub(super) struct Groups {
    strategy: GroupStrategy,
    /// As written and as compared; empty: anywhere.
    bases: Vec<(String, Dn)>,
    filter: Option<Filter>,
    name: String,
    id: IdAttribute,
}

impl Groups {
    /// From settings that were checked; a base that is no DN would never match.
    pub(super) fn new(settings: &GroupSettings, id: &IdAttribute) -> Self {
        let bases = settings.bases.iter().flat_map(|bases| &bases.0);
        Self {
            strategy: settings.strategy.value,
            bases: bases.filter_map(|base| Some((base.value.clone(), base.value.parse().ok()?))).collect(),
            filter: settings.filter.as_ref().map(|filter| Filter::written(&filter.value)),
            name: settings.name.value.clone(),
            id: id.clone(),
        }
    }

    /// The attribute of a user's entry that is needed for `of`.
    pub(super) fn user_attribute(&self) -> Option<&'static str> {
        match self.strategy {
            GroupStrategy::Memberof => Some(MEMBER_OF),
            GroupStrategy::Member
            | GroupStrategy::None
            | GroupStrategy::MemberUid
            | GroupStrategy::InChain
            | GroupStrategy::TokenGroups => None,
        }
    }

    /// Every group of an entry, in a fixed order.
    pub(super) async fn of(&self, entry: &Entry, session: &Session<'_>) -> Result<Vec<Group>, Trouble> {
        let groups = match self.strategy {
            GroupStrategy::None => BTreeSet::new(),
            GroupStrategy::Memberof => self.by_member_of(entry, session).await?,
            GroupStrategy::Member => self.by_member(entry, session).await?,
            later @ (GroupStrategy::MemberUid | GroupStrategy::InChain | GroupStrategy::TokenGroups) => {
                return Err(Trouble::new("groups", format!("`strategy: {}` is not available yet", later.as_str())));
            }
        };
        Ok(groups.into_iter().collect())
    }

    /// The names are in the DNs; where they are not, or a filter chooses, each group is looked at.
    async fn by_member_of(&self, entry: &Entry, session: &Session<'_>) -> Result<BTreeSet<Group>, Trouble> {
        let mut groups = BTreeSet::new();
        let mut unnamed = Vec::new();
        for text in entry.texts(MEMBER_OF)? {
            let dn: Dn = text.parse().map_err(|error| Trouble::new("groups", format!("`{text}` is not a DN: {error}")))?;
            if !self.bases.is_empty() && !self.bases.iter().any(|(_, base)| dn.is_within(base)) {
                continue;
            }
            match dn.first_value(&self.name) {
                Some(name) if self.filter.is_none() => {
                    groups.insert(Group { name: name.to_owned(), dn: Some(text.to_owned()), id: None });
                }
                Some(_) | None => unnamed.push(self.look_up(text, session)),
            }
        }
        let looked_up: Vec<Option<Group>> = stream::iter(unnamed).buffer_unordered(LOOK_UPS).try_collect().await?;
        groups.extend(looked_up.into_iter().flatten());
        Ok(groups)
    }

    async fn by_member(&self, entry: &Entry, session: &Session<'_>) -> Result<BTreeSet<Group>, Trouble> {
        let member = Filter::equals("member", &FilterValue::text(&entry.dn));
        let filter = self.filter.as_ref().map_or_else(|| member.clone(), |filter| member.and(filter));
        let mut groups = BTreeSet::new();
        for found in self.below_bases(&filter, session).await? {
            groups.insert(self.group(&found)?);
        }
        Ok(groups)
    }

    /// The group at a DN; `None` where the filter says that it is none. One that cannot be read is trouble.
    async fn look_up(&self, dn: &str, session: &Session<'_>) -> Result<Option<Group>, Trouble> {
        let everything = Filter::any();
        let filter = self.filter.as_ref().unwrap_or(&everything);
        let attributes = [self.name.as_str(), self.id.name()];
        let search = Search { base: dn, scope: Scope::Base, filter, attributes: &attributes, at_most: None };
        let found = session.search(&search).await?;
        found.first().map(|entry| self.group(entry)).transpose()
    }

    async fn below_bases(&self, filter: &Filter, session: &Session<'_>) -> Result<Vec<Entry>, Trouble> {
        let attributes = [self.name.as_str(), self.id.name()];
        let mut found = Vec::new();
        for (base, _) in &self.bases {
            let search = Search { base, scope: Scope::Subtree, filter, attributes: &attributes, at_most: None };
            found.extend(session.search(&search).await?);
        }
        Ok(found)
    }

    fn group(&self, entry: &Entry) -> Result<Group, Trouble> {
        let name = super::person::canonical_name(entry, &self.name)?;
        Ok(Group { name, dn: Some(entry.dn.clone()), id: self.id.read(entry)? })
    }

    /// Whether there is a place to look for a group of this name or DN.
    pub(super) fn can_look_for(&self, group: &str) -> bool {
        is_dn(group) || !self.bases.is_empty()
    }

    /// Whether a group of this name or DN exists.
    pub(super) async fn exists(&self, group: &str, session: &Session<'_>) -> Result<bool, Trouble> {
        if is_dn(group) {
            return match self.look_up(group, session).await {
                Ok(found) => Ok(found.is_some()),
                Err(trouble) if trouble.code == Some(32) => Ok(false),
                Err(trouble) => Err(trouble),
            };
        }
        let named = Filter::equals(&self.name, &FilterValue::text(group));
        let filter = self.filter.as_ref().map_or_else(|| named.clone(), |filter| named.and(filter));
        Ok(!self.below_bases(&filter, session).await?.is_empty())
    }

    /// The bases, for the online check.
    pub(super) fn bases(&self) -> impl Iterator<Item = &str> {
        self.bases.iter().map(|(base, _)| base.as_str())
    }
}

/// A name may hold `=` as well; a DN of a group has more than one part.
fn is_dn(group: &str) -> bool {
    group.contains(',') && group.contains('=') && group.parse::<Dn>().is_ok()
}
