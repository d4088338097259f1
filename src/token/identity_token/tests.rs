//! Identity tokens on a real database, with a clock that the tests move.

mod leftover;
mod shared;

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

#[tokio::test]
async fn an_idle_token_ends() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    scene.clock.advance(29 * DAY);
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.used(&presented, None).await;
    scene.clock.advance(30 * DAY - 1);
    assert_eq!(scene.state(&token).await, "recheck");
    scene.clock.advance(1);
    assert_eq!(scene.state(&token).await, "idle");
}

#[tokio::test]
async fn use_does_not_prolong_the_absolute_life() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    for _ in 0..89 {
        scene.clock.advance(DAY);
        let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
        scene.tokens.confirm(&presented, &scene.alice(), None).await.unwrap();
    }
    scene.clock.advance(DAY - 1);
    assert_eq!(scene.state(&token).await, "recheck");
    scene.clock.advance(1);
    assert_eq!(scene.state(&token).await, "absolute");
}

#[tokio::test]
async fn what_cannot_be_checked_lives_shorter() {
    let scene = Scene::new().await;
    let alice = scene.alice();
    let unmarked = scene.mint_without_renewal(&Identity { marker: None, ..alice.clone() }, BIRTH).await;
    let unchecked = scene.tokens.mint(&alice, SERVICE, "print", None, Recheck::Impossible, BIRTH).await.unwrap();
    let workload = scene.mint(&Identity { kind: Kind::Workload, method: Method::Workload, ..alice.clone() }).await;
    scene.clock.advance(HOUR - 1);
    assert_eq!([scene.state(&unmarked).await, scene.state(&unchecked).await, scene.state(&workload).await], ["recheck", "live", "recheck"]);
    scene.clock.advance(1);
    assert_eq!(scene.state(&workload).await, "absolute");
    scene.clock.advance(11 * HOUR - 1);
    assert_eq!(scene.state(&unchecked).await, "live");
    scene.clock.advance(1);
    assert_eq!(scene.state(&unchecked).await, "absolute");
    scene.clock.advance(7 * DAY - 12 * HOUR - 1);
    assert_eq!(scene.state(&unmarked).await, "recheck");
    scene.clock.advance(1);
    assert_eq!(scene.state(&unmarked).await, "absolute");
}

#[tokio::test]
async fn an_old_look_asks_for_another() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    scene.clock.advance(5 * MINUTE - 1);
    assert_eq!(scene.state(&token).await, "live");
    scene.clock.advance(1);
    assert_eq!(scene.state(&token).await, "recheck");
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    let renamed = Identity { username: "alice2".to_owned(), groups: vec![Group::named("new")], ..scene.alice() };
    scene.tokens.confirm(&presented, &renamed, Some(Renewal::from(vec![9]))).await.unwrap();

    let second = scene.second().await.present(&token, SERVICE).await.unwrap();
    assert!(!second.needs_recheck);
    assert_eq!(second.identity.username, "alice2");
    assert_eq!(second.identity.groups, vec![Group::named("new")]);
    assert_eq!(second.identity.proven, presented.identity.proven);
    assert_eq!(second.renewal, Some(Renewal::from(vec![9])));
    assert_eq!(second.looked, scene.clock.now());
}

#[tokio::test]
async fn recheck_of_no_time_looks_at_every_use() {
    let settings = IdentityTokenSettings { recheck: Located::nowhere(Period::seconds(0)), ..IdentityTokenSettings::default() };
    let scene = Scene::with(settings).await;
    let token = scene.mint(&scene.alice()).await;
    assert_eq!(scene.state(&token).await, "recheck");
}

#[tokio::test]
async fn a_look_at_somebody_else_or_after_a_new_password_ends_the_token() {
    let scene = Scene::new().await;
    let others = [
        (Identity { id: "uuid-2".to_owned(), ..scene.alice() }, "other_identity"),
        (Identity { provider: Arc::from("else"), ..scene.alice() }, "other_identity"),
        (Identity { realm: Arc::from("else"), ..scene.alice() }, "other_identity"),
        (Identity { marker: Some(PasswordMarker("20260202".to_owned())), ..scene.alice() }, "password_changed"),
    ];
    for (other, reason) in others {
        let token = scene.mint(&scene.alice()).await;
        let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
        let refused = scene.tokens.confirm(&presented, &other, None).await;
        assert!(matches!(refused, Err(PresentError::Ended(found)) if found == reason));
        assert_eq!(scene.state(&token).await, reason);
    }
}

