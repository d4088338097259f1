//! What may be gone by, with time that stands still until a test moves it.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::authn::identity::{Group, IdentityClaims, Kind, Method, SecondFactor};

const WINDOW: Duration = Duration::from_mins(30);
const MINUTE: i64 = 60;

struct Scene {
    memory: Memory,
    clock: Clock,
}

fn digest(text: &str) -> Digest {
    Digest(text.as_bytes().into())
}

fn alice() -> Identity {
    Identity {
        realm: Arc::from("corp"),
        provider: Arc::from("staff"),
        id: "uuid-1".to_owned(),
        username: "alice".to_owned(),
        groups: vec![Group::named("team")],
        kind: Kind::Person,
        method: Method::Password,
        proven: Timestamp(0),
        marker: Some(PasswordMarker("monday".to_owned())),
        claims: IdentityClaims::new(),
        second_factor: SecondFactor::Unknown,
    }
}

fn staff() -> Arc<str> {
    Arc::from("staff")
}

impl Scene {
    fn new() -> Self {
        let clock = Clock::fixed(Timestamp(1_790_000_000));
        Self { memory: Memory::new(100, &clock), clock }
    }

    /// Both clocks.
    async fn wait(&self, seconds: i64) {
        self.clock.advance(seconds);
        tokio::time::advance(Duration::from_secs(u64::try_from(seconds).unwrap())).await;
    }

    fn proved(&self, identity: &Identity, name: &str, password: &str) {
        let pair = digest(&format!("{name}:{password}"));
        let proved = Proved { digest: &pair, name, account: None, secret: digest(password), asked: self.memory.now() };
        self.memory.proved(&Arc::new(identity.clone()), &proved);
    }

    /// Groups of whoever this pair belongs to, and what is left.
    fn recalled(&self, name: &str, password: &str) -> Option<(Vec<Group>, i64)> {
        let found = self.memory.recall(&digest(&format!("{name}:{password}")), name, "staff", WINDOW);
        found.map(|(identity, _, left)| (identity.groups.clone(), left))
    }

