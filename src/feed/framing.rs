//! One producer's connection: bytes in, whole lines out. Holds at most one unfinished line.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nix::sys::epoll::EpollFlags;

use super::outbox::Replies;
use crate::limits;
use crate::state::sessions::{SessionId, SessionName};

/// What one read brought.
pub(super) enum Batch<'a> {
    /// Nothing more for now.
    Nothing,
    /// Whole lines, with their ends; may be empty.
    Lines(Lines<'a>),
    /// The producer has closed the connection, or it broke.
    End,
}

/// The lines of one read.
pub(super) struct Lines<'a> {
    /// The beginning of a line that was too long and has come to its end, before the others.
    pub(super) too_long: Option<Vec<u8>>,
    /// Whole lines, each with its end.
    pub(super) block: &'a [u8],
}

/// What kind of conversation a connection holds. Its first line decides.
pub(super) enum Talk {
    /// Nothing has been said yet.
    Unknown,
    /// Events, and no replies.
    Plain,
    /// A session.
    Session(Box<Conversation>),
}

/// A session on its connection.
pub(super) struct Conversation {
    pub(super) id: SessionId,
    pub(super) name: Arc<SessionName>,
    /// How far it had come when it said hello.
    pub(super) begun: u64,
    /// The latest acknowledgement; `None`: not even the hello has been answered.
    pub(super) acked: Option<u64>,
    pub(super) replies: Replies,
    /// The latest acknowledgement that was written whole.
    pub(super) delivered: Option<u64>,
    /// How many bytes of replies are counted among those of all sessions.
    pub(super) replies_counted: usize,
    /// It is on the list of those that wait for an acknowledgement.
    pub(super) awaits: bool,
    pub(super) bye: Bye,
    /// What is polled for.
    pub(super) polled: EpollFlags,
}

/// Whether a session ends in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bye {
    No,
    /// Nothing more is read from it.
    Said,
    /// Its last acknowledgement was given.
    Answered,
}

impl Conversation {
    /// A session whose hello has just been read. Nothing of it is polled for but input.
    pub(super) fn new(id: SessionId, name: Arc<SessionName>, begun: u64) -> Self {
        let (replies, polled) = (Replies::default(), EpollFlags::EPOLLIN);
        Conversation {
            id,
            name,
            begun,
            acked: None,
            delivered: None,
            replies,
            replies_counted: 0,
            awaits: false,
            bye: Bye::No,
            polled,
        }
    }

    /// Whether there is something to acknowledge, having come so far.
    pub(super) fn is_owed(&self, position: u64) -> bool {
        self.acked != Some(position) || self.bye == Bye::Said
    }

    /// Acknowledges all lines up to this one, in steps that are not too long.
    pub(super) fn acknowledge(&mut self, position: u64) {
        let mut acked = self.acked.unwrap_or_else(|| {
            self.replies.greet(self.begun);
            self.begun
        });
        let repeated = self.bye == Bye::Said && acked == position;
        while acked < position || repeated {
            acked = position.min(acked + limits::ACK_LINES_MAX);
            self.replies.acknowledge(acked);
            if acked == position {
                break;
            }
        }
        self.acked = Some(position);
        if self.bye == Bye::Said {
            self.bye = Bye::Answered;
        }
    }
}

/// A producer's connection.
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    pub(super) talk: Talk,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
    /// Within a line that is too long, which is passed over until its end.
    skipping: bool,
    /// Its beginning, unless that was taken.
    skipped: Vec<u8>,
}

