//! The directory is dead, frozen, somebody else's, or does not know the service account: an outage, never a refusal.

use std::time::Duration;

use super::lab::{ALICE, FAST, Lab, PAYMENTS, PUBLIC, Plan, ROBOT, SERVICE, VICTIM};
use crate::labs::wait;
use crate::slapd::{SERVICE_DN, SERVICE_PASSWORD};

const START_TLS: Plan = Plan { start_tls: true, ..Plan::DEFAULT };

#[tokio::test]
async fn killed_directory_is_an_outage_until_it_is_back() {
    killed(Plan::default()).await;
}

#[tokio::test]
async fn killed_directory_is_an_outage_until_it_is_back_over_start_tls() {
    killed(START_TLS).await;
}

async fn killed(plan: Plan) {
    let Some(mut lab) = Lab::start(plan).await else { return };
    assert_eq!(lab.ask(Some(ALICE), PAYMENTS).await.ok().opens(), ["payments/api"]);

    lab.slapd.kill();
    let refused = lab.ask(Some(VICTIM), PAYMENTS).await;
    refused.is_an_outage();
    eprintln!("measured: 503 after {:?} with the directory dead (StartTLS: {})", refused.took, plan.start_tls);
    lab.ask(Some(("alice", "wrong")), PUBLIC).await.is_an_outage();
    lab.ask(Some(("nobody-here", "wrong")), PUBLIC).await.is_an_outage();
    lab.log_in(ALICE, SERVICE).await.is_an_outage();
    lab.post(&[("grant_type", "password"), ("username", "victim"), ("password", "secret"), ("service", SERVICE), ("client_id", "x")])
        .await
        .is_an_outage();
    // Who was verified a moment ago is still served: the cache does not ask.
    lab.ask(Some(ALICE), PAYMENTS).await.ok();

    lab.slapd.restart().await;
    let took = lab.served_again(VICTIM).await;
    eprintln!("measured: 200 after {took:?} with the directory back (StartTLS: {})", plan.start_tls);
    assert_eq!(lab.ask(Some(("alice", "wrong")), PUBLIC).await.status, 401, "a wrong password is wrong again");
}

#[tokio::test]
async fn frozen_directory_is_an_outage_and_holds_up_nobody_else() {
    frozen(Plan::default()).await;
}

#[tokio::test]
async fn frozen_directory_is_an_outage_and_holds_up_nobody_else_over_start_tls() {
    frozen(START_TLS).await;
}

async fn frozen(plan: Plan) {
    let Some(lab) = Lab::start(plan).await else { return };
    lab.slapd.freeze();
    let (person, wrong, (robot, nobody)) =
        tokio::join!(lab.ask(Some(ALICE), PAYMENTS), lab.ask(Some(("victim", "wrong")), PUBLIC), async {
            (lab.ask(Some(ROBOT), PUBLIC).await, lab.ask(None, PUBLIC).await)
        },);
    person.is_an_outage();
    wrong.is_an_outage();
    eprintln!(
        "measured: directory frozen (StartTLS: {}): 503 after {:?}, file user after {:?}, anonymous after {:?}",
        plan.start_tls, person.took, robot.took, nobody.took
    );
    for served in [robot, nobody] {
        assert!(served.took < FAST, "took {:?} beside a frozen directory", served.took);
        assert_eq!(served.ok().opens(), ["base/x"]);
    }

    lab.slapd.thaw();
    let took = lab.served_again(ALICE).await;
    eprintln!("measured: 200 after {took:?} with the directory thawed (StartTLS: {})", plan.start_tls);
}

