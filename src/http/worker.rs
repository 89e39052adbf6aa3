//! A worker: makes the responses, which may take waiting for the feed or compressing. It never sees a socket.

use std::sync::atomic::Ordering;

use crossbeam_channel::Sender;

use super::routes::Site;
use super::server::{Done, Shared};
use crate::limits;
use crate::liveness::Liveness;

/// Runs until the process stops.
pub(crate) fn work(site: &Site, done: &Sender<Done>, shared: &Shared, heart: &Liveness) {
    while !shared.stop.load(Ordering::Relaxed) {
        heart.heartbeat();
        let Some((request, places)) = shared.jobs.take(limits::ROLE_IDLE_MAX / 4) else { continue };
        let response = site.respond(&request);
        for place in places {
            if done.send(Done { place, response: response.clone() }).is_err() {
                return;
            }
        }
        shared.wake();
    }
}
