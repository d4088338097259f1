//! The state on a real database: sealed values, keys that do not fit, several at once.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::*;

struct Scene {
    folder: tempfile::TempDir,
    key: StateKey,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = StateKey::open_or_create(&folder.path().join("state.key")).unwrap();
        Self { folder, key }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("state.db")
    }

    async fn open(&self) -> Store {
        Store::open(&self.path(), &self.key).await.unwrap()
    }

    async fn forge(&self, sql: &str) {
        let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(self.path())).await.unwrap();
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
}

fn fingerprints(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(service, print)| ((*service).to_owned(), (*print).to_owned())).collect()
}

#[tokio::test]
async fn keys_and_rules_are_remembered_over_a_restart() {
    let scene = Scene::new();
    let store = scene.open().await;
    assert_eq!(store.remembered_keys().await.unwrap(), BTreeMap::new());
    assert_eq!(store.kept_rules().await.unwrap(), None);
    store.remember_keys(&fingerprints(&[("a", "1"), ("b", "2")])).await.unwrap();
    store.remember_keys(&fingerprints(&[("a", "1"), ("c", "3")])).await.unwrap();
    store.keep_rules("rules: []\n").await.unwrap();
    store.close().await;
    let store = scene.open().await;
    assert_eq!(store.remembered_keys().await.unwrap(), fingerprints(&[("a", "1"), ("c", "3")]));
    assert_eq!(store.kept_rules().await.unwrap().as_deref(), Some("rules: []\n"));
    store.ping().await.unwrap();
}

#[tokio::test]
async fn altered_keys_are_an_error_and_altered_rules_are_not_used() {
    let scene = Scene::new();
    let store = scene.open().await;
    store.remember_keys(&fingerprints(&[("a", "1")])).await.unwrap();
    store.keep_rules("rules: []").await.unwrap();
    scene.forge("UPDATE sealed_values SET value = '{\"a\":\"2\"}' WHERE name = 'trusted keys'").await;
    scene.forge("UPDATE sealed_values SET value = 'rules: [everything]' WHERE name = 'last good rules'").await;
    assert!(matches!(store.remembered_keys().await, Err(StoreError::Altered(_))));
    assert_eq!(store.kept_rules().await.unwrap(), None);
    // A value that is sealed under another name is no better.
    store.keep_rules("{\"a\":\"2\"}").await.unwrap();
    scene
        .forge(
            "UPDATE sealed_values SET (value, seal) = (SELECT value, seal FROM sealed_values WHERE name = 'last good rules') \
             WHERE name = 'trusted keys'",
        )
        .await;
    assert!(matches!(store.remembered_keys().await, Err(StoreError::Altered(_))));
}

#[tokio::test]
async fn a_database_of_another_key_is_refused_at_the_start() {
    let scene = Scene::new();
    scene.open().await.close().await;
    let other = StateKey::open_or_create(&scene.folder.path().join("other.key")).unwrap();
    assert!(matches!(Store::open(&scene.path(), &other).await, Err(StoreError::OtherKey(_))));
}

#[tokio::test]
async fn the_database_is_for_the_owner_alone() {
    let scene = Scene::new();
    let store = scene.open().await;
    store.keep_rules("x").await.unwrap();
    for file in std::fs::read_dir(scene.folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
    store.close().await;
    std::fs::set_permissions(scene.path(), PermissionsExt::from_mode(0o640)).unwrap();
    assert!(matches!(Store::open(&scene.path(), &scene.key).await, Err(StoreError::Exposed { mode: 0o640, .. })));
}

#[tokio::test]
async fn what_is_no_database_is_an_error_that_names_the_file() {
    let scene = Scene::new();
    assert!(matches!(Store::open_existing(&scene.path(), &scene.key).await, Err(StoreError::Missing(_))));
    std::fs::write(scene.path(), "not a database, but long enough to be looked at as one".repeat(100)).unwrap();
    std::fs::set_permissions(scene.path(), PermissionsExt::from_mode(0o600)).unwrap();
    let failed = Store::open(&scene.path(), &scene.key).await.unwrap_err();
    assert!(failed.to_string().contains("state.db"), "{failed}");
    let nowhere = Store::open(&scene.folder.path().join("no/state.db"), &scene.key).await.unwrap_err();
    assert!(matches!(nowhere, StoreError::File { .. }));
}

#[tokio::test]
async fn a_database_that_a_newer_version_extended_is_used() {
    let scene = Scene::new();
    let store = scene.open().await;
    store.keep_rules("rules: []").await.unwrap();
    store.close().await;
    scene.forge("ALTER TABLE identity_tokens ADD COLUMN colour TEXT").await;
    scene.forge("CREATE TABLE later (x TEXT) STRICT").await;
    scene
        .forge(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', true, x'00', 1)",
        )
        .await;
    let store = scene.open().await;
    assert_eq!(store.kept_rules().await.unwrap().as_deref(), Some("rules: []"));
    assert!(store.all_tokens().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_processes_may_start_on_an_empty_folder_at_once() {
    let scene = Arc::new(Scene::new());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let scene = Arc::clone(&scene);
        tasks.spawn(async move { scene.open().await.ping().await.unwrap() });
    }
    tasks.join_all().await;
}
