//! What a row keeps beside the identity, and rows of other versions.

use super::*;

#[tokio::test]
async fn where_a_token_was_made_and_used_last_is_listed() {
    let scene = Scene::new().await;
    let address = |text: &str| Some(text.parse().unwrap());
    let birth = Birth { how: Born::Password, source: address("192.0.2.1") };
    let token = scene.mint_without_renewal(&scene.alice(), birth).await;
    let listed = async || {
        let listed = scene.tokens.list().await.unwrap().pop().unwrap();
        (listed.birth, listed.used_from)
    };
    assert_eq!(listed().await, (Some(birth), address("192.0.2.1")));
    let used = async |source| scene.tokens.used(&scene.tokens.present(&token, SERVICE).await.unwrap(), source).await;
    // Not more often than once a minute.
    scene.clock.advance(MINUTE - 1);
    used(address("2001:db8::2")).await;
    assert_eq!(listed().await, (Some(birth), address("192.0.2.1")));
    scene.clock.advance(1);
    used(address("2001:db8::2")).await;
    assert_eq!(listed().await, (Some(birth), address("2001:db8::2")));
    scene.clock.advance(10 * MINUTE);
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&presented, &scene.alice(), None).await.unwrap();
    assert_eq!(listed().await, (Some(birth), address("2001:db8::2")));
    scene.tokens.used(&presented, None).await;
    assert_eq!(listed().await, (Some(birth), None));
}

#[tokio::test]
async fn rows_of_earlier_and_later_versions_are_read() {
    let scene = Scene::new().await;
    let token = scene.mint_without_renewal(&scene.alice(), BIRTH).await;
    let hash = scene.tokens.secrets.read(&token).unwrap();
    let store = &scene.tokens.store;
    let cases = [
        (r#"[{"name":"a","dn":null,"id":null}]"#, None, 90),
        (r#"{"groups":[{"name":"a"}],"claims":{},"second_factor":"unknown"}"#, None, 90),
        (r#"{"groups":[{"name":"a"}],"born":"in_band","later":{"x":1}}"#, Some(Born::InBand), 7),
        // What it is nobody here knows, so it gets the shorter life.
        (r#"{"groups":[{"name":"a"}],"born":"by_pigeon"}"#, None, 7),
    ];
    for (column, born, days) in cases {
        let stored = store.find_token(&hash).await.unwrap().unwrap();
        let row = TokenRow { groups: column.to_owned(), ..stored.row().clone() };
        assert!(store.replace_token(&stored, &row).await.unwrap());
        let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
        assert_eq!(presented.identity.groups, [Group::named("a")], "{column}");
        assert_eq!(presented.ends.since(Timestamp(row.created)), days * DAY, "{column}");
        let listed = scene.tokens.list().await.unwrap().pop().unwrap();
        assert_eq!((listed.state, listed.birth.map(|birth| birth.how)), ("live", born), "{column}");
        scene.clock.advance(MINUTE);
        scene.tokens.used(&presented, Some("192.0.2.9".parse().unwrap())).await;
        assert_eq!(scene.tokens.present(&token, SERVICE).await.unwrap().identity.groups, [Group::named("a")], "{column}");
    }
}
