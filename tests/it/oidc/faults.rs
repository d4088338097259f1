//! Every fault of an endpoint, at every door that leads over it: an outage that says so, in time, and over by itself.

use std::time::Duration;

use super::lab::{DEADLINE, Door, Lab, Plan, Ready};
use crate::labs::oidc::ALICE;
use crate::openid_provider::{Endpoint, Fault};

/// Whatever is asked: these are no answers. With the wait that people are told, where the issuer names one.
const FAULTS: [(Fault, Option<u64>); 13] = [
    (Fault::Reset, None),
    (Fault::Hang, None),
    (Fault::Status(500), None),
    (Fault::Busy(7), Some(7)),
    (Fault::Throttled(2), Some(2)),
    (Fault::Redirect, None),
    (Fault::Huge, None),
    (Fault::Truncated, None),
    (Fault::Html, None),
    (Fault::Empty, None),
    (Fault::Says(404, r#"{"error":"not_found"}"#), None),
    (Fault::Says(403, "<html><title>Blocked</title></html>"), None),
    (Fault::Says(200, "[]"), None),
];

/// The right answer, late but in time.
const SLOW: Fault = Fault::Slow(Duration::from_millis(700));

/// What becomes of whoever was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    /// Nobody knows anything; the wait.
    Outage(Option<u64>),
    /// A refusal with this status.
    Refused(u16),
    /// A grant as wide as ever.
    In,
}

/// One fault at one door. Afterwards the same person gets in without anything being done, unless the refusal was final.
async fn cell(lab: &Lab, door: Door, endpoint: Endpoint, fault: Fault, comes: Comes) {
    let told = format!("{door:?}, {endpoint:?}: {fault:?}");
    let ready = lab.ready(door).await;
    lab.op.fail(endpoint, fault).await;
    let answer = lab.knock(&ready).await;
    match comes {
        Comes::Outage(wait) => answer.is_an_outage(wait, &told),
        Comes::Refused(status) => answer.is_refused(status, &told),
        Comes::In => assert!(answer.is_open(&ready), "{told}: {answer:?}\n{}", lab.bridge.log()),
    }
    lab.forget(&answer).await;
    if comes != Comes::In {
        lab.is_outside(&ready, &told).await;
    }
    lab.op.heal().await;
    let again = match (&ready, comes) {
        // An answer of a browser is good once, and so is a device login.
        (Ready::Code(..), _) | (Ready::DevicePoll(_), Comes::In) => Ready::Password(ALICE),
        (Ready::Refresh(_) | Ready::DevicePoll(_), Comes::Refused(status)) => {
            lab.knock(&ready).await.is_refused(status, &format!("{told}, again"));
            Ready::Password(ALICE)
        }
        _ => ready,
    };
    let took = lab.opens_again(&again, &told).await;
    println!("{told} -> {comes:?} in {} ms, open again in {} ms", answer.took.as_millis(), took.as_millis());
}

async fn every_fault(lab: &Lab, door: Door, endpoint: Endpoint) {
    for (fault, wait) in FAULTS {
        cell(lab, door, endpoint, fault, Comes::Outage(wait)).await;
    }
    cell(lab, door, endpoint, SLOW, Comes::In).await;
}

#[tokio::test]
async fn token_endpoint_with_a_password() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let (door, endpoint) = (Door::Password, Endpoint::Token);
    every_fault(&lab, door, endpoint).await;
    for (fault, comes) in [
        // The tokens are signed, whatever they are called.
        (Fault::Typed("text/plain"), Comes::In),
        (Fault::Says(403, ""), Comes::Refused(401)),
        (Fault::Says(400, r#"{"error":"invalid_grant"}"#), Comes::Refused(401)),
        (Fault::Says(200, r#"{"error":"invalid_grant"}"#), Comes::Refused(401)),
        (Fault::Says(400, r#"{"error":"interaction_required"}"#), Comes::Refused(401)),
        (Fault::Says(400, ""), Comes::Outage(None)),
        (Fault::Says(401, ""), Comes::Outage(None)),
        (Fault::Says(401, r#"{"error":"invalid_client"}"#), Comes::Outage(None)),
        (Fault::Says(400, r#"{"error":"unauthorized_client"}"#), Comes::Outage(None)),
        (Fault::Says(400, r#"{"error":"unsupported_grant_type"}"#), Comes::Outage(None)),
        (Fault::Says(400, r#"{"error":"invalid_scope"}"#), Comes::Outage(None)),
        (Fault::Says(400, r#"{"error":"server_error"}"#), Comes::Outage(None)),
        (Fault::Says(400, r#"{"error":"temporarily_unavailable"}"#), Comes::Outage(None)),
    ] {
        cell(&lab, door, endpoint, fault, comes).await;
    }
}

#[tokio::test]
async fn token_endpoint_with_an_identity_token() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let (door, endpoint) = (Door::Refresh, Endpoint::Token);
    every_fault(&lab, door, endpoint).await;
    for (fault, comes) in [
        (Fault::Typed("text/plain"), Comes::In),
        (Fault::Says(400, r#"{"error":"invalid_grant"}"#), Comes::Refused(401)),
        (Fault::Says(400, r#"{"error":"interaction_required"}"#), Comes::Refused(401)),
        (Fault::Says(400, ""), Comes::Outage(None)),
        (Fault::Says(401, ""), Comes::Outage(None)),
        (Fault::Says(403, ""), Comes::Outage(None)),
        (Fault::Says(401, r#"{"error":"invalid_client"}"#), Comes::Outage(None)),
        (Fault::Says(400, r#"{"error":"unauthorized_client"}"#), Comes::Outage(None)),
        (Fault::Says(400, r#"{"error":"invalid_request"}"#), Comes::Outage(None)),
        (Fault::Says(400, r#"{"error":"temporarily_unavailable"}"#), Comes::Outage(None)),
    ] {
        cell(&lab, door, endpoint, fault, comes).await;
    }
    assert_eq!(lab.op.counters().await.refresh_reuses, 0);
}

#[tokio::test]
async fn token_endpoint_with_a_browsers_code() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let (door, endpoint) = (Door::Code, Endpoint::Token);
    every_fault(&lab, door, endpoint).await;
    for (fault, comes) in [
        (Fault::Typed("text/plain"), Comes::In),
        (Fault::Says(400, r#"{"error":"invalid_grant"}"#), Comes::Refused(403)),
        (Fault::Says(400, ""), Comes::Outage(None)),
        (Fault::Says(401, r#"{"error":"invalid_client"}"#), Comes::Outage(None)),
        (Fault::Says(400, r#"{"error":"server_error"}"#), Comes::Outage(None)),
    ] {
        cell(&lab, door, endpoint, fault, comes).await;
    }
}

#[tokio::test]
async fn token_endpoint_with_a_device_code() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let (door, endpoint) = (Door::DevicePoll, Endpoint::Token);
    for (fault, comes) in [
        (Fault::Reset, Comes::Outage(None)),
        (Fault::Hang, Comes::Outage(None)),
        (Fault::Status(500), Comes::Outage(None)),
        (Fault::Busy(7), Comes::Outage(Some(7))),
        (Fault::Throttled(2), Comes::Outage(Some(2))),
        (Fault::Html, Comes::Outage(None)),
        (Fault::Truncated, Comes::Outage(None)),
        (Fault::Empty, Comes::Outage(None)),
        (Fault::Says(401, r#"{"error":"invalid_client"}"#), Comes::Outage(None)),
        (Fault::Says(400, r#"{"error":"access_denied"}"#), Comes::Refused(400)),
        (Fault::Says(400, r#"{"error":"expired_token"}"#), Comes::Refused(400)),
        (SLOW, Comes::In),
    ] {
        cell(&lab, door, endpoint, fault, comes).await;
    }
}

#[tokio::test]
async fn device_authorization_endpoint() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let (door, endpoint) = (Door::DeviceStart, Endpoint::Device);
    for (fault, wait) in FAULTS {
        // One that wants fewer of them is not out of order.
        if !matches!(fault, Fault::Throttled(_)) {
            cell(&lab, door, endpoint, fault, Comes::Outage(wait)).await;
        }
    }
    for (fault, comes) in [
        (SLOW, Comes::In),
        (Fault::Typed("text/html"), Comes::Outage(None)),
        (Fault::Says(401, r#"{"error":"invalid_client"}"#), Comes::Outage(None)),
        (Fault::Says(400, ""), Comes::Outage(None)),
    ] {
        cell(&lab, door, endpoint, fault, comes).await;
    }
    lab.op.fail(endpoint, Fault::Says(400, r#"{"error":"unauthorized_client"}"#)).await;
    let answer = lab.knock(&Ready::DeviceStart).await;
    answer.holds_nothing("no device login for this client");
    assert_eq!(answer.status, 404, "{answer:?}");
}

#[tokio::test]
async fn device_starts_that_are_too_many_hold_up_nobody_else() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let kept = lab.ready(Door::Refresh).await;
    lab.op.fail(Endpoint::Device, Fault::Throttled(60)).await;
    let before = lab.op.counters().await;
    for asked in 0..10 {
        let answer = lab.visit(Door::DeviceStart).await;
        answer.holds_nothing("a device login too many");
        assert_eq!((answer.status, answer.text("error")), (429, "temporarily_unavailable"), "{answer:?}");
        assert!((1..=60).contains(&answer.retry_after()), "{asked}: {answer:?}");
        assert!(lab.visit(Door::Password).await.is_open(&Ready::Password(ALICE)), "{}", lab.bridge.log());
        assert!(lab.knock(&kept).await.is_open(&kept), "{}", lab.bridge.log());
    }
    let seen = lab.since(&before).await;
    assert_eq!((seen.device_starts, seen.passwords, seen.refreshes), (1, 10, 10), "it was asked to wait");
}

#[tokio::test]
async fn device_starts_that_fail_hold_up_nobody_else() {
    let Some(lab) = Lab::start(Plan::DEFAULT).await else { return };
    let kept = lab.ready(Door::Refresh).await;
    lab.op.fail(Endpoint::Device, Fault::Status(500)).await;
    for _ in 0..10 {
        lab.visit(Door::DeviceStart).await.is_an_outage(None, "device logins are out of order");
        assert!(lab.visit(Door::Password).await.is_open(&Ready::Password(ALICE)), "{}", lab.bridge.log());
        assert!(lab.knock(&kept).await.is_open(&kept), "{}", lab.bridge.log());
    }
}

#[tokio::test]
async fn userinfo_with_a_password() {
    let Some(lab) = Lab::start(Plan::USERINFO).await else { return };
    userinfo(&lab, Door::Password).await;
}

#[tokio::test]
async fn userinfo_with_an_identity_token() {
    let Some(lab) = Lab::start(Plan::USERINFO).await else { return };
    userinfo(&lab, Door::Refresh).await;
    assert_eq!(lab.op.counters().await.refresh_reuses, 0, "what the issuer gave is kept, whatever userinfo says");
}

async fn userinfo(lab: &Lab, door: Door) {
    every_fault(lab, door, Endpoint::Userinfo).await;
    for fault in [
        Fault::Typed("application/jwt"),
        Fault::Typed("text/html"),
        Fault::Says(401, r#"{"error":"invalid_token"}"#),
        Fault::Says(200, "{}"),
    ] {
        cell(lab, door, Endpoint::Userinfo, fault, Comes::Outage(None)).await;
    }
}

#[tokio::test]
async fn an_issuer_that_is_down_ends_no_login() {
    let Some(mut lab) = Lab::start(Plan::DEFAULT).await else { return };
    let (password, kept) = (Ready::Password(ALICE), lab.ready(Door::Refresh).await);
    lab.op.freeze();
    let answers = tokio::join!(lab.knock(&password), lab.knock(&kept), lab.knock(&Ready::DeviceStart));
    for answer in [answers.0, answers.1, answers.2] {
        answer.is_an_outage(None, "frozen");
        assert!(answer.took >= DEADLINE, "it was asked: {answer:?}");
    }
    lab.op.thaw();
    lab.opens_again(&kept, "thawed").await;
    lab.opens_again(&password, "thawed").await;
    let browser = lab.ready(Door::Code).await;
    lab.op.stop();
    for ready in [&password, &kept, &Ready::DeviceStart, &browser] {
        for _ in 0..3 {
            let answer = lab.knock(ready).await;
            if !matches!(ready, Ready::Code(..)) {
                answer.is_an_outage(None, "stopped");
            }
            lab.is_outside(ready, "stopped").await;
        }
    }
    lab.op.restart().await;
    // It has new keys and knows nothing of sessions any more.
    lab.opens_again(&password, "restarted").await;
    lab.knock(&kept).await.is_refused(401, "it has forgotten the session");
}
