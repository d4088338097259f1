//! One key in docker's `config.json`: `credHelpers["REGISTRY"] = "narrows"`. The rest of the file is not ours.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use narrows::source::read_whole;
use serde_json::Value;

use crate::failure::Failure;
use crate::json_members::{insert, members, nested, outermost, splice};
use crate::replace::replace;
use crate::terminal::shown;

/// What docker puts behind `docker-credential-`.
pub(crate) const HELPER: &str = "narrows";
const HELPERS: &str = "credHelpers";
const LARGEST: u64 = 4 * 1024 * 1024;

/// The file as it was read.
#[derive(Debug)]
pub(crate) struct DockerConfig {
    /// As it is named in messages.
    path: PathBuf,
    /// Where it really is: behind a link that somebody keeps their files with.
    target: PathBuf,
    /// What it holds; `None` where there is none yet.
    text: Option<String>,
}

impl DockerConfig {
    /// Reads it.
    pub(crate) fn read(path: PathBuf) -> Result<Self, Failure> {
        let target = match fs::canonicalize(&path) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(&path).is_err() => {
                return Ok(Self { target: path.clone(), path, text: None });
            }
            Err(error) => return Err(Failure::Bad(format!("cannot read `{}`: {error}", path.display()))),
        };
        let bytes = read_whole(&target, LARGEST)
            .map_err(|error| Failure::Bad(format!("cannot read `{}`: {error}; nothing is changed", path.display())))?;
        let text = String::from_utf8(bytes).map_err(|_| broken(&path, "it is not UTF-8"))?;
        Ok(Self { path, target, text: Some(text) })
    }

    /// What the file has to hold so that docker asks this program for a registry; `None` where it does so already.
    pub(crate) fn with_helper(&self, registry: &str, may_replace: bool) -> Result<Option<String>, Failure> {
        let text = match &self.text {
            // Docker takes an empty file for one without settings.
            Some(text) if !text.trim().is_empty() => text.as_str(),
            _ => "{}\n",
        };
        let before: Value = serde_json::from_str(text).map_err(|error| broken(&self.path, &error.to_string()))?;
        if !before.is_object() {
            return Err(broken(&self.path, "it is not a JSON object"));
        }
        let Some(new) = self.spliced(text, registry, may_replace)? else { return Ok(None) };
        // A last look: nothing but the one key may differ.
        let after: Option<Value> = serde_json::from_str(&new).ok();
        if after.is_none_or(|after| without(after, registry) != without(before, registry)) {
            return Err(Failure::Bad(format!(
                "`{}` is written in a way that this program cannot change safely; nothing is changed: add \
                 \"{HELPERS}\": {{\"{registry}\": \"{HELPER}\"}} by hand",
                self.path.display()
            )));
        }
        self.check_owner()?;
        Ok(Some(new))
    }

    /// A file that is replaced belongs to who replaces it: somebody else's would be lost to them.
    fn check_owner(&self) -> Result<(), Failure> {
        let owner = fs::metadata(&self.target).ok().filter(|_| self.text.is_some()).map(|metadata| metadata.uid());
        match owner.filter(|owner| *owner != rustix::process::geteuid().as_raw()) {
            None => Ok(()),
            Some(owner) => {
                let path = self.path.display();
                Err(Failure::Bad(format!("`{path}` belongs to user number {owner}; nothing is changed: run this as that user")))
            }
        }
    }

    fn spliced(&self, text: &str, registry: &str, may_replace: bool) -> Result<Option<String>, Failure> {
        let unplaced = || broken(&self.path, "its members cannot be told apart");
        let helper = format!("\"{HELPER}\"");
        let outer = outermost(text).ok_or_else(unplaced)?;
        // Docker matches the names of settings in any case.
        let all = members(text, &outer).ok_or_else(unplaced)?;
        let mut sections = all.iter().filter(|member| member.name.eq_ignore_ascii_case(HELPERS));
        let Some(section) = sections.next() else {
            let value = nested(text, &outer, registry, &helper).ok_or_else(unplaced)?;
            return insert(text, &outer, HELPERS, &value).ok_or_else(unplaced).map(Some);
        };
        if sections.next().is_some() {
            return Err(broken(&self.path, &format!("it has `{HELPERS}` twice")));
        }
        let value = text.get(section.value.clone()).ok_or_else(unplaced)?;
        if value == "null" {
            let value = nested(text, &outer, registry, &helper).ok_or_else(unplaced)?;
            return splice(text, section.value.clone(), &value).ok_or_else(unplaced).map(Some);
        }
        if !value.starts_with('{') {
            return Err(broken(&self.path, &format!("`{HELPERS}` is not an object")));
        }
        let inner = members(text, &section.value).ok_or_else(unplaced)?;
        let mut entries = inner.iter().filter(|member| member.name == registry);
        let Some(entry) = entries.next() else {
            return insert(text, &section.value, registry, &helper).ok_or_else(unplaced).map(Some);
        };
        if entries.next().is_some() {
            return Err(broken(&self.path, &format!("`{HELPERS}` has `{registry}` twice")));
        }
        let other = text.get(entry.value.clone()).ok_or_else(unplaced)?;
        if other == helper {
            return Ok(None);
        }
        if !may_replace {
            return Err(Failure::Bad(format!(
                "`{}` names another helper for `{registry}`: {}; nothing is changed: `--replace` takes its place",
                self.path.display(),
                shown(other)
            )));
        }
        splice(text, entry.value.clone(), &helper).ok_or_else(unplaced).map(Some)
    }

    /// Writes it, unless somebody else has meanwhile.
    pub(crate) fn write(&self, text: &str) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::Bad(format!("cannot write `{}`: {error}; it is as it was", self.path.display()));
        let Some(before) = &self.text else {
            if let Some(folder) = self.path.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
            }
            return replace(&self.target, text.as_bytes(), 0o600).map_err(failed);
        };
        if read_whole(&self.target, LARGEST).map_err(failed)? != before.as_bytes() {
            return Err(Failure::Unavailable(format!("`{}` was changed by something else meanwhile; run this again", self.path.display())));
        }
        let metadata = fs::metadata(&self.target).map_err(failed)?;
        replace(&self.target, text.as_bytes(), metadata.permissions().mode() & 0o7777).map_err(failed)
    }

    /// What the file is called in messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether a file of this form holds credentials for a registry, which its reader may take before it asks a helper.
