//! A map of a fixed size. Who has to leave is the least of a random sample, so that a flood of new keys pushes out other
//! new keys and not a key that weighs something.

use std::collections::HashMap;

use super::Key;

/// So many are compared when one has to leave. That a heavy one is the least of them is as unlikely as it sounds.
const SAMPLE: usize = 8;

/// What an entry weighs: the least one leaves first.
pub(super) trait Weighed {
    type Weight: Ord;
    fn weight(&self) -> Self::Weight;
}

/// Keys are HMACs: nobody can aim at a place.
#[derive(Debug)]
pub(super) struct Bounded<V> {
    capacity: usize,
    places: HashMap<Key, usize>,
    entries: Vec<(Key, V)>,
}

impl<V: Weighed> Bounded<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), places: HashMap::new(), entries: Vec::new() }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&V> {
        self.places.get(key).and_then(|place| self.entries.get(*place)).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut V> {
        self.places.get(key).and_then(|place| self.entries.get_mut(*place)).map(|(_, value)| value)
    }

    /// Puts a value in; the key that had to leave for it.
    pub(super) fn insert(&mut self, key: Key, value: V) -> Option<Key> {
        if let Some(present) = self.get_mut(&key) {
            *present = value;
            return None;
        }
        let left = if self.entries.len() < self.capacity { None } else { self.least_of_a_sample() };
        if let Some(left) = &left {
            self.remove(left);
        }
        self.places.insert(key, self.entries.len());
        self.entries.push((key, value));
        left
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<V> {
        let place = self.places.remove(key)?;
        if place >= self.entries.len() {
            return None;
        }
        let (_, value) = self.entries.swap_remove(place);
        if let Some((moved, _)) = self.entries.get(place) {
            self.places.insert(*moved, place);
        }
        Some(value)
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&V) -> bool) {
        self.entries.retain(|(_, value)| keep(value));
        self.places = self.entries.iter().enumerate().map(|(place, (key, _))| (*key, place)).collect();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn least_of_a_sample(&self) -> Option<Key> {
        let mut random = [0_u8; SAMPLE * 8];
        // Without randomness the first ones are compared: still the least of them.
        let _ = aws_lc_rs::rand::fill(&mut random);
        let (draws, _) = random.as_chunks::<8>();
        let sample = draws.iter().filter_map(|draw| {
            let place = u64::from_le_bytes(*draw).checked_rem(self.entries.len() as u64)?;
            self.entries.get(usize::try_from(place).ok()?)
        });
        sample.min_by_key(|(_, value)| value.weight()).map(|(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weighed for u32 {
        type Weight = Self;
        fn weight(&self) -> Self {
            *self
        }
    }

    fn key(number: u64) -> Key {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &number.to_le_bytes());
        Key(digest.as_ref().try_into().unwrap())
    }

    #[test]
    fn a_million_new_keys_leave_a_heavy_one() {
        let mut map = Bounded::new(1000);
        map.insert(key(0), 2);
        for number in 1..1_000_000 {
            map.insert(key(number), 1);
        }
        assert_eq!(map.get(&key(0)), Some(&2));
        assert_eq!((map.len(), map.places.len()), (1000, 1000));
    }

    #[test]
    fn places_follow_what_moves() {
        let mut map = Bounded::new(10);
        for number in 0..5 {
            assert_eq!(map.insert(key(number), 10 + u32::try_from(number).unwrap()), None);
        }
        assert_eq!(map.remove(&key(1)), Some(11));
        assert_eq!(map.remove(&key(1)), None);
        for (number, value) in [(0, 10), (2, 12), (3, 13), (4, 14)] {
            assert_eq!(map.get(&key(number)), Some(&value));
        }
        map.retain(|value| *value != 12);
        assert_eq!((map.get(&key(2)), map.get(&key(4))), (None, Some(&14)));
    }
}
