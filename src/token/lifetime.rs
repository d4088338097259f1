//! How long a token lives, by what it carries (the rule file's page, "Lifetimes").

use super::settings::TokenTtl;
use crate::registry::{Action, ActionSet, Resource};
use crate::source::{Located, Period};

/// Clients treat what lives shorter as expired.
const SHORTEST: u32 = 60;

/// Seconds that a token with this access lives. Within one repository the pull rides on the push; over several resources the
/// shortest counts; `delete` and `catalog` never outlive their own.
pub fn lifetime(ttl: &TokenTtl, access: &[(Resource, ActionSet)]) -> u32 {
    let shortest = access.iter().filter_map(|(resource, actions)| of_resource(ttl, resource, *actions)).min();
    shortest.unwrap_or_else(|| seconds(&ttl.pull)).max(SHORTEST)
}

fn of_resource(ttl: &TokenTtl, resource: &Resource, actions: ActionSet) -> Option<u32> {
    match resource {
        Resource::Catalog => (!actions.is_empty()).then(|| seconds(&ttl.catalog)),
        Resource::Repository(_) => {
            let transfer = if actions.contains(Action::Push) {
                Some(seconds(&ttl.push))
            } else {
                actions.contains(Action::Pull).then(|| seconds(&ttl.pull))
            };
            let delete = actions.contains(Action::Delete).then(|| seconds(&ttl.delete));
            transfer.into_iter().chain(delete).min()
        }
    }
}

fn seconds(period: &Located<Period>) -> u32 {
    u32::try_from(period.value.as_seconds()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::ScopeRequest;

    fn check(granted: &str, expected: u32) {
        let period = |seconds| Located::nowhere(Period::seconds(seconds));
        let ttl = TokenTtl { pull: period(300), push: period(3600), delete: period(240), catalog: period(120) };
        let access: Vec<_> =
            ScopeRequest::parse([granted]).unwrap().scopes.into_iter().map(|scope| (scope.resource, scope.actions)).collect();
        assert_eq!(lifetime(&ttl, &access), expected, "{granted}");
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
        let both = [Action::Pull, Action::Push].into_iter().collect();
        assert_eq!(lifetime(&ttl, &[(Resource::Repository("a".parse().unwrap()), both)]), 120);
    }

    #[test]
    fn nothing_lives_shorter_than_a_minute() {
        let ttl = TokenTtl { pull: Located::nowhere(Period::seconds(5)), ..TokenTtl::default() };
        assert_eq!(lifetime(&ttl, &[]), 60);
    }
}
