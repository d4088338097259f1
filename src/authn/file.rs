//! People and robots of a users file.

mod cores;
mod document;
mod htpasswd;
mod password;
mod pool;
mod reading;
mod rehearsal;
mod scratch;
mod settings;
mod user;

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

pub use password::{HashAlgorithm, NewHashError, hash_password};
pub(super) use pool::HashPool;
pub use settings::FileSettings;
pub(super) use settings::UsersPath;

use super::attempt::Attempt;
use super::identity::{Identity, IdentityClaims, Kind, Method, PasswordMarker, SecondFactor};
use super::provider::Names;
use super::route::NamePatterns;
use super::throttle::Source;
use super::verdict::{Circumstances, Rejection, Standing, Unavailable, Verdict};
use crate::clock::Clock;
use crate::metrics;
use crate::source::{Diagnostics, SourceFile};
use pool::PoolError;
use reading::Reading;
use user::User;

/// The users of one file, as of the moment when it was read.
pub struct Users {
    names: Names,
    path: PathBuf,
    /// By name, folded where case makes no difference.
    by_name: BTreeMap<String, User>,
    /// Chooses whose hashes stand in for those of a name that nobody has.
    stand_ins: RandomState,
    pool: Arc<HashPool>,
    clock: Clock,
    #[cfg(test)]
    comparisons: std::sync::atomic::AtomicU64,
}

impl Users {
    /// Reads the file. Every user has to be one of those that `patterns` lets through.
    pub(super) fn load(
        names: Names,
        patterns: &NamePatterns,
        path: &UsersPath,
        pool: Arc<HashPool>,
        clock: &Clock,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let file = SourceFile::load(path.as_path())?;
        let mut reading = Reading::new(&file, &names, patterns);
        match path {
            UsersPath::Yaml(_) => document::read(&mut reading)?,
            UsersPath::Htpasswd(_) => htpasswd::read(&mut reading),
        }
        let (by_name, warnings) = reading.finish()?;
        let path = path.as_path().to_owned();
        let users = Self {
            names,
            path,
            by_name,
            stand_ins: RandomState::new(),
            pool,
            clock: clock.clone(),
            #[cfg(test)]
            comparisons: std::sync::atomic::AtomicU64::new(0),
        };
        Ok((users, warnings))
    }

    /// Whether this name and password are right. Where the user may come from is not judged here but by
    /// [`Users::admits`] for every single request: the answer to one look-up may be shared.
    pub(super) async fn verify(
        &self,
        username: &str,
        password: &SecretString,
        circumstances: &Circumstances,
        attempt: &Attempt,
    ) -> Result<Verdict, Unavailable> {
        let known = self.find(username);
        // A name that nobody has costs the work of somebody's, and always the same one's.
        let Some(compared) = known.or_else(|| self.stand_in(username)) else { return Ok(Verdict::NotMine) };
        let marker = self.compare(compared, password, circumstances.deadline, attempt.source()).await?;
        let Some(user) = known else { return Ok(Verdict::NotMine) };
        let Some(marker) = marker else { return Ok(Verdict::Rejected(Rejection::WrongPassword)) };
        if let Err(rejection) = user.judge(self.clock.now()) {
            return Ok(Verdict::Rejected(rejection));
        }
        Ok(Verdict::Authenticated(self.identity(user, marker), None))
    }

    /// Whether somebody who was verified may be served at this moment and this address, with the hash that proved it.
    /// Costs a look into a map.
    pub(super) fn admits(&self, identity: &Identity, source: Option<IpAddr>) -> Result<(), Rejection> {
        let now = self.clock.now();
        let Some(user) = self.find(&identity.id) else { return Err(Rejection::Disabled) };
        if !identity.marker.as_ref().is_some_and(|marker| user.keeps(marker, now)) {
            return Err(Rejection::Expired);
        }
        user.judge(now)?;
        user.admits(source)
    }

