//! Where a directory listens, and how the way there is protected.

use std::fmt;

use url::Url;

/// How the way to the directory is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// TLS from the first byte (`ldaps://`).
    Tls,
    /// TLS after a StartTLS request (`ldap://`); never anything without it.
    StartTls,
    /// Nothing: `ldap://` with `allow_plaintext: true`.
    None,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// A DNS name or an address, an IPv6 address without brackets.
    pub(super) host: String,
    /// The URL's port, or 636 and 389.
    pub(super) port: u16,
    /// By scheme and `allow_plaintext`.
    pub(super) security: Security,
}

/// Why a URL names no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EndpointError {
    /// It does not parse.
    #[error("this is not a URL: {0}")]
    Url(String),
    /// The scheme is another one.
    #[error("a server's URL starts with ldap:// or ldaps://")]
    Scheme,
    /// It has no host.
    #[error("the URL names no host")]
    Host,
    /// It has a path, query, fragment, name or password.
    #[error("a server's URL has a host and a port, nothing else")]
    Excess,
}

impl Endpoint {
    /// Reads a URL of `servers`.
    pub(super) fn parse(text: &str, allow_plaintext: bool) -> Result<Self, EndpointError> {
        let url = Url::parse(text).map_err(|error| EndpointError::Url(error.to_string()))?;
        let (security, default_port) = match url.scheme() {
            "ldaps" => (Security::Tls, 636),
            "ldap" if allow_plaintext => (Security::None, 389),
            "ldap" => (Security::StartTls, 389),
            _ => return Err(EndpointError::Scheme),
        };
        let excess = !matches!(url.path(), "" | "/")
            || url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        if excess {
            return Err(EndpointError::Excess);
        }
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        // The parser keeps the host of such schemes as it stands, so what is no name and no address is sorted out here.
        if rustls::pki_types::ServerName::try_from(host).is_err() {
            return Err(EndpointError::Host);
        }
        Ok(Self { host: host.to_owned(), port: url.port().unwrap_or(default_port), security })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.security == Security::Tls { "ldaps" } else { "ldap" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match Endpoint::parse(text, false) {
            Ok(endpoint) => format!("{endpoint} {:?}", endpoint.security),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn a_url_is_a_scheme_a_host_and_a_port() {
        check("ldaps://ldap.corp.example", "ldaps://ldap.corp.example:636 Tls");
        check("ldap://ldap.corp.example/", "ldap://ldap.corp.example:389 StartTls");
        check("ldap://10.0.0.1:3389", "ldap://10.0.0.1:3389 StartTls");
        check("ldaps://[::1]:3636", "ldaps://[::1]:3636 Tls");
        check("https://ldap.corp.example", "Scheme");
        check("ldap://", "Host");
        check("ldap://a%00b", "Host");
        check("ldap://u:p@host", "Excess");
        check("ldap://host/dc=example", "Excess");
        check("ldap://host?x", "Excess");
        assert_eq!(Endpoint::parse("ldap://h", true).unwrap().security, Security::None);
        assert_eq!(Endpoint::parse("ldaps://h", true).unwrap().security, Security::Tls);
    }
}
