//! Renewals that belong to a person: some issuers (Dex) keep one refresh token for each person and client, so every sign-in ends the
//! one before, and all saved logins of the person live by the newest.

use super::{ATTEMPTS, IdentityTokens, Presented, life, snapshot};
use crate::authn::identity::Identity;
use crate::authn::verdict::Renewal;
use crate::clock::Timestamp;
use crate::store::{SealedToken, StoreError, TokenRow};

/// Whose saved logins are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person<'a> {
    /// Which provider vouched.
    pub provider: &'a str,
    /// What it was then: under another fingerprint the same stable id may be somebody else's.
    pub fingerprint: &'a str,
    /// The realm.
    pub realm: &'a str,
    /// The stable id at the provider.
    pub subject: &'a str,
}

impl IdentityTokens {
    /// Somebody signed in, which ended every renewal that the issuer gave them before: their live tokens get the new one. What was
    /// looked at in the second of `at` or later is not older than it, and stays.
    pub async fn share(&self, identity: &Identity, fingerprint: &str, renewal: &Renewal, at: Timestamp) -> Result<(), StoreError> {
        self.replace(Person::of(identity, fingerprint), renewal, |row, _| Timestamp(row.looked) < at || row.looked > self.clock.now().0)
            .await
    }

    /// The renewals that this person's tokens live by: the presented token's own as it stands now, then those of the others, the
    /// latest look first. None twice.
    pub async fn renewals_of(&self, presented: &Presented) -> Result<Vec<Renewal>, StoreError> {
        let mut tokens = self.live(presented.into()).await?;
        tokens.sort_by_key(|token| (token.row().token_hash != presented.token_hash, -token.row().looked));
        let mut found: Vec<Renewal> = Vec::new();
        for renewal in tokens.iter().filter_map(|token| self.opened(token.row())) {
            if !found.contains(&renewal) {
                found.push(renewal);
            }
        }
        Ok(found)
    }

    /// What the live logins of somebody live by.
    pub async fn renewals_of_person(&self, person: Person<'_>) -> Result<Vec<Renewal>, StoreError> {
        Ok(self.live(person).await?.iter().filter_map(|token| self.opened(token.row())).collect())
    }

    /// Puts the renewal of a look in the place of those that are of no use any more, in every live token of the person.
    pub async fn replace_renewals(&self, presented: &Presented, over: &[Renewal], next: &Renewal) -> Result<(), StoreError> {
        self.replace(presented.into(), next, |_, renewal| over.contains(renewal)).await
    }

    async fn replace(&self, person: Person<'_>, next: &Renewal, is_over: impl Fn(&TokenRow, &Renewal) -> bool) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let mut changes = Vec::new();
            for token in self.live(person).await? {
                let is_due = |renewal: Renewal| renewal != *next && is_over(token.row(), &renewal);
                if self.opened(token.row()).is_some_and(is_due) {
                    let mut row = token.row().clone();
                    row.renewal = Some(self.store.close_renewal(&row, &next.0)?);
                    changes.push((token, row));
                }
            }
            // Who changed a row meanwhile may have put another renewal in: it is judged anew.
            if changes.is_empty() || self.store.replace_tokens(&changes).await? == changes.len() {
                return Ok(());
            }
        }
        Err(StoreError::Contended)
    }

    pub(super) async fn live(&self, person: Person<'_>) -> Result<Vec<SealedToken>, StoreError> {
        let now = self.clock.now();
        let mut tokens = self.store.tokens_of(person.provider, person.subject).await?;
        tokens.retain(|token| {
            let row = token.row();
            let is_theirs = row.fingerprint == person.fingerprint && row.realm == person.realm;
            is_theirs && row.recheck == snapshot::PROVIDER && life::ended(row, &self.settings, now).is_none()
        });
        Ok(tokens)
    }

    pub(super) fn opened(&self, row: &TokenRow) -> Option<Renewal> {
        self.store.open_renewal(row, row.renewal.as_ref()?).map(Renewal)
    }
}

impl<'a> Person<'a> {
    /// The owner of an identity.
    pub fn of(identity: &'a Identity, fingerprint: &'a str) -> Self {
        let Identity { provider, realm, id: subject, .. } = identity;
        Self { provider, fingerprint, realm, subject }
    }
}

impl<'a> From<&'a Presented> for Person<'a> {
    fn from(presented: &'a Presented) -> Self {
        Self::of(&presented.identity, &presented.fingerprint)
    }
}

impl<'a> From<&'a TokenRow> for Person<'a> {
    fn from(row: &'a TokenRow) -> Self {
        let TokenRow { provider, fingerprint, realm, subject, .. } = row;
        Self { provider, fingerprint, realm, subject }
    }
}
