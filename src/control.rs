//! The messages that reach the feed's thread from the other roles, and the way to wake it for them.
//!
//! The feed's thread owns all state, so whoever wants something of it sends one of these. They are rare beside
//! events, which never pass through here.

use std::net::IpAddr;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::catalog::Catalogs;
use crate::config::Settings;
use crate::limits;
use crate::status::Status;

/// A request to the feed's thread.
pub enum Control {
    /// Show the metrics.
    Scrape(Scrape),
    /// Say what the status page shows.
    Status(Sender<Status>),
    /// A directory scan has ended.
    Scanned(ScanReport),
    /// A look-up has ended; `None` where the address has no name.
    Named(IpAddr, Option<String>),
    /// Go on with other settings and catalogs.
    Reload(Box<Reload>),
    /// Take no new connections, apply what has arrived, and end.
    Stop,
}

/// What a scrape asks for.
pub struct Scrape {
    /// Names of systems; empty: everything.
    pub systems: Vec<String>,
    /// Metrics of other roles, name and text, sorted by name.
    pub blocks: Vec<(String, Vec<u8>)>,
    /// Where the text goes, or why there is none.
    pub reply: Sender<Result<Vec<u8>, String>>,
}

/// New settings, checked.
pub struct Reload {
    /// The whole configuration.
    pub settings: Arc<Settings>,
    /// All catalogs.
    pub catalogs: Catalogs,
    /// Who may connect.
    pub peers: crate::feed::peers::Peers,
}

/// How a directory scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanStatus {
    /// Everything was seen.
    Succeeded,
    /// The directory itself could not be read.
    Failed,
    /// Out of time or files, or a folder could not be read.
    Partial,
}

impl ScanStatus {
    /// The value of the status gauges.
    pub fn code(self) -> f64 {
        match self {
            ScanStatus::Succeeded => 1.0,
            ScanStatus::Failed => 0.0,
            ScanStatus::Partial => -1.0,
        }
    }
}

/// What a directory scan found.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanReport {
    /// The `scan` label.
    pub name: String,
    /// The system whose events it causes.
    pub system: Option<String>,
    /// How it ended.
    pub status: ScanStatus,
    /// The sum of the files' sizes.
    pub bytes: u64,
    /// How many files there are.
    pub files: u64,
    /// The modification time of the oldest one, Unix seconds.
    pub oldest: Option<f64>,
    /// How long it took.
    pub duration_seconds: f64,
    /// When it ended, Unix seconds.
    pub ended: f64,
}

/// The sending end, for any role.
#[derive(Clone)]
pub struct ControlSender {
    queue: Sender<Control>,
    wake: Arc<EventFd>,
}

impl ControlSender {
    /// Sends a request. A feed that has ended hears nothing any more, which is no error here.
    pub fn send(&self, control: Control) {
        if self.queue.send(control).is_ok() {
            // The counter is at its limit only if a wake-up is pending already.
            let _ = self.wake.write(1);
        }
    }

    /// Wakes the feed without a request: there is news for it elsewhere.
    pub fn nudge(&self) {
        let _ = self.wake.write(1);
    }
}

/// The receiving end, for the feed.
pub struct ControlReceiver {
    /// The requests.
    pub queue: Receiver<Control>,
    /// Readable while there are some.
    pub wake: Arc<EventFd>,
}

/// A bounded queue of requests with a descriptor to poll.
pub fn channel() -> std::io::Result<(ControlSender, ControlReceiver)> {
    let (sender, receiver) = bounded(limits::CONTROL_QUEUE_MAX);
    let wake = Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
    Ok((ControlSender { queue: sender, wake: Arc::clone(&wake) }, ControlReceiver { queue: receiver, wake }))
}
