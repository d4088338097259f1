//! Standings that were worked out a moment ago, by everything in an identity that a rule may read.
//!
//! A cache belongs to one compiled policy, and with it to one service and one generation: nothing of another can come out
//! of it, and it ends with them. What depends on the time, the address or the service is never inside.

use std::hash::{Hash, Hasher};
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
pub(super) struct Standings(Cache<Kept, Arc<Standing>, RandomState>);

/// An identity without what no rule reads. Every login has a time of its own, and would have a standing of its own by it.
#[derive(Clone, Debug)]
struct Kept(Arc<Identity>);

impl Kept {
    fn parts(&self) -> impl PartialEq + Hash + '_ {
        // A new field has to be sorted in here.
        let Identity { realm, provider, id, username, groups, kind, method: _, proven: _, marker: _, claims, second_factor } = &*self.0;
        ((realm, provider, id, username), (groups, kind, claims, second_factor))
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Kept {}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

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
        let seen = Kept(Arc::clone(identity));
        if let Some(kept) = self.0.get(&seen) {
            return kept;
        }
        let fresh = Arc::new(work_out());
        self.0.insert(seen, Arc::clone(&fresh));
        fresh
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::authn::identity::{Group, Identity, IdentityClaims, Kind, Method, Principal, SecondFactor};
    use crate::authz::cases::{context, example_realms};
    use crate::authz::{Context, Policy};
    use crate::clock::Timestamp;
    use crate::registry::ResourceScope;
    use crate::source::SourceFile;
    use std::sync::Arc;

    const RULES: &str = r#"
version: 1
realm: corp
reserved: [prod]
rules:
  - {to: {group: "team-{team}"}, allow: contributor, repository: "{team}/**"}
  - {to: {group: ops}, allow: owner, repository: prod/**}
  - {to: authenticated, allow: owner, repository: "users/{user}/**"}
  - {to: {provider: github, claims: {ref: main}}, allow: contributor, repository: a/ci}
  - {to: anyone, deny: [push], repository: prod/**, except: {mfa: {within: 1h}}}
  - {to: {group: ops}, deny: [delete], repository: "**", when: {source: [10.0.0.0/8]}}
"#;

    fn policy() -> Policy {
        Policy::compile(&SourceFile::new("rules.yaml", RULES), &example_realms()).unwrap_or_else(|findings| panic!("{findings}")).0
    }

    fn scopes() -> Vec<ResourceScope> {
        ["a/x", "a/ci", "b/x", "prod/x", "users/alice/x", "users/bob/x"]
            .map(|name| format!("repository:{name}:pull,push,delete").parse().unwrap())
            .into()
    }

    /// Everything that a decision may depend on, each drawn from a few values, under one and the same id.
    fn identity() -> impl Strategy<Value = Identity> {
        let groups = proptest::sample::subsequence(vec!["team-a", "team-b", "ops", "team-prod"], 0..4);
        let of = prop_oneof![3 => Just(("corp", "staff", Kind::Person)), 1 => Just(("robots", "robots", Kind::Person)), 1 => Just(("github", "github", Kind::Workload))];
        let claims = prop_oneof![Just(None), Just(Some("main")), Just(Some("other"))];
        let factor = prop_oneof![Just(SecondFactor::Unknown), Just(SecondFactor::Absent), Just(SecondFactor::Used(Timestamp(0)))];
        (groups, of, proptest::sample::select(vec!["alice", "bob"]), claims, factor).prop_map(
            |(groups, (realm, provider, kind), name, claim, second_factor)| Identity {
                realm: realm.into(),
                provider: provider.into(),
                id: "1".to_owned(),
                username: name.to_owned(),
                groups: groups.into_iter().map(Group::named).collect(),
                kind,
                method: Method::Password,
                proven: Timestamp(0),
                marker: None,
                claims: claim.map(|value| ("ref".to_owned(), vec![value.to_owned()])).into_iter().collect::<IdentityClaims>(),
                second_factor,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

        /// Groups, claims, names and proofs change from call to call, and so do time and address: what was kept of one
        /// never answers for another.
        #[test]
        fn what_is_kept_answers_for_the_very_same_identity_alone(
            askers in proptest::collection::vec((identity(), 0_i64..7200, any::<bool>()), 1..30),
        ) {
            let (kept, scopes) = (policy(), scopes());
            for (identity, now, inside) in askers {
                let source = Some(if inside { [10, 0, 0, 1].into() } else { [11, 0, 0, 1].into() });
                let context = Context { now: Timestamp(now), source, ..context() };
                let principal = Principal::Identified(Arc::new(identity));
                prop_assert_eq!(kept.decide(&principal, &scopes, &context), policy().decide(&principal, &scopes, &context));
            }
        }
    }

    #[test]
    fn another_login_of_the_same_person_is_the_same_standing() {
        let policy = policy();
        let identity = |proven, name: &str| {
            Arc::new(Identity {
                realm: "corp".into(),
                provider: "staff".into(),
                id: "1".to_owned(),
                username: name.to_owned(),
                groups: vec![Group::named("team-a")],
                kind: Kind::Person,
                method: Method::Password,
                proven: Timestamp(proven),
                marker: None,
                claims: IdentityClaims::new(),
                second_factor: SecondFactor::Unknown,
            })
        };
        let worked_out = std::cell::Cell::new(0);
        let standings = super::Standings::default();
        for (proven, name) in [(1, "alice"), (2, "alice"), (3, "bob"), (4, "alice")] {
            let identity = identity(proven, name);
            standings.of(&identity, || {
                worked_out.set(worked_out.get() + 1);
                policy.work_out(&identity)
            });
        }
        assert_eq!(worked_out.get(), 2);
    }
}
