//! Standings that were worked out a moment ago, by the whole identity.
//!
//! A cache belongs to one compiled policy, and with it to one service and one generation: nothing of another can come out
//! of it, and it ends with them. What depends on the time, the address or the service is never inside.

use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::RandomState;
use moka::sync::Cache;

use super::standing::Standing;
use crate::authn::identity::Identity;

/// About how much memory the standings of one policy may take, in bytes.
const MOST: u64 = 32 * 1024 * 1024;
/// One that nobody asks for is dropped after this.
const IDLE: Duration = Duration::from_mins(10);

/// The standings of a policy.
#[derive(Debug)]
pub(super) struct Standings(Cache<Arc<Identity>, Arc<Standing>, RandomState>);

impl Default for Standings {
    fn default() -> Self {
        let cache = Cache::builder()
            .weigher(|_, standing: &Arc<Standing>| u32::try_from(standing.size() + 400).unwrap_or(u32::MAX))
            .max_capacity(MOST)
            .time_to_idle(IDLE)
            .build_with_hasher(RandomState::default());
        Self(cache)
    }
}

impl Standings {
    /// The standing of this identity, kept or worked out now.
    pub(super) fn of(&self, identity: &Arc<Identity>, work_out: impl FnOnce() -> Standing) -> Arc<Standing> {
        if let Some(kept) = self.0.get(identity) {
            return kept;
        }
        let fresh = Arc::new(work_out());
        self.0.insert(Arc::clone(identity), Arc::clone(&fresh));
        fresh
    }
}
