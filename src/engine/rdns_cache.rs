//! The cache of reverse DNS names, used with `[privacy] numeric = no`: known names, and addresses to look up.
//!
//! A thread of its own looks names up, because that takes time; nothing here waits. The cache is bounded: it
//! forgets the oldest names, and when the queue is full, a later event makes the request again. Labels depend
//! on the known names alone, not on pending requests, so only the names are saved.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use crate::limits;

#[derive(Debug, Default)]
pub(super) struct RdnsCache {
    known: HashMap<IpAddr, String>,
    oldest_first: VecDeque<IpAddr>,
    /// Addresses whose look-up was requested, with or without success.
    requested: HashSet<IpAddr>,
    queue: Vec<IpAddr>,
}

impl RdnsCache {
    /// Returns the name of an address, or requests its look-up unless that was requested before.
    pub(super) fn known_or_request(&mut self, ip: IpAddr) -> Option<&str> {
        let known = self.known.get(&ip).map(String::as_str);
        if known.is_none() && self.queue.len() < limits::NAMES_QUEUE_MAX && !self.requested.contains(&ip) {
            if self.requested.len() >= limits::NAMES_MAX {
                self.requested.clear();
            }
            self.requested.insert(ip);
            self.queue.push(ip);
        }
        known
    }

    /// Takes the addresses to look up.
    pub(super) fn take_requests(&mut self) -> Vec<IpAddr> {
        std::mem::take(&mut self.queue)
    }

    /// Forgets a request, so that the next use of the address makes it again.
    pub(super) fn forget(&mut self, ip: IpAddr) {
        self.requested.remove(&ip);
    }

    /// Stores the result of a look-up.
    pub(super) fn learn(&mut self, ip: IpAddr, name: &str) {
        if self.known.insert(ip, name.to_owned()).is_none() {
            self.oldest_first.push_back(ip);
            if self.oldest_first.len() > limits::NAMES_MAX
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.known.remove(&oldest);
                self.requested.remove(&oldest);
            }
        }
    }

    /// All known names, the oldest first.
    pub(super) fn known(&self) -> impl Iterator<Item = (IpAddr, &str)> {
        self.oldest_first.iter().map(|ip| (*ip, self.known.get(ip).map_or("", String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_requested_once_and_used_when_known() {
        let mut names = RdnsCache::default();
        let ip: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(names.known_or_request(ip), None);
        assert_eq!(names.known_or_request(ip), None);
        assert_eq!(names.take_requests(), [ip]);
        names.learn(ip, "host.example");
        assert_eq!(names.known_or_request(ip), Some("host.example"));
        assert!(names.take_requests().is_empty());
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut names = RdnsCache::default();
        for index in 0..20_000_u32 {
            names.known_or_request(IpAddr::from(index.to_be_bytes()));
            names.take_requests();
            names.learn(IpAddr::from(index.to_be_bytes()), "host");
        }
        assert_eq!((names.known.len(), names.known().count()), (limits::NAMES_MAX, limits::NAMES_MAX));
        assert!(names.requested.len() <= limits::NAMES_MAX);
    }
}