#[tokio::test]
async fn a_second_factor_stays_that_of_the_login_and_claims_are_those_of_the_last_look() {
    let scene = Scene::new().await;
    let claims = |value: &str| IdentityClaims::from([("dept".to_owned(), vec![value.to_owned()])]);
    let login = Identity { claims: claims("a"), second_factor: SecondFactor::Used(Timestamp(77)), ..scene.alice() };
    let token = scene.mint(&login).await;
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    assert_eq!((&presented.identity.claims, presented.identity.second_factor), (&login.claims, login.second_factor));
    scene.clock.advance(60);
    let again = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&again, &Identity { claims: claims("b"), ..scene.alice() }, None).await.unwrap();
    let after = scene.tokens.present(&token, SERVICE).await.unwrap().identity;
    assert_eq!((after.claims, after.second_factor), (claims("b"), SecondFactor::Used(Timestamp(77))));
}

#[tokio::test]
async fn a_marker_that_can_no_longer_be_read_shortens_the_life() {
    let scene = Scene::new().await;
    let token = scene.mint_without_renewal(&scene.alice(), BIRTH).await;
    scene.clock.advance(DAY);
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&presented, &Identity { marker: None, ..scene.alice() }, None).await.unwrap();
    scene.clock.advance(6 * DAY);
    assert_eq!(scene.state(&token).await, "absolute");
}

#[tokio::test]
async fn an_older_look_does_not_undo_a_newer_one() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    let slow = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.clock.advance(MINUTE);
    let fast = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&fast, &Identity { groups: vec![], ..scene.alice() }, None).await.unwrap();
    scene.tokens.confirm(&slow, &scene.alice(), None).await.unwrap();
    assert_eq!(scene.tokens.present(&token, SERVICE).await.unwrap().identity.groups, vec![]);
}

#[tokio::test]
async fn a_clock_that_was_ahead_asks_for_a_look_and_ends_nothing() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    scene.clock.advance(10_000 * DAY);
    assert_eq!(scene.state(&token).await, "absolute");
    scene.clock.advance(-10_000 * DAY - HOUR);
    assert_eq!(scene.state(&token).await, "recheck");
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&presented, &scene.alice(), None).await.unwrap();
    assert_eq!(scene.state(&token).await, "live");
    scene.clock.advance(i64::MAX - scene.clock.now().0);
    assert_eq!(scene.state(&token).await, "absolute");
}

#[tokio::test]
async fn a_revoked_token_is_over_in_every_process_at_once() {
    let scene = Scene::new().await;
    let second = scene.second().await;
    let token = scene.mint(&scene.alice()).await;
    assert_eq!(state(&second, &token).await, "live");
    let presented = second.present(&token, SERVICE).await.unwrap();
    assert!(scene.tokens.revoke(&token).await.unwrap());
    assert_eq!(state(&second, &token).await, "revoked");
    assert!(!second.revoke(&token).await.unwrap());
    // A look that was under way brings nothing back.
    let late = second.confirm(&presented, &scene.alice(), None).await;
    assert!(matches!(late, Err(PresentError::Ended("revoked"))));
    second.used(&presented, None).await;
    second.end(&presented, "gone").await.unwrap();
    assert_eq!(state(&second, &token).await, "revoked");
}

#[tokio::test]
async fn the_reason_of_an_end_is_kept_for_a_week() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.end(&presented, "disabled").await.unwrap();
    assert_eq!(scene.state(&token).await, "disabled");
    scene.clock.advance(7 * DAY);
    assert_eq!(scene.tokens.purge().await.unwrap(), 0);
    scene.clock.advance(1);
    assert_eq!(scene.tokens.purge().await.unwrap(), 1);
    assert_eq!(scene.state(&token).await, "unknown");
    let live = scene.mint(&scene.alice()).await;
    assert_eq!(scene.tokens.purge().await.unwrap(), 0);
    assert_eq!(scene.state(&live).await, "live");
    scene.clock.advance(38 * DAY);
    assert_eq!(scene.tokens.purge().await.unwrap(), 1);
}

#[tokio::test]
async fn the_fifty_first_token_ends_the_one_unused_for_longest() {
    let scene = Scene::new().await;
    let alice = scene.alice();
    let mut minted = Vec::new();
    for _ in 0..50 {
        minted.push(scene.mint(&alice).await);
        scene.clock.advance(MINUTE);
    }
    let first = scene.tokens.present(&minted[0], SERVICE).await.unwrap();
    scene.tokens.used(&first, None).await;
    // Other services and other people do not count.
    scene.tokens.mint(&alice, "other.example", "print", None, Recheck::ByProvider, BIRTH).await.unwrap();
    scene.mint(&Identity { id: "uuid-2".to_owned(), ..alice.clone() }).await;
    assert_ne!(scene.state(&minted[1]).await, "replaced");
    scene.mint(&alice).await;
    assert_eq!(scene.state(&minted[1]).await, "replaced");
    assert_ne!(scene.state(&minted[0]).await, "replaced");
    assert_ne!(scene.state(&minted[2]).await, "replaced");
}

