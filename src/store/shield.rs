//! What the shield in front of directories remembers over a restart: failed binds, and sources that logged in before.
//! Keys are HMACs of the one who writes; each row is sealed over all of its columns.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::seal::Field;
use super::{Store, StoreError};

/// An HMAC that stands for an account, or for an account and a source.
pub type ShieldKey = [u8; 32];

/// A few bits of an HMAC that stands for a password at an account: enough to know it again, and too few to find it by.
pub type ShortDigest = [u8; 3];

/// Failed binds of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedBinds {
    /// Whose.
    pub account: ShieldKey,
    /// Whether the directory has such an account.
    pub exists: bool,
    /// How many.
    pub failures: u32,
    /// When the last one failed, in seconds since 1970.
    pub last: i64,
    /// Which passwords.
    pub passwords: Vec<ShortDigest>,
}

/// One row as it is to be from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShieldChange {
    /// An account's failed binds, in the place of former ones.
    Failed(FailedBinds),
    /// An account without any.
    Forgiven(ShieldKey),
    /// A source that succeeded, and when.
    Known(ShieldKey, i64),
    /// A source that is not remembered any more.
    Strange(ShieldKey),
}

/// A row of failed binds as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredBinds {
    /// Written by narrows.
    Intact(FailedBinds),
    /// Written or altered by hand: whatever it was, it is no reason to bind more.
    Altered(ShieldKey),
}

impl Store {
    /// Every account's failed binds. A row whose key is none belongs to nobody and is passed over.
    pub async fn failed_binds(&self) -> Result<Vec<StoredBinds>, StoreError> {
        let rows = sqlx::query("SELECT account, known, failures, last, passwords, seal FROM failed_binds").fetch_all(&self.pool).await?;
        Ok(rows.iter().filter_map(|row| self.read_binds(row)).collect())
    }

    fn read_binds(&self, row: &SqliteRow) -> Option<StoredBinds> {
        let account: ShieldKey = row.try_get::<Vec<u8>, _>("account").ok()?.try_into().ok()?;
        Some(self.sealed_binds(account, row).map_or(StoredBinds::Altered(account), StoredBinds::Intact))
    }

    fn sealed_binds(&self, account: ShieldKey, row: &SqliteRow) -> Option<FailedBinds> {
        let (known, failures): (i64, i64) = (row.try_get("known").ok()?, row.try_get("failures").ok()?);
        let (last, passwords): (i64, Vec<u8>) = (row.try_get("last").ok()?, row.try_get("passwords").ok()?);
        let seal: Vec<u8> = row.try_get("seal").ok()?;
        let (digests, rest) = passwords.as_chunks();
        let binds = FailedBinds { account, exists: known == 1, failures: u32::try_from(failures).ok()?, last, passwords: digests.to_vec() };
        (rest.is_empty() && self.seals.binds.holds(&fields(&binds, &passwords), &seal)).then_some(binds)
    }

    /// Writes all of these, or none.
    pub async fn write_shield(&self, changes: &[ShieldChange]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for change in changes {
            let query = match change {
                ShieldChange::Failed(binds) => {
                    let passwords = binds.passwords.as_flattened();
                    sqlx::query(
                        "INSERT OR REPLACE INTO failed_binds (account, known, failures, last, passwords, seal) VALUES (?, ?, ?, ?, ?, ?)",
                    )
                    .bind(binds.account.as_slice())
                    .bind(i64::from(binds.exists))
                    .bind(i64::from(binds.failures))
                    .bind(binds.last)
                    .bind(passwords)
                    .bind(self.seals.binds.of(&fields(binds, passwords)))
                }
                ShieldChange::Forgiven(account) => sqlx::query("DELETE FROM failed_binds WHERE account = ?").bind(account.as_slice()),
                ShieldChange::Known(pair, last) => sqlx::query("INSERT OR REPLACE INTO known_sources (pair, last, seal) VALUES (?, ?, ?)")
                    .bind(pair.as_slice())
                    .bind(last)
                    .bind(self.seals.sources.of(&[Field::Bytes(pair), Field::Number(*last)])),
                ShieldChange::Strange(pair) => sqlx::query("DELETE FROM known_sources WHERE pair = ?").bind(pair.as_slice()),
            };
            query.execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Every known source and when it succeeded last. One that was written by hand is none.
    pub async fn known_sources(&self) -> Result<Vec<(ShieldKey, i64)>, StoreError> {
        let rows = sqlx::query("SELECT pair, last, seal FROM known_sources").fetch_all(&self.pool).await?;
        let read = |row: &SqliteRow| {
            let pair: ShieldKey = row.try_get::<Vec<u8>, _>("pair").ok()?.try_into().ok()?;
            let (last, seal): (i64, Vec<u8>) = (row.try_get("last").ok()?, row.try_get("seal").ok()?);
            self.seals.sources.holds(&[Field::Bytes(&pair), Field::Number(last)], &seal).then_some((pair, last))
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Forgets failures and sources whose last time lies before these.
    pub async fn purge_shield(&self, failed: i64, known: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM failed_binds WHERE last < ?").bind(failed).execute(&self.pool).await?;
        sqlx::query("DELETE FROM known_sources WHERE last < ?").bind(known).execute(&self.pool).await?;
        Ok(())
    }
}

/// What is sealed of a row. One without passwords is sealed as it was before there were any.
fn fields<'a>(binds: &'a FailedBinds, passwords: &'a [u8]) -> Vec<Field<'a>> {
    let (known, failures) = (i64::from(binds.exists), i64::from(binds.failures));
    let mut fields = vec![Field::Bytes(&binds.account), Field::Number(known), Field::Number(failures), Field::Number(binds.last)];
    if !passwords.is_empty() {
        fields.push(Field::Bytes(passwords));
    }
    fields
}
