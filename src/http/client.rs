//! Where a request came from: the peer, or whom a trusted proxy names.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

use crate::issue::Client;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The other end of the connection; the server puts it beside each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The client of a request. Only a trusted proxy's word counts, and of the addresses it lists the rightmost that is not
/// itself a trusted proxy: everything left of that one was written by the client.
///
/// A trusted proxy that names nobody, or names something that is no address, leaves the client unknown: the address is
/// the proxy's, and it is not to be believed.
pub(super) fn locate(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Client {
    let peer = peer.to_canonical();
    let trusted = |address: &IpAddr| proxies.iter().any(|network| network.contains(address));
    if !trusted(&peer) {
        return Client { address: peer, trusted: true };
    }
    let unknown = |address| Client { address, trusted: false };
    let mut nearest = unknown(peer);
    for value in headers.get_all(FORWARDED_FOR).iter().rev() {
        let Ok(list) = value.to_str() else { return unknown(nearest.address) };
        for item in list.rsplit(',').map(str::trim).filter(|item| !item.is_empty()) {
            let Some(address) = address(item) else { return unknown(nearest.address) };
            nearest = Client { address, trusted: true };
            if !trusted(&address) {
                return nearest;
            }
        }
    }
    nearest
}

/// An address as proxies write it: bare, in brackets, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, forwarded: &[&str], expected: &str) {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let proxies: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].iter().map(|text| text.parse().unwrap()).collect();
        let client = locate(peer.parse().unwrap(), &headers, &proxies);
        let shown = format!("{}{}", client.address, if client.trusted { "" } else { " untrusted" });
        assert_eq!(shown, expected, "{peer} {forwarded:?}");
    }

    #[test]
    fn the_rightmost_untrusted_address_counts_and_only_from_a_trusted_proxy() {
        check("192.0.2.1", &[], "192.0.2.1");
        check("192.0.2.1", &["198.51.100.1"], "192.0.2.1");
        check("::ffff:192.0.2.1", &["198.51.100.1"], "192.0.2.1");
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("fd00::1", &["2001:db8::1"], "2001:db8::1");
        check("10.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["1.1.1.1", "198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["198.51.100.1, 10.0.0.2"], "198.51.100.1");
        check("10.0.0.1", &["198.51.100.1", "10.0.0.3 ,10.0.0.2"], "198.51.100.1");
        check("10.0.0.1", &["10.0.0.3,::ffff:10.0.0.2"], "10.0.0.3");
        check("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1");
        check("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1");
        check("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1");
        check("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["evil, 198.51.100.1"], "198.51.100.1");
    }

    #[test]
    fn a_proxy_that_names_nobody_leaves_the_client_unknown() {
        check("10.0.0.1", &[], "10.0.0.1 untrusted");
        check("10.0.0.1", &["", " , "], "10.0.0.1 untrusted");
        check("10.0.0.1", &["garbage"], "10.0.0.1 untrusted");
        check("10.0.0.1", &["198.51.100.1, garbage, 10.0.0.2"], "10.0.0.2 untrusted");
        check("10.0.0.1", &["198.51.100.1", "\u{e4}"], "10.0.0.1 untrusted");
        check("10.0.0.1", &["unknown"], "10.0.0.1 untrusted");
        check("10.0.0.1", &["127.1"], "10.0.0.1 untrusted");
    }
}
