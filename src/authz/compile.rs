//! From what is written to what it means. Every mistake of the files is found, not the first one alone.

mod files;
mod groups;
mod lint;
mod named;
mod rules;
mod when;
mod who;
mod words;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::alias::Aliases;
use super::cache::Standings;
use super::document::{self, Document, Text};
use super::environment::{Environment, Realm};
use super::pattern::{Pattern, Reserved};
use super::piece::PatternError;
use super::policy::{LONE_REALM, Policy, RuleSource};
use super::rule::{Roles, Rule};
use super::standing::Sorted;
use super::when::Zone;
use crate::source::{Diagnostic, Diagnostics, Place, SourceFile};

/// Reads, checks and compiles files.
pub(super) fn compile(sources: &[RuleSource], environment: &Environment) -> Result<(Policy, Diagnostics), Diagnostics> {
    let mut findings = Diagnostics::default();
    let documents: Vec<Document> = sources.iter().map(|source| document::read(&source.file, &mut findings)).collect();
    let Some(first) = sources.first() else { return Err(findings) };
    let mut compiler = Compiler {
        sources,
        file: &first.file,
        number: 0,
        fence: None,
        environment,
        findings,
        home: None,
        zone: None,
        roles: words::built_in(),
        reserved: None,
        aliases: Aliases::default(),
        originals: BTreeMap::new(),
        names: HashSet::new(),
        roles_written: HashSet::new(),
    };
    compiler.settle(&documents);
    let mut rules: Vec<Rule> = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        compiler.enter(number);
        rules.extend(document.rules.iter().filter_map(|text| compiler.rule(text)));
    }
    // A rule that could not be read would be missing from the comparison.
    if !compiler.findings.has_errors() {
        lint::rules(&rules, &mut compiler);
        for (number, document) in documents.iter().enumerate() {
            compiler.enter(number);
            lint::aliases(&rules, &document.groups, &mut compiler);
        }
    }
    compiler.finish(rules)
}

struct Compiler<'a> {
    sources: &'a [RuleSource],
    /// The file that is compiled now, and its number.
    file: &'a SourceFile,
    number: usize,
    /// What its repositories have to stay inside.
    fence: Option<Pattern>,
    environment: &'a Environment,
    findings: Diagnostics,
    home: Option<Arc<str>>,
    zone: Option<Arc<Zone>>,
    roles: Roles,
    reserved: Option<Reserved>,
    aliases: Aliases,
    /// What each alias, folded, stands for, as text, for `named_principals`.
    originals: BTreeMap<String, Vec<String>>,
    /// The names of rules that were seen.
    names: HashSet<String>,
    /// The roles that were written, for the second one of a name.
    roles_written: HashSet<String>,
}

impl<'a> Compiler<'a> {
    fn finish(mut self, rules: Vec<Rule>) -> Result<(Policy, Diagnostics), Diagnostics> {
        // In the order of the files, and of each file's lines.
        let order: HashMap<_, _> =
            self.sources.iter().enumerate().map(|(number, source)| (source.file.path().to_owned(), number)).collect();
        self.findings.0.sort_by_key(|finding| (order.get(&finding.file).copied(), finding.place));
        if self.findings.has_errors() {
            return Err(self.findings);
        }
        let named = self.named(&rules);
        let policy = Policy {
            sorted: Sorted::new(&rules),
            standings: Standings::default(),
            rules,
            roles: self.roles,
            reserved: self.reserved.unwrap_or_default(),
            aliases: self.aliases,
            home: self.home,
            realms: self.environment.realms.0.iter().map(|realm| (Arc::clone(&realm.name), realm.ignore_case)).collect(),
            named,
            environment: self.environment.clone(),
        };
        Ok((policy, self.findings))
    }

    fn realms(&self) -> &'a [Realm] {
        &self.environment.realms.0
    }

    fn home_realm(&self) -> Option<&'a Realm> {
        self.realms().iter().find(|realm| Some(&realm.name) == self.home.as_ref())
    }

    fn home_ignores_case(&self) -> bool {
        self.home_realm().is_some_and(|realm| realm.ignore_case)
    }

    /// A name of the file's realm in the form in which equal ones are equal.
    fn folded(&self, name: &str) -> String {
        if self.home_ignores_case() { name.to_ascii_lowercase() } else { name.to_owned() }
    }

    /// A plain name is used here; with several realms the file has to say whose.
    fn need_home(&mut self, place: Place, what: &str) {
        if self.home.is_none() && self.realms().len() > 1 {
            let names: Vec<&str> = self.realms().iter().map(|realm| &*realm.name).collect();
            self.error(
                place,
                format!("{what} could be of more than one realm"),
                &format!("name the realm here, or write `realm:` at the top of the file; there are {}", names.join(", ")),
            );
        }
    }

    fn known_realm(&mut self, name: &Text) -> Option<Arc<str>> {
        let known: Vec<&Arc<str>> = self.realms().iter().map(|realm| &realm.name).collect();
        self.known("realm", name, &known)
    }

    fn known_provider(&mut self, name: &Text) -> Option<Arc<str>> {
        let known: Vec<&Arc<str>> = self.realms().iter().flat_map(|realm| &realm.providers).collect();
        self.known("provider", name, &known)
    }

    fn known_service(&mut self, name: &Text) -> Option<Arc<str>> {
        let known: Vec<&Arc<str>> = self.environment.services.iter().map(|service| &service.name).collect();
        self.known("service", name, &known)
    }

    /// One of the known names; any where nothing is known.
    fn known(&mut self, what: &str, name: &Text, known: &[&Arc<str>]) -> Option<Arc<str>> {
        let found = known.iter().find(|known| ****known == *name.value);
        if found.is_none() && !known.is_empty() {
            let names: Vec<&str> = known.iter().map(|known| &***known).collect();
            let whose = if what == "service" { "these rules decide for no" } else { "the configuration has no" };
            self.error(name.place, format!("{whose} {what} `{}`", name.value), &format!("it has {}", names.join(", ")));
            return None;
        }
        Some(found.map_or_else(|| name.value.as_str().into(), |found| Arc::clone(found)))
    }

    /// Findings so far, to see whether a step added some.
    fn count(&self) -> usize {
        self.findings.0.len()
    }

    fn pattern(&mut self, text: &Text, error: &PatternError) {
        self.error(text.place, error.to_string(), error.hint());
    }

    fn error(&mut self, place: Place, message: impl Into<String>, hint: &str) {
        let finding: Diagnostic = self.file.error(place, message);
        self.findings.push(finding.hint(hint));
    }

    fn warning(&mut self, place: Place, message: impl Into<String>, hint: &str) {
        let finding: Diagnostic = self.file.warning(place, message);
        self.findings.push(finding.hint(hint));
    }
}
