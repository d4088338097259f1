//! What rules are read against: the realms, the services and the moment.

use std::sync::Arc;

use crate::clock::Timestamp;

/// Whose users and groups the configured providers vouch for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Realm {
    /// What rules call it.
    pub name: Arc<str>,
    /// Whether its names compare without regard to ASCII case.
    pub ignore_case: bool,
    /// The providers that vouch for it, those of workloads among them.
    pub providers: Vec<Arc<str>>,
    /// Those of its providers that know workloads and no people.
    pub workloads: Vec<Arc<str>>,
    /// Under which names its providers can know groups.
    pub groups: GroupNames,
}

/// Under which names the providers of a realm can know groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupNames {
    /// None of them knows groups.
    None,
    /// By plain names alone.
    Plain,
    /// By plain names and distinguished names.
    #[default]
    Distinguished,
}

/// Every realm of the configuration; none where rules are read without one, and may then name any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Realms(pub Vec<Realm>);

/// A registry that tokens are signed for, as far as rules care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownService {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it enforces `tags`.
    pub enforces_tags: bool,
}

/// What rules are read against. Without a configuration nothing is known, and nothing is refused for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Every realm.
    pub realms: Realms,
    /// Every service that the rules decide for; none where rules are read without a configuration.
    pub services: Vec<KnownService>,
    /// Now, for warnings about what is past.
    pub now: Option<Timestamp>,
}

impl From<Realms> for Environment {
    fn from(realms: Realms) -> Self {
        Self { realms, services: Vec::new(), now: None }
    }
}