#[tokio::test]
async fn a_row_altered_by_hand_is_refused() {
    let alterations = [
        "id = 'x'",
        "provider = 'robots'",
        "fingerprint = 'x'",
        "realm = 'lab'",
        "subject = 'uuid-2'",
        "username = 'root'",
        "kind = 'workload'",
        "groups = '[{\"name\":\"admins\"}]'",
        "marker = NULL",
        "marker = ''",
        "recheck = 'impossible'",
        "renewal = NULL",
        "renewal = x'09'",
        "service = 'registry.example '",
        "proven = proven + 1",
        "created = created + 1",
        "looked = looked + 1",
        "used = used + 1",
        "ended = 1",
        "reason = 'x'",
        "seal = zeroblob(32)",
        "seal = x''",
        // The same bytes of another kind, and of another field.
        "username = 'alicex', kind = substr(kind, 2)",
        "groups = CAST(x'ff' AS TEXT)",
    ];
    for alteration in alterations {
        let scene = Scene::new().await;
        let token = scene.mint(&scene.alice()).await;
        let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
        scene.forge(&format!("UPDATE identity_tokens SET {alteration}")).await;
        assert_eq!(scene.state(&token).await, "unknown", "{alteration}");
        // Nothing that the service does afterwards seals the row again.
        assert!(scene.tokens.confirm(&presented, &scene.alice(), None).await.is_err());
        scene.tokens.used(&presented, None).await;
        scene.tokens.end(&presented, "gone").await.unwrap();
        assert!(!scene.tokens.revoke(&token).await.unwrap());
        assert_eq!(scene.state(&token).await, "unknown", "{alteration}");
        assert_eq!(scene.tokens.list().await.unwrap()[0].state, "altered", "{alteration}");
        assert_eq!(scene.tokens.revoke_selected(&Selection::Matching { user: None, realm: None, before: None }).await.unwrap(), 1);
        assert!(scene.tokens.list().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_revoked_token_is_not_brought_back_by_clearing_its_end() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    scene.tokens.revoke(&token).await.unwrap();
    scene.forge("UPDATE identity_tokens SET ended = NULL, reason = NULL").await;
    assert_eq!(scene.state(&token).await, "unknown");
}

#[tokio::test]
async fn a_row_written_by_hand_is_refused() {
    let scene = Scene::new().await;
    let alices = scene.mint(&scene.alice()).await;
    let bobs = scene.mint(&Identity { id: "uuid-2".to_owned(), username: "bob".to_owned(), ..scene.alice() }).await;
    // The hashes of two tokens change places: each token would stand for the other person.
    scene.forge("CREATE TABLE swap AS SELECT username, token_hash FROM identity_tokens").await;
    scene.forge("UPDATE identity_tokens SET token_hash = zeroblob(32) WHERE username = 'bob'").await;
    for (to, from) in [("alice", "bob"), ("bob", "alice")] {
        let sql = format!(
            "UPDATE identity_tokens SET token_hash = (SELECT token_hash FROM swap WHERE username = '{from}') WHERE username = '{to}'"
        );
        scene.forge(&sql).await;
    }
    assert_eq!(scene.state(&bobs).await, "unknown");
    assert_eq!(scene.state(&alices).await, "unknown");
}

#[tokio::test]
async fn a_row_copied_for_another_token_is_refused() {
    let scene = Scene::new().await;
    let alice = Identity { marker: None, ..scene.alice() };
    let token = scene.mint(&alice).await;
    let columns = "provider, fingerprint, realm, subject, username, kind, groups, marker, recheck, renewal, service, proven, created, \
                   looked, used, ended, reason, seal";
    // The owner of a token whose row was purged puts it back with the rest and the seal of somebody else's row.
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    let admin = Identity { id: "uuid-9".to_owned(), username: "admin".to_owned(), ..alice };
    scene.mint(&admin).await;
    scene.forge("DELETE FROM identity_tokens WHERE username = 'alice'").await;
    let hash = data_encoding::HEXLOWER.encode(&presented.token_hash);
    scene
        .forge(&format!(
            "INSERT INTO identity_tokens (id, token_hash, {columns}) SELECT id || 'x', x'{hash}', {columns} FROM identity_tokens"
        ))
        .await;
    assert_eq!(scene.state(&token).await, "unknown");
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

#[tokio::test]
async fn a_renewal_cannot_be_read_in_the_database() {
    let scene = Scene::new().await;
    let token = scene.mint_signed_in(Born::SignIn).await;
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.keep_renewal(&presented, &Renewal::from(b"refresh-1".to_vec())).await.unwrap();
    assert_eq!(scene.renewal(&token).await.as_deref(), Some(&b"refresh-1"[..]));
    for file in std::fs::read_dir(scene.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"refresh-"));
    }
    assert!(!format!("{presented:?}").contains("refresh"));
}

/// Whoever seals rows, and puts another row's renewal in.
#[tokio::test]
async fn a_renewal_opens_for_its_own_token_person_provider_and_service_alone() {
    let scene = Scene::new().await;
    let token = scene.mint_signed_in(Born::SignIn).await;
    let hash = scene.tokens.secrets.read(&token).unwrap();
    let store = &scene.tokens.store;
    let own = store.find_token(&hash).await.unwrap().unwrap().row().clone();
    let others = [
        TokenRow { id: "x".to_owned(), ..own.clone() },
        TokenRow { provider: "x".to_owned(), ..own.clone() },
        TokenRow { subject: "x".to_owned(), ..own.clone() },
        TokenRow { service: "x".to_owned(), ..own.clone() },
    ];
    for other in others {
        for renewal in [store.close_renewal(&other, b"refresh-9").unwrap(), b"refresh-9".to_vec(), Vec::new()] {
            let stored = store.find_token(&hash).await.unwrap().unwrap();
            let moved = TokenRow { renewal: Some(renewal), ..own.clone() };
            assert!(store.replace_token(&stored, &moved).await.unwrap());
            assert_eq!(scene.state(&token).await, "altered");
        }
    }
    let stored = store.find_token(&hash).await.unwrap().unwrap();
    assert!(store.replace_token(&stored, &own).await.unwrap());
    assert_eq!(scene.state(&token).await, "live");
}

#[tokio::test]
async fn of_two_renewals_of_one_the_later_stands() {
    let scene = Scene::new().await;
    let token = scene.mint_signed_in(Born::SignIn).await;
    let signed_in = Identity { marker: None, ..scene.alice() };
    let renewal = |text: &str| Some(Renewal::from(text.as_bytes().to_vec()));
    let slow = scene.tokens.present(&token, SERVICE).await.unwrap();
    assert!(!scene.tokens.was_renewed(&slow).await.unwrap());
    scene.clock.advance(MINUTE);
    let fast = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&fast, &signed_in, renewal("refresh-2")).await.unwrap();
    assert!(scene.tokens.was_renewed(&slow).await.unwrap());
    scene.tokens.confirm(&slow, &signed_in, renewal("refresh-1")).await.unwrap();
    assert_eq!(scene.renewal(&token).await.as_deref(), Some(&b"refresh-2"[..]));
    // In the same second the one that is written last is the one that came last.
    let (one, other) = (scene.tokens.present(&token, SERVICE).await.unwrap(), scene.tokens.present(&token, SERVICE).await.unwrap());
    scene.tokens.confirm(&one, &signed_in, renewal("refresh-3")).await.unwrap();
    scene.tokens.keep_renewal(&other, &Renewal::from(b"refresh-4".to_vec())).await.unwrap();
    assert_eq!(scene.renewal(&token).await.as_deref(), Some(&b"refresh-4"[..]));
    // An issuer that does not rotate gives the same one back.
    let same = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&same, &signed_in, renewal("refresh-4")).await.unwrap();
    assert!(!scene.tokens.was_renewed(&same).await.unwrap());
}

