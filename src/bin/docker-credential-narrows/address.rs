//! Names of registries, and the address of narrows.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// A host, perhaps with a port. Docker, its relatives and people write the same one in several ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registry {
    /// As it was written, but for scheme and path: what docker looks up in its `credHelpers`.
    key: String,
    /// In small letters and without the default port: what this program files it under.
    name: String,
}

impl Registry {
    /// The text that stands before the first slash of an image's name.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// One for all ways to write it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where its API may begin, the likelier one first.
    pub(crate) fn roots(&self) -> Vec<Url> {
        let at = |scheme: &str| Url::parse(&format!("{scheme}://{}/v2/", self.name)).ok();
        let secure = at("https");
        let plain = at("http").filter(is_loopback);
        plain.into_iter().chain(secure).collect()
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Not a registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a registry; write its host and port as in the name of an image, as in registry.corp.example:5000")]
pub(crate) struct RegistryError;

impl FromStr for Registry {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        let (scheme, rest) = match text.trim().split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None => ("https".to_owned(), text.trim()),
        };
        let default_port = match scheme.as_str() {
            "https" => "443",
            "http" => "80",
            _ => return Err(RegistryError),
        };
        let key = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let lower = key.to_ascii_lowercase();
        let (host, port) = match lower.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (lower.as_str(), None),
        };
        if !is_host(host) || !port.is_none_or(is_port) {
            return Err(RegistryError);
        }
        let name = match port {
            Some(port) if port != default_port => format!("{host}:{port}"),
            _ => host.to_owned(),
        };
        Ok(Self { key: key.to_owned(), name })
    }
}

fn is_host(host: &str) -> bool {
    if let Some(inside) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inside.parse::<Ipv6Addr>().is_ok();
    }
    let of_a_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_');
    !host.is_empty() && host.len() <= 253 && host.chars().all(of_a_name) && !host.starts_with(['-', '.'])
}

fn is_port(port: &str) -> bool {
    port.chars().all(|character| character.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// Where narrows is: https, or http on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct NarrowsUrl(Url);

impl NarrowsUrl {
    /// What lies below it.
    pub(crate) fn below(&self, path: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Whether an address is served by the same scheme, host and port.
    pub(crate) fn has_origin_of(&self, other: &Url) -> bool {
        self.0.origin() == other.origin()
    }

    /// The address itself.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for NarrowsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// Not an address of narrows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write the `public_url` of narrows, as in https://auth.corp.example: https (http on this machine alone), no user, no query")]
pub(crate) struct NarrowsUrlError;

impl FromStr for NarrowsUrl {
    type Err = NarrowsUrlError;

    fn from_str(text: &str) -> Result<Self, NarrowsUrlError> {
        let url = Url::parse(text.trim()).map_err(|_| NarrowsUrlError)?;
        let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if bare && is_safe(&url) { Ok(Self(url)) } else { Err(NarrowsUrlError) }
    }
}

impl TryFrom<String> for NarrowsUrl {
    type Error = NarrowsUrlError;

    fn try_from(text: String) -> Result<Self, NarrowsUrlError> {
        text.parse()
    }
}

impl From<NarrowsUrl> for String {
    fn from(url: NarrowsUrl) -> Self {
        url.to_string()
    }
}

/// Whether nobody between can read or change what goes there.
pub(crate) fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_loopback(url),
        _ => false,
    }
}

/// Whether it is on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_registry_has_one_name_however_it_is_written() {
        #[track_caller]
        fn check(text: &str, key: &str, name: &str) {
            let registry: Registry = text.parse().unwrap();
            assert_eq!((registry.key(), registry.name()), (key, name), "{text}");
        }
        check("reg.test", "reg.test", "reg.test");
        check("https://reg.test/v1/\n", "reg.test", "reg.test");
        check("HTTPS://Reg.Test:443/v2/", "Reg.Test:443", "reg.test");
        check("reg.test:443", "reg.test:443", "reg.test");
        check("reg.test:80", "reg.test:80", "reg.test:80");
        check("http://reg.test:80", "reg.test:80", "reg.test");
        check("http://reg.test:443", "reg.test:443", "reg.test:443");
        check("reg.test:5000/team/app", "reg.test:5000", "reg.test:5000");
        check("127.0.0.1:5000", "127.0.0.1:5000", "127.0.0.1:5000");
        check("[::1]:5000", "[::1]:5000", "[::1]:5000");
        check("[::1]", "[::1]", "[::1]");
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        let bad =
            ["", " ", "/", "https://", "ftp://reg.test", "user@reg.test", "u:p@reg.test", "reg.test:", "reg.test:0", "reg.test:65536"];
        for text in bad.into_iter().chain(["reg.test:+1", "reg test", "-x", "[::1", "[x]", "::1", "r\u{e4}g.test", "a\"b", "a\nb"]) {
            assert_eq!(text.parse::<Registry>(), Err(RegistryError), "{text:?}");
        }
    }

    #[test]
    fn narrows_is_reached_in_safety_only() {
        for good in ["https://auth.test", "https://auth.test/narrows/", "http://127.0.0.1:5001", "http://[::1]:1", "http://localhost"] {
            assert!(good.parse::<NarrowsUrl>().is_ok(), "{good}");
        }
        let bad =
            ["http://auth.test", "auth.test", "https://u:p@auth.test", "https://auth.test/?a", "https://auth.test/#a", "file:///x", ""];
        for bad in bad.into_iter().chain(["http://localhost.evil.test", "javascript:alert(1)"]) {
            assert_eq!(bad.parse::<NarrowsUrl>(), Err(NarrowsUrlError), "{bad}");
        }
        let below = |text: &str| text.parse::<NarrowsUrl>().unwrap().below(&["device", "start"]).to_string();
        assert_eq!(below("https://auth.test"), "https://auth.test/device/start");
        assert_eq!(below("https://auth.test/a/"), "https://auth.test/a/device/start");
    }
}
