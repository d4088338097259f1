//! What stands in front of directories stands in front of issuers: no wrong password twice, no account locked by strangers.

use std::net::IpAddr;

use super::super::fake::DISCOVERY;
use super::*;
use crate::authn::authenticator::{Authenticator, Denied, Freshness, Verified};
use crate::authn::provider::Health;
use crate::authn::verdict::{Renewal, Standing, Unavailable};

const ON: &str = "password_grant: {enabled: true}";

struct Guarded {
    scene: Scene,
    authenticator: Authenticator,
}

async fn guarded(more: &str, stale: Duration) -> Guarded {
    let scene = scene(&format!("{ON}\n{more}")).await;
    let party = party(&scene.issuer, &format!("{ON}\n{more}"), &scene.clock);
    let authenticator = Authenticator::of_issuer(party, stale, &scene.clock);
    Guarded { scene, authenticator }
}

impl Guarded {
    async fn verify(&self, username: &str, password: &str, freshness: Freshness) -> Result<Verified, Denied> {
        let source: Option<IpAddr> = Some([192, 0, 2, 1].into());
        let circumstances = Circumstances { source, deadline: soon() };
        self.authenticator.verify(username, &secret(password), &circumstances, freshness).await
    }

    async fn word(&self, username: &str, password: &str) -> String {
        match self.verify(username, password, Freshness::CacheAllowed).await {
            Ok(Verified { identity, cached, stale, .. }) => format!("{} {cached} {}", identity.username, stale.is_some()),
            Err(Denied::Rejected { reason, advice, cached, .. }) => format!("{reason} {cached} {}", advice.is_some()),
            Err(Denied::InteractionRequired { provider, cached }) => format!("interaction at {provider} {cached}"),
            Err(Denied::Throttled { step, .. }) => step.as_str().to_owned(),
            Err(Denied::Unavailable(error)) => error.reason,
        }
    }

    fn asked(&self) -> usize {
        self.scene.forms().len()
    }
}

fn wrong() -> Reply {
    Reply::json(400, &json!({"error": "invalid_grant", "error_description": "no"}))
}

#[tokio::test]
async fn one_wrong_password_is_one_request() {
    let guarded = guarded("", Duration::ZERO).await;
    guarded.scene.issuer.always(TOKEN, wrong());
    assert_eq!(guarded.word("alice", "bad").await, "wrong_password false false");
    for _ in 0..5 {
        assert_eq!(guarded.word("alice", "bad").await, "wrong_password true false");
    }
    let fresh = guarded.verify("alice", "bad", Freshness::AskNow).await;
    assert!(matches!(fresh, Err(Denied::Rejected { cached: true, .. })), "{fresh:?}");
    assert_eq!(guarded.asked(), 1);
}

#[tokio::test]
async fn a_right_password_is_remembered_and_a_mint_asks() {
    let guarded = guarded("", Duration::ZERO).await;
    guarded.scene.grants("alice", json!({}), &[("refresh_token", "rt-1")]);
    assert_eq!(guarded.word("alice", "good").await, "alice false false");
    assert_eq!(guarded.word("alice", "good").await, "alice true false");
    guarded.scene.grants("alice", json!({}), &[("refresh_token", "rt-2")]);
    let fresh = guarded.verify("alice", "good", Freshness::AskNow).await.unwrap();
    assert_eq!((fresh.cached, fresh.renewal), (false, Some(Renewal::from(b"rt-2".to_vec()))));
    assert_eq!(guarded.asked(), 2);
}

#[tokio::test]
async fn a_refresh_token_is_asked_for_where_somebody_keeps_it() {
    let guarded = guarded("scopes: [openid, offline_access, groups]", Duration::ZERO).await;
    guarded.scene.grants("alice", json!({}), &[]);
    assert_eq!(guarded.word("alice", "good").await, "alice false false");
    guarded.scene.grants("alice", json!({}), &[("refresh_token", "rt-1")]);
    guarded.verify("alice", "good", Freshness::AskNow).await.unwrap();
    let scopes: Vec<String> = guarded.scene.forms().into_iter().map(|form| form["scope"].clone()).collect();
    assert_eq!(scopes, ["openid groups", "openid offline_access groups"]);
}

