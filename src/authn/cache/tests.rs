//! What is remembered and shared, and above all what is not.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::sync::Notify;

use super::*;
use crate::authn::identity::{IdentityClaims, Kind, Method, SecondFactor};
use crate::clock::Timestamp;
use crate::source::{Located, Period};

fn cache_of(change: impl FnOnce(&mut CacheSettings)) -> Arc<CredentialCache> {
    let mut settings = CacheSettings::default();
    change(&mut settings);
    Arc::new(CredentialCache::new(&settings).unwrap())
}

fn cache() -> Arc<CredentialCache> {
    cache_of(|_| ())
}

fn digest(cache: &CredentialCache, password: &str) -> Digest {
    cache.digest(&["staff"], "alice", &SecretString::from(password))
}

fn success() -> Answer {
    Answer::Verified(
        Arc::new(Identity {
            realm: Arc::from("corp"),
            provider: Arc::from("staff"),
            id: "1".to_owned(),
            username: "alice".to_owned(),
            groups: Vec::new(),
            kind: Kind::Person,
            method: Method::Password,
            proven: Timestamp(0),
            marker: None,
            claims: IdentityClaims::new(),
            second_factor: SecondFactor::Unknown,
        }),
        Handout::ForAll(None),
    )
}

/// A success with this handout.
fn with_handout(handout: Handout) -> Answer {
    let Answer::Verified(identity, _) = success() else { panic!("a success") };
    Answer::Verified(identity, handout)
}

fn failure(rejection: Option<Rejection>) -> Answer {
    Answer::Refused(Refused { provider: None, rejection, tried: None })
}

type Asked = Result<Answer, Unavailable>;

fn outage() -> Asked {
    Err(Unavailable {
        provider: "staff".to_owned(),
        reason: "down".to_owned(),
        retry_after: Duration::from_secs(5),
        is_misconfigured: false,
    })
}

/// Asks for one password; `answer` is what the provider says, `asked` how often it was asked.
async fn look_up(
    cache: &Arc<CredentialCache>,
    freshness: Freshness,
    asked: &Arc<AtomicUsize>,
    answer: fn() -> Asked,
) -> Result<Found, Unavailable> {
    let look_up = LookUp { digest: digest(cache, "x"), provider: "staff", freshness, deadline: Instant::now() + Duration::from_mins(1) };
    let ask = || {
        let asked = Arc::clone(asked);
        async move {
            asked.fetch_add(1, Ordering::SeqCst);
            // Everybody has time to join.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            answer()
        }
    };
    cache.look_up(&look_up, ask, |_| async { false }).await
}

fn word(found: &Result<Found, Unavailable>) -> String {
    match found {
        Ok(Found { answer: Answer::Verified(..), cached, .. }) => format!("verified {cached}"),
        Ok(Found { answer: Answer::Refused(refused), cached, .. }) => {
            format!("{} {cached}", refused.rejection.map_or("unknown", Rejection::as_str))
        }
        Ok(Found { answer: Answer::Throttled { .. }, .. }) => "throttled".to_owned(),
        Err(_) => "unavailable".to_owned(),
    }
}

#[tokio::test]
async fn equal_look_ups_are_one_whatever_they_are_for() {
    for answer in [
        (|| Ok(success())) as fn() -> Asked,
        || Ok(failure(Some(Rejection::WrongPassword))),
        || Ok(failure(Some(Rejection::Disabled))),
        outage,
    ] {
        let (cache, asked) = (cache(), Arc::default());
        let all = (0..100).map(|number| {
            let freshness = if number % 2 == 0 { Freshness::CacheAllowed } else { Freshness::AskNow };
            look_up(&cache, freshness, &asked, answer)
        });
        let found = join_all(all).await;
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert!(found.iter().all(|it| word(it) == word(&found[0])));
    }
}

#[tokio::test]
async fn only_what_is_about_the_pair_is_remembered() {
    for (answer, asked_twice, second) in [
        ((|| Ok(success())) as fn() -> Asked, 1, "verified true"),
        (|| Ok(failure(None)), 1, "unknown true"),
        (|| Ok(failure(Some(Rejection::WrongPassword))), 1, "wrong_password true"),
        (|| Ok(failure(Some(Rejection::Disabled))), 2, "disabled false"),
        (|| Ok(failure(Some(Rejection::Locked))), 2, "locked false"),
        (|| Ok(failure(Some(Rejection::Expired))), 2, "expired false"),
        (|| Ok(failure(Some(Rejection::MustChange))), 2, "must_change false"),
        (|| Ok(failure(Some(Rejection::Grace))), 2, "grace false"),
        (|| Ok(failure(Some(Rejection::Restricted))), 2, "restricted false"),
        (|| Ok(failure(Some(Rejection::Ambiguous))), 1, "ambiguous true"),
        (|| Ok(failure(Some(Rejection::Source))), 2, "source false"),
        (outage, 2, "unavailable"),
    ] {
        let (cache, asked) = (cache(), Arc::default());
        look_up(&cache, Freshness::CacheAllowed, &asked, answer).await.ok();
        assert_eq!(word(&look_up(&cache, Freshness::CacheAllowed, &asked, answer).await), second);
        assert_eq!(asked.load(Ordering::SeqCst), asked_twice, "{second}");
    }
}

