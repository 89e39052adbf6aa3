//! Access control: the decision about a client and the host that it names, and why. It does no I/O, so that
//! `check --client` reports exactly what the server does.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::host::{Host, HostNames};
use crate::config::{Networks, Settings};

#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// `[stats] allowed_ips`.
    allowed: Networks,
    /// `[app] trustedproxies`.
    proxies: Networks,
    /// `[http] hosts`, and the names of this machine.
    hosts: HostNames,
}

/// The decision about a new connection, before a byte of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtAccept {
    Read,
    /// It gets a 403, and nothing that it sends is parsed.
    Deny,
}

/// The decision about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Who sent the request, perhaps through proxies.
    pub(crate) client: IpAddr,
    pub(crate) allowed: bool,
    /// How `client` was determined.
    via: Via,
    /// The entry of the allow list that contains the client.
    network: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    Connection,
    Forwarded,
}

impl Access {
    pub(crate) fn new(settings: &Settings, machine_names: &[String]) -> Self {
        Access {
            allowed: settings.allowed_ips.clone(),
            proxies: settings.trusted_proxies.clone(),
            hosts: HostNames::new(settings.hosts.iter().chain(machine_names)),
        }
    }

    /// The request of an address that is not allowed is read only from a trusted proxy, which may forward for
    /// others.
    pub(crate) fn at_accept(&self, peer: IpAddr) -> AtAccept {
        if self.allowed.contains(peer) || self.proxies.contains(peer) {
            AtAccept::Read
        } else {
            AtAccept::Deny
        }
    }

    /// Whether a request from `peer` has to name a host that this server answers to. Pages from elsewhere can
    /// make a browser ask for what people look at; a trusted proxy decides itself which hosts it serves.
    pub(super) fn asks_for_host(&self, peer: IpAddr, path: &str) -> bool {
        (path == "/" || path.starts_with("/api/")) && !self.proxies.contains(peer)
    }

    pub(super) fn answers_to(&self, host: &Host) -> bool {
        self.hosts.contains(host)
    }

    /// The allowed networks and the trusted proxies, as text.
    pub(super) fn lists(&self) -> (String, String) {
        (self.allowed.to_string(), self.proxies.to_string())
    }

    /// Decides about a request from `peer` with these `X-Forwarded-For` headers, in the order of the request.
    pub(crate) fn decide<'a>(&self, peer: IpAddr, forwarded: impl IntoIterator<Item = &'a str>) -> Verdict {
        let peer = peer.to_canonical();
        let mut client = peer;
        let mut via = Via::Connection;
        if self.proxies.contains(peer) {
            let headers: Vec<&str> = forwarded.into_iter().collect();
            for entry in headers.iter().rev().flat_map(|header| header.rsplit(',')) {
                let Some(ip) = parse_entry(entry) else { break };
                client = ip;
                via = Via::Forwarded;
                if !self.proxies.contains(ip) {
                    break;
                }
            }
        }
        let network = self.allowed.find(client).map(|network| network.to_string());
        Verdict { client, allowed: network.is_some(), via, network }
    }
}

/// Parses an address with or without brackets and port.
fn parse_entry(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let ip = match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6),
        None => entry
            .parse::<IpAddr>()
            .ok()
            .or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip())),
    };
    ip.map(|ip| ip.to_canonical())
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let via = match self.via {
            Via::Connection => "the address of the connection",
            Via::Forwarded => "from the X-Forwarded-For header of a trusted proxy",
        };
        match &self.network {
            Some(network) => {
                write!(out, "allowed: {} ({via}) is in {network} of [stats] allowed_ips", self.client)
            }
            None => write!(out, "denied: {} ({via}) is not in [stats] allowed_ips", self.client),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(allowed: &str, proxies: &str) -> Access {
        let networks = |text: &str| if text.is_empty() { Networks::none() } else { Networks::parse(text) };
        let (trusted_proxies, allowed_ips) = (networks(proxies), networks(allowed));
        Access::new(&Settings { trusted_proxies, allowed_ips, ..Settings::default() }, &[])
    }

    #[test]
    fn only_what_people_look_at_asks_for_a_host_and_only_without_a_trusted_proxy() {
        let access = access("10.0.0.0/8", "192.168.0.1");
        let asks = |peer: &str, path: &str| access.asks_for_host(peer.parse().unwrap(), path);
        for path in ["/", "/api/", "/api/v1/open", "/api/nothing"] {
            assert!(asks("10.1.1.1", path), "{path}");
            assert!(!asks("192.168.0.1", path) && !asks("::ffff:192.168.0.1", path), "{path}");
        }
        for path in ["/metrics", "/-/healthy", "/-/ready", "/nothing", "/apis"] {
            assert!(!asks("10.1.1.1", path), "{path}");
        }
    }

    #[test]
    fn a_denied_address_is_not_read_unless_it_is_a_proxy() {
        let access = access("10.0.0.0/8", "192.168.0.1");
        let cases = [
            ("10.1.1.1", AtAccept::Read),
            ("::ffff:10.1.1.1", AtAccept::Read),
            ("192.168.0.1", AtAccept::Read),
            ("192.168.0.2", AtAccept::Deny),
            ("::1", AtAccept::Deny),
        ];
        for (peer, expected) in cases {
            assert_eq!(access.at_accept(peer.parse().unwrap()), expected, "{peer}");
        }
    }

    /// Every form of `X-Forwarded-For`: headers in, client out. The proxies are 10.0.0.0/8 and `fd00::/8`.
    #[test]
    fn the_client_is_the_right_most_entry_that_is_not_a_proxy() {
        let access = access("203.0.113.0/24, 2001:db8::/32", "10.0.0.0/8, fd00::/8");
        let cases: &[(&str, &[&str], &str)] = &[
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &[" 203.0.113.7 "], "203.0.113.7"),
            ("10.0.0.1", &["203.0.113.7:4711"], "203.0.113.7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["203.0.113.7, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.7,10.0.0.2"], "203.0.113.7"),
            ("10.0.0.1", &["203.0.113.7, 10.0.0.3,fd00::1"], "203.0.113.7"),
            ("10.0.0.1", &["203.0.113.7", "10.0.0.2"], "203.0.113.7"),
            ("10.0.0.1", &["10.0.0.2", "203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["203.0.113.7, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.7, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["203.0.113.7,,10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["203.0.113.7,"], "10.0.0.1"),
            ("10.0.0.1", &["garbage"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.7:notaport"], "10.0.0.1"),
            ("10.0.0.1", &["[203.0.113.7]"], "10.0.0.1"),
            ("10.0.0.1", &["\"203.0.113.7\""], "10.0.0.1"),
            ("fd00::5", &["203.0.113.7"], "203.0.113.7"),
            ("::ffff:10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("198.51.100.9", &["203.0.113.7"], "198.51.100.9"),
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
        ];
        for (peer, headers, expected) in cases {
            let verdict = access.decide(peer.parse().unwrap(), headers.iter().copied());
            let expected: IpAddr = expected.parse().unwrap();
            assert_eq!(verdict.client, expected, "{peer} {headers:?}");
            assert_eq!(verdict.allowed, access.allowed.contains(expected), "{peer} {headers:?}");
        }
    }
}
