//! One case: a question and the answer that is expected.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::authz::asker::Asker;
use crate::authz::settings::RulesFile;
use crate::clock::Timestamp;
use crate::registry::{Action, ActionSet, Resource, ResourceScope};
use crate::source::{Located, Place};

/// Which rules a file of policy tests is about. Paths are relative to it.
#[derive(Clone, Debug)]
pub enum TestedFiles {
    /// `rules`: files of rules, without a configuration.
    Rules(Vec<Located<RulesFile>>),
    /// `config`: a configuration, with its rules.
    Config(Located<PathBuf>),
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it starts.
    pub place: Place,
    /// `name`
    pub name: Option<String>,
    /// `service`
    pub service: Option<Located<String>>,
    /// What is asked, and expected.
    pub question: Question,
}

/// What a case asks.
#[derive(Clone, Debug)]
pub enum Question {
    /// What somebody gets.
    Request(Request),
    /// Who may do something.
    WhoCan(WhoCan),
}

/// `who`, `asks`, `gets`: what somebody gets.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks.
    pub who: Located<Who>,
    /// For what; a resource stands there once.
    pub asks: Vec<ResourceScope>,
    /// What is expected: actions that were asked for, and explicit ones.
    pub gets: Located<BTreeMap<Resource, ActionSet>>,
    /// When; default: now.
    pub at: Option<Timestamp>,
    /// The client's address; default: unknown.
    pub source: Option<IpAddr>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Who {
    /// A request without credentials.
    Anonymous,
    /// Somebody.
    Somebody(Asker),
}

/// `who_can`, `is`: who may do something.
#[derive(Clone, Debug)]
pub struct WhoCan {
    /// Which action.
    pub action: Action,
    /// On what.
    pub resource: Resource,
    /// In words, as `group releasers`; empty for nobody.
    pub is: Located<BTreeSet<String>>,
}

/// What the case asks, on one line.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(request) => {
                let asks: Vec<String> = request.asks.iter().map(ToString::to_string).collect();
                write!(f, "{} asks for {}", request.who.value, asks.join(" "))?;
                if let Some(at) = request.at {
                    write!(f, " at {}", at.rfc3339())?;
                }
                match request.source {
                    Some(source) => write!(f, " from {source}"),
                    None => Ok(()),
                }
            }
            Self::WhoCan(WhoCan { action, resource: Resource::Repository(name), .. }) => write!(f, "who can {action} {name}"),
            Self::WhoCan(WhoCan { resource: Resource::Catalog, .. }) => f.write_str("who can catalog"),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Somebody(asker) => asker.fmt(f),
        }
    }
}
