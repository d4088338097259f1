//! The connections of one server.

use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use ldap3::Scope;

use super::super::fake::{Fake, SERVICE};
use super::super::service::Account;
use super::super::template::Filter;
use super::*;
use crate::authn::verdict::Rejection;
use crate::source::SecretSource;

pub(in super::super) fn service(password: &str) -> Arc<ServiceLogin> {
    Arc::new(ServiceLogin::new(Account::Simple {
        dn: SERVICE.to_owned(),
        password: ArcSwap::from_pointee(SecretString::from(password.to_owned())),
        source: SecretSource::File("nowhere".into()),
        folder: "/nonexistent".into(),
    }))
}

pub(in super::super) fn pool() -> PoolLimits {
    PoolLimits { search: 2, in_flight: 64, bind: 16, max_age: Duration::from_mins(10), max_operations: 100_000 }
}

fn server(fake: &Fake, pool: PoolLimits) -> Arc<Server> {
    Arc::new(Server::new(fake.link(), pool, service("secret")))
}

pub(in super::super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

async fn search(server: &Server) -> Result<usize, Trouble> {
    let filter = Filter::any();
    let search = Search { base: "dc=x", scope: Scope::Subtree, filter: &filter, attributes: &["uid"], at_most: None };
    server.search(&search, soon()).await.map(|found| found.len())
}

async fn bind(server: &Server, password: &str) -> String {
    match server.bind("uid=alice", &SecretString::from(password.to_owned()), soon()).await {
        Ok(Proof::Proven { .. }) => "proven".to_owned(),
        Ok(Proof::Refused { rejection: Rejection::WrongPassword, .. }) => "wrong".to_owned(),
        Ok(Proof::Refused { rejection, .. }) => rejection.as_str().to_owned(),
        Err(Unbound::Sent(trouble)) => format!("sent: {trouble}"),
        Err(Unbound::NoTurn(trouble)) => format!("no turn: {trouble}"),
        Err(Unbound::Unsent(trouble)) => format!("unsent: {trouble}"),
    }
}

/// Waits until it holds.
async fn until(what: impl Fn() -> bool) -> bool {
    for _ in 0..300 {
        if what() {
            return true;
        }
        sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn a_crowd_shares_two_connections_for_searches_and_never_more_than_its_share_for_binds() {
    let fake = Fake::start().await;
    fake.seen.entries.store(3, Ordering::SeqCst);
    fake.seen.slow.store(5, Ordering::SeqCst);
    let server = server(&fake, PoolLimits { bind: 5, ..pool() });
    server.ready(soon()).await.unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..200 {
        let server = Arc::clone(&server);
        tasks.spawn(async move {
            let (password, expected) = if number % 3 == 0 { ("wrong", "wrong") } else { ("secret", "proven") };
            assert_eq!(bind(&server, password).await, expected);
            assert_eq!(search(&server).await, Ok(3));
        });
    }
    tasks.join_all().await;
    assert_eq!((fake.count(|seen| &seen.binds), fake.count(|seen| &seen.service_binds)), (202, 2));
    assert_eq!((fake.count(|seen| &seen.searches), fake.count(|seen| &seen.mixed)), (200, 0));
    assert_eq!(fake.count(|seen| &seen.most_open), 2 + 5);
    assert_eq!(fake.count(|seen| &seen.connections), 2 + 5, "nothing was opened twice");
    assert_eq!(server.load(), 0);
    drop(server);
    assert!(until(|| fake.count(|seen| &seen.open) == 0).await, "connections outlive their server");
}

#[tokio::test]
async fn a_connection_for_binds_is_used_again_only_after_a_plain_verdict() {
    let fake = Fake::start().await;
    let server = server(&fake, pool());
    for _ in 0..3 {
        assert_eq!((bind(&server, "secret").await, bind(&server, "wrong").await), ("proven".to_owned(), "wrong".to_owned()));
    }
    assert_eq!(fake.count(|seen| &seen.connections), 1);
    assert!(bind(&server, "busy").await.starts_with("sent: bind: result code 51"));
    assert!(until(|| fake.count(|seen| &seen.open) == 0).await);
    assert_eq!(bind(&server, "secret").await, "proven");
    assert_eq!(fake.count(|seen| &seen.connections), 2);
    // A bind that is not answered is not sent again, and its connection is closed.
    fake.seen.silent.store(true, Ordering::SeqCst);
    assert_eq!(bind(&server, "secret").await, "sent: bind: no answer in time");
    assert!(until(|| fake.count(|seen| &seen.open) == 0).await);
    assert_eq!(fake.count(|seen| &seen.binds), 9);
}

#[tokio::test]
async fn waiting_for_a_connection_to_bind_on_ends_with_the_request() {
    let fake = Fake::start().await;
    fake.seen.slow.store(600, Ordering::SeqCst);
    let server = server(&fake, PoolLimits { bind: 1, ..pool() });
    let password = SecretString::from("secret".to_owned());
    let short = Instant::now() + Duration::from_millis(200);
    let (first, second) = tokio::join!(bind(&server, "secret"), server.bind("uid=b", &password, short));
    assert_eq!(first, "proven");
    assert!(matches!(second, Err(Unbound::NoTurn(trouble)) if trouble.reason.contains("busy")));
    assert_eq!(fake.count(|seen| &seen.binds), 1);
}

#[tokio::test]
async fn connections_that_went_dead_cost_one_search_and_are_replaced() {
    let fake = Fake::start().await;
    let server = server(&fake, pool());
    server.ready(soon()).await.unwrap();
    assert!(until(|| fake.count(|seen| &seen.service_binds) == 2).await);
    // As behind a firewall that forgot both: new connections work.
    fake.seen.deaf_below.store(2, Ordering::SeqCst);
    let lost = search(&server).await.unwrap_err();
    assert!(lost.is_of_the_server(), "{lost}");
    server.ready(soon()).await.unwrap();
    let (one, other) = tokio::join!(search(&server), search(&server));
    assert_eq!((one, other), (Ok(0), Ok(0)));
    assert!(until(|| fake.count(|seen| &seen.service_binds) == 4).await, "nobody replaced them");
    assert!(until(|| fake.count(|seen| &seen.open) == 2).await);
    assert!(matches!(server.state(), State::Up));
}

#[tokio::test]
async fn connections_are_replaced_after_their_operations_without_anybody_noticing() {
    let fake = Fake::start().await;
    let server = server(&fake, PoolLimits { max_operations: 50, ..pool() });
    server.ready(soon()).await.unwrap();
    for _ in 0..400 {
        assert_eq!(search(&server).await, Ok(0));
        tokio::task::yield_now().await;
    }
    assert!(until(|| fake.count(|seen| &seen.connections) > 4).await, "{}", fake.count(|seen| &seen.connections));
    assert!(until(|| fake.count(|seen| &seen.open) == 2).await, "the old ones are not closed");
}

#[tokio::test]
async fn a_refused_service_account_is_bound_once() {
    let fake = Fake::start().await;
    let server = Arc::new(Server::new(fake.link(), pool(), service("wrong")));
    for _ in 0..3 {
        let refused = server.ready(soon()).await.unwrap_err();
        assert_eq!(refused.operation, "service account", "{refused}");
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(fake.count(|seen| &seen.binds), 1);
}

#[tokio::test]
async fn a_replaced_password_is_read_again() {
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), "secret\n").unwrap();
    let login = ServiceLogin::new(Account::Simple {
        dn: SERVICE.to_owned(),
        password: ArcSwap::from_pointee(SecretString::from("old".to_owned())),
        source: SecretSource::File("password".into()),
        folder: folder.path().to_owned(),
    });
    let server = Arc::new(Server::new(fake.link(), pool(), Arc::new(login)));
    server.ready(soon()).await.unwrap();
    assert!(until(|| fake.count(|seen| &seen.service_binds) == 3).await, "one refused, two bound");
}

#[tokio::test]
async fn a_server_that_nobody_asks_is_left_alone() {
    let fake = Fake::start().await;
    let server = server(&fake, pool());
    server.ready(soon()).await.unwrap();
    assert!(until(|| fake.count(|seen| &seen.service_binds) == 2).await);
    sleep(Duration::from_millis(500)).await;
    assert_eq!((fake.count(|seen| &seen.connections), fake.count(|seen| &seen.searches)), (2, 0));
}

#[tokio::test]
async fn a_server_that_hangs_up_after_the_bind_is_tried_more_and_more_seldom() {
    let fake = Fake::start().await;
    fake.seen.hangs_up.store(true, Ordering::SeqCst);
    let server = server(&fake, pool());
    let _ = server.ready(soon()).await;
    sleep(Duration::from_secs(3)).await;
    // As after refusals: 0.1, 0.2, 0.4, 0.75, 0.75 s …
    assert!(fake.count(|seen| &seen.service_binds) <= 9, "{}", fake.count(|seen| &seen.service_binds));
    fake.seen.hangs_up.store(false, Ordering::SeqCst);
    sleep(Duration::from_millis(800)).await;
    server.ready(soon()).await.unwrap();
    assert_eq!(search(&server).await, Ok(0));
}
