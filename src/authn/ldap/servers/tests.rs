//! Which server is asked when some do not answer, and what DNS says of them.

use super::super::bind_pool::Unbound;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record};
use hickory_resolver::proto::xfer::Protocol;
use ldap3::Scope;
use secrecy::SecretString;
use tokio::net::UdpSocket;

use super::super::answer::Proof;
use super::super::connection::Search;
use super::super::fake::{Fake, limits};
use super::super::server::tests::{pool, service, soon};
use super::super::template::Filter;
use super::*;

fn common() -> Common {
    Common { provider: Arc::from("staff"), trust: None, limits: limits(), pool: pool(), service: service("secret") }
}

fn servers(fakes: &[(&Fake, u32)]) -> Arc<Servers> {
    Servers::listed(common(), fakes.iter().map(|(fake, priority)| (fake.endpoint(), *priority)).collect()).unwrap()
}

/// A whole login: search, bind, search.
async fn log_in(servers: &Arc<Servers>, deadline: Instant) -> Result<Proof, Trouble> {
    let session = servers.session(deadline).await?;
    let filter = Filter::any();
    let search = Search { base: "dc=x", scope: Scope::Subtree, filter: &filter, attributes: &["uid"], at_most: None };
    session.search(&search).await?;
    let proof = session.bind("uid=alice", &SecretString::from("secret".to_owned())).await.map_err(Unbound::trouble)?;
    session.search(&search).await?;
    Ok(proof)
}

#[tokio::test]
async fn the_lowest_priority_is_asked_and_one_login_stays_at_one_server() {
    let (first, second, third) = (Fake::start().await, Fake::start().await, Fake::start().await);
    let servers = servers(&[(&third, 10), (&first, 0), (&second, 0)]);
    assert_eq!(servers.health(), Health::Unknown);
    for _ in 0..40 {
        log_in(&servers, soon()).await.unwrap();
    }
    let searches = [&first, &second, &third].map(|fake| fake.count(|seen| &seen.searches));
    let binds = [&first, &second, &third].map(|fake| fake.count(|seen| &seen.binds) - fake.count(|seen| &seen.service_binds));
    assert_eq!((searches[0] + searches[1], searches[2]), (80, 0));
    assert!(binds[0] > 0 && binds[1] > 0, "{binds:?}");
    assert_eq!([binds[0] * 2, binds[1] * 2], [searches[0], searches[1]]);
    assert_eq!(servers.health(), Health::Up);
}

