//! Bytes in, whole lines out. Holds at most one unfinished line, and the lines of one read that were put back.

use std::io::{self, Read};

use crate::limits;

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

/// What one connection has sent and nobody has taken yet.
#[derive(Default)]
pub(super) struct Framing {
    /// Whole lines that were put back.
    put_back: Vec<u8>,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
    /// Within a line that is too long, which is passed over until its end.
    skipping: bool,
    /// Its beginning, unless that was taken.
    skipped: Vec<u8>,
}

/// Bytes that a connection may keep between two lines without giving them back.
const PARTIAL_KEPT_BYTES: usize = 1_024;

impl Framing {
    /// The beginning of a line whose end has not arrived.
    pub(super) fn unfinished(&self) -> &[u8] {
        &self.partial
    }

    /// Puts whole lines back: the next [`Self::read`] brings them, and asks the stream for nothing.
    pub(super) fn put_back(&mut self, lines: &[u8]) {
        self.put_back.extend_from_slice(lines);
    }

    /// The lines that were put back.
    pub(super) fn put_back_lines(&self) -> impl Iterator<Item = &[u8]> {
        self.put_back.split_inclusive(|&byte| byte == b'\n')
    }

    pub(super) fn has_put_back(&self) -> bool {
        !self.put_back.is_empty()
    }

    /// Takes the beginning of a line that is too long and has no end yet. It will not be told of again.
    pub(super) fn take_too_long(&mut self) -> Option<Vec<u8>> {
        (!self.skipped.is_empty()).then(|| std::mem::take(&mut self.skipped))
    }

    /// Reads once, into a buffer that all connections share.
    pub(super) fn read<'a>(
        &mut self,
        mut stream: impl Read,
        buffer: &'a mut Vec<u8>,
        line_max: usize,
    ) -> Batch<'a> {
        if self.has_put_back() {
            let lines = std::mem::take(&mut self.put_back);
            if buffer.len() < lines.len() {
                buffer.resize(lines.len(), 0);
            }
            let block = &mut buffer[..lines.len()];
            block.copy_from_slice(&lines);
            return Batch::Lines(Lines { too_long: None, block });
        }
        let kept = self.partial.len();
        if buffer.len() < kept + limits::BATCH_BYTES {
            buffer.resize(kept + limits::BATCH_BYTES, 0);
        }
        buffer[..kept].copy_from_slice(&self.partial);
        let end = match stream.read(&mut buffer[kept..kept + limits::BATCH_BYTES]) {
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
    use std::os::unix::net::UnixStream;

    /// Feeds the pieces one read at a time and shows what comes out.
    fn read_all(pieces: &[&[u8]], line_max: usize) -> Vec<String> {
        let (mut writer, reader) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        let (mut framing, mut buffer, mut out) = (Framing::default(), Vec::new(), Vec::new());
        let mut read = |framing: &mut Framing, out: &mut Vec<String>| loop {
            match framing.read(&reader, &mut buffer, line_max) {
                Batch::Nothing => return,
                Batch::Lines(lines) => {
                    out.extend(lines.too_long.map(|_| "too long".to_owned()));
                    for line in lines.block.split_inclusive(|&byte| byte == b'\n') {
                        let text = String::from_utf8_lossy(&line[..line.len() - 1]).into_owned();
                        out.push(if text.len() > line_max { "too long".to_owned() } else { text });
                    }
                }
                Batch::End => {
                    out.push(format!("end:{}", String::from_utf8_lossy(framing.unfinished())));
                    return;
                }
            }
        };
        for piece in pieces {
            writer.write_all(piece).unwrap();
            read(&mut framing, &mut out);
        }
        drop(writer);
        read(&mut framing, &mut out);
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
