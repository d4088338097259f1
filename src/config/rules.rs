//! Which files of rules decide for which service, and what tests them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::Config;
use crate::authz::settings::RulesSettings;
use crate::authz::{RuleFile, RuleSet};
use crate::source::Located;

impl Config {
    /// The rules that services share, then those of each service that has its own. Every service is in one set.
    pub fn rule_sets(&self) -> Vec<RuleSet> {
        let sharing: Vec<Arc<str>> = self.services_without_rules();
        let shared = self.rules.iter().filter(|_| !sharing.is_empty()).map(|rules| self.rule_set(rules, sharing.clone()));
        let own = self.services.iter().filter_map(|service| {
            let name = Arc::from(service.name.value.as_str());
            Some(self.rule_set(service.rules.as_ref()?, vec![name]))
        });
        shared.chain(own).collect()
    }

    /// The services that share the top `rules`.
    pub fn services_without_rules(&self) -> Vec<Arc<str>> {
        let sharing = self.services.iter().filter(|service| service.rules.is_none());
        sharing.map(|service| service.name.value.as_str().into()).collect()
    }

    /// Every rule file once, as it is written and where.
    pub fn rule_files(&self) -> Vec<Located<PathBuf>> {
        let own = self.services.iter().filter_map(|service| service.rules.as_ref());
        let mut seen = BTreeSet::new();
        let all = self.rules.iter().chain(own).flat_map(RulesSettings::paths);
        all.filter(|path| seen.insert(path.value.clone())).collect()
    }

    /// Every file whose change makes other rules, or other tests of them.
    pub fn policy_files(&self) -> Vec<PathBuf> {
        self.rule_files().into_iter().chain(self.policy_tests.paths()).map(|path| self.folder().join(path.value)).collect()
    }

    fn rule_set(&self, rules: &RulesSettings, services: Vec<Arc<str>>) -> RuleSet {
        let file = |file: &Located<crate::authz::settings::RulesFile>| RuleFile {
            path: self.folder().join(&file.value.file),
            within: file.value.within.as_ref().map(|within| within.value.clone()),
        };
        RuleSet { files: rules.files.iter().map(file).collect(), services }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;
    use crate::source::SourceFile;

    #[track_caller]
    fn check(services: &str, rules: &str, expected: &[&str]) {
        let text = format!("services: [{services}]\n{rules}\nproviders: [{{name: staff, file: {{path: users.yaml}}}}]\n");
        let (config, _) = parse(SourceFile::new("etc/narrows.yaml", text)).unwrap_or_else(|findings| panic!("{findings}"));
        let shown = |set: &crate::authz::RuleSet| {
            let files: Vec<String> = set
                .files
                .iter()
                .map(|file| {
                    file.within
                        .as_ref()
                        .map_or_else(|| file.path.display().to_string(), |within| format!("{} in {within}", file.path.display()))
                })
                .collect();
            format!("{}: {}", set.services.join(" "), files.join(", "))
        };
        assert_eq!(config.rule_sets().iter().map(shown).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_service_has_its_own_rules_or_those_that_all_share() {
        check("{name: a}, {name: b}", "rules: r.yaml", &["a b: etc/r.yaml"]);
        check(
            "{name: a}, {name: b, rules: [b.yaml, {file: c.yaml, within: c/**}]}",
            "rules: r.yaml",
            &["a: etc/r.yaml", "b: etc/b.yaml, etc/c.yaml in c/**"],
        );
        check("{name: a, rules: a.yaml}", "", &["a: etc/a.yaml"]);
        check("{name: a, rules: a.yaml}", "rules: r.yaml", &["a: etc/a.yaml"]);
    }
}
