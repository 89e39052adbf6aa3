//! The clients that were denied lately, for the status page. Whoever sets up a scraper sees here which address
//! the exporter saw.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::{clock, limits};

/// A client that was denied.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Denial {
    pub(super) client: IpAddr,
    pub(super) count: u64,
    /// The latest, Unix seconds.
    pub(super) at: f64,
}

/// At most [`limits::DENIALS_KEPT`] clients, the latest last.
#[derive(Default)]
pub(super) struct Denials(Mutex<Vec<Denial>>);

impl Denials {
    pub(super) fn note(&self, client: IpAddr) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|denial| denial.client == client);
        let mut denial = known.map_or(Denial { client, count: 0, at: 0.0 }, |position| kept.remove(position));
        if kept.len() == limits::DENIALS_KEPT {
            kept.remove(0);
        }
        denial.count += 1;
        denial.at = clock::unix_seconds();
        kept.push(denial);
    }

    /// The latest first.
    pub(super) fn latest(&self) -> Vec<Denial> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_clients_are_kept_each_with_its_count() {
        let denials = Denials::default();
        for last in (0..=9).chain([3, 200]) {
            denials.note(IpAddr::from([192, 0, 2, last]));
        }
        let latest: Vec<(String, u64)> =
            denials.latest().iter().map(|denial| (denial.client.to_string(), denial.count)).collect();
        let expected = [("192.0.2.200", 1), ("192.0.2.3", 2), ("192.0.2.9", 1)];
        assert_eq!(latest[..3], expected.map(|(client, count)| (client.to_owned(), count)));
        assert_eq!(latest.len(), limits::DENIALS_KEPT);
        assert!(!latest.iter().any(|(client, _)| client == "192.0.2.0"), "the first one gives way");
    }
}
