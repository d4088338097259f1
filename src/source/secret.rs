//! Where a secret comes from: a file, an environment variable, or (with a warning) the configuration itself.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::de::{self, Deserialize, Deserializer};

use super::whole::read_whole;

/// No secret is longer.
const MAX_BYTES: u64 = 64 * 1024;

/// `{file: PATH}`, `{env: NAME}` or a plain text. Never shown, only read.
#[derive(Clone)]
pub enum SecretSource {
    /// The file's content without its last line break. Read again at every reload.
    File(PathBuf),
    /// An environment variable of the service.
    Environment(String),
    /// Written into the configuration itself; accepted with a warning.
    Plain(SecretString),
}

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is missing, unreadable, not a regular file, not UTF-8, or over 64 KiB.
    #[error("cannot read the secret in `{}`: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said, or what is wrong with its bytes.
        cause: std::io::Error,
    },
    /// The file holds nothing.
    #[error("the secret file `{}` is empty", .0.display())]
    Empty(PathBuf),
    /// The variable is not set or empty.
    #[error("the environment variable `{0}` is not set")]
    Environment(String),
}

impl SecretSource {
    /// Reads the secret; a relative path is meant from `base`, the folder of the file that named it.
    pub fn load(&self, base: &Path) -> Result<SecretString, SecretError> {
        match self {
            Self::File(path) => {
                let path = base.join(path);
                let failed = |cause| SecretError::File { path: path.clone(), cause };
                let bytes = read_whole(&path, MAX_BYTES).map_err(failed)?;
                // The error would hold the bytes.
                let mut text = String::from_utf8(bytes).map_err(|_| failed(std::io::Error::other("it is not UTF-8 text")))?;
                if text.starts_with('\u{feff}') {
                    return Err(failed(std::io::Error::other("it begins with a byte order mark: save it as UTF-8 without one")));
                }
                let content = text.strip_suffix('\n').map_or(text.len(), |rest| rest.strip_suffix('\r').unwrap_or(rest).len());
                text.truncate(content);
                if text.is_empty() {
                    return Err(SecretError::Empty(path));
                }
                Ok(SecretString::from(text))
            }
            Self::Environment(name) => {
                #[expect(clippy::disallowed_methods, reason = "this is the one place that reads secrets from the environment")]
                let value = std::env::var(name).unwrap_or_default();
                if value.is_empty() { Err(SecretError::Environment(name.clone())) } else { Ok(SecretString::from(value)) }
            }
            Self::Plain(secret) => Ok(secret.clone()),
        }
    }

    /// Whether the secret stands in the configuration file itself.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// The file to watch for changes, if there is one.
    pub fn path(&self, base: &Path) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(base.join(path)),
            Self::Environment(_) | Self::Plain(_) => None,
        }
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{{file: {}}}", path.display()),
            Self::Environment(name) => write!(f, "{{env: {name}}}"),
            Self::Plain(_) => f.write_str("(a plain secret)"),
        }
    }
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = SecretSource;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{file: PATH} or {env: NAME}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretSource, E> {
                if text.is_empty() {
                    return Err(E::custom("an empty secret"));
                }
                Ok(SecretSource::Plain(SecretString::from(text.to_owned())))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
                let Some((key, value)) = map.next_entry::<String, String>()? else {
                    return Err(de::Error::custom("expected {file: PATH} or {env: NAME}"));
                };
                let source = match key.as_str() {
                    "file" => SecretSource::File(PathBuf::from(value)),
                    "env" => SecretSource::Environment(value),
                    other => return Err(de::Error::unknown_field(other, &["file", "env"])),
                };
                if map.next_key::<String>()?.is_some() {
                    return Err(de::Error::custom("a secret is either {file: PATH} or {env: NAME}, not both"));
                }
                Ok(source)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for SecretSource {
    fn schema_name() -> Cow<'static, str> {
        "SecretSource".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A secret: {file: PATH} or {env: NAME}. A plain text is accepted with a warning.",
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"file": {"description": "The file that holds the secret; read again at every reload.", "type": "string"}},
                    "required": ["file"],
                    "additionalProperties": false,
                },
                {
                    "type": "object",
                    "properties": {"env": {"description": "The environment variable that holds the secret.", "type": "string"}},
                    "required": ["env"],
                    "additionalProperties": false,
                },
                {"description": "The secret itself, which then stands in the configuration.", "type": "string", "minLength": 1},
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_regular_text_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let load = |name: &str| SecretSource::File(name.into()).load(folder.path());
        let refused = |name: &str| {
            let SecretError::File { cause, .. } = load(name).unwrap_err() else { panic!("{name} is refused as a file") };
            cause.to_string()
        };
        std::fs::write(folder.path().join("good"), "hunter2\r\n").unwrap();
        assert_eq!(secrecy::ExposeSecret::expose_secret(&load("good").unwrap()), "hunter2");
        std::fs::write(folder.path().join("bytes"), b"hunter2\xff").unwrap();
        assert_eq!(refused("bytes"), "it is not UTF-8 text");
        assert!(!format!("{:?}", load("bytes")).contains("hunter2"));
        std::fs::write(folder.path().join("marked"), b"\xef\xbb\xbfhunter2").unwrap();
        assert!(refused("marked").contains("byte order mark"));
        std::fs::write(folder.path().join("long"), "x".repeat(65 * 1024)).unwrap();
        assert_eq!(refused("long"), "it is larger than 64 KiB");
        assert!(std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
        for name in ["pipe", ".", "/dev/zero"] {
            assert_eq!(refused(name), "it is not a regular file", "{name}");
        }
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        assert!(matches!(load("empty"), Err(SecretError::Empty(_))));
    }
}
