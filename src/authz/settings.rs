//! `rules`, `policy_tests` and `reload` of the configuration.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::pattern::Pattern;
use crate::source::{Diagnostics, Located, OneOrMany, Period, Place, SourceFile};

/// `rules`: a path, or a list of paths and of files with what their repositories have to stay inside.
#[derive(Clone, Debug)]
pub struct RulesSettings {
    /// Where the key's value stands.
    pub place: Place,
    /// The files, in their order.
    pub files: Vec<Located<RulesFile>>,
}

/// One file of rules.
#[derive(Clone, Debug)]
pub struct RulesFile {
    /// Where it is, relative to the configuration.
    pub file: PathBuf,
    /// The pattern that its repositories have to stay inside.
    pub within: Option<Located<String>>,
}

impl RulesSettings {
    /// Where each file stands in the configuration, and its path.
    pub fn paths(&self) -> impl Iterator<Item = Located<PathBuf>> {
        self.files.iter().map(|rules| Located { value: rules.value.file.clone(), place: rules.place })
    }

    /// Finds what cannot work, whatever the files hold.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        if self.files.is_empty() {
            findings.push(file.error(self.place, "`rules` is an empty list").hint("name the rule file, as in `rules: rules.yaml`"));
        }
        distinct("rules", &self.paths().collect::<Vec<_>>(), file, findings);
        for (index, rules) in self.files.iter().enumerate() {
            let Some(within) = &rules.value.within else { continue };
            if index == 0 {
                findings.push(file.error(within.place, "the first rule file says what holds for all, so it has no `within`").hint(
                    "list first a file with `realm`, `roles` and `groups`, as in `rules: [base.yaml, {file: teams/payments.yaml, within: payments/**}]`",
                ));
            }
            check_within(within, file, findings);
        }
    }
}

/// `within` names a namespace: a pattern that means the same for everybody.
fn check_within(within: &Located<String>, file: &SourceFile, findings: &mut Diagnostics) {
    match Pattern::parse(&within.value) {
        Err(error) => findings.push(file.error(within.place, error.to_string()).hint(error.hint())),
        Ok(pattern) if !pattern.is_fence() => {
            let message = format!("`within: {}` is no namespace", within.value);
            findings.push(file.error(within.place, message).hint("write literal segments and a `**`, as in `within: payments/**`"));
        }
        Ok(_) => {}
    }
}

/// A list of files names each of them once.
fn distinct(key: &str, files: &[Located<PathBuf>], file: &SourceFile, findings: &mut Diagnostics) {
    for (index, path) in files.iter().enumerate() {
        if path.value.as_os_str().is_empty() {
            findings.push(file.error(path.place, format!("`{key}` names no file")).hint("write the path of a file"));
        } else if files.iter().take(index).any(|earlier| earlier == path) {
            let message = format!("`{}` is there twice", path.value.display());
            findings.push(file.error(path.place, message).hint("name each file once"));
        }
    }
}

impl JsonSchema for RulesSettings {
    fn schema_name() -> Cow<'static, str> {
        "RulesSettings".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let file = generator.subschema_for::<Written>();
        json_schema!({
            "description": "The path of a rule file, or a list of them, of which the first one says what holds for all.",
            "anyOf": [
                {"type": "string"},
                {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "string"}, file]}},
            ],
            "examples": ["rules.yaml", ["base.yaml", {"file": "teams/payments.yaml", "within": "payments/**"}]],
        })
    }
}

impl<'de> Deserialize<'de> for RulesSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let files = Located::<Files>::deserialize(deserializer)?;
        let place = files.place;
        let files = match files.value {
            Files::One(file) => vec![Located { value: file, place }],
            Files::Many(files) => files,
        };
        Ok(Self { place, files })
    }
}

enum Files {
    One(RulesFile),
    Many(Vec<Located<RulesFile>>),
}

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrList;
        impl<'de> Visitor<'de> for OneOrList {
            type Value = Files;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the path of a rule file, or a list of them")
            }
            fn visit_str<E: de::Error>(self, path: &str) -> Result<Files, E> {
                Ok(Files::One(RulesFile { file: path.into(), within: None }))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Files, A::Error> {
                let mut files = Vec::new();
                while let Some(file) = items.next_element()? {
                    files.push(file);
                }
                Ok(Files::Many(files))
            }
        }
        deserializer.deserialize_any(OneOrList)
    }
}

/// A rule file with what its repositories have to stay inside.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RulesFile")]
struct Written {
    /// The path of the rule file.
    file: PathBuf,
    /// The pattern that its repositories have to stay inside.
    #[serde(default)]
    within: Option<Located<String>>,
}

