//! Identity tokens: what docker keeps instead of the password.
//!
//! One is bound to one identity (provider and stable id) and to one service, and is never replaced by another. It is
//! opaque; what it stands for is a sealed row of the store.

mod birth;
mod leftover;
mod life;
mod revocation;
mod secret;
pub mod settings;
mod shared;
mod snapshot;

use std::net::IpAddr;

use aws_lc_rs::rand;
use data_encoding::BASE32_NOPAD;
use secrecy::SecretString;
use tokio::sync::Notify;

pub use birth::{Birth, Born};
pub use leftover::{Leftover, Leftovers};
pub use revocation::{Listed, Selection};
pub use shared::Person;

use self::secret::Secrets;
use self::settings::IdentityTokenSettings;
use self::snapshot::Origin;
use crate::authn::identity::Identity;
use crate::authn::verdict::Renewal;
use crate::clock::{Clock, Timestamp};
use crate::store::{StateKey, Store, StoreError, TokenRow};

/// More live tokens of one identity for one service end the one that was unused for longest.
const AT_MOST: usize = 50;
/// `last used` is written no more often than this, in seconds.
const USED_EVERY: i64 = 60;
/// Ended tokens are listed for so long, in seconds.
const KEPT_AFTER_END: i64 = 7 * 24 * 3600;
/// How often a change is tried again when another process changed the row first.
const ATTEMPTS: usize = 10;

/// Whether the provider can be asked about somebody without the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// It can, and is.
    ByProvider,
    /// It cannot: the token lives for 12h at most and is never looked at again.
    Impossible,
}

/// A presented token that holds.
#[derive(Clone, Debug)]
pub struct Presented {
    /// Who it stands for, as of the last look.
    pub identity: Identity,
    /// What the provider was at the login; another one ends the token.
    pub fingerprint: String,
    /// What the provider wants back at the next look.
    pub renewal: Option<Renewal>,
    /// When the person and the groups were looked at last.
    pub looked: Timestamp,
    /// Whether that is too long ago: ask the provider, then [`IdentityTokens::confirm`] or [`IdentityTokens::end`].
    pub needs_recheck: bool,
    /// What operators call the token.
    pub id: String,
    /// When the token ends whatever happens.
    pub ends: Timestamp,
    token_hash: Vec<u8>,
    /// The renewal as it is stored, to know whether somebody stored another one since.
    closed: Option<Vec<u8>>,
    used: Timestamp,
    at: Timestamp,
}

