//! A name and a password become an identity: who is asked, in which order, and what was said a moment ago.

mod build;
mod outage;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;
use unicode_normalization::UnicodeNormalization;

use super::attempt::{Asker, Attempt, Throttled, Tried, seconds};
pub use super::cache::Freshness;
use super::cache::{Answer, CredentialCache, Found, Handout, LookUp, Memory, Refused};
use super::credentials::Credentials;
use super::identity::Identity;
use super::oidc::{OFFLINE_ADVICE, RelyingParty};
use super::provider::{Health, Names, Provider};
use super::route::NamePatterns;
use super::throttle::{self, Limits, Source, Step, Throttle};
use super::verdict::{Circumstances, Rejection, Renewal, Standing, Unavailable, Verdict};
use crate::clock::Timestamp;
pub use outage::Stale;
use outage::{Notes, Outage};

/// Every provider with its names, and what is remembered about credentials. A reload makes a new one, so that nothing is
/// remembered of users and providers as they were; what the shield counted goes on.
pub struct Authenticator {
    /// In the order in which they are asked: files first.
    asked: Vec<Arc<Asked>>,
    cache: Arc<CredentialCache>,
    /// For outages.
    memory: Arc<Memory>,
    throttle: Arc<Throttle>,
    limits: Limits,
}

/// A provider and the names that it is asked for.
#[derive(Debug)]
struct Asked {
    provider: Provider,
    names: Names,
    patterns: NamePatterns,
    outage: Outage,
}

/// Whom a name and a password belong to.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Who it is.
    pub identity: Arc<Identity>,
    /// What the provider wants back at the next re-check.
    pub renewal: Option<Renewal>,
    /// Whether a provider was asked earlier, not for this request.
    pub cached: bool,
    /// Set where the provider could not be asked now, and an earlier success is gone by: good for pulls alone.
    pub stale: Option<Stale>,
}

/// Why there is no identity.
#[derive(Clone, Debug)]
pub enum Denied {
    /// Becomes a 401.
    Rejected {
        /// Who said so; `None` where no provider knows the name.
        provider: Option<Arc<str>>,
        /// The word of the audit.
        reason: &'static str,
        /// What the person may be told, because the password was right.
        advice: Option<&'static str>,
        /// Whether it was said to an earlier request.
        cached: bool,
    },
    /// Becomes a 401 that says where to sign in: the password is right, and the issuer wants more than one.
    InteractionRequired {
        /// Which issuer.
        provider: Arc<str>,
        /// Whether it was said to an earlier request.
        cached: bool,
    },
    /// Becomes a 429: nobody compared anything.
    Throttled {
        /// Which step of the shield.
        step: Step,
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
    /// Becomes a 503.
    Unavailable(Unavailable),
}

/// A provider's state for `/readyz` and `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderReport {
    /// Its name.
    pub name: Arc<str>,
    /// Its realm.
    pub realm: Arc<str>,
    /// `file` or `ldap`.
    pub kind: &'static str,
    /// Whether it answered the last time.
    pub health: Health,
    /// Until when somebody may be served without it.
    pub stale_until: Option<Timestamp>,
}

