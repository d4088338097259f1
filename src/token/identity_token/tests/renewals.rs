//! Renewals in the store, and which of two stands.

use super::*;

#[tokio::test]
async fn a_renewal_cannot_be_read_in_the_database() {
    let scene = Scene::new().await;
    let token = scene.mint_signed_in(Born::SignIn).await;
    let presented = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.keep_renewal(&presented, &Renewal::from(b"refresh-1".to_vec())).await.unwrap();
    assert_eq!(scene.renewal(&token).await.as_deref(), Some(&b"refresh-1"[..]));
    for file in std::fs::read_dir(scene.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"refresh-"));
    }
    assert!(!format!("{presented:?}").contains("refresh"));
}

/// Whoever seals rows, and puts another row's renewal in.
#[tokio::test]
async fn a_renewal_opens_for_its_own_token_person_provider_and_service_alone() {
    let scene = Scene::new().await;
    let token = scene.mint_signed_in(Born::SignIn).await;
    let hash = scene.tokens.secrets.read(&token).unwrap();
    let store = &scene.tokens.store;
    let own = store.find_token(&hash).await.unwrap().unwrap().row().clone();
    let others = [
        TokenRow { id: "x".to_owned(), ..own.clone() },
        TokenRow { provider: "x".to_owned(), ..own.clone() },
        TokenRow { subject: "x".to_owned(), ..own.clone() },
        TokenRow { service: "x".to_owned(), ..own.clone() },
    ];
    for other in others {
        for renewal in [store.close_renewal(&other, b"refresh-9").unwrap(), b"refresh-9".to_vec(), Vec::new()] {
            let stored = store.find_token(&hash).await.unwrap().unwrap();
            let moved = TokenRow { renewal: Some(renewal), ..own.clone() };
            assert!(store.replace_token(&stored, &moved).await.unwrap());
            assert_eq!(scene.state(&token).await, "altered");
        }
    }
    let stored = store.find_token(&hash).await.unwrap().unwrap();
    assert!(store.replace_token(&stored, &own).await.unwrap());
    assert_eq!(scene.state(&token).await, "live");
}

#[tokio::test]
async fn of_two_renewals_of_one_the_later_stands() {
    let scene = Scene::new().await;
    let token = scene.mint_signed_in(Born::SignIn).await;
    let signed_in = Identity { marker: None, ..scene.alice() };
    let renewal = |text: &str| Some(Renewal::from(text.as_bytes().to_vec()));
    let slow = scene.tokens.present(&token, SERVICE).await.unwrap();
    assert!(!scene.tokens.was_renewed(&slow).await.unwrap());
    scene.clock.advance(MINUTE);
    let fast = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&fast, &signed_in, renewal("refresh-2")).await.unwrap();
    assert!(scene.tokens.was_renewed(&slow).await.unwrap());
    scene.tokens.confirm(&slow, &signed_in, renewal("refresh-1")).await.unwrap();
    assert_eq!(scene.renewal(&token).await.as_deref(), Some(&b"refresh-2"[..]));
    // In the same second the one that is written last is the one that came last.
    let (one, other) = (scene.tokens.present(&token, SERVICE).await.unwrap(), scene.tokens.present(&token, SERVICE).await.unwrap());
    scene.tokens.confirm(&one, &signed_in, renewal("refresh-3")).await.unwrap();
    scene.tokens.keep_renewal(&other, &Renewal::from(b"refresh-4".to_vec())).await.unwrap();
    assert_eq!(scene.renewal(&token).await.as_deref(), Some(&b"refresh-4"[..]));
    // An issuer that does not rotate gives the same one back.
    let same = scene.tokens.present(&token, SERVICE).await.unwrap();
    scene.tokens.confirm(&same, &signed_in, renewal("refresh-4")).await.unwrap();
    assert!(!scene.tokens.was_renewed(&same).await.unwrap());
}
