//! One rule: its words, whom it is for, where it applies, and that every capture has a value.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Compiler;
use super::words::Words;
use crate::authz::decision::RuleName;
use crate::authz::document::{RuleText, Text, To};
use crate::authz::pattern::{Pattern, USER};
use crate::authz::rule::{Effect, Exception, Rule, Target};
use crate::registry::ActionSet;
use crate::source::Place;

/// The names that a rule binds.
type Bound = BTreeSet<Arc<str>>;

impl Compiler<'_> {
    /// `None` where it cannot be used; the findings say why.
    pub(super) fn rule(&mut self, text: &RuleText) -> Option<Rule> {
        let name = self.rule_name(text.name.as_ref(), text.place);
        let to = text.to.value.as_ref().and_then(|to| self.to(to));
        let bound = to.as_ref().map(|who| self.bound(who, text.to.place)).unwrap_or_default();
        let words = self.words(text.effect, &text.words);
        let word_place = text.words.first().map_or(text.place, |word| word.place);
        let (effect, target) = match words? {
            Words::Catalog => (Effect { actions: ActionSet::CATALOG, roles: Vec::new() }, self.catalogue(text)),
            Words::Repository(effect) => {
                self.check_push(text.effect, &effect, word_place);
                (effect, self.repositories(text, &bound))
            }
        };
        let when = text.when.as_ref().map(|when| self.when(when));
        let (ttl, tags) = (self.ttl(text, &effect), self.tags(text, &effect));
        for role in &effect.roles {
            if !bound.contains(role) {
                self.unbound(role, word_place);
            }
        }
        let mut except = Vec::new();
        for choice in &text.except {
            let all = self.choice(choice);
            let mut inside = bound.clone();
            inside.extend(all.iter().flatten().flat_map(|conditions| conditions.captures().cloned()));
            let repository =
                self.patterns(&choice.repository, &inside, choice.all.iter().any(|who| !who.realm.is_empty() || !who.provider.is_empty()));
            except.extend(all.map(|all| Exception { all, repository }));
        }
        let (to, target) = (to?, target?);
        let when = match when {
            Some(None) => return None,
            Some(when) => when,
            None => None,
        };
        Some(Rule { name, file: self.number, place: text.place, kind: text.effect, effect, to, target, except, when, ttl, tags })
    }

    fn rule_name(&mut self, written: Option<&Text>, place: Place) -> RuleName {
        let file: Arc<str> = self.file.path().display().to_string().into();
        if let Some(name) = written
            && !self.names.insert(name.value.clone())
        {
            self.error(
                name.place,
                format!("another rule is called `{}` already", name.value),
                "audit and explain tell rules apart by their names",
            );
        }
        let name = written.map_or_else(|| format!("{file}:{}", place.line), |name| name.value.clone());
        RuleName { name: name.into(), file, line: place.line }
    }

    fn catalogue(&mut self, text: &RuleText) -> Option<Target> {
        let patterns = text.repository.iter().chain(text.except.iter().flat_map(|choice| &choice.repository));
        if self.fence.is_some() {
            self.error(text.place, "`catalog` shows more than what lies within", "put the rule into a file without `within`");
            return None;
        }
        let places: Vec<Place> = patterns.map(|pattern| pattern.place).collect();
        for place in &places {
            self.error(*place, "`catalog` is about no repository", "remove `repository`: the catalogue shows every repository's name");
        }
        places.is_empty().then_some(Target::Catalog)
    }

    fn repositories(&mut self, text: &RuleText, bound: &Bound) -> Option<Target> {
        if text.repository.is_empty() && text.misspelt {
            return None;
        }
        if text.repository.is_empty() {
            self.error(text.place, "a rule without `repository`", "write where it applies, as in `repository: payments/**`");
            return None;
        }
        let named = names_a_realm(text);
        let patterns = self.patterns(&text.repository, bound, named);
        self.check_fence(&patterns, &text.repository);
        (patterns.len() == text.repository.len()).then_some(Target::Repositories(patterns))
    }

    /// Whether the repositories of a file with `within` stay inside.
    fn check_fence(&mut self, patterns: &[Pattern], texts: &[Text]) {
        let Some(fence) = self.fence.clone() else { return };
        // Where one of them was no pattern, there is no telling which is which.
        if patterns.len() != texts.len() {
            return;
        }
        for (_, text) in patterns.iter().zip(texts).filter(|(pattern, _)| !pattern.lies_inside(&fence)) {
            let hint = format!("start it with the literal segments of `{fence}`, or put the rule into a file without `within`");
            self.error(text.place, format!("`{}` reaches outside `{fence}`", text.value), &hint);
        }
    }

    /// Patterns whose captures are all bound. `named` says that the maps name a realm for `{user}`.
    fn patterns(&mut self, texts: &[Text], bound: &Bound, named: bool) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for text in texts {
            let pattern = match Pattern::parse(&text.value) {
                Ok(pattern) => pattern,
                Err(error) => {
                    self.pattern(text, &error);
                    continue;
                }
            };
            for capture in pattern.captures() {
                if &**capture == USER {
                    if !named {
                        self.need_home(text.place, "`{user}`");
                    }
                } else if !bound.contains(capture) {
                    self.unbound(capture, text.place);
                }
            }
            if pattern.opens_with_capture() && self.reserved.is_none() {
                let hint = "list at the top of the file the first segments that no captured value may take, as in \
                            `reserved: [users, shared]`; `reserved: []` if there are none";
                self.error(text.place, "a capture opens the pattern, and the file has no `reserved`", hint);
            }
            patterns.push(pattern);
        }
        patterns
    }

    fn unbound(&mut self, capture: &str, place: Place) {
        let hint = "capture it in `to`, as in `to: {group: \"registry-{team}\"}`; `{user}` is always there";
        self.error(place, format!("`{{{capture}}}` is never bound"), hint);
    }
}

/// Whether every alternative says whose users it means.
fn names_a_realm(text: &RuleText) -> bool {
    match &text.to.value {
        Some(To::Any(choices)) => {
            choices.iter().all(|choice| choice.all.iter().any(|who| !who.realm.is_empty() || !who.provider.is_empty()))
        }
        Some(To::Anyone | To::Authenticated) | None => false,
    }
}