#[tokio::test]
async fn many_wrong_passwords_at_once_are_one_request() {
    let guarded = guarded("", Duration::ZERO).await;
    guarded.scene.issuer.always(TOKEN, wrong().after(Duration::from_millis(50)));
    let all =
        (0..100).map(|number| guarded.verify("alice", "bad", if number % 3 == 0 { Freshness::CacheAllowed } else { Freshness::AskNow }));
    for found in futures_util::future::join_all(all).await {
        assert!(matches!(found, Err(Denied::Rejected { reason: "wrong_password", .. })), "{found:?}");
    }
    assert_eq!(guarded.asked(), 1);
}

#[tokio::test]
async fn guesses_run_out_before_the_issuer_locks_the_account() {
    let guarded = guarded("identity: {strip_suffix: \"@corp.example\"}", Duration::ZERO).await;
    guarded.scene.issuer.always(TOKEN, wrong());
    // Every spelling is one account to the issuer.
    let names = ["alice", "ALICE", "alice@corp.example", "Alice@CORP.example", "álice", "alice"];
    let mut words = Vec::new();
    for (number, name) in names.iter().enumerate() {
        words.push(guarded.word(name, &format!("bad {number}")).await);
    }
    assert!(guarded.asked() <= 3, "{words:?}");
    assert_eq!(words.last().map(String::as_str), Some("binds"), "{words:?}");
    // Nobody else pays for it.
    assert_eq!(guarded.word("bob", "bad").await, "wrong_password false false");
}

#[tokio::test]
async fn a_password_that_does_not_do_is_no_wrong_one() {
    let guarded = guarded("", Duration::ZERO).await;
    guarded.scene.issuer.always(TOKEN, Reply::json(400, &json!({"error": "mfa_required"})));
    for _ in 0..5 {
        assert_eq!(guarded.word("alice", "good").await, "interaction at sso false");
    }
    assert_eq!(guarded.asked(), 5, "it may do in a minute, and is asked again");
    guarded.scene.issuer.always(TOKEN, wrong());
    assert_eq!(guarded.word("alice", "bad").await, "wrong_password false false", "none of them was counted");
}

#[tokio::test]
async fn a_locked_account_is_left_alone() {
    let guarded = guarded("preset: keycloak", Duration::ZERO).await;
    guarded.scene.refuses(400, "invalid_grant", "Account disabled");
    // To the client it is as wrong as any: nothing was proven.
    assert_eq!(guarded.word("alice", "one").await, "locked_out false false");
    assert_eq!(guarded.word("alice", "two").await, "locked_out false false");
    assert_eq!(guarded.asked(), 1);
}

#[tokio::test]
async fn an_outage_is_no_answer_and_costs_nobody_an_attempt() {
    let guarded = guarded("", Duration::ZERO).await;
    guarded.scene.issuer.always(TOKEN, Reply::text(503, ""));
    for _ in 0..4 {
        let word = guarded.word("alice", "good").await;
        assert!(word.ends_with("HTTP status 503"), "{word}");
    }
    guarded.scene.issuer.heal(TOKEN);
    guarded.scene.grants("alice", json!({}), &[]);
    assert_eq!(guarded.word("alice", "good").await, "alice false false");
}

#[tokio::test]
async fn passwords_without_an_answer_may_count() {
    let guarded = guarded("", Duration::ZERO).await;
    guarded.scene.issuer.always(TOKEN, Reply::text(502, ""));
    for number in 0..3 {
        let word = guarded.word("alice", &format!("guess {number}")).await;
        assert!(!word.starts_with("wrong"), "{word}");
    }
    assert!(guarded.asked() <= 3);
    // Before another one is sent, the issuer has to show that it answers.
    assert!(guarded.scene.issuer.asked(DISCOVERY).len() > 1);
    let before = guarded.asked();
    guarded.word("alice", "guess 4").await;
    assert_eq!(guarded.asked(), before, "the share may be used up");
}

#[tokio::test]
async fn who_was_right_goes_on_pulling_while_the_issuer_is_down() {
    let guarded = guarded("", Duration::from_mins(10)).await;
    guarded.scene.grants("alice", json!({"groups": ["dev"]}), &[]);
    assert_eq!(guarded.word("alice", "good").await, "alice false false");
    // All of it: a discovery document that is there says that the issuer answers.
    guarded.scene.issuer.always(DISCOVERY, Reply::text(503, ""));
    guarded.scene.issuer.always(TOKEN, Reply::text(503, ""));
    let found = guarded.verify("alice", "good", Freshness::AskNow).await.unwrap();
    assert!(found.stale.is_some() && found.identity.groups.len() == 1 && found.renewal.is_none());
    assert!(guarded.word("alice", "other").await.ends_with("HTTP status 503"));
    assert!(matches!(guarded.authenticator.health()[0].health, Health::Down(_)));
}

