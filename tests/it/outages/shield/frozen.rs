//! A directory that stops in the middle: what waits in its sockets is carried out when it goes on, and counts then.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::PLAN;
use crate::labs::wait;
use crate::outages::lab::{ALICE, Lab, PUBLIC, Plan, VICTIM};

/// Short enough that one after the other fits in a test.
const IMPATIENT: Plan = Plan {
    ldap: &["timeouts: {connect: 300ms, tls: 300ms, bind: 300ms, search: 300ms}"],
    top: "request_deadline: 2s\nthrottle: {failures: 2}\ncredentials_cache: {verified: 0s}",
    ..PLAN
};
/// How long somebody goes on trying while nothing answers, and how often it stops.
const STORM: Duration = Duration::from_secs(2);
const STORMS: usize = 4;

/// Whether the bind comes before any search, where nothing else says that the directory answers.
async fn storm(template: bool) {
    let Some(lab) = Lab::start(IMPATIENT).await else { return };
    if template {
        let site = lab.bridge.site();
        let written = std::fs::read_to_string(site.configuration()).unwrap();
        let by_template = "user: {bind: template, template: \"uid={username},ou=people,dc=example,dc=org\", bases:";
        let changed = written.replace("user: {bases:", by_template);
        assert_ne!(written, changed);
        site.write("narrows.yaml", &changed);
        lab.bridge.signal("HUP");
        wait::until(Duration::from_secs(20), async || if lab.bridge.log().contains("reloaded") { Ok(()) } else { Err(lab.bridge.log()) })
            .await;
    }
    lab.ask(Some(ALICE), PUBLIC).await.ok();
    lab.ask(Some(VICTIM), PUBLIC).await.ok();
    let before = lab.binds("victim");
    let mut asked = 0;
    for _ in 0..STORMS {
        lab.slapd.freeze();
        let began = Instant::now();
        while began.elapsed() < STORM {
            // One wrong password again and again, and others besides.
            let passwords = ["stale".to_owned(), format!("guess {asked}")];
            for answer in join_all(passwords.iter().map(|password| lab.ask(Some(("victim", password)), PUBLIC))).await {
                answer.is_an_outage();
                asked += 1;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        lab.slapd.thaw();
        lab.served_again(ALICE).await;
    }
    // What was in the sockets is over when somebody else's bind, which came later, is.
    let binds = lab.binds("victim") - before;
    eprintln!("measured: {asked} requests in {STORMS} times {STORM:?} at a frozen directory (template: {template}) were {binds} binds");
    assert!(binds <= 2, "{binds} binds would lock the account");
    lab.served_again(VICTIM).await;
}

#[tokio::test]
async fn a_storm_while_nothing_answers_locks_nobody() {
    storm(false).await;
}

#[tokio::test]
async fn a_storm_where_the_bind_comes_first_locks_nobody() {
    storm(true).await;
}
