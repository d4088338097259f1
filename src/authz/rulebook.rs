//! The rules of one generation: a policy for every service, and the texts that they were compiled from.

mod kept;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;

use super::environment::Environment;
use super::policy::{Policy, RuleSource};
use crate::source::{Diagnostics, SourceFile};

/// So many digits of a digest are shown: 128 bits, so that nobody makes two rulebooks of one digest.
const DIGITS: usize = 32;

/// Files of rules that hold together, and the services that they decide for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    /// The files in their order; the first one says what holds for all.
    pub files: Vec<RuleFile>,
    /// The services.
    pub services: Vec<Arc<str>>,
}

/// One file of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// Where it is.
    pub path: PathBuf,
    /// The pattern that its repositories have to stay inside.
    pub within: Option<String>,
}

/// The compiled rules of one generation by service.
#[derive(Debug)]
pub struct Rulebook {
    sets: Vec<Compiled>,
    environment: Environment,
    digest: String,
    by_service: BTreeMap<Arc<str>, Arc<Policy>>,
}

/// One set of files.
#[derive(Clone, Debug)]
struct Compiled {
    services: Vec<Arc<str>>,
    sources: Vec<RuleSource>,
    policy: Arc<Policy>,
}

impl Rulebook {
    /// Reads and compiles every set. All mistakes of all files are found at once; warnings come with the rules.
    pub fn load(sets: &[RuleSet], environment: &Environment) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut findings = Findings::default();
        let mut read = Vec::new();
        for set in sets {
            let mut sources = Vec::new();
            for RuleFile { path, within } in &set.files {
                match SourceFile::load(path) {
                    Ok(file) => sources.push(RuleSource { file, within: within.clone() }),
                    Err(finding) => findings.add(finding.into()),
                }
            }
            read.push((set.services.clone(), sources, set.files.len()));
        }
        // A set of which a file is missing would have mistakes that nobody made.
        let whole = read.into_iter().filter(|(_, sources, files)| sources.len() == *files);
        Self::compile(whole.map(|(services, sources, _)| (services, sources)), environment, findings)
    }

    fn compile(
        sets: impl IntoIterator<Item = (Vec<Arc<str>>, Vec<RuleSource>)>,
        environment: &Environment,
        mut findings: Findings,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut compiled = Vec::new();
        for (services, sources) in sets {
            let mut known = environment.clone();
            known.services.retain(|service| services.contains(&service.name));
            match Policy::compile_all(&sources, &known) {
                Ok((policy, warnings)) => {
                    findings.add(warnings);
                    compiled.push(Compiled { services, sources, policy: Arc::new(policy) });
                }
                Err(errors) => findings.add(errors),
            }
        }
        if findings.all.has_errors() {
            return Err(findings.all);
        }
        let environment = Environment { now: None, ..environment.clone() };
        Ok((Self::of(compiled, environment), findings.all))
    }

    fn of(sets: Vec<Compiled>, environment: Environment) -> Self {
        let by_service =
            sets.iter().flat_map(|set| set.services.iter().map(|service| (Arc::clone(service), Arc::clone(&set.policy)))).collect();
        let digest = digest(&kept::json(&sets), &environment);
        Self { sets, environment, digest, by_service }
    }

    /// The rules of a service.
    pub fn policy(&self, service: &str) -> Option<&Arc<Policy>> {
        self.by_service.get(service)
    }

    /// Every service that has rules.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.by_service.keys().map(AsRef::as_ref)
    }

    /// The realms and services that the rules were read against.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The policy of every set with the services that it decides for and the path of the file that holds for all.
    pub fn policies(&self) -> impl Iterator<Item = (&[Arc<str>], &Path, &Arc<Policy>)> {
        self.sets.iter().filter_map(|set| Some((set.services.as_slice(), set.sources.first()?.file.path(), &set.policy)))
    }

    /// How many rules there are in all sets.
    pub fn rule_count(&self) -> usize {
        self.sets.iter().map(|set| set.policy.rule_count()).sum()
    }

    /// Every file with what it held.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.sets.iter().flat_map(|set| &set.sources).map(|source| &source.file)
    }

    /// These rules, and the former ones of those services that they say nothing about.
    #[must_use]
    pub fn or_former(self, services: impl IntoIterator<Item = impl AsRef<str>>, former: &Self) -> Self {
        let mut sets = self.sets;
        for service in services {
            let service = service.as_ref();
            let missing = !self.by_service.contains_key(service);
            let set = former.sets.iter().find(|set| set.services.iter().any(|known| &**known == service));
            if let (true, Some(set)) = (missing, set) {
                sets.push(Compiled { services: vec![service.into()], ..set.clone() });
            }
        }
        Self::of(sets, self.environment)
    }

    /// Tells these rules from others: every text with its place among the sets, and what they are read against.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

fn digest(texts: &str, environment: &Environment) -> String {
    let mut context = Context::new(&SHA256);
    for part in [texts, &format!("{environment:?}")] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut digits = HEXLOWER.encode(context.finish().as_ref());
    digits.truncate(DIGITS);
    digits
}

/// Findings, each once: a file that stands in two sets has its mistakes in both.
#[derive(Default)]
struct Findings {
    all: Diagnostics,
    told: HashSet<String>,
}

impl Findings {
    fn add(&mut self, findings: Diagnostics) {
        for finding in findings.0 {
            if self.told.insert(finding.summary()) {
                self.all.push(finding);
            }
        }
    }
}

#[cfg(test)]
mod tests;
