//! Ports that nothing else is given meanwhile.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range that the kernel hands to outgoing connections, so that a port found free stays free.
const FIRST: u16 = 17_000;
const COUNT: u16 = 14_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// An address on 127.0.0.1 that nobody listens on.
pub fn free() -> SocketAddr {
    // Two test processes at a time start at different places.
    let offset = u16::try_from(std::process::id() % 199).unwrap() * 70;
    for _ in 0..COUNT {
        let port = FIRST + (offset.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed))) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of {FIRST}..{} is free", FIRST + COUNT);
}