impl Authenticator {
    /// Whose name and password these are. Waits no longer than the deadline; a look-up that began goes on without it.
    pub async fn verify(
        &self,
        username: &str,
        password: &SecretString,
        circumstances: &Circumstances,
        freshness: Freshness,
    ) -> Result<Verified, Denied> {
        // What looks like a token belongs to no directory, however it got here.
        if !matches!(Credentials::classify(username, password.clone()), Credentials::Password { .. }) {
            return Err(rejected(None, "unusable", false));
        }
        let is_asked = |asked: &&Arc<Asked>| asked.provider.takes_passwords() && asked.patterns.matches(username);
        let route: Vec<&Arc<Asked>> = self.asked.iter().filter(is_asked).collect();
        let Some(first) = route.first() else { return Err(rejected(None, "unknown", false)) };
        let providers: Vec<&str> = route.iter().map(|asked| &*asked.names.provider).collect();
        let digest = self.cache.digest(&providers, username, password);
        let name = counted_as(&route, username);
        let source = Source::of(circumstances.source);
        let guess =
            self.throttle.enter(&name, source, digest.short(), self.limits).map_err(|(step, wait)| throttled(step, seconds(wait)))?;
        let look_up = LookUp { digest, provider: &first.names.provider, freshness, deadline: circumstances.deadline };
        let asker = Asker { throttle: Arc::clone(&self.throttle), limits: self.limits, source, name };
        let ask = || {
            let notes = Notes::new(self, &look_up.digest, &asker.name);
            let route = route.iter().map(|asked| Arc::clone(asked)).collect();
            ask(route, username.to_owned(), password.clone(), circumstances, freshness, asker.clone(), notes)
        };
        let moved = |tried: Tried| {
            moved(Arc::clone(&self.throttle), self.asked(&tried.provider), tried, circumstances.deadline, Arc::clone(&self.memory))
        };
        let mut found = self.cache.look_up(&look_up, ask, moved).await;
        // It may have been a stranger's look-up that this request joined; who is known has a share of its own.
        if let Ok(Found { answer: Answer::Throttled { known: false, .. }, .. }) = found
            && self.throttle.knows(&asker.name, source)
        {
            found = self.cache.look_up(&look_up, ask, moved).await;
        }
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.recalled(&look_up.digest, &asker.name, error, guess, circumstances.source),
        };
        let identity = match found.answer {
            Answer::Verified(identity, _) => identity,
            Answer::Refused(Refused { provider, rejection, .. }) => {
                if rejection.is_none_or(Rejection::is_about_the_password) {
                    guess.was_wrong();
                }
                return Err(match rejection {
                    Some(Rejection::InteractionRequired) => {
                        Denied::InteractionRequired { provider: provider.unwrap_or_default(), cached: found.cached }
                    }
                    Some(rejection) => refused(provider, rejection, found.cached),
                    None => rejected(provider, "unknown", found.cached),
                });
            }
            Answer::Throttled { retry_after, .. } => return Err(throttled(Step::Binds, retry_after)),
        };
        guess.was_right().await;
        // The look-up may have been somebody else's, or an earlier one: what depends on this request is judged now.
        self.admits(&identity, circumstances.source)
            .map_err(|rejection| refused(Some(Arc::clone(&identity.provider)), rejection, found.cached))?;
        Ok(Verified { identity, renewal: found.renewal, cached: found.cached, stale: None })
    }

    /// Whether somebody who was verified earlier, by a password or an identity token, may be served from this address.
    /// Asks nobody; has to stand before every use.
    pub fn admits(&self, identity: &Identity, source: Option<IpAddr>) -> Result<(), Rejection> {
        if let Some(file) = self.holder(identity) {
            let hint = format!("take the name out of `names` of provider `{file}`, or give the person another one in the directory");
            tracing::error!(
                provider = %identity.provider, %file, username = %identity.username, hint,
                "an entry bears a name that is a users file's; it is not let in"
            );
            return Err(Rejection::Ambiguous);
        }
        self.provider(&identity.provider).ok_or(Rejection::Disabled)?.admits(identity, source)
    }

    /// The users file whose name an identity of another provider bears: to the rules of their realm both would be one, and who
    /// types a mail address or `CORP\\` in front comes past the file's `names`.
    fn holder(&self, identity: &Identity) -> Option<&str> {
        let own = self.asked.iter().find(|asked| asked.names.provider == identity.provider)?;
        let is_file = |asked: &Asked| matches!(asked.provider, Provider::File(_));
        if is_file(own) {
            return None;
        }
        let holds =
            |asked: &&Arc<Asked>| is_file(asked) && asked.names.realm == identity.realm && asked.patterns.matches(&identity.username);
        self.asked.iter().find(holds).map(|asked| &*asked.names.provider)
    }

    /// How somebody who was verified earlier stands now. A stable id of a provider that is gone, or became another one,
    /// means nobody.
    pub async fn recheck(
        &self,
        identity: &Identity,
        fingerprint: &str,
        renewal: Option<Renewal>,
        circumstances: &Circumstances,
    ) -> (Result<Standing, Unavailable>, Option<Renewal>) {
        let began = self.memory.now();
        match self.asked(&identity.provider) {
            Some(asked) if asked.provider.fingerprint() == fingerprint => {
                let (standing, renewal) = asked.provider.recheck(identity, renewal, circumstances).await;
                self.noted(&asked, identity, &standing, began);
                (standing, renewal)
            }
            Some(_) | None => (Ok(Standing::Ended("provider_changed")), renewal),
        }
    }

    /// What a provider's stable ids mean, as one word that changes with it.
    pub fn fingerprint(&self, provider: &str) -> Option<String> {
        self.provider(provider).map(Provider::fingerprint)
    }

    /// The provider of this name.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.asked.iter().find(|asked| &*asked.names.provider == name).map(|asked| &asked.provider)
    }

    /// The issuers that people can sign in at, in the order of the configuration.
    pub fn relying_parties(&self) -> impl Iterator<Item = &RelyingParty> {
        self.asked.iter().filter_map(|asked| match &asked.provider {
            Provider::Oidc(party) => Some(&**party),
            Provider::File(_) | Provider::Ldap(_) => None,
        })
    }

    /// Whether anybody could log in with a password.
    pub fn takes_passwords(&self) -> bool {
        self.asked.iter().any(|asked| asked.provider.takes_passwords())
    }

    fn asked(&self, name: &str) -> Option<Arc<Asked>> {
        self.asked.iter().find(|asked| &*asked.names.provider == name).map(Arc::clone)
    }

    /// What the shield counted, for the next generation.
    pub fn throttle(&self) -> &Arc<Throttle> {
        &self.throttle
    }

    /// Drops counts that are over.
    pub async fn purge(&self) {
        self.throttle.purge(&self.limits).await;
    }

    /// Every provider's state.
    pub fn health(&self) -> Vec<ProviderReport> {
        let report = |asked: &Arc<Asked>| ProviderReport {
            name: Arc::clone(&asked.names.provider),
            realm: Arc::clone(&asked.names.realm),
            kind: asked.provider.kind(),
            health: asked.provider.health(),
            stale_until: asked.outage.stale_until(),
        };
        self.asked.iter().map(report).collect()
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("asked", &self.asked).finish_non_exhaustive()
    }
}