    /// How somebody who was verified earlier stands now. From which address does not matter here: a request from a
    /// wrong one is refused by [`Self::admits`] and ends nobody's login.
    pub(super) fn recheck(&self, identity: &Identity) -> Standing {
        let now = self.clock.now();
        let Some(user) = self.find(&identity.id) else { return Standing::Ended("gone") };
        let Some(marker) = identity.marker.as_ref().filter(|marker| user.keeps(marker, now)) else {
            return Standing::Ended("password_changed");
        };
        if let Err(rejection) = user.judge(now) {
            return Standing::Ended(rejection.as_str());
        }
        let current = self.identity(user, marker.clone());
        Standing::Good(Identity { method: identity.method, proven: identity.proven, ..current })
    }

    /// Changes when a name of this provider means somebody else. That a file was exchanged shows in the hashes.
    pub(super) fn fingerprint(&self) -> String {
        HEXLOWER.encode(digest(&SHA256, format!("file\0{}", self.names.realm).as_bytes()).as_ref())
    }

    /// The user of this name, as it is written, with the groups.
    pub(super) fn look_up(&self, username: &str) -> Option<Identity> {
        let user = self.find(username)?;
        Some(Identity { marker: None, ..self.identity(user, PasswordMarker(String::new())) })
    }

    /// Whether there is such a user.
    pub fn has_user(&self, username: &str) -> bool {
        self.find(username).is_some()
    }

    /// Whether a user is in such a group.
    pub fn has_group(&self, group: &str) -> bool {
        let wanted = self.names.fold(group);
        self.by_name.values().flat_map(|user| &user.groups).any(|group| self.names.fold(&group.name) == wanted)
    }

    /// A typed name as it is counted.
    pub(super) fn counted_as(&self, typed: &str) -> String {
        self.names.fold(typed)
    }

    fn find(&self, username: &str) -> Option<&User> {
        self.by_name.get(&self.names.fold(username))
    }

    fn stand_in(&self, username: &str) -> Option<&User> {
        let users = u64::try_from(self.by_name.len()).ok()?;
        let chosen = self.stand_ins.hash_one(self.names.fold(username)).checked_rem(users)?;
        self.by_name.values().nth(usize::try_from(chosen).ok()?)
    }

    fn identity(&self, user: &User, marker: PasswordMarker) -> Identity {
        Identity {
            realm: Arc::clone(&self.names.realm),
            provider: Arc::clone(&self.names.provider),
            id: user.name.clone(),
            username: user.name.clone(),
            groups: user.groups.clone(),
            kind: Kind::Person,
            method: Method::Password,
            proven: self.clock.now(),
            marker: Some(marker),
            claims: IdentityClaims::new(),
            second_factor: SecondFactor::Unknown,
        }
    }

    async fn compare(
        &self,
        user: &User,
        password: &SecretString,
        deadline: Instant,
        source: Source,
    ) -> Result<Option<PasswordMarker>, Unavailable> {
        let started = Instant::now();
        let (hashes, password, now) = (Arc::clone(&user.hashes), password.clone(), self.clock.now());
        #[cfg(test)]
        self.comparisons.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let result =
            self.pool.run(source, deadline, move |scratch| user::compare(&hashes, password.expose_secret().as_bytes(), now, scratch)).await;
        let outcome = match &result {
            Ok(Some(_)) => "success",
            Ok(None) => "rejected",
            Err(PoolError::Full | PoolError::Deadline | PoolError::Failed) => "unavailable",
        };
        metrics::directory_operation(&self.names.provider, "", "compare", outcome, started.elapsed());
        result.map_err(|error| Unavailable {
            provider: self.names.provider.to_string(),
            reason: error.to_string(),
            retry_after: PoolError::RETRY_AFTER,
            is_misconfigured: false,
        })
    }

    /// Passwords compared so far.
    #[cfg(test)]
    pub(super) fn comparisons(&self) -> u64 {
        self.comparisons.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users")
            .field("names", &self.names)
            .field("path", &self.path)
            .field("users", &self.by_name.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