#[tokio::test]
async fn a_login_by_device_lives_for_a_week_and_a_sign_in_as_long_as_its_session() {
    let scene = Scene::new().await;
    let (sign_in, device) = (scene.mint_signed_in(Born::SignIn).await, scene.mint_signed_in(Born::Device).await);
    let in_band = scene.mint_signed_in(Born::InBand).await;
    let without = scene.mint_without_renewal(&scene.alice(), Birth { how: Born::Device, source: None }).await;
    let ends = scene.clock.now().plus(7 * DAY);
    for token in [&device, &in_band, &without] {
        assert_eq!(scene.tokens.present(token, SERVICE).await.unwrap().ends, ends);
    }
    scene.clock.advance(7 * DAY);
    assert_eq!([scene.state(&device).await, scene.state(&in_band).await, scene.state(&without).await], ["absolute"; 3]);
    assert_eq!(scene.state(&sign_in).await, "recheck");
    // A look changes nothing of it.
    let presented = scene.tokens.present(&sign_in, SERVICE).await.unwrap();
    assert_eq!(presented.ends, ends.plus(83 * DAY));
    scene.tokens.confirm(&presented, &Identity { marker: None, ..scene.alice() }, None).await.unwrap();
    let listed = scene.tokens.list().await.unwrap();
    assert!(listed.iter().any(|listed| listed.state == "live" && listed.birth.is_some_and(|birth| birth.how == Born::SignIn)));
}

