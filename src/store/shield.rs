//! What the shield in front of directories remembers over a restart: failed binds, and sources that logged in before.
//! Keys are HMACs of the one who writes; each row is sealed over all of its columns.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::seal::Field;
use super::{Store, StoreError};

/// An HMAC that stands for an account, or for an account and a source.
pub type ShieldKey = [u8; 32];

/// Failed binds of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedBinds {
    /// Whose.
    pub account: ShieldKey,
    /// Whether the directory has such an account.
    pub exists: bool,
    /// How many.
    pub failures: u32,
    /// When the last one failed, in seconds since 1970.
    pub last: i64,
}

/// A row of failed binds as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredBinds {
    /// Written by narrows.
    Intact(FailedBinds),
    /// Written or altered by hand: whatever it was, it is no reason to bind more.
    Altered(ShieldKey),
}

impl Store {
    /// Every account's failed binds. A row whose key is none belongs to nobody and is passed over.
    pub async fn failed_binds(&self) -> Result<Vec<StoredBinds>, StoreError> {
        let rows = sqlx::query("SELECT account, known, failures, last, seal FROM failed_binds").fetch_all(&self.pool).await?;
        Ok(rows.iter().filter_map(|row| self.read_binds(row)).collect())
    }

    fn read_binds(&self, row: &SqliteRow) -> Option<StoredBinds> {
        let account: ShieldKey = row.try_get::<Vec<u8>, _>("account").ok()?.try_into().ok()?;
        let read = || -> Result<(i64, i64, i64, Vec<u8>), sqlx::Error> {
            Ok((row.try_get("known")?, row.try_get("failures")?, row.try_get("last")?, row.try_get("seal")?))
        };
        let Ok((known, failures, last, seal)) = read() else { return Some(StoredBinds::Altered(account)) };
        let fields = [Field::Bytes(&account), Field::Number(known), Field::Number(failures), Field::Number(last)];
        Some(match u32::try_from(failures) {
            Ok(failures) if self.seals.binds.holds(&fields, &seal) => {
                StoredBinds::Intact(FailedBinds { account, exists: known == 1, failures, last })
            }
            Ok(_) | Err(_) => StoredBinds::Altered(account),
        })
    }

    /// Writes an account's failed binds in the place of former ones.
    pub async fn keep_failed_binds(&self, binds: &FailedBinds) -> Result<(), StoreError> {
        let (known, failures) = (i64::from(binds.exists), i64::from(binds.failures));
        let fields = [Field::Bytes(&binds.account), Field::Number(known), Field::Number(failures), Field::Number(binds.last)];
        sqlx::query("INSERT OR REPLACE INTO failed_binds (account, known, failures, last, seal) VALUES (?, ?, ?, ?, ?)")
            .bind(binds.account.as_slice())
            .bind(known)
            .bind(failures)
            .bind(binds.last)
            .bind(self.seals.binds.of(&fields))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets an account's failed binds.
    pub async fn forget_failed_binds(&self, account: &ShieldKey) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM failed_binds WHERE account = ?").bind(account.as_slice()).execute(&self.pool).await?;
        Ok(())
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

    /// Notes that a source succeeded.
    pub async fn keep_known_source(&self, pair: &ShieldKey, last: i64) -> Result<(), StoreError> {
        sqlx::query("INSERT OR REPLACE INTO known_sources (pair, last, seal) VALUES (?, ?, ?)")
            .bind(pair.as_slice())
            .bind(last)
            .bind(self.seals.sources.of(&[Field::Bytes(pair), Field::Number(last)]))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets failures and sources whose last time lies before these.
    pub async fn purge_shield(&self, failed: i64, known: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM failed_binds WHERE last < ?").bind(failed).execute(&self.pool).await?;
        sqlx::query("DELETE FROM known_sources WHERE last < ?").bind(known).execute(&self.pool).await?;
        Ok(())
    }
}
