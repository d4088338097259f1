//! Logins that are under way. What a client holds finds its row by an HMAC; the row is encrypted under the state key and
//! bound to its place, so that who can read the database learns nothing and who can write it makes nothing that is believed.

use secrecy::{ExposeSecret, SecretString};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use zeroize::Zeroizing;

use super::seal::Field;
use super::{Store, StoreError};
use crate::clock::Timestamp;

/// What is under way. A row of one kind is never taken for one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingKind {
    /// A browser was sent to an issuer; found by `state`.
    Authorization,
    /// Somebody signed in with a browser; found by the cookie.
    SignIn,
    /// A login code that nobody used yet; found by the code.
    LoginCode,
    /// A device login of a credential helper; found by the helper's secret.
    DeviceFlow,
    /// A device login of `docker login` itself; found by its public id.
    InBandFlow,
    /// Which of them began a moment ago; found by address and secret.
    InBandStart,
    /// A process looks at a login; found by the login.
    Recheck,
    /// What is left of a sign-in that is over; found by nobody but [`Store::pending_leftovers`].
    Leftover,
}

/// What is left of a sign-in or a code that is over is kept for so long beyond its end, in seconds.
pub const KEPT_AFTER_END: i64 = 7 * 24 * 3600;

impl PendingKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::SignIn => "sign_in",
            Self::LoginCode => "login_code",
            Self::DeviceFlow => "device_flow",
            Self::InBandFlow => "in_band_flow",
            Self::InBandStart => "in_band_start",
            Self::Recheck => "recheck",
            Self::Leftover => "leftover",
        }
    }
}

/// How many of a kind may be under way.
#[derive(Clone, Copy, Debug)]
pub struct PendingCaps {
    /// In all.
    pub all: u32,
    /// From one source.
    pub source: u32,
}

/// One that begins.
#[derive(Debug)]
pub struct NewPending<'a> {
    /// Of which kind.
    pub kind: PendingKind,
    /// What finds it again.
    pub key: &'a SecretString,
    /// Whom it counts against.
    pub source: &'a str,
    /// When it is over.
    pub expires: Timestamp,
    /// What is kept.
    pub value: &'a [u8],
}

/// Whether one began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is kept.
    Kept,
    /// This source has too many.
    SourceFull,
    /// There are too many.
    Full,
}

/// One that is under way.
pub struct Pending {
    /// What was kept.
    pub value: Zeroizing<Vec<u8>>,
    /// When it is over.
    pub expires: Timestamp,
    sealed: Vec<u8>,
    source: Vec<u8>,
}

