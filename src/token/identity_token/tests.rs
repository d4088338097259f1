//! Identity tokens on a real database, with a clock that the tests move.

mod ends;
mod forged;
mod leftover;
mod life;
mod looks;
mod renewals;
mod shared;
mod snapshot;

use std::sync::Arc;

use secrecy::ExposeSecret;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::*;
use crate::authn::identity::{Group, IdentityClaims, Kind, Method, PasswordMarker, SecondFactor};
use crate::source::{Located, Period};

const BIRTH: Birth = Birth { how: Born::Password, source: None };
const SERVICE: &str = "registry.example";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

struct Scene {
    folder: tempfile::TempDir,
    clock: Clock,
    tokens: IdentityTokens,
}

impl Scene {
    async fn new() -> Self {
        Self::with(IdentityTokenSettings::default()).await
    }

    async fn with(settings: IdentityTokenSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(Timestamp(1_700_000_000));
        let tokens = open(&folder, &clock, settings).await;
        Self { folder, clock, tokens }
    }

    /// Another process on the same files.
    async fn second(&self) -> IdentityTokens {
        open(&self.folder, &self.clock, IdentityTokenSettings::default()).await
    }

    fn alice(&self) -> Identity {
        Identity {
            realm: Arc::from("corp"),
            provider: Arc::from("staff"),
            id: "uuid-1".to_owned(),
            username: "alice".to_owned(),
            groups: vec![Group::named("team"), Group { name: "ops".to_owned(), dn: Some("cn=ops".to_owned()), id: Some("7".to_owned()) }],
            kind: Kind::Person,
            method: Method::Password,
            proven: self.clock.now(),
            marker: Some(PasswordMarker("20260101".to_owned())),
            claims: IdentityClaims::new(),
            second_factor: SecondFactor::Unknown,
        }
    }

    async fn mint(&self, identity: &Identity) -> SecretString {
        self.tokens.mint(identity, SERVICE, "print", Some(Renewal::from(vec![1, 2])), Recheck::ByProvider, BIRTH).await.unwrap()
    }

    async fn mint_without_renewal(&self, identity: &Identity, birth: Birth) -> SecretString {
        self.tokens.mint(identity, SERVICE, "print", None, Recheck::ByProvider, birth).await.unwrap()
    }

    /// A token of somebody who signed in at an issuer, which shows no marker of a password.
    async fn mint_signed_in(&self, how: Born) -> SecretString {
        let (identity, birth) = (Identity { marker: None, ..self.alice() }, Birth { how, source: None });
        self.tokens.mint(&identity, SERVICE, "print", Some(Renewal::from(b"refresh-0".to_vec())), Recheck::ByProvider, birth).await.unwrap()
    }

    async fn renewal(&self, token: &SecretString) -> Option<Vec<u8>> {
        self.tokens.present(token, SERVICE).await.unwrap().renewal.map(|renewal| renewal.0.to_vec())
    }

    async fn state(&self, token: &SecretString) -> &'static str {
        state(&self.tokens, token).await
    }

    /// Somebody who can write the database and has not the key.
    async fn intruder(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.folder.path().join("state.db"));
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    async fn forge(&self, sql: &str) {
        let mut connection = self.intruder().await;
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
}

async fn open(folder: &tempfile::TempDir, clock: &Clock, settings: IdentityTokenSettings) -> IdentityTokens {
    let key = StateKey::open_or_create(&folder.path().join("state.key")).unwrap();
    let store = Store::open(&folder.path().join("state.db"), &key).await.unwrap();
    IdentityTokens::new(store, &key, settings, clock.clone())
}

async fn state(tokens: &IdentityTokens, token: &SecretString) -> &'static str {
    match tokens.present(token, SERVICE).await {
        Ok(presented) if presented.needs_recheck => "recheck",
        Ok(_) => "live",
        Err(PresentError::Ended(reason)) => reason,
        Err(PresentError::Unavailable(cause)) => panic!("{cause}"),
    }
}

