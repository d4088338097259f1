//! Where the service listens, how clients reach it, and whom it believes about their addresses.

use std::net::SocketAddr;

use ipnet::IpNet;
use url::{Host, Url};

use super::document::Document;
use crate::source::{Diagnostics, Located, SourceFile, parse_network};

/// The addresses of a configuration, understood.
pub(super) struct Listening {
    pub(super) listen: Located<SocketAddr>,
    pub(super) admin_listen: Located<SocketAddr>,
    pub(super) public_url: Option<Located<Url>>,
    pub(super) trusted_proxies: Vec<IpNet>,
}

/// Understands and checks the addresses; `None` only where an error was found.
pub(super) fn resolve(document: &Document, file: &SourceFile, findings: &mut Diagnostics) -> Option<Listening> {
    let listen = address(&document.listen, file, findings);
    let admin_listen = address(&document.admin_listen, file, findings);
    let public_url = document.public_url.as_ref().map(|written| url(written, file, findings));
    let trusted_proxies = proxies(document, file, findings);
    if let Some(listen) = &listen {
        exposure(listen, document, file, findings);
    }
    if let (Some(listen), Some(admin)) = (&listen, &admin_listen) {
        operators(listen, admin, file, findings);
    }
    let public_url = match public_url {
        None => None,
        Some(understood) => Some(understood?),
    };
    Some(Listening { listen: listen?, admin_listen: admin_listen?, public_url, trusted_proxies: trusted_proxies? })
}

fn address(written: &Located<String>, file: &SourceFile, findings: &mut Diagnostics) -> Option<Located<SocketAddr>> {
    if let Ok(address) = written.value.parse() {
        return Some(Located { value: address, place: written.place });
    }
    findings.push(
        file.error(written.place, format!("`{}` is not an address with a port", written.value))
            .hint("write both, as in 127.0.0.1:5001, 0.0.0.0:5001 or \"[::1]:5001\"; host names are not looked up"),
    );
    None
}

/// A password must not cross a network in the clear.
fn exposure(listen: &Located<SocketAddr>, document: &Document, file: &SourceFile, findings: &mut Diagnostics) {
    if listen.value.ip().is_loopback() || document.tls.is_some() || document.behind_proxy.value {
        return;
    }
    findings.push(
        file.error(listen.place, format!("`listen` is {}, beyond loopback, without TLS: passwords would cross the network", listen.value))
            .hint("set `tls: {certificate: FILE, key: FILE}`, or `behind_proxy: true` with `trusted_proxies` where a proxy speaks TLS"),
    );
}

fn operators(listen: &Located<SocketAddr>, admin: &Located<SocketAddr>, file: &SourceFile, findings: &mut Diagnostics) {
    let (clients, operators) = (listen.value, admin.value);
    let same_host = clients.ip() == operators.ip() || clients.ip().is_unspecified() || operators.ip().is_unspecified();
    if clients.port() != 0 && clients.port() == operators.port() && same_host {
        findings.push(
            file.error(admin.place, format!("`admin_listen` is {operators}, which `listen` takes already"))
                .hint("give operators a port of their own, as in 127.0.0.1:5002"),
        );
    }
    if !operators.ip().is_loopback() {
        findings.push(
            file.warning(admin.place, format!("`admin_listen` is {operators}, beyond loopback, and asks nobody who they are"))
                .hint("keep it on 127.0.0.1, or let a firewall admit the monitoring alone"),
        );
    }
}

fn url(written: &Located<String>, file: &SourceFile, findings: &mut Diagnostics) -> Option<Located<Url>> {
    let example = "write it as clients reach it, as in https://auth.corp.example";
    // What stands before an `@` may be a password, in a URL or in what was meant as one.
    if written.value.contains('@') {
        let mut finding = file.error(written.place, "`public_url` holds a user name or a password").hint(example);
        finding.line = None;
        findings.push(finding);
        return None;
    }
    let mut wrong = |message: String, hint: &str| {
        findings.push(file.error(written.place, message).hint(hint));
        None
    };
    let Ok(parsed) = Url::parse(&written.value) else {
        return wrong(format!("`{}` is not a URL", written.value), example);
    };
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return wrong(format!("`{}` has a query or a fragment", written.value), example);
    }
    match parsed.scheme() {
        "https" => Some(Located { value: parsed, place: written.place }),
        "http" if is_loopback(&parsed) => Some(Located { value: parsed, place: written.place }),
        "http" => wrong(format!("`{}` is not https", written.value), "docker sends passwords there; use https, by `tls` or by a proxy"),
        _ => wrong(format!("`{}` is not an https URL", written.value), example),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn proxies(document: &Document, file: &SourceFile, findings: &mut Diagnostics) -> Option<Vec<IpNet>> {
    if document.behind_proxy.value && document.trusted_proxies.is_empty() {
        findings.push(
            file.error(document.behind_proxy.place, "`behind_proxy: true` needs `trusted_proxies`")
                .hint("name the proxy's addresses, as in trusted_proxies: [10.1.2.3]; nobody else may say who the client is"),
        );
    }
    let mut understood = Vec::new();
    for written in &document.trusted_proxies {
        match parse_network(&written.value) {
            Ok(network) if network.prefix_len() == 0 => findings.push(
                file.error(written.place, format!("`{}` trusts everybody to say who the client is", written.value))
                    .hint("name the proxies' own addresses"),
            ),
            Ok(network) => understood.push(network),
            Err(wrong) => findings.push(file.error(written.place, wrong.message).hint(wrong.hint)),
        }
    }
    (understood.len() == document.trusted_proxies.len()).then_some(understood)
}
