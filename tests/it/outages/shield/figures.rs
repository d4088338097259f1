//! Crowds: one bind for one pair, few connections for many people, and no difference between names.

use std::fmt::Write;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};

use crate::outages::lab::{ALICE, Answer, Lab, PAYMENTS, PUBLIC, Plan, SERVICE};

const PEOPLE: usize = 500;

/// `pool.bind`, and the connections that search.
const BINDING: usize = 16;

fn people(lab: &Lab) {
    let mut ldif = String::new();
    for number in 0..PEOPLE {
        write!(
            ldif,
            "dn: uid=person{number},ou=people,dc=example,dc=org\nchangetype: add\nobjectClass: inetOrgPerson\nuid: person{number}\n\
             cn: Person\nsn: Person\nuserPassword: secret\n\n"
        )
        .unwrap();
    }
    lab.slapd.modify(&ldif);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_wrong_and_five_thousand_right_are_a_bind_each() {
    // A slow machine needs more than a minute for all of them.
    let Some(lab) = Lab::start(Plan { top: "credentials_cache: {verified: 10m}", ..Plan::default() }).await else { return };
    for (who, crowd, status) in [(("victim", "wrong"), 1000, 401), (ALICE, 5000, 200)] {
        let began = Instant::now();
        // A client of their own each few hundred: one alone would be slower than the bridge waits for a request.
        let clients: Vec<reqwest::Client> = (0..10).map(|_| reqwest::Client::new()).collect();
        let requests = (0..crowd).map(|number| {
            let request = clients[number % clients.len()].get(lab.bridge.url("/token")).basic_auth(who.0, Some(who.1));
            tokio::spawn(Answer::of_crowd(request.query(&[("service", SERVICE), ("scope", PAYMENTS)])))
        });
        for answer in join_all(requests).await {
            let answer = answer.unwrap();
            assert_eq!(answer.status, status, "{answer:?}");
        }
        let binds = lab.binds(who.0);
        eprintln!("measured: {crowd} requests at once of one pair, all {status}, were {binds} bind in {:?}", began.elapsed());
        assert_eq!(binds, 1);
    }
}

#[tokio::test]
async fn five_hundred_people_take_no_more_connections_than_the_pool_has() {
    let Some(lab) = Lab::start(Plan::default()).await else { return };
    people(&lab);
    lab.ask(Some(ALICE), PUBLIC).await.ok();
    let before = lab.slapd.connections();
    let began = Instant::now();
    let names: Vec<String> = (0..PEOPLE).map(|number| format!("person{number}")).collect();
    for answer in join_all(names.iter().map(|name| lab.ask(Some((name, "secret")), PUBLIC))).await {
        answer.ok();
    }
    let opened = lab.slapd.connections() - before;
    eprintln!("measured: {PEOPLE} people at once opened {opened} connections in {:?}", began.elapsed());
    assert!(opened <= BINDING, "{opened} connections");
}

/// No refusal leaves earlier.
const FLOOR: Duration = Duration::from_millis(200);

/// Those who exist and those who do not, interleaved, a few at a time: each answer leaves at the floor. What a busy machine
/// does to one measurement it does not do to two.
#[tokio::test]
async fn time_does_not_tell_who_exists() {
    let Some(lab) = Lab::start(Plan { top: "throttle: {rejection_floor: 200ms}", ..Plan::default() }).await else { return };
    people(&lab);
    for (round, password) in ["wrong", "wrong again"].into_iter().enumerate() {
        let (known, unknown) = medians(&lab, password).await;
        eprintln!("measured: medians of {PEOPLE} answers each, known {known:?} and unknown {unknown:?}, floor {FLOOR:?}");
        if known.abs_diff(unknown) < Duration::from_millis(1) {
            return;
        }
        assert!(round == 0, "{known:?} {unknown:?}");
    }
}

async fn medians(lab: &Lab, password: &str) -> (Duration, Duration) {
    let names = (0..PEOPLE).flat_map(|number| {
        let mut pair = [(true, format!("person{number}")), (false, format!("nobody{number}"))];
        // Neither kind comes first.
        pair.rotate_left(number % 2);
        pair
    });
    let asked = names.map(|(exists, name)| async move { (exists, lab.ask(Some((&name, password)), PUBLIC).await) });
    let mut answers = stream::iter(asked).buffered(4);
    let (mut known, mut unknown, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    while let Some((exists, answer)) = answers.next().await {
        assert!(answer.status == 401 && answer.took >= FLOOR, "{answer:?}");
        if exists {
            known.push(answer.took);
        } else {
            unknown.push(answer.took);
        }
        let names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        bytes.push((answer.body.to_string(), names, answer.headers["content-length"].clone()));
    }
    bytes.dedup();
    assert_eq!(bytes.len(), 1, "{bytes:?}");
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    (median(known), median(unknown))
}
