//! Repository names by the grammar of the distribution project's token scope specification (`auth/scope.md`).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Registries refuse longer names.
const MAX_LENGTH: usize = 255;

/// A well-formed repository name: `team/app`, `registry.corp.example:5000/team/app`. Kept byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Arc<str>);

/// Why a text is no repository name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Over 255 bytes.
    #[error("repository names have at most {MAX_LENGTH} bytes")]
    TooLong,
    /// Not the grammar of a path component.
    #[error("`{0}` is not a path component: lower-case letters and digits, joined by `.`, `_`, `__` or dashes")]
    Component(String),
}

impl RepositoryName {
    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Its parts between slashes.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_LENGTH {
            return Err(NameError::TooLong);
        }
        let (first, rest) = text.split_once('/').map_or((text, None), |(first, rest)| (first, Some(rest)));
        // Only a name of several parts can open with a host: `resourcename := [ hostname '/' ] component …`.
        let opens = is_component(first) || (rest.is_some() && is_hostname(first));
        if !opens {
            return Err(NameError::Component(first.to_owned()));
        }
        match rest.into_iter().flat_map(|rest| rest.split('/')).find(|part| !is_component(part)) {
            Some(part) => Err(NameError::Component(part.to_owned())),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One well-formed part of a repository name, as a user name or capture has to be to stand in one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathComponent(String);

impl PathComponent {
    /// The component as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PathComponent {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_LENGTH {
            return Err(NameError::TooLong);
        }
        if is_component(text) { Ok(Self(text.to_owned())) } else { Err(NameError::Component(text.to_owned())) }
    }
}

/// `[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separator = String::new();
    let mut any = false;
    for byte in text.bytes() {
        if alphanumeric(byte) {
            let joined = separator.is_empty()
                || (any && matches!(separator.as_str(), "." | "_" | "__"))
                || (any && separator.bytes().all(|b| b == b'-'));
            if !joined {
                return false;
            }
            separator.clear();
            any = true;
        } else if matches!(byte, b'.' | b'_' | b'-') {
            separator.push(char::from(byte));
        } else {
            return false;
        }
    }
    any && separator.is_empty()
}

/// `hostcomponent ['.' hostcomponent]* [':' port]`
fn is_hostname(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let port_is_good = port.is_none_or(|port| !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()));
    port_is_good
        && host.split('.').all(|part| {
            !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, good: bool) {
        assert_eq!(text.parse::<RepositoryName>().is_ok(), good, "{text:?}");
    }

    #[test]
    fn names_follow_the_published_grammar() {
        for good in ["app", "team/app", "a.b/c_d/e__f/g-h/i---j", "reg:5000/a/b", "Reg.Corp:5000/a", "FOO/bar", "0", "a/b/c/d/e"] {
            check(good, true);
        }
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "a/../b",
            "..",
            ".",
            "a..b",
            "a._b",
            "a___b",
            "-a",
            "a-",
            "_a",
            "a_",
            "FOO",
            "a b/c",
            "a/B",
            "*",
            "**",
            "a/*",
            "a:b",
            "reg:5000",
            "reg:/a",
            "reg:123456/a",
            "reg:5000:1/a",
            "ä/b",
            "a/b:c/d",
            "a%2fb",
            "a\\b",
            "a\0b",
            "-h/a",
            "h-/a",
            "a..b:5/c",
        ] {
            check(bad, false);
        }
        check(&"a".repeat(255), true);
        check(&"a".repeat(256), false);
    }
}
