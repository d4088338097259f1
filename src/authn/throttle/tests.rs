//! What strangers can use up, what is kept for the owner, and what outlives a restart.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::*;
use crate::authn::attempt::Bound;
use crate::clock::Timestamp;

const LIMITS: Limits = Limits { failures: 3, window: 1800, comparisons: 5, comparisons_window: 86_400, repeated: 600 };

fn source(address: &str) -> Source {
    Source::of(Some(address.parse().unwrap()))
}

/// A shield without a state, and its clock.
fn throttle() -> (Arc<Throttle>, Clock) {
    let clock = Clock::fixed(Timestamp(1_790_000_000));
    (Arc::new(Throttle::forgetting(clock.clone())), clock)
}

/// Tries a password at an account that has `right`; what came of it.
async fn bind(throttle: &Throttle, account: (&str, bool), from: &str, password: &str, right: &str) -> String {
    let outcome = if password == right { Bound::Proven } else { Bound::Wrong };
    attempt(throttle, account, from, password, outcome, "1").await
}

/// Tries a password at an account whose marker is this one; the directory says so.
async fn attempt(throttle: &Throttle, account: (&str, bool), from: &str, password: &str, outcome: Bound, marker: &str) -> String {
    let (secret, marker) = (SecretString::from(password), PasswordMarker(marker.to_owned()));
    let marker = (!marker.0.is_empty()).then_some(&marker);
    let bind = Bind { provider: "staff", id: account.0, exists: account.1, marker, password: &secret, source: source(from) };
    match throttle.may_bind(&bind, &LIMITS, Instant::now() + Duration::from_secs(8)).await {
        Ok(pass) => {
            throttle.came_to(&bind, pass, outcome, &LIMITS).await;
            match outcome {
                Bound::Proven => "right",
                Bound::Wrong => "wrong",
                Bound::LockedOut => "locked out",
                Bound::Restricted => "restricted",
                Bound::Unanswered => "unanswered",
                Bound::Unknown => "unknown",
            }
            .to_owned()
        }
        Err(Withheld::UsedUp { wait, .. }) => format!("used up {wait}"),
        Err(Withheld::Unanswered { wait }) => format!("unsure {wait}"),
        Err(Withheld::Unwritten) => "unwritten".to_owned(),
        Err(Withheld::Locked) => "locked".to_owned(),
    }
}

const ALICE: (&str, bool) = ("id-of-alice", true);
const OWNER: &str = "192.0.2.1";
const STRANGER: &str = "198.51.100.7";

#[tokio::test]
async fn strangers_use_up_their_share_and_the_owner_has_one_left() {
    let (throttle, clock) = throttle();
    assert_eq!(bind(&throttle, ALICE, OWNER, "old", "old").await, "right");
    for (password, expected) in [("a", "wrong"), ("b", "wrong"), ("c", "used up 1800"), ("old", "right")] {
        assert_eq!(bind(&throttle, ALICE, STRANGER, password, "old").await, expected, "{password}");
    }
    // That success reset the count, as a directory does.
    for (password, expected) in [("d", "wrong"), ("e", "wrong")] {
        assert_eq!(bind(&throttle, ALICE, "203.0.113.9", password, "new").await, expected);
    }
    assert_eq!(bind(&throttle, ALICE, "203.0.113.9", "new", "new").await, "used up 1800", "right or not");
    assert_eq!(bind(&throttle, ALICE, OWNER, "new", "new").await, "right", "a new password from a known source");
    clock.advance(1);
    for (password, expected) in [("f", "wrong"), ("g", "wrong"), ("h", "used up 1800")] {
        assert_eq!(bind(&throttle, ALICE, "203.0.113.9", password, "new").await, expected);
    }
    clock.advance(1799);
    assert_eq!(bind(&throttle, ALICE, "203.0.113.9", "i", "new").await, "used up 1");
    clock.advance(1);
    assert_eq!(bind(&throttle, ALICE, "203.0.113.9", "i", "new").await, "wrong", "forgotten");
}

#[tokio::test]
async fn a_machine_that_repeats_its_old_password_uses_up_nothing_of_the_kept_part() {
    let (throttle, _) = throttle();
    assert_eq!(bind(&throttle, ALICE, OWNER, "old", "old").await, "right");
    // The password is changed; what was right within a day gets its bind once.
    for expected in ["wrong", "wrong", "used up 1800", "used up 1800"] {
        assert_eq!(attempt(&throttle, ALICE, OWNER, "old", Bound::Wrong, "2").await, expected);
    }
    assert_eq!(attempt(&throttle, ALICE, OWNER, "new", Bound::Proven, "2").await, "right");
}