/// Why a presented token does not hold.
#[derive(Debug, thiserror::Error)]
pub enum PresentError {
    /// It is none of ours, ended, or meant for another service; the word of logs and audit.
    #[error("the identity token has ended: {0}")]
    Ended(&'static str),
    /// The store could not be asked. Never a refusal.
    #[error("the identity token cannot be looked up")]
    Unavailable(#[from] StoreError),
}

/// Why a token could not be made or ended.
#[derive(Debug, thiserror::Error)]
pub enum IdentityTokenError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// The store could not be asked.
    #[error("identity tokens cannot be kept")]
    Unavailable(#[from] StoreError),
}

/// All identity tokens.
#[derive(Debug)]
pub struct IdentityTokens {
    store: Store,
    secrets: Secrets,
    settings: IdentityTokenSettings,
    clock: Clock,
    /// One was ended here.
    ended: Notify,
}

impl IdentityTokens {
    /// The tokens of a store, with the lives of these settings.
    pub fn new(store: Store, key: &StateKey, settings: IdentityTokenSettings, clock: Clock) -> Self {
        Self { store, secrets: Secrets::new(key), settings, clock, ended: Notify::new() }
    }

    /// Makes a token for somebody who proved by this very request, or by a sign-in that it finishes, who they are.
    pub async fn mint(
        &self,
        identity: &Identity,
        service: &str,
        fingerprint: &str,
        renewal: Option<Renewal>,
        recheck: Recheck,
        birth: Birth,
    ) -> Result<SecretString, IdentityTokenError> {
        let (token, token_hash) = self.secrets.make().ok_or(IdentityTokenError::NoRandomness)?;
        let mut id = [0; 10];
        rand::fill(&mut id).map_err(|_| IdentityTokenError::NoRandomness)?;
        let now = self.clock.now();
        let mut row = TokenRow {
            id: BASE32_NOPAD.encode(&id).to_ascii_lowercase(),
            token_hash,
            provider: identity.provider.to_string(),
            fingerprint: fingerprint.to_owned(),
            realm: identity.realm.to_string(),
            subject: identity.id.clone(),
            username: identity.username.clone(),
            kind: snapshot::kind_word(identity.kind).to_owned(),
            groups: snapshot::known_text(identity, identity.second_factor, &Origin::new(&birth)),
            marker: identity.marker.as_ref().map(|marker| marker.0.clone()),
            recheck: match recheck {
                Recheck::ByProvider => snapshot::PROVIDER,
                Recheck::Impossible => snapshot::IMPOSSIBLE,
            }
            .to_owned(),
            renewal: None,
            service: service.to_owned(),
            proven: identity.proven.0.min(now.0),
            created: now.0,
            // Between a sign-in in a browser and the login by its code minutes go by.
            looked: identity.proven.0.min(now.0),
            used: now.0,
            ended: None,
            reason: None,
        };
        if let Some(Renewal(plain)) = renewal {
            row.renewal = Some(self.store.close_renewal(&row, &plain)?);
        }
        self.store.insert_token(&row, AT_MOST).await?;
        Ok(token)
    }

    /// Whether a look of this time is too old to go by.
    pub fn is_old(&self, looked: Timestamp) -> bool {
        life::is_old(looked, &self.settings, self.clock.now())
    }

    /// Who a token stands for, where it is ours, intact, meant for `service`, and neither ended nor too old.
    pub async fn present(&self, token: &SecretString, service: &str) -> Result<Presented, PresentError> {
        let token_hash = self.secrets.read(token).ok_or(PresentError::Ended("malformed"))?;
        let stored = self.store.find_token(&token_hash).await?.ok_or(PresentError::Ended("unknown"))?;
        let row = stored.row();
        if row.service != service {
            return Err(PresentError::Ended("other_service"));
        }
        let now = self.clock.now();
        if let Some(reason) = life::ended(row, &self.settings, now) {
            return Err(PresentError::Ended(reason));
        }
        let identity = snapshot::identity(row).ok_or(PresentError::Ended("unreadable"))?;
        let renewal = match &row.renewal {
            None => None,
            Some(closed) => {
                let Some(plain) = self.store.open_renewal(row, closed) else {
                    tracing::error!(token.id = %row.id, "what the issuer wants back for identity token {} does not open; it is refused", row.id);
                    return Err(PresentError::Ended("altered"));
                };
                Some(Renewal(plain))
            }
        };
        Ok(Presented {
            identity,
            fingerprint: row.fingerprint.clone(),
            renewal,
            closed: row.renewal.clone(),
            ends: life::absolute_end(row, &self.settings),
            looked: Timestamp(row.looked),
            needs_recheck: life::needs_recheck(row, &self.settings, now),
            id: row.id.clone(),
            token_hash,
            used: Timestamp(row.used),
            at: now,
        })
    }

    /// Keeps what a look at the provider showed: the name, the groups, the claims, that the look was made, and the renewal that
    /// came of it. A token that somebody ended meanwhile stays ended, and one whose password is another now ends here too.
    pub async fn confirm(&self, presented: &Presented, identity: &Identity, renewal: Option<Renewal>) -> Result<(), PresentError> {
        let bound = &presented.identity;
        if (&identity.provider, &identity.realm, &identity.id) != (&bound.provider, &bound.realm, &bound.id) {
            self.end(presented, "other_identity").await?;
            return Err(PresentError::Ended("other_identity"));
        }
        if identity.marker.is_some() && bound.marker.is_some() && identity.marker != bound.marker {
            self.end(presented, "password_changed").await?;
            return Err(PresentError::Ended("password_changed"));
        }
        let closed = self.closed(presented, renewal.as_ref()).await?;
        let look = |row: &mut TokenRow| {
            // Of two looks the later one stays, unless it lies in the future. Many requests that look at once write once.
            let stands = row.looked >= presented.at.0 && row.looked <= self.clock.now().0;
            if !stands {
                row.username.clone_from(&identity.username);
                // How the login was proven stays what it was then: a look needs no second factor.
                row.groups = snapshot::known_text(identity, bound.second_factor, &Origin::of(row));
                // The look was made after the token was presented; the earlier time is the safe one.
                row.looked = presented.at.0;
                row.used = presented.at.0;
            }
            // A marker that can no longer be read counts as none, and the life gets shorter.
            if identity.marker.is_none() {
                row.marker = None;
            }
            renew(row, presented, closed.as_ref());
        };
        let kept = self.change(presented, look).await;
        self.or_left_over(kept, presented, closed.as_ref()).await
    }

    /// Keeps what the provider wants back next time, where a look gave one but no answer, or a no.
    pub async fn keep_renewal(&self, presented: &Presented, renewal: &Renewal) -> Result<(), PresentError> {
        let closed = self.closed(presented, Some(renewal)).await?;
        let kept = self.change(presented, |row| renew(row, presented, closed.as_ref())).await;
        self.or_left_over(kept, presented, closed.as_ref()).await
    }

    /// Whether another process stored another renewal since: what an issuer says of the one that was presented is about the
    /// past then. Where the token ended, it is not.
    pub async fn was_renewed(&self, presented: &Presented) -> Result<bool, StoreError> {
        let stored = self.store.find_token(&presented.token_hash).await?;
        Ok(stored.is_some_and(|stored| stored.row().ended.is_none() && stored.row().renewal != presented.closed))
    }

    /// Ends a presented token. One that is ended already keeps its first reason.
    pub async fn end(&self, presented: &Presented, reason: &'static str) -> Result<(), StoreError> {
        self.end_row(&presented.token_hash, reason).await?;
        Ok(())
    }

    /// Ends a token at its own wish (RFC 7009), and tells it as it is now; none where it is none of ours or ended already.
    pub async fn revoke(&self, token: &SecretString) -> Result<Option<TokenRow>, StoreError> {
        match self.secrets.read(token) {
            Some(token_hash) => self.end_row(&token_hash, "revoked").await,
            None => Ok(None),
        }
    }

    /// Notes that a token is in use and where from, once a minute at most. A failure is logged: it ends nobody's token today.
    pub async fn used(&self, presented: &Presented, source: Option<IpAddr>) {
        let age = presented.at.since(presented.used);
        if (0..USED_EVERY).contains(&age) {
            return;
        }
        let note = |row: &mut TokenRow| {
            row.used = presented.at.0;
            row.groups = snapshot::used_from(&row.groups, source);
        };
        match self.change(presented, note).await {
            Ok(()) | Err(PresentError::Ended(_)) => {}
            Err(PresentError::Unavailable(cause)) => {
                tracing::warn!(token.id = %presented.id, error = %cause, "the use of identity token {} could not be noted", presented.id);
            }
        }
    }

    /// Forgets tokens that ended, by themselves or not, a week ago; how many.
    pub async fn purge(&self) -> Result<u64, StoreError> {
        let ended = self.clock.now().plus(-KEPT_AFTER_END);
        let used = ended.plus(-life::seconds(self.settings.idle.value));
        let created = ended.plus(-life::seconds(self.settings.absolute.value));
        self.store.purge_tokens(ended, used, created).await
    }

    /// A renewal as the row keeps it; none where it is the one that stands there.
    async fn closed(&self, presented: &Presented, renewal: Option<&Renewal>) -> Result<Option<Vec<u8>>, PresentError> {
        let Some(renewal) = renewal.filter(|renewal| presented.renewal.as_ref() != Some(renewal)) else { return Ok(None) };
        let stored = self.store.find_token(&presented.token_hash).await?.ok_or(PresentError::Ended("unknown"))?;
        Ok(Some(self.store.close_renewal(stored.row(), &renewal.0)?))
    }

    /// Changes a row that is still live, again and again until nobody else was faster.
    async fn change(&self, presented: &Presented, alter: impl Fn(&mut TokenRow)) -> Result<(), PresentError> {
        for _ in 0..ATTEMPTS {
            let old = self.store.find_token(&presented.token_hash).await?.ok_or(PresentError::Ended("unknown"))?;
            if old.row().ended.is_some() {
                return Err(PresentError::Ended(life::reason_word(old.row())));
            }
            let mut new = old.row().clone();
            alter(&mut new);
            if new == *old.row() || self.store.replace_token(&old, &new).await? {
                return Ok(());
            }
        }
        Err(StoreError::Contended.into())
    }

    async fn end_row(&self, token_hash: &[u8], reason: &str) -> Result<Option<TokenRow>, StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(old) = self.store.find_token(token_hash).await? else { return Ok(None) };
            if old.row().ended.is_some() {
                return Ok(None);
            }
            let ended = old.row().clone().ended(self.clock.now(), reason);
            if self.store.replace_token(&old, &ended).await? {
                self.ended.notify_one();
                return Ok(Some(ended));
            }
        }
        Err(StoreError::Contended)
    }
}

/// Puts a new renewal in. Of two that came of one old one the later stands: the issuer knows no other (RFC 9700 §4.14).
fn renew(row: &mut TokenRow, presented: &Presented, closed: Option<&Vec<u8>>) {
    let overtaken = row.renewal != presented.closed && row.looked > presented.at.0;
    if let Some(closed) = closed.filter(|_| !overtaken) {
        row.renewal = Some(closed.clone());
    }
}

#[cfg(test)]
mod tests;
