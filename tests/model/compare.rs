//! granted = requested ∩ permitted, and whatever else a decision says, against the model.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use std::{env, mem, thread};

use narrows::clock::Clock;
use narrows::registry::{ActionSet, ResourceScope};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use super::dice::Dice;
use super::model::{Model, asked};
use super::part::Part;
use super::rules::{Asker, Circumstances, Rulebook};
use super::{engine, generator};

/// One rule file is asked so many questions at most.
const QUESTIONS: usize = 80;
/// Rule files that one seed makes.
const FILES: u32 = 25;
/// How many cases there are without `NARROWS_PROVE`.
const CASES: u64 = 100_000;
const THREADS: u64 = 2;

/// Numbers for each question, for the head of a rule file, and for each of its rules. Shrinking starts with the first.
pub type Thrown = (Vec<Vec<u32>>, Vec<u32>, Vec<Vec<u32>>);

/// Rule files with questions.
pub fn thrown(questions: usize) -> impl Strategy<Value = Thrown> {
    (vec(vec(any::<u32>(), 110), 1..=questions), vec(any::<u32>(), 24), vec(vec(any::<u32>(), 90), 1..7))
}

/// The rules that some numbers make.
pub fn book(head: &[u32], rules: &[Vec<u32>]) -> Rulebook {
    let mut book = generator::book(&mut Dice::new(head));
    for thrown in rules {
        let rule = generator::rule(&mut Dice::new(thrown), &book);
        book.rules.push(rule);
    }
    book
}

/// One request.
#[derive(Clone, Debug)]
pub struct Question {
    pub asker: Option<Asker>,
    pub scopes: Vec<ResourceScope>,
    pub circumstances: Circumstances,
}

impl Question {
    pub fn new(dice: &mut Dice<'_>, book: &Rulebook) -> Self {
        let circumstances = generator::circumstances(dice, book);
        let asker = generator::asker(dice, book, circumstances.now);
        Self { scopes: generator::scopes(dice, book, asker.as_ref()), asker, circumstances }
    }
}

/// How often leaving out a part of the language made another answer of the model, and how often that was tried.
type Noticed = BTreeMap<Part, (u64, u64)>;

fn check((questions, head, rules): &Thrown, noticed: &mut Noticed) -> Result<(), TestCaseError> {
    let book = book(head, rules);
    let shown = || {
        book.texts().into_iter().fold(String::new(), |mut all, (text, within)| {
            let _ = writeln!(all, "within {within:?}: {text}");
            all
        })
    };
    let policy = engine::compile(&book).map_err(|findings| TestCaseError::fail(format!("{}\n{findings}", shown())))?;
    let model = Model { book: &book, left_out: None };
    let mut before: Option<Asker> = None;
    for question in questions {
        let mut dice = Dice::new(question);
        let Question { asker, scopes, circumstances } = Question::new(&mut dice, &book);
        let again = before.as_ref().filter(|_| dice.chance(25)).map(|before| generator::relative(&mut dice, before));
        let asker = again.or(asker);
        before.clone_from(&asker);
        let expected = model.answer(asker.as_ref(), &scopes, &circumstances);
        let decision = engine::decide(&policy, asker.as_ref(), &scopes, &circumstances);
        let about = || format!("{}\n{asker:?}\n{circumstances:?}\n{scopes:?}\n{decision:?}", shown());
        prop_assert_eq!(&engine::answer(&decision), &expected, "the product (left) and the model (right) differ\n{}", about());
        for grant in &decision.grants {
            let refused: ActionSet = grant.refused.iter().map(|(action, _)| *action).collect();
            let explained: ActionSet = grant.granted_by.iter().filter(|(_, rules)| !rules.is_empty()).map(|(action, _)| *action).collect();
            prop_assert_eq!((refused, explained), (asked(&grant.requested) - grant.granted, grant.granted), "unexplained\n{}", about());
        }
        // A token never outlives a change that takes away something of it.
        if let Some(later) = dice.below(2_000_000).checked_sub(1_000_000) {
            let mut then = circumstances;
            let left = expected.until.map_or(1_000_000, |until| until - circumstances.now - 59);
            then.now += i64::try_from(later).unwrap() % left;
            let still = engine::decide(&policy, asker.as_ref(), &scopes, &then);
            for (now, then) in decision.grants.iter().zip(&still.grants) {
                prop_assert!(then.granted.covers(now.granted), "gone {later} s later\n{}\n{still:?}", about());
            }
        }
        // The part that mattered least so far.
        let part =
            *Part::ALL.iter().min_by_key(|part| noticed.get(part).map_or((0, 0), |(tries, differences)| (*differences, *tries))).unwrap();
        let other = Model { left_out: Some(part), ..model }.answer(asker.as_ref(), &scopes, &circumstances);
        let (tries, differences) = noticed.entry(part).or_default();
        *tries += 1;
        *differences += u64::from(other != expected);
    }
    Ok(())
}