#[tokio::test]
async fn a_password_of_yesterday_takes_no_part_of_what_is_kept_for_the_new_one() {
    let (throttle, _) = throttle();
    assert_eq!(attempt(&throttle, ALICE, OWNER, "old", Bound::Proven, "1").await, "right");
    for (password, expected) in [("a", "wrong"), ("b", "wrong"), ("c", "used up 1800")] {
        assert_eq!(attempt(&throttle, ALICE, STRANGER, password, Bound::Wrong, "2").await, expected);
    }
    assert_eq!(attempt(&throttle, ALICE, OWNER, "old", Bound::Wrong, "2").await, "used up 1800", "the marker moved");
    assert_eq!(attempt(&throttle, ALICE, OWNER, "new", Bound::Proven, "2").await, "right");
}

#[tokio::test]
async fn a_colleague_behind_the_same_address_uses_up_what_is_kept_and_not_the_owners_password() {
    let (throttle, clock) = throttle();
    assert_eq!(bind(&throttle, ALICE, OWNER, "right", "right").await, "right");
    for (password, expected) in [("a", "wrong"), ("b", "wrong"), ("c", "wrong"), ("d", "used up 1800")] {
        assert_eq!(bind(&throttle, ALICE, OWNER, password, "right").await, expected);
    }
    assert_eq!(attempt(&throttle, ALICE, OWNER, "new", Bound::Proven, "2").await, "used up 1800", "the limit of what is kept");
    assert_eq!(bind(&throttle, ALICE, STRANGER, "right", "right").await, "right", "from anywhere, for a day");
    for password in ["a", "b", "c"] {
        assert_eq!(bind(&throttle, ALICE, OWNER, password, "right").await, "wrong");
        clock.advance(WAS_RIGHT / 3);
    }
    assert_eq!(bind(&throttle, ALICE, STRANGER, "right", "right").await, "right", "a day is over, and so is the window");
}

#[tokio::test]
async fn without_a_marker_one_password_of_yesterday_is_let_through_in_vain() {
    let (throttle, _) = throttle();
    for password in ["one", "two"] {
        assert_eq!(attempt(&throttle, ALICE, OWNER, password, Bound::Proven, "").await, "right");
    }
    for (password, expected) in [("a", "wrong"), ("b", "wrong"), ("c", "wrong"), ("d", "used up 1800"), ("one", "wrong")] {
        assert_eq!(attempt(&throttle, ALICE, OWNER, password, Bound::Wrong, "").await, expected);
    }
    assert_eq!(attempt(&throttle, ALICE, OWNER, "two", Bound::Wrong, "").await, "used up 1800");
}

#[tokio::test]
async fn what_the_directory_did_not_answer_counts_until_a_success() {
    let (throttle, clock) = throttle();
    let unanswered = async |password| attempt(&throttle, ALICE, STRANGER, password, Bound::Unanswered, "1").await;
    for (password, expected) in [("a", "unanswered"), ("a", "unanswered"), ("a", "unsure 1800"), ("b", "unsure 1800")] {
        assert_eq!(unanswered(password).await, expected, "an outage, and nothing that says that it was wrong");
    }
    clock.advance(1800);
    assert_eq!(unanswered("a").await, "unanswered");
    assert_eq!(bind(&throttle, ALICE, OWNER, "right", "right").await, "right", "the directory goes on");
    for _ in 0..9 {
        assert_eq!(unanswered("right").await, "unanswered", "the account's own password counts nowhere");
    }
    assert_eq!(bind(&throttle, ALICE, STRANGER, "b", "right").await, "wrong");
    assert_eq!(unanswered("c").await, "unanswered");
    assert_eq!(bind(&throttle, ALICE, STRANGER, "d", "right").await, "unsure 1800");
}

