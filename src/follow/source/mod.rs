//! Where lines come from, each on a thread that only reads: `file` over its rotations (`rotation`), `journal`, `input`.

pub(super) mod file;
pub(super) mod input;
pub(super) mod journal;
mod rotation;

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::batch::{Gatherer, Stop};

/// Waits for input, and lets events happen meanwhile that have waited long enough.
fn wait(input: BorrowedFd<'_>, out: &mut Gatherer) -> Result<(), Stop> {
    while let Some(patience) = out.patience() {
        // A little more, since a wait is a whole number of milliseconds.
        let most = patience.min(Duration::from_secs(60)) + Duration::from_millis(1);
        let timeout = PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX);
        if !matches!(poll(&mut [PollFd::new(input, PollFlags::POLLIN)], timeout), Ok(0)) {
            break;
        }
        out.pause()?;
    }
    Ok(())
}
