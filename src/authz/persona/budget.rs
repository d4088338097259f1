//! How much is tried before an answer is called incomplete: products of lists in a rule must take neither all time nor all memory.

use std::cell::Cell;

/// Steps that are left.
#[derive(Debug)]
pub(in crate::authz) struct Budget(Cell<usize>);

impl Budget {
    pub(in crate::authz) const fn new(steps: usize) -> Self {
        Self(Cell::new(steps))
    }

    /// Takes steps; whether there were as many. Where there were not, it is used up for all that comes later.
    pub(in crate::authz) fn spend(&self, steps: usize) -> bool {
        let left = self.0.get().checked_sub(steps);
        self.0.set(left.unwrap_or(0));
        left.is_some_and(|left| left > 0)
    }

    /// Leaves nothing, for what was left out without being tried.
    pub(in crate::authz) fn exhaust(&self) {
        self.0.set(0);
    }

    pub(in crate::authz) fn is_used_up(&self) -> bool {
        self.0.get() == 0
    }
}
