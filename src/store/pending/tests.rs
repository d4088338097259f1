//! Logins under way on a real database: caps, ends, and that nobody gets one twice or by writing it.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tokio::task::JoinSet;

use super::*;
use crate::store::StateKey;

const NOW: Timestamp = Timestamp(1_700_000_000);
const CAPS: PendingCaps = PendingCaps { all: 3, source: 2 };
const KIND: PendingKind = PendingKind::DeviceFlow;

struct Scene {
    folder: tempfile::TempDir,
    store: Store,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = StateKey::open_or_create(&folder.path().join("state.key")).unwrap();
        let store = Store::open(&folder.path().join("state.db"), &key).await.unwrap();
        Self { folder, store }
    }

    async fn begin(&self, kind: PendingKind, key: &str, source: &str, now: Timestamp) -> Begun {
        let key = secret(key);
        let new = NewPending { kind, key: &key, source, expires: now.plus(60), value: b"what is kept" };
        self.store.begin_pending(&new, now, CAPS).await.unwrap()
    }

    async fn find(&self, key: &str) -> Option<Pending> {
        self.store.pending(KIND, &secret(key), NOW).await.unwrap()
    }

    async fn forge(&self, sql: &str) {
        let options = SqliteConnectOptions::new().filename(self.folder.path().join("state.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

#[tokio::test]
async fn one_that_is_claimed_is_nobody_elses_until_it_is_over() {
    let scene = Scene::new().await;
    let claim = async |now: Timestamp| {
        let key = secret("login");
        let new = NewPending { kind: PendingKind::Recheck, key: &key, source: "", expires: now.plus(60), value: b"" };
        scene.store.claim_pending(&new, now).await.unwrap()
    };
    let first = claim(NOW).await.unwrap();
    assert!(claim(NOW).await.is_none());
    let end = async |row: &Pending| scene.store.take_pending(PendingKind::Recheck, &secret("login"), row).await.unwrap();
    assert!(end(&first).await);
    let second = claim(NOW).await.unwrap();
    assert!(!end(&first).await, "it was somebody else's");
    assert!(claim(NOW.plus(59)).await.is_none());
    assert!(claim(NOW.plus(60)).await.is_some());
    assert!(!end(&second).await, "it was over");
}

#[tokio::test]
async fn one_is_found_by_its_key_and_kind_alone() {
    let scene = Scene::new().await;
    assert_eq!(scene.begin(KIND, "key-of-flow", "192.0.2.1", NOW).await, Begun::Kept);
    let found = scene.find("key-of-flow").await.unwrap();
    assert_eq!((found.value.as_slice(), found.expires), (&b"what is kept"[..], NOW.plus(60)));
    assert!(scene.find("key-of-flo").await.is_none());
    assert!(scene.store.pending(PendingKind::InBandFlow, &secret("key-of-flow"), NOW).await.unwrap().is_none());
    assert_eq!(format!("{found:?}"), "Pending { expires: Timestamp(1700000060), .. }");
    for file in std::fs::read_dir(scene.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for word in ["key-of-flow", "192.0.2.1", "what is kept"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
        }
    }
}

#[tokio::test]
async fn a_source_and_all_together_have_a_cap_until_one_is_over() {
    let scene = Scene::new().await;
    assert_eq!(scene.begin(KIND, "1", "a", NOW).await, Begun::Kept);
    assert_eq!(scene.begin(KIND, "2", "a", NOW).await, Begun::Kept);
    assert_eq!(scene.begin(KIND, "3", "a", NOW).await, Begun::SourceFull);
    assert_eq!(scene.begin(KIND, "3", "b", NOW).await, Begun::Kept);
    assert_eq!(scene.begin(KIND, "4", "c", NOW).await, Begun::Full);
    // Another kind has caps of its own.
    assert_eq!(scene.begin(PendingKind::InBandFlow, "1", "a", NOW).await, Begun::Kept);
    let first = scene.find("1").await.unwrap();
    assert!(scene.store.take_pending(KIND, &secret("1"), &first).await.unwrap());
    assert_eq!(scene.begin(KIND, "4", "a", NOW).await, Begun::Kept);
    // At their end they make room by themselves.
    assert_eq!(scene.begin(KIND, "5", "a", NOW.plus(59)).await, Begun::SourceFull);
    assert_eq!(scene.begin(KIND, "5", "a", NOW.plus(60)).await, Begun::Kept);
    assert_eq!(scene.begin(KIND, "6", "a", NOW.plus(60)).await, Begun::Kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_begin_at_once_do_not_pass_the_cap() {
    let scene = Arc::new(Scene::new().await);
    let mut tasks = JoinSet::new();
    for number in 0..12 {
        let scene = Arc::clone(&scene);
        tasks.spawn(async move { scene.begin(KIND, &number.to_string(), "a", NOW).await });
    }
    let begun = tasks.join_all().await;
    assert_eq!(begun.iter().filter(|begun| **begun == Begun::Kept).count(), 2, "{begun:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_take_one_gets_it() {
    let scene = Arc::new(Scene::new().await);
    scene.begin(KIND, "1", "a", NOW).await;
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let scene = Arc::clone(&scene);
        tasks.spawn(async move {
            let Some(found) = scene.find("1").await else { return false };
            scene.store.take_pending(KIND, &secret("1"), &found).await.unwrap()
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|taken| *taken).count(), 1);
    assert!(scene.find("1").await.is_none());
}

#[tokio::test]
async fn a_change_counts_only_where_nobody_was_faster() {
    let scene = Scene::new().await;
    scene.begin(KIND, "1", "a", NOW).await;
    let (one, other) = (scene.find("1").await.unwrap(), scene.find("1").await.unwrap());
    assert!(scene.store.replace_pending(KIND, &secret("1"), &one, b"one").await.unwrap());
    assert!(!scene.store.replace_pending(KIND, &secret("1"), &other, b"other").await.unwrap());
    assert!(!scene.store.take_pending(KIND, &secret("1"), &other).await.unwrap());
    let now = scene.find("1").await.unwrap();
    assert_eq!((now.value.as_slice(), now.expires), (&b"one"[..], NOW.plus(60)));
    // The same value again is another row: the change was made.
    assert!(scene.store.replace_pending(KIND, &secret("1"), &now, b"one").await.unwrap());
    assert!(!scene.store.take_pending(KIND, &secret("1"), &now).await.unwrap());
}

#[tokio::test]
async fn a_row_that_was_altered_or_moved_is_none() {
    let alterations = [
        "value = x'00'",
        "value = CAST(value || x'00' AS BLOB)",
        "source = x'00'",
        "expires = expires + 1000",
        "value = (SELECT value FROM pending AS other WHERE other.rowid <> pending.rowid)",
        "key = (SELECT key FROM pending AS other WHERE other.kind = 'in_band_flow')",
    ];
    for alteration in alterations {
        let scene = Scene::new().await;
        scene.begin(KIND, "1", "a", NOW).await;
        scene.begin(KIND, "2", "a", NOW).await;
        scene.begin(PendingKind::InBandFlow, "3", "a", NOW).await;
        scene.forge("DELETE FROM pending WHERE rowid = (SELECT MAX(rowid) FROM pending WHERE kind = 'device_flow')").await;
        let sql = format!("UPDATE pending SET {alteration} WHERE kind = 'device_flow'");
        scene.forge(&sql).await;
        let mut found = HashSet::new();
        for key in ["1", "2", "3"] {
            found.extend(scene.find(key).await.map(|_| key));
        }
        assert_eq!(found, HashSet::new(), "{alteration}");
    }
}

#[tokio::test]
async fn what_is_over_is_not_found_and_goes() {
    let scene = Scene::new().await;
    scene.begin(KIND, "1", "a", NOW).await;
    let at = async |seconds| scene.store.pending(KIND, &secret("1"), NOW.plus(seconds)).await.unwrap().is_some();
    assert_eq!([at(59).await, at(60).await], [true, false]);
    scene.store.purge_pending(NOW.plus(59)).await.unwrap();
    assert!(at(0).await);
    scene.store.purge_pending(NOW.plus(60)).await.unwrap();
    assert!(!at(0).await);
}

#[tokio::test]
async fn what_may_leave_something_is_kept_for_a_week_and_takes_no_place() {
    let scene = Scene::new().await;
    let over = NOW.plus(60);
    for (kind, key) in [(PendingKind::SignIn, "1"), (PendingKind::SignIn, "2"), (PendingKind::LoginCode, "3"), (KIND, "4")] {
        assert_eq!(scene.begin(kind, key, "a", NOW).await, Begun::Kept);
    }
    assert_eq!(scene.begin(PendingKind::SignIn, "5", "a", NOW).await, Begun::SourceFull);
    let left = async |now| scene.store.pending_leftovers(now, 0, 10).await.unwrap();
    assert_eq!(left(NOW.plus(59)).await.len(), 0);
    assert_eq!(scene.store.sign_ins_of("a", NOW).await.unwrap().len(), 3);
    assert_eq!(scene.store.sign_ins_of("b", NOW).await.unwrap().len(), 0);
    assert_eq!(scene.begin(PendingKind::SignIn, "5", "a", over).await, Begun::Kept);
    scene.store.purge_pending(over).await.unwrap();
    let found = left(over).await;
    assert_eq!(found.iter().filter(|one| one.value.as_ref().is_some_and(|value| value.as_slice() == b"what is kept")).count(), 3);
    assert!(scene.store.pending(PendingKind::SignIn, &secret("1"), over).await.unwrap().is_none());
    assert_eq!(scene.store.sign_ins_of("a", over).await.unwrap().len(), 1);
    // In pages, and each once.
    let second = scene.store.pending_leftovers(over, found[0].place, 1).await.unwrap();
    assert_eq!((second.len(), second[0].place), (1, found[1].place));
    scene.store.drop_leftover(&found[1]).await.unwrap();
    assert_eq!(left(over).await.len(), 2);
    scene.store.purge_pending(over.plus(KEPT_AFTER_END - 1)).await.unwrap();
    assert_eq!(left(over).await.len(), 2);
    scene.store.purge_pending(over.plus(KEPT_AFTER_END)).await.unwrap();
    assert_eq!(left(over).await.len(), 0);
}

#[tokio::test]
async fn what_somebody_else_wrote_leaves_nothing() {
    let scene = Scene::new().await;
    scene.begin(PendingKind::SignIn, "1", "a", NOW).await;
    scene.begin(PendingKind::Leftover, "2", "a", NOW).await;
    assert_eq!(scene.store.pending_leftovers(NOW, 0, 10).await.unwrap().len(), 1);
    scene.forge("UPDATE pending SET expires = expires - 60").await;
    let found = scene.store.pending_leftovers(NOW, 0, 10).await.unwrap();
    assert_eq!(found.iter().map(|one| one.value.is_some()).collect::<Vec<_>>(), [false, false]);
}
