//! Identifies the boot of the machine, so that restored state knows whether its producers may still be
//! running.

use nix::time::{ClockId, clock_gettime};

use crate::clock;
use crate::format::v1;

/// One boot of the machine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Boot {
    /// The kernel's boot id, without hyphens.
    Id(String),
    /// When the machine was booted, Unix seconds, if it has no boot id.
    At(f64),
}

/// The kernel's id of the current boot.
const ID_FILE: &str = "/proc/sys/kernel/random/boot_id";
/// Overrides the file. The systemd unit sets it, because it hides the file.
const ID_VARIABLE: &str = "LIFECYCLE_BOOT_ID";
/// How far two measurements of one boot time may differ, because the clock may have been set in between.
const TOLERANCE_SECONDS: f64 = 300.0;

impl Boot {
    pub(crate) fn current() -> Self {
        let from_variable = std::env::var(ID_VARIABLE).ok().filter(|id| !id.is_empty());
        let id = from_variable.or_else(|| std::fs::read_to_string(ID_FILE).ok());
        let id = id.map(|id| id.trim().replace('-', "")).filter(|id| !id.is_empty());
        id.map_or_else(|| Boot::At(clock::unix_seconds() - seconds_since_boot()), Boot::Id)
    }

    /// Converts the boot to version 1.
    pub(super) fn to_v1(&self) -> v1::Boot<'_> {
        match self {
            Boot::Id(id) => v1::Boot::Id(id),
            Boot::At(at) => v1::Boot::At(*at),
        }
    }

    /// Converts the boot from version 1.
    pub(super) fn from_v1(boot: &v1::Boot<'_>) -> Self {
        match *boot {
            v1::Boot::Id(id) => Boot::Id(id.to_owned()),
            v1::Boot::At(at) => Boot::At(at),
        }
    }

    /// Whether both are the same boot. If they cannot be compared, returns `true`, so that nothing is
    /// abandoned by mistake.
    pub(crate) fn is_same(&self, other: &Boot) -> bool {
        match (self, other) {
            (Boot::Id(one), Boot::Id(other)) => one == other,
            (Boot::At(one), Boot::At(other)) => (one - other).abs() <= TOLERANCE_SECONDS,
            _ => true,
        }
    }
}

fn seconds_since_boot() -> f64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0.0, |since| std::time::Duration::from(since).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_apart_by_their_id_or_their_time() {
        let id = |id: &str| Boot::Id(id.to_owned());
        assert!(id("a").is_same(&id("a")) && !id("a").is_same(&id("b")));
        assert!(
            Boot::At(1_000.0).is_same(&Boot::At(1_200.0)) && !Boot::At(1_000.0).is_same(&Boot::At(2_000.0))
        );
        assert!(Boot::At(1_000.0).is_same(&id("a")), "cannot be compared");
        assert!(Boot::current().is_same(&Boot::current()));
    }
}
