//! The messages that reach the feed's thread from the other roles, and the way to wake it for them.
//!
//! The feed's thread owns all state, so other threads send it a message when they need something. Messages are
//! rare beside events, which never pass through here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::catalog::Catalogs;
use crate::config::Settings;
use crate::limits;
use crate::scan::ScanReport;

use super::peers::Peers;
use super::status::Status;

/// A request to the feed's thread.
pub(crate) enum Control {
    /// Show the metrics.
    Scrape(Scrape),
    /// Say what the status page shows.
    Status(Sender<Status>),
    /// Say what is open.
    Open(OpenQuery),
    /// A directory scan has ended.
    Scanned(ScanReport),
    /// A look-up has ended; `None` where the address has no name.
    Named(IpAddr, Option<String>),
    /// Go on with other settings and catalogs, and say when that has been done.
    Reload(Box<Reload>, Sender<()>),
    /// Take no new connections, apply what has arrived, and end by then.
    Stop(Instant),
}

/// What a scrape asks for.
pub(crate) struct Scrape {
    /// Names of systems; empty: all. The exporter's own metrics always come along.
    pub(crate) systems: Vec<String>,
    /// Metrics of other roles, name and text, sorted by name.
    pub(crate) families: Vec<(String, Vec<u8>)>,
    /// Where the text goes, or why there is none.
    pub(crate) reply: Sender<Result<Vec<u8>, String>>,
}

/// Which open entities are asked for.
pub(crate) struct OpenQuery {
    /// Names of systems; empty: all.
    pub(crate) systems: Vec<String>,
    /// Names of kinds; empty: all.
    pub(crate) entities: Vec<String>,
    /// At most so many.
    pub(crate) max: usize,
    /// Where the JSON goes, the oldest first, or why there is none.
    pub(crate) reply: Sender<Result<Vec<u8>, String>>,
}

/// New settings, checked.
pub(crate) struct Reload {
    /// The whole configuration.
    pub(crate) settings: Arc<Settings>,
    /// All catalogs.
    pub(crate) catalogs: Catalogs,
    /// Who may connect.
    pub(crate) peers: Peers,
}

/// The sending end, for any role.
#[derive(Clone)]
pub(crate) struct ControlSender {
    queue: Sender<Control>,
    wake: Arc<EventFd>,
}

impl ControlSender {
    /// Sends a request. A feed that has ended hears nothing any more, which is no error here.
    pub(crate) fn send(&self, control: Control) {
        if self.queue.send(control).is_ok() {
            // The counter is at its limit only if a wake-up is pending already.
            let _ = self.wake.write(1);
        }
    }

    /// The same, but waits for room in the mailbox only so long. Returns whether it was sent.
    pub(crate) fn send_within(&self, control: Control, patience: Duration) -> bool {
        let is_sent = self.queue.send_timeout(control, patience).is_ok();
        let _ = self.wake.write(1);
        is_sent
    }

    /// Wakes the feed without a request: there is news for it elsewhere.
    pub(crate) fn nudge(&self) {
        let _ = self.wake.write(1);
    }
}

/// The receiving end, for the feed.
pub(crate) struct ControlReceiver {
    /// The requests.
    pub(crate) queue: Receiver<Control>,
    /// Readable while there are some.
    pub(crate) wake: Arc<EventFd>,
}

/// A bounded queue of requests with a descriptor to poll.
pub(crate) fn channel() -> std::io::Result<(ControlSender, ControlReceiver)> {
    let (sender, receiver) = bounded(limits::CONTROL_QUEUE_MAX);
    let wake = Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
    Ok((ControlSender { queue: sender, wake: Arc::clone(&wake) }, ControlReceiver { queue: receiver, wake }))
}
