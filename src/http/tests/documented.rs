//! The reference names every path and every text that a client can get.

use std::time::Duration;

use crate::http::error::Invalid;
use crate::issue::{DeviceRefusal, Refusal};
use crate::registry::TooManyScopes;

const REFERENCE: &str = include_str!("../../../docs/http.md");

fn check(text: &str) {
    assert!(REFERENCE.contains(text), "docs/http.md does not know {text:?}");
}

#[test]
fn every_refusal_is_in_the_reference() {
    let soon = Duration::ZERO;
    for refusal in [
        Refusal::Rejected,
        Refusal::LoginEnded,
        Refusal::AuthenticationRequired,
        Refusal::UnknownService,
        Refusal::MissingService,
        Refusal::Throttled { retry_after: soon },
        Refusal::TooManyLogins { retry_after: soon },
        Refusal::Unavailable { retry_after: soon },
    ] {
        check(&refusal.to_string());
    }
    for refusal in [
        DeviceRefusal::NotOffered,
        DeviceRefusal::UnknownProvider("X".to_owned()),
        DeviceRefusal::SeveralProviders("X".to_owned()),
        DeviceRefusal::Pending { interval: 5 },
        DeviceRefusal::SlowDown { interval: 5 },
        DeviceRefusal::Denied,
        DeviceRefusal::Expired,
        DeviceRefusal::UnknownFlow,
    ] {
        check(&refusal.to_string());
    }
    for invalid in [
        Invalid::Doubled("X"),
        Invalid::Missing("X"),
        Invalid::NotText("X"),
        Invalid::Conflicting,
        Invalid::UnsupportedGrant,
        Invalid::TooManyScopes(TooManyScopes),
        Invalid::NotForm,
        Invalid::Broken,
        Invalid::Slow,
        Invalid::BodyTooLarge,
        Invalid::UriTooLong,
        Invalid::HeadersTooLarge,
        Invalid::Browser,
    ] {
        check(&invalid.to_string());
        check(invalid.reason());
    }
}

#[test]
fn every_path_is_in_the_reference() {
    let routes = include_str!("../../http.rs").split("\"/").skip(1).filter_map(|rest| rest.split('"').next());
    let routes: Vec<String> =
        routes.map(|path| format!("`/{}`", path.replace("{service}", "SERVICE").replace("{provider}", "NAME"))).collect();
    assert!(routes.len() >= 16, "{routes:?}");
    for path in routes {
        check(&path);
    }
}
