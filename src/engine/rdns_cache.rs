//! The cache of reverse DNS names, used with `[privacy] numeric = no`: known names, and addresses to look up.
//!
//! Looking a name up takes time and is done by a thread of its own; here nothing waits. Bounded: the oldest
//! names are forgotten, and more wishes than the queue holds are made again by a later event. What is shown depends on the
//! names learnt alone, not on what was asked for, so it can be saved and restored.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use crate::limits;

/// The cache. Its default is empty.
#[derive(Debug, Default)]
pub(super) struct RdnsCache {
    known: HashMap<IpAddr, String>,
    oldest_first: VecDeque<IpAddr>,
    /// Asked for, or without a name.
    asked: HashSet<IpAddr>,
    wanted: Vec<IpAddr>,
}

impl RdnsCache {
    /// The name of an address. One that was never asked for is put on the list.
    pub(super) fn known_or_wanted(&mut self, ip: IpAddr) -> Option<&str> {
        let known = self.known.get(&ip).map(String::as_str);
        if known.is_none() && self.wanted.len() < limits::NAMES_QUEUE_MAX && !self.asked.contains(&ip) {
            if self.asked.len() >= limits::NAMES_MAX {
                self.asked.clear();
            }
            self.asked.insert(ip);
            self.wanted.push(ip);
        }
        known
    }

    /// The addresses whose names were asked for since the last call.
    pub(super) fn take_wanted(&mut self) -> Vec<IpAddr> {
        std::mem::take(&mut self.wanted)
    }

    /// Puts an address back on the list of those never asked for.
    pub(super) fn forget(&mut self, ip: IpAddr) {
        self.asked.remove(&ip);
    }

    /// What the look-up found.
    pub(super) fn learn(&mut self, ip: IpAddr, name: &str) {
        if self.known.insert(ip, name.to_owned()).is_none() {
            self.oldest_first.push_back(ip);
            if self.oldest_first.len() > limits::NAMES_MAX
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.known.remove(&oldest);
                self.asked.remove(&oldest);
            }
        }
    }

    /// All that is known, the oldest first.
    pub(super) fn known(&self) -> impl Iterator<Item = (IpAddr, &str)> {
        self.oldest_first.iter().map(|ip| (*ip, self.known.get(ip).map_or("", String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_asked_for_once_and_shown_when_known() {
        let mut names = RdnsCache::default();
        let ip: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(names.known_or_wanted(ip), None);
        assert_eq!(names.known_or_wanted(ip), None);
        assert_eq!(names.take_wanted(), [ip]);
        names.learn(ip, "host.example");
        assert_eq!(names.known_or_wanted(ip), Some("host.example"));
        assert!(names.take_wanted().is_empty());
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut names = RdnsCache::default();
        for index in 0..20_000_u32 {
            names.known_or_wanted(IpAddr::from(index.to_be_bytes()));
            names.take_wanted();
            names.learn(IpAddr::from(index.to_be_bytes()), "host");
        }
        assert_eq!((names.known.len(), names.known().count()), (limits::NAMES_MAX, limits::NAMES_MAX));
        assert!(names.asked.len() <= limits::NAMES_MAX);
    }
}
