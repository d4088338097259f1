//! Rows of identity tokens. Each is sealed over all of its columns; only a row whose seal holds can be changed, and a
//! change counts only where the row still stands as it was read.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use zeroize::Zeroizing;

use super::seal::Field;
use super::{Store, StoreError};
use crate::clock::Timestamp;

/// One identity token. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// What operators call it; tells nothing about the token.
    pub id: String,
    /// The keyed hash of the token.
    pub token_hash: Vec<u8>,
    /// Which provider vouched.
    pub provider: String,
    /// What the provider was then; another one ends the token.
    pub fingerprint: String,
    /// Whose people these are.
    pub realm: String,
    /// The stable id at the provider.
    pub subject: String,
    /// The canonical name, as of the last look.
    pub username: String,
    /// `person` or `workload`.
    pub kind: String,
    /// The groups as of the last look, in JSON.
    pub groups: String,
    /// The password's marker at the login.
    pub marker: Option<String>,
    /// Whether somebody can be asked again: `provider` or `impossible`.
    pub recheck: String,
    /// What the provider wants back at the next look, as [`Store::close_renewal`] made it.
    pub renewal: Option<Vec<u8>>,
    /// The one service that the token is for.
    pub service: String,
    /// When the password was proven.
    pub proven: i64,
    /// When the token was made.
    pub created: i64,
    /// When the person and the groups were looked at last.
    pub looked: i64,
    /// When the token was presented last, to the minute.
    pub used: i64,
    /// When it was ended.
    pub ended: Option<i64>,
    /// Why it was ended.
    pub reason: Option<String>,
}

impl TokenRow {
    /// Names every column, so that a new one cannot be forgotten in the seal.
    fn fields(&self) -> [Field<'_>; 19] {
        let Self {
            id,
            token_hash,
            provider,
            fingerprint,
            realm,
            subject,
            username,
            kind,
            groups,
            marker,
            recheck,
            renewal,
            service,
            proven,
            created,
            looked,
            used,
            ended,
            reason,
        } = self;
        [
            Field::Text(id),
            Field::Bytes(token_hash),
            Field::Text(provider),
            Field::Text(fingerprint),
            Field::Text(realm),
            Field::Text(subject),
            Field::Text(username),
            Field::Text(kind),
            Field::Text(groups),
            Field::text(marker.as_deref()),
            Field::Text(recheck),
            Field::bytes(renewal.as_deref()),
            Field::Text(service),
            Field::Number(*proven),
            Field::Number(*created),
            Field::Number(*looked),
            Field::Number(*used),
            Field::number(*ended),
            Field::text(reason.as_deref()),
        ]
    }

    fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            token_hash: row.try_get("token_hash")?,
            provider: row.try_get("provider")?,
            fingerprint: row.try_get("fingerprint")?,
            realm: row.try_get("realm")?,
            subject: row.try_get("subject")?,
            username: row.try_get("username")?,
            kind: row.try_get("kind")?,
            groups: row.try_get("groups")?,
            marker: row.try_get("marker")?,
            recheck: row.try_get("recheck")?,
            renewal: row.try_get("renewal")?,
            service: row.try_get("service")?,
            proven: row.try_get("proven")?,
            created: row.try_get("created")?,
            looked: row.try_get("looked")?,
            used: row.try_get("used")?,
            ended: row.try_get("ended")?,
            reason: row.try_get("reason")?,
        })
    }

    /// The same row, ended.
    #[must_use]
    pub fn ended(mut self, at: Timestamp, reason: &str) -> Self {
        self.ended = Some(at.0);
        self.reason = Some(reason.to_owned());
        self
    }
}

/// A row whose seal holds. Only the store makes one.
#[derive(Clone, Debug)]
pub struct SealedToken {
    row: TokenRow,
    seal: Vec<u8>,
}

impl SealedToken {
    /// What the row says.
    pub fn row(&self) -> &TokenRow {
        &self.row
    }
}

/// A row as it was found.
#[derive(Clone, Debug)]
pub enum StoredToken {
    /// Written by narrows.
    Intact(Box<SealedToken>),
    /// Written or altered by hand. Nothing in it is believed; it can only be deleted.
    Altered {
        /// Where the database keeps it.
        rowid: i64,
        /// What stands in the column of the id.
        id: String,
    },
}

