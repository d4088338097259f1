//! Whether an issuer takes narrows for its client, as operators see it.

use super::*;
use crate::authn::provider::Health;

const REFUSED: &str = "it refuses the client: ";

/// A look at somebody: whoever holds a saved login causes one.
async fn look(party: &RelyingParty) {
    let form = [("grant_type", "refresh_token"), ("refresh_token", "rt")];
    drop(party.ask(&form, super::super::remote::Lane::Main, soon()).await);
}

fn impaired(word: &str) -> Health {
    Health::Impaired(format!("{REFUSED}{word}"))
}

#[tokio::test]
async fn a_refused_client_is_no_outage_and_not_well() {
    let scene = scene("").await;
    for (status, error, word) in
        [(401, "invalid_client", "invalid_client (HTTP 401)"), (401, "unauthorized_client", "unauthorized_client (HTTP 401)")]
    {
        scene.refuses(status, error, "evil");
        look(&scene.party).await;
        assert_eq!(scene.party.health(), impaired(word));
        // Its other documents say nothing of that.
        scene.party.metadata(soon()).await.unwrap();
        assert_eq!(scene.party.health(), impaired(word));
        // Nor does what strangers can make it say, or an answer without a word.
        for (status, error) in
            [(400, "invalid_request"), (400, "invalid_scope"), (400, "unsupported_grant_type"), (400, "unauthorized_client")]
        {
            scene.refuses(status, error, "");
            look(&scene.party).await;
            assert_eq!(scene.party.health(), impaired(word), "{error}");
        }
        scene.issuer.next(TOKEN, Reply::text(401, ""));
        look(&scene.party).await;
        assert_eq!(scene.party.health(), impaired(word));
        scene.issuer.next(TOKEN, Reply::text(503, ""));
        look(&scene.party).await;
        assert!(matches!(scene.party.health(), Health::Down(_)));
        // Any question that was looked at ends it.
        scene.refuses(400, "invalid_grant", "");
        look(&scene.party).await;
        assert_eq!(scene.party.health(), Health::Up);
    }
    for (status, error) in [(400, "invalid_request"), (400, "invalid_scope"), (400, "unauthorized_client")] {
        scene.refuses(status, error, "");
        look(&scene.party).await;
        assert_eq!(scene.party.health(), Health::Up, "{error}");
    }
    scene.refuses(401, "invalid_client", "");
    look(&scene.party).await;
    scene.grants("alice", json!({}), &[]);
    look(&scene.party).await;
    assert_eq!(scene.party.health(), Health::Up);
    scene.issuer.next(super::super::fake::DEVICE, Reply::json(401, &json!({"error": "unauthorized_client"})));
    assert!(scene.party.start_device(soon()).await.is_err());
    assert_eq!(scene.party.health(), impaired("unauthorized_client (HTTP 401)"));
}

#[tokio::test]
async fn a_new_secret_is_not_blamed_for_the_old_one() {
    let scene = scene("").await;
    scene.refuses(401, "invalid_client", "");
    look(&scene.party).await;
    let same = party(&scene.issuer, "identity: {username: sub}", &scene.clock).succeeding(&scene.party);
    assert_eq!(same.health(), impaired("invalid_client (HTTP 401)"));
    let (mut settings, file) = scene.issuer.settings("");
    settings.client.secret = None;
    let other = RelyingParty::build(names(), &settings, &file, &scene.clock).unwrap().succeeding(&scene.party);
    assert_eq!(other.health(), Health::Up);
}
