//! Lists of addresses and networks: `[stats] allowed_ips` and `[app] trustedproxies`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::{IpNetwork, Ipv4Network};

/// Networks. IPv4-mapped IPv6 networks are stored as IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Networks(Vec<IpNetwork>);

impl Networks {
    /// The loopback addresses, the default of the allow list.
    pub(crate) fn loopback() -> Self {
        Networks(vec![IpAddr::V4(Ipv4Addr::LOCALHOST).into(), IpAddr::V6(Ipv6Addr::LOCALHOST).into()])
    }

    pub(crate) fn none() -> Self {
        Networks(Vec::new())
    }

    /// Reads a comma-separated list of addresses and networks in CIDR notation. The error names the entry.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let entry = |entry: &str| {
            let network: IpNetwork = entry.parse().map_err(|_| {
                format!(
                    "{entry:?}: expected an IP address or a network such as 10.0.0.0/8, separated by commas"
                )
            })?;
            Ok(canonical(network))
        };
        text.split(',').map(|text| entry(text.trim())).collect::<Result<_, String>>().map(Networks)
    }

    /// The first network that contains an address.
    pub(crate) fn find(&self, ip: IpAddr) -> Option<IpNetwork> {
        let ip = ip.to_canonical();
        self.0.iter().copied().find(|network| network.contains(ip))
    }

    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        self.find(ip).is_some()
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str("none");
        }
        for (index, network) in self.0.iter().enumerate() {
            write!(out, "{}{network}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
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
        let list = Networks::parse("10.1.2.3/8, 192.168.0.7, fd00::/8,::ffff:172.16.0.0/108").unwrap();
        for inside in ["10.255.0.1", "192.168.0.7", "fd00::1", "::ffff:10.0.0.1", "172.31.255.255"] {
            assert!(list.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.1", "192.168.0.8", "fe80::1", "::1", "127.0.0.1", "172.32.0.1"] {
            assert!(!list.contains(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn an_invalid_entry_is_named() {
        for text in [
            "localhost",
            "10.0.0.1,",
            ",",
            "10.0.0.0/33",
            "10.0.0.1 ; home",
            "'10.0.0.1'",
            "10.0.0",
            "1.2.3.4:80",
        ] {
            assert!(Networks::parse(text).unwrap_err().contains("expected"), "{text}");
        }
    }
}