#[tokio::test]
async fn a_recheck_is_of_the_same_issuer_or_none() {
    let guarded = guarded("", Duration::ZERO).await;
    guarded.scene.grants("alice", json!({}), &[("refresh_token", "rt-1")]);
    let found = guarded.verify("alice", "good", Freshness::AskNow).await.unwrap();
    let fingerprint = guarded.authenticator.fingerprint("sso").unwrap();
    guarded.scene.grants("alice", json!({"groups": ["new"]}), &[("refresh_token", "rt-2")]);
    let recheck = async |fingerprint: &str| {
        guarded.authenticator.recheck(&found.identity, fingerprint, found.renewal.clone(), &circumstances()).await
    };
    let (standing, renewal) = recheck(&fingerprint).await;
    assert!(matches!(standing, Ok(Standing::Good(identity)) if identity.groups.len() == 1));
    assert_eq!(renewal, Some(Renewal::from(b"rt-2".to_vec())));
    let (standing, renewal) = recheck("other").await;
    assert!(matches!(standing, Ok(Standing::Ended("provider_changed"))));
    assert_eq!(renewal, Some(Renewal::from(b"rt-1".to_vec())));
}

#[tokio::test]
async fn a_reload_asks_the_issuer_for_nothing_that_is_known() {
    let guarded = guarded("", Duration::ZERO).await;
    guarded.scene.issuer.always(TOKEN, wrong());
    guarded.word("alice", "bad").await;
    let party = party(&guarded.scene.issuer, ON, &guarded.scene.clock);
    let next = Authenticator::of_issuer(party, Duration::ZERO, &guarded.scene.clock).succeeding(&guarded.authenticator);
    let next = Guarded { authenticator: next, ..guarded };
    next.word("alice", "bad").await;
    assert_eq!((next.scene.issuer.asked(DISCOVERY).len(), next.asked()), (1, 2));
}

#[tokio::test]
async fn nobody_is_served_from_memory_by_making_the_issuer_busy() {
    let guarded = guarded("", Duration::from_mins(10)).await;
    guarded.scene.grants("alice", json!({}), &[]);
    assert_eq!(guarded.word("alice", "good").await, "alice false false");
    guarded.scene.issuer.always(TOKEN, Reply::text(429, "").header("retry-after", "40"));
    for _ in 0..2 {
        let refused = guarded.verify("alice", "good", Freshness::AskNow).await;
        assert!(matches!(refused, Err(Denied::Unavailable(_))), "{refused:?}");
    }
    assert!(matches!(guarded.authenticator.health()[0].health, Health::Impaired(_)));
}

#[tokio::test]
async fn nobody_is_served_from_memory_because_of_a_secret() {
    let guarded = guarded("", Duration::from_mins(10)).await;
    guarded.scene.grants("alice", json!({}), &[]);
    assert_eq!(guarded.word("alice", "good").await, "alice false false");
    guarded.scene.issuer.always(TOKEN, Reply::json(401, &json!({"error": "invalid_client"})));
    let refused = guarded.verify("alice", "good", Freshness::AskNow).await;
    assert!(matches!(refused, Err(Denied::Unavailable(Unavailable { is_misconfigured: true, .. }))), "{refused:?}");
    assert!(matches!(guarded.authenticator.health()[0].health, Health::Impaired(_)));
}

#[tokio::test]
async fn a_password_that_is_right_and_keeps_no_login_is_told_so_and_counts_as_right() {
    let guarded = guarded("preset: keycloak", Duration::ZERO).await;
    let says = json!({"error": "not_allowed", "error_description": "Offline tokens not allowed for the user or client"});
    guarded.scene.issuer.always(TOKEN, Reply::json(400, &says));
    for asked in 1..=5 {
        // An administrator's change counts at once.
        assert_eq!(guarded.word("alice", "good").await, "no_offline_access false true");
        assert_eq!(guarded.asked(), asked);
    }
}
