//! Which URLs are asked: those of an issuer come from its metadata, and must not lead into this machine or beside it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Where clouds tell a machine its own secrets, beside the link-local addresses.
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Whether the URL is of this machine, where TLS protects nothing.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a URL may be asked on behalf of this issuer; why not, where it may not.
pub(super) fn check(url: &Url, issuer: &Url) -> Result<(), &'static str> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds credentials");
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(url) => {}
        _ => return Err("it is not https"),
    }
    if is_loopback(url) && !is_loopback(issuer) {
        return Err("it leads to this machine");
    }
    let address = match url.host() {
        Some(Host::Domain(_)) => return Ok(()),
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        None => return Err("it names no host"),
    };
    if is_near(address) { Err("it leads to a link-local address") } else { Ok(()) }
}

/// Addresses at which no issuer is, and something else may be.
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_near_v4(v4),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast() || v6 == METADATA,
    }
}

const fn is_near_v4(address: Ipv4Addr) -> bool {
    address.is_link_local() || address.is_unspecified() || address.is_multicast() || address.is_broadcast()
}

/// The system's resolver without those addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let usable: Vec<SocketAddr> = found.filter(|address| !is_near(address.ip())).collect();
            if usable.is_empty() {
                return Err("the name leads to no address that may be asked".into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_an_issuer_is_asked() {
        #[track_caller]
        fn test(url: &str, issuer: &str, expected: Result<(), &str>) {
            assert_eq!(check(&url.parse().unwrap(), &issuer.parse().unwrap()), expected, "{url} of {issuer}");
        }
        let (far, near) = ("https://sso.corp.example", "http://127.0.0.1:8080");
        test("https://keys.corp.example/jwks", far, Ok(()));
        test("https://10.0.0.1/jwks", far, Ok(()));
        test("http://127.0.0.1:9/jwks", near, Ok(()));
        test("http://localhost/jwks", near, Ok(()));
        test("http://[::1]/jwks", near, Ok(()));
        test("http://sso.corp.example/jwks", far, Err("it is not https"));
        test("http://sso.corp.example/jwks", near, Err("it is not https"));
        test("ftp://sso.corp.example/", far, Err("it is not https"));
        test("file:///etc/passwd", far, Err("it is not https"));
        test("https://user:word@sso.corp.example/", far, Err("it holds credentials"));
        for machine in ["https://127.0.0.1/", "https://localhost/", "http://127.0.0.1/", "http://127.9.9.9/"] {
            test(machine, far, Err("it leads to this machine"));
        }
        for link in [
            "https://169.254.169.254/latest",
            "https://[fe80::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[fd00:ec2::254]/",
            "https://0.0.0.0/",
            "https://2852039166/",
        ] {
            test(link, far, Err("it leads to a link-local address"));
            test(link, near, Err("it leads to a link-local address"));
        }
    }
}
