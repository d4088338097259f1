//! What becomes of them when a login is over.

use super::*;
use crate::issue::Pauses;
use crate::store::{StateKey, Store, StoredToken};

impl Scene {
    /// The same at an issuer that knows narrows under another name, and which has told about itself.
    async fn with_another_client(self) -> Self {
        let path = self.folder.path().join("narrows.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("client: {id: narrows", "client: {id: another")).unwrap();
        let app = started(&self.folder, &self.clock).await;
        let scene = Self { app, ..self };
        assert_eq!(scene.try_login("reg", "bad").await.0, 401);
        scene
    }

    /// What `docker logout` of the helper sends.
    async fn log_out(&self, token: &str) {
        let request = Request::post("/revoke").header("content-type", "application/x-www-form-urlencoded");
        let (status, _, body) = self.send(request.body(Body::from(format!("token={token}"))).unwrap()).await;
        assert_eq!((status, body.as_str()), (200, ""));
    }

    /// One look for what is over.
    async fn give_back(&self) {
        self.app.give_back(&mut Pauses::default()).await;
    }

    fn given_back(&self) -> Vec<String> {
        self.issuer.asked(REVOKE).iter().map(|asked| asked.form["token"].clone()).collect()
    }

    fn live(&self) -> usize {
        self.known(|known| known.live.len())
    }

    /// How many rows hold a renewal.
    async fn kept(&self) -> usize {
        let key = StateKey::open_or_create(&self.folder.path().join("state.key")).unwrap();
        let store = Store::open(&self.folder.path().join("state.db"), &key).await.unwrap();
        let rows = store.all_tokens().await.unwrap();
        rows.iter().filter(|row| matches!(row, StoredToken::Intact(token) if token.row().renewal.is_some())).count()
    }
}

#[tokio::test]
async fn who_logs_out_is_out_at_the_issuer() {
    let scene = Scene::new(Keeps::OneForEachLogin).await;
    let token = scene.login("reg", "good").await;
    scene.give_back().await;
    assert_eq!((scene.live(), scene.kept().await), (1, 1));
    scene.log_out(&token).await;
    scene.log_out(&token).await;
    scene.give_back().await;
    assert_eq!((scene.given_back(), scene.live(), scene.kept().await), (vec!["R1".to_owned()], 0, 0));
    scene.give_back().await;
    assert_eq!(scene.given_back().len(), 1, "once");
    assert_eq!(scene.pull("reg", &token).await, 401);
}

#[tokio::test]
async fn the_newest_refresh_token_is_given_back() {
    let scene = Scene::new(Keeps::OneForEachLogin).await;
    let token = scene.login("reg", "good").await;
    scene.two_looks("reg", std::slice::from_ref(&token)).await;
    scene.log_out(&token).await;
    scene.give_back().await;
    assert_eq!((scene.given_back(), scene.live()), (vec!["R3".to_owned()], 0));
}

#[tokio::test]
async fn a_login_ends_alone_where_the_issuer_ends_it_alone() {
    let scene = Scene::with(Keeps::OneForEachLogin, "okta").await;
    let tokens = [scene.login("reg", "good").await, scene.login("lab", "good").await];
    scene.log_out(&tokens[0]).await;
    scene.give_back().await;
    assert_eq!((scene.given_back(), scene.live(), scene.kept().await), (vec!["R1".to_owned()], 1, 1));
    scene.two_looks("lab", &tokens[1..]).await;
}

#[tokio::test]
async fn no_other_login_ends_where_the_issuer_may_end_all() {
    for (keeps, preset) in [(Keeps::OneForEachLogin, "generic"), (Keeps::OneForEachPerson, "dex")] {
        let scene = Scene::with(keeps, preset).await;
        let tokens = [scene.login("lab", "good").await, scene.login("reg", "good").await];
        scene.log_out(&tokens[0]).await;
        scene.give_back().await;
        assert_eq!((scene.given_back(), scene.kept().await), (vec![], 1), "{preset}");
        scene.two_looks("reg", &tokens[1..]).await;
        scene.log_out(&tokens[1]).await;
        scene.give_back().await;
        assert_eq!((scene.given_back().len(), scene.kept().await), (1, 0), "{preset}");
    }
}

#[tokio::test]
async fn somebody_elses_login_is_no_reason_to_keep_one() {
    let scene = Scene::new(Keeps::OneForEachLogin).await;
    let token = scene.login("reg", "good").await;
    // The issuer of this test knows alice alone; what narrows has of bob is that of another stable id.
    let issuer = Arc::downgrade(&scene.issuer);
    let clock = scene.clock.clone();
    scene.issuer.by(TOKEN, move |_| {
        let id_token = issuer.upgrade().unwrap().token("bob", clock.now(), json!({"groups": ["dev"]}));
        Reply::json(200, &json!({"access_token": "at", "token_type": "Bearer", "id_token": id_token, "refresh_token": "of bob"}))
    });
    let (status, _) = scene.get("/token?service=reg&offline_token=true&account=bob&client_id=docker", "bob", "good").await;
    assert_eq!(status, 200);
    scene.log_out(&token).await;
    scene.give_back().await;
    assert_eq!(scene.given_back(), ["R1"]);
}

#[tokio::test]
async fn what_the_issuer_ended_is_not_given_back() {
    let scene = Scene::new(Keeps::OneForEachLogin).await;
    let token = scene.login("reg", "good").await;
    scene.known.lock().unwrap().live.clear();
    scene.clock.advance(RECHECK);
    assert_eq!(scene.pull("reg", &token).await, 401);
    assert_eq!(scene.kept().await, 1);
    scene.give_back().await;
    assert_eq!((scene.given_back(), scene.kept().await), (vec![], 0));
}

#[tokio::test]
async fn a_logout_does_not_wait_for_the_issuer_and_is_made_up_for() {
    let scene = Scene::new(Keeps::OneForEachLogin).await;
    let tokens = [scene.login("reg", "good").await, scene.login("lab", "good").await];
    for status in [500, 401, 503] {
        scene.issuer.next(REVOKE, Reply::text(status, ""));
    }
    for token in &tokens {
        scene.log_out(token).await;
    }
    let mut pauses = Pauses::default();
    for expected in 1..=3 {
        scene.app.give_back(&mut pauses).await;
        assert_eq!((scene.given_back().len(), scene.kept().await), (expected, 2), "one alone is tried");
        assert!(pauses.next().is_some());
        scene.app.give_back(&mut pauses).await;
        assert_eq!(scene.given_back().len(), expected, "it is left alone");
        // Until the pause is over.
        pauses = Pauses::default();
    }
    scene.give_back().await;
    assert_eq!((scene.live(), scene.kept().await), (0, 0));
}

#[tokio::test]
async fn what_the_issuer_does_not_take_is_forgotten() {
    let scene = Scene::new(Keeps::OneForEachLogin).await;
    let token = scene.login("reg", "good").await;
    scene.issuer.next(REVOKE, Reply::text(404, ""));
    scene.log_out(&token).await;
    scene.give_back().await;
    scene.give_back().await;
    assert_eq!((scene.given_back().len(), scene.kept().await), (1, 0));
}

#[tokio::test]
async fn another_client_is_shown_nothing() {
    let scene = Scene::new(Keeps::OneForEachLogin).await;
    let token = scene.login("reg", "good").await;
    let scene = scene.with_another_client().await;
    scene.log_out(&token).await;
    scene.give_back().await;
    assert_eq!((scene.given_back(), scene.kept().await), (vec![], 0));
}

#[tokio::test]
async fn a_refresh_token_that_comes_during_the_logout_is_not_lost() {
    let scene = Arc::new(Scene::new(Keeps::OneForEachLogin).await);
    let token = scene.login("reg", "good").await;
    scene.clock.advance(RECHECK);
    let before = scene.issuer.asked(TOKEN).len();
    let known = Arc::clone(&scene.known);
    let issuer = Arc::downgrade(&scene.issuer);
    let clock = scene.clock.clone();
    scene.issuer.by(TOKEN, move |asked| {
        let next = known.lock().unwrap().refreshes(Keeps::OneForEachLogin, &asked.form["refresh_token"]).unwrap();
        let id_token = issuer.upgrade().unwrap().token("alice", clock.now(), json!({"groups": ["dev"]}));
        let body = json!({"access_token": "at", "token_type": "Bearer", "id_token": id_token, "refresh_token": next});
        Reply::json(200, &body).after(Duration::from_millis(300))
    });
    let pulling = tokio::spawn({
        let (scene, token) = (Arc::clone(&scene), token.clone());
        async move { scene.pull("reg", &token).await }
    });
    scene.issuer.was_asked(TOKEN, before + 1).await;
    scene.log_out(&token).await;
    // The one that the issuer has replaced by now.
    scene.give_back().await;
    assert_eq!((scene.given_back(), scene.live(), scene.kept().await), (vec!["R1".to_owned()], 1, 0));
    assert_eq!(pulling.await.unwrap(), 401);
    scene.give_back().await;
    assert_eq!((scene.given_back(), scene.live(), scene.kept().await), (vec!["R1".to_owned(), "R2".to_owned()], 0, 0));
}

// === Sign-ins of the page ===

const SIGN_IN: i64 = 10 * 60;
const CODE: i64 = 5 * 60;

#[tokio::test]
async fn who_signs_out_at_the_page_is_out_at_the_issuer() {
    let scene = Scene::new(Keeps::OneForEachLogin).await;
    let session = scene.sign_in("").await;
    let form = format!("csrf={}&service=", scene.csrf(&session).await);
    scene.give_back().await;
    assert_eq!(scene.live(), 1);
    scene.browse("POST", "/login/out", &session, form).await;
    scene.give_back().await;
    scene.give_back().await;
    assert_eq!((scene.given_back(), scene.live()), (vec!["R1".to_owned()], 0));
}

#[tokio::test]
async fn a_sign_in_that_is_over_and_a_code_that_nobody_used_are_given_back() {
    let scene = Scene::with(Keeps::OneForEachLogin, "okta").await;
    scene.sign_in("").await;
    scene.clock.advance(SIGN_IN - CODE);
    scene.code("reg").await;
    scene.clock.advance(CODE - 1);
    // What others begin does not sweep it away.
    let session = scene.sign_in("").await;
    scene.give_back().await;
    assert_eq!((scene.given_back(), scene.live()), (vec![], 3));
    scene.clock.advance(1);
    scene.app.upkeep().await;
    scene.give_back().await;
    let mut given_back = scene.given_back();
    given_back.sort();
    assert_eq!((given_back, scene.live()), (vec!["R1".to_owned(), "R2".to_owned()], 1));
    // The code took along what the sign-in held, and a new sign-in ends the one before.
    scene.sign_in(&session).await;
    scene.give_back().await;
    assert_eq!(scene.given_back().last().unwrap(), "R3");
    scene.clock.advance(SIGN_IN);
    scene.give_back().await;
    assert_eq!((scene.given_back().len(), scene.live()), (4, 0));
}

#[tokio::test]
async fn a_code_that_was_used_is_a_login() {
    let scene = Scene::new(Keeps::OneForEachLogin).await;
    let code = scene.code("reg").await;
    let token = scene.login("reg", &code).await;
    scene.clock.advance(SIGN_IN);
    scene.give_back().await;
    assert_eq!((scene.given_back(), scene.live()), (vec![], 1));
    scene.two_looks("reg", std::slice::from_ref(&token)).await;
    scene.log_out(&token).await;
    scene.give_back().await;
    assert_eq!((scene.given_back().len(), scene.live()), (1, 0));
}

#[tokio::test]
async fn a_logout_ends_no_sign_in_that_is_under_way() {
    let scene = Scene::new(Keeps::OneForEachLogin).await;
    let token = scene.login("reg", "good").await;
    let code = scene.code("reg").await;
    scene.log_out(&token).await;
    scene.give_back().await;
    assert_eq!((scene.given_back(), scene.kept().await), (vec![], 0));
    let token = scene.login("reg", &code).await;
    scene.two_looks("reg", &[token]).await;
}

#[tokio::test]
async fn a_sign_in_waits_for_the_issuer_too_and_not_for_ever() {
    let scene = Scene::new(Keeps::OneForEachLogin).await;
    scene.sign_in("").await;
    scene.clock.advance(SIGN_IN);
    scene.issuer.next(REVOKE, Reply::text(500, ""));
    scene.give_back().await;
    scene.app.upkeep().await;
    scene.give_back().await;
    assert_eq!((scene.given_back().len(), scene.live()), (2, 0));
    scene.sign_in("").await;
    scene.clock.advance(SIGN_IN + 7 * 24 * 3600);
    scene.app.upkeep().await;
    scene.give_back().await;
    assert_eq!(scene.given_back().len(), 2);
}

#[tokio::test]
async fn another_client_is_shown_no_sign_in_either() {
    let scene = Scene::new(Keeps::OneForEachLogin).await;
    scene.sign_in("").await;
    let scene = scene.with_another_client().await;
    scene.clock.advance(SIGN_IN);
    scene.give_back().await;
    assert_eq!(scene.given_back(), Vec::<String>::new());
}
