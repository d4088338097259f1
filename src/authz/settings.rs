//! `rules`, `policy_tests` and `reload` of the configuration.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::source::{Diagnostics, Located, OneOrMany, Period, Place, SourceFile};

/// `rules`: a path, or a list that holds one path.
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
    /// The pattern that its repositories have to stay inside; not available yet.
    pub within: Option<Located<String>>,
}

impl RulesSettings {
    /// The rule file; `None` where the check has found none that can be used.
    pub fn path(&self) -> Option<Located<PathBuf>> {
        let first = self.files.first()?;
        Some(Located { value: first.value.file.clone(), place: first.place })
    }

    /// Refuses what is not built yet.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        if self.files.is_empty() {
            findings.push(file.error(self.place, "`rules` is an empty list").hint("name the rule file, as in `rules: rules.yaml`"));
        }
        if let Some(second) = self.files.get(1) {
            findings.push(file.error(second.place, "several rule files are not available yet").hint("put all rules into one file"));
        }
        for within in self.files.iter().filter_map(|rules| rules.value.within.as_ref()) {
            findings
                .push(file.error(within.place, "`within` is not available yet").hint("remove it: this version cannot hold what it says"));
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
            "description": "The path of a rule file, or a list that holds one.",
            "anyOf": [
                {"type": "string"},
                {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "string"}, file]}},
            ],
            "examples": ["rules.yaml"],
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
    /// The pattern that its repositories have to stay inside. Not available yet.
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

/// `policy_tests`: files of cases that every load has to pass. Not available yet.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PolicyTests(pub OneOrMany);

impl PolicyTests {
    /// Refuses what is not built yet; an empty list is nothing.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        if let Some(first) = self.0.0.first() {
            findings.push(file.error(first.place, "`policy_tests` is not available yet").hint("remove it: this version cannot run them"));
        }
    }
}

/// `reload`: how changed files are noticed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReloadSettings {
    /// How often files are looked at. Default 2s.
    pub every: Located<Period>,
    /// What happens to a change that gives somebody more. Default `log`; `refuse` is not available yet.
    pub widen: Located<Widen>,
}

/// What happens to a change of the rules that gives somebody more.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Widen {
    /// It is used, and the log says so.
    Log,
    /// It waits for an operator. Not available yet.
    Refuse,
}

impl Default for ReloadSettings {
    fn default() -> Self {
        Self { every: Located::nowhere(Period::seconds(2)), widen: Located::nowhere(Widen::Log) }
    }
}

impl ReloadSettings {
    /// Refuses what is not built yet, and no time at all.
    pub fn check(&self, file: &SourceFile, findings: &mut Diagnostics) {
        if self.every.value < Period::milliseconds(100) {
            findings.push(file.error(self.every.place, "`every` is too short").hint("write 100ms or more; the default is 2s"));
        }
        if self.widen.value == Widen::Refuse {
            findings.push(file.error(self.widen.place, "`widen: refuse` is not available yet").hint("remove it: the default is `log`"));
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
                    None => section.rules.path().map_or_else(String::new, |path| path.value.display().to_string()),
                }
            }
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn one_file_is_taken_and_what_is_not_built_is_refused_by_name() {
        check("rules: rules.yaml\n", "rules.yaml");
        check("rules: [rules.yaml]\n", "rules.yaml");
        check("rules: [{file: rules.yaml}]\n", "rules.yaml");
        check("rules: []\n", "x.yaml:1:8: `rules` is an empty list");
        check("rules: [a.yaml, b.yaml]\n", "x.yaml:1:17: several rule files are not available yet");
        check("rules: [{file: a.yaml, within: a/**}]\n", "x.yaml:1:32: `within` is not available yet");
        check("rules: a\npolicy_tests: [t.yaml]\n", "x.yaml:2:16: `policy_tests` is not available yet");
        check("rules: a\nreload: {widen: refuse}\n", "x.yaml:2:17: `widen: refuse` is not available yet");
        check("rules: a\nreload: {every: 0s}\n", "x.yaml:2:17: `every` is too short");
        check("rules: a\nreload: {every: 5s, widen: log}\n", "a");
    }
}
