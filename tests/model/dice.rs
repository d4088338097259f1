//! Choices, one number each, so that a failing case shrinks by making numbers smaller and fewer.

/// Numbers that were thrown. When they have run out, every choice is the first one.
#[derive(Debug)]
pub struct Dice<'a>(std::slice::Iter<'a, u32>);

impl<'a> Dice<'a> {
    pub fn new(thrown: &'a [u32]) -> Self {
        Self(thrown.iter())
    }

    /// A number below another one.
    pub fn below(&mut self, count: usize) -> usize {
        self.0.next().map_or(0, |number| usize::try_from(*number).unwrap() % count)
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }

    /// One of several.
    pub fn one<'p, T>(&mut self, pool: &'p [T]) -> &'p T {
        &pool[self.below(pool.len())]
    }

    /// One or two different ones.
    pub fn some<T: Clone>(&mut self, pool: &[T]) -> Vec<T> {
        let first = self.below(pool.len());
        let second = (first + 1 + self.below(pool.len())) % pool.len();
        let two = second != first && self.chance(35);
        if two { vec![pool[first].clone(), pool[second].clone()] } else { vec![pool[first].clone()] }
    }
}