/// One as it is written: nothing in it tells what it is of.
struct Written {
    key: Vec<u8>,
    source: Vec<u8>,
    sealed: Vec<u8>,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// What is left of a sign-in or a code.
pub struct PendingLeftover {
    /// Where the database keeps it: what comes later comes behind it.
    pub place: i64,
    /// What was kept; none where the row was written or altered by hand.
    pub value: Option<Zeroizing<Vec<u8>>>,
    sealed: Vec<u8>,
}

impl std::fmt::Debug for PendingLeftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingLeftover").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Store {
    /// Keeps one until it is over, where there is room for it.
    pub async fn begin_pending(&self, new: &NewPending<'_>, now: Timestamp, caps: PendingCaps) -> Result<Begun, StoreError> {
        let NewPending { kind, expires, .. } = new;
        let Written { key, source, sealed } = self.written(new)?;
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        purge(&mut transaction, now).await?;
        let counts = sqlx::query("SELECT COUNT(*), COUNT(*) FILTER (WHERE source = ?) FROM pending WHERE kind = ? AND expires > ?")
            .bind(&source)
            .bind(kind.as_str())
            .bind(now.0)
            .fetch_one(&mut *transaction)
            .await?;
        let (all, own): (i64, i64) = (counts.try_get(0)?, counts.try_get(1)?);
        if own >= i64::from(caps.source) {
            return Ok(Begun::SourceFull);
        }
        if all >= i64::from(caps.all) {
            return Ok(Begun::Full);
        }
        sqlx::query("INSERT INTO pending (kind, key, source, expires, value) VALUES (?, ?, ?, ?, ?)")
            .bind(kind.as_str())
            .bind(&key)
            .bind(&source)
            .bind(expires.0)
            .bind(&sealed)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Begun::Kept)
    }

    /// Keeps one where none of its key is under way, and tells it as it is kept; none where there is one.
    pub async fn claim_pending(&self, new: &NewPending<'_>, now: Timestamp) -> Result<Option<Pending>, StoreError> {
        let NewPending { kind, expires, value, .. } = new;
        let Written { key, source, sealed } = self.written(new)?;
        // What is over is as good as gone.
        let done = sqlx::query(
            "INSERT INTO pending (kind, key, source, expires, value) VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE \
             SET source = excluded.source, expires = excluded.expires, value = excluded.value WHERE pending.expires <= ?",
        )
        .bind(kind.as_str())
        .bind(&key)
        .bind(&source)
        .bind(expires.0)
        .bind(&sealed)
        .bind(now.0)
        .execute(&self.pool)
        .await?;
        Ok((done.rows_affected() == 1).then(|| Pending { value: Zeroizing::new(value.to_vec()), expires: *expires, sealed, source }))
    }

    /// The one that this key finds, where it is not over.
    pub async fn pending(&self, kind: PendingKind, key: &SecretString, now: Timestamp) -> Result<Option<Pending>, StoreError> {
        let key = self.pending_key(kind, key);
        let found = sqlx::query("SELECT source, expires, value FROM pending WHERE kind = ? AND key = ?")
            .bind(kind.as_str())
            .bind(&key)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = found else { return Ok(None) };
        let (source, expires, sealed): (Vec<u8>, i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let expires = Timestamp(expires);
        if expires <= now {
            return Ok(None);
        }
        let Some(value) = self.seals.vault.open(&bound(kind.as_str(), &key, &source, expires), &sealed) else {
            tracing::error!(kind = kind.as_str(), "a row of pending was written or altered by hand and is refused");
            return Ok(None);
        };
        Ok(Some(Pending { value, expires, sealed, source }))
    }

    /// Ends one. True for a single caller, and only where it still is as it was read.
    pub async fn take_pending(&self, kind: PendingKind, key: &SecretString, read: &Pending) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM pending WHERE kind = ? AND key = ? AND value = ?")
            .bind(kind.as_str())
            .bind(self.pending_key(kind, key))
            .bind(&read.sealed)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps another value in its place, to the same end. False where somebody else was faster.
    pub async fn replace_pending(&self, kind: PendingKind, key: &SecretString, read: &Pending, value: &[u8]) -> Result<bool, StoreError> {
        let key = self.pending_key(kind, key);
        let sealed = self.seals.vault.close(&bound(kind.as_str(), &key, &read.source, read.expires), value)?;
        let done = sqlx::query("UPDATE pending SET value = ? WHERE kind = ? AND key = ? AND value = ?")
            .bind(sealed)
            .bind(kind.as_str())
            .bind(&key)
            .bind(&read.sealed)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Forgets what is over; what may leave something, a week later.
    pub async fn purge_pending(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        purge(&mut connection, now).await
    }

    /// Sign-ins and codes that are over: at most `at_most` behind the place `after`, in their order.
    pub async fn pending_leftovers(&self, now: Timestamp, after: i64, at_most: u32) -> Result<Vec<PendingLeftover>, StoreError> {
        let rows = sqlx::query(
            "SELECT rowid, kind, key, source, expires, value FROM pending WHERE rowid > ? AND (kind = ? OR kind IN (?, ?) AND expires <= ?) \
             ORDER BY rowid LIMIT ?",
        )
        .bind(after)
        .bind(PendingKind::Leftover.as_str())
        .bind(PendingKind::SignIn.as_str())
        .bind(PendingKind::LoginCode.as_str())
        .bind(now.0)
        .bind(at_most)
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &SqliteRow| Ok(PendingLeftover { place: row.try_get(0)?, value: self.opened(row)?, sealed: row.try_get(5)? });
        rows.iter().map(read).collect()
    }

    /// Forgets what is left of one, where it still is as it was read.
    pub async fn drop_leftover(&self, leftover: &PendingLeftover) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM pending WHERE rowid = ? AND value = ?").bind(leftover.place).bind(&leftover.sealed);
        query.execute(&self.pool).await?;
        Ok(())
    }

    /// What is kept of the sign-ins and codes of this source that are not over.
    pub async fn sign_ins_of(&self, source: &str, now: Timestamp) -> Result<Vec<Zeroizing<Vec<u8>>>, StoreError> {
        let rows =
            sqlx::query("SELECT rowid, kind, key, source, expires, value FROM pending WHERE kind IN (?, ?) AND source = ? AND expires > ?")
                .bind(PendingKind::SignIn.as_str())
                .bind(PendingKind::LoginCode.as_str())
                .bind(self.seals.pending.of(&[Field::Text("source"), Field::Text(source)]))
                .bind(now.0)
                .fetch_all(&self.pool)
                .await?;
        let mut found = Vec::new();
        for row in &rows {
            found.extend(self.opened(row)?);
        }
        Ok(found)
    }

    /// The value of a row with these columns: place, kind, key, source, end, value.
    fn opened(&self, row: &SqliteRow) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let (kind, key, source): (String, Vec<u8>, Vec<u8>) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let (expires, sealed): (i64, Vec<u8>) = (row.try_get(4)?, row.try_get(5)?);
        Ok(self.seals.vault.open(&bound(&kind, &key, &source, Timestamp(expires)), &sealed))
    }

    fn written(&self, new: &NewPending<'_>) -> Result<Written, StoreError> {
        let key = self.pending_key(new.kind, new.key);
        let source = self.seals.pending.of(&[Field::Text("source"), Field::Text(new.source)]);
        let sealed = self.seals.vault.close(&bound(new.kind.as_str(), &key, &source, new.expires), new.value)?;
        Ok(Written { key, source, sealed })
    }

    fn pending_key(&self, kind: PendingKind, key: &SecretString) -> Vec<u8> {
        self.seals.pending.of(&[Field::Text(kind.as_str()), Field::Text(key.expose_secret())])
    }
}

async fn purge(connection: &mut SqliteConnection, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM pending WHERE expires <= ? AND (kind NOT IN (?, ?) OR expires <= ?)")
        .bind(now.0)
        .bind(PendingKind::SignIn.as_str())
        .bind(PendingKind::LoginCode.as_str())
        .bind(now.plus(-KEPT_AFTER_END).0)
        .execute(connection)
        .await?;
    Ok(())
}

fn bound<'a>(kind: &'a str, key: &'a [u8], source: &'a [u8], expires: Timestamp) -> [Field<'a>; 4] {
    [Field::Text(kind), Field::Bytes(key), Field::Bytes(source), Field::Number(expires.0)]
}

#[cfg(test)]
mod tests;
