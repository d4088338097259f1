//! The groups of an entry: all of them, or trouble. A part would silently be fewer rights, or one deny rule less.
//!
//! - `walk`: groups of groups, level by level
//! - `ranges`: lists of values that come in parts
//! - `sid`: Active Directory's names of groups

mod ranges;
mod sid;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use ldap3::Scope;

use self::sid::Sid;
use self::walk::{Limits, Walk};
use super::super::cache::{Freshness, KeptGroups};
use super::super::identity::Group;
use super::connection::Search;
use super::dn::Dn;
use super::entry::Entry;
use super::person::{self, IdAttribute};
use super::session::Session;
use super::settings::{GroupKeys, GroupStrategy};
use super::template::{Filter, FilterValue};
use super::trouble::Trouble;
use crate::metrics;

/// The attribute of `strategy: memberof`.
pub(super) const MEMBER_OF: &str = "memberOf";
/// The attribute of `strategy: token_groups`, which only a search of the one entry yields.
const TOKEN_GROUPS: &str = "tokenGroups";
/// Active Directory's rule that follows a DN through every chain of groups (`LDAP_MATCHING_RULE_IN_CHAIN`).
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";

/// Of so many groups that do not count the names are kept.
const MOST_LEFT_OUT: usize = 100;

/// So many searches are under way at the same time.
const LOOK_UPS: usize = 16;

/// In which way an entry is in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// The entry lists it, or it names the entry.
    Direct,
    /// Active Directory's primary group.
    Primary,
    /// Over so many groups between.
    Nested(u32),
    /// At a depth that the directory knows.
    Followed,
}

/// Every group of an entry.
#[derive(Debug)]
pub(super) struct Memberships {
    /// In a fixed order.
    pub(super) found: BTreeMap<Group, Way>,
    /// Those that do not count, as far as the strategy gets to know of them.
    pub(super) left_out: LeftOut,
}

/// Groups that do not count.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Their DNs: they are not below the bases.
    pub(super) elsewhere: BTreeSet<String>,
    /// So many more, of which only that is known.
    pub(super) nameless: usize,
}

impl LeftOut {
    fn add(&mut self, dn: String) {
        if self.elsewhere.len() < MOST_LEFT_OUT {
            self.elsewhere.insert(dn);
        } else {
            self.nameless += 1;
        }
    }
}

/// How groups are found.
#[derive(Debug)]
pub(super) struct Groups {
    strategy: GroupStrategy,
    /// As written and as compared; empty: anywhere.
    bases: Vec<(String, Dn)>,
    member: String,
    filter: Option<Filter>,
    name: String,
    id: IdAttribute,
    limits: Limits,
    /// Finds an entry by its DN, with an index.
    dn_attribute: Option<&'static str>,
    kept: Option<KeptGroups>,
}

impl Groups {
    /// From settings that were checked; a base that is no DN would never match.
    pub(super) fn new(keys: GroupKeys, id: &IdAttribute, dn_attribute: Option<&'static str>) -> Self {
        let bases = keys.bases.into_iter().flat_map(|bases| bases.0);
        Self {
            strategy: keys.strategy.value,
            bases: bases.filter_map(|base| Some((base.value.clone(), base.value.parse().ok()?))).collect(),
            member: keys.member.value,
            filter: keys.filter.map(|filter| Filter::written(&filter.value)),
            name: keys.name.value,
            id: id.clone(),
            limits: Limits { depth: keys.depth, count: usize::try_from(keys.count).unwrap_or(usize::MAX) },
            dn_attribute,
            kept: KeptGroups::new(keys.age.value.duration()),
        }
    }

