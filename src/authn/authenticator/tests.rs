//! The authenticator with real users files: order, sharing, and what depends on the single request.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use tokio::time::Instant;

use super::*;
use crate::authn::settings::{CacheSettings, ProviderSettings, ThrottleSettings};
use crate::clock::{Clock, Timestamp};
use crate::source::{Diagnostics, SourceFile};

#[derive(Deserialize)]
struct Document {
    providers: Vec<ProviderSettings>,
    #[serde(default)]
    credentials_cache: CacheSettings,
    #[serde(default)]
    throttle: ThrottleSettings,
}

fn try_build(folder: &Path, configuration: &str) -> Result<Authenticator, Diagnostics> {
    let file = SourceFile::new(folder.join("narrows.yaml"), configuration);
    let document: Document = file.parse()?;
    let clock = Clock::fixed(Timestamp(1_790_000_000));
    let shield = (Arc::new(Throttle::forgetting(clock.clone())), &document.throttle);
    Ok(Authenticator::build(&document.providers, &document.credentials_cache, &file, &clock, shield)?.0)
}

/// Two files: `robots` for `robot-*`, and `people` for three others, one of them bound to a network.
fn two_files(hash: &str) -> (tempfile::TempDir, Authenticator) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("robots.yaml", format!("users:\n  - {{name: robot-a, password: \"{hash}\", source: [10.0.0.0/8]}}\n"));
    write(
        "people.yaml",
        format!("users:\n  - {{name: alice, password: \"{hash}\"}}\n  - {{name: bob, password: \"{hash}\", disabled: true}}\n"),
    );
    let configuration = "\
providers:
  - {name: people, realm: corp, names: [alice, bob, carol], file: {path: people.yaml}}
  - {name: robots, names: [robot-*], file: {path: robots.yaml}}
";
    let authenticator = try_build(folder.path(), configuration).unwrap();
    (folder, authenticator)
}

fn cheap() -> (tempfile::TempDir, Authenticator) {
    two_files(&bcrypt::hash("right", 4).unwrap())
}

/// Long enough that everybody else arrives before the comparison ends.
fn slow() -> (tempfile::TempDir, Authenticator) {
    two_files(&bcrypt::hash("right", 10).unwrap())
}

fn from(source: Option<&str>) -> Circumstances {
    Circumstances { source: source.map(|it| it.parse().unwrap()), deadline: Instant::now() + Duration::from_mins(1) }
}

async fn verify(authenticator: &Authenticator, username: &str, password: &str, freshness: Freshness) -> Result<Verified, Denied> {
    authenticator.verify(username, &SecretString::from(password), &from(None), freshness).await
}

fn word(result: &Result<Verified, Denied>) -> String {
    match result {
        Ok(Verified { identity, cached, .. }) => format!("{}/{} {cached}", identity.realm, identity.username),
        Err(Denied::Rejected { provider, reason, advice, cached }) => {
            let provider = provider.as_deref().unwrap_or("-");
            format!("{provider} {reason} {} {cached}", if advice.is_some() { "advice" } else { "-" })
        }
        Err(Denied::InteractionRequired { provider, cached }) => format!("{provider} interaction_required {cached}"),
        Err(Denied::Throttled { step, retry_after }) => format!("{} {}", step.as_str(), retry_after.as_secs()),
        Err(Denied::Unavailable(error)) => error.to_string(),
    }
}

fn comparisons(authenticator: &Authenticator, provider: &str) -> u64 {
    match authenticator.provider(provider) {
        Some(Provider::File(users)) => users.comparisons(),
        Some(Provider::Ldap(_) | Provider::Oidc(_)) | None => panic!("no file `{provider}`"),
    }
}