/// Bytes that a connection may keep between two lines without giving them back.
const PARTIAL_KEPT_BYTES: usize = 1_024;

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        Connection { stream, talk: Talk::Unknown, partial: Vec::new(), skipping: false, skipped: Vec::new() }
    }

    /// The beginning of a line whose end has not arrived.
    pub(super) fn unfinished(&self) -> &[u8] {
        &self.partial
    }

    /// Takes the beginning of a line that is too long and has no end yet. It will not be told of again.
    pub(super) fn take_too_long(&mut self) -> Option<Vec<u8>> {
        (!self.skipped.is_empty()).then(|| std::mem::take(&mut self.skipped))
    }

    /// The session that it is, if it is one.
    pub(super) fn session(&mut self) -> Option<&mut Conversation> {
        match &mut self.talk {
            Talk::Session(conversation) => Some(conversation),
            Talk::Unknown | Talk::Plain => None,
        }
    }

    /// Reads once, into a buffer that all connections share.
    pub(super) fn read<'a>(&mut self, buffer: &'a mut Vec<u8>, line_max: usize) -> Batch<'a> {
        let kept = self.partial.len();
        if buffer.len() < kept + limits::BATCH_BYTES {
            buffer.resize(kept + limits::BATCH_BYTES, 0);
        }
        buffer[..kept].copy_from_slice(&self.partial);
        let end = match self.stream.read(&mut buffer[kept..kept + limits::BATCH_BYTES]) {
            Ok(0) => return Batch::End,
            Ok(count) => kept + count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Batch::Nothing;
            }
            Err(_) => return Batch::End,
        };
        Batch::Lines(self.split(&buffer[..end], kept, line_max))
    }

    /// Splits what is there into whole lines and what is kept for the next read. The first `searched` bytes
    /// are known to hold no line end.
    fn split<'a>(&mut self, data: &'a [u8], searched: usize, line_max: usize) -> Lines<'a> {
        let (mut start, mut too_long) = (0, None);
        if self.skipping {
            let Some(at) = memchr::memchr(b'\n', data) else {
                return Lines { too_long: None, block: &[] };
            };
            start = at + 1;
            self.skipping = false;
            too_long = self.take_too_long();
        }
        let from = searched.max(start);
        let end = memchr::memrchr(b'\n', &data[from..]).map_or(start, |at| from + at + 1);
        let rest = &data[end..];
        self.partial.clear();
        // A carriage return before the line's end does not count, and may be the last byte so far.
        if rest.len() > line_max + 1 {
            self.skipping = true;
            self.skipped = rest[..rest.len().min(PARTIAL_KEPT_BYTES)].to_vec();
        } else {
            self.partial.extend_from_slice(rest);
        }
        if self.partial.len() <= PARTIAL_KEPT_BYTES {
            self.partial.shrink_to(PARTIAL_KEPT_BYTES);
        }
        Lines { too_long, block: &data[start..end] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    /// Feeds the pieces one read at a time and shows what comes out.
    fn read_all(pieces: &[&[u8]], line_max: usize) -> Vec<String> {
        let (mut writer, reader) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        let (mut connection, mut buffer, mut out) = (Connection::new(reader), Vec::new(), Vec::new());
        let mut read = |connection: &mut Connection, out: &mut Vec<String>| loop {
            match connection.read(&mut buffer, line_max) {
                Batch::Nothing => return,
                Batch::Lines(lines) => {
                    out.extend(lines.too_long.map(|_| "too long".to_owned()));
                    for line in lines.block.split_inclusive(|&byte| byte == b'\n') {
                        let text = String::from_utf8_lossy(&line[..line.len() - 1]).into_owned();
                        out.push(if text.len() > line_max { "too long".to_owned() } else { text });
                    }
                }
                Batch::End => {
                    out.push(format!("end:{}", String::from_utf8_lossy(connection.unfinished())));
                    return;
                }
            }
        };
        for piece in pieces {
            writer.write_all(piece).unwrap();
            read(&mut connection, &mut out);
        }
        drop(writer);
        read(&mut connection, &mut out);
        out
    }

    #[test]
    fn lines_come_out_whole() {
        assert_eq!(read_all(&[b"a\nb", b"c\n", b"d"], 10), ["a", "bc", "end:d"]);
        assert_eq!(read_all(&[], 10), ["end:"]);
    }

    #[test]
    fn a_line_too_long_is_passed_over_once() {
        assert_eq!(read_all(&[b"a\n0123456789", b"0123", b"45\nb\n"], 4), ["a", "too long", "b", "end:"]);
        assert_eq!(read_all(&[b"012345"], 4), ["end:"]);
        assert_eq!(read_all(&[b"012345\nb\n"], 4), ["too long", "b", "end:"]);
        assert_eq!(read_all(&[b"0123\n", b"0123", b"\n"], 4), ["0123", "0123", "end:"]);
    }

    proptest! {
        #[test]
        fn split_writes_equal_whole_writes(text in "[ab\n]{0,60}", cuts in prop::collection::vec(1_usize..8, 1..20)) {
            let mut pieces = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = more;
            }
            prop_assert_eq!(read_all(&pieces, 6), read_all(&[text.as_bytes()], 6));
        }
    }
}