impl Store {
    /// Adds a token. Where its identity has `at_most` live ones for this service, those unused for longest end.
    pub async fn insert_token(&self, row: &TokenRow, at_most: usize) -> Result<(), StoreError> {
        let seal = self.seals.tokens.of(&row.fields());
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let live = sqlx::query(
            "SELECT rowid, * FROM identity_tokens WHERE provider = ? AND subject = ? AND service = ? AND ended IS NULL ORDER BY used, created",
        )
        .bind(&row.provider)
        .bind(&row.subject)
        .bind(&row.service)
        .fetch_all(&mut *transaction)
        .await?;
        let surplus = (live.len() + 1).saturating_sub(at_most);
        for old in live.iter().take(surplus) {
            match self.verified(old)? {
                StoredToken::Intact(old) => {
                    let ended = old.row.clone().ended(Timestamp(row.created), "replaced");
                    self.write(&mut transaction, &old, &ended).await?;
                }
                StoredToken::Altered { rowid, .. } => delete(&mut transaction, rowid).await?,
            }
        }
        insert(&mut transaction, row, &seal).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// What a provider wants back at the next look, encrypted for this row: it opens for no other token, person or service.
    pub fn close_renewal(&self, row: &TokenRow, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.seals.renewals.close(&beside(row), plain)
    }

    /// What [`Store::close_renewal`] closed for this row; none where it was closed for another one.
    pub fn open_renewal(&self, row: &TokenRow, closed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.seals.renewals.open(&beside(row), closed)
    }

    /// The row of a token. An altered one is logged and not found.
    pub async fn find_token(&self, token_hash: &[u8]) -> Result<Option<SealedToken>, StoreError> {
        let found =
            sqlx::query("SELECT rowid, * FROM identity_tokens WHERE token_hash = ?").bind(token_hash).fetch_optional(&self.pool).await?;
        let Some(row) = found else { return Ok(None) };
        match self.verified(&row)? {
            StoredToken::Intact(row) => Ok(Some(*row)),
            StoredToken::Altered { .. } => Ok(None),
        }
    }

    /// Every row, oldest first.
    pub async fn all_tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        let rows = sqlx::query("SELECT rowid, * FROM identity_tokens ORDER BY created, id").fetch_all(&self.pool).await?;
        rows.iter().map(|row| self.verified(row)).collect()
    }

    /// The rows of one person that nobody ended, oldest first. An altered one is logged and left out.
    pub async fn tokens_of(&self, provider: &str, subject: &str) -> Result<Vec<SealedToken>, StoreError> {
        let rows =
            sqlx::query("SELECT rowid, * FROM identity_tokens WHERE provider = ? AND subject = ? AND ended IS NULL ORDER BY created, id")
                .bind(provider)
                .bind(subject)
                .fetch_all(&self.pool)
                .await?;
        let mut found = Vec::new();
        for row in &rows {
            if let StoredToken::Intact(token) = self.verified(row)? {
                found.push(*token);
            }
        }
        Ok(found)
    }