#[tokio::test]
async fn a_name_that_nobody_has_runs_out_as_one_that_somebody_has() {
    let (throttle, _) = throttle();
    for password in ["a", "b", "c", "a"] {
        let known = bind(&throttle, ALICE, STRANGER, password, "right").await;
        assert_eq!(bind(&throttle, ("mallory", false), STRANGER, password, "right").await, known, "{password}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_could_be_the_last_waits_for_those_under_way() {
    let (throttle, _) = throttle();
    let passwords: Vec<SecretString> = ["a", "b", "c"].map(SecretString::from).into();
    let bind = |number: usize| Bind {
        provider: "staff",
        id: "x",
        exists: true,
        marker: None,
        password: &passwords[number],
        source: source(STRANGER),
    };
    let soon = || Instant::now() + Duration::from_secs(8);
    assert_eq!(throttle.may_bind(&bind(0), &LIMITS, soon()).await, Ok(Pass::Counted));
    assert_eq!(throttle.may_bind(&bind(1), &LIMITS, soon()).await, Ok(Pass::Counted));
    let third = bind(2);
    let mut third = std::pin::pin!(throttle.may_bind(&third, &LIMITS, soon()));
    assert!(futures_util::poll!(&mut third).is_pending());
    throttle.came_to(&bind(0), Pass::Counted, Bound::Wrong, &LIMITS).await;
    assert!(futures_util::poll!(&mut third).is_pending(), "one failed, one is under way");
    throttle.came_to(&bind(1), Pass::Counted, Bound::Unknown, &LIMITS).await;
    assert_eq!(third.await, Ok(Pass::Counted), "it was not counted, so there is room");
    throttle.came_to(&bind(2), Pass::Counted, Bound::Wrong, &LIMITS).await;
    assert_eq!(throttle.may_bind(&bind(0), &LIMITS, soon()).await, Err(Withheld::UsedUp { wait: 1800, known: false }));
}

#[tokio::test]
async fn a_locked_account_is_not_asked_again_at_once_and_looks_like_any_other() {
    let (throttle, clock) = throttle();
    assert_eq!(bind(&throttle, ALICE, OWNER, "right", "right").await, "right");
    assert_eq!(attempt(&throttle, ALICE, STRANGER, "a", Bound::LockedOut, "1").await, "locked out");
    assert_eq!(bind(&throttle, ALICE, STRANGER, "b", "right").await, "locked");
    assert_eq!(bind(&throttle, ALICE, STRANGER, "c", "right").await, "used up 1800", "as a name that nobody has");
    assert_eq!(bind(&throttle, ALICE, OWNER, "right", "right").await, "locked");
    clock.advance(60);
    assert_eq!(bind(&throttle, ALICE, OWNER, "right", "right").await, "right");
}

#[tokio::test]
async fn an_equal_pair_is_counted_as_often_as_that_of_a_name_that_nobody_has() {
    for outcome in [Bound::LockedOut, Bound::Restricted] {
        let (throttle, clock) = throttle();
        for _ in 0..10 {
            assert!(attempt(&throttle, ALICE, STRANGER, "a", outcome, "1").await.starts_with(if outcome == Bound::LockedOut {
                "lock"
            } else {
                "rest"
            }));
            clock.advance(59);
        }
        // Ten minutes later the answer to an unknown name is forgotten, and it is counted again.
        clock.advance(10);
        assert_ne!(attempt(&throttle, ALICE, STRANGER, "a", outcome, "1").await, "used up 1800", "{outcome:?}");
        assert_eq!(attempt(&throttle, ALICE, STRANGER, "b", outcome, "1").await, "used up 1800", "{outcome:?}");
    }
}

#[tokio::test]
async fn one_search_tells_all_guesses_whether_the_password_is_another() {
    let (throttle, clock) = throttle();
    let searches = std::cell::Cell::new(0);
    let moved = async |from: &str, now: Option<&str>| {
        let read = async {
            searches.set(searches.get() + 1);
            now.map(|now| PasswordMarker(now.to_owned()))
        };
        throttle.has_moved(("staff", "id-of-alice"), &PasswordMarker(from.to_owned()), read).await
    };
    for _ in 0..100 {
        assert!(!moved("1", Some("1")).await);
    }
    assert!(moved("0", Some("1")).await, "refused with an earlier one");
    assert_eq!(searches.get(), 1);
    clock.advance(10);
    assert!(moved("1", Some("2")).await);
    clock.advance(10);
    assert!(!moved("1", None).await, "a directory that cannot be asked says nothing");
    assert_eq!(searches.get(), 3);
}

#[tokio::test]
async fn different_wrong_passwords_count_and_equal_ones_do_not() {
    let (throttle, clock) = throttle();
    let guess = |from: &str, pair: Pair| throttle.enter("alice", source(from), pair, LIMITS);
    for _ in 0..100 {
        guess(OWNER, 1).unwrap_or_else(|_| panic!()).was_wrong();
    }
    for pair in 2..=5 {
        guess(OWNER, pair).unwrap_or_else(|_| panic!()).was_wrong();
    }
    assert_eq!(guess(OWNER, 6).err(), Some((Step::Comparisons, 86_400)));
    assert_eq!(guess(OWNER, 1).err(), Some((Step::Comparisons, 86_400)), "also what was counted");
    drop(guess(STRANGER, 6).unwrap_or_else(|_| panic!()));
    assert!(throttle.enter("bob", source(OWNER), 1, LIMITS).is_ok(), "another name");
    clock.advance(86_400);
    assert!(guess(OWNER, 7).is_ok());
}

#[tokio::test]
async fn guesses_at_the_same_time_are_no_way_around() {
    let (throttle, _) = throttle();
    let guesses: Vec<_> = (0..20).filter_map(|pair| throttle.enter("alice", source(STRANGER), pair, LIMITS).ok()).collect();
    assert_eq!(guesses.len(), 5);
    let equal: Vec<_> = (0..5000).filter_map(|_| throttle.enter("bob", source(STRANGER), 1, LIMITS).ok()).collect();
    assert_eq!(equal.len(), 5000, "one password is one guess");
}

#[tokio::test]
async fn all_strangers_share_and_a_known_source_does_not() {
    let (throttle, _) = throttle();
    throttle.enter("alice", source(OWNER), 0, LIMITS).unwrap_or_else(|_| panic!()).was_right().await;
    let mut passed = 0;
    for number in 0..100_u8 {
        if let Ok(guess) = throttle.enter("alice", source(&format!("198.51.100.{number}")), 1000 + u64::from(number), LIMITS) {
            guess.was_wrong();
            passed += 1;
        }
    }
    assert_eq!(passed, 50);
    assert_eq!(throttle.enter("alice", source("203.0.113.1"), 0, LIMITS).err(), Some((Step::Strangers, 86_400)));
    assert!(throttle.enter("alice", source(OWNER), 0, LIMITS).is_ok());
}

#[tokio::test]
async fn a_million_names_leave_a_victims_counters() {
    let (throttle, _) = throttle();
    for pair in 0..5 {
        throttle.enter("alice", source(STRANGER), pair, LIMITS).unwrap_or_else(|_| panic!()).was_wrong();
    }
    for number in 0..1_000_000_u32 {
        let name = format!("n{number}");
        throttle.enter(&name, source(STRANGER), 1, LIMITS).unwrap_or_else(|_| panic!()).was_wrong();
    }
    assert!(throttle.enter("alice", source(STRANGER), 9, LIMITS).is_err());
}

async fn remembering(folder: &std::path::Path, clock: &Clock) -> Throttle {
    let key = StateKey::open_or_create(&folder.join("state.key")).unwrap();
    let store = Store::open(&folder.join("state.db"), &key).await.unwrap();
    Throttle::remembering(store, &key, clock.clone()).await.unwrap()
}

#[tokio::test]
async fn a_restart_forgets_neither_failures_nor_sources_and_an_altered_row_is_used_up() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(Timestamp(1_790_000_000));
    let first = remembering(folder.path(), &clock).await;
    assert_eq!(bind(&first, ALICE, OWNER, "old", "old").await, "right");
    for password in ["a", "b"] {
        assert_eq!(bind(&first, ALICE, STRANGER, password, "old").await, "wrong");
    }
    assert_eq!(bind(&first, ("id-of-bob", true), STRANGER, "a", "x").await, "wrong");
    drop(first);
    let second = remembering(folder.path(), &clock).await;
    assert_eq!(bind(&second, ALICE, STRANGER, "c", "new").await, "used up 1800");
    assert_eq!(bind(&second, ("id-of-bob", true), STRANGER, "b", "x").await, "wrong");
    drop(second);
    let raw = sqlx::SqlitePool::connect(&format!("sqlite:{}", folder.path().join("state.db").display())).await.unwrap();
    let altered = sqlx::query("UPDATE failed_binds SET failures = 0").execute(&raw).await.unwrap();
    assert_eq!(altered.rows_affected(), 2);
    raw.close().await;
    let third = remembering(folder.path(), &clock).await;
    for account in [ALICE, ("id-of-bob", true)] {
        assert_eq!(bind(&third, account, STRANGER, "d", "new").await, "used up 1800");
    }
    assert_eq!(bind(&third, ALICE, OWNER, "new", "new").await, "used up 1800", "nobody knows how many there were");
    clock.advance(1800);
    assert_eq!(bind(&third, ALICE, OWNER, "new", "new").await, "right");
}

#[tokio::test]
async fn a_state_that_cannot_be_written_stops_strangers_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(Timestamp(1_790_000_000));
    let throttle = remembering(folder.path(), &clock).await;
    assert_eq!(bind(&throttle, ALICE, OWNER, "right", "right").await, "right");
    let raw = sqlx::SqlitePool::connect(&format!("sqlite:{}", folder.path().join("state.db").display())).await.unwrap();
    sqlx::query("ALTER TABLE failed_binds RENAME TO away").execute(&raw).await.unwrap();
    assert_eq!(throttle.trouble(), None);
    assert_eq!(bind(&throttle, ALICE, STRANGER, "a", "right").await, "unwritten", "it does not leave");
    assert_eq!(bind(&throttle, ("id-of-bob", true), OWNER, "right", "right").await, "unwritten");
    assert!(throttle.trouble().is_some());
    assert_eq!(bind(&throttle, ALICE, STRANGER, "b", "right").await, "unwritten");
    assert_eq!(bind(&throttle, ("mallory", false), STRANGER, "b", "right").await, "unwritten", "as a name that nobody has");
    assert_eq!(bind(&throttle, ALICE, OWNER, "right", "right").await, "right");
    assert_eq!(attempt(&throttle, ALICE, OWNER, "a", Bound::Wrong, "1").await, "wrong", "who is known goes on");
    sqlx::query("ALTER TABLE away RENAME TO failed_binds").execute(&raw).await.unwrap();
    // Somebody else's try writes what is missing.
    assert_eq!(bind(&throttle, ("id-of-bob", true), STRANGER, "c", "right").await, "wrong");
    assert_eq!(throttle.trouble(), None);
    drop(throttle);
    let second = remembering(folder.path(), &clock).await;
    assert_eq!(bind(&second, ALICE, STRANGER, "d", "right").await, "wrong");
    assert_eq!(bind(&second, ALICE, STRANGER, "e", "right").await, "used up 1800", "the owner's failure was written as well");
}