#[tokio::test]
async fn one_of_two_dead_costs_one_request_no_more_than_a_moment_and_comes_back_by_itself() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    // It accepts connections and says nothing.
    first.seen.silent.store(true, Ordering::SeqCst);
    let servers = servers(&[(&first, 0), (&second, 10)]);
    let mut slow = 0;
    for _ in 0..20 {
        let started = Instant::now();
        log_in(&servers, soon()).await.unwrap();
        slow += usize::from(started.elapsed() > Duration::from_millis(200));
    }
    assert!(slow <= 1, "{slow} requests waited for the dead server");
    assert!(matches!(servers.health(), Health::Impaired(why) if why.contains(&first.address.to_string())));
    assert_eq!(first.count(|seen| &seen.searches), 0);

    first.seen.silent.store(false, Ordering::SeqCst);
    let back = Instant::now();
    while first.count(|seen| &seen.searches) == 0 {
        assert!(back.elapsed() < Duration::from_secs(3), "it does not get its requests back");
        let started = Instant::now();
        log_in(&servers, soon()).await.unwrap();
        assert!(started.elapsed() < Duration::from_millis(200), "a request paid for the way back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(servers.health(), Health::Up);
}

/// An address where connections are neither accepted nor refused, as behind a firewall that drops.
fn black_hole() -> (Endpoint, socket2::Socket, Vec<socket2::Socket>) {
    let stream = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let listener = stream();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let fill = |_| {
        let client = stream();
        client.set_nonblocking(true).unwrap();
        let _ = client.connect(&address);
        client
    };
    let queued = (0..8).map(fill).collect();
    let port = address.as_socket().unwrap().port();
    (Endpoint { host: "127.0.0.1".to_owned(), port, security: super::super::endpoint::Security::None }, listener, queued)
}

#[tokio::test]
async fn nobody_waits_for_a_connection_that_does_not_come_where_there_is_another_server() {
    let fake = Fake::start().await;
    let (dropped, _listener, _queued) = black_hole();
    let servers = Servers::listed(common(), vec![(dropped, 0), (fake.endpoint(), 10)]).unwrap();
    for (round, most) in [(0, 900), (1, 200), (2, 200)] {
        let mut tasks = JoinSet::new();
        for _ in 0..30 {
            let servers = Arc::clone(&servers);
            tasks.spawn(async move {
                let started = Instant::now();
                log_in(&servers, soon()).await.unwrap();
                assert!(started.elapsed() < Duration::from_millis(most), "round {round}: {:?}", started.elapsed());
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        // The first connect has ended after a second, and the next ones hold up nobody either.
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    assert!(matches!(servers.health(), Health::Impaired(why) if why.contains("no answer in time")));
}

#[tokio::test]
async fn a_server_that_dies_under_load_costs_nobody_an_error() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    let servers = servers(&[(&first, 0), (&second, 10)]);
    log_in(&servers, soon()).await.unwrap();
    let mut tasks = JoinSet::new();
    let filter = Arc::new(Filter::any());
    for number in 0..100_u64 {
        let (servers, filter) = (Arc::clone(&servers), Arc::clone(&filter));
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(number)).await;
            let session = servers.session(soon()).await.unwrap();
            let search = Search { base: "dc=x", scope: Scope::Subtree, filter: &filter, attributes: &["uid"], at_most: None };
            session.search(&search).await.unwrap();
        });
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(first);
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert!(second.count(|seen| &seen.searches) > 0);
}

#[tokio::test]
async fn connections_that_a_firewall_forgot_cost_nobody_an_error() {
    let fake = Fake::start().await;
    let servers = servers(&[(&fake, 0)]);
    log_in(&servers, soon()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    fake.seen.deaf_below.store(fake.count(|seen| &seen.connections), Ordering::SeqCst);
    let started = Instant::now();
    log_in(&servers, soon()).await.unwrap();
    assert!(started.elapsed() > Duration::from_millis(900), "nothing was dead");
    let started = Instant::now();
    log_in(&servers, soon()).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(200), "{:?}", started.elapsed());
}

#[tokio::test]
async fn where_every_server_is_down_a_request_waits_for_the_first_that_is_back() {
    let fake = Fake::start().await;
    let address = fake.address;
    let servers = servers(&[(&fake, 0)]);
    log_in(&servers, soon()).await.unwrap();
    drop(fake);
    for _ in 0..20 {
        let started = Instant::now();
        let down = log_in(&servers, soon()).await.unwrap_err();
        assert!(down.operation == "connect" && started.elapsed() < Duration::from_secs(1), "{down}");
    }
    assert!(matches!(servers.health(), Health::Down(why) if why.contains("refused") && why.contains(&address.to_string())));
    let fake = Fake::at(address).await;
    let started = Instant::now();
    log_in(&servers, soon()).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!((servers.health(), fake.count(|seen| &seen.searches)), (Health::Up, 2));
}

#[tokio::test]
async fn a_wrong_password_is_tried_at_one_server() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    let servers = servers(&[(&first, 0), (&second, 0)]);
    for _ in 0..10 {
        let session = servers.session(soon()).await.unwrap();
        let proof = session.bind("uid=alice", &SecretString::from("wrong".to_owned())).await.unwrap();
        assert!(matches!(proof, Proof::Refused { .. }));
    }
    let binds = |fake: &Fake| fake.count(|seen| &seen.binds) - fake.count(|seen| &seen.service_binds);
    assert_eq!(binds(&first) + binds(&second), 10);
}

/// Priority, weight, port and target of each; `None` for no answer.
type Records = Arc<Mutex<Option<Vec<(u16, u16, u16, &'static str)>>>>;

/// Answers every question with these records, or with nothing at all.
async fn name_server(records: Records) -> (SocketAddr, JoinSet<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Some(records) = records.lock().unwrap().clone() else { continue };
            let mut message = Message::from_vec(&buffer[..length]).unwrap();
            let name = message.queries()[0].name().clone();
            assert_eq!(name.to_string(), "_ldap._tcp.corp.example.");
            message.set_message_type(MessageType::Response);
            message.set_response_code(if records.is_empty() { ResponseCode::NXDomain } else { ResponseCode::NoError });
            for (priority, weight, port, target) in records {
                let target = Name::from_ascii(target).unwrap();
                message.add_answer(Record::from_rdata(name.clone(), 1, RData::SRV(SRV::new(priority, weight, port, target))));
            }
            socket.send_to(&message.to_vec().unwrap(), from).await.unwrap();
        }
    });
    (address, tasks)
}