#[tokio::test]
async fn where_a_token_was_made_and_used_last_is_listed() {
    let scene = Scene::new().await;
    let address = |text: &str| Some(text.parse().unwrap());
    let birth = Birth { how: Born::Password, source: address("192.0.2.1") };
    let token = scene.mint_without_renewal(&scene.alice(), birth).await;
    let listed = async || {
        let listed = scene.tokens.list().await.unwrap().pop().unwrap();
        (listed.birth, listed.used_from)
    };
    assert_eq!(listed().await, (Some(birth), address("192.0.2.1")));
    let used = async |source| scene.tokens.used(&scene.tokens.present(&token, SERVICE).await.unwrap(), source).await;
    // Not more often than once a minute.
    scene.clock.advance(MINUTE - 1);
    used(address("2001:db8::2")).await;
    assert_eq!(listed().await, (Some(birth), address("192.0.2.1")));
    scene.clock.advance(1);
    used(address("2001:db8::2")).await;
    assert_eq!(listed().await, (Some(birth), address("2001:db8::2")));
    scene.clock.advance(10 * MINUTE);
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&presented, &scene.alice(), None).await.unwrap();
    assert_eq!(listed().await, (Some(birth), address("2001:db8::2")));
    scene.tokens.used(&presented, None).await;
    assert_eq!(listed().await, (Some(birth), None));
}

#[tokio::test]
async fn rows_of_earlier_and_later_versions_are_read() {
    let scene = Scene::new().await;
    let token = scene.mint_without_renewal(&scene.alice(), BIRTH).await;
    let hash = scene.tokens.secrets.read(&token).unwrap();
    let store = &scene.tokens.store;
    let cases = [
        (r#"[{"name":"a","dn":null,"id":null}]"#, None, 90),
        (r#"{"groups":[{"name":"a"}],"claims":{},"second_factor":"unknown"}"#, None, 90),
        (r#"{"groups":[{"name":"a"}],"born":"in_band","later":{"x":1}}"#, Some(Born::InBand), 7),
        // What it is nobody here knows, so it gets the shorter life.
        (r#"{"groups":[{"name":"a"}],"born":"by_pigeon"}"#, None, 7),
    ];
    for (column, born, days) in cases {
        let stored = store.find_token(&hash).await.unwrap().unwrap();
        let row = TokenRow { groups: column.to_owned(), ..stored.row().clone() };
        assert!(store.replace_token(&stored, &row).await.unwrap());
        let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
        assert_eq!(presented.identity.groups, [Group::named("a")], "{column}");
        assert_eq!(presented.ends.since(Timestamp(row.created)), days * DAY, "{column}");
        let listed = scene.tokens.list().await.unwrap().pop().unwrap();
        assert_eq!((listed.state, listed.birth.map(|birth| birth.how)), ("live", born), "{column}");
        scene.clock.advance(MINUTE);
        scene.tokens.used(&presented, Some("192.0.2.9".parse().unwrap())).await;
        assert_eq!(scene.tokens.present(&token, SERVICE).await.unwrap().identity.groups, [Group::named("a")], "{column}");
    }
}

#[tokio::test]
async fn who_has_the_same_id_at_another_issuer_sees_and_ends_nothing() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    let own = scene.tokens.of("staff", "print", "uuid-1").await.unwrap();
    assert_eq!(own.len(), 1);
    assert!(scene.tokens.of("staff", "other", "uuid-1").await.unwrap().is_empty());
    assert!(!scene.tokens.revoke_own(&own[0].id, "staff", "other", "uuid-1").await.unwrap());
    assert_eq!(scene.state(&token).await, "live");
    assert!(scene.tokens.revoke_own(&own[0].id, "staff", "print", "uuid-1").await.unwrap());
    assert_eq!(scene.state(&token).await, "revoked");
}