#[tokio::test]
async fn what_is_under_way_when_the_process_ends_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(Timestamp(1_790_000_000));
    let first = remembering(folder.path(), &clock).await;
    let secret = SecretString::from("a");
    for id in [ALICE.0, "id-of-bob"] {
        for _ in 0..2 {
            let bind = Bind { provider: "staff", id, exists: true, marker: None, password: &secret, source: source(STRANGER) };
            assert_eq!(first.may_bind(&bind, &LIMITS, Instant::now()).await, Ok(Pass::Counted));
        }
    }
    drop(first);
    let second = remembering(folder.path(), &clock).await;
    assert_eq!(bind(&second, ALICE, STRANGER, "b", "right").await, "used up 1800");
}

#[tokio::test]
async fn a_restart_knows_the_password_that_a_machine_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(Timestamp(1_790_000_000));
    let first = remembering(folder.path(), &clock).await;
    assert_eq!(bind(&first, ALICE, OWNER, "right", "right").await, "right");
    assert_eq!(bind(&first, ALICE, OWNER, "stale", "right").await, "wrong");
    assert_eq!(bind(&first, ALICE, STRANGER, "a", "right").await, "wrong");
    drop(first);
    let second = remembering(folder.path(), &clock).await;
    for _ in 0..3 {
        assert_eq!(bind(&second, ALICE, OWNER, "stale", "right").await, "used up 1800");
    }
    assert_eq!(bind(&second, ALICE, OWNER, "new", "new").await, "right");
}

#[tokio::test]
async fn failures_at_the_same_time_are_written_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(Timestamp(1_790_000_000));
    let first = remembering(folder.path(), &clock).await;
    let names: Vec<String> = (0..300).map(|number| format!("name {number}")).collect();
    let tries = names.iter().flat_map(|name| ["a", "b"].map(|password| bind(&first, (name, true), STRANGER, password, "right")));
    for outcome in futures_util::future::join_all(tries).await {
        assert_eq!(outcome, "wrong");
    }
    drop(first);
    let second = remembering(folder.path(), &clock).await;
    for name in &names {
        assert_eq!(bind(&second, (name, true), STRANGER, "c", "right").await, "used up 1800", "{name}");
    }
}

#[tokio::test]
async fn what_leaves_the_memory_leaves_the_state() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(Timestamp(1_790_000_000));
    let mut throttle = remembering(folder.path(), &clock).await;
    throttle.known = Mutex::new(Bounded::new(5));
    for number in 0..20 {
        assert_eq!(bind(&throttle, (&format!("id {number}"), true), OWNER, "right", "right").await, "right");
    }
    let kept = throttle.memory.store().unwrap().known_sources().await.unwrap();
    assert_eq!(kept.len(), 5);
}
