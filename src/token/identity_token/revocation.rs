//! Identity tokens as operators see and end them.

use std::net::IpAddr;

use super::birth::Birth;
use super::snapshot::Origin;
use super::{IdentityTokens, life};
use crate::clock::Timestamp;
use crate::store::{SealedToken, StoreError, StoredToken, TokenRow};

/// So many rows are ended in one transaction: a running service waits for it, but not for long.
const BATCH: usize = 200;
/// How often rows that changed meanwhile are looked at again.
const PASSES: usize = 10;

/// Which tokens are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The one with this id.
    Id(String),
    /// Every one that all of these hold for; of everybody where none is given. Names are compared without regard to case:
    /// it is safer to end one more.
    Matching {
        /// Of this user.
        user: Option<String>,
        /// Of this realm.
        realm: Option<String>,
        /// Made before this moment.
        before: Option<Timestamp>,
    },
}

/// One token as `narrows tokens list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The row; none where it was written or altered by hand, so that nothing in it can be shown as a fact.
    pub row: Option<TokenRow>,
    /// Its id.
    pub id: String,
    /// `live`, `altered`, or why it ended.
    pub state: &'static str,
    /// When it ends whatever happens.
    pub ends: Option<Timestamp>,
    /// How it was made; none where the row is older than this, or altered.
    pub birth: Option<Birth>,
    /// The address of the last use, to the minute.
    pub used_from: Option<IpAddr>,
}

impl IdentityTokens {
    /// Every token that is kept, oldest first.
    pub async fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let now = self.clock.now();
        let listed = |stored| match stored {
            StoredToken::Intact(token) => {
                let row = token.row().clone();
                let state = life::ended(&row, &self.settings, now).unwrap_or("live");
                let ends = life::absolute_end(&row, &self.settings);
                let origin = Origin::of(&row);
                let (birth, used_from) = (origin.birth(), origin.used_from);
                Listed { id: row.id.clone(), row: Some(row), state, ends: Some(ends), birth, used_from }
            }
            StoredToken::Altered { id, .. } => Listed { row: None, id, state: "altered", ends: None, birth: None, used_from: None },
        };
        Ok(self.store.all_tokens().await?.into_iter().map(listed).collect())
    }

    /// The live ones of one person, oldest first. Under another fingerprint the same stable id may be somebody else's.
    pub async fn of(&self, provider: &str, fingerprint: &str, subject: &str) -> Result<Vec<Listed>, StoreError> {
        let now = self.clock.now();
        let rows = self.store.tokens_of(provider, subject).await?.into_iter().filter_map(|token| {
            let row = token.row().clone();
            if row.fingerprint != fingerprint || life::ended(&row, &self.settings, now).is_some() {
                return None;
            }
            let ends = Some(life::absolute_end(&row, &self.settings));
            let origin = Origin::of(&row);
            let (birth, used_from) = (origin.birth(), origin.used_from);
            Some(Listed { id: row.id.clone(), row: Some(row), state: "live", ends, birth, used_from })
        });
        Ok(rows.collect())
    }

    /// Ends a token by its id where it is this person's, and tells it as it is now; none where it is not, or ended already.
    pub async fn revoke_own(&self, id: &str, provider: &str, fingerprint: &str, subject: &str) -> Result<Option<TokenRow>, StoreError> {
        let own = |token: &SealedToken| token.row().id == id && token.row().fingerprint == fingerprint;
        match self.store.tokens_of(provider, subject).await?.into_iter().find(own) {
            Some(token) => self.end_row(&token.row().token_hash, "revoked").await,
            None => Ok(None),
        }
    }

    /// Ends every token that is meant; how many. Rows written or altered by hand are deleted where they are meant by id
    /// or as one of all: sealing them as ended would make them believable.
    pub async fn revoke_selected(&self, selection: &Selection) -> Result<usize, StoreError> {
        let mut revoked = 0;
        for _ in 0..PASSES {
            let mut changes = Vec::new();
            for stored in self.store.all_tokens().await? {
                match stored {
                    StoredToken::Intact(token) if token.row().ended.is_none() && selection.means(token.row()) => {
                        let ended = token.row().clone().ended(self.clock.now(), "revoked");
                        changes.push((*token, ended));
                    }
                    StoredToken::Altered { rowid, id } if selection.means_altered(&id) => {
                        self.store.delete_token(rowid).await?;
                        revoked += 1;
                    }
                    StoredToken::Intact(_) | StoredToken::Altered { .. } => {}
                }
            }
            if changes.is_empty() {
                return Ok(revoked);
            }
            for batch in changes.chunks(BATCH) {
                revoked += self.store.replace_tokens(batch).await?;
            }
        }
        Err(StoreError::Contended)
    }
}

impl Selection {
    /// Whether an intact row is meant.
    pub fn means(&self, row: &TokenRow) -> bool {
        match self {
            Self::Id(id) => *id == row.id,
            Self::Matching { user, realm, before } => {
                user.as_ref().is_none_or(|user| same(user, &row.username))
                    && realm.as_ref().is_none_or(|realm| same(realm, &row.realm))
                    && before.is_none_or(|before| row.created < before.0)
            }
        }
    }

    /// Nothing that an altered row says about its owner is believed.
    fn means_altered(&self, id: &str) -> bool {
        match self {
            Self::Id(wanted) => wanted == id,
            Self::Matching { user, realm, before: _ } => user.is_none() && realm.is_none(),
        }
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}
