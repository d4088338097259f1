//! How long a token lives, by what it carries (the rule file's page, "Lifetimes").

use super::settings::TokenTtl;
use crate::registry::{Action, Resource};
use crate::source::Period;

/// Clients treat what lives shorter as expired.
const SHORTEST: u32 = 60;

/// One granted resource, and how long each granted action may live where that is not the service's own life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lives<'a> {
    /// On what.
    pub resource: &'a Resource,
    /// Every granted action; without a life the service's own counts.
    pub actions: Vec<(Action, Option<Period>)>,
}

impl TokenTtl {
    /// The service's own life of an action; `All` is the catalogue.
    pub const fn of(&self, action: Action) -> Period {
        match action {
            Action::Pull => self.pull.value,
            Action::Push => self.push.value,
            Action::Delete => self.delete.value,
            Action::All => self.catalog.value,
        }
    }
}

/// Seconds that a token with this access lives. Within one repository the pull rides on the push; over several resources the
/// shortest counts; `delete` and `catalog` never outlive their own. A token that carries nothing lives as long as one to
/// pull. `left` are the seconds until something that was granted may no longer be.
pub fn lifetime(ttl: &TokenTtl, access: &[Lives<'_>], left: Option<u32>) -> u32 {
    let shortest = access.iter().filter_map(|lives| of_resource(ttl, lives)).min();
    let by_actions = shortest.unwrap_or_else(|| seconds(ttl.pull.value)).max(SHORTEST);
    left.map_or(by_actions, |left| left.min(by_actions))
}

fn of_resource(ttl: &TokenTtl, lives: &Lives<'_>) -> Option<u32> {
    let life =
        |action| lives.actions.iter().find(|(granted, _)| *granted == action).map(|(_, life)| life.unwrap_or_else(|| ttl.of(action)));
    let last = match lives.resource {
        Resource::Catalog => life(Action::All),
        Resource::Repository(_) => {
            let transfer = life(Action::Push).or_else(|| life(Action::Pull));
            transfer.into_iter().chain(life(Action::Delete)).min()
        }
    };
    last.map(seconds)
}

fn seconds(period: Period) -> u32 {
    u32::try_from(period.as_seconds()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::ScopeRequest;
    use crate::source::Located;

    fn with(ttl: &TokenTtl, granted: &str, own: &[(Action, u64)], left: Option<u32>) -> u32 {
        let scopes = ScopeRequest::parse([granted]).unwrap().scopes;
        let life = |action| own.iter().find(|(named, _)| *named == action).map(|(_, life)| Period::seconds(*life));
        let access: Vec<Lives<'_>> = scopes
            .iter()
            .map(|scope| Lives { resource: &scope.resource, actions: scope.actions.iter().map(|action| (action, life(action))).collect() })
            .collect();
        lifetime(ttl, &access, left)
    }

    fn ttl() -> TokenTtl {
        let period = |seconds| Located::nowhere(Period::seconds(seconds));
        TokenTtl { pull: period(300), push: period(3600), delete: period(240), catalog: period(120) }
    }

    #[track_caller]
    fn check(granted: &str, expected: u32) {
        assert_eq!(with(&ttl(), granted, &[], None), expected, "{granted}");
    }

    #[test]
    fn the_lifetime_follows_what_was_granted() {
        check("", 300);
        check("repository:a:pull", 300);
        check("repository:a:push", 3600);
        check("repository:a:pull,push", 3600);
        check("repository:a:delete", 240);
        check("repository:a:pull,delete", 240);
        check("repository:a:pull,push,delete", 240);
        check("registry:catalog:*", 120);
        check("repository:a:pull,push repository:b:pull", 300);
        check("repository:a:pull,push repository:b:pull,push", 3600);
        check("repository:a:push registry:catalog:*", 120);
        check("repository:a:push repository:b:delete", 240);
    }

    #[test]
    fn a_push_never_outlives_its_own_even_where_pulls_live_longer() {
        let ttl = TokenTtl { push: Located::nowhere(Period::seconds(120)), ..TokenTtl::default() };
        assert_eq!(with(&ttl, "repository:a:pull,push", &[], None), 120);
    }

    #[test]
    fn nothing_lives_shorter_than_a_minute() {
        let ttl = TokenTtl { pull: Located::nowhere(Period::seconds(5)), ..TokenTtl::default() };
        assert_eq!(with(&ttl, "", &[], None), 60);
    }

    #[test]
    fn a_rule_s_own_life_takes_the_place_of_the_service_s() {
        assert_eq!(with(&ttl(), "repository:a:pull,push", &[(Action::Push, 600)], None), 600);
        assert_eq!(with(&ttl(), "repository:a:pull", &[(Action::Push, 600)], None), 300);
        assert_eq!(with(&ttl(), "registry:catalog:*", &[(Action::All, 900)], None), 900);
        assert_eq!(with(&ttl(), "repository:a:pull,delete", &[(Action::Pull, 900)], None), 240);
    }

    #[test]
    fn a_token_ends_before_what_it_rests_on() {
        assert_eq!(with(&ttl(), "repository:a:pull,push", &[], Some(61)), 61);
        assert_eq!(with(&ttl(), "repository:a:pull,push", &[], Some(7200)), 3600);
    }
}
