//! Policy tests: who asks for what and gets what, written down beside the rules and run against them.
//!
//! Reading a file ([`PolicyTests::parse`]) finds every mistake that needs no rules; running it ([`PolicyTests::run`]) decides
//! each case as the service would. Which rules these are is for the caller to know: the command line takes those that the file
//! names, a reload those that it is about to use.

mod case;
mod failure;
mod identities;
mod read;
mod request;
mod who;

pub use case::{Case, Question, Request, TestedFiles, Who, WhoCan};
pub use failure::{Failure, Found};
pub use identities::Identities;

use super::environment::Realms;
use super::policy::{Context, Policy};
use crate::clock::Timestamp;
use crate::source::{Diagnostic, Diagnostics, SourceFile};

/// A file of policy tests.
#[derive(Clone, Debug)]
pub struct PolicyTests {
    file: SourceFile,
    /// What the file wants to be run against.
    pub files: TestedFiles,
    cases: Vec<Case>,
}

/// What cases are run against.
#[derive(Clone, Debug)]
pub struct Stage<'a> {
    /// The rules.
    pub rules: TestedRules<'a>,
    /// Whose people the providers know; none where there is no configuration.
    pub realms: &'a Realms,
    /// The moment of every case that names none.
    pub now: Timestamp,
}

/// The rules that answer, by service.
#[derive(Clone, Debug)]
pub enum TestedRules<'a> {
    /// The same for whatever service a case names: there is no configuration.
    Alone(&'a Policy),
    /// Those of each service, in the order of the configuration; a case that names no service means the first.
    Services(Vec<(&'a str, &'a Policy)>),
}

impl PolicyTests {
    /// Reads a file of policy tests. Every mistake in it is found at once.
    pub fn parse(file: &SourceFile) -> Result<Self, Diagnostics> {
        let (files, cases) = read::read(file)?;
        Ok(Self { file: file.clone(), files, cases })
    }

    /// The file itself.
    pub fn file(&self) -> &SourceFile {
        &self.file
    }

    /// The cases, in the order of the file.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Runs every case and hands out those that fail. A case that cannot be run, as one that names an unknown provider, is an
    /// error of the file.
    pub fn run<'a>(&'a self, stage: &Stage<'a>) -> Result<Vec<Failure<'a>>, Diagnostics> {
        let (mut failures, mut findings) = (Vec::new(), Diagnostics::default());
        for case in &self.cases {
            match self.try_case(case, stage) {
                Ok(failure) => failures.extend(failure),
                Err(finding) => findings.push(finding),
            }
        }
        if findings.has_errors() { Err(findings) } else { Ok(failures) }
    }

    fn try_case<'a>(&'a self, case: &'a Case, stage: &Stage<'a>) -> Result<Option<Failure<'a>>, Diagnostic> {
        let (service, policy) = self.service(case, &stage.rules)?;
        let found = match &case.question {
            Question::Request(request) => {
                let now = request.at.unwrap_or(stage.now);
                let principal = identities::principal(&self.file, &request.who, policy, stage.realms, now)?;
                let decision = policy.decide(&principal, &request.asks, &Context { service, now, source: request.source });
                Found::Decision { principal, decision }
            }
            Question::WhoCan(question) => Found::Holders(policy.who_can(question.action, &question.resource, service, stage.now)),
        };
        Ok(Failure::of(&self.file, case, policy, found))
    }

    /// The service of a case and the rules that decide for it.
    fn service<'a>(&self, case: &'a Case, rules: &TestedRules<'a>) -> Result<(&'a str, &'a Policy), Diagnostic> {
        match (rules, &case.service) {
            (TestedRules::Alone(policy), named) => Ok((named.as_ref().map_or("", |service| &service.value), policy)),
            (TestedRules::Services(services), named) => {
                let found = services.iter().find(|(name, _)| named.as_ref().is_none_or(|named| *named.value == **name));
                found.copied().ok_or_else(|| {
                    let (name, place) = named.as_ref().map_or(("", case.place), |named| (&named.value, named.place));
                    let known = services.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                    let message = format!("the configuration has no service `{name}`; it has {known}");
                    self.file.error(place, message).hint("name one of them, or none: the first is meant then")
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
