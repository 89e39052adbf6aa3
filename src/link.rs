//! A producer's connection to the exporter, as `send` and `follow` have it: lines go out, replies come in on a thread of
//! their own. Which lines, and what a reply means for them, is the owner's concern.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use serde::Deserialize;

use crate::feed::listener::connect;
use crate::limits;

/// A reply of the exporter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Reply {
    pub(crate) ack: Option<u64>,
    pub(crate) rejected: Option<u64>,
    pub(crate) reason: String,
    pub(crate) detail: String,
}

/// One connection.
pub(crate) struct Link {
    stream: UnixStream,
    pub(crate) replies: Receiver<Reply>,
    pub(crate) phase: Phase,
}

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The exporter has not reported its position yet.
    Handshake,
    /// Lines may be sent.
    Open,
    /// Writing has failed; replies that have arrived are still read.
    Broken,
}

impl Link {
    /// Connects, and says hello. What is opened belongs to nobody.
    pub(crate) fn dial(path: &Path, producer: &str, instance: &str) -> io::Result<Self> {
        let mut stream = connect(path, limits::SEND_REPLY_TIMEOUT)?;
        let hello = serde_json::json!({ "hello": producer, "instance": instance, "owner": false });
        stream.write_all(format!("{hello}\n").as_bytes())?;
        let (sender, replies) = unbounded();
        let reader = BufReader::new(stream.try_clone()?);
        std::thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                let reply = serde_json::from_str(&line).unwrap_or_default();
                if sender.send(reply).is_err() {
                    break;
                }
            }
        });
        Ok(Link { stream, replies, phase: Phase::Handshake })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Writes lines. Returns whether that was possible.
    pub(crate) fn write(&mut self, lines: &[u8]) -> bool {
        let is_written = self.stream.write_all(lines).is_ok();
        if !is_written {
            let _ = self.stream.shutdown(Shutdown::Write);
            self.phase = Phase::Broken;
        }
        is_written
    }

    /// Ends the session in good order: its position is forgotten. Returns whether that could be said.
    pub(crate) fn say_bye(&mut self) -> bool {
        self.write(b"{\"bye\":true}\n")
    }
}

/// Why there is no connection to the exporter at this path, and what to do. That nobody listens and that this user
/// may not connect are different faults.
pub(crate) fn unreachable(path: &Path, error: &io::Error) -> String {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => format!(
            "{shown}: nobody listens there; is the exporter running? (systemctl status lifecycle-exporter; --socket \
             names another path)"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("{shown}: {} may not write to this socket; {}", this_user(), who_may(path))
        }
        _ if is_refusal(error) => refused(path),
        _ => format!("{shown}: {error}; --socket names another path"),
    }
}

/// The exporter takes connections but closes this user's.
pub(crate) fn refused(path: &Path) -> String {
    format!(
        "{}: the exporter refuses {}; add the user to [events] allowed_users, or one of its groups to allowed_groups",
        path.display(),
        this_user()
    )
}

/// Whether the exporter has closed the connection.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn this_user() -> String {
    let id = nix::unistd::geteuid();
    let name = nix::unistd::User::from_uid(id).ok().flatten();
    name.map_or(format!("user id {id}"), |user| format!("user {} (id {id})", user.name))
}

fn who_may(path: &Path) -> String {
    let group_writable = |found: &fs::Metadata| found.mode() & 0o020 != 0;
    let group = fs::metadata(path)
        .ok()
        .filter(group_writable)
        .and_then(|found| nix::unistd::Group::from_gid(found.gid().into()).ok().flatten());
    match group {
        Some(group) => {
            format!("join the group {0} (sudo usermod -aG {0} USER), then log in again", group.name)
        }
        None => "see [events] mode and group".to_owned(),
    }
}

/// When to connect again: after pauses that double.
#[derive(Debug)]
pub(crate) struct Retry {
    pause: Duration,
    at: Instant,
}

impl Retry {
    pub(crate) fn new() -> Self {
        Retry { pause: limits::SEND_RETRY_FIRST, at: Instant::now() }
    }

    /// Whether it is time; if so, the next pause begins.
    pub(crate) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        if now < self.at {
            return false;
        }
        // A random factor, so that many clients do not reconnect at the same time.
        self.at = now + self.pause.mul_f64(0.5 + fastrand::f64());
        self.pause = (self.pause * 2).min(limits::SEND_RETRY_MAX);
        true
    }

    /// It was successful: the next pause is a short one.
    pub(crate) fn reset(&mut self) {
        self.pause = limits::SEND_RETRY_FIRST;
    }
}