    /// Rows that still hold a renewal and were ended, used last by `used`, or begun by `begun`: at most `at_most` of them behind
    /// the row `after`, with their places, in whose order they come. An altered one is left out.
    pub async fn tokens_with_renewal(
        &self,
        used: Timestamp,
        begun: Timestamp,
        after: i64,
        at_most: u32,
    ) -> Result<Vec<(i64, Option<SealedToken>)>, StoreError> {
        let rows = sqlx::query(
            "SELECT rowid, * FROM identity_tokens WHERE rowid > ? AND renewal IS NOT NULL \
             AND (ended IS NOT NULL OR used <= ? OR created <= ? OR proven <= ?) ORDER BY rowid LIMIT ?",
        )
        .bind(after)
        .bind(used.0)
        .bind(begun.0)
        .bind(begun.0)
        .bind(at_most)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((row.try_get("rowid")?, self.intact(row)))).collect()
    }

    /// Writes `new` in the place of `old`, seal and all. False where somebody changed the row since it was read: two
    /// writers never mix their halves.
    pub async fn replace_token(&self, old: &SealedToken, new: &TokenRow) -> Result<bool, StoreError> {
        let mut connection = self.pool.acquire().await?;
        self.write(&mut connection, old, new).await
    }

    /// The same for many rows in one transaction; how many were written.
    pub async fn replace_tokens(&self, changes: &[(SealedToken, TokenRow)]) -> Result<usize, StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let mut written = 0;
        for (old, new) in changes {
            written += usize::from(self.write(&mut transaction, old, new).await?);
        }
        transaction.commit().await?;
        Ok(written)
    }

    /// Removes a row that cannot be ended because it was altered.
    pub async fn delete_token(&self, rowid: i64) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        delete(&mut connection, rowid).await
    }

    /// Forgets rows that ended before `ended`, were used last before `used`, or were made before `created`.
    pub async fn purge_tokens(&self, ended: Timestamp, used: Timestamp, created: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query("DELETE FROM identity_tokens WHERE ended < ? OR used < ? OR created < ?")
            .bind(ended.0)
            .bind(used.0)
            .bind(created.0)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected())
    }

    fn verified(&self, found: &SqliteRow) -> Result<StoredToken, StoreError> {
        let rowid: i64 = found.try_get("rowid")?;
        if let Some(token) = self.intact(found) {
            return Ok(StoredToken::Intact(Box::new(token)));
        }
        let id: String = found.try_get("id").unwrap_or_default();
        tracing::error!(row.number = rowid, "row {rowid} of identity_tokens was written or altered by hand and is refused");
        Ok(StoredToken::Altered { rowid, id })
    }

    fn intact(&self, found: &SqliteRow) -> Option<SealedToken> {
        let (row, seal) = (TokenRow::read(found).ok()?, found.try_get("seal").ok()?);
        let token = SealedToken { row, seal };
        self.seals.tokens.holds(&token.row.fields(), &token.seal).then_some(token)
    }

    async fn write(&self, connection: &mut SqliteConnection, old: &SealedToken, new: &TokenRow) -> Result<bool, StoreError> {
        let seal = self.seals.tokens.of(&new.fields());
        // What a token is bound to never changes; the seal is over these columns too, so a difference would show.
        let done = sqlx::query(
            "UPDATE identity_tokens SET username = ?, groups = ?, marker = ?, renewal = ?, looked = ?, used = ?, ended = ?, reason = ?, seal = ? \
             WHERE id = ? AND seal = ?",
        )
        .bind(&new.username)
        .bind(&new.groups)
        .bind(&new.marker)
        .bind(&new.renewal)
        .bind(new.looked)
        .bind(new.used)
        .bind(new.ended)
        .bind(&new.reason)
        .bind(seal)
        .bind(&old.row.id)
        .bind(&old.seal)
        .execute(connection)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}

/// What a renewal is bound to.
fn beside(row: &TokenRow) -> [Field<'_>; 4] {
    [Field::Text(&row.id), Field::Text(&row.provider), Field::Text(&row.subject), Field::Text(&row.service)]
}

async fn insert(connection: &mut SqliteConnection, row: &TokenRow, seal: &[u8]) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO identity_tokens (id, token_hash, provider, fingerprint, realm, subject, username, kind, groups, marker, recheck, \
         renewal, service, proven, created, looked, used, ended, reason, seal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&row.id)
    .bind(&row.token_hash)
    .bind(&row.provider)
    .bind(&row.fingerprint)
    .bind(&row.realm)
    .bind(&row.subject)
    .bind(&row.username)
    .bind(&row.kind)
    .bind(&row.groups)
    .bind(&row.marker)
    .bind(&row.recheck)
    .bind(&row.renewal)
    .bind(&row.service)
    .bind(row.proven)
    .bind(row.created)
    .bind(row.looked)
    .bind(row.used)
    .bind(row.ended)
    .bind(&row.reason)
    .bind(seal)
    .execute(connection)
    .await?;
    Ok(())
}

async fn delete(connection: &mut SqliteConnection, rowid: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM identity_tokens WHERE rowid = ?").bind(rowid).execute(connection).await?;
    Ok(())
}