impl<'de> Deserialize<'de> for RulesFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathOrMap;
        impl<'de> Visitor<'de> for PathOrMap {
            type Value = RulesFile;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the path of a rule file, or {file: …, within: …}")
            }
            fn visit_str<E: de::Error>(self, path: &str) -> Result<RulesFile, E> {
                Ok(RulesFile { file: path.into(), within: None })
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<RulesFile, A::Error> {
                let written = Written::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(RulesFile { file: written.file, within: written.within })
            }
        }
        deserializer.deserialize_any(PathOrMap)
    }
}

/// `policy_tests`: files of cases that every load has to pass.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PolicyTests(pub OneOrMany);

impl PolicyTests {
    /// Where each file stands in the configuration, and its path.
    pub fn paths(&self) -> impl Iterator<Item = Located<PathBuf>> {
        self.0.0.iter().map(|path| path.clone().map(PathBuf::from))
    }

    /// Finds what cannot work, whatever the files hold; an empty list is nothing.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        distinct("policy_tests", &self.paths().collect::<Vec<_>>(), file, findings);
    }
}

/// `reload`: how changed files are noticed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReloadSettings {
    /// How often files are looked at. Default 2s.
    pub every: Located<Period>,
    /// What happens to new rules that may give somebody more. Default `log`.
    pub widen: Located<Widen>,
}

/// What happens to new rules that may give somebody more.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Widen {
    /// They are used, and the log says so.
    Log,
    /// They wait for an operator, who accepts them by `narrows reload --accept-widening` or a restart.
    Refuse,
}

impl Default for ReloadSettings {
    fn default() -> Self {
        Self { every: Located::nowhere(Period::seconds(2)), widen: Located::nowhere(Widen::Log) }
    }
}

impl ReloadSettings {
    /// Refuses no time at all.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        if self.every.value < Period::milliseconds(100) {
            findings.push(file.error(self.every.place, "`every` is too short").hint("write 100ms or more; the default is 2s"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Section {
        rules: RulesSettings,
        #[serde(default)]
        policy_tests: Option<PolicyTests>,
        #[serde(default)]
        reload: ReloadSettings,
    }

    fn check(text: &str, expected: &str) {
        let file = SourceFile::new("x.yaml", text);
        let shown = match file.parse::<Section>() {
            Err(finding) => finding.summary(),
            Ok(section) => {
                let mut findings = Diagnostics::default();
                section.rules.check(&file, &mut findings);
                section.reload.check(&file, &mut findings);
                if let Some(tests) = section.policy_tests {
                    tests.check(&file, &mut findings);
                }
                match findings.first() {
                    Some(finding) => finding.summary(),
                    None => section.rules.paths().map(|path| path.value.display().to_string()).collect::<Vec<_>>().join(" "),
                }
            }
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn files_of_rules_are_named_once_and_the_first_one_holds_for_all() {
        check("rules: rules.yaml\n", "rules.yaml");
        check("rules: [rules.yaml]\n", "rules.yaml");
        check("rules: [{file: rules.yaml}]\n", "rules.yaml");
        check("rules: [a.yaml, b.yaml, {file: c.yaml, within: c/**}]\n", "a.yaml b.yaml c.yaml");
        check("rules: []\n", "x.yaml:1:8: `rules` is an empty list");
        check("rules: ''\n", "x.yaml:1:8: `rules` names no file");
        check("rules: [a.yaml, {file: a.yaml, within: a/**}]\n", "x.yaml:1:17: `a.yaml` is there twice");
        check("rules: [{file: a.yaml, within: a/**}]\n", "x.yaml:1:32: the first rule file says what holds for all, so it has no `within`");
        check(
            "rules: [a.yaml, {file: b.yaml, within: b//**}]\n",
            "x.yaml:1:40: two slashes, or one at the start or end, leave an empty segment",
        );
        check("rules: [a.yaml, {file: b.yaml, within: \"{team}/**\"}]\n", "x.yaml:1:40: `within: {team}/**` is no namespace");
    }

    #[test]
    fn policy_tests_are_a_list_of_files() {
        check("rules: a\npolicy_tests: []\n", "a");
        check("rules: a\npolicy_tests: [t.yaml, u.yaml]\n", "a");
        check("rules: a\npolicy_tests: [t.yaml, t.yaml]\n", "x.yaml:2:24: `t.yaml` is there twice");
        check("rules: a\npolicy_tests: ['']\n", "x.yaml:2:16: `policy_tests` names no file");
    }

    #[test]
    fn a_reload_has_a_pace_and_a_way_with_what_widens() {
        check("rules: a\nreload: {widen: refuse}\n", "a");
        check("rules: a\nreload: {every: 0s}\n", "x.yaml:2:17: `every` is too short");
        check("rules: a\nreload: {every: 5s, widen: log}\n", "a");
    }
}
