//! Where a request comes from, as far as it can be told from others.

use std::net::{IpAddr, Ipv6Addr};

/// One source: an IPv4 address, or an IPv6 network of 64 bits, because a client chooses freely within one. Addresses that
/// cannot be believed are one source together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::authn) struct Source(Option<IpAddr>);

impl Source {
    /// Nobody can tell where.
    pub(in crate::authn) const UNKNOWN: Self = Self(None);

    pub(in crate::authn) fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        }))
    }

    /// The form in which it is hashed.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self.0 {
            None => Vec::new(),
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(address)) => address.octets().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_is_one_source() {
        let of = |address: &str| Source::of(Some(address.parse().unwrap()));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_ne!(of("0.0.0.0"), Source::of(None));
    }
}
