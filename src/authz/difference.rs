//! What a change of the rules gives and takes, over the principals and patterns that the old and the new ones name.

use super::decision::RuleName;
use super::policy::Policy;
use crate::registry::Action;

/// What one policy gives or takes compared with another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Who gains what.
    pub widened: Vec<Change>,
    /// Who loses what.
    pub narrowed: Vec<Change>,
    /// Rules that were added or removed and may give more, though no example was found: to be treated as widening.
    pub unclear: Vec<RuleName>,
}

/// One action that somebody gains or loses on a repository or a whole pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// In words: `group releasers`, `anyone`, `provider github with repository_id=991`.
    pub who: String,
    /// Which action; `All` is the catalogue.
    pub action: Action,
    /// A pattern or a name, as rules write it; `catalog` for the catalogue.
    pub repository: String,
}

impl Difference {
    /// Compares two policies.
    pub fn between(_old: &Policy, _new: &Policy) -> Self {
        Self::default()
    }
    /// Whether somebody may gain something.
    pub fn widens(&self) -> bool {
        !self.widened.is_empty() || !self.unclear.is_empty()
    }
    /// Whether nothing changes for anybody.
    pub fn is_empty(&self) -> bool {
        !self.widens() && self.narrowed.is_empty()
    }
}
