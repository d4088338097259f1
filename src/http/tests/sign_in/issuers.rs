//! What issuers answer for, and how long an answer of theirs counts.

use super::*;

#[tokio::test]
async fn what_one_issuer_answers_is_never_shown_to_another() {
    let scene = Scene::new().await;
    let mut browser = Browser::default();
    let asked = scene.start(&mut browser, "sso").await;
    // Meanwhile another issuer has its name.
    scene.reload(&configuration(&scene.partners, None)).await;
    let back = scene.get(&mut browser, &Scene::callback(&scene.partners, "sso", &asked["state"])).await;
    assert!(back.status == 400 && back.body.contains("Sign in again"), "{}", back.body);
    assert!(scene.issuer.asked(TOKEN).is_empty() && scene.partners.asked(TOKEN).is_empty());
    assert_eq!(scene.audit().last().unwrap()["reason"], "sign_in: provider_changed");
}

#[tokio::test]
async fn an_old_sign_in_is_looked_at_again_before_its_code_lets_anybody_in() {
    let late = async |scene: &Scene| {
        let mut browser = scene.sign_in(&json!({}), Some("rt-1")).await;
        scene.clock.advance(290);
        let code = scene.order_code(&mut browser, "reg").await.code();
        scene.clock.advance(10);
        code
    };
    let renewed = |scene: &Scene, groups: Value| {
        let token = scene.issuer.token("alice", scene.clock.now(), json!({"groups": groups}));
        let reply = json!({"access_token": "at", "token_type": "Bearer", "id_token": token, "refresh_token": "rt-2"});
        scene.issuer.next(TOKEN, Reply::json(200, &reply));
    };
    let login = format!("{LOGIN}&scope=repository:team/app:pull");
    let granted = |answer: &Answer| serde_json::from_str::<Value>(&answer.body).unwrap()["scope"].as_str().unwrap().to_owned();
    let shown = |scene: &Scene| scene.issuer.asked(TOKEN).last().unwrap().form.get("refresh_token").cloned();

    let scene = Scene::new().await;
    let code = late(&scene).await;
    // Alice left the group since she signed in.
    renewed(&scene, json!([]));
    let issued = scene.token("alice", &code, &login).await;
    assert_eq!((issued.status, granted(&issued).as_str()), (200, ""), "{}", issued.body);
    assert_eq!(shown(&scene).as_deref(), Some("rt-1"));
    assert_eq!(scene.token("alice", &code, &login).await.status, 401);
    // What the issuer wants back next is what it gave then.
    scene.clock.advance(300);
    renewed(&scene, json!(["dev"]));
    let saved = serde_json::from_str::<Value>(&issued.body).unwrap()["refresh_token"].as_str().unwrap().to_owned();
    let pulled = scene.token("<token>", &saved, "service=reg&scope=repository:team/app:pull").await;
    assert_eq!((pulled.status, granted(&pulled).as_str()), (200, "repository:team/app:pull"), "{}", pulled.body);
    assert_eq!(shown(&scene).as_deref(), Some("rt-2"));

    // Alice was disabled since.
    let scene = Scene::new().await;
    let code = late(&scene).await;
    scene.issuer.next(TOKEN, Reply::json(400, &json!({"error": "invalid_grant"})));
    let ended = scene.token("alice", &code, &login).await;
    let message = "the sign-in has ended at the issuer: sign in again at http://127.0.0.1:5001/login";
    assert_eq!((ended.status, ended.message().as_str()), (401, message));
    assert_eq!(scene.audit().last().unwrap()["reason"], "session_ended");

    // An outage is no word against anybody, and what nobody was given is kept by nobody.
    let scene = Scene::new().await;
    let code = late(&scene).await;
    scene.issuer.next(TOKEN, Reply::text(500, ""));
    assert_eq!(scene.token("alice", &code, &login).await.status, 503);
    let mut browser = scene.sign_in(&json!({}), Some("rt-3")).await;
    assert!(scene.get(&mut browser, "/login").await.body.contains("None. After a docker login"));

    // docker asks for no rights when it logs in, so nobody has to be asked.
    let scene = Scene::new().await;
    let code = late(&scene).await;
    assert_eq!(scene.token("alice", &code, LOGIN).await.status, 200);
    assert_eq!(scene.issuer.asked(TOKEN).len(), 1);

    // A moment after the sign-in nobody is asked again.
    let scene = Scene::new().await;
    let code = scene.code("reg", Some("rt-1")).await;
    assert_eq!(granted(&scene.token("alice", &code, &login).await), "repository:team/app:pull");
    assert_eq!(scene.issuer.asked(TOKEN).len(), 1);
}

#[tokio::test]
async fn a_name_with_a_slash_is_nobody_of_another_realm() {
    let scene = Scene::new().await;
    let subject = async |provider: &str, issuer: &FakeIssuer, name: &str| {
        let mut browser = Browser::default();
        let asked = scene.start(&mut browser, provider).await;
        scene.answers(issuer, &asked, &json!({"sub": "7", "preferred_username": name}), None);
        scene.get(&mut browser, &Scene::callback(issuer, provider, &asked["state"])).await;
        scene.order_code(&mut browser, "reg").await.code();
        scene.audit().last().unwrap()["subject"].as_str().unwrap().to_owned()
    };
    assert_eq!(subject("partners", &scene.partners, "bob").await, "partners/bob");
    assert_eq!(subject("sso", &scene.issuer, "partners/bob").await, "sso/partners/bob");
    assert_eq!(subject("sso", &scene.issuer, "bob").await, "bob");
}
