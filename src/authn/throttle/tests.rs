//! What strangers can use up, what is kept for the owner, and what outlives a restart.

use std::time::Duration;

use super::*;
use crate::clock::Timestamp;

const LIMITS: Limits = Limits { failures: 3, window: 1800, comparisons: 5, comparisons_window: 86_400 };

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
    let secret = SecretString::from(password);
    let bind = Bind { provider: "staff", id: account.0, exists: account.1, password: &secret, source: source(from) };
    match throttle.may_bind(&bind, &LIMITS, Instant::now() + Duration::from_secs(8)).await {
        Ok(()) if password == right => {
            throttle.succeeded(&bind).await;
            "right".to_owned()
        }
        Ok(()) => {
            throttle.failed(&bind).await;
            "wrong".to_owned()
        }
        Err(Withheld::UsedUp { wait, .. }) => format!("used up {wait}"),
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
        assert_eq!(bind(&throttle, ALICE, OWNER, "old", "new").await, expected);
    }
    assert_eq!(bind(&throttle, ALICE, OWNER, "new", "new").await, "right");
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
    let bind = |number: usize| Bind { provider: "staff", id: "x", exists: true, password: &passwords[number], source: source(STRANGER) };
    let soon = || Instant::now() + Duration::from_secs(8);
    throttle.may_bind(&bind(0), &LIMITS, soon()).await.unwrap();
    throttle.may_bind(&bind(1), &LIMITS, soon()).await.unwrap();
    let third = bind(2);
    let mut third = std::pin::pin!(throttle.may_bind(&third, &LIMITS, soon()));
    assert!(futures_util::poll!(&mut third).is_pending());
    throttle.failed(&bind(0)).await;
    assert!(futures_util::poll!(&mut third).is_pending(), "one failed, one is under way");
    throttle.ended(&bind(1));
    assert_eq!(third.await, Ok(()), "it was not counted, so there is room");
    throttle.failed(&bind(2)).await;
    assert_eq!(throttle.may_bind(&bind(0), &LIMITS, soon()).await, Err(Withheld::UsedUp { wait: 1800, known: false }));
}

#[tokio::test]
async fn a_locked_account_is_not_asked_again_at_once_and_looks_like_any_other() {
    let (throttle, clock) = throttle();
    assert_eq!(bind(&throttle, ALICE, OWNER, "right", "right").await, "right");
    let secret = SecretString::from("a");
    let first = Bind { provider: "staff", id: ALICE.0, exists: true, password: &secret, source: source(STRANGER) };
    throttle.may_bind(&first, &LIMITS, Instant::now()).await.unwrap();
    throttle.locked_out(&first).await;
    assert_eq!(bind(&throttle, ALICE, STRANGER, "b", "right").await, "locked");
    assert_eq!(bind(&throttle, ALICE, STRANGER, "c", "right").await, "used up 1800", "as a name that nobody has");
    assert_eq!(bind(&throttle, ALICE, OWNER, "right", "right").await, "locked");
    clock.advance(60);
    assert_eq!(bind(&throttle, ALICE, OWNER, "right", "right").await, "right");
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
    assert_eq!(bind(&throttle, ALICE, STRANGER, "a", "right").await, "wrong");
    assert!(throttle.trouble().is_some());
    assert!(bind(&throttle, ALICE, STRANGER, "b", "right").await.starts_with("used up"));
    assert_eq!(bind(&throttle, ALICE, OWNER, "right", "right").await, "right");
    sqlx::query("ALTER TABLE away RENAME TO failed_binds").execute(&raw).await.unwrap();
    assert_eq!(bind(&throttle, ALICE, STRANGER, "c", "right").await, "wrong");
    assert_eq!(throttle.trouble(), None);
}
