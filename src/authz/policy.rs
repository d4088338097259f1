//! A compiled rule file.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::alias::{Aliases, Renamed};
use super::allowance::Allowance;
use super::binding::Bindings;
use super::binding::Splits;
use super::cache::Standings;
use super::decision::{Decision, RuleName};
use super::environment::{Environment, Realms};
use super::pattern::Reserved;
use super::piece::shown;
use super::rule::{Conditions, EffectKind, GroupPattern, Roles, Rule};
use super::seen::{Seen, SeenGroup};
use super::standing::{Meanings, Sorted, Standing};
use super::{compile, decide};
use crate::authn::identity::{Group, Identity, Principal};
use crate::clock::Timestamp;
use crate::registry::{Action, Resource, ResourceScope};
use crate::source::{Diagnostics, SourceFile};

/// The realm of a rule file that is read without a configuration and names none.
pub(super) const LONE_REALM: &str = "default";

/// One file of rules.
#[derive(Clone, Debug)]
pub struct RuleSource {
    /// What it holds.
    pub file: SourceFile,
    /// The pattern that its repositories have to stay inside.
    pub within: Option<String>,
}

/// What a decision depends on beside who asks for what.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The service that the token is for.
    pub service: &'a str,
    /// Now.
    pub now: Timestamp,
    /// The client's address, where it can be believed.
    pub source: Option<IpAddr>,
}

/// Groups and users that rules name without `*` or captures, each with its realm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Names and DNs; an alias is listed as what it stands for.
    pub groups: Vec<(Arc<str>, String)>,
    /// Canonical user names.
    pub users: Vec<(Arc<str>, String)>,
}

/// The rules, ready to decide.
#[derive(Debug)]
pub struct Policy {
    pub(super) rules: Vec<Rule>,
    pub(super) sorted: Sorted,
    pub(super) standings: Standings,
    pub(super) roles: Roles,
    pub(super) reserved: Reserved,
    pub(super) aliases: Aliases,
    /// The realm whose users and groups plain names mean.
    pub(super) home: Option<Arc<str>>,
    /// Whether each realm ignores case.
    pub(super) realms: BTreeMap<Arc<str>, bool>,
    pub(super) named: Named,
    /// What it was read against.
    pub(super) environment: Environment,
}

impl Policy {
    /// Reads and checks a rule file. Every mistake in it is found at once; warnings come with the policy.
    pub fn compile(file: &SourceFile, realms: &Realms) -> Result<(Self, Diagnostics), Diagnostics> {
        compile::compile(&[RuleSource { file: file.clone(), within: None }], &Environment::from(realms.clone()))
    }

    /// The same for several files, of which the first says what holds for all, and with all that is known of the configuration.
    pub fn compile_all(sources: &[RuleSource], environment: &Environment) -> Result<(Self, Diagnostics), Diagnostics> {
        compile::compile(sources, environment)
    }

    /// What of the request this principal may have, and why.
    pub fn decide(&self, principal: &Principal, scopes: &[ResourceScope], context: &Context<'_>) -> Decision {
        let standing = match principal {
            Principal::Anonymous => None,
            Principal::Identified(identity) => Some(self.standing(identity)),
        };
        decide::decide(self, standing.as_deref(), scopes, context)
    }

    /// Those of the identity's groups that some rule can match, as rules see them.
    pub fn mentioned_groups(&self, identity: &Identity) -> Vec<String> {
        let seen = self.see(identity);
        let mut mentioned = BTreeSet::new();
        for conditions in self.rules.iter().flat_map(Rule::conditions) {
            if !conditions.groups.is_empty() && conditions.whose.means(&seen) {
                let nothing = Bindings::new();
                for pattern in &conditions.groups {
                    let covered = |group: &&SeenGroup| match pattern.splits(group, seen.ignore_case, &nothing) {
                        Splits::All(splits) => !splits.is_empty(),
                        Splits::Unknown => false,
                    };
                    mentioned.extend(pattern.candidates(&seen, &nothing).into_iter().filter(covered).map(|group| group.name.to_string()));
                }
            }
        }
        mentioned.into_iter().collect()
    }

