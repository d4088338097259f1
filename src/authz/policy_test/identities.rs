//! A list of people and workloads, in the words of policy tests.

use std::sync::Arc;

use super::case::Who;
use super::who;
use crate::authn::identity::Principal;
use crate::authz::environment::Realms;
use crate::authz::node::{Kind, Node, NodeReader};
use crate::authz::policy::Policy;
use crate::clock::Timestamp;
use crate::source::{Diagnostic, Diagnostics, Located, SourceFile};

/// A file that lists who is asked about.
#[derive(Clone, Debug)]
pub struct Identities {
    file: SourceFile,
    all: Vec<Located<Who>>,
}

impl Identities {
    /// Reads a file. Every mistake in it is found at once.
    pub fn parse(file: &SourceFile) -> Result<Self, Diagnostics> {
        let mut reader = NodeReader::new(file);
        let node: Node = file.parse()?;
        let place = node.place;
        let hint = "start each with a dash, as in `- {user: alice, groups: [releasers]}`";
        let all: Vec<Located<Who>> = match node.value {
            Kind::List(items) => items.into_iter().filter_map(|item| who::read(&mut reader, item)).collect(),
            other @ (Kind::Text(_) | Kind::Number(_) | Kind::Bool(_) | Kind::Null | Kind::Map(_)) => {
                reader.error(place, format!("identities are a list, not {}", other.article()), hint);
                Vec::new()
            }
        };
        if all.is_empty() && !reader.findings.has_errors() {
            reader.error(place, "there is no identity", hint);
        }
        if reader.findings.has_errors() { Err(reader.findings) } else { Ok(Self { file: file.clone(), all }) }
    }

    /// Who each of them is to these rules at that moment, in the order of the file.
    pub fn principals(&self, policy: &Policy, realms: &Realms, now: Timestamp) -> Result<Vec<(&Who, Principal)>, Diagnostics> {
        let (mut found, mut findings) = (Vec::new(), Diagnostics::default());
        for who in &self.all {
            match principal(&self.file, who, policy, realms, now) {
                Ok(principal) => found.push((&who.value, principal)),
                Err(finding) => findings.push(finding),
            }
        }
        if findings.has_errors() { Err(findings) } else { Ok(found) }
    }
}

/// Who a description is, or an error at its place.
pub(super) fn principal(
    file: &SourceFile,
    who: &Located<Who>,
    policy: &Policy,
    realms: &Realms,
    now: Timestamp,
) -> Result<Principal, Diagnostic> {
    let asker = match &who.value {
        Who::Anonymous => return Ok(Principal::Anonymous),
        Who::Somebody(asker) => asker,
    };
    match asker.identity(policy.realm(), realms, now) {
        Ok(identity) => Ok(Principal::Identified(Arc::new(identity))),
        Err(error) => Err(file.error(who.place, error.to_string()).hint(who::hint(&error))),
    }
}
