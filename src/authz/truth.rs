//! Yes, no, or not known.

/// Whether something holds; what is not known is neither (Kleene's three values).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Truth {
    Yes,
    No,
    Unknown,
}

impl Truth {
    /// What is known.
    pub(super) const fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    /// Both: one that is known not to hold settles it.
    pub(super) fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes => other(),
            Self::Unknown => {
                if other() == Self::No {
                    Self::No
                } else {
                    Self::Unknown
                }
            }
        }
    }

    /// Any of them: one that holds settles it.
    pub(super) fn any(all: impl IntoIterator<Item = Self>) -> Self {
        let mut any = Self::No;
        for one in all {
            match one {
                Self::Yes => return Self::Yes,
                Self::Unknown => any = Self::Unknown,
                Self::No => {}
            }
        }
        any
    }
}
