//! Networks as operators write them: `10.0.0.0/8`, or one address.

use std::net::IpAddr;

use ipnet::IpNet;

/// Why a text is no network, with advice.
#[derive(Debug, PartialEq, Eq)]
pub struct NotANetwork {
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub hint: String,
}

/// Parses a CIDR or a single address. Host bits beyond the prefix are refused: they mostly are a typing error.
pub fn parse_network(text: &str) -> Result<IpNet, NotANetwork> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let Ok(network) = text.parse::<IpNet>() else {
        return Err(NotANetwork {
            message: format!("`{text}` is not a network"),
            hint: "write an address or a network, as in 10.1.2.3 or 10.1.0.0/16; host names are not looked up".to_owned(),
        });
    };
    let mapped = IpNet::V6(ipnet::Ipv6Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(), 96));
    if mapped.contains(&network) {
        return Err(NotANetwork {
            message: format!("`{text}` is IPv4 in the clothes of IPv6, and no client's address is read like that"),
            hint: "write the IPv4 network itself, as in 10.1.0.0/16".to_owned(),
        });
    }
    if network != network.trunc() {
        return Err(NotANetwork {
            message: format!("`{text}` names an address inside its network"),
            hint: format!("write `{}` for the whole network or `{}` for one address", network.trunc(), network.addr()),
        });
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = parse_network(text).map_or_else(|wrong| wrong.message, |network| network.to_string());
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn an_address_is_a_network_of_one() {
        check("10.1.2.3", "10.1.2.3/32");
        check("10.1.0.0/16", "10.1.0.0/16");
        check("::1", "::1/128");
        check("fd00::/8", "fd00::/8");
        check("::ffff:10.0.0.1", "10.0.0.1/32");
        check("::ffff:10.0.0.0/104", "`::ffff:10.0.0.0/104` is IPv4 in the clothes of IPv6, and no client's address is read like that");
        check("10.1.2.3/16", "`10.1.2.3/16` names an address inside its network");
        check("proxy.example", "`proxy.example` is not a network");
        check("10.1.0.0/33", "`10.1.0.0/33` is not a network");
        check("", "`` is not a network");
    }
}
