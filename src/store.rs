//! What outlives the process: identity tokens, the fingerprints of keys that registries trust, the last good
//! rules, failed binds, logins that are under way.
//!
//! Everything is sealed under the state key. Who can write the database but does not know the key can delete, and can
//! put back what stood there before, but cannot make or alter anything that is believed.

mod error;
mod identity_tokens;
mod pending;
mod private_file;
mod seal;
pub mod settings;
mod shield;
mod state_key;
mod values;
mod vault;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

pub use error::StoreError;
pub use identity_tokens::{SealedToken, StoredToken, TokenRow};
pub use pending::{Begun, KEPT_AFTER_END, NewPending, Pending, PendingCaps, PendingKind, PendingLeftover};
pub use shield::{FailedBinds, ShieldChange, ShieldKey, ShortDigest, StoredBinds};
pub use state_key::StateKey;
pub(crate) use vault::Vault;

use seal::Seal;

/// Readers do not wait for each other; more connections than this only wait for the disk.
const CONNECTIONS: u32 = 4;
/// How long a statement waits for another process that writes, and a request for a connection.
const PATIENCE: Duration = Duration::from_secs(3);
/// Two processes that make the same database at once disturb each other; the second look finds it made.
const OPENING_ATTEMPTS: u32 = 10;

/// The `SQLite` database in WAL mode. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
    seals: Arc<Seals>,
}

/// One seal a purpose, so that nothing sealed for one is believed as another.
#[derive(Debug)]
struct Seals {
    tokens: Seal,
    values: Seal,
    binds: Seal,
    sources: Seal,
    pending: Seal,
    vault: Vault,
    renewals: Vault,
}

impl Store {
    /// Opens the database, makes it (0600) where it is missing, and brings its tables up to date. A database that a
    /// newer version has extended is used as it is.
    pub async fn open(path: &Path, key: &StateKey) -> Result<Self, StoreError> {
        private_file::make_missing(path)?;
        Self::open_existing(path, key).await
    }

    /// Opens a database that is there; for commands that must not make one by a mistyped path.
    pub async fn open_existing(path: &Path, key: &StateKey) -> Result<Self, StoreError> {
        private_file::check(path)?;
        let seals = Arc::new(Seals {
            tokens: Seal::new(key, "identity tokens"),
            values: Seal::new(key, "values"),
            binds: Seal::new(key, "failed binds"),
            sources: Seal::new(key, "known sources"),
            pending: Seal::new(key, "pending logins"),
            vault: Vault::new(key, "pending logins")?,
            renewals: Vault::new(key, "renewals")?,
        });
        let mut attempt = 1;
        let pool = loop {
            match connect(path).await {
                Ok(pool) => break pool,
                Err(_) if attempt < OPENING_ATTEMPTS => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(cause) => return Err(StoreError::Open { path: path.to_owned(), cause }),
            }
            attempt += 1;
        };
        let store = Self { pool, seals };
        store.check_key(path).await?;
        Ok(store)
    }

    /// Whether the database answers; for `/readyz`.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM sealed_values LIMIT 1").fetch_optional(&self.pool).await?;
        Ok(())
    }

    /// Ends every connection and writes the log back into the database; the last thing at a stop.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

async fn connect(path: &Path) -> Result<SqlitePool, sqlx::migrate::MigrateError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // A revocation must survive a power cut, so every commit reaches the disk.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(PATIENCE)
        // What somebody else wrote into the schema runs no functions with side effects.
        .pragma("trusted_schema", "OFF");
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        // A local file does not hang up.
        .test_before_acquire(false)
        .connect_with(options)
        .await?;
    let mut migrator = sqlx::migrate!("src/store/sqlite");
    migrator.set_ignore_missing(true);
    // The write lock is taken first, so that of two processes that start together only one makes the tables.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    // `run` itself makes a future that cannot be spawned (its `Acquire` is not general enough).
    migrator.run_direct(None, &mut *transaction, false).await?;
    transaction.commit().await?;
    Ok(pool)
}

#[cfg(test)]
mod tests;
