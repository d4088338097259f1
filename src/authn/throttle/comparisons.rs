//! The first step: how many different wrong passwords came for a name, from one source and from all strangers together.

use std::collections::VecDeque;

use super::bounded::{Bounded, Weighed};
use super::{Key, Limits};

/// A counter remembers so many of the passwords that it counted, so that one that comes again is not a guess again.
const REMEMBERED: usize = 64;

/// Both counters of 65536 names.
const CAPACITY: usize = 131_072;

/// A name and a password, shortened from their HMAC.
pub(super) type Pair = u64;

#[derive(Debug, Default)]
struct Counter {
    counted: u32,
    /// When the first one was counted; all are forgotten together.
    since: i64,
    recent: VecDeque<Pair>,
    /// Those that are being compared, and by how many requests.
    under_way: Vec<(Pair, u32)>,
}

impl Weighed for Counter {
    type Weight = (bool, u32, i64);
    fn weight(&self) -> Self::Weight {
        (!self.under_way.is_empty(), self.counted, self.since)
    }
}

/// A counter and what it may reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) key: Key,
    pub(super) at_most: u32,
}

#[derive(Debug)]
pub(super) struct Comparisons(Bounded<Counter>);

impl Default for Comparisons {
    fn default() -> Self {
        Self(Bounded::new(CAPACITY))
    }
}

impl Comparisons {
    /// Lets a pair pass, or says in how many seconds it makes sense to ask again. What is under way may turn out wrong,
    /// so it takes a place until it ends.
    pub(super) fn enter(&mut self, counters: &[Counted], pair: Pair, limits: &Limits, now: i64) -> Result<(), i64> {
        for Counted { key, at_most } in counters {
            let Some(counter) = self.0.get_mut(key) else { continue };
            let ends = counter.since.saturating_add(limits.comparisons_window);
            if ends <= now {
                (counter.counted, counter.since) = (0, now);
                counter.recent.clear();
            }
            if counter.counted >= *at_most {
                return Err(ends.saturating_sub(now));
            }
            let known = counter.recent.contains(&pair) || counter.under_way.iter().any(|(other, _)| *other == pair);
            let under_way = u32::try_from(counter.under_way.len()).unwrap_or(u32::MAX);
            if !known && counter.counted.saturating_add(under_way) >= *at_most {
                return Err(1);
            }
        }
        for Counted { key, .. } in counters {
            if self.0.get(key).is_none() {
                self.0.insert(*key, Counter { since: now, ..Counter::default() });
            }
            let Some(counter) = self.0.get_mut(key) else { continue };
            match counter.under_way.iter_mut().find(|(other, _)| *other == pair) {
                Some((_, requests)) => *requests = requests.saturating_add(1),
                None => counter.under_way.push((pair, 1)),
            }
        }
        Ok(())
    }

    /// The pair's answer is known. What nothing was counted of is not kept.
    pub(super) fn leave(&mut self, counters: &[Counted], pair: Pair, wrong: bool, now: i64) {
        for Counted { key, .. } in counters {
            let Some(counter) = self.0.get_mut(key) else { continue };
            if let Some(place) = counter.under_way.iter().position(|(other, _)| *other == pair)
                && let Some((_, requests)) = counter.under_way.get_mut(place)
            {
                *requests = requests.saturating_sub(1);
                if *requests == 0 {
                    counter.under_way.swap_remove(place);
                }
            }
            if wrong && !counter.recent.contains(&pair) {
                if counter.counted == 0 {
                    counter.since = now;
                }
                counter.counted = counter.counted.saturating_add(1);
                counter.recent.push_back(pair);
                if counter.recent.len() > REMEMBERED {
                    counter.recent.pop_front();
                }
            }
            if counter.counted == 0 && counter.under_way.is_empty() {
                self.0.remove(key);
            }
        }
    }

    pub(super) fn purge(&mut self, limits: &Limits, now: i64) {
        self.0.retain(|counter| !counter.under_way.is_empty() || counter.since.saturating_add(limits.comparisons_window) > now);
    }
}
