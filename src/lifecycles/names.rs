//! Names of addresses, where `[privacy] numeric = no` asks for them: what is known, and what is still wanted.
//!
//! Looking a name up takes time and is done by a thread of its own; here nothing waits. Bounded: the oldest
//! names are forgotten, and more wishes than the queue holds are made again by a later event.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::limits;

/// The cache. Its default is empty.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// `None`: asked for, or without a name.
    known: HashMap<IpAddr, Option<String>>,
    oldest_first: VecDeque<IpAddr>,
    wanted: Vec<IpAddr>,
}

impl Names {
    /// The name of an address. One that was never asked for is put on the list.
    pub(super) fn known_or_wanted(&mut self, ip: IpAddr) -> Option<&str> {
        if !self.known.contains_key(&ip) && self.wanted.len() < limits::NAMES_QUEUE_MAX {
            self.wanted.push(ip);
            self.remember(ip, None);
        }
        self.known.get(&ip)?.as_deref()
    }

    /// The addresses whose names were asked for since the last call.
    pub(super) fn take_wanted(&mut self) -> Vec<IpAddr> {
        std::mem::take(&mut self.wanted)
    }

    /// Puts an address back on the list of those never asked for.
    pub(super) fn forget(&mut self, ip: IpAddr) {
        self.known.remove(&ip);
    }

    /// What the look-up found.
    pub(super) fn learn(&mut self, ip: IpAddr, name: &str) {
        self.remember(ip, Some(name.to_owned()));
    }

    fn remember(&mut self, ip: IpAddr, name: Option<String>) {
        if self.known.insert(ip, name).is_none() {
            self.oldest_first.push_back(ip);
            if self.oldest_first.len() > limits::NAMES_MAX
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_asked_for_once_and_shown_when_known() {
        let mut names = Names::default();
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
        let mut names = Names::default();
        for index in 0..20_000_u32 {
            names.known_or_wanted(IpAddr::from(index.to_be_bytes()));
            names.take_wanted();
        }
        assert_eq!(names.known.len(), limits::NAMES_MAX);
    }
}
