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
        return Ok(IpNet::from(address));
    }
    let Ok(network) = text.parse::<IpNet>() else {
        return Err(NotANetwork {
            message: format!("`{text}` is not a network"),
            hint: "write an address or a network, as in 10.1.2.3 or 10.1.0.0/16; host names are not looked up".to_owned(),
        });
    };
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
        check("10.1.2.3/16", "`10.1.2.3/16` names an address inside its network");
        check("proxy.example", "`proxy.example` is not a network");
        check("10.1.0.0/33", "`10.1.0.0/33` is not a network");
        check("", "`` is not a network");
    }
}
