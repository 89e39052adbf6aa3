//! The host that a request names, and the hosts that this server answers to.
//!
//! A page from elsewhere can make a browser send requests to this server under a name of its own, by DNS
//! rebinding, and read the responses. The server finds that out by the name, so it looks up none itself:
//! [`machine_names`] reads what the machine knows without the network, at the start and at a reload.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv6Addr};

/// The host of a request, without the port.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    /// Normalized, perhaps empty.
    Name(String),
}

impl Host {
    /// Reads `host` or `host:port` by RFC 3986, section 3.2.2; `None` if it is malformed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            // A zone is local to the client.
            let address: Ipv6Addr = address.split('%').next()?.parse().ok()?;
            (Host::Address(address.into()), port)
        } else {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            if !name.bytes().all(is_name_byte) {
                return None;
            }
            let name = normalized(name);
            (name.parse().map(Host::Address).unwrap_or(Host::Name(name)), port)
        };
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(host)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(address) => address.fmt(out),
            Host::Name(name) => name.fmt(out),
        }
    }
}

/// Unreserved characters, escapes and sub-delimiters.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

/// Names are the same in upper and lower case, and with a dot at the end.
fn normalized(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The names that a request may use for this server, beside every address.
#[derive(Debug, Clone)]
pub(super) struct HostNames(Vec<String>);

impl HostNames {
    /// `localhost`, and these.
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a String>) -> Self {
        let own = std::iter::once("localhost".to_owned());
        HostNames(own.chain(names.into_iter().map(|name| normalized(name))).collect())
    }

    pub(super) fn contains(&self, host: &Host) -> bool {
        match host {
            Host::Address(_) => true,
            Host::Name(name) => self.0.contains(name),
        }
    }
}

/// The names of this machine, from `uname` and `/etc/hosts`.
pub(crate) fn machine_names() -> Vec<String> {
    let Ok(uname) = nix::sys::utsname::uname() else { return Vec::new() };
    let hosts = fs::read("/etc/hosts").unwrap_or_default();
    names_of(
        &uname.nodename().to_string_lossy(),
        &uname.domainname().to_string_lossy(),
        &String::from_utf8_lossy(&hosts),
    )
}

/// The host name, whole and without its domain, with the kernel's domain, and what stands beside it in a line
/// of `/etc/hosts`.
fn names_of(node: &str, domain: &str, hosts: &str) -> Vec<String> {
    let node = normalized(node);
    let short = node.split('.').next().unwrap_or_default().to_owned();
    if short.is_empty() {
        return Vec::new();
    }
    let mut names = vec![node, short.clone()];
    // The kernel says "(none)" where no domain is set.
    if !domain.is_empty() && !domain.starts_with('(') {
        names.push(normalized(&format!("{short}.{domain}")));
    }
    let own = names.clone();
    for line in hosts.lines() {
        let entry = line.split('#').next().unwrap_or_default();
        let in_line: Vec<String> = entry.split_whitespace().skip(1).map(normalized).collect();
        if in_line.iter().any(|name| own.contains(name)) {
            names.extend(in_line);
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_a_name_with_or_without_port() {
        let address = |text: &str| Some(Host::Address(text.parse().unwrap()));
        let name = |text: &str| Some(Host::Name(text.to_owned()));
        let cases = [
            ("127.0.0.1", address("127.0.0.1")),
            ("127.0.0.1:10048", address("127.0.0.1")),
            ("[::1]", address("::1")),
            ("[::1]:80", address("::1")),
            ("[fe80::1%25eth0]:80", address("fe80::1")),
            ("LocalHost.", name("localhost")),
            ("Media.Example.com.:80", name("media.example.com")),
            ("media_1:", name("media_1")),
            ("", name("")),
            ("2130706433", name("2130706433")),
            ("127.1", name("127.1")),
            ("a b", None),
            ("a/b", None),
            ("user@a", None),
            ("a:b", None),
            ("a:1:2", None),
            ("a:-1", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]80", None),
            ("[127.0.0.1]", None),
            ("[v1.a]", None),
            ("höst", None),
            ("a,b\u{1}", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Host::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_machine_has_the_names_beside_its_own_in_the_hosts_file() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1\tMedia.Example.com  media # the machine, evil.example\n\
                     192.0.2.1 other.example.com other\n# 192.0.2.2 media commented.example\n\
                     2001:db8::1 media6 media.\n192.0.2.3";
        let cases: [(&str, &str, &[&str]); 5] = [
            ("media", "(none)", &["media", "media.example.com", "media6"]),
            ("media.example.com", "", &["media", "media.example.com", "media6"]),
            ("Rec", "lan.example", &["rec", "rec.lan.example"]),
            ("media.lan", "", &["media", "media.example.com", "media.lan", "media6"]),
            ("", "lan.example", &[]),
        ];
        for (node, domain, expected) in cases {
            assert_eq!(names_of(node, domain, hosts), expected, "{node:?} {domain:?}");
        }
    }

    #[test]
    fn every_address_and_only_known_names_are_answered_to() {
        let names = HostNames::new(&["Metrics.Example.".to_owned()]);
        for known in ["192.0.2.1", "[2001:db8::1]:1", "localhost", "metrics.example:80", "METRICS.EXAMPLE."] {
            assert!(names.contains(&Host::parse(known).unwrap()), "{known}");
        }
        for unknown in ["", ".", "rebound.example", "x.localhost", "metrics.example..", "127.0.0.1.example"] {
            assert!(!names.contains(&Host::parse(unknown).unwrap()), "{unknown}");
        }
    }
}
