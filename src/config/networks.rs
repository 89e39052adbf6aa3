//! Lists of addresses and networks: `[stats] allowed_ips` and `[app] trustedproxies`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::{IpNetwork, Ipv4Network};

/// Networks. IPv4-mapped IPv6 networks are stored as IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Networks {
    list: Vec<IpNetwork>,
    /// What is wrong with the entries that count for nobody.
    refused: Vec<String>,
}

impl Networks {
    /// The loopback addresses, the default of the allow list.
    pub(crate) fn loopback() -> Self {
        let list = vec![IpAddr::V4(Ipv4Addr::LOCALHOST).into(), IpAddr::V6(Ipv6Addr::LOCALHOST).into()];
        Networks { list, refused: Vec::new() }
    }

    pub(crate) fn none() -> Self {
        Networks { list: Vec::new(), refused: Vec::new() }
    }

    /// Reads a comma-separated list of addresses and networks in CIDR notation. An entry that is neither
    /// counts for nobody: the file may be another server's, which goes on, too.
    pub(crate) fn parse(text: &str) -> Self {
        let mut networks = Networks::none();
        for entry in text.split(',').map(str::trim) {
            match parse_entry(entry) {
                Ok(network) => networks.list.push(network),
                Err(what) => networks.refused.push(format!("{entry:?}: {what}; it counts for nobody")),
            }
        }
        networks
    }

    /// What is wrong with each entry that counts for nobody.
    pub(crate) fn refused(&self) -> &[String] {
        &self.refused
    }

    /// The first network that contains an address.
    pub(crate) fn find(&self, ip: IpAddr) -> Option<IpNetwork> {
        let ip = ip.to_canonical();
        self.list.iter().copied().find(|network| network.contains(ip))
    }

    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        self.find(ip).is_some()
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.list.is_empty() {
            return out.write_str("none");
        }
        for (index, network) in self.list.iter().enumerate() {
            write!(out, "{}{network}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// The error says what was expected.
fn parse_entry(entry: &str) -> Result<IpNetwork, String> {
    let network: IpNetwork = entry.parse().map_err(|_| {
        "expected an IP address or a network such as 10.0.0.0/8, separated by commas".to_owned()
    })?;
    let network = canonical(network);
    if network.ip() != network.network() {
        return Err(format!(
            "an address with the prefix of a network, expected {}/{} for the network or {} for the address",
            network.network(),
            network.prefix(),
            network.ip()
        ));
    }
    Ok(network)
}

fn canonical(network: IpNetwork) -> IpNetwork {
    const MAPPED_PREFIX: u8 = 96;
    if let IpNetwork::V6(v6) = network
        && let (IpAddr::V4(ip), true) = (IpAddr::V6(v6.ip()).to_canonical(), v6.prefix() >= MAPPED_PREFIX)
        && let Ok(v4) = Ipv4Network::new(ip, v6.prefix() - MAPPED_PREFIX)
    {
        return v4.into();
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_contain_what_they_say() {
        let list = Networks::parse("10.0.0.0/8, 192.168.0.7, fd00::/8,::ffff:172.16.0.0/108");
        assert!(list.refused().is_empty(), "{list:?}");
        for inside in ["10.255.0.1", "192.168.0.7", "fd00::1", "::ffff:10.0.0.1", "172.31.255.255"] {
            assert!(list.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.1", "192.168.0.8", "fe80::1", "::1", "127.0.0.1", "172.32.0.1"] {
            assert!(!list.contains(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn an_invalid_entry_is_named_and_counts_for_nobody() {
        for text in [
            "localhost",
            "10.0.0.1,",
            ",",
            "10.0.0.0/33",
            "10.0.0.1 ; home",
            "'10.0.0.1'",
            "10.0.0",
            "1.2.3.4:80",
            "192.168.1.5/24",
            "0.0.0.1/0",
            "fd00::1/8",
            "::ffff:10.0.0.1/104",
        ] {
            let list = Networks::parse(text);
            assert!(list.refused()[0].contains("expected"), "{list:?}");
            for ip in ["192.168.1.5", "192.168.1.6", "fd00::1", "10.0.0.2"] {
                assert!(!list.contains(ip.parse().unwrap()), "{text}: {ip}");
            }
        }
        let list = Networks::parse("192.168.1.5/24, 10.0.0.1");
        assert!(list.contains("10.0.0.1".parse().unwrap()));
        assert!(
            list.refused()[0].contains("expected 192.168.1.0/24 for the network or 192.168.1.5"),
            "{list:?}"
        );
    }
}