    fn knows(&self, name: &str, password: &str) -> bool {
        self.recalled(name, password).is_some()
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_is_remembered_for_the_window_and_no_longer() {
    let scene = Scene::new();
    assert!(!scene.knows("alice", "secret"));
    scene.proved(&alice(), "alice", "secret");
    assert_eq!(scene.recalled("alice", "secret"), Some((alice().groups, 30 * MINUTE)));
    assert!(!scene.knows("alice", "other") && !scene.knows("bob", "secret"));
    assert!(scene.memory.recall(&digest("alice:secret"), "alice", "partners", WINDOW).is_none(), "another provider's");
    scene.wait(30 * MINUTE - 1).await;
    assert_eq!(scene.recalled("alice", "secret").unwrap().1, 1);
    scene.wait(1).await;
    assert!(!scene.knows("alice", "secret"));
    scene.proved(&alice(), "alice", "secret");
    assert!(scene.knows("alice", "secret"));
}

#[tokio::test(start_paused = true)]
async fn no_clock_that_is_set_makes_it_longer() {
    let scene = Scene::new();
    scene.proved(&alice(), "alice", "secret");
    tokio::time::advance(WINDOW).await;
    assert!(!scene.knows("alice", "secret"), "the wall's clock stood still");
    let scene = Scene::new();
    scene.proved(&alice(), "alice", "secret");
    scene.clock.advance(-1);
    assert!(!scene.knows("alice", "secret"), "a success that lies in the future");
    assert!(scene.memory.recall_of(&alice(), scene.clock.now().plus(1), WINDOW).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_pair_ends_it() {
    let scene = Scene::new();
    scene.proved(&alice(), "alice", "secret");
    scene.memory.wrong(&staff(), &digest("alice:guess"), Some("uuid-1"), &digest("guess"));
    assert!(scene.knows("alice", "secret"), "a stranger's guess ends nothing");
    scene.memory.wrong(&staff(), &digest("alice:secret"), None, &digest("secret"));
    assert!(!scene.knows("alice", "secret"));
    scene.wait(1).await;
    scene.proved(&alice(), "alice", "secret");
    scene.memory.wrong(&staff(), &digest("Alice@corp:secret"), Some("uuid-1"), &digest("secret"));
    assert!(!scene.knows("alice", "secret"), "the same password was refused under another spelling");
}

#[tokio::test(start_paused = true)]
async fn another_password_that_is_right_ends_the_one_before() {
    for marker in [Some(PasswordMarker("tuesday".to_owned())), alice().marker] {
        let scene = Scene::new();
        scene.proved(&alice(), "alice", "secret");
        scene.proved(&alice(), "alice@corp", "secret");
        assert!(scene.knows("alice", "secret") && scene.knows("alice@corp", "secret"));
        scene.wait(1).await;
        scene.proved(&Identity { marker, ..alice() }, "alice", "new");
        assert!(scene.knows("alice", "new"));
        assert!(!scene.knows("alice", "secret") && !scene.knows("alice@corp", "secret"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_marker_that_moved_ends_it_wherever_it_was_read() {
    let tuesday = Some(PasswordMarker("tuesday".to_owned()));
    let scene = Scene::new();
    scene.proved(&alice(), "alice", "secret");
    scene.memory.marked(&staff(), "uuid-1", alice().marker.as_ref());
    assert!(scene.knows("alice", "secret"));
    scene.memory.marked(&staff(), "uuid-1", tuesday.as_ref());
    assert!(!scene.knows("alice", "secret"));
    let looked = scene.clock.now();
    assert!(scene.memory.recall_of(&alice(), looked, WINDOW).is_none(), "nor is an identity token of the old password good");

    let scene = Scene::new();
    scene.proved(&alice(), "alice", "secret");
    scene.wait(1).await;
    scene.memory.seen(&alice(), scene.memory.now());
    assert!(scene.knows("alice", "secret"));
    scene.wait(1).await;
    scene.memory.seen(&Identity { marker: tuesday, ..alice() }, scene.memory.now());
    assert!(!scene.knows("alice", "secret"));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_ended_ends_every_pair_and_identity_token_of_it() {
    let scene = Scene::new();
    scene.proved(&alice(), "alice", "secret");
    scene.proved(&alice(), "alice@corp", "secret");
    let looked = scene.clock.now();
    assert!(scene.memory.recall_of(&alice(), looked, WINDOW).is_some());
    scene.wait(1).await;
    scene.memory.ended(&staff(), "uuid-1");
    assert!(!scene.knows("alice", "secret") && !scene.knows("alice@corp", "secret"));
    assert!(scene.memory.recall_of(&alice(), looked, WINDOW).is_none());
    let next = scene.memory.succeeding(&scene.memory);
    assert!(next.recall_of(&alice(), looked, WINDOW).is_none(), "a reload does not let them in again");
    assert!(next.recall_of(&alice(), looked.plus(2), WINDOW).is_none(), "a look that lies ahead");
    scene.wait(2).await;
    assert!(next.recall_of(&alice(), looked.plus(2), WINDOW).is_some(), "somebody looked again, and they were good");
    scene.proved(&alice(), "alice", "secret");
    assert!(scene.knows("alice", "secret"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_older_than_the_ending_brings_nobody_back() {
    let scene = Scene::new();
    let (asked, pair) = (scene.memory.now(), digest("alice:secret"));
    scene.wait(1).await;
    scene.memory.ended(&staff(), "uuid-1");
    let late = Proved { digest: &pair, name: "alice", account: None, secret: digest("secret"), asked };
    scene.memory.proved(&Arc::new(alice()), &late);
    assert!(!scene.knows("alice", "secret"));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_means_nobody_or_somebody_else_ends_it() {
    let scene = Scene::new();
    scene.proved(&alice(), "alice", "secret");
    let looked = scene.clock.now();
    scene.memory.nameless(&staff(), "nobody");
    assert!(scene.knows("alice", "secret"));
    scene.memory.nameless(&staff(), "alice");
    assert!(!scene.knows("alice", "secret"));
    assert!(scene.memory.recall_of(&alice(), looked, WINDOW).is_none());

    let scene = Scene::new();
    scene.proved(&alice(), "alice", "secret");
    scene.proved(&Identity { id: "uuid-2".to_owned(), ..alice() }, "alice", "another");
    assert!(!scene.knows("alice", "secret"), "the name is a new person's");
    assert!(scene.knows("alice", "another"));
}

#[tokio::test(start_paused = true)]
async fn groups_are_those_of_the_last_look_whoever_made_it() {
    let scene = Scene::new();
    scene.proved(&alice(), "alice", "secret");
    let looked = scene.clock.now();
    scene.wait(MINUTE).await;
    let barred = Identity { groups: vec![Group::named("barred")], ..alice() };
    scene.memory.seen(&barred, scene.memory.now());
    assert_eq!(scene.recalled("alice", "secret"), Some((barred.groups.clone(), 29 * MINUTE)), "and the time is that of the password");
    let (seen, left) = scene.memory.recall_of(&alice(), looked, WINDOW).unwrap();
    assert_eq!((seen.groups, left), (barred.groups, 29 * MINUTE));
}

#[tokio::test(start_paused = true)]
async fn what_an_account_is_bound_as_means_the_same_person() {
    let scene = Scene::new();
    let pair = digest("Alice:secret");
    let bound = Proved { digest: &pair, name: "alice", account: Some("alice"), secret: digest("secret"), asked: scene.memory.now() };
    scene.memory.proved(&Arc::new(alice()), &bound);
    assert!(scene.memory.recall(&pair, "alice", "staff", WINDOW).is_some());
    scene.memory.ended(&staff(), "alice");
    assert!(scene.memory.recall(&pair, "alice", "staff", WINDOW).is_none());
    assert!(scene.memory.recall_of(&alice(), scene.clock.now(), WINDOW).is_none());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_shielded_by_a_name_like_their_id() {
    let scene = Scene::new();
    scene.proved(&alice(), "alice", "secret");
    scene.proved(&Identity { id: "uuid-2".to_owned(), username: "uuid-1".to_owned(), ..alice() }, "uuid-1", "another");
    scene.memory.ended(&staff(), "uuid-1");
    assert!(!scene.knows("alice", "secret"));
    assert!(scene.memory.recall_of(&alice(), scene.clock.now(), WINDOW).is_none());
}

#[tokio::test(start_paused = true)]
async fn no_crowd_makes_it_grow_or_hides_an_ending() {
    let scene = Scene::new();
    let looked = scene.clock.now();
    scene.wait(1).await;
    for number in 0..1000 {
        let id = format!("uuid-{number}");
        scene.proved(&Identity { id: id.clone(), ..alice() }, &id, "secret");
        scene.memory.ended(&staff(), &id);
    }
    scene.memory.endings.ended.run_pending_tasks();
    scene.memory.pairs.run_pending_tasks();
    assert!(scene.memory.endings.ended.entry_count() <= 100 && scene.memory.pairs.entry_count() <= 100);
    for number in 0..1000 {
        let person = Identity { id: format!("uuid-{number}"), ..alice() };
        assert!(scene.memory.recall_of(&person, looked, WINDOW).is_none(), "{number} is let in though it was refused");
    }
}
