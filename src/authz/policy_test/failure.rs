//! A case that came out otherwise: what is missing, what is too much, and why.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Question, Request};
use crate::authn::identity::Principal;
use crate::authz::decision::Decision;
use crate::authz::policy::Policy;
use crate::authz::review::Holders;
use crate::registry::{Action, ActionSet, Resource, ResourceScope};
use crate::source::{Diagnostic, Place, SourceFile};

/// A case whose answer is not the expected one.
#[derive(Debug)]
pub struct Failure<'a> {
    file: &'a SourceFile,
    /// The case.
    pub case: &'a Case,
    /// The rules that answered.
    pub policy: &'a Policy,
    /// What they answered.
    pub found: Found,
    /// What was expected and did not come: actions of the one scope, else whole scopes; or holders.
    pub missing: Vec<String>,
    /// What came and was not expected.
    pub excess: Vec<String>,
}

/// An answer.
#[derive(Debug)]
pub enum Found {
    /// To a request.
    Decision {
        /// Who asked.
        principal: Principal,
        /// What came of it.
        decision: Decision,
    },
    /// To the question who can do something.
    Holders(Holders),
}

impl Found {
    /// Whether more might be said.
    const fn is_incomplete(&self) -> bool {
        match self {
            Self::Decision { .. } => false,
            Self::Holders(holders) => !holders.complete,
        }
    }
}

impl<'a> Failure<'a> {
    /// Compares an answer with the expected one; `None` where it is the same.
    pub(super) fn of(file: &'a SourceFile, case: &'a Case, policy: &'a Policy, found: Found) -> Option<Self> {
        let (missing, excess) = match (&case.question, &found) {
            (Question::Request(request), Found::Decision { decision, .. }) => request.differences(decision),
            (Question::WhoCan(question), Found::Holders(holders)) => {
                let holders: BTreeSet<String> = holders.list.iter().map(|holder| holder.who.clone()).collect();
                let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect();
                (only(&question.is.value, &holders), only(&holders, &question.is.value))
            }
            (Question::Request(_), Found::Holders(_)) | (Question::WhoCan(_), Found::Decision { .. }) => return None,
        };
        let same = missing.is_empty() && excess.is_empty();
        (!same || found.is_incomplete()).then_some(Self { file, case, policy, found, missing, excess })
    }

    /// The file of the case.
    pub fn file(&self) -> &'a SourceFile {
        self.file
    }

    /// `missing: push; too much: delete`.
    pub fn difference(&self) -> String {
        let part = |word: &str, list: &[String]| (!list.is_empty()).then(|| format!("{word}: {}", list.join(", ")));
        let parts = [part("missing", &self.missing), part("too much", &self.excess)];
        let incomplete = self.found.is_incomplete().then(|| "who can is not all known: the rules leave too many ways to try".to_owned());
        parts.into_iter().flatten().chain(incomplete).collect::<Vec<_>>().join("; ")
    }

    /// An error at the expectation, for logs and for whoever loads the rules.
    pub fn diagnostic(&self) -> Diagnostic {
        let what = match &self.case.name {
            Some(name) => format!("`{name}`"),
            None => self.case.question.to_string(),
        };
        let message = format!("a policy test fails: {what}: {}", self.difference());
        let command = format!("correct the rules or the test; `narrows test {}` says which rule decides", self.file.path().display());
        self.file.error(self.expectation(), message).hint(command)
    }

    fn expectation(&self) -> Place {
        match &self.case.question {
            Question::Request(request) => request.gets.place,
            Question::WhoCan(question) => question.is.place,
        }
    }
}

impl Request {
    /// What is missing, and what is too much.
    fn differences(&self, decision: &Decision) -> (Vec<String>, Vec<String>) {
        let got: BTreeMap<Resource, ActionSet> = decision.access().into_iter().collect();
        let (mut missing, mut excess) = (Vec::new(), Vec::new());
        for ResourceScope { resource, .. } in &self.asks {
            let of = |access: &BTreeMap<Resource, ActionSet>| access.get(resource).copied().unwrap_or_default();
            let (expected, got) = (of(&self.gets.value), of(&got));
            missing.extend(self.words(resource, expected - got));
            excess.extend(self.words(resource, got - expected));
        }
        (missing, excess)
    }

    /// Actions as they would stand behind `gets`.
    pub fn words(&self, resource: &Resource, actions: ActionSet) -> Vec<String> {
        match (self.asks.as_slice(), resource) {
            _ if actions.is_empty() => Vec::new(),
            (_, Resource::Catalog) => vec!["catalog".to_owned()],
            ([_], Resource::Repository(_)) => actions.iter().map(Action::as_str).map(ToOwned::to_owned).collect(),
            (_, Resource::Repository(_)) => vec![ResourceScope { resource: resource.clone(), actions }.to_string()],
        }
    }
}