#[tokio::test]
async fn a_success_that_lasts_is_never_a_remembered_one() {
    let (cache, asked) = (cache(), Arc::default());
    for times in 1..=3 {
        assert_eq!(word(&look_up(&cache, Freshness::AskNow, &asked, || Ok(success())).await), "verified false");
        assert_eq!(asked.load(Ordering::SeqCst), times);
    }
    assert_eq!(word(&look_up(&cache, Freshness::CacheAllowed, &asked, || Ok(success())).await), "verified true");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_wrong_pair_is_not_sent_again_for_a_fresh_look_either() {
    let (cache, asked) = (cache(), Arc::default());
    let wrong = || Ok(failure(Some(Rejection::WrongPassword)));
    look_up(&cache, Freshness::CacheAllowed, &asked, wrong).await.ok();
    assert_eq!(word(&look_up(&cache, Freshness::AskNow, &asked, wrong).await), "wrong_password true");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// Ten requests that keep a renewal, and ten that do not; how often was asked, and the renewals that were handed out.
async fn handed_out(answer: fn() -> Asked) -> (usize, Vec<Renewal>) {
    let (cache, asked) = (cache(), Arc::default());
    let all = (0..20).map(|number| {
        let freshness = if number % 2 == 0 { Freshness::CacheAllowed } else { Freshness::AskNow };
        look_up(&cache, freshness, &asked, answer)
    });
    let found = join_all(all).await.into_iter().map(Result::unwrap);
    (asked.load(Ordering::SeqCst), found.filter_map(|found| found.renewal).collect())
}

#[tokio::test]
async fn a_renewal_goes_to_one_of_those_who_keep_it() {
    assert_eq!(handed_out(|| Ok(with_handout(Handout::once(vec![1].into())))).await, (10, vec![vec![1].into(); 10]));
    assert_eq!(handed_out(|| Ok(with_handout(Handout::ForAll(Some(vec![1].into()))))).await, (1, vec![vec![1].into(); 10]));
    assert_eq!(handed_out(|| Ok(success())).await, (1, Vec::new()));
}

#[tokio::test]
async fn who_keeps_a_renewal_asks_again_where_none_was_asked_for() {
    let (cache, asked) = (cache(), Arc::default());
    let plain = look_up(&cache, Freshness::CacheAllowed, &asked, || Ok(with_handout(Handout::NotAskedFor)));
    let keeps = look_up(&cache, Freshness::AskNow, &asked, || Ok(with_handout(Handout::once(vec![1].into()))));
    let (plain, keeps) = tokio::join!(plain, keeps);
    assert_eq!((word(&plain), plain.unwrap().renewal), ("verified false".to_owned(), None));
    assert_eq!((word(&keeps), keeps.unwrap().renewal), ("verified false".to_owned(), Some(vec![1].into())));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_beyond_the_deadline_for_a_renewal() {
    let (cache, asked) = (cache(), Arc::new(AtomicUsize::new(0)));
    let look_up = LookUp {
        digest: digest(&cache, "x"),
        provider: "staff",
        freshness: Freshness::AskNow,
        deadline: Instant::now() + Duration::from_secs(5),
    };
    let ask = || {
        let asked = Arc::clone(&asked);
        async move {
            asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(with_handout(Handout::NotAskedFor))
        }
    };
    let found = cache.look_up(&look_up, ask, |_| async { false }).await;
    assert_eq!(word(&found), "unavailable");
    assert!((4..=6).contains(&asked.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn a_fresh_look_that_joined_a_remembered_success_asks_again() {
    let (cache, asked) = (cache(), Arc::new(AtomicUsize::new(0)));
    let go = Arc::new(Notify::new());
    let (first, joined) = cache.flights.join_or_start(&digest(&cache, "x"), {
        let go = Arc::clone(&go);
        move || async move {
            go.notified().await;
            Ok(Found::new(success(), true))
        }
    });
    assert!(!joined);
    let fresh = look_up(&cache, Freshness::AskNow, &asked, || Ok(success()));
    let (_, fresh) = tokio::join!(
        async {
            tokio::task::yield_now().await;
            go.notify_one();
            first.await
        },
        fresh
    );
    assert_eq!(word(&fresh), "verified false");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_newest_answer_replaces_an_older_one() {
    let (cache, asked) = (cache(), Arc::default());
    look_up(&cache, Freshness::CacheAllowed, &asked, || Ok(success())).await.ok();
    look_up(&cache, Freshness::AskNow, &asked, || Ok(failure(Some(Rejection::Disabled)))).await.ok();
    assert_eq!(word(&look_up(&cache, Freshness::CacheAllowed, &asked, outage).await), "unavailable", "the success is forgotten");
}

#[tokio::test]
async fn nobody_joins_a_flight_whose_answer_is_known() {
    let flights = Arc::new(Flights::<u32>::default());
    let digest = digest(&cache(), "x");
    let (flight, joined) = flights.join_or_start(&digest, || async { 1 });
    assert_eq!((flight.await, joined), (Ok(1), false));
    let (flight, joined) = flights.join_or_start(&digest, || async { 2 });
    assert_eq!((flight.await, joined), (Ok(2), false));
}

#[tokio::test]
async fn a_look_up_that_panics_is_an_outage_and_does_not_stay() {
    let (cache, asked) = (cache(), Arc::default());
    assert_eq!(word(&look_up(&cache, Freshness::CacheAllowed, &asked, || panic!("in a provider")).await), "unavailable");
    assert_eq!(word(&look_up(&cache, Freshness::CacheAllowed, &asked, || Ok(success())).await), "verified false");
}

#[tokio::test(start_paused = true)]
async fn everybody_waits_until_their_own_deadline_and_no_longer() {
    let cache = cache();
    let started = Instant::now();
    let waiting = |seconds| {
        let cache = Arc::clone(&cache);
        async move {
            let (digest, deadline) = (digest(&cache, "x"), started + Duration::from_secs(seconds));
            let look_up = LookUp { digest, provider: "staff", freshness: Freshness::CacheAllowed, deadline };
            let error = cache.look_up(&look_up, pending, |_| async { false }).await.unwrap_err();
            (error.to_string(), started.elapsed().as_secs())
        }
    };
    let expected = "provider `staff` cannot be asked: no answer before the request's deadline".to_owned();
    assert_eq!(tokio::join!(waiting(8), waiting(3)), ((expected.clone(), 8), (expected, 3)));
}

#[tokio::test]
async fn each_cache_is_bounded_by_itself() {
    let cache = cache_of(|settings| {
        settings.max_verified = Located::nowhere(10);
        settings.max_rejected = Located::nowhere(5);
    });
    let (Some(good), Some(bad)) = (&cache.verified, &cache.rejected) else { panic!("both are on") };
    cache.keep(digest(&cache, "right"), &success()).await;
    good.run_pending_tasks().await;
    for number in 0..1000 {
        cache.keep(digest(&cache, &number.to_string()), &failure(None)).await;
    }
    bad.run_pending_tasks().await;
    assert!(bad.entry_count() <= 5, "{}", bad.entry_count());
    assert!(good.get(&digest(&cache, "right")).await.is_some(), "a flood of wrong pairs evicts no right one");
    for number in 0..1000 {
        cache.keep(digest(&cache, &number.to_string()), &success()).await;
    }
    good.run_pending_tasks().await;
    assert!(good.entry_count() <= 10, "{}", good.entry_count());
}

#[tokio::test]
async fn a_lifetime_of_zero_remembers_nothing() {
    let cache = cache_of(|settings| {
        settings.verified = Located::nowhere(Period::seconds(0));
        settings.rejected = Located::nowhere(Period::seconds(0));
    });
    let asked = Arc::default();
    for _ in 0..2 {
        assert_eq!(word(&look_up(&cache, Freshness::CacheAllowed, &asked, || Ok(success())).await), "verified false");
        assert_eq!(word(&look_up(&cache, Freshness::CacheAllowed, &asked, || Ok(failure(None))).await), "unknown false");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

proptest! {
    #[test]
    fn different_look_ups_have_different_digests(
        left in (prop::collection::vec("[ab]{0,2}", 0..3), "[ab]{0,3}", "[ab]{0,3}"),
        right in (prop::collection::vec("[ab]{0,2}", 0..3), "[ab]{0,3}", "[ab]{0,3}"),
    ) {
        let cache = cache();
        let of = |(route, username, password): &(Vec<String>, String, String)| {
            let route: Vec<&str> = route.iter().map(String::as_str).collect();
            cache.digest(&route, username, &SecretString::from(password.as_str()))
        };
        prop_assert_eq!(of(&left) == of(&right), left == right);
    }
}