fn number(name: &str) -> Option<u64> {
    env::var_os(name).map(|value| value.to_str().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is no number")))
}

fn one_seed(seed: u64, noticed: &mut Noticed) -> Result<(), String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config =
        Config { cases: FILES, failure_persistence: None, max_shrink_iters: u32::MAX - 1, max_shrink_time: 20_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let noticed = Mutex::new(noticed);
    let outcome = runner.run(&thrown(QUESTIONS), |thrown| check(&thrown, &mut noticed.lock().unwrap_or_else(PoisonError::into_inner)));
    outcome.map_err(|error| match error {
        proptest::test_runner::TestError::Fail(reason, _) => reason.message().to_owned(),
        proptest::test_runner::TestError::Abort(reason) => format!("aborted: {reason}"),
    })
}

#[test]
fn every_decision_is_what_the_rules_say() {
    let wanted = number("NARROWS_PROVE").unwrap_or(CASES);
    let first = number("NARROWS_SEED").unwrap_or_else(|| u64::try_from(Clock::system().now().0).unwrap() << 20);
    println!("seed {first}, {wanted} cases");
    let started = Instant::now();
    let (next, cases, failed, noticed) = (AtomicU64::new(first), AtomicU64::new(0), Mutex::new(None), Mutex::new(Noticed::new()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let (mut own, mut counted) = (Noticed::new(), 0);
                while cases.load(Ordering::Relaxed) < wanted {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let outcome = one_seed(seed, &mut own);
                    // Each case leaves out one part.
                    let all: u64 = own.values().map(|(tries, _)| tries).sum();
                    cases.fetch_add(all - mem::replace(&mut counted, all), Ordering::Relaxed);
                    if let Err(reason) = outcome {
                        cases.store(wanted, Ordering::Relaxed);
                        *failed.lock().unwrap() = Some((seed, reason));
                    }
                }
                for (part, (tries, differences)) in own {
                    let mut all = noticed.lock().unwrap();
                    let entry = all.entry(part).or_default();
                    *entry = (entry.0 + tries, entry.1 + differences);
                }
            });
        }
    });
    if let Some((seed, reason)) = failed.into_inner().unwrap() {
        panic!("repeat it with NARROWS_SEED={seed} NARROWS_PROVE=1\n{reason}");
    }
    let cases = cases.into_inner();
    println!("{cases} cases in {:.1} s", started.elapsed().as_secs_f64());
    let noticed = noticed.into_inner().unwrap();
    println!("leaving out a part of the language changed the answer in so many of so many cases:");
    for (part, (tries, differences)) in &noticed {
        println!("  {part:?}: {differences} of {tries}");
    }
    if cases >= CASES {
        let idle: Vec<_> =
            Part::ALL.into_iter().filter(|part| noticed.get(part).is_none_or(|(_, differences)| *differences == 0)).collect();
        assert!(idle.is_empty(), "no case would notice that these are missing: {idle:?}");
    }
}