#[tokio::test]
async fn a_token_stands_for_the_login_that_made_it() {
    let scene = Scene::new().await;
    let alice = scene.alice();
    let token = scene.mint(&alice).await;
    scene.clock.advance(10);
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    assert_eq!(presented.identity, Identity { method: Method::IdentityToken, ..alice.clone() });
    assert_eq!(presented.identity.proven, alice.proven);
    assert_eq!(presented.fingerprint, "print");
    assert_eq!(presented.renewal, Some(Renewal::from(vec![1, 2])));
    assert!(!presented.needs_recheck);
    assert!(!format!("{presented:?} {:?}", scene.tokens).contains(token.expose_secret()));
}

#[tokio::test]
async fn a_token_is_for_one_service() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    assert!(matches!(scene.tokens.present(&token, "other.example").await, Err(PresentError::Ended("other_service"))));
    assert!(matches!(scene.tokens.present(&token, "").await, Err(PresentError::Ended("other_service"))));
    assert_eq!(scene.state(&token).await, "live");
}

#[tokio::test]
async fn the_token_itself_is_not_in_the_database() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    let text = token.expose_secret();
    let random = data_encoding::BASE64URL_NOPAD.decode(&text.as_bytes()[4..]).unwrap();
    for file in std::fs::read_dir(scene.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(20).any(|window| window == &text.as_bytes()[4..24] || window == &random[..20]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_write_at_once_and_nobody_fails() {
    let scene = Scene::new().await;
    let (first, second) = (Arc::new(scene.second().await), Arc::new(scene.second().await));
    let token = scene.mint(&scene.alice()).await;
    scene.clock.advance(HOUR);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let tokens = Arc::clone(if number % 2 == 0 { &first } else { &second });
        let (token, alice) = (token.clone(), scene.alice());
        tasks.spawn(async move {
            let other = Identity { id: format!("uuid-{number}"), ..alice.clone() };
            tokens.mint(&other, SERVICE, "print", None, Recheck::ByProvider, BIRTH).await.unwrap();
            let presented = tokens.present(&token, SERVICE).await.unwrap();
            tokens.confirm(&presented, &alice, None).await.unwrap();
            tokens.used(&presented, None).await;
        });
    }
    tasks.join_all().await;
    assert_eq!(scene.state(&token).await, "live");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_an_outage_and_no_refusal() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.store.close().await;
    assert!(matches!(scene.tokens.present(&token, SERVICE).await, Err(PresentError::Unavailable(_))));
    assert!(matches!(scene.tokens.confirm(&presented, &scene.alice(), None).await, Err(PresentError::Unavailable(_))));
    assert!(scene.tokens.end(&presented, "gone").await.is_err());
    assert!(scene.tokens.revoke(&token).await.is_err());
    assert!(scene.tokens.mint(&scene.alice(), SERVICE, "print", None, Recheck::ByProvider, BIRTH).await.is_err());
    // Garbage costs no look-up, so it needs no store either.
    assert!(matches!(scene.tokens.present(&SecretString::from("nrw_x"), SERVICE).await, Err(PresentError::Ended("malformed"))));
}

#[tokio::test]
async fn everything_can_be_spawned() {
    fn sent<T: Send>(future: T) -> T {
        future
    }
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    let presented = sent(scene.tokens.present(&token, SERVICE)).await.unwrap();
    sent(scene.tokens.keep_renewal(&presented, &Renewal::from(vec![3]))).await.unwrap();
    assert_eq!(scene.tokens.present(&token, SERVICE).await.unwrap().renewal, Some(Renewal::from(vec![3])));
    sent(scene.tokens.used(&presented, None)).await;
    sent(scene.tokens.end(&presented, "gone")).await.unwrap();
    sent(scene.tokens.revoke(&token)).await.unwrap();
    sent(scene.tokens.list()).await.unwrap();
    sent(scene.tokens.purge()).await.unwrap();
    sent(scene.tokens.revoke_selected(&Selection::Id(presented.id.clone()))).await.unwrap();
}
