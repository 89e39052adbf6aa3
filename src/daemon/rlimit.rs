//! Descriptors: how many there may be, and who gets them, so that producers cannot take those that scrapes need.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::limits;

/// Connections that the limit of descriptors leaves room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Producers.
    pub(crate) feed: usize,
    /// HTTP connections being served; as many again may be drained.
    pub(crate) http: usize,
}

/// Raises the soft limit as far as needed and allowed, and shares out what there is.
pub(crate) fn share(producers_max: usize) -> Shares {
    let lingering = limits::HTTP_LINGERING_MAX as u64;
    let wanted =
        limits::DESCRIPTORS_RESERVED + producers_max as u64 + limits::HTTP_CONNECTIONS_MAX as u64 + lingering;
    let limit = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if soft < wanted => {
            let raised = wanted.min(hard);
            if setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_ok() { raised } else { soft }
        }
        Ok((soft, _)) => soft,
        Err(_) => wanted,
    };
    shares(limit)
}

fn shares(limit: u64) -> Shares {
    let free = limit.saturating_sub(limits::DESCRIPTORS_RESERVED) as usize;
    let http_all = (limits::HTTP_CONNECTIONS_MAX + limits::HTTP_LINGERING_MAX).min(free / 2);
    Shares { feed: (free - http_all).max(1), http: (http_all / 2).clamp(1, limits::HTTP_CONNECTIONS_MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_leave_room_for_scrapes() {
        for (limit, feed, http) in
            [(1_048_576, 1_048_576 - 48 - 128, 64), (1_024, 1_024 - 48 - 128, 64), (128, 40, 20), (10, 1, 1)]
        {
            assert_eq!(shares(limit), Shares { feed, http }, "{limit}");
        }
    }
}
