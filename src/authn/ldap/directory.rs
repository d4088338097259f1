//! The steps of a verification and of a re-check.

use std::sync::Arc;

use secrecy::SecretString;
use tokio::time::Instant;

use super::Directory;
use super::answer::Proof;
use super::connection::{Connection, Search};
use super::dn::Dn;
use super::entry::Entry;
use super::session::Session;
use super::template::{Filter, FilterValue};
use super::trouble::Trouble;
use super::{person, state};
use crate::authn::attempt::{Account, Attempt, Bound, Throttled};
use crate::authn::identity::{Identity, IdentityClaims, Kind, Method, PasswordMarker, SecondFactor};
use crate::authn::verdict::{Rejection, Standing, Verdict};
use crate::clock::Timestamp;

/// What a search for one person found.
enum Found {
    Nobody,
    One(Entry),
    Several,
}

impl Directory {
    pub(super) async fn verified(
        &self,
        username: &str,
        password: &SecretString,
        attempt: &Attempt,
        deadline: Instant,
    ) -> Result<Verdict, Trouble> {
        let session = self.session(deadline).await?;
        let entry = match self.search_person(&self.filter.fill(&FilterValue::text(username)), &session).await? {
            Found::Nobody => return Ok(Verdict::NotMine),
            Found::Several => {
                tracing::error!(provider = %self.names.provider, "a name matches more than one entry; nobody is let in by it");
                return Ok(Verdict::Rejected(Rejection::Ambiguous));
            }
            Found::One(entry) => entry,
        };
        let (id, marker) = (self.entry_id(&entry)?, person::marker(&entry)?);
        let account = Account { id: &id, marker: marker.as_ref() };
        if let Some(refused) = self.proven(&session, &account, &entry.dn, password, attempt).await? {
            return Ok(refused);
        }
        let now = self.clock.now();
        if let Some(rejection) = state::refusal(&entry, now)? {
            return Ok(Verdict::Rejected(rejection));
        }
        let identity = self.identity(&entry, now, Method::Password, &session).await?;
        Ok(Verdict::Authenticated(identity, None))
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
            Err(throttled @ Throttled::UsedUp { .. }) => return Ok(Some(Verdict::Throttled(throttled))),
        }
        let proof = session.bind(dn, password).await;
        let bound = match &proof {
            Ok(Proof::Refused { rejection: Rejection::WrongPassword, .. }) => Bound::Wrong,
            Ok(Proof::Refused { rejection: Rejection::LockedOut, .. }) => Bound::LockedOut,
            Ok(Proof::Proven | Proof::Refused { .. }) => Bound::Proven,
            Err(_) => Bound::Unknown,
        };
        attempt.bound(account, bound).await;
        let Proof::Refused { rejection, detail } = proof? else { return Ok(None) };
        tracing::info!(provider = %self.names.provider, rejection = rejection.as_str(), detail, "the directory refused a password");
        Ok(Some(Verdict::Rejected(rejection)))
    }

    pub(super) async fn standing(&self, identity: &Identity, deadline: Instant) -> Result<Standing, Trouble> {
        let Some(by_id) = self.id.filter(&identity.id) else { return Ok(Standing::Ended("gone")) };
        let session = self.session(deadline).await?;
        let entry = match self.search_person(&by_id.and(&self.filter.any_name()), &session).await? {
            Found::Nobody => return Ok(Standing::Ended("gone")),
            Found::Several => return Err(Trouble::new("entry", format!("several have the same `{}`", self.id.name()))),
            Found::One(entry) => entry,
        };
        // The directory's matching may be laxer than equality; an id is not.
        if self.id.read(&entry)?.as_deref() != Some(identity.id.as_str()) {
            return Ok(Standing::Ended("gone"));
        }
        if let Some(rejection) = state::refusal(&entry, self.clock.now())? {
            return Ok(Standing::Ended(rejection.as_str()));
        }
        // A marker that appeared or vanished is a change as well: which password it stands for is not known.
        if person::marker(&entry)? != identity.marker {
            return Ok(Standing::Ended("password_changed"));
        }
        Ok(Standing::Good(self.identity(&entry, identity.proven, identity.method, &session).await?))
    }

    /// The password's marker of an id, without a bind; `None` where there is nobody or nothing to read.
    pub(super) async fn marker_of(&self, id: &str, deadline: Instant) -> Result<Option<PasswordMarker>, Trouble> {
        let Some(by_id) = self.id.filter(id) else { return Ok(None) };
        let session = self.session(deadline).await?;
        match self.search_person(&by_id.and(&self.filter.any_name()), &session).await? {
            Found::One(entry) => person::marker(&entry),
            Found::Nobody | Found::Several => Ok(None),
        }
    }

    pub(super) async fn found(&self, username: &str, deadline: Instant) -> Result<Option<Identity>, Trouble> {
        let session = self.session(deadline).await?;
        match self.search_person(&self.filter.fill(&FilterValue::text(username)), &session).await? {
            Found::Nobody => Ok(None),
            Found::Several => Err(Trouble::new("entry", "the name matches more than one")),
            Found::One(entry) => {
                let identity = self.identity(&entry, self.clock.now(), Method::Password, &session).await?;
                Ok(Some(identity))
            }
        }
    }

    pub(super) async fn group_exists(&self, group: &str, deadline: Instant) -> Result<bool, Trouble> {
        let session = self.session(deadline).await?;
        self.groups.exists(group, &session).await
    }

    /// Over a connection that is bound as the service account.
    async fn session(&self, deadline: Instant) -> Result<Session<'_>, Trouble> {
        self.service.may_bind()?;
        let mut connection = Connection::open(&self.link, deadline).await?;
        self.service.bind(&mut connection, deadline).await?;
        Ok(Session::new(&self.link, connection, deadline))
    }

    /// Everybody whom a filter finds below the bases; one entry that two bases reach is one.
    async fn search_person(&self, filter: &Filter, session: &Session<'_>) -> Result<Found, Trouble> {
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
            Some(_) => Found::Several,
        })
    }

    /// Never `*`: entries may be large, and photographs are nobody's business here.
    fn attributes(&self) -> Vec<&str> {
        let mut attributes = vec![self.username.as_str(), self.id.name()];
        let more = state::ATTRIBUTES.into_iter().chain(person::MARKERS).chain(self.groups.user_attribute());
        for attribute in more {
            if !attributes.iter().any(|known| known.eq_ignore_ascii_case(attribute)) {
                attributes.push(attribute);
            }
        }
        attributes
    }

    fn entry_id(&self, entry: &Entry) -> Result<String, Trouble> {
        let no_id = || Trouble::new("entry", format!("the entry has no `{}`: may the service account read it?", self.id.name()));
        self.id.read(entry)?.ok_or_else(no_id)
    }

    async fn identity(&self, entry: &Entry, proven: Timestamp, method: Method, session: &Session<'_>) -> Result<Identity, Trouble> {
        Ok(Identity {
            realm: Arc::clone(&self.names.realm),
            provider: Arc::clone(&self.names.provider),
            id: self.entry_id(entry)?,
            username: person::canonical_name(entry, &self.username)?,
            groups: self.groups.of(entry, session).await?,
            kind: Kind::Person,
            method,
            proven,
            marker: person::marker(entry)?,
            claims: IdentityClaims::new(),
            second_factor: SecondFactor::Unknown,
        })
    }
}
