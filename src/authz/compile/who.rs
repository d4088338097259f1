//! Whom a rule is for.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Compiler;
use crate::authz::dn::DnPattern;
use crate::authz::document::{Choice, Text, To, WhoText};
use crate::authz::pattern::USER;
use crate::authz::piece::{PatternError, Piece, captures, cut_plain};
use crate::authz::rule::{Conditions, GroupPattern, Who, Whose};
use crate::source::Place;

impl Compiler<'_> {
    /// `to`; `None` where a part of it cannot be used.
    pub(super) fn to(&mut self, to: &To) -> Option<Who> {
        match to {
            To::Anyone => Some(Who::Anyone),
            To::Authenticated => Some(Who::Authenticated),
            To::Any(choices) => {
                let compiled: Vec<_> = choices.iter().map(|choice| self.choice(choice)).collect();
                compiled.into_iter().collect::<Option<Vec<_>>>().map(Who::Any)
            }
        }
    }

    /// One alternative of `to` or `except`.
    pub(super) fn choice(&mut self, choice: &Choice) -> Option<Vec<Conditions>> {
        let compiled: Vec<_> = choice.all.iter().map(|who| self.conditions(who)).collect();
        let all = compiled.into_iter().collect::<Option<Vec<_>>>()?;
        if all.iter().filter(|conditions| conditions.captures().next().is_some()).count() > 1 {
            self.error(choice.place, "two maps of `all` hold captures", "a rule takes its captures from one group at a time");
        }
        Some(all)
    }

    /// The captures that every alternative binds; one that only some of them bind has no value in the others.
    pub(super) fn bound(&mut self, who: &Who, place: Place) -> BTreeSet<Arc<str>> {
        let Who::Any(choices) = who else { return BTreeSet::new() };
        let mut each = choices.iter().flatten().flat_map(alternatives).filter(|names| !names.is_empty());
        let first: BTreeSet<_> = each.next().unwrap_or_default();
        let differ = each.any(|names| names != first);
        let some_without = !first.is_empty()
            && choices.iter().any(|choice| choice.iter().all(|conditions| alternatives(conditions).iter().all(BTreeSet::is_empty)));
        if differ || some_without {
            self.error(place, "the alternatives bind different captures", "write a rule for each of them");
        }
        first
    }

    fn conditions(&mut self, text: &WhoText) -> Option<Conditions> {
        let before = self.count();
        let realms: Vec<_> = text.realm.iter().filter_map(|name| self.known_realm(name)).collect();
        let providers: Vec<_> = text.provider.iter().filter_map(|name| self.known_provider(name)).collect();
        let whose = if text.realm.is_empty() && text.provider.is_empty() {
            if let Some(user) = text.user.first() {
                self.need_home(user.place, &format!("the user `{}`", user.value));
            }
            if let Some(group) = text.group.first() {
                self.need_home(group.place, &format!("the group `{}`", group.value));
            }
            if let Some((claim, _)) = text.claims.first() {
                self.need_home(claim.place, &format!("the claim `{}`", claim.value));
            }
            if let Some(mfa) = &text.mfa {
                self.need_home(mfa.place, "who used a second factor");
            }
            Whose::Home
        } else {
            Whose::Named { realms, providers }
        };
        self.check_cut(text.group.iter());
        let users: Vec<_> = text.user.iter().filter_map(|user| self.user(user)).collect();
        let groups: Vec<_> = text.group.iter().filter_map(|group| self.group(group)).collect();
        let claims =
            text.claims.iter().map(|(claim, values)| (claim.value.clone(), values.iter().map(|value| value.value.clone()).collect()));
        let mfa = text.mfa.as_ref().and_then(|within| self.period(within));
        let conditions = Conditions { whose, users, groups, claims: claims.collect(), mfa };
        let mixed = conditions.users.iter().any(|pieces| captures(pieces).next().is_some())
            && conditions.groups.iter().any(|group| group.captures().next().is_some());
        if mixed {
            self.error(text.place, "both `user` and `group` hold captures", "take the captures from one of them");
        }
        if alternatives(&conditions).windows(2).any(|pair| matches!(pair, [one, other] if one != other)) {
            self.error(text.place, "the alternatives bind different captures", "write a rule for each of them");
        }
        (self.count() == before).then_some(conditions)
    }

    fn user(&mut self, text: &Text) -> Option<Vec<Piece>> {
        if text.value.contains('=') {
            let hint = "write the canonical name, as `narrows explain` and the audit show it";
            self.error(text.place, "a user is named by name, not by DN", hint);
            return None;
        }
        self.glob(text)
    }

    fn group(&mut self, text: &Text) -> Option<GroupPattern> {
        if !text.value.contains('=') {
            return self.glob(text).map(GroupPattern::Name);
        }
        let pattern = DnPattern::parse(&text.value).and_then(|pattern| {
            let asks_for_user = pattern.captures().any(|name| &**name == USER);
            if asks_for_user { Err(PatternError::UserCaptured) } else { Ok(pattern) }
        });
        pattern.map(GroupPattern::Dn).map_err(|error| self.pattern(text, &error)).ok()
    }

    fn glob(&mut self, text: &Text) -> Option<Vec<Piece>> {
        let pieces = cut_plain(&text.value).and_then(|pieces| {
            if pieces.windows(2).any(|pair| pair == [Piece::Star, Piece::Star]) {
                return Err(PatternError::DoubleStarInName);
            }
            if captures(&pieces).any(|name| &**name == USER) {
                return Err(PatternError::UserCaptured);
            }
            Ok(pieces)
        });
        pieces.map_err(|error| self.pattern(text, &error)).ok()
    }
}

/// What each user pattern, or else each group pattern, of a map binds.
fn alternatives(conditions: &Conditions) -> Vec<BTreeSet<Arc<str>>> {
    let users: Vec<BTreeSet<_>> = conditions.users.iter().map(|pieces| captures(pieces).cloned().collect()).collect();
    let groups: Vec<BTreeSet<_>> = conditions.groups.iter().map(|group| group.captures().cloned().collect()).collect();
    if users.iter().any(|names| !names.is_empty()) { users } else { groups }
}
