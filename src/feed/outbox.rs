//! The replies of one session that its producer has not read yet.
//!
//! An acknowledgement covers all before it, so only the newest has to wait. Rejections wait in a buffer. When
//! it is full, nothing more is read from that producer; when it stays full, they are dropped: they are
//! counted and logged in any case. No other producer waits.

use std::io::{self, Write};
use std::time::Instant;

use crate::limits;
use crate::protocol::rejection::Rejection;

/// Replies of one session.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    text: Vec<u8>,
    /// How many bytes of `text` are sent.
    sent: usize,
    /// Since when the producer has not read.
    stuck_since: Option<Instant>,
    /// Rejections are dropped until the producer reads again.
    muted: bool,
}

impl Outbox {
    /// Tells of a rejection. Number 0 concerns the connection itself.
    pub(super) fn reject(&mut self, number: u64, rejection: &Rejection) {
        if !self.muted {
            let detail =
                serde_json::to_string(&rejection.detail.to_string()).expect("a string is always JSON");
            let reason = rejection.reason.name();
            let line = format!("{{\"rejected\":{number},\"reason\":\"{reason}\",\"detail\":{detail}}}\n");
            self.text.extend_from_slice(line.as_bytes());
        }
    }

    /// Answers the hello, before anything else.
    pub(super) fn greet(&mut self, number: u64) {
        debug_assert!(self.sent == 0, "nothing was sent before the hello was answered");
        self.text.splice(..0, format!("{{\"ack\":{number}}}\n").into_bytes());
    }

    /// Acknowledges all lines up to this one.
    pub(super) fn acknowledge(&mut self, number: u64) {
        self.text.extend_from_slice(format!("{{\"ack\":{number}}}\n").as_bytes());
    }

    /// Whether the producer has taken all replies.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether so much waits that nothing more should be read.
    pub(super) fn is_full(&self) -> bool {
        self.text.len() - self.sent > limits::REPLY_BYTES_MAX
    }

    /// Sends what the producer takes. An error means that it takes no more.
    pub(super) fn send(&mut self, mut stream: impl Write, now: Instant) -> io::Result<()> {
        while self.sent < self.text.len() {
            match stream.write(&self.text[self.sent..]) {
                Ok(count) => {
                    self.sent += count;
                    self.stuck_since = None;
                    self.muted = false;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stuck_since.get_or_insert(now);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    *self = Outbox { muted: true, ..Outbox::default() };
                    return Err(error);
                }
            }
        }
        self.text = Vec::new();
        self.sent = 0;
        Ok(())
    }

    /// Drops what waits if the producer has not read for too long. Returns whether that is so.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let stuck = self.stuck_since.is_some_and(|since| now - since >= limits::REPLY_TIMEOUT);
        if stuck && self.is_full() {
            self.shed();
        }
        stuck
    }

    /// Drops what waits, but for the line that has been begun, and all rejections until the producer reads
    /// again.
    pub(super) fn shed(&mut self) {
        let begun = self.sent > 0 && self.text[self.sent - 1] != b'\n';
        let rest = memchr::memchr(b'\n', &self.text[self.sent..]).map_or(0, |end| end + 1);
        self.text = self.text[self.sent..self.sent + if begun { rest } else { 0 }].to_vec();
        self.sent = 0;
        self.muted = true;
    }

    /// How much memory the replies take.
    pub(super) fn bytes(&self) -> usize {
        self.text.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rejection::Reason;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_producer_that_does_not_read_loses_rejections_but_no_acknowledgement() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (mut outbox, start) = (Outbox::default(), Instant::now());
        let rejection = Rejection::new(Reason::NotOpen, "no open \"x\"");
        let mut number = 0;
        while !outbox.is_full() {
            number += 1;
            outbox.reject(number, &rejection);
            outbox.send(&ours, start).unwrap();
        }
        assert!(!outbox.expire(start), "not yet");
        assert!(outbox.expire(start + limits::REPLY_TIMEOUT));
        assert!(!outbox.is_full());
        outbox.reject(number + 1, &rejection);
        outbox.acknowledge(number + 1);
        let mut read = Vec::new();
        let mut chunk = [0; 4_096];
        loop {
            outbox.send(&ours, start).unwrap();
            let count = theirs.read(&mut chunk).unwrap();
            read.extend_from_slice(&chunk[..count]);
            if outbox.is_empty() && read.ends_with(format!("{{\"ack\":{}}}\n", number + 1).as_bytes()) {
                break;
            }
        }
        let text = String::from_utf8(read).unwrap();
        assert!(
            text.starts_with("{\"rejected\":1,\"reason\":\"not_open\",\"detail\":\"no open \\\"x\\\"\"}\n")
        );
        assert!(text.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "whole lines only");
        assert!(!text.contains(&format!("\"rejected\":{},", number + 1)));
    }
}