fn asking(address: SocketAddr, anywhere: bool) -> Discovery {
    let mut config = ResolverConfig::new();
    config.add_name_server(NameServerConfig::new(address, Protocol::Udp));
    Discovery::new("Corp.Example.", false, anywhere).asking(config)
}

/// Every known server with priority and weight.
fn known(servers: &Servers) -> Vec<String> {
    let listing = servers.listing();
    listing.servers.iter().map(|it| format!("{} {} {}", it.server.link().endpoint, it.priority, it.weight)).collect()
}

#[tokio::test]
async fn dns_names_servers_with_priority_and_weight_and_none_outside_of_the_domain() {
    let records: Records = Arc::new(Mutex::new(Some(vec![
        (0, 100, 389, "dc1.corp.example."),
        (10, 0, 636, "DC2.corp.example."),
        (0, 0, 389, "evil.example."),
        (0, 0, 389, "evilcorp.example."),
        (0, 0, 389, "."),
        (0, 0, 389, "*.corp.example."),
    ])));
    let (address, _dns) = name_server(Arc::clone(&records)).await;
    let trust = super::super::tls::tests::trust();
    let servers = Servers::discovered(Common { trust: Some(trust.clone()), ..common() }, asking(address, false));
    servers.known(soon()).await.unwrap();
    assert_eq!(known(&servers), ["ldap://dc1.corp.example:389 0 100", "ldaps://dc2.corp.example:636 10 0"]);
    assert_eq!(servers.origin(), "_ldap._tcp.corp.example");
    // With a name for the certificate, the target's own decides nothing.
    let servers = Servers::discovered(Common { trust: Some(trust), ..common() }, asking(address, true));
    servers.known(soon()).await.unwrap();
    assert_eq!(known(&servers).len(), 4);
}

#[tokio::test]
async fn the_last_good_answer_of_dns_is_kept() {
    let records: Records = Arc::new(Mutex::new(Some(Vec::new())));
    let (address, _dns) = name_server(Arc::clone(&records)).await;
    let servers = Servers::discovered(Common { trust: Some(super::super::tls::tests::trust()), ..common() }, asking(address, false));
    let nobody = servers.session(soon()).await.unwrap_err();
    assert!(nobody.operation == "discovery" && nobody.reason.contains("discovery.domain"), "{nobody}");
    assert!(matches!(servers.health(), Health::Down(_)));

    *records.lock().unwrap() = Some(vec![(0, 0, 389, "dc1.corp.example."), (0, 0, 389, "dc2.corp.example.")]);
    let discovery = servers.discovery.as_ref().unwrap();
    servers.adopt(discovery.look_up().await.unwrap().0).unwrap();
    let before = servers.listing().servers;
    // No answer, then an answer without records, then one server less.
    for gone in [None, Some(Vec::new())] {
        *records.lock().unwrap() = gone;
        servers.not_found(discovery.look_up().await.unwrap_err());
        assert_eq!(known(&servers).len(), 2);
    }
    *records.lock().unwrap() = Some(vec![(5, 1, 389, "dc2.corp.example.")]);
    servers.adopt(discovery.look_up().await.unwrap().0).unwrap();
    assert_eq!(known(&servers), ["ldap://dc2.corp.example:389 5 1"]);
    let kept = servers.listing().servers[0].server.clone();
    assert!(before.iter().any(|placed| Arc::ptr_eq(&placed.server, &kept)), "its connections are thrown away");
}

#[test]
fn those_with_more_weight_are_drawn_more_often() {
    let link = |host: &str| Endpoint { host: host.to_owned(), port: 389, security: super::super::endpoint::Security::None };
    let placed = |host: &str, weight| Placed { server: Arc::new(common().server(link(host)).unwrap()), priority: 0, weight };
    let tier = [placed("a", 0), placed("b", 30), placed("c", 10)];
    let mut drawn = [0; 3];
    for _ in 0..4000 {
        drawn[draw(&tier)] += 1;
    }
    assert!(drawn[0] < 40 && drawn[1] > 2700 && drawn[2] > 800, "{drawn:?}");
}
