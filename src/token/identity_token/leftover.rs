//! What is left of a login that is over: the renewal, which its provider may take back. The rows themselves are the list of what is
//! to be done, so that nothing is forgotten by an outage or a restart, and it does not matter which process ended a login.

use super::{ATTEMPTS, IdentityTokens, Person, PresentError, Presented, life, renew};
use crate::authn::verdict::{Renewal, SESSION_ENDED};
use crate::store::{SealedToken, StoreError, TokenRow};

/// So many rows are read at a time.
const PAGE: u32 = 200;

/// A login that is over, and whose renewal is still kept.
#[derive(Debug)]
pub struct Leftover {
    /// What it lived by; none where it does not open.
    pub renewal: Option<Renewal>,
    token: SealedToken,
}

/// Some of them, in the order of their making.
#[derive(Debug)]
pub struct Leftovers {
    /// Those that were found.
    pub found: Vec<Leftover>,
    /// What to ask for the next ones with; none where these were the last.
    pub next: Option<i64>,
}

impl Leftover {
    /// What operators call the token.
    pub fn id(&self) -> &str {
        &self.token.row().id
    }

    /// Whose it is.
    pub fn person(&self) -> Person<'_> {
        self.token.row().into()
    }

    /// Whether it was the provider that ended it: there is nothing to give back.
    pub fn ended_there(&self) -> bool {
        self.token.row().reason.as_deref() == Some(SESSION_ENDED)
    }
}

impl IdentityTokens {
    /// Logins that are over and still have a renewal, behind the place `after`; 0 is before the first.
    pub async fn leftovers(&self, after: i64) -> Result<Leftovers, StoreError> {
        let now = self.clock.now();
        let (used, begun) = (now.plus(-life::seconds(self.settings.idle.value)), now.plus(-life::shortest_with_renewal(&self.settings)));
        let rows = self.store.tokens_with_renewal(used, begun, after, PAGE).await?;
        let next = rows.last().filter(|_| rows.len() >= PAGE as usize).map(|(place, _)| *place);
        let mut found = Vec::new();
        for token in rows.into_iter().filter_map(|(_, token)| token) {
            if let Some(token) = self.over(token).await? {
                found.push(Leftover { renewal: self.opened(token.row()), token });
            }
        }
        Ok(Leftovers { found, next })
    }

    /// The token where it is over. One that is so by itself is ended first: a look that is under way must not bring it back, nor a
    /// longer life in the configuration.
    async fn over(&self, token: SealedToken) -> Result<Option<SealedToken>, StoreError> {
        if token.row().ended.is_some() {
            return Ok(Some(token));
        }
        let now = self.clock.now();
        let Some(reason) = life::ended(token.row(), &self.settings, now) else { return Ok(None) };
        let ended = token.row().clone().ended(now, reason);
        if self.store.replace_token(&token, &ended).await? { self.store.find_token(&ended.token_hash).await } else { Ok(None) }
    }

    /// Takes the renewal out of the row. False where somebody changed the row meanwhile: it is found again then.
    pub async fn forget_renewal(&self, leftover: &Leftover) -> Result<bool, StoreError> {
        let old = &leftover.token;
        self.store.replace_token(old, &TokenRow { renewal: None, ..old.row().clone() }).await
    }

    /// Waits until a login ended in this process, since the last time.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }

    /// A look that was under way when the login ended may have brought another renewal: it is left in the row, to be given back.
    pub(super) async fn or_left_over(
        &self,
        kept: Result<(), PresentError>,
        presented: &Presented,
        closed: Option<&Vec<u8>>,
    ) -> Result<(), PresentError> {
        if let (Err(PresentError::Ended(_)), Some(_)) = (&kept, closed) {
            self.leave(presented, closed).await?;
        }
        kept
    }

    async fn leave(&self, presented: &Presented, closed: Option<&Vec<u8>>) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(old) = self.store.find_token(&presented.token_hash).await? else { return Ok(()) };
            let mut new = old.row().clone();
            renew(&mut new, presented, closed);
            if new == *old.row() || self.store.replace_token(&old, &new).await? {
                self.ended.notify_one();
                return Ok(());
            }
        }
        Err(StoreError::Contended)
    }
}
