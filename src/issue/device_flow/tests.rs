//! Flows on a real database, against an issuer that a test plays.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::*;
use crate::authn::identity::{Identity, IdentityClaims, Kind, Method, SecondFactor};
use crate::clock::Timestamp;
use crate::store::StateKey;

const KIND: PendingKind = PendingKind::DeviceFlow;
const PATIENCE: Duration = Duration::from_secs(8);

struct Scene {
    folder: tempfile::TempDir,
    store: Store,
    clock: Clock,
    /// How often the issuer was asked.
    asked: AtomicUsize,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = StateKey::open_or_create(&folder.path().join("state.key")).unwrap();
        let store = Store::open(&folder.path().join("state.db"), &key).await.unwrap();
        Self { folder, store, clock: Clock::fixed(Timestamp(1_700_000_000)), asked: AtomicUsize::new(0) }
    }

    fn flows(&self) -> Flows<'_> {
        Flows { store: &self.store, clock: &self.clock }
    }

    async fn begin(&self, key: &str, answer: Result<DeviceAuthorization, DeviceStartError>) -> Result<Flow, StartError> {
        let key = SecretString::from(key.to_owned());
        let new = NewFlow { kind: KIND, key: &key, source: "192.0.2.1", provider: "sso", fingerprint: "f", service: "reg", lock: None };
        let ask = async {
            self.asked.fetch_add(1, Ordering::SeqCst);
            answer
        };
        self.flows().begin(new, ask).await
    }

    async fn poll(&self, key: &str, answer: Result<DevicePoll, Unavailable>) -> String {
        let ask = async |code: SecretString| {
            assert_eq!(code.expose_secret(), "DEVICE-CODE");
            self.asked.fetch_add(1, Ordering::SeqCst);
            answer
        };
        shown(self.flows().poll(KIND, &SecretString::from(key.to_owned()), PATIENCE, ask).await)
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

fn shown(polled: Result<Polled, PollError>) -> String {
    match polled {
        Ok(Polled::Unknown) => "unknown".to_owned(),
        Ok(Polled::Pending(interval)) => format!("pending {interval}"),
        Ok(Polled::SlowDown(interval)) => format!("slow down {interval}"),
        Ok(Polled::Ended(reason)) => format!("ended {reason}"),
        Ok(Polled::SignedIn(signed_in)) => signed_in.identity.username,
        Err(error) => error.to_string(),
    }
}

fn authorization() -> DeviceAuthorization {
    DeviceAuthorization {
        device_code: SecretString::from("DEVICE-CODE"),
        user_code: "ABCD-EFGH".to_owned(),
        verification_uri: "https://sso.test/device".parse().unwrap(),
        verification_uri_complete: None,
        expires_in: Duration::from_mins(10),
        interval: Duration::from_secs(5),
    }
}

fn signed_in() -> DevicePoll {
    let identity = Identity {
        realm: Arc::from("corp"),
        provider: Arc::from("sso"),
        id: "1".to_owned(),
        username: "alice".to_owned(),
        groups: Vec::new(),
        kind: Kind::Person,
        method: Method::Device,
        proven: Timestamp(1_700_000_000),
        marker: None,
        claims: IdentityClaims::new(),
        second_factor: SecondFactor::Unknown,
    };
    DevicePoll::SignedIn(Box::new(SignedIn { identity, renewal: None }))
}

fn outage() -> Unavailable {
    Unavailable { provider: "sso".to_owned(), reason: "down".to_owned(), retry_after: Duration::from_secs(5), is_misconfigured: false }
}

#[tokio::test]
async fn the_issuer_is_asked_no_more_often_than_it_wants() {
    let scene = Scene::new().await;
    let flow = scene.begin("k", Ok(authorization())).await.unwrap();
    assert_eq!((flow.interval, flow.ends, flow.user_code.as_str()), (5, 1_700_000_600, "ABCD-EFGH"));
    assert_eq!((scene.asked(), scene.poll("k", Ok(DevicePoll::Pending)).await.as_str(), scene.asked()), (1, "pending 5", 1));
    for _ in 0..20 {
        assert_eq!(scene.poll("k", Ok(signed_in())).await, "pending 5");
    }
    scene.clock.advance(4);
    assert_eq!((scene.poll("k", Ok(signed_in())).await.as_str(), scene.asked()), ("pending 5", 0));
    scene.clock.advance(1);
    assert_eq!((scene.poll("k", Ok(DevicePoll::SlowDown)).await.as_str(), scene.asked()), ("slow down 10", 1));
    scene.clock.advance(9);
    assert_eq!((scene.poll("k", Ok(signed_in())).await.as_str(), scene.asked()), ("pending 10", 0));
    scene.clock.advance(1);
    assert_eq!((scene.poll("k", Ok(signed_in())).await.as_str(), scene.asked()), ("alice", 1));
    assert_eq!((scene.poll("k", Ok(signed_in())).await.as_str(), scene.asked()), ("unknown", 0));
}

#[tokio::test]
async fn an_outage_ends_nothing() {
    let scene = Scene::new().await;
    scene.begin("k", Ok(authorization())).await.unwrap();
    assert!(scene.poll("k", Err(outage())).await.contains("cannot be asked"));
    assert_eq!(scene.poll("k", Ok(signed_in())).await, "pending 5");
    scene.clock.advance(5);
    assert_eq!(scene.poll("k", Ok(signed_in())).await, "alice");
}

#[tokio::test]
async fn a_flow_that_is_over_says_so_once() {
    let scene = Scene::new().await;
    for reason in ["denied", "expired", "bad_signature"] {
        scene.begin(reason, Ok(authorization())).await.unwrap();
        assert_eq!(scene.poll(reason, Ok(DevicePoll::Ended(reason))).await, format!("ended {reason}"));
        assert_eq!(scene.poll(reason, Ok(signed_in())).await, "unknown");
    }
    scene.begin("k", Ok(authorization())).await.unwrap();
    scene.asked();
    scene.clock.advance(600);
    assert_eq!((scene.poll("k", Ok(signed_in())).await.as_str(), scene.asked()), ("ended expired", 0));
    assert_eq!(scene.poll("k", Ok(signed_in())).await, "unknown");
    scene.begin("k", Ok(authorization())).await.unwrap();
    scene.clock.advance(660);
    assert_eq!(scene.poll("k", Ok(signed_in())).await, "unknown");
}

#[tokio::test]
async fn while_one_asks_nobody_else_does() {
    let scene = Scene::new().await;
    scene.begin("k", Ok(authorization())).await.unwrap();
    let (asking, answered) = (Notify::new(), Notify::new());
    let key = SecretString::from("k");
    let slow = async |_| {
        asking.notify_one();
        answered.notified().await;
        Ok(signed_in())
    };
    let others = async {
        asking.notified().await;
        scene.asked();
        // The issuer takes longer than its own interval.
        scene.clock.advance(6);
        let second = scene.poll("k", Ok(DevicePoll::Ended("expired"))).await;
        answered.notify_one();
        (second, scene.asked())
    };
    let flows = scene.flows();
    let (first, second) = tokio::join!(flows.poll(KIND, &key, PATIENCE, slow), others);
    assert_eq!((shown(first).as_str(), (second.0.as_str(), second.1)), ("alice", ("pending 5", 0)));
}

#[tokio::test]
async fn a_clock_that_was_ahead_makes_nobody_wait() {
    let scene = Scene::new().await;
    scene.begin("k", Ok(authorization())).await.unwrap();
    scene.clock.advance(300);
    assert_eq!(scene.poll("k", Ok(DevicePoll::Pending)).await, "pending 5");
    scene.clock.advance(-300);
    assert_eq!(scene.poll("k", Ok(signed_in())).await, "alice");
}

#[tokio::test]
async fn eleven_from_one_source_are_too_many_and_the_issuer_does_not_hear_of_the_eleventh() {
    let scene = Scene::new().await;
    for number in 0..10 {
        scene.begin(&number.to_string(), Ok(authorization())).await.unwrap();
    }
    assert_eq!(scene.asked(), 10);
    assert!(matches!(scene.begin("x", Ok(authorization())).await, Err(StartError::TooMany)));
    assert_eq!(scene.asked(), 0);
    assert_eq!(scene.poll("0", Ok(signed_in())).await, "alice");
    scene.begin("x", Ok(authorization())).await.unwrap();
}

#[tokio::test]
async fn what_did_not_begin_takes_no_place() {
    let scene = Scene::new().await;
    for _ in 0..11 {
        for error in [
            DeviceStartError::NotOffered,
            DeviceStartError::Throttled { retry_after: Duration::from_secs(9) },
            DeviceStartError::Unavailable(outage()),
        ] {
            assert!(matches!(scene.begin("k", Err(error)).await, Err(StartError::Issuer(_))));
        }
    }
    assert_eq!(scene.poll("k", Ok(signed_in())).await, "unknown");
    scene.begin("k", Ok(authorization())).await.unwrap();
}

#[tokio::test]
async fn odd_times_of_an_issuer_are_bounded() {
    let scene = Scene::new().await;
    let with = |expires_in, interval| Ok(authorization()).map(|answer| DeviceAuthorization { expires_in, interval, ..answer });
    let flow = scene.begin("1", with(Duration::MAX, Duration::ZERO)).await.unwrap();
    assert_eq!((flow.ends, flow.interval), (1_700_001_800, 1));
    let flow = scene.begin("2", with(Duration::ZERO, Duration::MAX)).await.unwrap();
    assert_eq!((flow.ends, flow.interval), (1_700_000_000, 1800));
    assert_eq!(scene.poll("2", Ok(signed_in())).await, "ended expired");
}

#[tokio::test]
async fn the_device_code_is_not_in_the_database() {
    let scene = Scene::new().await;
    scene.begin("FLOW-SECRET", Ok(authorization())).await.unwrap();
    for file in std::fs::read_dir(scene.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for word in ["DEVICE-CODE", "FLOW-SECRET", "ABCD-EFGH"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
        }
    }
}
