//! The steps of a verification and of a re-check.

use std::ops::ControlFlow;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::time::Instant;

use super::answer::Proof;
use super::bind_pool::Unbound;
use super::connection::Search;
use super::dn::Dn;
use super::dn_template::DnValue;
use super::entry::Entry;
use super::session::Session;
use super::template::{Filter, FilterValue};
use super::trouble::Trouble;
use super::{Bind, Directory};
use super::{person, state, typed};
use crate::authn::attempt::{Account, Attempt, Bound, Throttled};
use crate::authn::cache::Freshness;
use crate::authn::identity::{Group, Identity, IdentityClaims, Kind, Method, PasswordMarker, SecondFactor};
use crate::authn::verdict::{Rejection, Standing, Verdict};
use crate::clock::Timestamp;

/// The attribute that `bind: upn` binds by.
const PRINCIPAL_NAME: &str = "userPrincipalName";

/// What a typed name is bound as.
pub(super) enum Login<'a> {
    /// What a search finds.
    Search,
    /// The DN of a name.
    At { dn: String, name: &'a str },
    /// A name with its suffix.
    As { principal: String, name: &'a str },
}

/// What a search for one person found.
pub(super) enum Found {
    /// Nothing.
    Nobody,
    /// An entry.
    One(Entry),
    /// The DNs of more than one.
    Several(Vec<String>),
}

impl Directory {
    pub(super) async fn verified(
        &self,
        username: &str,
        password: &SecretString,
        freshness: Freshness,
        attempt: &Attempt,
        deadline: Instant,
    ) -> Result<Verdict, Trouble> {
        let Some(login) = self.login(username) else { return Ok(Verdict::NotMine) };
        let session = self.session(deadline).await?;
        let entry = match &login {
            Login::Search => self.found_and_bound(username, password, attempt, &session).await?,
            Login::At { dn: bound, name } | Login::As { principal: bound, name } => {
                let id = typed::counted(name);
                let account = Account { id: &id, marker: None };
                // Where a search comes first, it has been answered.
                if attempt.is_unanswered(&account)
                    && let Some((base, _)) = self.bases.first()
                {
                    session.answers(base).await?;
                }
                let refused = self.proven(&session, &account, bound, password, attempt).await?;
                match refused {
                    Some(refused) => ControlFlow::Break(refused),
                    None => self.bound_and_found(&login, username, &session).await?,
                }
            }
        };
        let entry = match entry {
            ControlFlow::Continue(entry) => entry,
            ControlFlow::Break(verdict) => return Ok(verdict),
        };
        let now = self.clock.now();
        if let Some(rejection) = self.accounts.refusal(&entry, now)? {
            return Ok(Verdict::Rejected(rejection));
        }
        // Whoever else bears the name would have been found by it as well; by another one, or another spelling, not.
        let typed = match &login {
            Login::Search => username,
            Login::At { name, .. } | Login::As { name, .. } => name,
        };
        if self.is_shared(&entry, typed, &session).await? {
            return Ok(self.ambiguous());
        }
        let identity = self.identity(&entry, now, Method::Password, freshness, &session).await?;
        Ok(Verdict::Authenticated(identity, None))
    }

    /// What a name is bound as; `None` where it can be nobody's.
    pub(super) fn login<'a>(&self, username: &'a str) -> Option<Login<'a>> {
        match &self.bind {
            Bind::Search => Some(Login::Search),
            Bind::Template(template) => Some(Login::At { dn: template.fill(&DnValue::text(username))?, name: username }),
            Bind::Upn(suffix) => {
                let name = typed::principal(username, suffix)?;
                Some(Login::As { principal: format!("{name}@{suffix}"), name })
            }
        }
    }

    /// The filter that finds the entry of a login.
    pub(super) fn sought(&self, login: &Login<'_>, username: &str) -> Filter {
        match login {
            Login::Search => self.filter.fill(&FilterValue::text(username)),
            Login::At { name, .. } => self.filter.fill(&FilterValue::text(name)),
            Login::As { principal, .. } => self.filter.any_name().and(&Filter::equals(PRINCIPAL_NAME, &FilterValue::text(principal))),
        }
    }

    /// The entry of a login: whom the filter finds, the one at the DN, or the only one that bears the principal name.
    pub(super) async fn find(&self, login: &Login<'_>, username: &str, session: &Session<'_>) -> Result<Found, Trouble> {
        let filter = self.sought(login, username);
        match login {
            Login::Search => self.search_person(&filter, session).await,
            Login::At { dn, .. } => self.entry_at(dn, &filter, session).await,
            Login::As { principal, .. } => match self.search_person(&filter, session).await? {
                Found::One(entry) if !bears(&entry, principal)? => Ok(Found::Nobody),
                found @ (Found::Nobody | Found::One(_) | Found::Several(_)) => Ok(found),
            },
        }
    }

    /// The entry of a name, whose password is right; or what is to be said instead.
    async fn found_and_bound(
        &self,
        username: &str,
        password: &SecretString,
        attempt: &Attempt,
        session: &Session<'_>,
    ) -> Result<ControlFlow<Verdict, Entry>, Trouble> {
        // A directory may take `álice` for `alice`. Whoever was found is who they are, whatever was typed: the password has to be
        // theirs, and the name is the entry's.
        let entry = match self.find(&Login::Search, username, session).await? {
            Found::Nobody => return Ok(ControlFlow::Break(Verdict::NotMine)),
            Found::Several(_) => return Ok(ControlFlow::Break(self.ambiguous())),
            Found::One(entry) => entry,
        };
        let (id, marker) = (self.entry_id(&entry)?, person::marker(&entry)?);
        let account = Account { id: &id, marker: marker.as_ref() };
        let refused = self.proven(session, &account, &entry.dn, password, attempt).await?;
        Ok(refused.map_or(ControlFlow::Continue(entry), ControlFlow::Break))
    }

    /// The entry whose password was proven. A name alone could be that of somebody else than who was bound.
    async fn bound_and_found(
        &self,
        login: &Login<'_>,
        username: &str,
        session: &Session<'_>,
    ) -> Result<ControlFlow<Verdict, Entry>, Trouble> {
        Ok(match self.find(login, username, session).await? {
            Found::One(entry) => ControlFlow::Continue(entry),
            Found::Several(_) => ControlFlow::Break(self.ambiguous()),
            Found::Nobody => {
                tracing::info!(provider = %self.names.provider, "a password was right, and no entry below the bases fits the name and the filter");
                ControlFlow::Break(Verdict::NotMine)
            }
        })
    }

    /// The entry at a DN, where the filter takes it.
    async fn entry_at(&self, dn: &str, filter: &Filter, session: &Session<'_>) -> Result<Found, Trouble> {
        let attributes = self.attributes();
        let search = Search { base: dn, scope: ldap3::Scope::Base, filter, attributes: &attributes, at_most: None };
        let Some(entry) = session.search(&search).await?.pop() else { return Ok(Found::Nobody) };
        let place: Dn = entry.dn.parse().map_err(|error| Trouble::new("entry", format!("its DN: {error}")))?;
        if !self.bases.iter().any(|(_, base)| place.is_within(base)) {
            return Err(Trouble::new("entry", "the directory found it outside of `user.bases`"));
        }
        // A directory that takes `álice` for `alice` in DNs has bound somebody else than was typed.
        Ok(if dn.parse().is_ok_and(|wanted: Dn| wanted == place) { Found::One(entry) } else { Found::Nobody })
    }

    /// Whether an entry's canonical name, unless it is this one, is another entry's too: to rules, both would be one person.
    async fn is_shared(&self, entry: &Entry, name: &str, session: &Session<'_>) -> Result<bool, Trouble> {
        let canonical = person::canonical_name(entry, &self.username)?;
        if self.names.fold(&canonical) == self.names.fold(name) {
            return Ok(false);
        }
        let named = Filter::equals(&self.username, &FilterValue::text(&canonical));
        Ok(matches!(self.search_person(&self.filter.any_name().and(&named), session).await?, Found::Several(_)))
    }

    fn ambiguous(&self) -> Verdict {
        tracing::error!(provider = %self.names.provider, "a name matches more than one entry; nobody is let in by it");
        Verdict::Rejected(Rejection::Ambiguous)
    }

    /// Binds as an account, unless its share of binds is used up; `None` where the password is right and may be used.
    async fn proven(
        &self,
        session: &Session<'_>,
        account: &Account<'_>,
        dn: &str,
        password: &SecretString,
        attempt: &Attempt,
    ) -> Result<Option<Verdict>, Trouble> {
        match attempt.may_bind(account).await {
            Ok(()) => {}
            Err(Throttled::LockedOut) => return Ok(Some(Verdict::Rejected(Rejection::LockedOut))),
            Err(throttled @ (Throttled::UsedUp { .. } | Throttled::Unsure { .. })) => return Ok(Some(Verdict::Throttled(throttled))),
        }
        let proof = session.bind(dn, password).await;
        let bound = match &proof {
            Ok(Proof::Refused { rejection: Rejection::WrongPassword, .. }) => Bound::Wrong,
            Ok(Proof::Refused { rejection: Rejection::LockedOut, .. }) => Bound::LockedOut,
            Ok(Proof::Refused { rejection: Rejection::Restricted, .. }) => Bound::Restricted,
            Err(unbound) if unbound.may_count() => Bound::Unanswered,
            Err(_) => Bound::Unknown,
            Ok(Proof::Proven { .. } | Proof::Refused { .. }) => Bound::Proven,
        };
        attempt.bound(account, bound).await;
        Ok(self.refusal(&proof.map_err(Unbound::trouble)?).map(Verdict::Rejected))
    }

    /// Why a bind lets nobody in; `None` where it is good enough.
    pub(super) fn refusal(&self, proof: &Proof) -> Option<Rejection> {
        let Proof::Refused { rejection, accepted, detail } = proof else { return None };
        let provider = &*self.names.provider;
        if *accepted && self.accounts.allow(*rejection) {
            tracing::warn!(provider, reservation = rejection.as_str(), detail, "the directory let somebody in with a reservation");
            return None;
        }
        tracing::info!(provider, rejection = rejection.as_str(), detail, "the directory refused a password");
        Some(*rejection)
    }

    pub(super) async fn standing(&self, identity: &Identity, deadline: Instant) -> Result<Standing, Trouble> {
        let Some(by_id) = self.id.filter(&identity.id) else { return Ok(Standing::Ended("gone")) };
        let session = self.session(deadline).await?;
        let entry = match self.search_person(&by_id.and(&self.filter.any_name()), &session).await? {
            Found::Nobody => return Ok(Standing::Ended("gone")),
            Found::Several(_) => return Err(Trouble::new("entry", format!("several have the same `{}`", self.id.name()))),
            Found::One(entry) => entry,
        };
        // The directory's matching may be laxer than equality; an id is not.
        if self.id.read(&entry)?.as_deref() != Some(identity.id.as_str()) {
            return Ok(Standing::Ended("gone"));
        }
        if let Some(rejection) = self.accounts.refusal(&entry, self.clock.now())? {
            return Ok(Standing::Ended(rejection.as_str()));
        }
        // A marker that appeared or vanished is a change as well: which password it stands for is not known.
        if person::marker(&entry)? != identity.marker {
            return Ok(Standing::Ended("password_changed"));
        }
        if self.is_shared(&entry, &identity.username, &session).await? {
            return Err(Trouble::new("entry", format!("another entry has the same `{}`", self.username)));
        }
        Ok(Standing::Good(self.identity(&entry, identity.proven, identity.method, Freshness::AskNow, &session).await?))
    }

    /// The password's marker of an id, without a bind; `None` where there is nobody or nothing to read.
    pub(super) async fn marker_of(&self, id: &str, deadline: Instant) -> Result<Option<PasswordMarker>, Trouble> {
        let Some(by_id) = self.id.filter(id) else { return Ok(None) };
        let session = self.session(deadline).await?;
        match self.search_person(&by_id.and(&self.filter.any_name()), &session).await? {
            Found::One(entry) => person::marker(&entry),
            Found::Nobody | Found::Several(_) => Ok(None),
        }
    }

    pub(super) async fn found(&self, username: &str, deadline: Instant) -> Result<Option<Identity>, Trouble> {
        let session = self.session(deadline).await?;
        match self.search_person(&self.filter.fill(&FilterValue::text(username)), &session).await? {
            Found::Nobody => Ok(None),
            Found::Several(_) => Err(Trouble::new("entry", "the name matches more than one")),
            Found::One(entry) => {
                let identity = self.identity(&entry, self.clock.now(), Method::Password, Freshness::AskNow, &session).await?;
                Ok(Some(identity))
            }
        }
    }

    pub(super) async fn group_exists(&self, group: &str, deadline: Instant) -> Result<bool, Trouble> {
        let session = self.session(deadline).await?;
        self.groups.exists(group, &session).await
    }

    /// At one of the servers.
    pub(super) async fn session(&self, deadline: Instant) -> Result<Session<'_>, Trouble> {
        self.servers.session(deadline).await
    }

    /// Everybody whom a filter finds below the bases; one entry that two bases reach is one.
    pub(super) async fn search_person(&self, filter: &Filter, session: &Session<'_>) -> Result<Found, Trouble> {
        let attributes = self.attributes();
        let mut people: Vec<Entry> = Vec::new();
        for (base, base_dn) in &self.bases {
            let search = Search { base, scope: self.scope, filter, attributes: &attributes, at_most: Some(2) };
            for entry in session.search(&search).await? {
                let dn: Dn = entry.dn.parse().map_err(|error| Trouble::new("entry", format!("its DN: {error}")))?;
                if !dn.is_within(base_dn) {
                    return Err(Trouble::new("entry", format!("the directory found it outside of `{base}`")));
                }
                tracing::debug!(provider = %self.names.provider, dn = entry.dn, "found an entry");
                // One directory spells one entry's DN the same way each time; another spelling may be another entry.
                if !people.iter().any(|known| known.dn == entry.dn) {
                    people.push(entry);
                }
            }
        }
        Ok(match people.pop() {
            None => Found::Nobody,
            Some(entry) if people.is_empty() => Found::One(entry),
            Some(last) => Found::Several(people.into_iter().chain([last]).map(|entry| entry.dn).collect()),
        })
    }

    /// Never `*`: entries may be large, and photographs are nobody's business here.
    pub(super) fn attributes(&self) -> Vec<&str> {
        let mut attributes = vec![self.username.as_str(), self.id.name()];
        let principal = matches!(self.bind, Bind::Upn(_)).then_some(PRINCIPAL_NAME);
        let more =
            state::ATTRIBUTES.into_iter().chain(person::MARKERS).chain(self.groups.user_attributes().iter().copied()).chain(principal);
        for attribute in more {
            if !attributes.iter().any(|known| known.eq_ignore_ascii_case(attribute)) {
                attributes.push(attribute);
            }
        }
        attributes
    }

    pub(super) fn entry_id(&self, entry: &Entry) -> Result<String, Trouble> {
        let no_id = || Trouble::new("entry", format!("the entry has no `{}`: may the service account read it?", self.id.name()));
        self.id.read(entry)?.ok_or_else(no_id)
    }

    async fn identity(
        &self,
        entry: &Entry,
        proven: Timestamp,
        method: Method,
        freshness: Freshness,
        session: &Session<'_>,
    ) -> Result<Identity, Trouble> {
        let id = self.entry_id(entry)?;
        let groups = self.groups.of(entry, &id, freshness, session).await?;
        self.identity_in(entry, id, groups, proven, method)
    }

    /// Whose entry it is, in these groups.
    pub(super) fn identity_in(
        &self,
        entry: &Entry,
        id: String,
        groups: Vec<Group>,
        proven: Timestamp,
        method: Method,
    ) -> Result<Identity, Trouble> {
        Ok(Identity {
            realm: Arc::clone(&self.names.realm),
            provider: Arc::clone(&self.names.provider),
            username: person::canonical_name(entry, &self.username)?,
            groups,
            id,
            kind: Kind::Person,
            method,
            proven,
            marker: person::marker(entry)?,
            claims: IdentityClaims::new(),
            second_factor: SecondFactor::Unknown,
        })
    }
}

/// Whether this is the entry's principal name: the directory's own comparison may be laxer.
fn bears(entry: &Entry, principal: &str) -> Result<bool, Trouble> {
    Ok(entry.text(PRINCIPAL_NAME)?.is_some_and(|name| name.to_lowercase() == principal.to_lowercase()))
}