/// Asks one after the other. The answer may be shared, so nothing of the client goes in but the deadline.
fn ask(
    route: Vec<Arc<Asked>>,
    username: String,
    password: SecretString,
    circumstances: &Circumstances,
    freshness: Freshness,
    asker: Asker,
    notes: Notes,
) -> impl Future<Output = Result<Answer, Unavailable>> + Send + use<> {
    let circumstances = Circumstances { source: None, deadline: circumstances.deadline };
    async move {
        for asked in &route {
            let attempt = Attempt::new(&asker, &asked.names.provider, &password, circumstances.deadline);
            let began = notes.now();
            let verdict = asked.provider.verify(&username, &password, &circumstances, freshness, &attempt).await?;
            notes.take(asked, &password, &verdict, &attempt, began);
            match verdict {
                Verdict::Authenticated(identity, renewal) => {
                    return Ok(Answer::Verified(Arc::new(identity), handout(&asked.provider, renewal, freshness)));
                }
                Verdict::Rejected(rejection) => {
                    let refused =
                        Refused { provider: Some(Arc::clone(&asked.names.provider)), rejection: Some(rejection), tried: attempt.tried() };
                    let directory = route.iter().find(|asked| asked.provider.locks_accounts());
                    return match (rejection, directory) {
                        // No bind said so, but its answers have to run out as any other name's.
                        (Rejection::Ambiguous, _) => spent(&asker, asked, &password, circumstances.deadline, refused).await,
                        // In front of a directory, so do those of a file: a name that neither has runs out there.
                        (Rejection::WrongPassword, Some(directory)) if !asked.provider.locks_accounts() => {
                            spent(&asker, directory, &password, circumstances.deadline, refused).await
                        }
                        (
                            Rejection::WrongPassword
                            | Rejection::LockedOut
                            | Rejection::Disabled
                            | Rejection::Locked
                            | Rejection::Expired
                            | Rejection::MustChange
                            | Rejection::Grace
                            | Rejection::Restricted
                            | Rejection::Source
                            | Rejection::InteractionRequired
                            | Rejection::NoOfflineAccess,
                            _,
                        ) => Ok(Answer::Refused(refused)),
                    };
                }
                Verdict::NotMine => {}
                Verdict::Throttled(throttled) => return withheld(throttled, &asked.names.provider, None),
            }
        }
        let unknown = Refused { provider: None, rejection: None, tried: None };
        match route.iter().find(|asked| asked.provider.locks_accounts()) {
            Some(directory) => spent(&asker, directory, &password, circumstances.deadline, unknown).await,
            None => Ok(Answer::Refused(unknown)),
        }
    }
}

