//! What a rule would allow, and to whom, for those who ask why they were refused.

use std::fmt;
use std::sync::Arc;

use super::binding::Bindings;
use super::decision::RuleName;
use super::piece::shown;
use super::rule::{Conditions, GroupPattern, Rule, Who, Whose, together};
use super::seen::Seen;
use crate::authn::identity::SecondFactor;

/// A rule that allows something to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Which rule.
    pub rule: RuleName,
    /// To whom, in words: `group releasers`.
    pub to: String,
}

impl Allowance {
    pub(super) fn of(rule: &Rule) -> Self {
        let excepted = if rule.except.is_empty() { "" } else { ", with exceptions" };
        let when = rule.when.as_ref().map(|when| format!(", {when}")).unwrap_or_default();
        Self { rule: rule.name.clone(), to: format!("{}{when}{excepted}", rule.to) }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.rule, self.to)
    }
}

impl Rule {
    /// Where it does not apply, in words; `None` where its people and places say all.
    pub(super) fn makes_way_for(&self) -> Option<String> {
        let time = self.when.as_ref().map(|when| format!("requests outside of: {when}"));
        let except = self.except.iter().map(|exception| {
            let who = joined(&exception.all, " and ");
            match (who.as_str(), exception.repository.as_slice()) {
                (who, []) => who.to_owned(),
                ("", patterns) => format!("what is in {}", either(patterns)),
                (who, patterns) => format!("{who} in {}", either(patterns)),
            }
        });
        let ways: Vec<String> = except.chain(time).collect();
        (!ways.is_empty()).then(|| either(ways))
    }

    /// For a deny: what has to hold so that it does not.
    pub(super) fn passed(&self) -> String {
        match self.makes_way_for() {
            Some(ways) => format!("to pass {}, which makes way for {ways}", self.name),
            None => format!("to pass {}, which is for {}", self.name, self.to),
        }
    }
}

impl Who {
    /// What it needs that is not known of somebody: claims, and a second factor.
    pub(super) fn open_questions(&self, seen: &Seen) -> Option<String> {
        let choices: &[Vec<Conditions>] = match self {
            Self::Anyone | Self::Authenticated => &[],
            Self::Any(choices) => choices,
        };
        let uncertain = choices.iter().filter(|choice| {
            let ways = together(choice, seen, &Bindings::new());
            !ways.is_empty() && ways.iter().all(|way| !way.certain)
        });
        let told: Vec<String> = uncertain
            .map(|choice| {
                let claims = choice.iter().flat_map(|conditions| &conditions.claims).filter(|(claim, _)| !seen.claims.contains_key(claim));
                let claims = claims.map(|(claim, values)| format!("{claim}={}", either(values)));
                let factor = choice.iter().filter_map(|conditions| conditions.mfa).min();
                let factor = factor.filter(|_| seen.second_factor == SecondFactor::Unknown);
                joined(claims.chain(factor.map(|within| format!("a second factor of the last {within}"))), " and ")
            })
            .collect();
        (!told.is_empty()).then(|| either(told))
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Authenticated => f.write_str("everybody who is logged in"),
            Self::Any(choices) => f.write_str(&either(choices.iter().map(|all| joined(all, " and ")))),
        }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users = either(self.users.iter().map(|pieces| shown(pieces)));
        let groups = either(&self.groups);
        match (users.as_str(), groups.as_str()) {
            ("", "") => f.write_str("everybody")?,
            (users, "") => write!(f, "user {users}")?,
            ("", groups) => write!(f, "group {groups}")?,
            (users, groups) => write!(f, "user {users} in group {groups}")?,
        }
        if let Whose::Named { realms, providers } = &self.whose {
            for (word, names) in [("realm", realms), ("provider", providers)] {
                if !names.is_empty() {
                    write!(f, " of {word} {}", either(names.iter().map(Arc::as_ref)))?;
                }
            }
        }
        for (index, (claim, values)) in self.claims.iter().enumerate() {
            write!(f, "{}{claim}={}", if index == 0 { " with " } else { " and " }, either(values))?;
        }
        if let Some(within) = self.mfa {
            write!(f, " with a second factor of the last {within}")?;
        }
        Ok(())
    }
}

impl fmt::Display for GroupPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(pieces) => f.write_str(&shown(pieces)),
            Self::Dn(pattern) => pattern.fmt(f),
        }
    }
}

fn either<T: fmt::Display>(some: impl IntoIterator<Item = T>) -> String {
    joined(some, " or ")
}

fn joined<T: fmt::Display>(some: impl IntoIterator<Item = T>, between: &str) -> String {
    some.into_iter().map(|one| one.to_string()).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use crate::authz::cases::example_realms;
    use crate::authz::{Policy, group_of_dn};
    use crate::registry::ResourceScope;
    use crate::source::SourceFile;

    const RULES: &str = r#"
version: 1
realm: corp
reserved: [prod]
rules:
  - {name: team, to: {group: "registry-{team}"}, allow: contributor, repository: "{team}/**"}
  - {name: role, to: {group: "REG_{team}_{role}"}, allow: "{role}", repository: "{team}/**"}
  - {name: home, to: authenticated, allow: owner, repository: "users/{user}/**", except: {group: guests}}
  - {name: prod, to: [{group: releasers}, {realm: robots, user: [bot, robot-*]}], allow: contributor, repository: prod/**}
  - {name: two, to: {all: [{group: a, user: u}, {group: "CN={x},DC=corp"}]}, allow: pull, repository: "prod/{x}"}
  - {name: shut, to: anyone, deny: all, repository: "prod/**"}
  - {name: shown, to: {provider: github}, allow: catalog}
"#;

    #[track_caller]
    fn check(scope: &str, expected: &str) {
        let (policy, _) = Policy::compile(&SourceFile::new("r", RULES), &example_realms()).unwrap();
        let ResourceScope { resource, actions } = scope.parse().unwrap();
        let found = policy.allowing(&resource, actions.iter().next().unwrap());
        let shown: Vec<String> = found.iter().map(|one| format!("{}: {}", one.rule.name, one.to)).collect();
        assert_eq!(shown.join("; "), expected, "{scope}");
    }

    #[test]
    fn rules_say_to_whom_they_allow_something() {
        check("repository:web/app:push", "team: group registry-{team}; role: group REG_{team}_{role}");
        check("repository:web/app:delete", "role: group REG_{team}_{role}");
        check("repository:prod/app:push", "prod: group releasers or user bot or robot-* of realm robots");
        check(
            "repository:prod/app:pull",
            "prod: group releasers or user bot or robot-* of realm robots; two: user u in group a and group cn={x},dc=corp",
        );
        check("repository:prod/app:delete", "");
        check("registry:catalog:*", "shown: everybody of provider github");
        check("repository:users/alice/app:delete", "role: group REG_{team}_{role}; home: everybody who is logged in, with exceptions");
    }

    #[test]
    fn a_group_is_called_like_the_first_value_of_its_dn() {
        let name = |text| group_of_dn(text).map(|group| group.name);
        assert_eq!(name("CN=registry-web,OU=Teams,DC=corp").as_deref(), Some("registry-web"));
        assert_eq!(name("cn = a\\, b\\2bc ,dc=corp").as_deref(), Some("a, b+c"));
        assert_eq!(name("CN=a+OU=b,DC=corp").as_deref(), Some("a"));
        assert_eq!(name("CN=a,b"), None);
        assert_eq!(group_of_dn("CN=a,DC=b").unwrap().dn.as_deref(), Some("CN=a,DC=b"));
    }
}