#[tokio::test]
async fn every_answer_has_its_word_and_the_second_one_is_remembered() {
    let (_folder, authenticator) = cheap();
    for (username, password, first, second) in [
        ("alice", "right", "corp/alice false", "corp/alice true"),
        ("alice", "wrong", "people wrong_password - false", "people wrong_password - true"),
        ("bob", "right", "people disabled advice false", "people disabled advice false"),
        ("bob", "wrong", "people wrong_password - false", "people wrong_password - true"),
        ("carol", "right", "- unknown - false", "- unknown - true"),
        ("mallory", "right", "- unknown - false", "- unknown - false"),
        ("alice", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln", "- unusable - false", "- unusable - false"),
        ("alice", "nrw_x", "- unusable - false", "- unusable - false"),
    ] {
        for expected in [first, second] {
            assert_eq!(word(&verify(&authenticator, username, password, Freshness::CacheAllowed).await), expected, "{username} {password}");
        }
    }
    assert_eq!(comparisons(&authenticator, "robots"), 0, "nobody asked for a robot");
}

#[tokio::test]
async fn one_password_is_one_comparison_from_a_hundred_clients() {
    for password in ["right", "wrong"] {
        let (_folder, authenticator) = slow();
        let all = (0..100).map(|number| {
            let freshness = if number % 2 == 0 { Freshness::CacheAllowed } else { Freshness::AskNow };
            verify(&authenticator, "alice", password, freshness)
        });
        let results = join_all(all).await;
        assert!(results.iter().all(|result| result.is_ok() == (password == "right")));
        assert_eq!(comparisons(&authenticator, "people"), 1, "{password}");
    }
}

#[tokio::test]
async fn a_look_up_goes_on_when_its_client_leaves() {
    let (_folder, authenticator) = slow();
    {
        let mut leaving = std::pin::pin!(verify(&authenticator, "alice", "right", Freshness::CacheAllowed));
        assert!(futures_util::poll!(&mut leaving).is_pending());
    }
    assert_eq!(word(&verify(&authenticator, "alice", "right", Freshness::CacheAllowed).await), "corp/alice false");
    assert_eq!(comparisons(&authenticator, "people"), 1);
}

#[tokio::test]
async fn a_mint_asks_every_time() {
    let (_folder, authenticator) = cheap();
    for times in 1..=3 {
        assert_eq!(word(&verify(&authenticator, "alice", "right", Freshness::AskNow).await), "corp/alice false");
        assert_eq!(comparisons(&authenticator, "people"), times);
    }
}

#[tokio::test]
async fn where_a_robot_comes_from_is_judged_for_every_request() {
    let (_folder, authenticator) = slow();
    let password = SecretString::from("right");
    let at = async |source: Option<&str>, freshness| word(&authenticator.verify("robot-a", &password, &from(source), freshness).await);
    let (inside, outside) = tokio::join!(at(Some("10.0.0.1"), Freshness::CacheAllowed), at(Some("11.0.0.1"), Freshness::CacheAllowed));
    assert_eq!((inside.as_str(), outside.as_str()), ("robots/robot-a false", "robots source advice false"));
    assert_eq!(at(Some("11.0.0.1"), Freshness::CacheAllowed).await, "robots source advice true");
    assert_eq!(at(None, Freshness::CacheAllowed).await, "robots source advice true");
    assert_eq!(at(Some("11.0.0.1"), Freshness::AskNow).await, "robots source advice false");
    assert_eq!(at(Some("::ffff:10.0.0.1"), Freshness::CacheAllowed).await, "robots/robot-a true", "a foreign address spoils nothing");
    let Ok(Verified { identity, .. }) = authenticator.verify("robot-a", &password, &from(Some("10.0.0.1")), Freshness::CacheAllowed).await
    else {
        panic!("the robot is known")
    };
    assert_eq!(authenticator.admits(&identity, Some("11.0.0.1".parse().unwrap())), Err(Rejection::Source));
    assert_eq!(authenticator.admits(&identity, Some("10.9.0.1".parse().unwrap())), Ok(()));
}

#[tokio::test]
async fn a_recheck_belongs_to_the_provider_that_vouched() {
    let (_folder, authenticator) = cheap();
    let Ok(Verified { identity, .. }) = verify(&authenticator, "alice", "right", Freshness::AskNow).await else { panic!("alice") };
    let fingerprint = authenticator.fingerprint("people").unwrap();
    let standing = async |identity: &Identity, fingerprint: &str| match authenticator
        .recheck(identity, fingerprint, None, &from(None))
        .await
        .0
        .unwrap()
    {
        Standing::Good(identity) => identity.username,
        Standing::Ended(reason) => reason.to_owned(),
    };
    assert_eq!(standing(&identity, &fingerprint).await, "alice");
    assert_eq!(standing(&identity, "another").await, "provider_changed");
    let elsewhere = Identity { provider: Arc::from("elsewhere"), ..(*identity).clone() };
    assert_eq!(standing(&elsewhere, &fingerprint).await, "provider_changed");
    assert_ne!(Some(fingerprint), authenticator.fingerprint("robots"), "the realm is another one");
}

#[tokio::test]
async fn a_deadline_that_is_over_is_an_outage() {
    let (_folder, authenticator) = slow();
    let late = Circumstances { source: None, deadline: Instant::now() };
    let result = authenticator.verify("alice", &SecretString::from("right"), &late, Freshness::CacheAllowed).await;
    assert!(word(&result).starts_with("provider `people` cannot be asked: no "), "{}", word(&result));
}

#[test]
fn reports_name_every_provider_realm_and_file() {
    let (_folder, authenticator) = cheap();
    let health: Vec<String> =
        authenticator.health().iter().map(|it| format!("{} {} {} {:?}", it.name, it.realm, it.kind, it.health)).collect();
    assert_eq!(health, ["people corp file Up", "robots robots file Up"]);
    assert!(!format!("{authenticator:?}").contains("$2"));
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.yaml"), "users:\n  - {name: eve, password: \"$2y$10$x\"}\n").unwrap();
    let configuration = "\
providers:
  - {name: a, names: [a], file: {path: missing.yaml}}
  - {name: b, names: [b], file: {path: b.yaml}}
";
    let findings = try_build(folder.path(), configuration).unwrap_err();
    let messages: Vec<&str> = findings.0.iter().map(|finding| finding.message.as_str()).collect();
    assert!(
        matches!(messages[..], [missing, "user `eve` is outside the `names` of provider `b`", "user `eve`: this bcrypt hash is damaged"]
        if missing.starts_with("cannot read the file")),
        "{messages:?}"
    );
    let findings = try_build(folder.path(), "providers: []\n").unwrap_err();
    assert_eq!(findings.first().unwrap().message, "there is no provider, so nobody could log in");
}

/// Nobody listens there.
const DEAD: u16 = 1;

/// Two directories at a port of this machine, each with its `stale_if_error`.
fn two_directories(folder: &Path, port: u16, first: &str, second: &str) -> Authenticator {
    let directory = |name: &str, stale: &str| {
        format!(
            "  - {{name: {name}, realm: corp, stale_if_error: {stale}, ldap: {{servers: [\"ldap://127.0.0.1:{port}\"], allow_plaintext: true, \
             user: {{bases: [\"dc=x\"]}}, service_account: anonymous}}}}\n"
        )
    };
    try_build(folder, &format!("providers:\n{}{}", directory("first", first), directory("second", second))).unwrap()
}

/// As if this provider had said so a moment ago.
fn proved_by(authenticator: &Authenticator, provider: &str, route: &[&str]) {
    let password = SecretString::from("right");
    let identity = Identity {
        realm: Arc::from("corp"),
        provider: Arc::from(provider),
        id: "uuid-1".to_owned(),
        username: "alice".to_owned(),
        groups: Vec::new(),
        kind: crate::authn::identity::Kind::Person,
        method: crate::authn::identity::Method::Password,
        proven: Timestamp(1_790_000_000),
        marker: None,
        claims: crate::authn::identity::IdentityClaims::new(),
        second_factor: crate::authn::identity::SecondFactor::Unknown,
    };
    let digest = authenticator.cache.digest(route, "alice", &password);
    let secret = authenticator.cache.digest(&[provider], "", &password);
    let proved = crate::authn::cache::Proved { digest: &digest, name: "alice", account: None, secret, asked: authenticator.memory.now() };
    authenticator.memory.proved(&Arc::new(identity), &proved);
}

#[tokio::test]
async fn only_the_memory_of_the_provider_that_cannot_be_asked_is_gone_by() {
    let folder = tempfile::tempdir().unwrap();
    for (first, second, proved, expected) in [
        ("30m", "30m", "first", true),
        ("30m", "0s", "first", true),
        ("0s", "30m", "first", false),
        // The first one cannot be asked, and it might know alice today.
        ("30m", "30m", "second", false),
        ("0s", "30m", "second", false),
    ] {
        let authenticator = two_directories(folder.path(), DEAD, first, second);
        proved_by(&authenticator, proved, &["first", "second"]);
        for freshness in [Freshness::CacheAllowed, Freshness::AskNow] {
            let found = verify(&authenticator, "alice", "right", freshness).await;
            assert_eq!(
                found.as_ref().is_ok_and(|it| it.stale.is_some() && it.cached),
                expected,
                "{first} {second} {proved}: {}",
                word(&found)
            );
            assert!(found.is_ok() || matches!(found, Err(Denied::Unavailable(_))), "{}", word(&found));
        }
        assert!(matches!(verify(&authenticator, "alice", "wrong", Freshness::CacheAllowed).await, Err(Denied::Unavailable(_))));
    }
}

#[tokio::test]
async fn a_provider_that_is_not_known_to_be_down_is_not_gone_by_without() {
    let folder = tempfile::tempdir().unwrap();
    // It takes connections and answers nothing, as one that is busy.
    let busy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authenticator = two_directories(folder.path(), busy.local_addr().unwrap().port(), "30m", "30m");
    proved_by(&authenticator, "first", &["first", "second"]);
    let soon = Circumstances { source: None, deadline: Instant::now() + Duration::from_millis(300) };
    let found = authenticator.verify("alice", &SecretString::from("right"), &soon, Freshness::CacheAllowed).await;
    assert!(matches!(found, Err(Denied::Unavailable(_))), "{}", word(&found));
}

#[tokio::test]
async fn what_was_made_anew_remembers_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let former = two_directories(folder.path(), DEAD, "30m", "30m");
    proved_by(&former, "first", &["first", "second"]);
    let next = two_directories(folder.path(), DEAD, "30m", "30m").succeeding(&former);
    assert!(verify(&former, "alice", "right", Freshness::CacheAllowed).await.is_ok());
    assert!(matches!(verify(&next, "alice", "right", Freshness::CacheAllowed).await, Err(Denied::Unavailable(_))));
}

