//! Rows that somebody wrote who has not the key.

use super::*;

#[tokio::test]
async fn a_row_altered_by_hand_is_refused() {
    let alterations = [
        "id = 'x'",
        "provider = 'robots'",
        "fingerprint = 'x'",
        "realm = 'lab'",
        "subject = 'uuid-2'",
        "username = 'root'",
        "kind = 'workload'",
        "groups = '[{\"name\":\"admins\"}]'",
        "marker = NULL",
        "marker = ''",
        "recheck = 'impossible'",
        "renewal = NULL",
        "renewal = x'09'",
        "service = 'registry.example '",
        "proven = proven + 1",
        "created = created + 1",
        "looked = looked + 1",
        "used = used + 1",
        "ended = 1",
        "reason = 'x'",
        "seal = zeroblob(32)",
        "seal = x''",
        // The same bytes of another kind, and of another field.
        "username = 'alicex', kind = substr(kind, 2)",
        "groups = CAST(x'ff' AS TEXT)",
    ];
    for alteration in alterations {
        let scene = Scene::new().await;
        let token = scene.mint(&scene.alice()).await;
        let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
        scene.forge(&format!("UPDATE identity_tokens SET {alteration}")).await;
        assert_eq!(scene.state(&token).await, "unknown", "{alteration}");
        // Nothing that the service does afterwards seals the row again.
        assert!(scene.tokens.confirm(&presented, &scene.alice(), None).await.is_err());
        scene.tokens.used(&presented, None).await;
        scene.tokens.end(&presented, "gone").await.unwrap();
        assert!(scene.tokens.revoke(&token).await.unwrap().is_none());
        assert_eq!(scene.state(&token).await, "unknown", "{alteration}");
        assert_eq!(scene.tokens.list().await.unwrap()[0].state, "altered", "{alteration}");
        assert_eq!(scene.tokens.revoke_selected(&Selection::Matching { user: None, realm: None, before: None }).await.unwrap(), 1);
        assert!(scene.tokens.list().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_revoked_token_is_not_brought_back_by_clearing_its_end() {
    let scene = Scene::new().await;
    let token = scene.mint(&scene.alice()).await;
    scene.tokens.revoke(&token).await.unwrap();
    scene.forge("UPDATE identity_tokens SET ended = NULL, reason = NULL").await;
    assert_eq!(scene.state(&token).await, "unknown");
}

#[tokio::test]
async fn a_row_written_by_hand_is_refused() {
    let scene = Scene::new().await;
    let alices = scene.mint(&scene.alice()).await;
    let bobs = scene.mint(&Identity { id: "uuid-2".to_owned(), username: "bob".to_owned(), ..scene.alice() }).await;
    // The hashes of two tokens change places: each token would stand for the other person.
    scene.forge("CREATE TABLE swap AS SELECT username, token_hash FROM identity_tokens").await;
    scene.forge("UPDATE identity_tokens SET token_hash = zeroblob(32) WHERE username = 'bob'").await;
    for (to, from) in [("alice", "bob"), ("bob", "alice")] {
        let sql = format!(
            "UPDATE identity_tokens SET token_hash = (SELECT token_hash FROM swap WHERE username = '{from}') WHERE username = '{to}'"
        );
        scene.forge(&sql).await;
    }
    assert_eq!(scene.state(&bobs).await, "unknown");
    assert_eq!(scene.state(&alices).await, "unknown");
}

#[tokio::test]
async fn a_row_copied_for_another_token_is_refused() {
    let scene = Scene::new().await;
    let alice = Identity { marker: None, ..scene.alice() };
    let token = scene.mint(&alice).await;
    let columns = "provider, fingerprint, realm, subject, username, kind, groups, marker, recheck, renewal, service, proven, created, \
                   looked, used, ended, reason, seal";
    // The owner of a token whose row was purged puts it back with the rest and the seal of somebody else's row.
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    let admin = Identity { id: "uuid-9".to_owned(), username: "admin".to_owned(), ..alice };
    scene.mint(&admin).await;
    scene.forge("DELETE FROM identity_tokens WHERE username = 'alice'").await;
    let hash = data_encoding::HEXLOWER.encode(&presented.token_hash);
    scene
        .forge(&format!(
            "INSERT INTO identity_tokens (id, token_hash, {columns}) SELECT id || 'x', x'{hash}', {columns} FROM identity_tokens"
        ))
        .await;
    assert_eq!(scene.state(&token).await, "unknown");
}