#[tokio::test]
async fn deadline_of_the_request_ends_longer_steps() {
    let slow = Plan { ldap: &["timeouts: {connect: 1m, tls: 1m, bind: 1m, search: 1m}"], top: "request_deadline: 2s", ..Plan::default() };
    let Some(lab) = Lab::start(slow).await else { return };
    lab.slapd.freeze();
    let answer = lab.ask(Some(ALICE), PAYMENTS).await;
    lab.slapd.thaw();
    answer.is_an_outage();
    assert!(answer.took < Duration::from_secs(4), "the deadline is 2 s, the answer came after {:?}", answer.took);
}

#[tokio::test]
async fn certificate_of_another_authority_is_an_outage_until_the_right_one_is_trusted() {
    let Some(lab) = Lab::start(Plan { authority: "other-ca.pem", ..Plan::default() }).await else { return };
    untrusted(&lab, "UnknownIssuer").await;
    lab.trust("ca.pem");
    let took = lab.served_again(ALICE).await;
    eprintln!("measured: 200 after {took:?} with the right CA in its file");
}

#[tokio::test]
async fn certificate_of_another_name_is_an_outage_until_the_right_name_is_expected() {
    let Some(mut lab) = Lab::start(Plan { server_name: "ldap.elsewhere.example", ..Plan::default() }).await else { return };
    untrusted(&lab, "ldap.elsewhere.example").await;
    lab.replan(|plan| plan.server_name = "127.0.0.1");
    lab.bridge.signal("HUP");
    lab.served_again(ALICE).await;
}

#[tokio::test]
async fn certificate_of_another_authority_is_an_outage_over_start_tls() {
    let Some(lab) = Lab::start(Plan { authority: "other-ca.pem", ..START_TLS }).await else { return };
    untrusted(&lab, "UnknownIssuer").await;
    lab.trust("ca.pem");
    lab.served_again(ALICE).await;
}

async fn untrusted(lab: &Lab, reason: &str) {
    lab.ask(Some(ALICE), PAYMENTS).await.is_an_outage();
    lab.ask(Some(("alice", "wrong")), PUBLIC).await.is_an_outage();
    let log = lab.bridge.log();
    assert!(log.contains("the directory cannot be asked") && log.contains(reason), "should say `{reason}`: {log}");
    assert_eq!(lab.binds("alice"), 0, "a password went to a server that proved nothing");
    assert_eq!(lab.slapd.binds(SERVICE_DN), 0, "the service account's password went to a server that proved nothing");
}

#[tokio::test]
async fn refused_service_account_is_an_outage_and_is_not_tried_again_and_again() {
    let Some(lab) = Lab::start(Plan { service_password: "not the password", ..Plan::default() }).await else { return };
    for _ in 0..5 {
        lab.ask(Some(ALICE), PAYMENTS).await.is_an_outage();
        lab.ask(Some(("alice", "wrong")), PUBLIC).await.is_an_outage();
    }
    assert_eq!(lab.slapd.binds(SERVICE_DN), 1, "ten requests, and the directory locks an account after three");
    let log = lab.bridge.log();
    assert!(log.contains("service account"), "{log}");
    assert!(!log.contains("not the password"), "{log}");

    lab.bridge.site().write("ldap-password", SERVICE_PASSWORD);
    lab.served_again(ALICE).await;
}

#[tokio::test]
async fn readiness_names_the_directory_that_is_down() {
    let Some(mut lab) = Lab::start(Plan::default()).await else { return };
    lab.slapd.kill();
    lab.ask(Some(ALICE), PAYMENTS).await.is_an_outage();
    let staff = |status: &str| -> String {
        let status: serde_json::Value = serde_json::from_str(status).unwrap();
        status["providers"].as_array().unwrap().iter().find(|provider| provider["name"] == "staff").unwrap()["state"].to_string()
    };
    assert_eq!(staff(&lab.admin("/readyz").await), "\"down\"");
    lab.slapd.restart().await;
    lab.served_again(ALICE).await;
    wait::until(FAST, async || {
        let state = staff(&lab.admin("/readyz").await);
        if state == "\"up\"" { Ok(()) } else { Err(state) }
    })
    .await;
}
