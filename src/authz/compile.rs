//! From what is written to what it means. Every mistake of a file is found, not the first one alone.

mod lint;
mod named;
mod rules;
mod who;
mod words;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::alias::Aliases;
use super::binding::component;
use super::dn::DnPattern;
use super::document::{self, Document, Original, Text};
use super::environment::{Environment, Realms};
use super::index::Index;
use super::pattern::Reserved;
use super::piece::PatternError;
use super::policy::{LONE_REALM, Policy, RuleSource};
use super::rule::{Roles, Rule};
use crate::source::{Diagnostic, Diagnostics, Place, SourceFile};

/// Reads, checks and compiles one file.
pub(super) fn compile(sources: &[RuleSource], environment: &Environment) -> Result<(Policy, Diagnostics), Diagnostics> {
    let Some(RuleSource { file, .. }) = sources.first() else { return Err(Diagnostics::default()) };
    let realms = &environment.realms;
    let mut findings = Diagnostics::default();
    let document = document::read(file, &mut findings);
    let mut compiler = Compiler {
        file,
        realms,
        findings,
        home: None,
        roles: words::built_in(),
        reserved: None,
        aliases: Aliases::default(),
        originals: BTreeMap::new(),
        names: HashSet::new(),
    };
    compiler.settle_realm(document.realm.as_ref());
    compiler.reserve(document.reserved.as_deref());
    compiler.add_roles(&document.roles);
    compiler.add_aliases(&document);
    let rules: Vec<(Rule, Place)> = document.rules.iter().filter_map(|text| Some((compiler.rule(text)?, text.place))).collect();
    // A rule that could not be read would be missing from the comparison.
    if !compiler.findings.has_errors() {
        lint::rules(&rules, &mut compiler);
        lint::aliases(&rules, &document.groups, &mut compiler);
    }
    compiler.finish(rules)
}

struct Compiler<'a> {
    file: &'a SourceFile,
    realms: &'a Realms,
    findings: Diagnostics,
    home: Option<Arc<str>>,
    roles: Roles,
    reserved: Option<Reserved>,
    aliases: Aliases,
    /// What each alias, folded, stands for, as text, for `named_principals`.
    originals: BTreeMap<String, Vec<String>>,
    /// The names of rules that were seen.
    names: HashSet<String>,
}

impl Compiler<'_> {
    fn finish(mut self, rules: Vec<(Rule, Place)>) -> Result<(Policy, Diagnostics), Diagnostics> {
        self.findings.0.sort_by_key(|finding| finding.place);
        if self.findings.has_errors() {
            return Err(self.findings);
        }
        let rules: Vec<Rule> = rules.into_iter().map(|(rule, _)| rule).collect();
        let named = self.named(&rules);
        let policy = Policy {
            index: Index::new(&rules),
            rules,
            roles: self.roles,
            reserved: self.reserved.unwrap_or_default(),
            aliases: self.aliases,
            home: self.home,
            realms: self.realms.0.iter().map(|realm| (Arc::clone(&realm.name), realm.ignore_case)).collect(),
            named,
        };
        Ok((policy, self.findings))
    }

    /// Plain names mean the realm that the file says, or the only one there is. A file alone has one of its own.
    fn settle_realm(&mut self, written: Option<&Text>) {
        self.home = match (written, self.realms.0.as_slice()) {
            (Some(realm), _) => self.known_realm(realm),
            (None, [only]) => Some(Arc::clone(&only.name)),
            (None, []) => Some(LONE_REALM.into()),
            (None, _) => None,
        };
        self.aliases = Aliases::new(self.home_ignores_case());
    }

    fn home_ignores_case(&self) -> bool {
        self.realms.0.iter().any(|realm| Some(&realm.name) == self.home.as_ref() && realm.ignore_case)
    }

    /// A name of the file's realm in the form in which equal ones are equal.
    fn folded(&self, name: &str) -> String {
        if self.home_ignores_case() { name.to_ascii_lowercase() } else { name.to_owned() }
    }

    /// A plain name is used here; with several realms the file has to say whose.
    fn need_home(&mut self, place: Place, what: &str) {
        if self.home.is_none() && self.realms.0.len() > 1 {
            let names: Vec<&str> = self.realms.0.iter().map(|realm| &*realm.name).collect();
            self.error(
                place,
                format!("{what} could be of more than one realm"),
                &format!("name the realm here, or write `realm:` at the top of the file; there are {}", names.join(", ")),
            );
        }
    }

    fn known_realm(&mut self, name: &Text) -> Option<Arc<str>> {
        let known: Vec<&Arc<str>> = self.realms.0.iter().map(|realm| &realm.name).collect();
        self.known("realm", name, &known)
    }

    fn known_provider(&mut self, name: &Text) -> Option<Arc<str>> {
        let known: Vec<&Arc<str>> = self.realms.0.iter().flat_map(|realm| &realm.providers).collect();
        self.known("provider", name, &known)
    }

    fn known(&mut self, what: &str, name: &Text, known: &[&Arc<str>]) -> Option<Arc<str>> {
        let found = known.iter().find(|known| ****known == *name.value);
        if found.is_none() && !self.realms.0.is_empty() {
            let names: Vec<&str> = known.iter().map(|known| &***known).collect();
            self.error(name.place, format!("the configuration has no {what} `{}`", name.value), &format!("it has {}", names.join(", ")));
            return None;
        }
        Some(found.map_or_else(|| name.value.as_str().into(), |found| Arc::clone(found)))
    }

    fn reserve(&mut self, written: Option<&[Text]>) {
        let Some(written) = written else { return };
        for text in written {
            if component(&text.value, false).is_none() {
                let hint = "list first segments of repository names alone, as in [users, shared, base]";
                self.error(text.place, format!("`{}` can be no first segment that a capture takes", text.value), hint);
            }
        }
        self.reserved = Some(written.iter().map(|text| text.value.clone()).collect());
    }

    fn add_aliases(&mut self, document: &Document) {
        for (alias, originals) in &document.groups {
            self.need_home(alias.place, "the groups behind an alias");
            if alias.value.is_empty() || alias.value.contains(['*', '{', '}', '=']) {
                self.error(
                    alias.place,
                    format!("`{}` cannot be an alias", alias.value),
                    "an alias is a plain name without `*`, braces and `=`",
                );
                continue;
            }
            if !self.aliases.add(&alias.value) {
                self.error(alias.place, format!("the alias `{}` is there already", alias.value), "put all of its groups into one list");
            }
            let name: Arc<str> = alias.value.as_str().into();
            for original in originals {
                self.add_original(&name, original);
            }
        }
    }

    fn add_original(&mut self, alias: &Arc<str>, original: &Original) {
        let text = match original {
            Original::Id(id) => return self.aliases.add_id(alias, &id.value),
            Original::Name(text) => text,
        };
        if text.value.contains('=') {
            match DnPattern::parse(&text.value).map(|pattern| pattern.key()) {
                Ok(Some(dn)) => self.aliases.add_dn(alias, dn),
                Ok(None) => self.error(text.place, "an alias stands for whole groups", "write the DN without captures"),
                Err(error) => self.pattern(text, &error),
            }
        } else if text.value.contains(['*', '{', '}']) {
            self.error(text.place, "an alias stands for whole groups", "write the group's name without `*` and braces, or its id");
        } else {
            self.aliases.add_name(alias, &text.value);
        }
        self.originals.entry(self.folded(alias)).or_default().push(text.value.clone());
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
