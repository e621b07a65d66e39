//! Which addresses are taken for one, where what one client may have is bounded.

use std::net::{IpAddr, Ipv6Addr};

/// What counts as one address: in IPv6 everybody has a whole network of them.
pub(super) fn neighbourhood(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(of) => {
            let [a, b, c, d, ..] = of.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        of => of,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let peer = |text: &str| text.parse::<IpAddr>().expect("an address");
        let same = |one: &str, other: &str| neighbourhood(peer(one)) == neighbourhood(peer(other));
        assert!(same("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }
}