#[test]
fn nobody_of_a_directory_bears_a_name_of_a_users_file() {
    let folder = tempfile::tempdir().unwrap();
    let hash = bcrypt::hash("right", 4).unwrap();
    std::fs::write(folder.path().join("robots.yaml"), format!("users:\n  - {{name: breakglass, password: \"{hash}\"}}\n")).unwrap();
    let configuration = "\
providers:
  - name: staff
    realm: corp
    ldap:
      servers: [\"ldap://127.0.0.1:1\"]
      allow_plaintext: true
      service_account: anonymous
      user: {bases: dc=x}
  - {name: robots, realm: corp, ignore_case: true, names: [breakglass, robot-*], file: {path: robots.yaml}}
";
    let authenticator = try_build(folder.path(), configuration).unwrap();
    let identity = |username: &str| Identity {
        realm: "corp".into(),
        provider: "staff".into(),
        id: username.to_owned(),
        username: username.to_owned(),
        groups: Vec::new(),
        kind: crate::authn::identity::Kind::Person,
        method: crate::authn::identity::Method::Password,
        proven: Timestamp(0),
        marker: None,
        claims: crate::authn::identity::IdentityClaims::new(),
        second_factor: crate::authn::identity::SecondFactor::Unknown,
    };
    for (username, expected) in [
        ("alice", Ok(())),
        ("breakglass", Err(Rejection::Ambiguous)),
        ("BreakGlass", Err(Rejection::Ambiguous)),
        ("robot-x", Err(Rejection::Ambiguous)),
    ] {
        assert_eq!(authenticator.admits(&identity(username), None), expected, "{username}");
    }
}