/// Who of those who wait may keep the renewal.
fn handout(provider: &Provider, renewal: Option<Renewal>, freshness: Freshness) -> Handout {
    match renewal {
        Some(renewal) if !provider.shares_renewals() => Handout::once(renewal),
        None if provider.rechecks_by_renewal() && freshness == Freshness::CacheAllowed => Handout::NotAskedFor,
        renewal => Handout::ForAll(renewal),
    }
}

/// A name without an account runs out of answers as one that has an account.
async fn spent(
    asker: &Asker,
    directory: &Asked,
    password: &SecretString,
    deadline: Instant,
    refused: Refused,
) -> Result<Answer, Unavailable> {
    let attempt = Attempt::new(asker, &directory.names.provider, password, deadline);
    match attempt.spend_for_nobody(&asker.name).await {
        Ok(()) => Ok(Answer::Refused(refused)),
        Err(throttled) => withheld(throttled, &directory.names.provider, refused.provider),
    }
}

fn withheld(throttled: Throttled, asked: &Arc<str>, provider: Option<Arc<str>>) -> Result<Answer, Unavailable> {
    match throttled {
        Throttled::UsedUp { retry_after, known } => Ok(Answer::Throttled { retry_after, known }),
        Throttled::LockedOut => Ok(Answer::Refused(Refused { provider, rejection: Some(Rejection::LockedOut), tried: None })),
        Throttled::Unsure { reason, retry_after } => {
            tracing::warn!(provider = %asked, reason, "a bind is withheld");
            Err(Unavailable { provider: asked.to_string(), reason: reason.to_owned(), retry_after, is_misconfigured: false })
        }
    }
}

/// Whether an account has another password since one was refused there. Who cannot be asked says nothing.
fn moved(
    throttle: Arc<Throttle>,
    asked: Option<Arc<Asked>>,
    tried: Tried,
    deadline: Instant,
    memory: Arc<Memory>,
) -> impl Future<Output = bool> + Send + use<> {
    let circumstances = Circumstances { source: None, deadline };
    async move {
        let Some(asked) = asked else { return false };
        let read = async {
            let marker = asked.provider.marker(&tried.id, &circumstances).await.ok()?;
            memory.marked(&tried.provider, &tried.id, marker.as_ref());
            marker
        };
        throttle.has_moved((&tried.provider, &tried.id), &tried.marker, read).await
    }
}

/// The name as every provider of its route folds it: no other spelling of it has counters of its own.
fn counted_as(route: &[&Arc<Asked>], typed: &str) -> String {
    let plain: String = typed.trim().nfkc().collect();
    route.iter().fold(plain, |name, asked| asked.provider.counted_as(&name))
}

fn throttled(step: Step, retry_after: Duration) -> Denied {
    throttle::count(step);
    Denied::Throttled { step, retry_after }
}

fn rejected(provider: Option<Arc<str>>, reason: &'static str, cached: bool) -> Denied {
    Denied::Rejected { provider, reason, advice: None, cached }
}

fn refused(provider: Option<Arc<str>>, rejection: Rejection, cached: bool) -> Denied {
    Denied::Rejected { provider, reason: rejection.as_str(), advice: advice(rejection), cached }
}

/// What to do next. Only for what a provider says after the password was proven; before that, everything is wrong alike.
const fn advice(rejection: Rejection) -> Option<&'static str> {
    match rejection {
        Rejection::Disabled => Some("the account is disabled: ask your administrator"),
        Rejection::Locked => Some("the account is locked: ask your administrator"),
        Rejection::Expired => Some("the account or its password has expired: change the password or ask your administrator"),
        Rejection::MustChange => Some("the password has to be changed first: change it, then run docker login again"),
        Rejection::Grace => Some("the password has expired and this was one of the last logins: change it, then run docker login again"),
        Rejection::NoOfflineAccess => Some(OFFLINE_ADVICE),
        Rejection::Source => Some("this account cannot be used from this address: ask your administrator"),
        Rejection::WrongPassword | Rejection::LockedOut | Rejection::Ambiguous | Rejection::Restricted | Rejection::InteractionRequired => {
            None
        }
    }
}

#[cfg(test)]
mod tests;