pub(crate) fn holds_credentials(path: &Path, registry: &str) -> bool {
    let Ok(bytes) = read_whole(path, LARGEST) else { return false };
    let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { return false };
    let entry = value.get("auths").and_then(|auths| auths.get(registry));
    let filled = |name: &str| entry.and_then(|entry| entry.get(name)).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    ["auth", "identitytoken", "password"].into_iter().any(filled)
}

fn broken(path: &Path, cause: &str) -> Failure {
    Failure::Bad(format!(
        "`{}` cannot be understood, and docker cannot read it either: {}; nothing is changed: repair it first",
        path.display(),
        shown(cause)
    ))
}

/// A configuration but for the one key.
fn without(mut value: Value, registry: &str) -> Value {
    let Some(all) = value.as_object_mut() else { return value };
    let Some(name) = all.keys().find(|name| name.eq_ignore_ascii_case(HELPERS)).cloned() else { return value };
    if let Some(helpers) = all.get_mut(&name).and_then(Value::as_object_mut) {
        helpers.remove(registry);
    }
    // None is as good as an empty one.
    if all.get(&name).is_some_and(|helpers| helpers.is_null() || helpers.as_object().is_some_and(serde_json::Map::is_empty)) {
        all.remove(&name);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str, may_replace: bool) -> Result<Option<String>, Failure> {
        let path = PathBuf::from("config.json");
        DockerConfig { target: path.clone(), path, text: Some(text.to_owned()) }.with_helper("reg.test:5000", may_replace)
    }

    #[test]
    fn one_key_is_added_and_no_other_byte_changes() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(change(text, false).unwrap().unwrap(), expected);
        }
        check("", "{\n\t\"credHelpers\": {\n\t\t\"reg.test:5000\": \"narrows\"\n\t}\n}\n");
        check("{}", "{\n\t\"credHelpers\": {\n\t\t\"reg.test:5000\": \"narrows\"\n\t}\n}");
        check(
            "{\n\t\"zeta\": 1.50,\n\t\"auths\": {}\n}",
            "{\n\t\"zeta\": 1.50,\n\t\"auths\": {},\n\t\"credHelpers\": {\n\t\t\"reg.test:5000\": \"narrows\"\n\t}\n}",
        );
        check("{\"a\":1}", "{\"a\":1,\"credHelpers\":{\"reg.test:5000\":\"narrows\"}}");
        check("{\n  \"credHelpers\": null\n}", "{\n  \"credHelpers\": {\n    \"reg.test:5000\": \"narrows\"\n  }\n}");
        check("{\"credhelpers\":{\"a\":\"b\"}}", "{\"credhelpers\":{\"a\":\"b\",\"reg.test:5000\":\"narrows\"}}");
        check(
            "{\n  \"credHelpers\": {\n    \"a\": \"b\"\n  },\n  \"x\": {}\n}\n",
            "{\n  \"credHelpers\": {\n    \"a\": \"b\",\n    \"reg.test:5000\": \"narrows\"\n  },\n  \"x\": {}\n}\n",
        );
    }

    #[test]
    fn what_is_set_up_stays_and_another_helper_stays_until_told() {
        assert!(change("{\"credHelpers\":{\"reg.test:5000\":\"narrows\"}}", false).unwrap().is_none());
        let other = "{\"credHelpers\":{\"reg.test:5000\":\"ecr-login\"}}";
        let refused = change(other, false).unwrap_err().to_string();
        assert!(refused.contains("\"ecr-login\"") && refused.contains("--replace"), "{refused}");
        assert_eq!(change(other, true).unwrap().unwrap(), "{\"credHelpers\":{\"reg.test:5000\":\"narrows\"}}");
    }

    #[test]
    fn a_broken_file_is_refused_with_its_place() {
        #[track_caller]
        fn check(text: &str, words: &str) {
            let refused = change(text, true).unwrap_err().to_string();
            assert!(refused.contains(words) && refused.contains("config.json"), "{text}: {refused}");
        }
        check("{\n\"a\": 1,\n}", "line 3 column 1");
        check("{\"a\": 1} // note", "line 1 column 10");
        check("[]", "not a JSON object");
        check("{\"credHelpers\": []}", "not an object");
        check("{\"credHelpers\": {}, \"CredHelpers\": {}}", "twice");
        check("{\"credHelpers\": {\"reg.test:5000\": \"a\", \"reg.test:5000\": \"b\"}}", "twice");
        check("{\"a\": 1, \"a\": 2,", "line 1");
    }

    #[test]
    fn credentials_in_a_file_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        for (text, expected) in [
            (r#"{"auths":{"reg.test":{"auth":"dTpw"}}}"#, true),
            (r#"{"auths":{"reg.test":{}}}"#, false),
            (r#"{"auths":{"other.test":{"auth":"dTpw"}}}"#, false),
            ("broken", false),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(holds_credentials(&path, "reg.test"), expected, "{text}");
        }
    }
}