    /// All of the identity's groups, as rules call them.
    pub fn groups_of(&self, identity: &Identity) -> BTreeSet<String> {
        self.see(identity).groups.iter().map(|group| group.name.to_string()).collect()
    }

    /// The `sub` of its tokens: the canonical name, outside the rules' realm with the realm in front.
    pub fn subject(&self, identity: &Identity) -> String {
        if self.is_home(identity) && !identity.username.contains('/') {
            identity.username.clone()
        } else {
            format!("{}/{}", identity.realm, identity.username)
        }
    }

    /// The rules that allow this to somebody, whatever denies say. A capture may stand for anything that is not reserved.
    pub fn allowing(&self, resource: &Resource, action: Action) -> Vec<Allowance> {
        let allows = |rule: &&Rule| {
            rule.kind == EffectKind::Allow && rule.effect.most().contains(action) && rule.could_concern(resource, &self.reserved)
        };
        self.rules.iter().filter(allows).map(Allowance::of).collect()
    }

    /// What a deny makes way for, in words, where there is something.
    pub fn makes_way_for(&self, deny: &RuleName) -> Option<String> {
        self.rules.iter().find(|rule| rule.name == *deny)?.makes_way_for()
    }

    /// Those of the identity's groups that match nothing, being called like an alias without being what it stands for.
    pub fn hidden_groups<'a>(&self, identity: &'a Identity) -> Vec<&'a Group> {
        let hidden = |group: &&Group| matches!(self.aliases.rename(group), Renamed::Hidden);
        if self.is_home(identity) { identity.groups.iter().filter(hidden).collect() } else { Vec::new() }
    }

    /// The realm whose users and groups plain names mean; `None` where every rule names its own.
    pub fn realm(&self) -> Option<&Arc<str>> {
        self.home.as_ref()
    }

    /// The same without any rule: what somebody has before the rules hold, and after.
    #[must_use]
    pub fn without_rules(&self) -> Self {
        Self {
            rules: Vec::new(),
            sorted: Sorted::default(),
            standings: Standings::default(),
            roles: self.roles.clone(),
            reserved: self.reserved.clone(),
            aliases: self.aliases.clone(),
            home: self.home.clone(),
            realms: self.realms.clone(),
            named: Named::default(),
            environment: self.environment.clone(),
        }
    }

    /// How many rules there are.
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// Groups and users that rules name literally, for asking the directories whether they exist.
    pub fn named_principals(&self) -> Named {
        self.named.clone()
    }

    /// The groups behind aliases that a map names, each with its alias.
    pub(super) fn aliases_in(&self, conditions: &Conditions) -> Vec<(String, Vec<Group>)> {
        let names = conditions.groups.iter().filter_map(|group| match group {
            GroupPattern::Name(pieces) => Some(shown(pieces)),
            GroupPattern::Dn(_) => None,
        });
        names.map(|name| (name.clone(), self.aliases.originals(&name))).filter(|(_, groups)| !groups.is_empty()).collect()
    }

    /// How names compare in every realm that a rule may mean.
    pub(super) fn realms_in(&self, rule: &Rule) -> BTreeMap<Arc<str>, bool> {
        let named = |realm: &Arc<str>| rule.conditions().any(|conditions| conditions.whose.may_mean(realm, self.home.as_ref()));
        self.realms.iter().filter(|(realm, _)| named(realm)).map(|(realm, ignore_case)| (Arc::clone(realm), *ignore_case)).collect()
    }

    fn is_home(&self, identity: &Identity) -> bool {
        self.home.as_ref() == Some(&identity.realm)
    }

    fn standing(&self, identity: &Arc<Identity>) -> Arc<Standing> {
        self.standings.of(identity, || self.work_out(identity))
    }

    /// The standing of somebody of whom nothing is kept.
    pub(super) fn work_out(&self, identity: &Identity) -> Standing {
        let meanings = Meanings { rules: &self.rules, roles: &self.roles, reserved: &self.reserved };
        Standing::new(self.see(identity), &self.sorted, meanings)
    }

    fn see(&self, identity: &Identity) -> Seen {
        let ignore_case = self.realms.get(&identity.realm).copied().unwrap_or(false);
        Seen::new(identity, self.is_home(identity), ignore_case, &self.aliases)
    }
}
