//! Single values that narrows remembers for itself: which keys registries trust, and the last good rules.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::Row;

use super::seal::Field;
use super::{Store, StoreError};

/// Sealed at the first opening: tells a database of another key from one that was altered.
const KEY_CHECK: &str = "key check";
const KEYS: &str = "trusted keys";
const RULES: &str = "last good rules";

/// What stands under a name.
enum Value {
    Absent,
    Intact(String),
    Altered,
}

impl Store {
    /// The fingerprints of the keys that registries trust, by service, as they were remembered last. An altered value is
    /// an error and not an empty answer: it would let a foreign key pass as the first one.
    pub async fn remembered_keys(&self) -> Result<BTreeMap<String, String>, StoreError> {
        match self.value(KEYS).await? {
            Value::Absent => Ok(BTreeMap::new()),
            Value::Intact(text) => serde_json::from_str(&text).map_err(|_| StoreError::Altered(KEYS)),
            Value::Altered => Err(StoreError::Altered(KEYS)),
        }
    }

    /// Remembers these fingerprints instead of the former ones.
    pub async fn remember_keys(&self, fingerprints: &BTreeMap<String, String>) -> Result<(), StoreError> {
        self.keep_value(KEYS, &serde_json::json!(fingerprints).to_string()).await
    }

    /// Keeps the text of rules that were loaded without an error.
    pub async fn keep_rules(&self, text: &str) -> Result<(), StoreError> {
        self.keep_value(RULES, text).await
    }

    /// The last good rules; none where there are none or where they were altered by hand.
    pub async fn kept_rules(&self) -> Result<Option<String>, StoreError> {
        match self.value(RULES).await? {
            Value::Absent => Ok(None),
            Value::Intact(text) => Ok(Some(text)),
            Value::Altered => {
                tracing::warn!("the last good rules in the database were not written by narrows and are not used");
                Ok(None)
            }
        }
    }

    /// Refuses a database that was sealed under another key.
    pub(super) async fn check_key(&self, path: &Path) -> Result<(), StoreError> {
        match self.value(KEY_CHECK).await? {
            Value::Absent => self.keep_value(KEY_CHECK, "").await,
            Value::Intact(_) => Ok(()),
            Value::Altered => Err(StoreError::OtherKey(path.to_owned())),
        }
    }

    async fn value(&self, name: &'static str) -> Result<Value, StoreError> {
        let found = sqlx::query("SELECT value, seal FROM sealed_values WHERE name = ?").bind(name).fetch_optional(&self.pool).await?;
        let Some(row) = found else { return Ok(Value::Absent) };
        let (value, seal): (String, Vec<u8>) = match (row.try_get(0), row.try_get(1)) {
            (Ok(value), Ok(seal)) => (value, seal),
            (Err(_), _) | (_, Err(_)) => return Ok(Value::Altered),
        };
        let intact = self.seals.values.holds(&[Field::Text(name), Field::Text(&value)], &seal);
        Ok(if intact { Value::Intact(value) } else { Value::Altered })
    }

    async fn keep_value(&self, name: &'static str, value: &str) -> Result<(), StoreError> {
        let seal = self.seals.values.of(&[Field::Text(name), Field::Text(value)]);
        sqlx::query("INSERT INTO sealed_values (name, value, seal) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value, seal = excluded.seal")
            .bind(name)
            .bind(value)
            .bind(seal)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
