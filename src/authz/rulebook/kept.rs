//! A rulebook as the state keeps it: JSON with every text, so that it can be compiled again when the files are bad.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Compiled, Findings, Rulebook};
use crate::authz::environment::Environment;
use crate::authz::policy::RuleSource;
use crate::source::{Diagnostic, Diagnostics, SourceFile};

/// What findings call a text that was kept before its path was.
const NAMELESS: &str = "rules of the last good load";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    sets: Vec<KeptSet>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptSet {
    services: Vec<String>,
    files: Vec<KeptFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptFile {
    path: String,
    within: Option<String>,
    text: String,
}

impl Rulebook {
    /// Every text, to be kept for a start with bad files.
    pub fn to_kept(&self) -> String {
        json(&self.sets)
    }

    /// Compiles what was kept, for every service of the environment. A service that never had rules has none now, which
    /// is an error. `sharing` are the services without rules of their own: before services could have them, the text of the
    /// one rule file was kept as it stood.
    pub fn of_kept(kept: String, sharing: Vec<Arc<str>>, environment: &Environment) -> Result<Self, Diagnostics> {
        let sets: Vec<_> = match serde_json::from_str::<Kept>(&kept) {
            Ok(kept) => kept.sets.into_iter().map(|set| set.sources(environment)).collect(),
            Err(_) => vec![(sharing, vec![RuleSource { file: SourceFile::new(NAMELESS, kept), within: None }])],
        };
        let used = sets.into_iter().filter(|(services, _)| !services.is_empty());
        let (rulebook, _) = Self::compile(used, environment, Findings::default())?;
        match environment.services.iter().find(|service| rulebook.policy(&service.name).is_none()) {
            Some(service) => Err(never_loaded(&service.name)),
            None => Ok(rulebook),
        }
    }
}

pub(super) fn json(sets: &[Compiled]) -> String {
    let file = |source: &RuleSource| KeptFile {
        path: source.file.path().to_string_lossy().into_owned(),
        within: source.within.clone(),
        text: source.file.text().to_owned(),
    };
    let sets = sets.iter().map(|set| KeptSet {
        services: set.services.iter().map(ToString::to_string).collect(),
        files: set.sources.iter().map(file).collect(),
    });
    // Texts in memory: there is nothing that JSON has no word for.
    serde_json::to_string(&Kept { sets: sets.collect() }).unwrap_or_default()
}

impl KeptSet {
    /// Its texts, and those of its services that are still there.
    fn sources(self, environment: &Environment) -> (Vec<Arc<str>>, Vec<RuleSource>) {
        let known = environment.services.iter().map(|service| &service.name);
        let services = known.filter(|name| self.services.iter().any(|kept| **kept == ***name)).cloned().collect();
        let source = |file: KeptFile| RuleSource { file: SourceFile::new(file.path, file.text), within: file.within };
        (services, self.files.into_iter().map(source).collect())
    }
}

fn never_loaded(service: &str) -> Diagnostics {
    Diagnostic::whole(NAMELESS, format!("no rules of service `{service}` were ever loaded")).into()
}