    /// The attributes of a user's entry that are needed for `of`.
    pub(super) fn user_attributes(&self) -> &'static [&'static str] {
        match self.strategy {
            GroupStrategy::Memberof => &[MEMBER_OF, "primaryGroupID", "objectSid"],
            GroupStrategy::Member | GroupStrategy::InChain => &["primaryGroupID", "objectSid"],
            GroupStrategy::MemberUid => &["uid", "gidNumber"],
            GroupStrategy::TokenGroups | GroupStrategy::None => &[],
        }
    }

    /// Every group of an entry with a stable id, in a fixed order: as it was read a moment ago, or now.
    pub(super) async fn of(&self, user: &Entry, id: &str, freshness: Freshness, session: &Session<'_>) -> Result<Vec<Group>, Trouble> {
        if let Some(kept) = self.kept.as_ref().filter(|_| freshness == Freshness::CacheAllowed) {
            let groups = kept.get(id, &user.dn);
            metrics::cache_lookup("groups", if groups.is_some() { "hit" } else { "miss" });
            if let Some(groups) = groups {
                return Ok(groups.to_vec());
            }
        }
        let groups = self.read(user, session).await?;
        if let Some(kept) = &self.kept {
            kept.keep(id, &user.dn, &groups);
        }
        Ok(groups)
    }

    async fn read(&self, user: &Entry, session: &Session<'_>) -> Result<Vec<Group>, Trouble> {
        Ok(self.memberships(user, session).await?.found.into_keys().collect())
    }

    /// Every group of an entry as it is now, with how it is in each.
    pub(super) async fn memberships(&self, user: &Entry, session: &Session<'_>) -> Result<Memberships, Trouble> {
        let mut left_out = LeftOut::default();
        let all = |way: Way, found: Vec<Entry>| -> Vec<(Way, Entry)> { found.into_iter().map(|group| (way, group)).collect() };
        let found = match self.strategy {
            GroupStrategy::None => Vec::new(),
            GroupStrategy::Memberof => self.by_member_of(user, &mut left_out, session).await?,
            GroupStrategy::Member => self.by_member(user, session).await?,
            GroupStrategy::MemberUid => all(Way::Direct, self.by_member_uid(user, session).await?),
            GroupStrategy::InChain => all(Way::Followed, self.in_chain(user, session).await?),
            GroupStrategy::TokenGroups => all(Way::Followed, self.by_token_groups(user, &mut left_out, session).await?),
        };
        let found: BTreeMap<Group, Way> =
            found.iter().map(|(way, entry)| Ok((self.group(entry)?, *way))).collect::<Result<_, Trouble>>()?;
        self.limits.check_count(found.len())?;
        Ok(Memberships { found, left_out })
    }

    // === Strategies ===

    /// The groups that an entry lists itself, with the primary group, and those that they list.
    async fn by_member_of(&self, user: &Entry, left_out: &mut LeftOut, session: &Session<'_>) -> Result<Vec<(Way, Entry)>, Trouble> {
        let mut walk = Walk::new(&user.dn, self.limits);
        let mut found = self.listed_by(std::slice::from_ref(user), &walk, left_out, session).await?;
        let primary = self.primary(user, session).await?;
        let primary_dn = primary.as_ref().map(|group| group.dn.clone());
        found.extend(primary);
        while walk.climb(found)? {
            found = self.listed_by(walk.level(), &walk, left_out, session).await?;
        }
        Ok(with_ways(walk, primary_dn.as_deref()))
    }

    /// The groups that some entries list and that are not known yet.
    async fn listed_by(&self, level: &[Entry], walk: &Walk, left_out: &mut LeftOut, session: &Session<'_>) -> Result<Vec<Entry>, Trouble> {
        let mut listed: Vec<(String, Dn)> = Vec::new();
        let mut seen = BTreeSet::new();
        for entry in level {
            for text in ranges::texts(entry, MEMBER_OF, session).await? {
                if walk.knows(&text) || !seen.insert(text.clone()) {
                    continue;
                }
                let dn: Dn = text.parse().map_err(|error| Trouble::new("groups", format!("`{text}` is not a DN: {error}")))?;
                if self.bases.is_empty() || self.bases.iter().any(|(_, base)| dn.is_within(base)) {
                    listed.push((text, dn));
                    self.limits.check_count(listed.len())?;
                } else {
                    left_out.add(text);
                }
            }
        }
        let mut found = Vec::new();
        if let Some(attribute) = self.dn_attribute.filter(|_| !self.bases.is_empty()) {
            let terms: Vec<Filter> = listed.iter().map(|(text, _)| Filter::equals(attribute, &FilterValue::text(text))).collect();
            found = self.below_bases(&terms, session).await?;
            let dns: Vec<Dn> = found.iter().filter_map(|entry| entry.dn.parse().ok()).collect();
            listed.retain(|(_, dn)| !dns.contains(dn));
        }
        // Each of the rest either is no group for the filter, or cannot be read; which one, it has to be asked itself.
        let look_ups: Vec<_> = listed.iter().map(|(text, _)| self.look_up(text, session)).collect();
        let looked_up: Vec<Option<Entry>> = stream::iter(look_ups).buffer_unordered(LOOK_UPS).try_collect().await?;
        found.extend(looked_up.into_iter().flatten());
        Ok(found)
    }

    /// The groups that name an entry as their member, with the primary group, and those that name them.
    async fn by_member(&self, user: &Entry, session: &Session<'_>) -> Result<Vec<(Way, Entry)>, Trouble> {
        let mut walk = Walk::new(&user.dn, self.limits);
        let mut found = self.naming(std::slice::from_ref(user), session).await?;
        let primary = self.primary(user, session).await?;
        let primary_dn = primary.as_ref().map(|group| group.dn.clone());
        found.extend(primary);
        while walk.climb(found)? {
            found = self.naming(walk.level(), session).await?;
        }
        Ok(with_ways(walk, primary_dn.as_deref()))
    }

    async fn naming(&self, level: &[Entry], session: &Session<'_>) -> Result<Vec<Entry>, Trouble> {
        let terms: Vec<Filter> = level.iter().map(|entry| Filter::equals(&self.member, &FilterValue::text(&entry.dn))).collect();
        self.below_bases(&terms, session).await
    }

    /// Active Directory's primary group, where it counts.
    async fn primary(&self, user: &Entry, session: &Session<'_>) -> Result<Option<Entry>, Trouble> {
        let Some(sid) = primary_sid(user)? else { return Ok(None) };
        let found = self.look_up(&place_of(&sid), session).await?;
        Ok(found.filter(|group| self.is_below_bases(group)))
    }

    /// Unix groups: those that name the user, and the one of the user's own number.
    async fn by_member_uid(&self, user: &Entry, session: &Session<'_>) -> Result<Vec<Entry>, Trouble> {
        let name = person::canonical_name(user, "uid")?;
        let named = Filter::equals("memberUid", &FilterValue::text(&name));
        let number = user.text("gidNumber")?.map(|number| Filter::equals("gidNumber", &FilterValue::text(number)));
        let terms: Vec<Filter> = [named].into_iter().chain(number).collect();
        self.below_bases(&terms, session).await
    }

    /// The directory follows the chains, from the user and from the primary group, which has no `member` for the user.
    async fn in_chain(&self, user: &Entry, session: &Session<'_>) -> Result<Vec<Entry>, Trouble> {
        let chain = |dn: &str| Filter::matches("member", IN_CHAIN, &FilterValue::text(dn));
        let mut terms = vec![chain(&user.dn)];
        if let Some(sid) = primary_sid(user)? {
            let place = place_of(&sid);
            let primary = self.entry_at(&place, &Filter::any(), session).await?.ok_or_else(|| unreadable(&place))?;
            terms.extend([chain(&primary.dn), sid.filter()]);
        }
        self.below_bases(&terms, session).await
    }

    /// The directory says whose groups they are by their security identifiers; one search finds them.
    async fn by_token_groups(&self, user: &Entry, left_out: &mut LeftOut, session: &Session<'_>) -> Result<Vec<Entry>, Trouble> {
        let search = Search { base: &user.dn, scope: Scope::Base, filter: &Filter::any(), attributes: &[TOKEN_GROUPS], at_most: None };
        let found = session.search(&search).await?;
        let values = found.first().map(|entry| entry.values(TOKEN_GROUPS)).transpose()?.unwrap_or_default();
        // Everybody has a primary group.
        if values.is_empty() {
            return Err(Trouble::new("groups", "the entry has no `tokenGroups`: may the service account read it?"));
        }
        self.limits.check_count(values.len())?;
        let sid = |value| Sid::read(value).ok_or_else(|| Trouble::new("groups", "a value of `tokenGroups` is not a security identifier"));
        let sids: BTreeSet<Sid> = values.into_iter().map(sid).collect::<Result<_, _>>()?;
        let terms: Vec<Filter> = sids.iter().map(Sid::filter).collect();
        let found = self.below_bases(&terms, session).await?;
        left_out.nameless = sids.len().saturating_sub(found.len());
        Ok(found)
    }

    // === Searches ===

    fn attributes(&self) -> Vec<&str> {
        let mut attributes = vec![self.id.name()];
        if !self.is_named_by_dn() {
            attributes.push(self.name.as_str());
        }
        if self.strategy == GroupStrategy::Memberof && self.limits.depth > 0 {
            attributes.push(MEMBER_OF);
        }
        attributes
    }

    fn is_named_by_dn(&self) -> bool {
        self.name.eq_ignore_ascii_case("dn")
    }

    /// The group at a DN; `None` where the filter says that it is none. One that cannot be read is trouble.
    async fn look_up(&self, dn: &str, session: &Session<'_>) -> Result<Option<Entry>, Trouble> {
        match &self.filter {
            Some(filter) => match self.entry_at(dn, filter, session).await? {
                Some(group) => Ok(Some(group)),
                // What the service account may not read, the filter does not take either.
                None => self.entry_at(dn, &Filter::any(), session).await?.map_or_else(|| Err(unreadable(dn)), |_| Ok(None)),
            },
            None => self.entry_at(dn, &Filter::any(), session).await?.map_or_else(|| Err(unreadable(dn)), |entry| Ok(Some(entry))),
        }
    }

    async fn entry_at(&self, dn: &str, filter: &Filter, session: &Session<'_>) -> Result<Option<Entry>, Trouble> {
        let attributes = self.attributes();
        let search = Search { base: dn, scope: Scope::Base, filter, attributes: &attributes, at_most: None };
        Ok(session.search(&search).await?.pop())
    }

    /// Every group below the bases for which one of the terms holds.
    async fn below_bases(&self, terms: &[Filter], session: &Session<'_>) -> Result<Vec<Entry>, Trouble> {
        let narrowed = |filter: Filter| self.filter.as_ref().map_or_else(|| filter.clone(), |groups| groups.and(&filter));
        let filters: Vec<Filter> = Filter::any_of(terms).into_iter().map(narrowed).collect();
        let attributes = self.attributes();
        let searches: Vec<Search<'_>> = filters
            .iter()
            .flat_map(|filter| self.bases.iter().map(move |(base, _)| (filter, base)))
            .map(|(filter, base)| Search { base, scope: Scope::Subtree, filter, attributes: &attributes, at_most: None })
            .collect();
        let asked: Vec<_> = searches.iter().map(|search| session.search(search)).collect();
        let found: Vec<Vec<Entry>> = stream::iter(asked).buffer_unordered(LOOK_UPS).try_collect().await?;
        let found: Vec<Entry> = found.into_iter().flatten().collect();
        match found.iter().find(|group| !self.is_below_bases(group)) {
            Some(stray) => Err(Trouble::new("groups", format!("the directory found `{}` outside of `groups.bases`", stray.dn))),
            None => Ok(found),
        }
    }

    fn is_below_bases(&self, group: &Entry) -> bool {
        let below = |dn: &Dn| self.bases.iter().any(|(_, base)| dn.is_within(base));
        self.bases.is_empty() || group.dn.parse().is_ok_and(|dn| below(&dn))
    }

    fn group(&self, entry: &Entry) -> Result<Group, Trouble> {
        let name = if self.is_named_by_dn() { entry.dn.clone() } else { person::single_name(entry, &self.name)? };
        Ok(Group { name, dn: Some(entry.dn.clone()), id: self.id.read(entry)? })
    }

    // === For operators ===

    /// Whether there is a place to look for a group of this name or DN.
    pub(super) fn can_look_for(&self, group: &str) -> bool {
        is_dn(group) || !(self.bases.is_empty() || self.is_named_by_dn())
    }

    /// Whether a group of this name or DN exists.
    pub(super) async fn exists(&self, group: &str, session: &Session<'_>) -> Result<bool, Trouble> {
        if is_dn(group) {
            let everything = Filter::any();
            let filter = self.filter.as_ref().unwrap_or(&everything);
            return match self.entry_at(group, filter, session).await {
                Ok(found) => Ok(found.is_some_and(|group| self.is_below_bases(&group))),
                Err(trouble) if trouble.code == Some(32) => Ok(false),
                Err(trouble) => Err(trouble),
            };
        }
        Ok(!self.below_bases(&[Filter::equals(&self.name, &FilterValue::text(group))], session).await?.is_empty())
    }

    /// The bases, for the online check.
    pub(super) fn bases(&self) -> impl Iterator<Item = &str> {
        self.bases.iter().map(|(base, _)| base.as_str())
    }

    /// How groups are found.
    pub(super) fn strategy(&self) -> GroupStrategy {
        self.strategy
    }

    /// Below which base a DN lies.
    pub(super) fn base_of(&self, dn: &str) -> Option<&str> {
        let dn: Dn = dn.parse().ok()?;
        self.bases.iter().find(|(_, base)| dn.is_within(base)).map(|(base, _)| base.as_str())
    }

    /// The attribute by which groups name their members, where the strategy searches for it.
    pub(super) fn naming_attribute(&self) -> Option<&str> {
        match self.strategy {
            GroupStrategy::Member => Some(&self.member),
            GroupStrategy::MemberUid => Some("memberUid"),
            GroupStrategy::InChain => Some("member"),
            GroupStrategy::Memberof | GroupStrategy::TokenGroups | GroupStrategy::None => None,
        }
    }

    /// Whether some group below the bases has an attribute.
    pub(super) async fn some_group_has(&self, attribute: &str, session: &Session<'_>) -> Result<bool, Trouble> {
        let with = Filter::equals(attribute, &FilterValue::any());
        let filter = self.filter.as_ref().map_or_else(|| with.clone(), |groups| groups.and(&with));
        for (base, _) in &self.bases {
            let search = Search { base, scope: Scope::Subtree, filter: &filter, attributes: &["1.1"], at_most: Some(1) };
            if !session.search(&search).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What a walk found, with the way to each.
fn with_ways(walk: Walk, primary: Option<&str>) -> Vec<(Way, Entry)> {
    let way = |level: u32, group: &Entry| match level {
        0 if primary == Some(group.dn.as_str()) => Way::Primary,
        0 => Way::Direct,
        between => Way::Nested(between),
    };
    walk.groups().map(|(level, group)| (way(level, &group), group)).collect()
}

/// Active Directory's primary group, which is in no list: the user's own identifier with `primaryGroupID`. `None` for
/// entries of other directories.
fn primary_sid(user: &Entry) -> Result<Option<Sid>, Trouble> {
    let Some(relative) = user.text("primaryGroupID")? else { return Ok(None) };
    let relative: u32 = relative.parse().map_err(|_| Trouble::new("groups", "`primaryGroupID` is not a number"))?;
    let own = user.single("objectSid")?.and_then(Sid::read);
    let primary = own.and_then(|own| own.sibling(relative));
    primary
        .map_or_else(|| Err(Trouble::new("groups", "the entry has no `objectSid`, so its primary group is not known")), |sid| Ok(Some(sid)))
}

/// Stands for the DN of whom it names ([MS-ADTS] §3.1.1.3.1.2.4).
fn place_of(sid: &Sid) -> String {
    format!("<SID={sid}>")
}

fn unreadable(dn: &str) -> Trouble {
    Trouble::new("groups", format!("`{dn}` cannot be read: may the service account read it?"))
}

/// A name may hold `=` as well; a DN of a group has more than one part.
fn is_dn(group: &str) -> bool {
    group.contains(',') && group.contains('=') && group.parse::<Dn>().is_ok()
}
