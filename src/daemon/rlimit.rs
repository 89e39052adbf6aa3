//! The limit of open file descriptors, divided so that producers cannot use up those that scrapes need.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::limits;

/// How many connections the limit of descriptors allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FdBudget {
    /// Connections of producers.
    pub(crate) feed: usize,
    /// HTTP connections in service. As many again may linger until the client has read the response.
    pub(crate) http: usize,
}

/// Raises the soft limit as far as `producers_max` needs and the hard limit allows, and divides it.
pub(crate) fn budget(producers_max: usize) -> FdBudget {
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
    divide(limit)
}

fn divide(limit: u64) -> FdBudget {
    let free = limit.saturating_sub(limits::DESCRIPTORS_RESERVED) as usize;
    let http_all = (limits::HTTP_CONNECTIONS_MAX + limits::HTTP_LINGERING_MAX).min(free / 2);
    FdBudget { feed: (free - http_all).max(1), http: (http_all / 2).clamp(1, limits::HTTP_CONNECTIONS_MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_leave_room_for_scrapes() {
        for (limit, feed, http) in
            [(1_048_576, 1_048_576 - 48 - 128, 64), (1_024, 1_024 - 48 - 128, 64), (128, 40, 20), (10, 1, 1)]
        {
            assert_eq!(divide(limit), FdBudget { feed, http }, "{limit}");
        }
    }
}
